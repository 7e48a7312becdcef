/* net_mptcp PORT TEXT - reaches a TCP listener with a multipath socket, which Landlock's TCP rules do not see. ATTACKS 70. */
#include "../attempt.h"

#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262 /* IPPROTO_MPTCP */);

    attempt_runs();
    note("socket", fd);
    note("connect", connect(fd, (struct sockaddr *)&to, sizeof to));
    note("send", send(fd, text, strlen(text), MSG_NOSIGNAL));
    return 0;
}
