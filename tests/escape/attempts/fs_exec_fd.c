/* fs_exec_fd PROGRAM ARG - starts a program of a root without execute by its descriptor and by /proc/self/fd. ATTACKS 88. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char *const arguments[] = { argv[0], argc > 2 ? argv[2] : argv[0], NULL };
    char *const environment[] = { NULL };
    char magic[64];
    int fd = open(argument(argc, argv, 1), O_RDONLY);

    attempt_runs();
    note("open", fd);
    (void)snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
    note("execve by /proc", execve(magic, arguments, environment));
    note("execveat", syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH));
    return 0;
}
