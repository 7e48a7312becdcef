/* ipc_sysv KEY - attaches the host's shared memory segment KEY and prints it. ATTACKS 50. */
#include "../attempt.h"

#include <sys/shm.h>

int main(int argc, char **argv)
{
    attempt_runs();
    int segment = shmget((key_t)strtol(argument(argc, argv, 1), NULL, 10), 0, 0);
    note("shmget", segment);
    const char *memory = shmat(segment, NULL, SHM_RDONLY);
    if ((intptr_t)memory != -1) {
        put_bytes(STDOUT_FILENO, memory, strnlen(memory, 4096));
    }
    return 0;
}
