/* ps_signal PID - ends another process of the caller: kill, tgkill, a queued signal, a pidfd. Never -1 or a group. ATTACKS 38. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    pid_t victim = (pid_t)strtol(argument(argc, argv, 1), NULL, 10);

    attempt_runs();
    if (victim <= 1) {
        return 0;
    }
    int handle = (int)syscall(SYS_pidfd_open, victim, 0);
    note("pidfd_open", handle);
    note("pidfd_send_signal", syscall(SYS_pidfd_send_signal, handle, SIGKILL, NULL, 0));
    note("tgkill", syscall(SYS_tgkill, victim, victim, SIGKILL));
    note("sigqueue", sigqueue(victim, SIGKILL, (union sigval){ .sival_int = 0 }));
    note("kill", kill(victim, SIGKILL));
    return 0;
}
