/* env_leak - prints every environment it can find: its own, and those of pid 1 and of its parent through procfs. ATTACKS 41. */
#include "../attempt.h"

extern char **environ;

int main(void)
{
    char path[64];

    attempt_runs();
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        put(*entry);
        put("\n");
    }
    spill("self", open("/proc/self/environ", O_RDONLY));
    spill("pid 1", open("/proc/1/environ", O_RDONLY));
    (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
    spill("parent", open(path, O_RDONLY));
    return 0;
}
