/* net_tcp PORT TEXT - sends TEXT to a TCP listener on the host's loopback, by IPv4, by IPv6, by TCP fast open and by the any-address. ATTACKS 70. */
#include "../attempt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

static void say(const char *what, const struct sockaddr *address, socklen_t size, bool fast, const char *text)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    note(what, fd);
    if (fast) {
        note("sendto MSG_FASTOPEN", sendto(fd, text, strlen(text), MSG_FASTOPEN | MSG_NOSIGNAL, address, size));
    } else {
        note("connect", connect(fd, address, size));
        note("send", send(fd, text, strlen(text), MSG_NOSIGNAL));
    }
    (void)close(fd);
}

int main(int argc, char **argv)
{
    uint16_t port = htons(port_of(argument(argc, argv, 1)));
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_ANY) };
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = port };

    attempt_runs();
    (void)inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    say("AF_INET", (struct sockaddr *)&four, sizeof four, false, text);
    say("AF_INET fast open", (struct sockaddr *)&four, sizeof four, true, text);
    say("AF_INET any", (struct sockaddr *)&any, sizeof any, false, text);
    say("AF_INET6 mapped", (struct sockaddr *)&mapped, sizeof mapped, false, text);
    return 0;
}
