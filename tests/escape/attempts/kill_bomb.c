/* kill_bomb NAME PROCESSES MILLIS - a fork bomb that wears NAME: every process forks as often as it can and ignores every signal. ATTACKS 62.
 *
 * Outside nothing bounds it but itself: PROCESSES at once and MILLIS of life. */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../attempt.h"

static atomic_long *alive;

static long now_millis(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void explode(long processes, long deadline)
{
    while (now_millis() < deadline) {
        if (atomic_fetch_add(alive, 1) >= processes) {
            atomic_fetch_sub(alive, 1);
            sched_yield();
            continue;
        }
        pid_t child = fork();
        if (child < 0) {
            atomic_fetch_sub(alive, 1);
            sched_yield();
        } else if (child == 0) {
            (void)setsid();
        }
    }
    atomic_fetch_sub(alive, 1);
}

int main(int argc, char **argv)
{
    attempt_runs();
    alive = mmap(NULL, sizeof *alive, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (alive == MAP_FAILED) {
        return 0;
    }
    for (int number = 1; number < 32; number++) {
        (void)signal(number, SIG_IGN); /* SIGCHLD too, so that nobody waits for anybody */
    }
    wear_name(argument(argc, argv, 1));
    *alive = 1;
    if (fork() == 0) {
        explode(strtol(argument(argc, argv, 2), NULL, 10), now_millis() + strtol(argument(argc, argv, 3), NULL, 10));
        _exit(0);
    }
    /* The first process lives as long as the boundary lets it, at most half of the time. */
    pause_millis(strtol(argument(argc, argv, 3), NULL, 10) / 2);
    return 0;
}
