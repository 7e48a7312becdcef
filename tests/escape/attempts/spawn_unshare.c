/* spawn_unshare NAME SECOND - wears NAME, enters a user namespace of its own by unshare, wears SECOND there. ATTACKS 18 and 60. */
#include <sched.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    wear_name(argument(argc, argv, 1));
    pause_millis(200);
    long made = unshare(CLONE_NEWUSER | CLONE_NEWNS);
    note("unshare", made);
    if (made < 0) {
        made = syscall(SYS_unshare, CLONE_NEWUSER | 1ul << 40);
        note("with high bits", made);
    }
    if (made == 0) {
        wear_name(argument(argc, argv, 2));
    }
    pause_millis(200);
    return 0;
}
