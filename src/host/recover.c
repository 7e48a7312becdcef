/* host/recover.c - settling attempts that a crash cut off.
 *
 * Theory of operation. The table `open` names the attempts that are not settled. Whose lock is held is alive, or settled by somebody else
 * at this moment: it is left alone. Otherwise the lock is taken, so that this is the only one at work, and only then are the events read
 * for the decision (contract/reconcile.c): what the attempt's own process wrote before it died is there by then. The machine is swept
 * before the record is made, so that a crash in between leaves the attempt open and the next recovery finds less to sweep. Writing that
 * record is what settles it. Nothing else is changed, so a repetition finds nothing to do. CONTRACT.md 11. */
#include "host/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/step.h"

struct open_attempt {
    uint64_t seq;
    char attempt[40];
};

struct recovering {
    struct bv_journal *journal;
    bv_sweep_fn *sweep;
    void *sweep_context;
    bool dry_run;
    bv_recovered_fn *fn;
    void *context;
};

/* All open attempts; *ret_list is freed by the caller. */
static enum bv_status list_open(struct bv_journal *journal, struct open_attempt **ret_list, size_t *ret_count, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    enum bv_status status = journal_prepare(journal, "SELECT attempt,seq FROM open ORDER BY seq", &statement, error);
    for (bool row = true; status == BV_OK;) {
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        struct open_attempt *grown = reallocarray(*ret_list, *ret_count + 1, sizeof(**ret_list));
        if (!grown) {
            return bv_fail_nomem(error);
        }
        *ret_list = grown;
        grown[*ret_count].seq = (uint64_t)sqlite3_column_int64(statement, 1);
        bv_copy_text(grown[*ret_count].attempt, sizeof(grown->attempt), journal_text(statement, 0));
        ++*ret_count;
    }
    return status;
}

static enum bv_status decide(struct bv_journal *journal, const struct open_attempt *open, enum reconcile_action *ret_action, struct bv_error *error)
{
    struct chain chain;
    struct trail trail;
    uint64_t seq;
    enum bv_status status = journal_begin(journal, false, error);
    if (status != BV_OK) {
        return status;
    }
    status = journal_chain(journal, &chain, error);
    if (status == BV_OK) {
        status = journal_trail(journal, &chain, open->attempt, &trail, &seq, error);
    }
    status = journal_end(journal, status, error);
    if (status == BV_OK) {
        *ret_action = bv_reconcile(&trail, false);
    }
    return status;
}

static void note_swept(void *context, const char *what)
{
    json_t *swept = context;
    /* What cannot be written in the record is gone all the same; a name of ours always can. */
    (void)json_array_append_new(swept, json_string(what));
}

/* The record; with it the attempt is settled. */
static enum bv_status record(struct bv_journal *journal, const struct open_attempt *open, enum reconcile_action action, const char *swept,
                             struct bv_error *error)
{
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_recovery(&payload, bv_reconcile_word(action), swept);
    struct chain chain;
    enum bv_status status = payload.failed ? bv_fail_nomem(error) : journal_begin(journal, true, error);
    if (status == BV_OK) {
        status = journal_chain(journal, &chain, error);
        if (status == BV_OK) {
            status = journal_add(journal, &chain, open->attempt, BV_EVENT_RECOVERY, payload.data, NULL, error);
            BV_STEP("recovery added");
        }
        if (status == BV_OK) {
            status = journal_set_open(journal, open->attempt, open->seq, false, error);
        }
        status = journal_end(journal, status, error);
        BV_STEP("recovery durable");
    }
    bv_buf_done(&payload);
    return status;
}

/* Sweeps and records, with the attempt's lock held. */
static enum bv_status settle(const struct recovering *recovering, const struct open_attempt *open, enum reconcile_action action, bool *ret_go_on,
                             struct bv_error *error)
{
    json_t *found = json_array();
    enum bv_status status = found ? BV_OK : bv_fail_nomem(error);
    if (status == BV_OK && action != RECONCILE_REFUSE && recovering->sweep) {
        status = recovering->sweep(recovering->sweep_context, open->attempt, recovering->dry_run, note_swept, found, error);
    }
    char *swept = status == BV_OK ? bv_json_text(found, BV_EVENT_MAX_BYTES / 2) : NULL;
    json_decref(found);
    if (status == BV_OK && !swept) {
        status = bv_fail_nomem(error);
    }
    BV_STEP("swept");
    if (status == BV_OK && !recovering->dry_run) {
        status = record(recovering->journal, open, action, swept, error);
    }
    if (status == BV_OK && recovering->fn) {
        const struct bv_recovered recovered = { open->attempt, bv_reconcile_word(action), swept };
        *ret_go_on = recovering->fn(recovering->context, &recovered);
    }
    bv_free(swept);
    return status;
}

static enum bv_status recover_one(const struct recovering *recovering, const struct open_attempt *open, bool *ret_go_on, struct bv_error *error)
{
    struct bv_journal *journal = recovering->journal;
    if (journal_is_alive(journal, open->seq) > 0) {
        return BV_OK;
    }
    const int r = journal_hold(journal, open->attempt, open->seq);
    if (r == -EAGAIN) {
        return BV_OK; /* came to life under another recovery */
    }
    if (r < 0) {
        return bv_fail_sys(error, journal->dir, r, "locking an attempt");
    }
    enum reconcile_action action = RECONCILE_NOTHING;
    enum bv_status status = decide(journal, open, &action, error);
    if (status == BV_OK && bv_reconcile_word(action)) {
        status = settle(recovering, open, action, ret_go_on, error);
    }
    journal_release(journal, open->attempt);
    return status;
}

enum bv_status bv_host_recover(struct bv_journal *journal, bv_sweep_fn *sweep, void *sweep_context, bool dry_run, bv_recovered_fn *fn, void *context,
                               struct bv_error *error)
{
    const struct recovering recovering = { journal, sweep, sweep_context, dry_run, fn, context };
    BV_AUTO(bv_cleanup_free) struct open_attempt *list = NULL;
    size_t count = 0;
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = list_open(journal, &list, &count, error);
    bool go_on = true;
    for (size_t i = 0; status == BV_OK && go_on && i < count; i++) {
        status = recover_one(&recovering, &list[i], &go_on, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}
