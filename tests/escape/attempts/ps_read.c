/* ps_read PID - reads another process of the caller through procfs: environment, command line, memory map, root. ATTACKS 37. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *files[] = { "environ", "cmdline", "status", "maps", "cwd/secret" };
    char path[128];

    attempt_runs();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "/proc/%s/%s", argument(argc, argv, 1), files[i]);
        spill(path, open(path, O_RDONLY));
    }
    return 0;
}
