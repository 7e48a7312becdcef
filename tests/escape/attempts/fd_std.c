/* fd_std DIRECTORY TEXT - writes into DIRECTORY/found what each open descriptor is and what can be read from it, and TEXT into all of them. ATTACKS 43. */
#include "../attempt.h"

/* A stream as bvisor wires it: a pipe, or /dev/null (device 1:3). */
static const char *kind(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return "unknown";
    }
    if (S_ISFIFO(status.st_mode)) {
        return "pipe";
    }
    return S_ISCHR(status.st_mode) && status.st_rdev == 0x103 ? "null" : "other";
}

int main(int argc, char **argv)
{
    char path[4096], line[200], content[128];
    const char *text = argument(argc, argv, 2);

    (void)snprintf(path, sizeof path, "%s/found", argument(argc, argv, 1));
    int found = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (fd == found || flags < 0) {
            continue;
        }
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        ssize_t got = read(fd, content, sizeof content - 1);
        int length = snprintf(line, sizeof line, "fd %d %s %.*s\n", fd, kind(fd), got < 0 ? 0 : (int)got, content);
        put_bytes(found, line, (size_t)length);
        put_bytes(fd, text, strlen(text));
    }
    return 0;
}
