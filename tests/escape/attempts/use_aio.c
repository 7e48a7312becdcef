/* use_aio COUNT - takes COUNT events' worth of asynchronous I/O contexts from the host's one pool, then waits. ATTACKS 101. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const unsigned long wanted = strtoul(argument(argc, argv, 1), NULL, 10), step = 1000;

    attempt_runs();
    for (unsigned long got = 0; got < wanted; got += step) {
        unsigned long context = 0;
        long made = syscall(SYS_io_setup, step, &context);
        if (made < 0) {
            note("io_setup", made);
            break;
        }
    }
    pause_millis(300);
    return 0;
}
