/* backend/linux/run.h - one run in flight, shared by launch.c (makes it), observe.c (drives it), notify.c and witness.c.
 *
 * Owns every descriptor in it. Nothing outside these four files sees inside. */
#pragma once

#include <pthread.h>

#include "backend/linux/facts.h"
#include "backend/linux/linux.h"
#include "backend/linux/stream.h"
#include "launchwire/status.h"

/* What a backend instance makes once and its runs share; each member is made under the lock and never changed after. */
struct linux_context {
    pthread_mutex_t lock;
    int launcher_fd;            /* sealed memory file with the launcher; -EBADF until the first run */
    int canary_tcp, canary_unix; /* listeners that nothing inside may reach; -EBADF when they could not be made */
    bool canaries_made;
    uint16_t canary_port;
    char canary_socket[64];
};

/* The launcher's image and digest, put in by embed.S. */
extern const unsigned char linux_launcher_image[];
extern const unsigned char linux_launcher_image_end[];
extern const char linux_launcher_digest[];

enum linux_watch { /* what the epoll descriptor waits for */
    WATCH_CONTROL, WATCH_INIT, WATCH_LAUNCHER, WATCH_CANCEL, WATCH_TIMER, WATCH_LISTENER,
    WATCH_PIPE_OUT, WATCH_PIPE_ERR, WATCH_TARGET_OUT, WATCH_TARGET_ERR, WATCH_SOURCE_IN, WATCH_PIPE_IN,
    WATCH_COUNT,
};
struct linux_watched { int fd; uint32_t events; bool added; };

enum linux_deadline { /* points of CLOCK_MONOTONIC in ns; UINT64_MAX: none */
    DEADLINE_HANDSHAKE, /* the workload must have been executed */
    DEADLINE_WALL,      /* the supervisor's own wall timer, behind init's */
    DEADLINE_END,       /* init must be dead: else SIGKILL */
    DEADLINE_NOTIFY,    /* the listener may be served again */
    DEADLINE_FLUSH,     /* targets must have taken the rest of the output */
    DEADLINE_COUNT,
};

enum linux_cause { CAUSE_NONE, CAUSE_CANCEL, CAUSE_WALL, CAUSE_FAULT };

struct linux_notify {
    int fd;                  /* the listener; -EBADF before it came and after its last task died */
    bool paused;
    uint64_t tokens, filled_ns;  /* answers that may be given now; when tokens were last added */
    uint64_t attested;       /* heard before the canaries were done */
    uint64_t unrecorded;     /* observation said no */
};

struct linux_run {
    const struct bv_execution *execution;
    struct linux_context *context;
    int epoll_fd, timer_fd, null_fd;
    int control_fd;          /* our end; closing it ends the tree */
    int launcher_fd, init_fd; /* pidfds */
    int launcher_pid;        /* also the process group of launcher and init, until init makes its own */
    struct linux_watched watched[WATCH_COUNT];
    uint64_t deadline[DEADLINE_COUNT], armed_ns;

    struct linux_facts facts;
    const char *mount_dest[BV_FRAME_MOUNTS_MAX]; /* by index, as BV_MSG_FAILED names them */
    uint32_t mount_count;
    struct linux_leaf leaf;
    bool leaf_made;
    struct linux_stream out[2]; /* stdout, stderr */
    struct linux_input in;
    struct linux_notify notify;

    /* What was heard. Each message comes at most once. */
    uint32_t seen;           /* bit n: message of type n came */
    struct bv_status_message failed, canaries, execed, exited, limit, figures;
    uint64_t canary_set;     /* what the frame asked for */
    uint64_t temp_bytes;     /* size of the temp root as mounted; 0 without one */

    enum linux_cause cause;  /* why this side ended the run; the first counts */
    char fault[200];
    bool killing;            /* the tree was told to end */
    bool init_dead, launcher_dead, tree_dead, observed;
    uint64_t end_ns;         /* when the tree was found dead */
    int leaf_error;          /* 0, or why the leaf could not be removed */
    bool leaf_populated;

    struct { /* the leaf's figures, read when the tree was dead */
        bool has_cpu, has_memory, has_oom, has_pids, has_refused_pids, has_refused_memory;
        uint64_t cpu_micros, memory_peak, oom_kills, pids_peak, pids_refused, memory_refused;
    } account;
};

static inline bool linux_seen(const struct linux_run *run, enum bv_status_type type)
{
    return (run->seen & (1u << type)) != 0;
}

/* launch.c */
void linux_run_free(struct linux_run *run); /* closes all; the tree must be dead or never have been */

/* spawn.c: starts the launcher. inherit: descriptors that it keeps, under their own numbers. On success the pidfd. -errno. */
struct linux_spawn { int image_fd, frame_fd; const int32_t *inherit; size_t inherit_count; };
int linux_spawn(const struct linux_spawn *spawn, int *ret_pid);

/* context.c: what is shared is made at the first run. */
enum bv_status linux_context_launcher(struct linux_context *context, int *ret_fd, struct bv_error *error);
void linux_context_canaries(struct linux_context *context, const char *attempt);

/* watch.c: the epoll descriptor and the timer. */
/* Watches fd for events instead of what was watched under that name; events 0 stops. 0 or -errno. */
int linux_watch(struct linux_run *run, enum linux_watch which, int fd, uint32_t events);
/* Sets the timer to the nearest deadline. 0 or -errno. */
int linux_arm(struct linux_run *run);

/* control.c: what launcher and init say. Reads all that is there. */
void linux_read_control(struct linux_run *run);
/* Tells init to end the tree. */
void linux_send_kill(struct linux_run *run);

/* observe.c: records why this side ends the run and ends it; later causes are ignored. */
void linux_kill(struct linux_run *run, enum linux_cause cause, const char *format, ...) BV_PRINTF(3, 4);

/* notify.c */
void linux_notify_serve(struct linux_run *run);

/* witness.c: what the run showed, once the tree is dead and the streams have ended. */
void linux_witness(struct linux_run *run);
