/* host/recover.c - settling attempts that a crash cut off.
 *
 * Theory of operation. The table `open` names the attempts that are not settled. Whose lock is held is alive, or settled by somebody else
 * at this moment: it is left alone. Otherwise the lock is taken, so that this is the only one at work, and only then are the events read
 * for the decision (contract/reconcile.c): what the attempt's own process wrote before it died is there by then. The decision is one step; it is
 * done and asked for again, until it is one that ends. The machine is swept before the record is made, so that a crash in between leaves the attempt
 * open and the next recovery finds less to sweep. Writing that record is what settles it. Nothing else is changed, so a repetition finds nothing
 * to do. The journal is not locked while the machine is swept: what is staged records its own end on the way. CONTRACT.md 11. */
#include "host/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/step.h"

#define STEPS_MAX 8 /* settle, drop or keep, say, end: more would go in circles */

struct open_attempt {
    uint64_t seq;
    char attempt[40];
};

struct recovering {
    struct bv_journal *journal;
    const struct host_hands *hands;
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

static void note_swept(void *context, const char *what)
{
    json_t *swept = context;
    /* What cannot be written in the record is gone all the same; a name of ours always can. */
    (void)json_array_append_new(swept, json_string(what));
}

/* The record; with it the attempt is settled. */
static enum bv_status record(struct bv_journal *journal, const struct open_attempt *open, const char *settled, const char *swept,
                             struct bv_error *error)
{
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_recovery(&payload, settled, swept);
    struct chain chain;
    (void)pthread_mutex_lock(&journal->lock);
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
    (void)pthread_mutex_unlock(&journal->lock);
    bv_buf_done(&payload);
    return status;
}

/* ---- one attempt, with its lock held ---- */

static enum bv_status say(struct bv_journal *journal, const struct open_attempt *open, bool discard, bool applied, struct bv_error *error)
{
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_disposition(&payload, discard ? "discard" : "commit", applied ? "applied" : "failed", "found by recovery");
    const enum bv_status status =
        payload.failed ? bv_fail_nomem(error) : bv_journal_append(journal, open->attempt, BV_EVENT_DISPOSITION, payload.data, NULL, error);
    bv_buf_done(&payload);
    return status;
}

static enum bv_status decide(const struct recovering *recovering, const struct open_attempt *open, struct trail *ret_trail,
                             enum reconcile_action *ret_action, struct bv_error *error)
{
    const struct host_hands *hands = recovering->hands;
    enum reconcile_staged staged = RECONCILE_STAGED_NONE;
    enum bv_status status = hands->look ? hands->look(hands->context, open->attempt, &staged, error) : BV_OK;
    if (status == BV_OK) {
        status = bv_journal_trail(recovering->journal, open->attempt, ret_trail, error);
    }
    if (status == BV_OK) {
        *ret_action = bv_reconcile(ret_trail, false, staged);
    }
    return status;
}

/* One step. *ret_settled: the word to record when it ends here; *ret_more: ask again. */
static enum bv_status step(const struct recovering *recovering, const struct open_attempt *open, const struct trail *trail, bool first,
                           enum reconcile_action action, json_t *found, const char **ret_settled, bool *ret_more, struct bv_error *error)
{
    const struct host_hands *hands = recovering->hands;
    *ret_settled = trail->reported ? "completed" : "rolled_back";
    *ret_more = false;
    switch (action) {
    case RECONCILE_NOTHING:
        if (first || !trail->reported) { /* it ended by itself before its lock was ours */
            *ret_settled = NULL;
        }
        return BV_OK;
    case RECONCILE_WAIT: *ret_settled = NULL; return BV_OK;
    case RECONCILE_SETTLE_STAGED:
    case RECONCILE_DROP_STAGED:
    case RECONCILE_KEEP_STAGED:
        *ret_more = !recovering->dry_run || !trail->reported;
        return hands->act(hands->context, open->attempt, action, recovering->dry_run, note_swept, found, error);
    case RECONCILE_SAY_APPLIED:
    case RECONCILE_SAY_FAILED:
        *ret_more = !recovering->dry_run;
        return recovering->dry_run ? BV_OK : say(recovering->journal, open, trail->discard, action == RECONCILE_SAY_APPLIED, error);
    case RECONCILE_ROLL_BACK:
        return hands->sweep ? hands->sweep(hands->context, open->attempt, recovering->dry_run, note_swept, found, error) : BV_OK;
    case RECONCILE_REFUSE: *ret_settled = "canonical_refusal"; return BV_OK;
    }
    BV_UNREACHABLE();
}

/* Until a step ends it. A dry run changes nothing that the next decision could see: after its first look at what is staged it goes on as if that
 * were gone. */
static enum bv_status settle(const struct recovering *recovering, const struct open_attempt *open, json_t *found, const char **ret_settled,
                             struct bv_error *error)
{
    struct trail trail;
    enum reconcile_action action = RECONCILE_NOTHING;
    bool more = true;
    enum bv_status status = BV_OK;
    *ret_settled = NULL;
    for (int i = 0; status == BV_OK && more; i++) {
        if (i == STEPS_MAX) {
            return bv_fail(error, BV_E_FAULT, open->attempt, "what attempt %s left cannot be settled", open->attempt);
        }
        if (i > 0 && recovering->dry_run) {
            action = RECONCILE_ROLL_BACK;
        } else {
            status = decide(recovering, open, &trail, &action, error);
        }
        if (status == BV_OK) {
            status = step(recovering, open, &trail, i == 0, action, found, ret_settled, &more, error);
        }
    }
    return status;
}

static enum bv_status finish(const struct recovering *recovering, const struct open_attempt *open, const json_t *found, const char *settled,
                             bool *ret_go_on, struct bv_error *error)
{
    char *swept = bv_json_text(found, BV_EVENT_MAX_BYTES / 2);
    enum bv_status status = swept ? BV_OK : bv_fail_nomem(error);
    BV_STEP("swept");
    if (status == BV_OK && !recovering->dry_run) {
        status = record(recovering->journal, open, settled, swept, error);
    }
    if (status == BV_OK && recovering->fn) {
        const struct bv_recovered recovered = { open->attempt, settled, swept };
        *ret_go_on = recovering->fn(recovering->context, &recovered);
    }
    bv_free(swept);
    return status;
}

/* 1: the lock is ours, 0: it is somebody's, or -errno. */
static int take(struct bv_journal *journal, const struct open_attempt *open)
{
    (void)pthread_mutex_lock(&journal->lock);
    int r = journal_is_alive(journal, open->seq);
    if (r == 0) {
        r = journal_hold(journal, open->attempt, open->seq);
        r = r == 0 ? 1 : r == -EAGAIN ? 0 : r; /* came to life under another recovery */
    } else if (r > 0) {
        r = 0;
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return r;
}

static enum bv_status recover_one(const struct recovering *recovering, const struct open_attempt *open, bool *ret_go_on, struct bv_error *error)
{
    struct bv_journal *journal = recovering->journal;
    const int r = take(journal, open);
    if (r <= 0) {
        return r == 0 ? BV_OK : bv_fail_sys(error, journal->dir, r, "locking an attempt");
    }
    json_t *found = json_array();
    const char *settled = NULL;
    enum bv_status status = found ? settle(recovering, open, found, &settled, error) : bv_fail_nomem(error);
    if (status == BV_OK && settled) {
        status = finish(recovering, open, found, settled, ret_go_on, error);
    }
    json_decref(found);
    bv_journal_let_go(journal, open->attempt);
    return status;
}

enum bv_status bv_host_recover(struct bv_journal *journal, const struct host_hands *hands, bool dry_run, bv_recovered_fn *fn, void *context,
                               bool *ret_go_on, struct bv_error *error)
{
    const struct recovering recovering = { journal, hands, dry_run, fn, context };
    BV_AUTO(bv_cleanup_free) struct open_attempt *list = NULL;
    size_t count = 0;
    *ret_go_on = true;
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = list_open(journal, &list, &count, error);
    (void)pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; *ret_go_on && i < count; i++) {
        const enum bv_status one = recover_one(&recovering, &list[i], ret_go_on, error);
        status = status == BV_OK ? one : status;
    }
    return status;
}
