/* net_high_bits PORT TEXT - net_udp with garbage in the upper half of every argument that the kernel reads as an int. ATTACKS 87. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "../attempt.h"

#define HIGH 0xdead000100000000ul

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    attempt_runs();
    for (unsigned which = 1; which < 8; which++) {
        long fd = syscall(SYS_socket, AF_INET | (which & 1 ? HIGH : 0), SOCK_DGRAM | (which & 2 ? HIGH : 0), which & 4 ? HIGH : 0);
        note("socket", fd);
        note("sendto", syscall(SYS_sendto, (unsigned long)fd | HIGH, text, strlen(text), HIGH, &to, sizeof to | HIGH));
    }
    return 0;
}
