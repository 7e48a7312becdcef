/* host/retain.c - dropping the oldest events, so that the rest still verifies.
 *
 * What is dropped is always a beginning of the chain, never past what is not settled. An event at the end says through which event, and
 * with which hash, and the row `chain` begins there: verify holds the two against each other. */
#include "host/journal.h"

#include <string.h>

static enum bv_status number(struct bv_journal *journal, const char *sql, const char *text, uint64_t *ret_number, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, sql, &statement, error);
    if (status != BV_OK) {
        return status;
    }
    if (text) {
        (void)sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    }
    status = journal_step(journal, statement, &row, error);
    if (status == BV_OK) {
        *ret_number = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    }
    return status;
}

/* The last event that may go by age: those before the first that is younger. Times are read from the texts; a clock that was set back makes an
 * event stay longer, never go earlier. */
static enum bv_status last_by_age(struct bv_journal *journal, const struct chain *chain, const char *before, uint64_t *ret_seq,
                                  struct bv_error *error)
{
    uint64_t first_young = 0;
    enum bv_status status = number(journal, "SELECT seq FROM event WHERE json_extract(text,'$.at')>=?1 ORDER BY seq LIMIT 1", before,
                                   &first_young, error);
    *ret_seq = status != BV_OK ? 0 : first_young ? first_young - 1 : chain->head_seq;
    return status;
}

/* The last event that must go so that what is left fits: pages in use are shared out by the bytes of the rows. */
static enum bv_status last_by_size(struct bv_journal *journal, uint64_t max_bytes, uint64_t *ret_seq,
                                   struct bv_error *error)
{
    uint64_t pages = 0, free_pages = 0, page_bytes = 0;
    enum bv_status status = number(journal, "PRAGMA page_count", NULL, &pages, error);
    status = status == BV_OK ? number(journal, "PRAGMA freelist_count", NULL, &free_pages, error) : status;
    status = status == BV_OK ? number(journal, "PRAGMA page_size", NULL, &page_bytes, error) : status;
    *ret_seq = 0;
    if (status != BV_OK || (pages - free_pages) * page_bytes <= max_bytes) {
        return status;
    }
    uint64_t excess = (pages - free_pages) * page_bytes - max_bytes;
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    status = journal_prepare(journal, "SELECT seq,length(text)+coalesce(length(document),0) FROM event ORDER BY seq", &statement, error);
    for (bool row = true; status == BV_OK && excess > 0;) {
        status = journal_step(journal, statement, &row, error);
        if (status != BV_OK || !row) {
            break;
        }
        const uint64_t bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        *ret_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        excess -= bytes < excess ? bytes : excess;
    }
    return status;
}

static enum bv_status drop_through(struct bv_journal *journal, struct chain *chain, uint64_t seq, uint64_t *ret_dropped, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *last = NULL, *drop = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, "SELECT text FROM event WHERE seq=?1", &last, error);
    if (status == BV_OK) {
        (void)sqlite3_bind_int64(last, 1, (int64_t)seq);
        status = journal_step(journal, last, &row, error);
    }
    if (status == BV_OK && !row) {
        return journal_damaged(seq, error, "is missing");
    }
    if (status == BV_OK) {
        *ret_dropped = seq - chain->base_seq;
        chain->base_seq = seq;
        bv_digest_bytes(journal_text(last, 0), (size_t)sqlite3_column_bytes(last, 0), chain->base_hash);
        status = journal_prepare(journal, "DELETE FROM event WHERE seq<=?1", &drop, error);
    }
    if (status == BV_OK) {
        (void)sqlite3_bind_int64(drop, 1, (int64_t)seq);
        status = journal_step(journal, drop, &row, error);
    }
    if (status != BV_OK) {
        return status;
    }
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_retention(&payload, chain->base_seq, chain->base_hash, *ret_dropped);
    status = payload.failed ? bv_fail_nomem(error) : journal_add(journal, chain, "", BV_EVENT_RETENTION, payload.data, NULL, error);
    bv_buf_done(&payload);
    return status;
}

static enum bv_status retain(struct bv_journal *journal, const char *before, uint64_t max_bytes, uint64_t *ret_dropped, struct bv_error *error)
{
    struct chain chain;
    uint64_t by_age = 0, by_size = 0, first_open = 0;
    enum bv_status status = journal_chain(journal, &chain, error);
    if (status == BV_OK && before) {
        status = last_by_age(journal, &chain, before, &by_age, error);
    }
    if (status == BV_OK && max_bytes != UINT64_MAX) {
        status = last_by_size(journal, max_bytes, &by_size, error);
    }
    if (status == BV_OK) {
        status = number(journal, "SELECT min(seq) FROM open", NULL, &first_open, error);
    }
    if (status != BV_OK) {
        return status;
    }
    uint64_t seq = by_age > by_size ? by_age : by_size;
    if (first_open && seq >= first_open) {
        seq = first_open - 1;
    }
    return seq > chain.base_seq ? drop_through(journal, &chain, seq, ret_dropped, error) : BV_OK;
}

enum bv_status bv_journal_retain(struct bv_journal *journal, const char *before, uint64_t max_bytes, uint64_t *ret_dropped,
                                 struct bv_error *error)
{
    if (!journal || !ret_dropped) {
        return bv_fail(error, BV_E_INVALID, "", "a journal and a place for the answer are needed");
    }
    uint64_t dropped = 0;
    (void)pthread_mutex_lock(&journal->lock);
    enum bv_status status = journal_begin(journal, true, error);
    if (status == BV_OK) {
        status = retain(journal, before, max_bytes, &dropped, error);
        status = journal_end(journal, status, error);
    }
    (void)pthread_mutex_unlock(&journal->lock);
    if (status == BV_OK) {
        *ret_dropped = dropped;
    }
    return status;
}
