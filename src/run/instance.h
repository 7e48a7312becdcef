/* run/instance.h - struct bv_backend: a backend's table and context, and what the runner keeps
 * beside them. */
#pragma once

#include <bvisor/backend.h>

#include "run/digest_cache.h"
#include "run/grants.h"
#include "run/probe_memo.h"
#include "sys/sys.h"

struct bv_backend {
    const struct bv_backend_ops *ops; /* the backend's, const, outlives this */
    void *context;                    /* owned; given back through ops->close */
    const struct bv_sys
        *sys; /* bv_sys_host; a test may put its own table here before the first use */
    struct bv_digest_cache digests;
    struct bv_probe_memo last_probe; /* of a plan that was admitted */
    struct bv_grants grants;         /* the host's mounts as last read */
};
