/* tmp_fill DIR MIB - fills DIR with MIB mebibytes in files of one, then gives everything back on stdout: what comes out was stored.
 * Removes what it made. ATTACKS 98. */
#include "../attempt.h"

static char block[65536];

static void name_of(char path[300], const char *directory, long index)
{
    (void)snprintf(path, 300, "%s/fill-%ld", directory, index);
}

int main(int argc, char **argv)
{
    const char *directory = argument(argc, argv, 1);
    long count = strtol(argument(argc, argv, 2), NULL, 10);
    char path[300];

    attempt_runs();
    for (long i = 0; i < count; i++) {
        name_of(path, directory, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        memset(block, (int)('a' + i % 26), sizeof block);
        for (size_t part = 0; part < (1u << 20) / sizeof block; part++) {
            put_bytes(fd, block, sizeof block);
        }
        (void)close(fd);
    }
    for (long i = 0; i < count; i++) {
        name_of(path, directory, i);
        spill("read back", open(path, O_RDONLY));
        (void)unlink(path);
    }
    return 0;
}
