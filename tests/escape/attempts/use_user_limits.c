/* use_user_limits NAME MILLIS - takes every inotify instance and pending signal that the kernel gives this user, then wears NAME
 * for MILLIS. ATTACKS 101. */
#include <sys/inotify.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    const union sigval none = { 0 };
    sigset_t set;

    attempt_runs();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    while (inotify_init1(IN_CLOEXEC) >= 0) {
    }
    note("inotify_init1", -1);
    while (sigqueue(getpid(), SIGRTMIN, none) == 0) {
    }
    note("sigqueue", -1);
    wear_name(argument(argc, argv, 1));
    pause_millis(strtol(argument(argc, argv, 2), NULL, 10));
    return 0;
}
