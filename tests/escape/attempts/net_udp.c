/* net_udp PORT TEXT - sends a datagram to the host's loopback, unconnected and connected, by UDP and UDP-Lite. ATTACKS 70. */
#include "../attempt.h"

#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    attempt_runs();
    note("socket", fd);
    note("sendto", sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to));
    struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
    struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1 };
    note("sendmsg", sendmsg(fd, &message, 0));
    note("connect", connect(fd, (struct sockaddr *)&to, sizeof to));
    note("send", send(fd, text, strlen(text), 0));
    return 0;
}
