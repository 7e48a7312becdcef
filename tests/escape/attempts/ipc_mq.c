/* ipc_mq NAME - reads a message of the host's POSIX message queue NAME. ATTACKS 51. */
#include "../attempt.h"

#include <mqueue.h>

int main(int argc, char **argv)
{
    static char message[65536];

    attempt_runs();
    mqd_t queue = mq_open(argument(argc, argv, 1), O_RDONLY | O_NONBLOCK);
    note("mq_open", queue);
    ssize_t got = mq_receive(queue, message, sizeof message, NULL);
    if (got > 0) {
        put_bytes(STDOUT_FILENO, message, (size_t)got);
    }
    return 0;
}
