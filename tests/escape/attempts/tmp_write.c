/* tmp_write NAME SECRET - leaves a file and a directory in /tmp and in /dev/shm and holds them for half a second. ATTACKS 30. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *places[] = { "/tmp", "/dev/shm" };
    const char *text = argument(argc, argv, 2);
    char path[300];

    attempt_runs();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", places[i], argument(argc, argv, 1));
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        note(path, fd);
        put_bytes(fd, text, strlen(text));
        (void)close(fd);
        spill("read back", open(path, O_RDONLY));
    }
    pause_millis(500);
    return 0;
}
