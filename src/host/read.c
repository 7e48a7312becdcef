/* host/read.c - reading the journal: the newest attempts, one attempt, everything. Changes nothing.
 *
 * A list and one attempt are found by the primary key from its end and by the index, so that they cost the same in a journal of a
 * million events. Documents lie behind everything else in a row and are read only where they are asked for. */
#include "host/journal.h"

#include <errno.h>
#include <string.h>

/* Reads the event of a row (seq, text, document); its hash into `hash`. */
static enum bv_status row_event(sqlite3_stmt *statement, char hash[BV_DIGEST_TEXT_SIZE], struct event *parsed, struct bv_event *ret_event,
                                struct bv_error *error)
{
    const uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
    const char *text = journal_text(statement, 1);
    const size_t size = (size_t)sqlite3_column_bytes(statement, 1);
    struct bv_error inner = { 0 };
    enum bv_status status = bv_event_read(text, size, parsed, &inner);
    if (status != BV_OK) {
        return status == BV_E_NOMEM ? bv_fail_nomem(error) : journal_damaged(seq, error, "%s", inner.text);
    }
    bv_digest_bytes(text, size, hash);
    *ret_event = (struct bv_event){ .seq = seq, .kind = parsed->kind, .attempt = parsed->attempt, .at = parsed->at, .text = text, .hash = hash,
                                    .document = (const char *)sqlite3_column_text(statement, 2) };
    return BV_OK;
}

static enum bv_status walk(struct bv_journal *journal, sqlite3_stmt *statement, bv_event_fn *fn, void *context, struct bv_error *error)
{
    for (;;) {
        bool row = false;
        enum bv_status status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            return status;
        }
        char hash[BV_DIGEST_TEXT_SIZE];
        BV_AUTO(bv_event_done) struct event parsed = { 0 };
        struct bv_event event;
        status = row_event(statement, hash, &parsed, &event, error);
        if (status != BV_OK || !fn(context, &event)) {
            return status;
        }
    }
}

enum bv_status bv_journal_export(struct bv_journal *journal, bv_event_fn *fn, void *context, struct bv_error *error)
{
    if (!journal || !fn) {
        return bv_fail(error, BV_E_INVALID, "", "a journal and a function are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        sqlite3_stmt *statement = NULL;
        status = journal_prepare(journal, "SELECT seq,text,document FROM event ORDER BY seq", &statement, error);
        if (status == BV_OK) {
            status = walk(journal, statement, fn, context, error);
        }
        journal_finalize(&statement);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}

/* ---- one attempt ---- */

#define PREFIX_LEAST 4

/* The one attempt whose id begins so. */
static enum bv_status resolve(struct bv_journal *journal, const char *prefix, char attempt[40], struct bv_error *error)
{
    const size_t size = strlen(prefix);
    if (size < PREFIX_LEAST || size > 32 || strspn(prefix, "0123456789abcdef") != size) {
        return bv_fail(error, BV_E_INVALID, "attempt", "an attempt is named by its 32 hex digits, or at least by the first %d", PREFIX_LEAST);
    }
    char past[40]; /* the first text behind all that begin so: 'g' follows 'f' */
    bv_copy_text(past, sizeof(past), prefix);
    past[size] = 'g';
    past[size + 1] = '\0';
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    enum bv_status status =
        journal_prepare(journal, "SELECT DISTINCT attempt FROM event WHERE attempt>=?1 AND attempt<?2 LIMIT 2", &statement, error);
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_text(statement, 1, prefix, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, past, -1, SQLITE_STATIC);
    bool row = false;
    status = journal_step(journal, statement, &row, error);
    if (status == BV_OK && !row) {
        return bv_fail(error, BV_E_INVALID, "attempt", "the journal knows no attempt %s", prefix);
    }
    if (status != BV_OK) {
        return status;
    }
    bv_copy_text(attempt, 40, journal_text(statement, 0));
    status = journal_step(journal, statement, &row, error);
    return status == BV_OK && row ? bv_fail(error, BV_E_INVALID, "attempt", "several attempts begin with %s: give more digits", prefix) : status;
}

static enum bv_status show(struct bv_journal *journal, const char *prefix, bv_event_fn *fn, void *context, struct bv_error *error)
{
    char attempt[40];
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    enum bv_status status = resolve(journal, prefix, attempt, error);
    if (status == BV_OK) {
        status = journal_prepare(journal, "SELECT seq,text,document FROM event WHERE attempt=?1 ORDER BY seq", &statement, error);
    }
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_text(statement, 1, attempt, -1, SQLITE_STATIC);
    return walk(journal, statement, fn, context, error);
}

enum bv_status bv_journal_show(struct bv_journal *journal, const char *attempt, bv_event_fn *fn, void *context, struct bv_error *error)
{
    if (!journal || !attempt || !fn) {
        return bv_fail(error, BV_E_INVALID, "", "a journal, an attempt and a function are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        status = show(journal, attempt, fn, context, error);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}

/* ---- the list ---- */

static const char *state_of(const struct trail *trail, bool alive)
{
    if (trail->contradictory) {
        return "canonical_refusal";
    }
    if (trail->reported) {
        return trail->outcome;
    }
    return trail->recovered ? trail->settled : alive ? "running" : "interrupted";
}

static const char *disposition_of(const struct trail *trail)
{
    static const char *const words[2][4] = { { "", "commit decided", "commit applied", "commit failed" },
                                             { "", "discard decided", "discard applied", "discard failed" } };
    return words[trail->discard][trail->disposition];
}

static enum bv_status list_one(struct bv_journal *journal, const struct chain *chain, const char *attempt, bool *ret_go_on, bv_attempt_fn *fn,
                               void *context, struct bv_error *error)
{
    struct trail trail;
    uint64_t seq;
    enum bv_status status = journal_trail(journal, chain, attempt, &trail, &seq, error);
    if (status != BV_OK) {
        return status;
    }
    const bool ended = trail.reported || trail.recovered;
    const int alive = ended ? 0 : journal_is_alive(journal, seq);
    if (alive < 0) {
        return bv_fail_sys(error, journal->dir, alive, "asking whether an attempt lives");
    }
    const struct bv_attempt_view view = { .attempt = attempt, .started_at = trail.started_at, .state = state_of(&trail, alive > 0),
                                          .disposition = disposition_of(&trail), .exe = trail.exe };
    *ret_go_on = fn(context, &view);
    return BV_OK;
}

static enum bv_status list(struct bv_journal *journal, uint64_t limit, bv_attempt_fn *fn, void *context, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    struct chain chain;
    enum bv_status status = journal_chain(journal, &chain, error);
    if (status == BV_OK) {
        status = journal_prepare(journal, "SELECT attempt FROM event WHERE kind=0 ORDER BY seq DESC", &statement, error);
    }
    bool row = true, go_on = true;
    for (uint64_t count = 0; status == BV_OK && go_on && (limit == 0 || count < limit); count++) {
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        char attempt[40];
        bv_copy_text(attempt, sizeof(attempt), journal_text(statement, 0));
        status = list_one(journal, &chain, attempt, &go_on, fn, context, error);
    }
    return status;
}

enum bv_status bv_journal_list(struct bv_journal *journal, uint64_t limit, bv_attempt_fn *fn, void *context, struct bv_error *error)
{
    if (!journal || !fn) {
        return bv_fail(error, BV_E_INVALID, "", "a journal and a function are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        status = list(journal, limit, fn, context, error);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}
