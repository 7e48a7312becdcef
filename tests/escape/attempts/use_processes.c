/* use_processes NAME COUNT - makes up to COUNT processes at once, a tree two deep, all wearing NAME for 400 ms. Bounded, so that the run
 * outside is no bomb. ATTACKS 62 and 96. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    long count = strtol(argument(argc, argv, 2), NULL, 10);

    attempt_runs();
    wear_name(argument(argc, argv, 1));
    for (long i = 0; i < count / 2; i++) {
        if (fork() == 0) {
            (void)fork();
            pause_millis(400);
            while (wait(NULL) > 0) {
            }
            _exit(0);
        }
    }
    pause_millis(400);
    while (wait(NULL) > 0) {
    }
    return 0;
}
