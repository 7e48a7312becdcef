/* kill_daemon NAME - leaves a daemon behind: own session, parent gone, every catchable signal ignored, wearing NAME for 30 s. ATTACKS 61. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    if (fork() == 0) {
        (void)setsid();
        if (fork() == 0) {
            for (int signal_number = 1; signal_number < 32; signal_number++) {
                (void)signal(signal_number, SIG_IGN);
            }
            (void)close(0);
            (void)close(1);
            (void)close(2);
            wear_name(argument(argc, argv, 1));
            pause_millis(30000);
        }
        _exit(0);
    }
    (void)wait(NULL);
    pause_millis(100);
    return 0;
}
