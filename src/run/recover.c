/* run/recover.c - recovery with a backend's eyes and hands: the host decides and records, the backend looks and sweeps. */
#include "run/instance.h"

#include "base/error.h"
#include "host/host.h"

static enum bv_status sweep(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error)
{
    const struct bv_backend *backend = context;
    return backend->ops->sweep(backend->context, attempt, dry_run, fn, fn_context, error);
}

enum bv_status bv_journal_recover(struct bv_journal *journal, struct bv_backend *backend, bool dry_run, bv_recovered_fn *fn, void *context,
                                  struct bv_error *error)
{
    if (!journal) {
        return bv_fail(error, BV_E_INVALID, "", "a journal is needed");
    }
    const bool sweeps = backend && backend->ops->sweep;
    return bv_host_recover(journal, sweeps ? sweep : NULL, backend, dry_run, fn, context, error);
}
