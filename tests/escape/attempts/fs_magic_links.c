/* fs_magic_links PATH - reads PATH through procfs links that jump: root and cwd of itself, of pid 1 and of its parent. ATTACKS 12. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *path = argument(argc, argv, 1);
    const char *who[] = { "self", "1", "parent", "thread-self" };
    char text[4400], parent[32];

    attempt_runs();
    (void)snprintf(parent, sizeof parent, "%d", (int)getppid());
    for (size_t i = 0; i < sizeof who / sizeof who[0]; i++) {
        const char *name = strcmp(who[i], "parent") == 0 ? parent : who[i];
        (void)snprintf(text, sizeof text, "/proc/%s/root%s", name, path);
        spill(text, open(text, O_RDONLY));
        (void)snprintf(text, sizeof text, "/proc/%s/cwd/../../../../../../../../../..%s", name, path);
        spill(text, open(text, O_RDONLY));
    }
    return 0;
}
