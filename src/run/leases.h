/* run/leases.h - what a run borrows from its caller: secret values and descriptors that are kept
 * open. */
#pragma once

#include <bvisor/run.h>

#include "contract/contract.h"
#include "run/instance.h"
#include "sys/secret.h"

struct bv_leases {
    struct bv_secret_store store;
    const char **values; /* one per env entry, NULL for literals; NULL without secrets */
};

/* Every kept descriptor must be open and no directory, path, AF_UNIX datagram socket or ring, nor,
 * unless the network is granted, a network socket, nor a file of the journal's. Names all that are: *refusal is made or added
 * to. BV_OK, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_leases_check_fds(const struct bv_backend *backend,
                                                 const struct bv_plan *plan, int own_fd,
                                                 const struct bv_journal *journal,
                                                 struct bv_refusal **refusal,
                                                 struct bv_error *error);
/* Resolves every secret of the plan into locked memory. Names all that are unknown. BV_OK (with
 * or without a refusal), BV_E_SYS when memory cannot be locked, BV_E_NOMEM. leases is for
 * bv_leases_done() whatever is returned. */
BV_MUST_CHECK enum bv_status bv_leases_resolve(struct bv_leases *leases,
                                               const struct bv_backend *backend,
                                               const struct bv_plan *plan, bv_secret_fn *secret,
                                               void *secret_context, struct bv_refusal **refusal,
                                               struct bv_error *error);
void bv_leases_done(struct bv_leases *leases); /* wipes */
