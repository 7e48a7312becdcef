/* spawn_fork NAME - makes a process by fork and by clone; it wears NAME for half a second. ATTACKS 58. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    pid_t child = fork();
    if (child < 0) {
        note("fork", -1);
        child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
        note("clone SIGCHLD", child);
    }
    if (child == 0) {
        wear_name(argument(argc, argv, 1));
        pause_millis(500);
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
    return 0;
}
