/* fs_set_id DIR - leaves a program with a set-id bit in DIR, by every call that takes a mode. ATTACKS 20. */
#include <linux/openat2.h>
#include <sys/mman.h>

#include "../attempt.h"

#define FCHMODAT2 452

static char path[4096];
static uint8_t image[8192];
static size_t image_size;

static const char *in(const char *directory, const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int filled(const char *at)
{
    int fd = open(at, O_RDWR | O_CREAT, 0755);

    put_bytes(fd, image, image_size);
    return fd;
}

/* A file that was made with the bit, then given content by every way that there is. */
static void fill(const char *what, int fd)
{
    note(what, fd);
    if (fd < 0) {
        return;
    }
    note("fallocate", fallocate(fd, 0, 0, (off_t)image_size));
    void *map = mmap(NULL, image_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct stat st;
    if (map != MAP_FAILED && fstat(fd, &st) == 0 && st.st_size >= (off_t)image_size) {
        memcpy(map, image, image_size);
    }
    put_bytes(fd, image, image_size);
}

int main(int argc, char **argv)
{
    const char *directory = argument(argc, argv, 1);
    struct open_how how = { .flags = O_RDWR | O_CREAT, .mode = 04755 };
    int self = open(argv[0], O_RDONLY), fd;

    attempt_runs();
    ssize_t got = read(self, image, sizeof image);
    image_size = got > 0 ? (size_t)got : 0;
    note("read", got);
    (void)umask(0);
    (void)close(filled(in(directory, "chmod")));
    note("chmod", syscall(SYS_chmod, path, 06755));
    fd = filled(in(directory, "fchmod"));
    note("fchmod", syscall(SYS_fchmod, fd, 04755));
    (void)close(filled(in(directory, "fchmodat")));
    note("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, path, 02755));
    (void)close(filled(in(directory, "fchmodat2")));
    note("fchmodat2", syscall(FCHMODAT2, AT_FDCWD, path, 04755, 0));
    note("with high bits", syscall(FCHMODAT2, AT_FDCWD, path, 04755 | 1ul << 40, 0));
    fill("open", (int)syscall(SYS_open, in(directory, "open"), O_RDWR | O_CREAT, 04755));
    fill("openat", (int)syscall(SYS_openat, AT_FDCWD, in(directory, "openat"), O_RDWR | O_CREAT, 06755));
    fill("openat2", (int)syscall(SYS_openat2, AT_FDCWD, in(directory, "openat2"), &how, sizeof how));
    (void)syscall(SYS_creat, in(directory, "creat"), 04755);
    fill("creat", open(path, O_RDWR));
    (void)syscall(SYS_mknod, in(directory, "mknod"), S_IFREG | 04755, 0);
    fill("mknod", open(path, O_RDWR));
    (void)syscall(SYS_mknodat, AT_FDCWD, in(directory, "mknodat"), 04755, 0);
    fill("mknodat", open(path, O_RDWR));
    return 0;
}
