/* backend/wasm/guest.h - what the files of the Wasm backend share: an instance's context, one guest's run.
 *
 * Pure: profile.c classify.c offer.c lower.c. Acting: probe.c module.c temp.c sink.c confine.c launch.c observe.c witness.c. The guest
 * runs in the thread that dispatches its run, in slices, so a boundary of its own needs neither a process nor a signal. */
#pragma once

#include <bvisor/backend.h>

#include "canon/canon.h"
#include "sys/end.h"
#include "sys/secret.h"
#include "wasi/wasi.h"
#include "wasm/wasm.h"

/* Index into struct bv_profile.word. */
enum guest_word {
    GUEST_FUEL_PER_MICRO, /* units that one microsecond of the CPU budget is */
    GUEST_OPENAT2,        /* 1: paths can be resolved beneath a directory */
    GUEST_LANDLOCK_ABI,   /* what this process will confine itself by; 0: it does not */
    GUEST_STAGING,        /* 1: what a guest writes can be staged in the state directory */
};

/* The keys of the probed facts: probe.c writes them, profile.c and the texts read them. */
#define GUEST_FACT_ENGINE   "engine"
#define GUEST_FACT_FUEL     "fuel_per_micro"
#define GUEST_FACT_NAN      "nan"
#define GUEST_FACT_WORLD    "random_and_clocks" /* "host", or the seed and the beginning */
#define GUEST_FACT_OPENAT2  "openat2"
#define GUEST_FACT_CONFINE  "confine_process" /* "asked" or "not asked" */
#define GUEST_FACT_LANDLOCK "landlock_abi"
#define GUEST_FACT_SECCOMP  "seccomp"
#define GUEST_FACT_STAGING  "staging" /* only where staging was asked for */
#define GUEST_ENGINE        "bvisor wasm interpreter"

#define GUEST_FUEL_PER_MICRO_DEFAULT 1000u
#define GUEST_FUEL_PER_MICRO_MAX     1000000u
#define GUEST_OWN_FDS_MAX            4u
/* Compiled modules that an instance keeps. */
#define GUEST_CACHE_BYTES   (UINT64_C(256) << 20)
#define GUEST_CACHE_MODULES 64u
#define GUEST_TEMP_NAME     "/tmp" /* the guest's name of its temp root */

struct guest_context {
    struct bv_wasm_cache *cache;
    uint64_t fuel_per_micro;
    bool confine_process, deterministic;
    uint64_t seed, clock_ns; /* deterministic */
    int own_fds[GUEST_OWN_FDS_MAX]; /* the host's; borrowed */
    size_t own_fd_count;
};

/* ---- module.c ---- */
/* The compiled module of the open file, whose bytes must have this digest; a reference of the caller's. BV_E_REFUSED with *problem. */
enum bv_status guest_module(struct guest_context *context, const struct bv_workload_identity *identity, int fd, uint64_t max_bytes,
                            struct bv_wasm_module **ret_module, struct bv_workload_problem *problem, struct bv_error *error);
enum bv_status guest_examine(void *context, const struct bv_spec *spec, int workload_fd, struct bv_workload_identity *identity,
                             struct bv_workload_problem *problem, struct bv_error *error);

/* ---- lower.c (pure): intent -> what the guest is given ---- */
#define GUEST_ROOTS_MAX (BV_ROOTS_MAX + BV_EXPOSES_MAX + 1)
struct guest_place { const char *source; struct bv_wasi_root root; }; /* source: host path; NULL: the temp root. root.fd is not filled */
struct guest_world {
    size_t place_count;
    size_t dot_root;
    const char *dot_path;  /* NULL: the first declared root, else the temp root */
    bool cwd_outside;      /* the working directory lies in no place */
    uint64_t fuel_limit, wall_ns, resident_bytes, handles, storage_bytes; /* UINT64_MAX: none */
    /* Declared roots in the intent's order, the temp root, exposed paths. Last, so that what is not used need not be zeroed. */
    struct guest_place places[GUEST_ROOTS_MAX];
};
void guest_lower(const struct bv_intent *intent, uint64_t fuel_per_micro, struct guest_world *ret_world);
/* How many descriptors a guest begins with: 0, 1, 2 and its preopens; kept files come on top. */
uint64_t guest_first_handles(const struct bv_intent *intent);
bool guest_writes(const struct bv_intent *intent);
/* Whether a path lies in /proc or /dev, which no guest has. */
bool guest_is_kernels(const char *path);

/* ---- temp.c: a private directory of the host's that goes with the run ---- */
struct guest_temp { int parent_fd, fd; char name[48]; uint64_t moved; }; /* -EBADF: none */
int guest_temp_make(struct guest_temp *temp, const char *attempt); /* 0 or -errno */
/* Removes about `most` entries. 1: there is more; 0: it is gone, and the descriptors are closed; -errno: it cannot be removed. */
int guest_temp_remove(struct guest_temp *temp, unsigned most);

/* ---- sink.c: stdout and stderr ---- */
struct guest_stream {
    struct bv_end target;
    bool capture, target_lost, failed; /* failed: the observation could not take more */
    int target_errno;
    uint64_t capture_max, captured, total;
};
struct guest_streams { struct guest_stream out[2]; struct bv_observation *observation; };
struct bv_wasi_sink guest_sink(struct guest_streams *streams);

/* ---- confine.c: this process gives up what its guest does not need ---- */
struct guest_confinement {
    uint32_t tried, denied; /* canaries */
    size_t rules;
    char state[160];        /* for the report: "yes: ..." or "no: ..." */
};
struct guest_run;
/* 0: done, or not to be done, as state says; -errno: half done, and nothing may run. */
int guest_confine(struct guest_run *run);

/* ---- launch.c, observe.c, witness.c ---- */
enum guest_phase { GUEST_RUNS, GUEST_CLEANS, GUEST_OVER };
struct guest_verdict { enum bv_outcome outcome; struct bv_exit exit; int cause; char detail[320]; };

struct guest_run {
    const struct bv_execution *execution;
    struct guest_context *context;
    int root_fds[GUEST_ROOTS_MAX];
    int upper_fds[GUEST_ROOTS_MAX], work_fds[GUEST_ROOTS_MAX]; /* of staged places; -EBADF: of others */
    struct guest_temp temp;
    struct guest_streams streams;
    struct bv_end input;
    char *texts;                    /* arguments and literal variables */
    const char **args, **env;
    struct bv_secret_store secrets;
    struct guest_confinement confinement;

    struct bv_wasm_budget budget;
    uint64_t module_bytes;          /* of the budget: the translated code */
    struct bv_wasm_module *module;
    struct bv_wasm_store *store;
    struct bv_wasm_instance *instance;
    struct bv_wasm_extern *start;   /* the module's start function until it was called */
    struct bv_wasi *wasi;

    int epoll_fd, ready_fd, timer_fd, wait_fd; /* ready_fd is readable always, and watched while the guest can go on */
    bool waiting, launched, command_started, temp_removed;
    int temp_error;
    uint64_t begin_ns, end_ns, wake_ns;
    enum guest_phase phase;
    bool ended;                     /* verdict is final */
    struct guest_verdict verdict;

    /* Figures, taken when the guest ended. */
    uint64_t fuel;
    struct bv_wasi_usage usage;
    char *calls;                    /* "fd_write 3, path_open 1": what was allowed; heap */

    struct guest_world world;       /* last, for its places */
};

enum bv_status guest_start(void *context, const struct bv_execution *execution, void **ret_run, struct bv_error *error);
/* Decides how the run ends; the first decision stands. */
void guest_end(struct guest_run *run, enum bv_outcome outcome, int cause, const char *format, ...) BV_PRINTF(4, 5);
/* Takes the figures and gives back everything of the guest but the temp root. */
void guest_release(struct guest_run *run);
void guest_run_free(struct guest_run *run);
int guest_poll_fd(void *run);
enum bv_status guest_dispatch(void *run, bool *ret_done, struct bv_error *error);
void guest_close_run(void *run);
uint64_t guest_now_ns(void);
void guest_witness(struct guest_run *run);

/* probe.c, profile.c, classify.c, offer.c */
enum bv_status guest_probe(void *context, struct bv_snapshot *facts, struct bv_error *error);
enum bv_status guest_try_staging(void *context, const char *dir, const char *const *roots, size_t root_count, struct bv_snapshot *facts,
                                 struct bv_error *error);
void guest_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile);
void guest_classify(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                    const struct bv_requirement *requirement, struct bv_verdict *ret_verdict);
void guest_offer(void *context, const struct bv_profile *profile, const struct bv_intent *intent, enum bv_dimension dimension,
                 struct bv_offer *ret_offer);
