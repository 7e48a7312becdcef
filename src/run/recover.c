/* run/recover.c - recovery with eyes and hands: the host decides and records, the backend sweeps, the store settles what is staged.
 *
 * First the attempts that the journal counts as open, then whatever is staged and nobody can come back to: of runs without a record, of a crash
 * before the record or after it, of a probe that was killed. */
#include <bvisor/host.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "host/host.h"
#include "run/instance.h"
#include "run/record.h"
#include "stage/store.h"

struct recovery {
    struct bv_journal *journal; /* NULL: none */
    struct bv_store *store;     /* NULL: none. Ours: it tells the journal */
    struct bv_backend *backend;
    bool dry_run, go_on;
    bv_recovered_fn *fn;
    void *context;
    enum bv_status status; /* of what is staged: the first failure */
    struct bv_error *error;
};

static enum bv_status sweep(void *context, const char *attempt, bool dry_run, bv_swept_fn *fn, void *fn_context, struct bv_error *error)
{
    const struct bv_backend *backend = ((struct recovery *)context)->backend;
    return backend->ops->sweep(backend->context, attempt, dry_run, fn, fn_context, error);
}

static enum reconcile_staged staged_of(enum bv_store_state state)
{
    switch (state) {
    case BV_STORE_LIVE: return RECONCILE_STAGED_LIVE;
    case BV_STORE_LISTED: return RECONCILE_STAGED_LISTED;
    case BV_STORE_KEPT: return RECONCILE_STAGED_KEPT;
    case BV_STORE_UNSEALED:
    case BV_STORE_DECIDED:
    case BV_STORE_PREPARED:
    case BV_STORE_APPLIED:
    case BV_STORE_DISCARDING: return RECONCILE_STAGED_LOOSE;
    }
    BV_UNREACHABLE();
}

static enum bv_status look(void *context, const char *attempt, enum reconcile_staged *ret_staged, struct bv_error *error)
{
    const struct recovery *recovery = context;
    enum bv_store_state state;
    bool there;
    const enum bv_status status = stage_look(recovery->store, attempt, &there, &state, error);
    *ret_staged = status == BV_OK && there ? staged_of(state) : RECONCILE_STAGED_NONE;
    return status;
}

/* What a dry run says of what it would do. */
static const char *would(enum bv_store_state state)
{
    switch (state) {
    case BV_STORE_UNSEALED:
    case BV_STORE_LISTED: return "quarantine";
    case BV_STORE_DECIDED: return "commit, undone";
    case BV_STORE_PREPARED:
    case BV_STORE_APPLIED: return "commit, finished";
    case BV_STORE_DISCARDING: return "discard, finished";
    case BV_STORE_LIVE:
    case BV_STORE_KEPT: break;
    }
    return "nothing";
}

static void tell(const struct recovery *recovery, const char *attempt, const char *what, bv_swept_fn *fn, void *fn_context)
{
    char text[BV_PATH_MAX_BYTES + 96];
    (void)snprintf(text, sizeof(text), "%s %s/bvisor-%s", what, recovery->store->path, attempt);
    fn(fn_context, text);
}

static enum bv_status keep(const struct recovery *recovery, const char *attempt, struct bv_error *error)
{
    struct stage_quarantine *quarantine;
    const enum bv_status status = stage_open(recovery->store, attempt, &quarantine, error);
    if (status != BV_OK) {
        return status;
    }
    const int result = stage_keep(quarantine, true);
    stage_close(quarantine);
    return result < 0 ? bv_fail_sys(error, attempt, result, "keeping what attempt %s staged", attempt) : BV_OK;
}

static enum bv_status act(void *context, const char *attempt, enum reconcile_action action, bool dry_run, bv_swept_fn *fn, void *fn_context,
                          struct bv_error *error)
{
    const struct recovery *recovery = context;
    enum bv_store_state state;
    enum bv_settled settled = BV_SETTLED_NOTHING;
    bool there;
    enum bv_status status = stage_look(recovery->store, attempt, &there, &state, error);
    if (status != BV_OK || !there) {
        return status;
    }
    if (action == RECONCILE_KEEP_STAGED) {
        tell(recovery, attempt, "kept", fn, fn_context);
        return dry_run ? BV_OK : keep(recovery, attempt, error);
    }
    if (dry_run) {
        tell(recovery, attempt, would(state), fn, fn_context);
        return BV_OK;
    }
    status = bv_store_settle(recovery->store, attempt, &settled, error);
    if (status == BV_OK && settled != BV_SETTLED_LIVE) {
        tell(recovery, attempt,
             settled == BV_SETTLED_APPLIED           ? "commit, finished"
             : settled == BV_SETTLED_UNDONE          ? "commit, undone"
             : state == BV_STORE_DISCARDING          ? "discard, finished"
                                                     : "quarantine",
             fn, fn_context);
    }
    return status;
}

/* ---- what is staged and not open in the journal ---- */

static void note(void *context, const char *what)
{
    (void)json_array_append_new(context, json_string(what));
}

/* What the journal would do next about an attempt that it counts as settled, or does not know. */
static enum bv_status clear_once(struct recovery *recovery, const char *attempt, json_t *found, bool *ret_more)
{
    struct trail trail = { 0 };
    enum reconcile_staged staged;
    enum bv_status status = look(recovery, attempt, &staged, recovery->error);
    if (status == BV_OK && recovery->journal) {
        status = bv_journal_trail(recovery->journal, attempt, &trail, recovery->error);
    }
    *ret_more = false;
    if (status != BV_OK || bv_trail_is_open(&trail)) { /* open: alive, or of another recovery, or it failed and was told */
        return status;
    }
    switch (bv_reconcile(&trail, false, staged)) {
    case RECONCILE_SETTLE_STAGED:
        *ret_more = !recovery->dry_run;
        return act(recovery, attempt, RECONCILE_SETTLE_STAGED, recovery->dry_run, note, found, recovery->error);
    case RECONCILE_DROP_STAGED:
        return act(recovery, attempt, RECONCILE_DROP_STAGED, recovery->dry_run, note, found, recovery->error);
    case RECONCILE_KEEP_STAGED:
        return act(recovery, attempt, RECONCILE_KEEP_STAGED, recovery->dry_run, note, found, recovery->error);
    case RECONCILE_NOTHING:
    case RECONCILE_WAIT:
    case RECONCILE_SAY_APPLIED:
    case RECONCILE_SAY_FAILED:
    case RECONCILE_ROLL_BACK:
    case RECONCILE_REFUSE: return BV_OK;
    }
    BV_UNREACHABLE();
}

static bool clear_one(void *context, const char *attempt, enum bv_store_state state)
{
    struct recovery *recovery = context;
    if (state == BV_STORE_LIVE || state == BV_STORE_KEPT) {
        return true;
    }
    json_t *found = json_array();
    enum bv_status status = found ? BV_OK : bv_fail_nomem(recovery->error);
    for (bool more = true; status == BV_OK && more;) { /* an undone commit is looked at once more: it may be nobody's */
        status = clear_once(recovery, attempt, found, &more);
    }
    char *swept = status == BV_OK && json_array_size(found) > 0 ? bv_json_text(found, BV_EVENT_MAX_BYTES) : NULL;
    if (swept && recovery->fn) {
        const struct bv_recovered recovered = { attempt, "cleared", swept };
        recovery->go_on = recovery->fn(recovery->context, &recovered);
    }
    bv_free(swept);
    json_decref(found);
    recovery->status = recovery->status == BV_OK ? status : recovery->status;
    return recovery->go_on;
}

/* ---- all ---- */

/* The journal's own directory may hold what is staged; nothing is made where there is nothing. */
static enum bv_status find_store(struct bv_journal *journal, struct bv_store **ret_store, struct bv_error *error)
{
    char path[BV_PATH_MAX_BYTES + 16];
    const int size = snprintf(path, sizeof(path), "%s/quarantine", bv_journal_directory(journal));
    return size < (int)sizeof(path) && access(path, F_OK) == 0 ? bv_store_open(bv_journal_directory(journal), ret_store, error) : BV_OK;
}

static enum bv_status recover(struct recovery *recovery)
{
    const bool sweeps = recovery->backend && recovery->backend->ops->sweep;
    const struct host_hands hands = {
        .context = recovery,
        .sweep = sweeps ? sweep : NULL,
        .look = recovery->store ? look : NULL,
        .act = recovery->store ? act : NULL,
    };
    enum bv_status status = BV_OK;
    if (recovery->journal) {
        status = bv_host_recover(recovery->journal, &hands, recovery->dry_run, recovery->fn, recovery->context, &recovery->go_on, recovery->error);
    }
    if (recovery->store && recovery->go_on) {
        const enum bv_status each = bv_store_each(recovery->store, clear_one, recovery, recovery->error);
        recovery->status = recovery->status == BV_OK ? each : recovery->status;
    }
    return status == BV_OK ? recovery->status : status;
}

enum bv_status bv_recover(struct bv_journal *journal, struct bv_store *store, struct bv_backend *backend, bool dry_run, bv_recovered_fn *fn,
                          void *context, struct bv_error *error)
{
    struct recovery recovery = { .journal = journal, .backend = backend, .dry_run = dry_run, .go_on = true, .fn = fn, .context = context, .error = error };
    struct bv_store *found = NULL, own;
    enum bv_status status = journal && !store ? find_store(journal, &found, error) : BV_OK;
    store = store ? store : found;
    if (store && status == BV_OK) {
        own = *store; /* only what it tells is ours */
        if (journal) {
            bv_record_events(journal, &own.events);
        }
        recovery.store = &own;
    }
    status = status == BV_OK ? recover(&recovery) : status;
    bv_store_free(found);
    return status;
}
