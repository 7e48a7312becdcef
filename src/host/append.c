/* host/append.c - putting an event at the end of the chain, and the locks that say whose attempt it is.
 *
 * Must not decide what an attempt's events mean: contract/event.c does. */
#include "host/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/step.h"

/* ---- locks ---- */

int journal_hold(struct bv_journal *journal, const char *attempt, uint64_t seq)
{
    for (const struct held *held = journal->held; held; held = held->next) {
        if (held->seq == seq) {
            return 0;
        }
    }
    struct held *held = calloc(1, sizeof(*held));
    int r = held ? bv_lock_take(journal->live_fd, seq, false) : -ENOMEM;
    if (r < 0) {
        free(held);
        return r;
    }
    held->seq = seq;
    bv_copy_text(held->attempt, sizeof(held->attempt), attempt);
    held->next = journal->held;
    journal->held = held;
    return 0;
}

void journal_release(struct bv_journal *journal, const char *attempt)
{
    for (struct held **at = &journal->held; *at; at = &(*at)->next) {
        struct held *held = *at;
        if (strcmp(held->attempt, attempt) == 0) {
            *at = held->next;
            bv_lock_drop(journal->live_fd, held->seq);
            free(held);
            return;
        }
    }
}

int journal_is_alive(struct bv_journal *journal, uint64_t seq)
{
    for (const struct held *held = journal->held; held; held = held->next) {
        if (held->seq == seq) {
            return 1; /* asking the kernel about one's own lock says that there is none */
        }
    }
    return bv_lock_is_held(journal->live_fd, seq);
}

enum bv_status bv_journal_trail(struct bv_journal *journal, const char *attempt, struct trail *ret_trail, struct bv_error *error)
{
    struct chain chain;
    uint64_t seq;
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        status = journal_chain(journal, &chain, error);
        if (status == BV_OK) {
            status = journal_trail(journal, &chain, attempt, ret_trail, &seq, error);
        }
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}

void bv_journal_let_go(struct bv_journal *journal, const char *attempt)
{
    (void)pthread_mutex_lock(&journal->lock);
    journal_release(journal, attempt);
    (void)pthread_mutex_unlock(&journal->lock);
}

/* ---- the chain ---- */

enum bv_status journal_chain(struct bv_journal *journal, struct chain *ret_chain, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, "SELECT base_seq,base_hash,head_seq,head_hash FROM chain", &statement, error);
    if (status == BV_OK) {
        status = journal_step(journal, statement, &row, error);
    }
    if (status != BV_OK) {
        return status;
    }
    const int64_t base = row ? sqlite3_column_int64(statement, 0) : -1, head = row ? sqlite3_column_int64(statement, 2) : -1;
    if (base < 0 || head < base || sqlite3_column_bytes(statement, 1) != BV_DIGEST_TEXT_SIZE - 1 ||
        sqlite3_column_bytes(statement, 3) != BV_DIGEST_TEXT_SIZE - 1) {
        return bv_fail(error, BV_E_CORRUPT, journal->dir, "the journal is damaged: where its events begin and end is lost");
    }
    ret_chain->base_seq = (uint64_t)base;
    ret_chain->head_seq = (uint64_t)head;
    bv_copy_text(ret_chain->base_hash, sizeof(ret_chain->base_hash), journal_text(statement, 1));
    bv_copy_text(ret_chain->head_hash, sizeof(ret_chain->head_hash), journal_text(statement, 3));
    return BV_OK;
}

enum bv_status journal_trail(struct bv_journal *journal, const struct chain *chain, const char *attempt, struct trail *ret_trail,
                             uint64_t *ret_started_seq, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    *ret_trail = (struct trail){ .cut = chain->base_seq > 0 };
    *ret_started_seq = 0;
    enum bv_status status = journal_prepare(journal, "SELECT seq,text FROM event WHERE attempt=?1 ORDER BY seq", &statement, error);
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_text(statement, 1, attempt, -1, SQLITE_STATIC);
    for (bool row = true; row && status == BV_OK;) {
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        const uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
        struct event event;
        const char *text = journal_text(statement, 1);
        const enum bv_status read = bv_event_read(text, (size_t)sqlite3_column_bytes(statement, 1), &event, NULL);
        if (read != BV_OK) {
            status = read == BV_E_NOMEM ? bv_fail_nomem(error) : BV_OK;
            ret_trail->contradictory = true; /* torn: what it said is not known */
            continue;
        }
        if (event.seq != seq || strcmp(event.attempt, attempt) != 0) {
            ret_trail->contradictory = true;
        }
        *ret_started_seq = *ret_started_seq ? *ret_started_seq : seq;
        (void)bv_trail_step(ret_trail, &event);
        bv_event_done(&event);
    }
    return status;
}

/* RFC 3339 in UTC with microseconds. */
static int stamp(const struct bv_sys *sys, char text[40])
{
    struct timespec now;
    struct tm tm;
    const int r = sys->now(&now);
    if (r < 0) {
        return r;
    }
    if (!gmtime_r(&now.tv_sec, &tm)) {
        return -EOVERFLOW;
    }
    const size_t n = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, 40 - n, ".%06ldZ", now.tv_nsec / 1000);
    return 0;
}

static enum bv_status insert(struct bv_journal *journal, const struct event_facts *facts, const struct bv_buf *text, const char *document,
                             struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, "INSERT INTO event VALUES(?1,?2,?3,?4,?5)", &statement, error);
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(statement, 1, (int64_t)facts->seq);
    (void)sqlite3_bind_text(statement, 2, facts->attempt, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 3, (int)facts->kind);
    (void)sqlite3_bind_text(statement, 4, text->data, (int)text->size, SQLITE_STATIC);
    if (document) {
        (void)sqlite3_bind_text64(statement, 5, document, strlen(document), SQLITE_STATIC, SQLITE_UTF8);
    }
    return journal_step(journal, statement, &row, error);
}

static enum bv_status move_head(struct bv_journal *journal, const struct chain *chain, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, "UPDATE chain SET base_seq=?1,base_hash=?2,head_seq=?3,head_hash=?4", &statement, error);
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(statement, 1, (int64_t)chain->base_seq);
    (void)sqlite3_bind_text(statement, 2, chain->base_hash, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)chain->head_seq);
    (void)sqlite3_bind_text(statement, 4, chain->head_hash, -1, SQLITE_STATIC);
    return journal_step(journal, statement, &row, error);
}

enum bv_status journal_add(struct bv_journal *journal, struct chain *chain, const char *attempt, enum bv_event_kind kind, const char *payload,
                           const char *document, struct bv_error *error)
{
    char at[40], digest[BV_DIGEST_TEXT_SIZE];
    const int r = stamp(journal->sys, at);
    if (r < 0) {
        return bv_fail_sys(error, journal->dir, r, "reading the clock");
    }
    if (document) {
        bv_digest_bytes(document, strlen(document), digest);
    }
    const struct event_facts facts = { .seq = chain->head_seq + 1, .kind = kind, .attempt = attempt, .at = at, .payload = payload,
                                       .document = document ? digest : NULL, .previous = chain->head_hash };
    struct bv_buf text;
    struct event event;
    bv_buf_init(&text, BV_EVENT_MAX_BYTES);
    bv_event_emit(&text, &facts);
    enum bv_status status = text.failed ? bv_fail_nomem(error) : bv_event_read(text.data, text.size, &event, NULL);
    if (status == BV_E_CORRUPT) { /* what no reader would take is not written */
        status = bv_fail(error, BV_E_INVALID, "payload", "not a canonical payload of a %s event", bv_event_kind_name(kind));
    } else if (status == BV_OK) {
        bv_event_done(&event);
        status = insert(journal, &facts, &text, document, error);
    }
    if (status == BV_OK) {
        chain->head_seq++;
        bv_digest_bytes(text.data, text.size, chain->head_hash);
        status = move_head(journal, chain, error);
    }
    bv_buf_done(&text);
    return status;
}

enum bv_status journal_set_open(struct bv_journal *journal, const char *attempt, uint64_t seq, bool open, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status =
        journal_prepare(journal, open ? "INSERT OR REPLACE INTO open VALUES(?1,?2)" : "DELETE FROM open WHERE attempt=?1", &statement, error);
    if (status != BV_OK) {
        return status;
    }
    (void)sqlite3_bind_text(statement, 1, attempt, -1, SQLITE_STATIC);
    if (open) {
        (void)sqlite3_bind_int64(statement, 2, (int64_t)seq);
    }
    return journal_step(journal, statement, &row, error);
}

/* ---- appending ---- */

/* May this event follow those that are there? *trail then includes it. */
static enum bv_status check_order(struct bv_journal *journal, struct trail *trail, const char *attempt, enum bv_event_kind kind,
                                  const char *payload, struct bv_error *error)
{
    BV_AUTO(bv_event_done) struct event event = { .kind = kind, .attempt = attempt, .at = "-" };
    if (kind == BV_EVENT_RETENTION) {
        return bv_fail(error, BV_E_INVALID, "kind", "a retention is recorded by bv_journal_retain() alone");
    }
    enum bv_status status = bv_json_read(payload, strlen(payload), BV_EVENT_MAX_BYTES, &event.root, error);
    if (status != BV_OK) {
        return status;
    }
    event.payload = event.root;
    const char *settled = json_string_value(json_object_get(event.root, "settled"));
    if (!bv_trail_step(trail, &event) && !(kind == BV_EVENT_RECOVERY && settled && strcmp(settled, "canonical_refusal") == 0)) {
        return bv_fail(error, BV_E_STATE, journal->dir, "the events of attempt %s do not allow a %s now", attempt, bv_event_kind_name(kind));
    }
    return BV_OK;
}

/* The byte is taken before the event can be seen: whoever sees it knows whether its supervisor lives. */
static enum bv_status hold(struct bv_journal *journal, const char *attempt, uint64_t seq, struct bv_error *error)
{
    const int r = journal_hold(journal, attempt, seq);
    return r == -EAGAIN ? bv_fail(error, BV_E_STATE, journal->dir, "another process is at work on attempt %s", attempt)
           : r < 0      ? bv_fail_sys(error, journal->dir, r, "locking the attempt")
                        : BV_OK;
}

static enum bv_status append(struct bv_journal *journal, const char *attempt, enum bv_event_kind kind, const char *payload,
                             const char *document, struct bv_error *error)
{
    struct chain chain;
    struct trail trail;
    uint64_t seq = 0;
    enum bv_status status = journal_chain(journal, &chain, error);
    if (status == BV_OK) {
        status = journal_trail(journal, &chain, attempt, &trail, &seq, error);
    }
    if (status == BV_OK) {
        status = check_order(journal, &trail, attempt, kind, payload, error);
    }
    seq = seq ? seq : chain.head_seq + 1;
    const bool open = status == BV_OK && bv_trail_is_open(&trail);
    if (status == BV_OK && open) {
        status = hold(journal, attempt, seq, error);
    }
    if (status == BV_OK) {
        status = journal_add(journal, &chain, attempt, kind, payload, document, error);
    }
    return status == BV_OK ? journal_set_open(journal, attempt, seq, open, error) : status;
}

enum bv_status bv_journal_append(struct bv_journal *journal, const char *attempt, enum bv_event_kind kind, const char *payload,
                                 const char *document, struct bv_error *error)
{
    if (!journal || !attempt || !payload || (int)kind < 0 || kind >= BV_EVENT_KIND_COUNT) {
        return bv_fail(error, BV_E_INVALID, "", "a journal, an attempt, a kind and a payload are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, true, error);
    if (status == BV_OK) {
        BV_STEP("event begun");
        status = append(journal, attempt, kind, payload, document, error);
        BV_STEP("event added");
        status = journal_end(journal, status, error);
        BV_STEP("event durable");
    }
    if (status != BV_OK && kind == BV_EVENT_STARTED) {
        journal_release(journal, attempt); /* it never began */
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}
