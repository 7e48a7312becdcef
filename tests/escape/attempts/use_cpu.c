/* use_cpu MILLIS - uses MILLIS of processor time in all, in short-lived children of 40 ms each so that no single process lives long; alone if
 * it may not fork. ATTACKS 92. */
#include "../attempt.h"

#include <stdbool.h>
#include <sys/resource.h>

static long used_millis(int who)
{
    struct rusage use;
    (void)getrusage(who, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000L + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000L;
}

int main(int argc, char **argv)
{
    long want = strtol(argument(argc, argv, 1), NULL, 10);
    bool alone = false;

    attempt_runs();
    while (used_millis(RUSAGE_CHILDREN) + used_millis(RUSAGE_SELF) < want) {
        pid_t child = alone ? -1 : fork();
        if (child == 0) {
            while (used_millis(RUSAGE_SELF) < 40) {
            }
            _exit(0);
        }
        /* Asking again would burn the supervisor's time, which answers each refused call, and not this tree's. */
        alone = child < 0;
        if (!alone) {
            (void)waitpid(child, NULL, 0);
        }
    }
    return 0;
}
