/* run/staging.h - staging as planning and running need it: what a spec stages, whether it can be, and a run's own quarantine. */
#pragma once

#include <bvisor/artifacts.h>
#include <bvisor/host.h>
#include <bvisor/run.h>

#include "contract/contract.h"

/* What of a spec is staged; texts are the spec's. Nothing (count 0) unless a control asks for it. */
struct bv_staged_roots {
    const char *path[BV_ROOTS_MAX + BV_EXPOSES_MAX];
    size_t count;
    const struct bv_control *control; /* the first that asks; NULL: none does */
};
void bv_staging_roots(const struct bv_spec *spec, struct bv_staged_roots *ret_roots);

/* Names into *refusal (made when NULL, reason `unsupported`) every staged root that is no directory, has a mount below it, or would be staged
 * twice, and every granted path in which the state directory lies or that lies in it. BV_OK (with or without a refusal), BV_E_SYS, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_staging_check(struct bv_backend *backend, const struct bv_spec *spec, struct bv_refusal **refusal,
                                              struct bv_error *error);
/* Lets the backend try staging in the state directory, over the spec's roots, and adds what it finds to the facts. Nothing is done for a spec that
 * stages nothing, without a state directory, or for a backend that cannot stage. spec NULL: over no roots. Leaves nothing behind. */
BV_MUST_CHECK enum bv_status bv_staging_probe(struct bv_backend *backend, const struct bv_spec *spec, struct bv_snapshot *facts,
                                              struct bv_error *error);

/* A run's quarantine. */
struct bv_staging;
/* NULL in *ret_staging for a spec that stages nothing. BV_E_STATE: it does, and there is no state directory. */
BV_MUST_CHECK enum bv_status bv_staging_begin(struct bv_backend *backend, const struct bv_spec *spec, const char *attempt,
                                              struct bv_staging **ret_staging, struct bv_error *error);
/* What a backend is told; lives as long as the staging. */
const struct bv_staged *bv_staging_items(const struct bv_staging *staging, size_t *ret_count);
/* The tree is dead: lists what it changed. What cannot be listed is noted as findings of the observation. -errno: there is no list at all. */
int bv_staging_list(struct bv_staging *staging, struct bv_observation *observation, const struct bv_artifact **ret_artifacts, size_t *ret_count);
/* Commits, drops or keeps, as the intent and the outcome say; the quarantine is let go in any case. Texts for the report's disposition: NULL, or
 * "commit"/"discard" with what became of it. */
struct bv_disposed { const char *decided; bool applied; char detail[256]; };
struct bv_staging_wish {
    bool completed, keep;
    struct bv_journal *journal; /* told of the disposition; NULL: whoever the store tells */
};
BV_MUST_CHECK enum bv_status bv_staging_settle(struct bv_staging *staging, const struct bv_intent *intent, const struct bv_staging_wish *wish,
                                               struct bv_disposed *ret_disposed, struct bv_error *error);
/* Without a list nothing can be kept, and it is dropped; with one a recovery decides. NULL is a no-op. */
void bv_staging_free(struct bv_staging *staging);
