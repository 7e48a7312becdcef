/* sys/end.h - a private end on a stream that the caller owns: written and read without blocking, and without a trace.
 *
 * Nothing here changes the state of a descriptor of the caller: a pipe or terminal is opened anew so that O_NONBLOCK is set on a
 * description of ours, a socket is used with MSG_DONTWAIT, a regular file is always ready, and whatever is left is moved in small
 * pieces after poll() said that there is room. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum bv_end_kind {
    BV_END_NONE,
    BV_END_ALWAYS,   /* regular file, /dev/null: never blocks for long, epoll does not take it */
    BV_END_NONBLOCK, /* a description of our own with O_NONBLOCK */
    BV_END_SOCKET,
    BV_END_POLLED,   /* the caller's description: poll first, then little at a time */
};

struct bv_end { int fd; enum bv_end_kind kind; bool may_splice; }; /* fd is ours; -EBADF when none */

/* Takes a private descriptor on what the caller gave; caller_fd < 0 gives BV_END_NONE. 0 or -errno. */
int bv_end_open(struct bv_end *end, int caller_fd, bool writing);
void bv_end_close(struct bv_end *end);
/* Bytes moved, 0 at the end of a source, -EAGAIN when it would have to wait, or another -errno. A write can raise SIGPIPE: see below. */
ssize_t bv_end_write(const struct bv_end *end, const void *bytes, size_t size);
ssize_t bv_end_read(const struct bv_end *end, void *bytes, size_t size);
/* Would a write move anything now? */
bool bv_end_writable(const struct bv_end *end);

bool bv_stat_is_null(const struct stat *st); /* of the real /dev/null */

/* What a libc call returned, moved off 0, 1 and 2: a host may run with those closed, and what lands there would be taken for its
 * stdio. A failure of that call (fd < 0) is passed on as -errno. */
int bv_fd_above_stdio(int fd);

/* A library may neither install handlers nor let its host die of SIGPIPE: it is blocked in this thread between enter and leave,
 * and one that was raised in between (`broke`) is taken back. One that was pending before stays pending. */
struct bv_pipe_guard { sigset_t before; bool was_pending; };
void bv_pipe_guard_enter(struct bv_pipe_guard *guard);
void bv_pipe_guard_leave(const struct bv_pipe_guard *guard, bool broke);
