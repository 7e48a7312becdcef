/* fs_watch_outside DIR - watches a directory outside every root and prints the names of what the host makes in it. ATTACKS 4. */
#include "../attempt.h"

#include <poll.h>
#include <sys/inotify.h>

int main(int argc, char **argv)
{
    _Alignas(struct inotify_event) char block[4096];
    int fd = inotify_init1(IN_CLOEXEC);

    attempt_runs();
    note("inotify_add_watch", inotify_add_watch(fd, argument(argc, argv, 1), IN_CREATE));
    for (int round = 0; round < 20; round++) {
        struct pollfd wait = { fd, POLLIN, 0 };
        if (poll(&wait, 1, 50) <= 0) {
            continue;
        }
        ssize_t got = read(fd, block, sizeof block);
        for (ssize_t at = 0; at < got;) {
            struct inotify_event event;
            memcpy(&event, block + at, sizeof event);
            if (event.len > 0) {
                put(block + at + (ssize_t)sizeof event);
                put("\n");
            }
            at += (ssize_t)(sizeof event + event.len);
        }
    }
    return 0;
}
