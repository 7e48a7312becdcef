/* host/journal.h - the inside of a journal, shared by its files: the connection, its lock file, transactions, small SQL helpers. */
#pragma once

#include <bvisor/host.h>

#include <pthread.h>
#include <sqlite3.h>

#include "base/check.h"
#include "base/error.h"
#include "contract/event.h"
#include "host/host.h"
#include "sys/state.h"
#include "sys/sys.h"

#define JOURNAL_FILE   "journal.db"
#define JOURNAL_LIVE   "live"     /* byte `seq` is locked while the supervisor of the attempt that started at seq lives */
#define JOURNAL_WRITER 0u         /* its first byte: held by the one that writes */
#define JOURNAL_MAGIC  0x62766a31 /* application_id, "bvj1" */
#define JOURNAL_FORMAT 1

struct held { /* an attempt whose byte this journal holds */
    struct held *next;
    uint64_t seq;
    char attempt[40];
};

/* SQLite's own files, but for one thing: it syncs the directory of a write-ahead log that it was told to make, also when the log was there. That is
 * a sync more in every process; a log that is there is opened as one that is. */
struct journal_vfs {
    sqlite3_vfs vfs; /* first: SQLite hands it back to us */
    sqlite3_vfs *own;
    char name[40];
};

struct bv_journal {
    pthread_mutex_t lock; /* held by every public call */
    const struct bv_sys *sys;
    sqlite3 *db;
    struct journal_vfs vfs;
    int live_fd;
    struct held *held;
    bool writing; /* holds the writers' lock */
    bool broken; /* a write failed in a way that leaves open what is on the disk: nothing more is written through this one */
    char dir[PATH_MAX];
};

struct chain { /* the one row that sums the events up */
    uint64_t base_seq, head_seq;
    char base_hash[BV_DIGEST_TEXT_SIZE], head_hash[BV_DIGEST_TEXT_SIZE];
};

/* The hash that the first event follows. */
void journal_first_hash(char hash[BV_DIGEST_TEXT_SIZE]);
/* What SQLite said, as a status with one line. `doing`: "reading", "writing" ... */
enum bv_status journal_fail(struct bv_journal *journal, int code, const char *doing, struct bv_error *error);
enum bv_status journal_damaged(uint64_t seq, struct bv_error *error, const char *format, ...) BV_PRINTF(3, 4);

enum bv_status journal_exec(struct bv_journal *journal, const char *sql, struct bv_error *error);
/* Prepares a statement; its columns and parameters are used with sqlite3's own functions. */
enum bv_status journal_prepare(struct bv_journal *journal, const char *sql, sqlite3_stmt **ret, struct bv_error *error);
/* Steps: *ret_row tells whether there is a row. */
enum bv_status journal_step(struct bv_journal *journal, sqlite3_stmt *statement, bool *ret_row, struct bv_error *error);
void journal_finalize(sqlite3_stmt **statement); /* for BV_AUTO */
const char *journal_text(sqlite3_stmt *statement, int column); /* "" for NULL */

/* A transaction: BV_OK, or nothing is open. `write` waits for other writers. End it with journal_end(); status decides between commit and
 * rollback, and what comes back is BV_OK only if it was committed. */
enum bv_status journal_begin(struct bv_journal *journal, bool write, struct bv_error *error);
enum bv_status journal_end(struct bv_journal *journal, enum bv_status status, struct bv_error *error);

/* Inside a transaction. */
enum bv_status journal_chain(struct bv_journal *journal, struct chain *ret_chain, struct bv_error *error);
enum bv_status journal_trail(struct bv_journal *journal, const struct chain *chain, const char *attempt, struct trail *ret_trail,
                             uint64_t *ret_started_seq, struct bv_error *error);
/* Appends without judging whether it may follow; takes and drops no lock. */
enum bv_status journal_add(struct bv_journal *journal, struct chain *chain, const char *attempt, enum bv_event_kind kind, const char *payload,
                           const char *document, struct bv_error *error);
enum bv_status journal_set_open(struct bv_journal *journal, const char *attempt, uint64_t seq, bool open, struct bv_error *error);

/* The lock of an attempt. 0, -EAGAIN: somebody else holds it, or -errno. */
int journal_hold(struct bv_journal *journal, const char *attempt, uint64_t seq);
void journal_release(struct bv_journal *journal, const char *attempt);
/* Whether anybody holds it, this journal's own runs included. */
int journal_is_alive(struct bv_journal *journal, uint64_t seq);

