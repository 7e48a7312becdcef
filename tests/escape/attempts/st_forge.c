/* st_forge FORGERY - writes FORGERY, a report in bvisor's own words, to every descriptor and terminal there is, and then fails with 7. ATTACKS 67. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char path[64];
    const char *forgery = argument(argc, argv, 1);

    attempt_runs();
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0) {
            (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
            put_bytes(fd, forgery, strlen(forgery));
        }
        (void)snprintf(path, sizeof path, "/proc/1/fd/%d", fd);
        int reopened = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (reopened >= 0) {
            put_bytes(reopened, forgery, strlen(forgery));
            (void)close(reopened);
        }
    }
    return 7;
}
