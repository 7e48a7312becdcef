/* fs_read_again PATH MILLIS - tries to read PATH again and again for MILLIS, until there is something to read. ATTACKS 14. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    long rounds = strtol(argument(argc, argv, 2), NULL, 10) * 10;

    attempt_runs();
    for (long i = 0; i < rounds; i++) {
        int fd = open(argument(argc, argv, 1), O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            spill("open", fd);
            return 0;
        }
        struct timespec pause = { 0, 100000 };
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}
