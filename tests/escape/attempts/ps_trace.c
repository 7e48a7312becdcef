/* ps_trace PID - attaches to another process of the caller as a debugger and holds on for half a second. ATTACKS 39. */
#include "../attempt.h"

#include <sys/ptrace.h>

int main(int argc, char **argv)
{
    pid_t victim = (pid_t)strtol(argument(argc, argv, 1), NULL, 10);

    attempt_runs();
    note("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, victim, NULL, NULL));
    note("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, victim, NULL, NULL));
    pause_millis(500);
    return 0;
}
