/* fs_statfs PATH - prints the id of the file system that holds PATH, by its name, from its parent and through an O_PATH descriptor. ATTACKS 4. */
#include <libgen.h>
#include <sys/vfs.h>

#include "../attempt.h"

static void tell(const char *what, int result, const struct statfs *found)
{
    char line[64];

    note(what, result);
    if (result == 0) {
        unsigned words[2];
        memcpy(words, &found->f_fsid, sizeof words);
        (void)snprintf(line, sizeof line, "fsid %016llx\n", (unsigned long long)words[1] << 32 | words[0]);
        put(line);
    }
}

int main(int argc, char **argv)
{
    char parent[4096];
    struct statfs found;

    attempt_runs();
    (void)snprintf(parent, sizeof parent, "%s", argument(argc, argv, 1));
    tell("statfs", statfs(argument(argc, argv, 1), &found), &found);
    tell("statfs of the parent", statfs(dirname(parent), &found), &found);
    int fd = open(argument(argc, argv, 1), O_PATH | O_CLOEXEC);
    tell("fstatfs", fstatfs(fd, &found), &found);
    return 0;
}
