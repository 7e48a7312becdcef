/* tty_type FD TEXT - types TEXT into the terminal FD, as if its user had. ATTACKS 48. */
#include <sys/ioctl.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    int fd = (int)strtol(argument(argc, argv, 1), NULL, 10);

    attempt_runs();
    for (const char *at = argument(argc, argv, 2); *at; at++) {
        long typed = syscall(SYS_ioctl, fd, TIOCSTI, at);
        if (typed < 0) {
            note("TIOCSTI", typed);
            typed = syscall(SYS_ioctl, fd, TIOCSTI | 1ul << 32, at);
            note("with high bits", typed);
        }
        if (typed < 0) {
            return 0;
        }
    }
    return 0;
}
