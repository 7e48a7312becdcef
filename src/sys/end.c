/* sys/end.c - private ends on the caller's streams, and SIGPIPE kept away from the host; end.h says what is promised. */
#include "sys/end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_BYTES 256u /* n_tty says writable while fewer than 256 bytes wait */

int bv_fd_above_stdio(int fd)
{
    if (fd < 0) {
        return -errno;
    }
    if (fd > STDERR_FILENO) {
        return fd;
    }
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    (void)close(fd);
    return high >= 0 ? high : -error;
}

void bv_pipe_guard_enter(struct bv_pipe_guard *guard)
{
    sigset_t set, pending;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, &guard->before);
    guard->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void bv_pipe_guard_leave(const struct bv_pipe_guard *guard, bool broke)
{
    if (broke && !guard->was_pending) {
        static const struct timespec now = { 0, 0 };
        sigset_t set;
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGPIPE);
        while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

/* True for the slave of a pseudo terminal. Opening other character devices anew can have effects (a pty master would give
 * a new terminal), so only these and pipes are. */
static bool is_pty_slave(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && major(st->st_rdev) >= UNIX98_PTY_SLAVE_MAJOR &&
           major(st->st_rdev) < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT;
}

bool bv_stat_is_null(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(MEM_MAJOR, 3);
}

/* A description of our own on the same pipe or terminal; -EBADF when that is not to be had. */
static int reopen(int fd, const struct stat *st, bool writing)
{
    char path[40];
    struct stat now;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int own = bv_fd_above_stdio(
        open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own < 0) {
        return -EBADF;
    }
    if (fstat(own, &now) != 0 || now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
        (void)close(own);
        return -EBADF;
    }
    return own;
}

int bv_end_open(struct bv_end *end, int caller_fd, bool writing)
{
    struct stat st;
    *end = (struct bv_end){ .fd = -EBADF, .kind = BV_END_NONE };
    if (caller_fd < 0) {
        return 0;
    }
    if (fstat(caller_fd, &st) != 0) {
        return -errno;
    }
    const int flags = fcntl(caller_fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    const bool fifo = S_ISFIFO(st.st_mode);
    if (fifo || is_pty_slave(&st)) {
        end->fd = reopen(caller_fd, &st, writing);
        end->kind = BV_END_NONBLOCK;
    }
    if (end->fd < 0) {
        end->fd = fcntl(caller_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        end->kind = S_ISSOCK(st.st_mode)                          ? BV_END_SOCKET
                    : S_ISREG(st.st_mode) || bv_stat_is_null(&st) ? BV_END_ALWAYS
                                                                  : BV_END_POLLED;
    }
    if (end->fd < 0) {
        const int error = errno;
        *end = (struct bv_end){ .fd = -EBADF, .kind = BV_END_NONE };
        return -error;
    }
    end->may_splice =
        fifo || bv_stat_is_null(&st) || (S_ISREG(st.st_mode) && (flags & O_APPEND) == 0);
    return 0;
}

void bv_end_close(struct bv_end *end)
{
    if (end->fd >= 0) {
        (void)close(end->fd);
    }
    *end = (struct bv_end){ .fd = -EBADF, .kind = BV_END_NONE };
}

static bool ready(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    return poll(&p, 1, 0) == 1;
}

bool bv_end_writable(const struct bv_end *end)
{
    return end->kind == BV_END_ALWAYS || ready(end->fd, POLLOUT);
}

ssize_t bv_end_write(const struct bv_end *end, const void *bytes, size_t size)
{
    ssize_t n;
    if (end->kind == BV_END_POLLED) {
        if (!ready(end->fd, POLLOUT)) {
            return -EAGAIN;
        }
        const size_t most = end->may_splice ? PIPE_BUF : TERMINAL_BYTES;
        size = size < most ? size : most;
    }
    do {
        n = end->kind == BV_END_SOCKET ? send(end->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : write(end->fd, bytes, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t bv_end_read(const struct bv_end *end, void *bytes, size_t size)
{
    ssize_t n;
    if (end->kind == BV_END_POLLED && !ready(end->fd, POLLIN)) {
        return -EAGAIN;
    }
    do {
        n = end->kind == BV_END_SOCKET ? recv(end->fd, bytes, size, MSG_DONTWAIT)
                                       : read(end->fd, bytes, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
