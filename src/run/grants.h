/* run/grants.h - may these trees of the host be granted? What only the machine's mounts can say; and the mounts as last read. */
#pragma once

#include <bvisor/run.h>

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"
#include "run/mounts.h"

struct bv_backend;

struct bv_grants { /* of one backend instance, behind its lock */
    pthread_mutex_t lock;
    char *text; /* what `mounts` points into; NULL: never read */
    struct bv_mounts mounts;
    uint64_t at_micros; /* CLOCK_BOOTTIME of the reading */
};

bool bv_grants_init(struct bv_grants *grants);
void bv_grants_done(struct bv_grants *grants);
/* Reads the mounts for the check that follows, if the spec grants anything. BV_OK, BV_E_SYS, BV_E_LIMIT, BV_E_FAULT, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_grants_read(struct bv_backend *backend, const struct bv_spec *spec,
                                            struct bv_error *error);
/* Names every grant and exposed path of the spec that would bring a file system of the kernel's in,
 * into *refusal (made when NULL, reason `unsupported`). Mounts read at most max_age_micros ago serve.
 * BV_OK (with or without a refusal), BV_E_SYS, BV_E_LIMIT, BV_E_FAULT, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_grants_check(struct bv_backend *backend, const struct bv_spec *spec,
                                             uint64_t max_age_micros, struct bv_refusal **refusal,
                                             struct bv_error *error);
/* Whether something is mounted below a directory, and where: place is filled then. Mounts that the last bv_grants_check() read serve. */
BV_MUST_CHECK enum bv_status bv_grants_mount_below(struct bv_backend *backend, const char *path, char *place, size_t size,
                                                   bool *ret_found, struct bv_error *error);
