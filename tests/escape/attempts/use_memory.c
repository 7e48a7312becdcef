/* use_memory NAME MIB PROCESSES - touches MIB mebibytes in each of PROCESSES processes that wear NAME, and holds them for 300 ms. ATTACKS 93. */
#include "../attempt.h"

#include <sys/mman.h>

static void hold(const char *name, size_t mebibytes)
{
    wear_name(name);
    for (size_t i = 0; i < mebibytes; i++) {
        char *part = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (part == MAP_FAILED) {
            break;
        }
        memset(part, 1, 1u << 20);
    }
    pause_millis(300);
}

int main(int argc, char **argv)
{
    size_t mebibytes = strtoul(argument(argc, argv, 2), NULL, 10);
    long processes = strtol(argument(argc, argv, 3), NULL, 10);

    attempt_runs();
    for (long i = 1; i < processes; i++) {
        if (fork() == 0) {
            hold(argument(argc, argv, 1), mebibytes);
            _exit(0);
        }
    }
    hold(argument(argc, argv, 1), mebibytes);
    while (wait(NULL) > 0) {
    }
    return 0;
}
