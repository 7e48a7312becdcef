/* use_memory_child NAME MIB - a child that wears NAME touches MIB mebibytes; whatever becomes of it, its parent ends with 0. ATTACKS 95. */
#include <sys/mman.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    size_t mebibytes = strtoul(argument(argc, argv, 2), NULL, 10);

    attempt_runs();
    if (fork() == 0) {
        wear_name(argument(argc, argv, 1));
        for (size_t i = 0; i < mebibytes; i++) {
            char *part = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (part == MAP_FAILED) {
                break;
            }
            memset(part, 1, 1u << 20);
        }
        pause_millis(300);
        _exit(0);
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}
