/* host/host.h - what the runner asks of a journal beside its public calls. */
#pragma once

#include <bvisor/host.h>

/* Whether a descriptor is one of a journal's files: such a one is never kept for a workload. */
bool bv_journal_owns_fd(const struct bv_journal *journal, int fd);
/* Drops the lock of a run that is over, whatever came of it. */
void bv_journal_let_go(struct bv_journal *journal, const char *attempt);

/* What recovery asks of the machine: ends and removes what a dead attempt left, tells each thing by name. NULL: nothing is swept. */
typedef enum bv_status bv_sweep_fn(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error);
/* bv_journal_recover() with the backend's part as a function. */
BV_MUST_CHECK enum bv_status bv_host_recover(struct bv_journal *journal, bv_sweep_fn *sweep, void *sweep_context, bool dry_run, bv_recovered_fn *fn,
                                             void *context, struct bv_error *error);
