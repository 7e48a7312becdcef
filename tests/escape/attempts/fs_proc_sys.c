/* fs_proc_sys PATH TEXT - writes a system setting below /proc or /sys. ATTACKS 34. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    int fd = open(argument(argc, argv, 1), O_WRONLY | O_CLOEXEC);

    attempt_runs();
    note("open", fd);
    put_bytes(fd, text, strlen(text));
    return 0;
}
