/* net_listen PORT TEXT - waits a second for the host to connect and gives TEXT to whoever does; bound, and a second socket unbound. ATTACKS 71. */
#include "../attempt.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int unbound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    attempt_runs();
    note("socket", fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    note("bind", bind(fd, (struct sockaddr *)&at, sizeof at));
    note("listen", listen(fd, 8));
    note("listen unbound", listen(unbound, 8));
    struct pollfd wait = { fd, POLLIN, 0 };
    if (poll(&wait, 1, 1000) == 1) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        note("accept", peer);
        put_bytes(peer, text, strlen(text));
    }
    return 0;
}
