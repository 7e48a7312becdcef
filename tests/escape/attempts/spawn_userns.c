/* spawn_userns BEFORE AFTER - makes a user namespace; wears BEFORE while in the old one and AFTER in the new, so that the harness can
 * compare the two in the host's /proc. Tries unshare, then clone. ATTACKS 60. */
#include "../attempt.h"

#include <sched.h>

int main(int argc, char **argv)
{
    attempt_runs();
    wear_name(argument(argc, argv, 1));
    pause_millis(400);
    int done = unshare(CLONE_NEWUSER);
    note("unshare CLONE_NEWUSER", done);
    if (done == 0) {
        wear_name(argument(argc, argv, 2));
        pause_millis(500);
        return 0;
    }
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0) {
        wear_name(argument(argc, argv, 2));
        pause_millis(500);
        _exit(0);
    }
    note("clone CLONE_NEWUSER", child);
    (void)waitpid(child, NULL, 0);
    return 0;
}
