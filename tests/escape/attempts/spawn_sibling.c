/* spawn_sibling NAME - makes a process that is not its own child (CLONE_PARENT) and one that shares its memory without being a thread
 * (CLONE_VM); they wear NAME for half a second. ATTACKS 58 and 59. */
#include "../attempt.h"

#include <sched.h>

static _Alignas(16) char stack[65536];
static const char *name;

static int body(void *unused)
{
    (void)unused;
    wear_name(name);
    pause_millis(500);
    return 0;
}

int main(int argc, char **argv)
{
    attempt_runs();
    name = argument(argc, argv, 1);
    int shared = clone(body, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
    note("clone CLONE_VM", shared);
    if (shared > 0) {
        (void)waitpid(shared, NULL, 0);
    }
    pid_t sibling = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
    if (sibling == 0) {
        (void)body(NULL);
        _exit(0);
    }
    note("clone CLONE_PARENT", sibling);
    pause_millis(300);
    return 0;
}
