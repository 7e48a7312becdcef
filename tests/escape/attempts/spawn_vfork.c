/* spawn_vfork NAME - makes a process by vfork; it wears NAME for half a second. ATTACKS 58. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *name = argument(argc, argv, 1);

    attempt_runs();
    /* The system call itself: glibc's vfork() in a function that goes on is a warning of its own. CLONE_VM | CLONE_VFORK with a
     * fresh stack page is the same thing without sharing this frame. */
    pid_t child = (pid_t)syscall(SYS_clone, 0x4000u /* CLONE_VFORK */ | (unsigned)SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0) {
        wear_name(name);
        pause_millis(500);
        _exit(0);
    }
    note("clone CLONE_VFORK", child);
    return 0;
}
