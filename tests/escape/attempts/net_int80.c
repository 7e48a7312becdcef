/* net_int80 PORT TEXT - reaches the host's loopback through the 32-bit system call table. Linked at fixed low addresses, because the
 * 32-bit table reads 32-bit pointers. ATTACKS 73 and 85. */
#include "../attempt.h"

#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in to;
static char text[64];

/* i386: socketcall is avoided; socket 359, connect 362 and write 4 are direct. */
static long call32(long number, long one, long two, long three)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(one), "c"(two), "d"(three) : "memory", "r8", "r9", "r10", "r11");
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

int main(int argc, char **argv)
{
    attempt_runs();
    to.sin_family = AF_INET;
    to.sin_port = htons(port_of(argument(argc, argv, 1)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)snprintf(text, sizeof text, "%s", argument(argc, argv, 2));
    long fd = call32(359, AF_INET, SOCK_STREAM, 0);
    note("socket", fd);
    note("connect", call32(362, fd, (long)(uintptr_t)&to, (long)sizeof to));
    note("write", call32(4, fd, (long)(uintptr_t)text, (long)strlen(text)));
    return 0;
}
