/* tests/wasm/guests/times.c - times of files, to the nanosecond, by path, by descriptor, of links themselves. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __wasi__
#include <wasi/api.h>
#endif

#include "say.h"

static void show(const char *name)
{
    struct stat st;
    (void)lstat(name, &st);
    printf("%s: atime %lld.%09ld mtime %lld.%09ld\n", name, (long long)st.st_atim.tv_sec,
           (long)st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

static int is_now(struct timespec time_of)
{
    const time_t now = time(NULL);
    return time_of.tv_sec >= now - 5 && time_of.tv_sec <= now + 5;
}

/* Debian 12's wasi-libc passes UTIME_NOW on wrongly, so a guest says it in WASI's own words. */
static void set_now(int fd)
{
#ifdef __wasi__
    (void)__wasi_fd_filestat_set_times(fd, 0, 0,
                                       __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_MTIM_NOW);
#else
    (void)futimens(fd, NULL);
#endif
}

int main(void)
{
    struct timespec times[2] = { { 1000000000, 123456789 }, { 1500000000, 987654321 } };
    struct stat st;
    const int fd = open("file", O_RDWR | O_CREAT, 0644);
    (void)symlink("file", "link");
    (void)mkdir("dir", 0755);
    (void)fstat(fd, &st);
    printf("new times are now: %d %d %d\n", is_now(st.st_atim), is_now(st.st_mtim),
           is_now(st.st_ctim));
    SAY(utimensat(AT_FDCWD, "file", times, 0));
    show("file");
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = 1600000000;
    SAY(futimens(fd, times));
    show("file");
    times[0] = (struct timespec){ 5, 6 };
    times[1] = (struct timespec){ 7, 8 };
    SAY(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
    show("link");
    show("file");
    SAY(utimensat(AT_FDCWD, "link", times, 0));
    show("file");
    SAY(utimensat(AT_FDCWD, "dir", times, 0));
    show("dir");
    set_now(fd);
    (void)stat("file", &st);
    printf("both are now: %d %d\n", is_now(st.st_mtim), is_now(st.st_atim));
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = (struct timespec){ 1700000000, 1 };
    SAY(futimens(fd, times));
    (void)!write(fd, "x", 1);
    (void)fstat(fd, &st);
    printf("a write sets mtime: %d\n", is_now(st.st_mtim));
    SAY(utimensat(AT_FDCWD, "missing", times, 0));
    close(fd);
    return 0;
}
