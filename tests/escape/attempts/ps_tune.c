/* ps_tune PID - changes another process of the caller: a resource limit, its priority, its processors. ATTACKS 40. */
#include "../attempt.h"

#include <sched.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
    pid_t victim = (pid_t)strtol(argument(argc, argv, 1), NULL, 10);
    struct rlimit limit = { 77, 77 };
    cpu_set_t one;

    attempt_runs();
    note("prlimit", prlimit(victim, RLIMIT_NOFILE, &limit, NULL));
    note("setpriority", setpriority(PRIO_PROCESS, (id_t)victim, 7));
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    note("sched_setaffinity", sched_setaffinity(victim, sizeof one, &one));
    return 0;
}
