/* fs_stat_oracle DIR COUNT - tells which of DIR/0 .. DIR/COUNT-1 exist, by five calls that reveal it through their errno.
 * Each call prints one line of 0 and 1; the harness made a random pattern. ATTACKS 2. */
#include "../attempt.h"

static int asks(int way, const char *path)
{
    struct stat status;
    char text[64];

    switch (way) {
    case 0:
        return stat(path, &status) == 0 ? 0 : errno;
    case 1:
        return access(path, F_OK) == 0 ? 0 : errno;
    case 2: {
        int fd = open(path, O_PATH | O_CLOEXEC);
        int why = fd < 0 ? errno : 0;
        if (fd >= 0) {
            (void)close(fd);
        }
        return why;
    }
    case 3:
        return readlink(path, text, sizeof text) >= 0 ? 0 : errno;
    default:
        return truncate(path, -1) == 0 ? 0 : errno;
    }
}

int main(int argc, char **argv)
{
    const char *directory = argument(argc, argv, 1);
    long count = strtol(argument(argc, argv, 2), NULL, 10);

    attempt_runs();
    for (int way = 0; way < 5; way++) {
        char missing[4200];
        (void)snprintf(missing, sizeof missing, "%s/never-there", directory);
        int absent = asks(way, missing);
        for (long i = 0; i < count; i++) {
            char path[4200];
            (void)snprintf(path, sizeof path, "%s/%ld", directory, i);
            put(asks(way, path) == absent ? "0" : "1");
        }
        put("\n");
    }
    return 0;
}
