/* net_unix_bind PATH - listens on an AF_UNIX socket in a granted tree for half a second, for a host program to connect to. ATTACKS 56. */
#include "../attempt.h"

#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    attempt_runs();
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", argument(argc, argv, 1));
    note("socket", fd);
    note("bind", bind(fd, (struct sockaddr *)&at, sizeof at));
    note("listen", listen(fd, 4));
    pause_millis(500);
    return 0;
}
