/* net_unix_inside TEXT - binds AF_UNIX sockets of each kind below /tmp, sends TEXT to each and prints what arrived, reversed. Must work where
 * the boundary allows AF_UNIX sockets among the workload's own. */
#include "../attempt.h"

#include <sys/socket.h>
#include <sys/un.h>

static void pass(int kind, int number, const char *text)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char got[200];
    int server = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0), from = server;
    ssize_t size;

    (void)snprintf(to.sun_path, sizeof to.sun_path, "/tmp/bvt-%d-%d", (int)getpid(), number);
    note("bind", bind(server, (struct sockaddr *)&to, sizeof to));
    if (kind != SOCK_DGRAM) {
        note("listen", listen(server, 1));
    }
    note("connect", connect(client, (struct sockaddr *)&to, sizeof to));
    if (kind != SOCK_DGRAM) {
        from = accept(server, NULL, NULL);
        note("accept", from);
    }
    note("send", send(client, text, strlen(text), MSG_NOSIGNAL));
    size = recv(from, got, sizeof got, MSG_DONTWAIT);
    for (ssize_t i = size; i > 0; i--) {
        put_bytes(1, &got[i - 1], 1);
    }
    put_bytes(1, "\n", 1);
    (void)unlink(to.sun_path);
}

int main(int argc, char **argv)
{
    const int kinds[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

    attempt_runs();
    for (int i = 0; i < 3; i++) {
        pass(kinds[i], i, argument(argc, argv, 1));
    }
    return 0;
}
