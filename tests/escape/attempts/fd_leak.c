/* fd_leak NAME - reads from every descriptor from 3 on, opens NAME relative to those that are directories, and climbs out of them. ATTACKS 33 and 42. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char name[300];

    attempt_runs();
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            continue;
        }
        char block[256];
        ssize_t got = pread(fd, block, sizeof block, 0);
        if (got > 0) {
            put_bytes(STDOUT_FILENO, block, (size_t)got);
            put("\n");
        }
        spill("openat", openat(fd, argument(argc, argv, 1), O_RDONLY | O_CLOEXEC));
        (void)snprintf(name, sizeof name, "../%s", argument(argc, argv, 1));
        spill("openat ..", openat(fd, name, O_RDONLY | O_CLOEXEC));
    }
    return 0;
}
