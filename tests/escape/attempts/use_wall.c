/* use_wall NAME MILLIS - sleeps, wearing NAME, with every catchable signal ignored. ATTACKS 91. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    attempt_runs();
    for (int number = 1; number < 32; number++) {
        (void)signal(number, SIG_IGN);
    }
    wear_name(argument(argc, argv, 1));
    pause_millis(strtol(argument(argc, argv, 2), NULL, 10));
    return 0;
}
