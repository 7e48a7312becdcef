/* cg_enter DIR - moves itself into the cgroup DIR, then waits. ATTACKS 35. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    static const char *const files[] = { "cgroup.procs", "tasks" };
    char path[4096];

    attempt_runs();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", argument(argc, argv, 1), files[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        note(files[i], fd);
        note("write", fd < 0 ? -1 : write(fd, "0", 1));
    }
    pause_millis(300);
    return 0;
}
