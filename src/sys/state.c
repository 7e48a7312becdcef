/* sys/state.c - see state.h. Owns nothing; decides nothing but what makes a directory unfit to hold what others must not change. */
#include "sys/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int result_of(int saved_errno, int result)
{
    int now = errno;
    errno = saved_errno;
    return result < 0 ? -now : result;
}

/* mkdir -p, each part 0700 whatever the umask adds. */
static int make_all(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size >= sizeof(part)) {
        return -ENAMETOOLONG;
    }
    memcpy(part, path, size + 1);
    for (size_t at = 1; at <= size; at++) {
        if (part[at] != '/' && part[at] != '\0') {
            continue;
        }
        char end = part[at];
        part[at] = '\0';
        int saved = errno;
        int r = result_of(saved, mkdir(part, 0700));
        if (r < 0 && r != -EEXIST) {
            struct stat st; /* a parent on a read-only file system answers EROFS although it is there */
            if (stat(part, &st) != 0) {
                errno = saved;
                return r;
            }
            errno = saved;
        }
        part[at] = end;
    }
    return 0;
}

int bv_state_dir(const char *path, bool make, char resolved[PATH_MAX])
{
    int r = make ? make_all(path) : 0;
    int saved = errno;
    struct stat st;
    if (r == 0) {
        r = realpath(path, resolved) ? 0 : result_of(saved, -1);
        errno = saved;
    }
    if (r == 0) {
        r = result_of(saved, stat(resolved, &st));
    }
    if (r < 0) {
        return r;
    }
    if (!S_ISDIR(st.st_mode)) {
        return -ENOTDIR;
    }
    if (st.st_uid != geteuid()) {
        return -EPERM;
    }
    return st.st_mode & (S_IWGRP | S_IWOTH) ? -EACCES : 0;
}

static int join(char path[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int open_at(const char *dir, const char *name, int flags)
{
    char path[PATH_MAX];
    int r = join(path, dir, name), saved = errno;
    if (r < 0) {
        return r;
    }
    int fd = result_of(saved, open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd >= 0 && fd <= 2) {
        int moved = result_of(saved, fcntl(fd, F_DUPFD_CLOEXEC, 3));
        (void)close(fd);
        errno = saved;
        return moved;
    }
    return fd;
}

int bv_state_file(const char *dir, const char *name, bool make)
{
    return open_at(dir, name, O_RDWR | (make ? O_CREAT : 0));
}

int bv_state_touch(const char *dir, const char *name)
{
    int fd = open_at(dir, name, O_RDWR | O_CREAT | O_EXCL);
    if (fd >= 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return 0;
    }
    return fd == -EEXIST ? 0 : fd;
}

int bv_state_exists(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int r = join(path, dir, name), saved = errno;
    r = r < 0 ? r : result_of(saved, lstat(path, &st));
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

bool bv_state_is_file(const char *dir, const char *name, int fd)
{
    char path[PATH_MAX];
    struct stat there, here;
    int saved = errno;
    bool same = join(path, dir, name) == 0 && lstat(path, &there) == 0 && fstat(fd, &here) == 0 &&
                there.st_dev == here.st_dev && there.st_ino == here.st_ino;
    errno = saved;
    return same;
}

static struct flock one_byte(short type, uint64_t byte)
{
    return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1 };
}

int bv_lock_take(int fd, uint64_t byte, bool wait)
{
    struct flock lock = one_byte(F_WRLCK, byte);
    int saved = errno, r;
    do {
        r = result_of(saved, fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock));
    } while (r == -EINTR);
    return r == -EACCES ? -EAGAIN : r;
}

void bv_lock_drop(int fd, uint64_t byte)
{
    struct flock lock = one_byte(F_UNLCK, byte);
    int saved = errno;
    (void)fcntl(fd, F_OFD_SETLK, &lock);
    errno = saved;
}

int bv_lock_is_held(int fd, uint64_t byte)
{
    struct flock lock = one_byte(F_WRLCK, byte);
    int saved = errno;
    int r = result_of(saved, fcntl(fd, F_OFD_GETLK, &lock));
    return r < 0 ? r : lock.l_type != F_UNLCK;
}
