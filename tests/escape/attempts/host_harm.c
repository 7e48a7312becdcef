/* host_harm MILLIS - takes every processor for MILLIS: real-time priority where it can be had, many spinning processes where not. ATTACKS 101. */
#include <sched.h>
#include <sys/resource.h>

#include "../attempt.h"

static void spin(long millis)
{
    struct timespec now, start;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < millis);
}

int main(int argc, char **argv)
{
    const struct sched_param realtime = { .sched_priority = 50 };
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    attempt_runs();
    note("setpriority", setpriority(PRIO_PROCESS, 0, -20));
    note("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &realtime));
    for (long i = 1; i < 2 * processors; i++) {
        if (fork() == 0) {
            spin(strtol(argument(argc, argv, 1), NULL, 10));
            _exit(0);
        }
    }
    spin(strtol(argument(argc, argv, 1), NULL, 10));
    while (wait(NULL) > 0) {
    }
    return 0;
}
