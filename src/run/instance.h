/* run/instance.h - struct bv_backend: a backend's table and context, and what the runner keeps
 * beside them. */
#pragma once

#include <bvisor/backend.h>

#include "run/digest_cache.h"
#include "run/grants.h"
#include "run/probe_memo.h"
#include "sys/sys.h"

#define BV_ATTEMPT_TEXT_SIZE 33 /* 32 lower-case hex digits */
struct bv_attempts {
    pthread_mutex_t lock;
    char waiting[2][BV_ATTEMPT_TEXT_SIZE]; /* in a network of its own, in the host's; "": none was prepared */
};
bool bv_attempts_init(struct bv_attempts *attempts);
void bv_attempts_done(struct bv_attempts *attempts);
/* The id of a run that starts now: the one that was prepared for, or a fresh one. 0 or -errno. */
struct bv_backend;
/* A fresh id. 0 or -errno. */
int bv_attempt_new(const struct bv_sys *sys, char text[BV_ATTEMPT_TEXT_SIZE]);
int bv_attempts_take(struct bv_backend *backend, enum bv_network_policy network, char text[BV_ATTEMPT_TEXT_SIZE]);

struct bv_backend {
    const struct bv_backend_ops *ops; /* the backend's, const, outlives this */
    void *context;                    /* owned; given back through ops->close */
    const struct bv_sys
        *sys; /* bv_sys_host; a test may put its own table here before the first use */
    struct bv_digest_cache digests;
    struct bv_attempts attempts;
    struct bv_probe_memo last_probe; /* of a plan that was admitted */
    struct bv_grants grants;         /* the host's mounts as last read */
    struct bv_store *store;          /* where runs are staged; NULL: nowhere. The caller's */
};
