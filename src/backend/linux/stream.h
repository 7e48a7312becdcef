/* backend/linux/stream.h - the bytes between the workload and the caller: stdout and stderr out, stdin in.
 *
 * Nothing here blocks and nothing changes the state of a descriptor that the caller owns: a pipe or terminal of the caller
 * is opened anew so that O_NONBLOCK is set on a description of ours, a socket is used with MSG_DONTWAIT, a regular file is
 * always ready, and whatever is left is written in small pieces after poll() said that there is room. */
#pragma once

#include <bvisor/backend.h>

enum linux_end_kind {
    LINUX_END_NONE,
    LINUX_END_ALWAYS,   /* regular file, /dev/null: never blocks for long, epoll does not take it */
    LINUX_END_NONBLOCK, /* a description of our own with O_NONBLOCK */
    LINUX_END_SOCKET,
    LINUX_END_POLLED,   /* the caller's description: poll first, then little at a time */
};

struct linux_end { int fd; enum linux_end_kind kind; bool may_splice; }; /* fd is ours; -EBADF when none */

/* What a pump waits for. */
enum linux_need {
    LINUX_NEED_NOTHING, /* it has ended */
    LINUX_NEED_SOURCE,  /* readable source */
    LINUX_NEED_TARGET,  /* writable target */
    LINUX_NEED_TURN,    /* it has used up its turn; call again */
};

struct linux_stream { /* one of the workload's output streams */
    int number;              /* 1 or 2 */
    int pipe_fd;             /* our reading end, O_NONBLOCK */
    bool ended;              /* nothing more comes; both descriptors stay open until linux_stream_close() */
    struct linux_end target;
    bool target_lost;        /* the target failed or was given up */
    int target_errno;
    bool capture;
    uint64_t capture_max, captured, total;
    uint8_t *buffer;         /* read, and not yet taken by the target */
    size_t at, size;
    bool grown;              /* the pipe was made larger */
    bool last, failed;       /* last: only what is in the pipe now; failed: out of memory or a fault of the observation */
    uint64_t last_bytes;
};

struct linux_input { /* the workload's stdin */
    struct linux_end source;
    int pipe_fd;             /* our writing end, O_NONBLOCK */
    uint8_t *buffer;
    size_t at, size;
    bool ended, failed;      /* nothing more will be copied: linux_input_close() then tells the workload; failed: out of memory */
    int source_errno;        /* why the source could not be read, 0 at its end */
    uint64_t total;          /* bytes that the workload's pipe took */
};

/* Takes a private descriptor on what the caller gave; caller_fd < 0 gives LINUX_END_NONE. 0 or -errno. */
int linux_end_open(struct linux_end *end, int caller_fd, bool writing);
void linux_end_close(struct linux_end *end);

/* Moves bytes until something must be waited for. sink is a write descriptor of /dev/null, or -EBADF. */
enum linux_need linux_stream_pump(struct linux_stream *stream, int sink, struct bv_observation *observation);
/* No writer is left that counts: what is in the pipe now is the rest of the stream. */
void linux_stream_last(struct linux_stream *stream);
/* Stops passing bytes through; what is pending for the target is dropped. */
void linux_stream_give_up(struct linux_stream *stream, int error);
void linux_stream_close(struct linux_stream *stream);

enum linux_need linux_input_pump(struct linux_input *input);
void linux_input_close(struct linux_input *input);

/* A write descriptor of the real /dev/null, or -EBADF. */
int linux_open_null(void);
