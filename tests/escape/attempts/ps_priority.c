/* ps_priority NAME - puts itself before everyone else: nice, real time, out of the memory killer's reach. ATTACKS 69. */
#include <sched.h>
#include <sys/resource.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    const struct sched_param realtime = { .sched_priority = 1 };

    attempt_runs();
    note("setpriority", setpriority(PRIO_PROCESS, 0, -5));
    note("sched_setscheduler", sched_setscheduler(0, SCHED_RR, &realtime));
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    note("oom_score_adj", fd);
    note("write", fd < 0 ? -1 : write(fd, "-900", 4));
    wear_name(argument(argc, argv, 1));
    pause_millis(300);
    return 0;
}
