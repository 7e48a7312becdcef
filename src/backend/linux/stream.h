/* backend/linux/stream.h - the bytes between the workload and the caller: stdout and stderr out, stdin in.
 *
 * Nothing here blocks, and no state of the caller's descriptors is changed: sys/end.h. */
#pragma once

#include <bvisor/backend.h>

#include "sys/end.h"

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
    struct bv_end target;
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
    struct bv_end source;
    int pipe_fd;             /* our writing end, O_NONBLOCK */
    uint8_t *buffer;
    size_t at, size;
    bool ended, failed;      /* nothing more will be copied: linux_input_close() then tells the workload; failed: out of memory */
    int source_errno;        /* why the source could not be read, 0 at its end */
    uint64_t total;          /* bytes that the workload's pipe took */
};

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
