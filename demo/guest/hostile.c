/* demo/guest/hostile.c - one hostile program, built for the host and as a Wasm guest: each line is an attempt and how it went.
 *
 * arguments: the secret's path, a directory that is granted read-only */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *attempt, int failed)
{
    printf("%-34s %s\n", attempt, failed ? strerror(errno) : "WORKED");
}

static void try_read(const char *attempt, const char *path)
{
    char bytes[64];
    const int fd = open(path, O_RDONLY);
    const ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    tell(attempt, n < 0);
    if (n > 0) {
        printf("%.*s", (int)n, bytes);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void try_write(const char *attempt, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT, 0644);
    tell(attempt, fd < 0 || write(fd, "x", 1) != 1);
    if (fd >= 0) {
        close(fd);
    }
}

static void fill(const char *path)
{
    static char bytes[1 << 16];
    const int fd = open(path, O_WRONLY | O_CREAT, 0644);
    long long total = 0;
    ssize_t n = 0;
    while (fd >= 0 && total < 1ll << 32 && (n = write(fd, bytes, sizeof bytes)) > 0) {
        total += n;
    }
    printf("%-34s %lld bytes, then %s\n", "fill the temp root", total, n < 0 ? strerror(errno) : "the end");
}

static void open_many(const char *path)
{
    int opened = 0;
    while (opened < 10000 && open(path, O_RDONLY) >= 0) {
        opened++;
    }
    printf("%-34s %d, then %s\n", "open descriptors without end", opened, strerror(errno));
}

int main(int count, char **args)
{
    char path[4096];
    if (count != 3) {
        return 2;
    }
    try_read("read the secret", args[1]);
    snprintf(path, sizeof path, "%s/../secret", args[2]);
    try_read("read it through ..", path);
    (void)symlink(args[1], "/tmp/link");
    try_read("read it through a planted link", "/tmp/link");
    snprintf(path, sizeof path, "%s/planted", args[2]);
    try_write("write into the read-only root", path);
    try_write("write into /etc", "/etc/bvisor-demo-planted");
    try_read("read /etc/shadow", "/etc/shadow");
    fill("/tmp/big");
    open_many(args[2]);
    fflush(stdout);
    for (volatile unsigned i = 0;; i++) { /* and then never end */
    }
}
