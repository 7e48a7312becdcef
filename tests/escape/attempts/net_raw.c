/* net_raw PORT TEXT - sends a UDP datagram to the host's loopback from a raw socket and from a packet socket. ATTACKS 70. */
#include "../attempt.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

struct datagram { struct iphdr ip; struct udphdr udp; char text[64]; };

static uint16_t checksum(const struct iphdr *header)
{
    uint16_t words[sizeof *header / 2];
    uint32_t sum = 0;

    memcpy(words, header, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        sum += words[i];
    }
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)~sum;
}

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    size_t length = strnlen(text, 60), size = sizeof(struct iphdr) + sizeof(struct udphdr) + length;
    struct datagram packet = { .ip = { .ihl = 5, .version = 4, .ttl = 64, .protocol = IPPROTO_UDP } };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1, .sll_halen = 6 };

    attempt_runs();
    memcpy(packet.text, text, length);
    packet.ip.tot_len = htons((uint16_t)size);
    packet.ip.saddr = packet.ip.daddr = htonl(INADDR_LOOPBACK);
    packet.ip.check = checksum(&packet.ip);
    packet.udp.source = htons(9);
    packet.udp.dest = htons(port_of(argument(argc, argv, 1)));
    packet.udp.len = htons((uint16_t)(sizeof(struct udphdr) + length));
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    note("raw socket", raw);
    note("sendto", sendto(raw, &packet, size, 0, (struct sockaddr *)&to, sizeof to));
    int wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
    note("packet socket", wire);
    note("sendto", sendto(wire, &packet, size, 0, (struct sockaddr *)&link, sizeof link));
    return 0;
}
