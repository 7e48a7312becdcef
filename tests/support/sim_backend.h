/* tests/support/sim_backend.h - a backend over a simulated world, for tests only. Honest, or a
 * liar in exactly one way. */
#pragma once

#include <bvisor/backend.h>

#include "sim_world.h"

enum sim_lie {
    SIM_HONEST,
    SIM_ALLOWS_READ, /* claims enforced and lets a read outside happen */
    SIM_ALLOWS_NETWORK,
    SIM_ALLOWS_WRITE,
    SIM_ALLOWS_SPAWN,
    SIM_LEAKS_FD,
    SIM_HIDES_ORPHAN,   /* leaves a task alive and says that the tree is empty */
    SIM_COMMITS_ANYWAY, /* promotes staged writes that nobody asked to commit */
    SIM_NO_OUTCOME,     /* says that it is done and observed no terminal outcome */
    SIM_DROPS_DENIAL,   /* refuses an attempt and does not report it */
    SIM_OVERCLAIMS,     /* says enforced where the machine can only mediate */
    SIM_CRASHES,        /* fails in mid-run */
    SIM_INVENTS_USAGE,  /* reports a figure that it did not measure */
    SIM_LIE_COUNT,
};

struct sim_secrets { /* of the first entries of the environment, in the intent's order */
    size_t count;
    bool literal[4];
    char text[4][32];
};

struct sim_setup { /* must outlive the backend; runs do not change it, but for *world */
    enum sim_lie lie;
    const struct sim_op *script;
    size_t script_length;
    /* What happened is left here when a run is closed. NULL: in nobody's sight, and runs may go in
     * parallel. */
    struct sim_world *world;
    const char *machine; /* a probed fact; a test changes it between two probes. NULL = "sim" */
    bool *started;       /* set when a run is started; NULL: nobody asks */
    struct sim_secrets *secrets_seen; /* copies of the secret values that a start is given; or NULL */
    bool fails_to_start, fails_to_probe;
};

const char *sim_lie_name(enum sim_lie lie);
BV_MUST_CHECK enum bv_status sim_backend_new(const struct sim_setup *setup,
                                             struct bv_backend **ret_backend,
                                             struct bv_error *error);
