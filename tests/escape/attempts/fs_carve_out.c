/* fs_carve_out TOP TEXT - puts other content at TOP/a/b/kept by moving what leads there: renames, exchanges and removals of TOP/a and
 * TOP/a/b, then directories and files of its own. ATTACKS 32. */
#include "../attempt.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static char path[2][4096];

static const char *at(int which, const char *top, const char *name)
{
    (void)snprintf(path[which], sizeof path[which], "%s/%s", top, name);
    return path[which];
}

static void build(const char *top, const char *text)
{
    (void)mkdir(at(0, top, "a"), 0777);
    (void)mkdir(at(0, top, "a/b"), 0777);
    (void)mkdir(at(0, top, "a/b/kept"), 0777);
    int fd = open(at(0, top, "a/b/kept/new"), O_WRONLY | O_CREAT, 0644);
    note("create", fd);
    put_bytes(fd, text, strlen(text));
    (void)close(fd);
}

int main(int argc, char **argv)
{
    const char *top = argument(argc, argv, 1), *text = argument(argc, argv, 2);
    static const char *const victims[] = { "a/b/kept", "a/b", "a" };

    attempt_runs();
    (void)mkdir(at(0, top, "other"), 0777);
    for (size_t i = 0; i < sizeof victims / sizeof victims[0]; i++) {
        note("rename", rename(at(0, top, victims[i]), at(1, top, "moved")));
        build(top, text);
        note("exchange", syscall(SYS_renameat2, AT_FDCWD, at(0, top, victims[i]), AT_FDCWD, at(1, top, "other"), RENAME_EXCHANGE));
        build(top, text);
        note("rename onto", rename(at(1, top, "other"), at(0, top, victims[i])));
        note("rmdir", rmdir(at(0, top, victims[i])));
        build(top, text);
    }
    return 0;
}
