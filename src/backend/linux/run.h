/* backend/linux/run.h - one run in flight, shared by launch.c (makes it), observe.c (drives it), notify.c and witness.c.
 *
 * Owns every descriptor in it. Nothing outside these four files sees inside. */
#pragma once

#include <pthread.h>

#include "backend/linux/facts.h"
#include "backend/linux/linux.h"
#include "backend/linux/stream.h"
#include "launchwire/image.h"
#include "launchwire/status.h"

/* What of the caller's circumstances a waiting launcher copied: compared byte by byte before it is used. */
#define LINUX_STAMP_LIMITS 16 /* RLIM_NLIMITS */
struct linux_stamp {
    uint32_t uids[3], gids[3], capabilities[6];
    uint64_t limits[LINUX_STAMP_LIMITS][2];
    unsigned long cpus[8192 / (8 * sizeof(unsigned long))];
    int no_new_privs, seccomp, pid;
    uint64_t root_dev, root_ino, mount_ns;
};

struct linux_spawn;
struct linux_ready { /* ready.c: a launcher without a run */
    bool new_net, broken; /* broken: it ended, or spoke nonsense */
    bool busy;            /* a probe listens to it */
    int control_fd, launcher_fd, init_fd; /* init_fd: -EBADF until INIT was heard */
    int launcher_pid, lost_init; /* lost_init: pid of an init whose descriptor could not be received; 0: none */
    struct linux_spawn *spawn;
    int mounts_fd; /* mountinfo as of its start, to be polled for changes */
    uint32_t seen; /* bit n: message of type n came */
    struct bv_status_message failed, ready, tried;
    struct linux_stamp stamp;
    uint64_t looked_ns; /* CLOCK_MONOTONIC: when it was last prepared for its run */
    struct linux_ready *next; /* in the context */
    char attempt[33];   /* the run that it is meant for */
    bool leaf_made;     /* by the probe, under that name; dead owners' leaves were then swept */
    struct linux_leaf leaf;
};

/* What a backend instance makes once and its runs share; each member is made under the lock and never changed after. */
struct linux_context {
    pthread_mutex_t lock;
    int launcher_fd;            /* sealed memory file with the launcher; -EBADF until the first run */
    int canary_tcp, canary_unix; /* listeners that nothing inside may reach; -EBADF when they could not be made */
    bool canaries_made, divided; /* divided: the own cgroup was looked at, and made ready for leaves if it could be */
    uint16_t canary_port;
    char canary_socket[64];
    pthread_cond_t idle;         /* a probe has returned what it borrowed */
    struct linux_ready *waiting; /* launchers of coming runs, each under the id of its attempt */
};

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
    int lost_init;           /* as in struct linux_ready */
    struct linux_ready *launcher; /* what is left of it once the run has taken its descriptors */
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
    struct bv_status_message failed, canaries, execed, exited, limit, figures, ready, tried;
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
/* Removes what dead owners left: at every start, but when the workload is on its way. */
void linux_run_sweep(const struct linux_run *run);
void linux_run_free(struct linux_run *run); /* closes all; the tree must be dead or never have been */

/* spawn.c: starts the launcher with one end of its control socket. On success its pidfd and the memory that it runs in until its exec. -errno. */
int linux_spawn(int image_fd, int control_fd, bool new_net, struct linux_spawn **ret_spawn, int *ret_pid);
/* For a launcher that ended without a word: type FAILED when it was never executed, else 0. */
struct bv_status_message linux_spawn_failure(const struct linux_spawn *spawn);
/* Frees that memory, once the launcher has spoken or has ended. NULL is a no-op. */
void linux_spawn_done(struct linux_spawn *spawn);

/* ready.c */
#define LINUX_ANSWER_MILLIS 10000 /* as the handshake of a launch */
#define LINUX_HANDSHAKE_NS (10u * 1000000000ull) /* namespaces on a machine that swaps take a second; ten mean it hangs */
/* Starts a launcher, or takes over the one that launcher/early.c started; the caller's to give or to drop. */
enum bv_status linux_ready_make(struct linux_context *context, bool new_net, const char *attempt, struct linux_ready **ret_ready, struct bv_error *error);
/* Ends the one that launcher/early.c started, if nobody has taken it over. */
void linux_early_drop(void);
/* Ends it and waits for its end; NULL is a no-op. */
void linux_ready_drop(struct linux_ready *ready);
/* Reads what it says until it has answered everything, has failed, or is silent for so long. ahead: its network namespace may be on the way
 * still. */
void linux_ready_hear(struct linux_ready *ready, bool ahead, int timeout_millis);
/* Moves out of the context what waits for this attempt; ends it when it no longer fits the caller or new_net. NULL: there is none. */
struct linux_ready *linux_ready_take(struct linux_context *context, const char *attempt, bool new_net);
/* Moves it into the context, where it waits for the run of its attempt. */
void linux_ready_give(struct linux_context *context, struct linux_ready *ready);
/* For a probe: one of those that wait, which stays where it is and is not taken until it is returned. NULL: none waits. */
/* Has init try overlayfs (BV_MSG_TRY_STAGE) with the paths in that file, and waits for its answer. 0 or -errno. */
int linux_ready_try_stage(struct linux_ready *ready, int paths, struct bv_status_message *ret_message);
struct linux_ready *linux_ready_borrow(struct linux_context *context);
void linux_ready_return(struct linux_context *context, struct linux_ready *ready);
void linux_prepare(void *context, enum bv_network_policy network, const char *attempt);
bool linux_owns_fd(void *context, int fd);

/* context.c: what is shared is made at the first run. */
enum bv_status linux_context_launcher(struct linux_context *context, int *ret_fd, struct bv_error *error);
void linux_context_divide(struct linux_context *context);
void linux_context_canaries(struct linux_context *context, const char *attempt);

/* watch.c: the epoll descriptor and the timer. */
/* Watches fd for events instead of what was watched under that name; events 0 stops. 0 or -errno. */
int linux_watch(struct linux_run *run, enum linux_watch which, int fd, uint32_t events);
/* Sets the timer to the nearest deadline. 0 or -errno. */
int linux_arm(struct linux_run *run);

/* control.c: what launcher and init say. */
/* One record. 1: *ret_message, and *ret_fd when a descriptor came with it (else untouched). 0: end of file. -EAGAIN: nothing is there.
 * -EBADMSG: it is none of ours. -EMFILE: *ret_message, but no descriptor was left for what came with it. */
int linux_control_read(int control_fd, struct bv_status_message *ret_message, int *ret_fd);
/* Reads all that is there. */
void linux_read_control(struct linux_run *run);
/* Sends init an order with its descriptors: of a run, or what to try before there is one. 0, also to an init that is dead, or -errno. */
int linux_send_order(int control_fd, enum bv_status_type type, const int *fds, size_t count);
/* Tells init to end the tree. */
void linux_send_kill(struct linux_run *run);

/* observe.c: records why this side ends the run and ends it; later causes are ignored. */
void linux_kill(struct linux_run *run, enum linux_cause cause, const char *format, ...) BV_PRINTF(3, 4);

/* notify.c */
void linux_notify_serve(struct linux_run *run);

/* witness.c: what the run showed, once the tree is dead and the streams have ended. */
void linux_witness(struct linux_run *run);
