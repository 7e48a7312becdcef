/* use_handles NAME COUNT PROCESSES - holds COUNT descriptors in each of PROCESSES processes that wear NAME, for 400 ms. ATTACKS 97. */
#include "../attempt.h"

static void hold(const char *name, long count)
{
    wear_name(name);
    for (long i = 0; i < count && dup(STDOUT_FILENO) >= 0; i++) {
    }
    pause_millis(400);
}

int main(int argc, char **argv)
{
    long count = strtol(argument(argc, argv, 2), NULL, 10), processes = strtol(argument(argc, argv, 3), NULL, 10);

    attempt_runs();
    for (long i = 1; i < processes; i++) {
        if (fork() == 0) {
            hold(argument(argc, argv, 1), count);
            _exit(0);
        }
    }
    hold(argument(argc, argv, 1), count);
    while (wait(NULL) > 0) {
    }
    return 0;
}
