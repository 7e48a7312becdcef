/* net_unix PATH TEXT - sends TEXT to a unix socket of the host: stream, datagram and seqpacket, and from a datagram socketpair. A PATH that
 * begins with @ is an abstract name. ATTACKS 53 to 55. */
#include "../attempt.h"

#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    const char *path = argument(argc, argv, 1), *text = argument(argc, argv, 2);
    const int kinds[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t length = strnlen(path, sizeof to.sun_path - 1);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1));
    int pair[2] = { -1, -1 };

    attempt_runs();
    memcpy(to.sun_path, path, length);
    if (path[0] == '@') {
        to.sun_path[0] = '\0';
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int fd = socket(AF_UNIX, kinds[i] | SOCK_CLOEXEC, 0);
        note("socket", fd);
        note("connect", connect(fd, (struct sockaddr *)&to, size));
        note("send", send(fd, text, strlen(text), MSG_NOSIGNAL));
        (void)close(fd);
    }
    note("socketpair", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    note("sendto from a pair", sendto(pair[0], text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, size));
    note("reconnect a pair", connect(pair[0], (struct sockaddr *)&to, size));
    note("send", send(pair[0], text, strlen(text), MSG_NOSIGNAL));
    return 0;
}
