/* fs_fanotify DIR - is told the names of what others make in DIR, by fanotify, for a second. ATTACKS 4. */
#include <sys/fanotify.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_NONBLOCK, 0);
    char events[4096];

    attempt_runs();
    note("fanotify_init", fd);
    note("fanotify_mark", fanotify_mark(fd, FAN_MARK_ADD, FAN_CREATE | FAN_ONDIR, AT_FDCWD, argument(argc, argv, 1)));
    for (int i = 0; i < 20; i++) {
        ssize_t got = read(fd, events, sizeof events);
        if (got > 0) {
            put_bytes(STDOUT_FILENO, events, (size_t)got);
        }
        pause_millis(50);
    }
    return 0;
}
