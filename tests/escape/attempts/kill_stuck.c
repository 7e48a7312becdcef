/* kill_stuck NAME - leaves a stopped child and one that holds stdout open, both wearing NAME. ATTACKS 64 and 65. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    for (int i = 0; i < 2; i++) {
        if (fork() == 0) {
            (void)setsid();
            wear_name(argument(argc, argv, 1));
            if (i == 0) {
                (void)close(1);
                (void)close(2);
                (void)raise(SIGSTOP);
            }
            pause_millis(30000);
            _exit(0);
        }
    }
    pause_millis(100);
    return 0;
}
