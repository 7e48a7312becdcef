/* host/check.c - is every event of the journal what was written, and is none missing?
 *
 * Valid if and only if: SQLite finds the file sound; the events are numbered from the base to the head without a gap; each is an event
 * by contract/event.c that names the hash of the one before, its own number, attempt and kind as its row does, and the hash of its
 * document; the row `chain` holds the hash of the last; a base other than the beginning is told by a retention event that is in the
 * chain; the table `open` holds exactly the attempts that are open. Who can rewrite all of it can forge all of it: only a
 * signed head (bvisor journal head --sign), kept elsewhere, tells that. Specified by docs/format-journal.md. */
#include "host/journal.h"

#include <stdio.h>
#include <string.h>

static enum bv_status check_file(struct bv_journal *journal, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, "PRAGMA integrity_check(1)", &statement, error);
    if (status == BV_OK) {
        status = journal_step(journal, statement, &row, error);
    }
    if (status == BV_OK && (!row || strcmp(journal_text(statement, 0), "ok") != 0)) {
        return bv_fail(error, BV_E_CORRUPT, journal->dir, "the journal's file is damaged: %s", row ? journal_text(statement, 0) : "no answer");
    }
    return status;
}

struct checking {
    struct chain chain;
    uint64_t last_seq;
    char last_hash[BV_DIGEST_TEXT_SIZE];
    char retained_hash[BV_DIGEST_TEXT_SIZE]; /* what the newest retention event says of the base */
    uint64_t retained_seq;
};

static enum bv_status check_document(sqlite3_stmt *statement, const struct event *event, struct bv_error *error)
{
    const char *document = (const char *)sqlite3_column_text(statement, 4);
    char digest[BV_DIGEST_TEXT_SIZE];
    if (!document != !event->document) {
        return journal_damaged(event->seq, error, document ? "a document was put to it" : "its document is lost");
    }
    if (document) {
        bv_digest_bytes(document, (size_t)sqlite3_column_bytes(statement, 4), digest);
    }
    return document && strcmp(digest, event->document) != 0 ? journal_damaged(event->seq, error, "its document was changed") : BV_OK;
}

static void note_retention(struct checking *checking, const struct event *event)
{
    if (event->kind == BV_EVENT_RETENTION) {
        checking->retained_seq = (uint64_t)json_integer_value(json_object_get(event->payload, "through_seq"));
        bv_copy_text(checking->retained_hash, sizeof(checking->retained_hash),
                     json_string_value(json_object_get(event->payload, "through_hash")));
    }
}

/* Row: seq, attempt, kind, text, document. */
static enum bv_status check_event(sqlite3_stmt *statement, struct checking *checking, struct bv_error *error)
{
    const uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
    const char *text = journal_text(statement, 3);
    const size_t size = (size_t)sqlite3_column_bytes(statement, 3);
    if (seq != checking->last_seq + 1) {
        return journal_damaged(checking->last_seq + 1, error, "is missing: event %llu follows", (unsigned long long)seq);
    }
    BV_AUTO(bv_event_done) struct event event = { 0 };
    struct bv_error inner = { 0 };
    enum bv_status status = bv_event_read(text, size, &event, &inner);
    if (status != BV_OK) {
        return status == BV_E_NOMEM ? bv_fail_nomem(error) : journal_damaged(seq, error, "%s", inner.text);
    }
    if (strcmp(event.previous, checking->last_hash) != 0) {
        return journal_damaged(seq, error, "does not follow from the event before it: one of the two was changed");
    }
    if (event.seq != seq || strcmp(event.attempt, journal_text(statement, 1)) != 0 || (int)event.kind != sqlite3_column_int(statement, 2)) {
        return journal_damaged(seq, error, "its row and its text do not say the same");
    }
    checking->last_seq = seq;
    bv_digest_bytes(text, size, checking->last_hash);
    note_retention(checking, &event);
    return check_document(statement, &event, error);
}

static enum bv_status check_chain(struct bv_journal *journal, struct checking *checking, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    enum bv_status status = journal_chain(journal, &checking->chain, error);
    if (status == BV_OK) {
        status = journal_prepare(journal, "SELECT seq,attempt,kind,text,document FROM event ORDER BY seq", &statement, error);
    }
    const struct chain *chain = &checking->chain;
    checking->last_seq = chain->base_seq;
    bv_copy_text(checking->last_hash, sizeof(checking->last_hash), chain->base_hash);
    for (bool row = true; status == BV_OK;) {
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        status = check_event(statement, checking, error);
    }
    if (status != BV_OK) {
        return status;
    }
    if (checking->last_seq != chain->head_seq) {
        return journal_damaged(checking->last_seq + 1, error, "is missing: the journal had %llu", (unsigned long long)chain->head_seq);
    }
    if (strcmp(checking->last_hash, chain->head_hash) != 0) {
        return journal_damaged(chain->head_seq, error, "is not the one that was written last");
    }
    char first[BV_DIGEST_TEXT_SIZE];
    journal_first_hash(first);
    const bool whole = chain->base_seq == 0 && strcmp(chain->base_hash, first) == 0;
    const bool told = chain->base_seq > 0 && checking->retained_seq == chain->base_seq && strcmp(checking->retained_hash, chain->base_hash) == 0;
    return whole || told ? BV_OK : journal_damaged(chain->base_seq + 1, error, "the events before it were dropped, and no event says so");
}

/* ---- what only repeats the events ---- */

static enum bv_status count(struct bv_journal *journal, const char *sql, int64_t *ret_count, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, sql, &statement, error);
    if (status == BV_OK) {
        status = journal_step(journal, statement, &row, error);
    }
    *ret_count = status == BV_OK && row ? sqlite3_column_int64(statement, 0) : -1;
    return status;
}

/* Every attempt of the table is open, and there are as many as the events say. */
static enum bv_status check_open(struct bv_journal *journal, const struct chain *chain, struct bv_error *error)
{
    static const char without_end[] = "SELECT count(*) FROM event s WHERE kind=0 AND NOT EXISTS(SELECT 1 FROM event e WHERE "
                                      "e.attempt=s.attempt AND e.kind IN(1,3))";
    /* A decided disposition is followed by what became of it, or by the word that nobody can tell. */
    static const char undecided[] = "SELECT count(*) FROM(SELECT attempt,max(seq) AS last FROM event WHERE kind=2 GROUP BY attempt)d "
                                    "JOIN event e ON e.seq=d.last WHERE json_extract(e.text,'$.payload.state')='decided' AND NOT EXISTS(SELECT 1 FROM "
                                    "event r WHERE r.attempt=e.attempt AND r.kind=3 AND json_extract(r.text,'$.payload.settled')='canonical_refusal')";
    int64_t wanted = 0, more = 0, listed = 0;
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    enum bv_status status = count(journal, without_end, &wanted, error);
    if (status == BV_OK) {
        status = count(journal, undecided, &more, error);
    }
    if (status == BV_OK) {
        status = journal_prepare(journal, "SELECT attempt,seq FROM open", &statement, error);
    }
    for (bool row = true; status == BV_OK; listed++) {
        struct trail trail;
        uint64_t seq;
        char attempt[40];
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        bv_copy_text(attempt, sizeof(attempt), journal_text(statement, 0));
        status = journal_trail(journal, chain, attempt, &trail, &seq, error);
        if (status == BV_OK && (!bv_trail_is_open(&trail) || seq != (uint64_t)sqlite3_column_int64(statement, 1))) {
            return bv_fail(error, BV_E_CORRUPT, journal->dir, "the journal is damaged: attempt %s counts as open and is not", attempt);
        }
    }
    return status == BV_OK && listed != wanted + more
               ? bv_fail(error, BV_E_CORRUPT, journal->dir, "the journal is damaged: %lld attempts are open, %lld count as open",
                         (long long)(wanted + more), (long long)listed)
               : status;
}

static enum bv_status verify(struct bv_journal *journal, struct bv_journal_head *ret_head, struct bv_error *error)
{
    struct checking checking = { 0 };
    enum bv_status status = check_file(journal, error);
    if (status == BV_OK) {
        status = check_chain(journal, &checking, error);
    }
    if (status == BV_OK) {
        status = check_open(journal, &checking.chain, error);
    }
    if (status == BV_OK) {
        const struct chain *chain = &checking.chain;
        ret_head->seq = chain->head_seq;
        ret_head->first_seq = chain->head_seq == chain->base_seq ? 0 : chain->base_seq + 1;
        bv_copy_text(ret_head->hash, sizeof(ret_head->hash), chain->head_hash);
    }
    return status;
}

enum bv_status bv_journal_verify(struct bv_journal *journal, struct bv_journal_head *ret_head, struct bv_error *error)
{
    if (!journal || !ret_head) {
        return bv_fail(error, BV_E_INVALID, "", "a journal and a place for its head are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        status = verify(journal, ret_head, error);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}

static enum bv_status head(struct bv_journal *journal, uint64_t seq, struct bv_journal_head *ret_head, struct bv_error *error)
{
    struct chain chain;
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_chain(journal, &chain, error);
    if (status == BV_OK) {
        status = journal_prepare(journal, "SELECT text FROM event WHERE seq=?1", &statement, error);
    }
    if (status != BV_OK) {
        return status;
    }
    seq = seq ? seq : chain.head_seq;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)seq);
    status = journal_step(journal, statement, &row, error);
    if (status == BV_OK && !row) {
        return bv_fail(error, BV_E_INVALID, "seq", "the journal holds no event %llu", (unsigned long long)seq);
    }
    if (status == BV_OK) {
        ret_head->seq = seq;
        ret_head->first_seq = chain.base_seq + 1;
        bv_digest_bytes(journal_text(statement, 0), (size_t)sqlite3_column_bytes(statement, 0), ret_head->hash);
    }
    return status;
}

enum bv_status bv_journal_head(struct bv_journal *journal, uint64_t seq, struct bv_journal_head *ret_head, struct bv_error *error)
{
    if (!journal || !ret_head || seq > INT64_MAX) {
        return bv_fail(error, BV_E_INVALID, "", "a journal and a place for its head are needed");
    }
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, false, error);
    if (status == BV_OK) {
        status = head(journal, seq, ret_head, error);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return status;
}
