/* payload ARG - the program that the exec attempts try to start; prints its argument reversed, which none of them does itself. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 1);

    for (size_t i = strlen(text); i > 0; i--) {
        put_bytes(STDOUT_FILENO, text + i - 1, 1);
    }
    put("\n");
    return 0;
}
