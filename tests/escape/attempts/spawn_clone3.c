/* spawn_clone3 NAME - makes a process by clone3, whose flags lie behind a pointer; it wears NAME for half a second. ATTACKS 58. */
#include "../attempt.h"

#include <linux/sched.h>

int main(int argc, char **argv)
{
    struct clone_args how = { .exit_signal = SIGCHLD };

    attempt_runs();
    pid_t child = (pid_t)syscall(SYS_clone3, &how, sizeof how);
    if (child == 0) {
        wear_name(argument(argc, argv, 1));
        pause_millis(500);
        _exit(0);
    }
    note("clone3", child);
    (void)waitpid(child, NULL, 0);
    return 0;
}
