/* sys/sys.c - the host's own table of system calls; see sys.h for what each must do.
 *
 * Owns nothing and keeps no state. Must not retry anything but EINTR, must not decide policy,
 * and leaves errno alone. Raw syscall(2) is used where glibc 2.36 has no wrapper (openat2) or
 * where its emulation differs from the kernel's answer. */
#include "sys/sys.h"

#include "sys/end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Turns the -1/errno of a libc call into -errno and puts errno back to what the caller had. */
static int result_of(int saved_errno, long result)
{
    int now = errno;
    errno = saved_errno;
    return result < 0 ? -now : (int)result;
}

static void sys_close(int fd)
{
    /* Linux releases the descriptor even when close() says EINTR: it must not be tried again. */
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

/* bv_fd_above_stdio() for what is -errno already; errno is left as it was. */
static int above_stdio(int fd)
{
    const int saved = errno;
    const int moved = fd < 0 ? fd : bv_fd_above_stdio(fd);
    errno = saved;
    return moved;
}

static int sys_open(const char *path, int flags)
{
    int saved = errno;
    int fd;
    do {
        fd = result_of(saved, open(path, flags | O_CLOEXEC));
    } while (fd == -EINTR);
    return above_stdio(fd);
}

/* One step of the walk below: the next component of a path, opened without following a link. */
static int open_component(int dir_fd, const char *name, size_t length)
{
    char text[NAME_MAX + 1];
    if (length > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(text, name, length);
    text[length] = '\0';
    int saved = errno;
    int fd = above_stdio(result_of(saved, openat(dir_fd, text, O_PATH | O_NOFOLLOW | O_CLOEXEC)));
    struct stat st;
    if (fd < 0) {
        return fd;
    }
    int r = result_of(saved, fstat(fd, &st));
    if (r == 0 && S_ISLNK(st.st_mode)) {
        r = -ELOOP;
    }
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    return fd;
}

/* What openat2(RESOLVE_NO_SYMLINKS) does, a component at a time, for kernels and filters without
 * it. The answer says only that the path existed without links at this moment; whoever uses the
 * path for an effect opens it again by his own means. */
static int open_resolved_walk(const char *path)
{
    int fd = sys_open("/", O_PATH | O_DIRECTORY);
    for (const char *at = path; fd >= 0 && *at != '\0';) {
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        if (length > 0) {
            int next = open_component(fd, at, length);
            sys_close(fd);
            fd = next;
            at += length;
        }
    }
    return fd;
}

static int sys_open_resolved(const char *path)
{
    if (path[0] != '/') {
        return -EINVAL;
    }
    const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                  .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    int saved = errno;
    int fd = result_of(saved, syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
    /* EPERM is what an old container filter says to a call that it does not know. */
    return fd == -ENOSYS || fd == -EPERM ? open_resolved_walk(path) : above_stdio(fd);
}

static int sys_fstat(int fd, struct stat *ret_stat)
{
    int saved = errno;
    return result_of(saved, fstat(fd, ret_stat));
}

static int sys_stat(const char *path, struct stat *ret_stat)
{
    int saved = errno;
    return result_of(saved, stat(path, ret_stat));
}

static int sys_may_execute(int fd)
{
    int saved = errno;
    int r = result_of(saved, syscall(SYS_faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH));
    if (r == -ENOSYS || r == -EPERM) {
        /* Before Linux 5.8: glibc then computes the answer itself, but wants a path. */
        char path[32];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = result_of(saved, faccessat(AT_FDCWD, path, X_OK, AT_EACCESS));
    }
    return r;
}

static ssize_t sys_pread(int fd, void *buffer, size_t size, uint64_t offset_bytes)
{
    if (offset_bytes > INT64_MAX) {
        return -EOVERFLOW;
    }
    int saved = errno;
    ssize_t n;
    do {
        n = pread(fd, buffer, size, (off_t)offset_bytes);
    } while (n < 0 && errno == EINTR);
    int failed = errno;
    errno = saved;
    return n < 0 ? -failed : n;
}

static void sys_read_ahead(int fd)
{
    (void)posix_fadvise(fd, 0, 0,
                        POSIX_FADV_SEQUENTIAL); /* answers by value; errno is not touched */
}

static int sys_fd_path(int fd, char *buffer, size_t size)
{
    char link[32];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    int saved = errno;
    int n = result_of(saved, readlink(link, buffer, size));
    if (n < 0) {
        return n;
    }
    if ((size_t)n >= size) {
        return -ENAMETOOLONG;
    }
    buffer[n] = '\0';
    return n;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    int saved = errno;
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR) {
            return result_of(saved, -1);
        }
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    errno = saved;
    return 0;
}

static int sys_sealed_copy(const char *name, const void *bytes, size_t size)
{
    int saved = errno;
    int fd = above_stdio(result_of(saved, memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)));
    if (fd < 0) {
        return fd;
    }
    int r = write_all(fd, bytes, size);
    if (r == 0) {
        r = result_of(saved, fcntl(fd, F_ADD_SEALS,
                                   F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
    }
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    return fd;
}

static int sys_is_open(int fd)
{
    int saved = errno;
    int r = result_of(saved, fcntl(fd, F_GETFD));
    return r < 0 ? r : 0;
}

/* getsockopt() answers EBADF for an O_PATH descriptor although it is open; F_GETFL does not. */
static int sys_describe_fd(int fd, struct bv_fd_facts *ret_facts)
{
    int saved = errno, domain = -1, type = -1;
    int flags = result_of(saved, fcntl(fd, F_GETFL));
    if (flags < 0) {
        return flags;
    }
    struct stat st;
    int r = sys_fstat(fd, &st);
    socklen_t size = sizeof(domain);
    if (r == 0 && S_ISSOCK(st.st_mode) && !(flags & O_PATH)) {
        r = result_of(saved, getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size));
        size = sizeof(type);
        r = r < 0 ? r : result_of(saved, getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size));
    }
    if (r < 0) {
        return r;
    }
    *ret_facts = (struct bv_fd_facts){ .is_path = (flags & O_PATH) != 0,
                                       .is_directory = S_ISDIR(st.st_mode),
                                       .socket_domain = domain,
                                       .socket_type = type };
    return 0;
}

static int sys_event_new(void)
{
    int saved = errno;
    return above_stdio(result_of(saved, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

static void sys_event_raise(int fd)
{
    int saved = errno;
    const uint64_t one = 1;
    /* EAGAIN means that the counter is full, thus readable already. */
    (void)!write(fd, &one, sizeof(one));
    errno = saved;
}

static int sys_wait_readable(int fd, int timeout_millis)
{
    if (fd < 0) {
        return -EBADF; /* poll() would ignore it and wait for ever */
    }
    int saved = errno;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int r;
    do {
        p.revents = 0;
        r = result_of(saved, poll(&p, 1, timeout_millis));
    } while (r == -EINTR);
    return r > 0 && (p.revents & POLLNVAL) ? -EBADF : r;
}

static int sys_random(void *buffer, size_t size)
{
    int saved = errno;
    char *at = buffer;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno != EINTR) {
            return result_of(saved, -1);
        }
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    errno = saved;
    return 0;
}

static int sys_now(struct timespec *ret_realtime)
{
    int saved = errno;
    return result_of(saved, clock_gettime(CLOCK_REALTIME, ret_realtime));
}

static uint64_t sys_boot_micros(void)
{
    struct timespec now = { 0 };
    int saved = errno;
    (void)clock_gettime(CLOCK_BOOTTIME,
                        &now); /* cannot fail: the clock exists since Linux 2.6.39 */
    errno = saved;
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static int sys_kernel_release(char *buffer, size_t size)
{
    int saved = errno;
    struct utsname name;
    int r = result_of(saved, uname(&name));
    if (r < 0) {
        return r;
    }
    (void)snprintf(buffer, size, "%s", name.release);
    return 0;
}

static uint32_t sys_effective_uid(void)
{
    return geteuid();
}

void bv_cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        sys_close(*fd);
    }
}

const struct bv_sys bv_sys_host = {
    .open = sys_open,
    .open_resolved = sys_open_resolved,
    .close = sys_close,
    .fstat = sys_fstat,
    .stat = sys_stat,
    .may_execute = sys_may_execute,
    .pread = sys_pread,
    .read_ahead = sys_read_ahead,
    .fd_path = sys_fd_path,
    .sealed_copy = sys_sealed_copy,
    .describe_fd = sys_describe_fd,
    .is_open = sys_is_open,
    .event_new = sys_event_new,
    .event_raise = sys_event_raise,
    .wait_readable = sys_wait_readable,
    .random = sys_random,
    .now = sys_now,
    .boot_micros = sys_boot_micros,
    .kernel_release = sys_kernel_release,
    .effective_uid = sys_effective_uid,
};
