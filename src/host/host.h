/* host/host.h - what the runner asks of a journal beside its public calls. */
#pragma once

#include <bvisor/host.h>

#include "contract/event.h"

/* Whether a descriptor is one of a journal's files: such a one is never kept for a workload. */
bool bv_journal_owns_fd(const struct bv_journal *journal, int fd);
/* Drops the lock of a run that is over, whatever came of it. */
void bv_journal_let_go(struct bv_journal *journal, const char *attempt);

/* What the events of an attempt amount to; without any, a trail that was not started. */
BV_MUST_CHECK enum bv_status bv_journal_trail(struct bv_journal *journal, const char *attempt, struct trail *ret_trail, struct bv_error *error);

/* What recovery asks of the machine about one attempt. */
struct host_hands {
    void *context;
    /* Ends and removes what a dead attempt left, tells each thing by name. */
    enum bv_status (*sweep)(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error);
    enum bv_status (*look)(void *context, const char *attempt, enum reconcile_staged *ret_staged, struct bv_error *error);
    /* SETTLE_STAGED, DROP_STAGED or KEEP_STAGED; tells what it did, or with dry_run would do. */
    enum bv_status (*act)(void *context, const char *attempt, enum reconcile_action action, bool dry_run, bv_swept_fn *fn, void *fn_context,
                          struct bv_error *error);
};
/* The journal's part of bv_recover(): every attempt that is open. What cannot be settled is passed over; the first failure is the answer. */
BV_MUST_CHECK enum bv_status bv_host_recover(struct bv_journal *journal, const struct host_hands *hands, bool dry_run, bv_recovered_fn *fn, void *context,
                                             bool *ret_go_on, struct bv_error *error);
