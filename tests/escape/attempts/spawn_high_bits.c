/* spawn_high_bits NAME - makes a process by clone with garbage in the upper half of the flags, where clone does not look. ATTACKS 87. */
#include <sched.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    long child = syscall(SYS_clone, SIGCHLD | 0xdead000100000000ul, NULL, NULL, NULL, NULL);
    if (child == 0) {
        wear_name(argument(argc, argv, 1));
        pause_millis(300);
        _exit(0);
    }
    note("clone", child);
    (void)wait(NULL);
    return 0;
}
