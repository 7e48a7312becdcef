/* bvisor/backend.h - what a backend is: a small const table of functions that anybody can implement.
 *
 * A backend probes, judges and OBSERVES. It never hashes, seals or persists. probe and the run functions may touch the
 * operating system; profile, classify and offer are pure and deterministic. */
#ifndef BVISOR_BACKEND_H
#define BVISOR_BACKEND_H

#include <bvisor/report.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BV_BACKEND_ABI 1u

/* ---- probe: raw facts, no judgement ---- */

struct bv_snapshot; /* sorted, unique (key, value) text pairs; at most BV_SNAPSHOT_MAX_FACTS */
/* Adds or replaces a fact. key: [a-z0-9_.]{1,48}; value: printable ASCII, at most 200 bytes, stable between two probes of
 * an unchanged machine (no clock, no free memory). BV_E_INVALID, BV_E_LIMIT, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_snapshot_set(struct bv_snapshot *snapshot, const char *key, const char *value, struct bv_error *error);
/* The value of a fact, NULL if it was not probed; lives as long as the snapshot. */
BV_API const char *bv_snapshot_get(const struct bv_snapshot *snapshot, const char *key);

/* ---- verdicts ---- */

struct bv_verdict {
    enum bv_enforcement enforcement;
    uint32_t evidence;   /* set of enum bv_claim that the report of such a run will really carry */
    char mechanism[160]; /* "linux:mount_ns+landlock_abi7"; never "" unless unsupported */
    char why[240];       /* unsupported or reduced: which kernel feature, privilege or limit is missing */
    char remedy[200];    /* what would satisfy it; "" if nothing would */
    char note[240];      /* a limitation that the plan's findings must state; "" if none */
};

struct bv_offer { /* what a backend gives for one budget dimension under one intent */
    bool can_bound;           /* a finite limit can be held at all; false: only "unlimited" is admitted */
    bool structural;          /* satisfied by construction, enforced for any limit >= its minimum */
    enum bv_guarantee guarantee;
    uint64_t available;       /* what the mechanism can count to; <= 2^53-1 */
    uint64_t floor;           /* smallest finite limit accepted, 0 if none */
    uint64_t sample_interval_micros, max_overshoot; /* mediated only: real numbers in the dimension's unit */
    uint32_t evidence;
    char mechanism[160], why[240], remedy[200], note[240];
};

/* ---- intent: the spec with every family decided; made by the contract, read by backends ---- */

struct bv_root { const char *path; enum bv_access access; bool execute; bool recursive; };

struct bv_intent {
    const struct bv_workload *workload;
    bool launch;
    const struct bv_root *roots; /* sorted by path, unique; equal roots united; the most specific decides */
    size_t root_count;
    size_t first_root;           /* of roots: the one that the spec names first */
    enum bv_network_policy network;
    const struct bv_destination *destinations;
    size_t destination_count;
    enum bv_spawn_policy spawn;
    const struct bv_env_entry *env;
    size_t env_count;
    const int32_t *fds;          /* kept descriptors, ascending */
    size_t fd_count;
    struct bv_capture capture;
    bool temp_root;
    uint64_t temp_bytes;         /* its size, default applied; 0 without a temp root */
    const struct bv_expose *exposes; /* sorted by dest */
    size_t expose_count;
    bool staged, commit, discard, list_outputs;
    enum bv_durability durability;
    bool kill_atomic;            /* an atomic kill is demanded (kill control, or descendants allowed) */
    struct bv_budget_request budgets[BV_DIMENSION_COUNT];
};

/* What is known of the workload's file; filled by the runner, never by a backend. */
struct bv_workload_identity {
    bool known;                   /* false: the spec launches nothing */
    char digest[72];              /* "sha256:<64 hex>" of the bytes that will run */
    char path[4096];              /* path after all symlinks */
    uint64_t dev, ino, size;
    int64_t mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
    uint32_t mode;
    bool is_wasm;                 /* magic bytes say so */
    bool is_elf;
    bool is_script;               /* begins with #! */
    char interpreter[4096];       /* PT_INTERP or #! path as written; "" if none (static) */
    char interpreter_path[4096];  /* after all symlinks; "" if it does not exist */
    char interpreter_digest[72];
    char loader[4096];            /* PT_INTERP of a script's interpreter, as written; "" if none */
    char loader_path[4096];
    uint64_t resident_minimum_bytes; /* what the backend that looked at it says it must be given at least; 0: nothing is known */
};

/* Why a workload, or a path of its spec, cannot be taken. */
struct bv_workload_problem {
    const char *subject; /* path that the problem is with: the spec's or the identity's text */
    char why[192];       /* to be read after the subject: "is a directory" */
    const char *remedy;  /* static text */
};

/* One line of the plan as a backend sees it while classifying. */
struct bv_requirement {
    enum bv_requirement_kind kind;
    bool implied;
    const struct bv_capability *capability; /* exactly one of the two is not NULL */
    const struct bv_control *control;
};

struct bv_profile { /* facts -> typed machine profile; derived by the backend, owned by the contract */
    const struct bv_snapshot *facts;
    struct bv_verdict ceiling[BV_REQUIREMENT_KIND_COUNT]; /* the most this machine gives, whatever is asked */
    uint64_t word[64];        /* the backend's own typed facts; meaning private to it */
};

/* ---- observation: what a run showed; unsealed ---- */

struct bv_observation; /* made by the runner, filled by the backend */
/* Appends one observed fact. kind: [a-z_]{1,48}; detail: printable UTF-8, cut at 400 bytes. Returns false when out of memory or
 * over BV_FACTS_MAX; the runner then turns the run into supervisor_fault. */
BV_API bool bv_observe_fact(struct bv_observation *observation, const char *kind, const char *detail_format, ...) BV_PRINTF(3, 4);
/* Counts one denied attempt; equal (kind, detail) pairs are united; past BV_DENIED_MAX distinct ones, united as "(more)". */
BV_API bool bv_observe_denied(struct bv_observation *observation, enum bv_requirement_kind kind, const char *detail, uint64_t count);
/* Appends captured bytes of stdout (1) or stderr (2). total_bytes counts what the workload wrote, kept or not. */
BV_API bool bv_observe_stream(struct bv_observation *observation, int stream, const void *bytes, size_t size, uint64_t total_bytes, bool truncated);
/* The figure of a dimension. value NULL: not measured, and source says why. limit_reached: the mechanism refused or ended
 * something because of this limit. */
BV_API bool bv_observe_usage(struct bv_observation *observation, enum bv_dimension dimension, const uint64_t *value,
                             bool limit_reached, const char *source_format, ...) BV_PRINTF(5, 6);
/* A note for the report's findings. */
BV_API bool bv_observe_finding(struct bv_observation *observation, const char *kind, const char *detail_format, ...) BV_PRINTF(3, 4);
/* The one terminal outcome; a second call is a backend fault. cause: the dimension that ended the run for TIMEOUT and KILLED, -1 otherwise
 * (KILLED with -1 is the caller's cancel). */
BV_API bool bv_observe_outcome(struct bv_observation *observation, enum bv_outcome outcome, struct bv_exit exit, int cause, const char *detail);
/* The digest of the launcher or engine that ran, as text; copied. */
BV_API bool bv_observe_launcher(struct bv_observation *observation, const char *digest);

/* ---- execution ---- */

/* Resolves a secret reference. Writes at most capacity bytes to buffer (locked memory that bvisor wipes), no NUL. Returns the length, or
 * -1 if the reference is unknown or does not fit: the run is refused. Called in the thread of bv_run_start(). */
typedef ptrdiff_t bv_secret_fn(void *context, const char *reference, char *buffer, size_t capacity);

struct bv_staged { const char *root, *dir; }; /* root: of the host; dir: holds the directories upper (what is written goes there) and work */
struct bv_path_fact { const char *path; uint64_t dev, ino; uint32_t mode; }; /* what a granted or exposed path was when it was looked at; mode: st_mode */

struct bv_execution { /* all a backend gets to run a plan; valid until its close_run returns */
    const char *attempt;         /* 32 lower-case hex digits */
    const struct bv_intent *intent;
    const struct bv_workload_identity *identity;
    const struct bv_profile *profile;
    const struct bv_offer *offers; /* BV_DIMENSION_COUNT, as admitted */
    int workload_fd;             /* read-only on the very inode that was hashed; the runner's; -EBADF without a launch */
    int cancel_fd;               /* readable once the caller cancelled; the runner's */
    int stdin_fd;                /* source whose bytes are copied to the workload; -EBADF = end of file at once */
    int stdout_fd, stderr_fd;    /* live copies go here; -EBADF = none */
    uint64_t capture_bytes;      /* cap per captured stream */
    const char *const *secret_values; /* one per env entry, NULL for literals; locked memory, wiped when start returns */
    struct bv_observation *observation;
    const struct bv_staged *staged; /* every writable root and exposed source when the intent is staged; else none */
    size_t staged_count;
    const struct bv_path_fact *paths; /* those of the plan's paths that planning looked at, in any order; the backend looks at the others */
    size_t path_count;
    bool hold;                   /* build everything, but let the workload begin only at release(); identity->digest is "" until then */
};

/* Told of each thing that a sweep found: "cgroup /sys/fs/cgroup/bvisor-...". */
typedef void bv_swept_fn(void *context, const char *what);

struct bv_backend_ops { /* append-only */
    uint32_t abi_version; /* BV_BACKEND_ABI */
    const char *id;       /* [a-z0-9_]{1,16} */
    /* Reads the machine into facts. Cheap (<= 3 ms), leaves nothing behind. */
    enum bv_status (*probe)(void *context, struct bv_snapshot *facts, struct bv_error *error);
    /* Pure: facts to ceilings and typed words. Every row of ceiling must be written. */
    void (*profile)(void *context, const struct bv_snapshot *facts, struct bv_profile *profile);
    /* Pure: the family's best case for this requirement under this intent; the planner meets it with the ceiling. */
    void (*classify)(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                     const struct bv_requirement *requirement, struct bv_verdict *ret_verdict);
    /* Pure: what is given for one dimension. */
    void (*offer)(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                  enum bv_dimension dimension, struct bv_offer *ret_offer);
    /* Starts the run; returns at once. BV_OK: *ret_run is not NULL and dispatch will end it. On failure nothing of it is left. */
    enum bv_status (*start)(void *context, const struct bv_execution *execution, void **ret_run, struct bv_error *error);
    /* A descriptor that is readable when dispatch has something to do (an epoll descriptor). */
    int (*poll_fd)(void *run);
    /* Does what can be done without blocking. *ret_done: the terminal outcome was observed and nothing of the run is alive. */
    enum bv_status (*dispatch)(void *run, bool *ret_done, struct bv_error *error);
    /* Ends the run if it still lives (kills the tree and waits for it), frees it. NULL is a no-op. */
    void (*close_run)(void *run);
    /* Frees the backend's context. */
    void (*close)(void *context);
    /* Optional (may be NULL). Begins, without waiting, what a run under this network policy will need and what does not depend on its plan.
     * attempt: the id of that run; called again with the same id before it starts, it makes sure that what was begun still fits the caller.
     * Whatever goes wrong is told by probe or start. What no run takes is ended by close. Thread-safe. */
    void (*prepare)(void *context, enum bv_network_policy network, const char *attempt);
    /* Optional (may be NULL). True when the descriptor is one that the backend holds for itself: then the caller did not open it, and it is
     * never kept for a workload. Thread-safe. */
    bool (*owns_fd)(void *context, int fd);
    /* Optional (may be NULL: execution.hold is then never set). Lets the workload of a held run begin. Called once, before any dispatch. On
     * failure the run is closed. BV_E_STATE: probe_ahead took for granted what is not so; nothing has run, and the run is planned anew. */
    enum bv_status (*release)(void *run, struct bv_error *error);
    /* Optional (may be NULL). Looks at the workload before anything is judged, for what only reading it can tell; may write
     * identity->resident_minimum_bytes. BV_E_REFUSED with *ret_problem: the workload, or a path of the spec, is none for this backend. The file's
     * bytes are those of identity->digest, or it must be refused. Called for each planning and again for each run. Thread-safe. */
    enum bv_status (*examine)(void *context, const struct bv_spec *spec, int workload_fd, struct bv_workload_identity *identity,
                              struct bv_workload_problem *ret_problem, struct bv_error *error);
    /* Optional (may be NULL: nothing can be staged). Tries staging and adds what it finds to the facts of a probe. dir: absolute; holds lower/changed,
     * lower/removed and the empty directories upper, work, upper1, work1, all of which it may change. roots: what a spec would stage, in its order.
     * Called after probe and only where staging is asked for, or asked about. */
    enum bv_status (*try_staging)(void *context, const char *dir, const char *const *roots, size_t root_count, struct bv_snapshot *facts,
                                  struct bv_error *error);
    /* Optional (may be NULL). Ends and removes what a dead supervisor's run of this attempt left on the machine, and nothing else; with dry_run
     * it only looks. Finding nothing is BV_OK. Idempotent; thread-safe. */
    enum bv_status (*sweep)(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error);
    /* Optional (may be NULL). As probe, for a run that is begun at once: may take for granted what release() makes sure of before the workload
     * begins. The facts are those of probe unless release() says BV_E_STATE. */
    enum bv_status (*probe_ahead)(void *context, struct bv_snapshot *facts, struct bv_error *error);
};

struct bv_backend; /* an instance: {ops, context} and a cache of file digests; thread-safe */

/* Wraps ops (kept, must outlive the backend) and context (taken over on success). BV_E_INVALID (ABI, NULL members), BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_backend_new(const struct bv_backend_ops *ops, void *context, struct bv_backend **ret_backend, struct bv_error *error);
BV_API BV_MUST_CHECK enum bv_status bv_backend_linux(struct bv_backend **ret_backend, struct bv_error *error);

struct bv_wasm_backend_options { /* zero-initialised: the defaults */
    /* This process itself gives up, for good, what the first guest's plan does not need (Landlock, seccomp, capabilities), just before that
     * guest's first instruction: for a program that runs one guest and ends, as the command does. The report says whether it did. Only a process
     * with one thread does. */
    bool confine_process;
    const int *own_fds;      /* then: directories (for new files in them) and files that this process itself still writes to; at most 4 */
    size_t own_fd_count;
    uint64_t fuel_per_micro; /* units of work that one microsecond of cpu_micros is; 0: 1,000; at most 1,000,000 */
    /* The same module with the same arguments, environment, files and input does the same at every run: random bytes are a function of seed, and
     * the clocks begin at clock_ns (the realtime clock's nanoseconds since 1970) and move only by sleeps, which take no time. The profile says so. */
    bool deterministic;
    uint64_t seed, clock_ns;
};
/* Runs WebAssembly modules in this process, in the thread that dispatches or waits for the run. options is copied, the descriptors are not;
 * NULL: the defaults. Compiled modules are kept by the instance, and its runs may be driven by many threads. BV_E_INVALID, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_backend_wasm(const struct bv_wasm_backend_options *options, struct bv_backend **ret_backend,
                                                    struct bv_error *error);
BV_API BV_MUST_CHECK enum bv_status bv_backend_inert(struct bv_backend **ret_backend, struct bv_error *error);
BV_API const char *bv_backend_id(const struct bv_backend *backend);
/* Begins in the background what the next run will need whatever its plan is, under this network policy; returns at once. Optional: planning and
 * running do the same when it was not called. For a host that has nothing else to do for a moment. One run uses one preparation up; what is
 * not used ends with the backend. A preparation that no longer fits the caller (ids, limits, mounts ... changed) is made anew. Thread-safe. */
BV_API void bv_backend_prepare(struct bv_backend *backend, enum bv_network_policy network);
BV_API void bv_backend_free(struct bv_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
