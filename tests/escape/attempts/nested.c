/* nested PROGRAM ARG... - becomes PROGRAM with an empty environment: a boundary inside the boundary. ATTACKS 90. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char *const environment[] = { NULL };

    attempt_runs();
    if (argc > 1) {
        note("execve", execve(argv[1], argv + 1, environment));
    }
    return 0;
}
