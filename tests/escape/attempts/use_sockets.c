/* use_sockets MEBIBYTES - leaves that much unread in TCP connections to itself, then waits. ATTACKS 93. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../attempt.h"

static char block[1 << 16];

/* What one connection takes before it would block. */
static size_t fill(int listener, const struct sockaddr_in *address)
{
    const int most = 4 << 20;
    size_t sent = 0;
    int end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(end, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
    if (connect(end, (const struct sockaddr *)address, sizeof *address) < 0 || accept(listener, NULL, NULL) < 0) {
        note("connect", -1);
        return 0;
    }
    (void)fcntl(end, F_SETFL, O_NONBLOCK);
    for (ssize_t took; (took = write(end, block, sizeof block)) > 0;) {
        sent += (size_t)took;
    }
    return sent;
}

int main(int argc, char **argv)
{
    const size_t wanted = strtoul(argument(argc, argv, 1), NULL, 10) << 20;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    attempt_runs();
    note("bind", bind(listener, (struct sockaddr *)&address, size));
    note("listen", listen(listener, 64));
    (void)getsockname(listener, (struct sockaddr *)&address, &size);
    size_t sent = 0;
    for (int i = 0; i < 100 && sent < wanted; i++) {
        sent += fill(listener, &address);
    }
    pause_millis(300);
    return 0;
}
