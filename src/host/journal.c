/* host/journal.c - the journal as a file: opening, making, transactions, appending.
 *
 * Theory of operation. One SQLite database in WAL mode with synchronous=FULL: a commit has returned only after its bytes
 * were synced. Four tables: event (the chain), its index by attempt, open (attempts that are not settled: what recovery
 * looks at), chain (one row: where the events begin and end). The last two only repeat what the events say, are changed in
 * the same transaction as these, and are checked by verify. An append begins IMMEDIATE, so that whoever reads the head is
 * the one who extends it. The write-ahead log stays when the last process leaves: folding it in at every exit would cost
 * two more syncs a run. Who is alive is said by locks on a second file, live (sys/state.h): the byte of an attempt's first
 * event is taken before that event can be seen, and the kernel drops it with the process.
 * After an I/O error nothing more is written through the same connection: what the kernel reports once as lost it may
 * report as written the next time (fsync(2)). Specified by docs/format-journal.md. */
#include "host/journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MILLIS 60000

static const char schema_sql[] =
    "PRAGMA application_id=1651927601;" /* JOURNAL_MAGIC */
    "CREATE TABLE event(seq INTEGER PRIMARY KEY,attempt TEXT NOT NULL,kind INTEGER NOT NULL,text TEXT NOT NULL,document TEXT)STRICT;"
    "CREATE INDEX event_attempt ON event(attempt);"
    "CREATE TABLE open(attempt TEXT PRIMARY KEY,seq INTEGER NOT NULL)STRICT,WITHOUT ROWID;"
    "CREATE TABLE chain(id INTEGER PRIMARY KEY CHECK(id=1),base_seq INTEGER NOT NULL,base_hash TEXT NOT NULL,"
    "head_seq INTEGER NOT NULL,head_hash TEXT NOT NULL)STRICT;";
_Static_assert(JOURNAL_MAGIC == 1651927601, "application_id as written above");

void journal_first_hash(char hash[BV_DIGEST_TEXT_SIZE])
{
    bv_digest_bytes("", 0, hash);
}

/* ---- SQLite ---- */

/* An errno that says what SQLite means, 0 if none does. */
static int errno_of(struct bv_journal *journal, int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL: return ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return EBUSY;
    case SQLITE_READONLY: return EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH: return EACCES;
    default: break;
    }
    const int system_errno = journal->db ? sqlite3_system_errno(journal->db) : 0;
    return system_errno != 0 ? system_errno : EIO;
}

enum bv_status journal_fail(struct bv_journal *journal, int code, const char *doing, struct bv_error *error)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM: return bv_fail_nomem(error);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  /* a table that is not there, a column of another type: not as we made it */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return bv_fail(error, BV_E_CORRUPT, journal->dir, "the journal is damaged: %s", sqlite3_errmsg(journal->db));
    default: break;
    }
    const int os_errno = errno_of(journal, code);
    journal->broken = journal->broken || (code & 0xff) == SQLITE_IOERR;
    return bv_fail_sys(error, journal->dir, -os_errno, "%s the journal", doing);
}

enum bv_status journal_damaged(uint64_t seq, struct bv_error *error, const char *format, ...)
{
    char place[40], text[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(place, sizeof(place), "event %llu", (unsigned long long)seq);
    return bv_fail(error, BV_E_CORRUPT, place, "%s", text);
}

enum bv_status journal_exec(struct bv_journal *journal, const char *sql, struct bv_error *error)
{
    const int code = sqlite3_exec(journal->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? BV_OK : journal_fail(journal, code, "writing", error);
}

enum bv_status journal_prepare(struct bv_journal *journal, const char *sql, sqlite3_stmt **ret, struct bv_error *error)
{
    const int code = sqlite3_prepare_v2(journal->db, sql, -1, ret, NULL);
    return code == SQLITE_OK ? BV_OK : journal_fail(journal, code, "reading", error);
}

enum bv_status journal_step(struct bv_journal *journal, sqlite3_stmt *statement, bool *ret_row, struct bv_error *error)
{
    const int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return journal_fail(journal, code, sqlite3_stmt_readonly(statement) ? "reading" : "writing", error);
    }
    *ret_row = code == SQLITE_ROW;
    return BV_OK;
}

void journal_finalize(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats what the last step said */
}

const char *journal_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

enum bv_status journal_begin(struct bv_journal *journal, bool write, struct bv_error *error)
{
    if (write && journal->broken) {
        return bv_fail(error, BV_E_SYS, journal->dir, "an earlier write to the journal failed, so no later one can be relied on");
    }
    /* SQLite's writers poll for each other; on this lock they queue. Opening holds it while the tables are made. */
    const int r = write && !journal->writing ? bv_lock_take(journal->live_fd, JOURNAL_WRITER, true) : 0;
    if (r < 0) {
        return bv_fail_sys(error, journal->dir, r, "locking the journal");
    }
    enum bv_status status = journal_exec(journal, write ? "BEGIN IMMEDIATE" : "BEGIN", error);
    if (write && status != BV_OK && !journal->writing) {
        bv_lock_drop(journal->live_fd, JOURNAL_WRITER);
    }
    journal->writing = write && (journal->writing || status == BV_OK);
    return status;
}

enum bv_status journal_end(struct bv_journal *journal, enum bv_status status, struct bv_error *error)
{
    int code = status == BV_OK ? sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL) : SQLITE_OK;
    if (code != SQLITE_OK) {
        status = journal_fail(journal, code, "writing", error);
    }
    if (status != BV_OK) {
        (void)sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL); /* SQLite may have done so itself */
    }
    if (journal->writing) {
        bv_lock_drop(journal->live_fd, JOURNAL_WRITER);
        journal->writing = false;
    }
    return status;
}

/* ---- opening ---- */

static enum bv_status read_number(struct bv_journal *journal, const char *sql, int64_t *ret_number, struct bv_error *error)
{
    BV_AUTO(journal_finalize) sqlite3_stmt *statement = NULL;
    bool row = false;
    enum bv_status status = journal_prepare(journal, sql, &statement, error);
    if (status == BV_OK) {
        status = journal_step(journal, statement, &row, error);
    }
    if (status == BV_OK) {
        *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    }
    return status;
}

static enum bv_status make_tables(struct bv_journal *journal, struct bv_error *error)
{
    char hash[BV_DIGEST_TEXT_SIZE], insert[300];
    journal_first_hash(hash);
    (void)snprintf(insert, sizeof(insert), "INSERT INTO chain VALUES(1,0,'%s',0,'%s');PRAGMA user_version=%d;", hash, hash, JOURNAL_FORMAT);
    enum bv_status status = journal_exec(journal, "PRAGMA journal_mode=WAL", error);
    if (status == BV_OK) {
        status = journal_begin(journal, true, error);
    }
    if (status != BV_OK) {
        return status;
    }
    status = journal_exec(journal, schema_sql, error);
    if (status == BV_OK) {
        status = journal_exec(journal, insert, error);
    }
    return journal_end(journal, status, error);
}

/* Several processes may come to an empty directory at once: one makes the tables, the others wait for it. */
static enum bv_status make_once(struct bv_journal *journal, struct bv_error *error)
{
    const int r = bv_lock_take(journal->live_fd, JOURNAL_WRITER, true);
    if (r < 0) {
        return bv_fail_sys(error, journal->dir, r, "locking the journal");
    }
    int64_t version = 0;
    enum bv_status status = read_number(journal, "PRAGMA user_version", &version, error);
    journal->writing = true; /* journal_end() drops the lock */
    if (status == BV_OK && version == 0) {
        status = make_tables(journal, error);
    }
    bv_lock_drop(journal->live_fd, JOURNAL_WRITER);
    journal->writing = false;
    return status;
}

static enum bv_status check_format(struct bv_journal *journal, struct bv_error *error)
{
    int64_t version = 0, magic = 0;
    enum bv_status status = read_number(journal, "PRAGMA user_version", &version, error);
    if (status == BV_OK && version == 0) {
        status = make_once(journal, error);
        version = JOURNAL_FORMAT;
    }
    if (status == BV_OK) {
        status = read_number(journal, "PRAGMA application_id", &magic, error);
    }
    if (status == BV_OK && (magic != JOURNAL_MAGIC || version != JOURNAL_FORMAT)) {
        return bv_fail(error, BV_E_CORRUPT, journal->dir, JOURNAL_FILE " is no journal of format %d", JOURNAL_FORMAT);
    }
    return status;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    sqlite3_vfs *own = ((struct journal_vfs *)(void *)vfs)->own;
    int there = 0;
    if ((flags & SQLITE_OPEN_WAL) && name && own->xAccess(own, name, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK && there) {
        flags &= ~SQLITE_OPEN_CREATE;
    }
    return own->xOpen(own, name, file, flags, ret_flags);
}

/* Registered under a name that no other journal has, and not as the default: other users of SQLite in this process see nothing of it. */
static int make_vfs(struct bv_journal *journal)
{
    journal->vfs.own = sqlite3_vfs_find(NULL);
    if (!journal->vfs.own) {
        return SQLITE_CANTOPEN;
    }
    journal->vfs.vfs = *journal->vfs.own;
    journal->vfs.vfs.pNext = NULL;
    journal->vfs.vfs.xOpen = open_file;
    (void)snprintf(journal->vfs.name, sizeof(journal->vfs.name), "bvisor-%p", (void *)journal);
    journal->vfs.vfs.zName = journal->vfs.name;
    return sqlite3_vfs_register(&journal->vfs.vfs, 0);
}

static enum bv_status open_database(struct bv_journal *journal, struct bv_error *error)
{
    char path[PATH_MAX + sizeof(JOURNAL_FILE) + 1];
    (void)snprintf(path, sizeof(path), "%s/%s", journal->dir, JOURNAL_FILE);
    int code = make_vfs(journal);
    if (code == SQLITE_OK) {
        code = sqlite3_open_v2(path, &journal->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE,
                               journal->vfs.name);
    }
    if (!journal->db) {
        return bv_fail_nomem(error);
    }
    if (code == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(journal->db, 1);
        code = sqlite3_busy_timeout(journal->db, BUSY_MILLIS);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(journal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    if (code != SQLITE_OK) {
        return journal_fail(journal, code, "opening", error);
    }
    /* A small log: whoever opens the journal first reads it whole. */
    return journal_exec(journal, "PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=128;PRAGMA trusted_schema=0", error);
}

static enum bv_status open_all(struct bv_journal *journal, const char *state_dir, bool make, struct bv_error *error)
{
    int r = state_dir[0] == '/' ? bv_state_dir(state_dir, make, journal->dir) : -EINVAL;
    if (r == -EINVAL || r == -EPERM || r == -EACCES) {
        return bv_fail(error, BV_E_INVALID, state_dir, "%s",
                       r == -EINVAL  ? "the state directory must be an absolute path"
                       : r == -EPERM ? "the state directory belongs to another user"
                                     : "others may write to the state directory, so its journal proves nothing");
    }
    if (r < 0) {
        return bv_fail_sys(error, state_dir, r, make ? "making the state directory" : "opening the state directory");
    }
    r = make ? bv_state_touch(journal->dir, JOURNAL_FILE) : 0;
    if (r == 0) {
        journal->live_fd = bv_state_file(journal->dir, JOURNAL_LIVE, true);
        r = journal->live_fd < 0 ? journal->live_fd : 0;
    }
    if (r < 0) {
        return bv_fail_sys(error, journal->dir, r, "opening the journal");
    }
    enum bv_status status = open_database(journal, error);
    return status == BV_OK ? check_format(journal, error) : status;
}

static enum bv_status open_journal(const char *state_dir, bool make, struct bv_journal **ret_journal, struct bv_error *error)
{
    struct bv_journal *journal = calloc(1, sizeof(*journal));
    if (!journal || pthread_mutex_init(&journal->lock, NULL) != 0) {
        free(journal);
        return bv_fail_nomem(error);
    }
    journal->live_fd = -EBADF;
    journal->sys = &bv_sys_host;
    enum bv_status status = open_all(journal, state_dir, make, error);
    if (status != BV_OK) {
        bv_journal_free(journal);
        return status;
    }
    *ret_journal = journal;
    return BV_OK;
}

enum bv_status bv_journal_open(const char *state_dir, struct bv_journal **ret_journal, struct bv_error *error)
{
    if (!state_dir || !ret_journal) {
        return bv_fail(error, BV_E_INVALID, "", "a directory and a place for the journal are needed");
    }
    return open_journal(state_dir, true, ret_journal, error);
}

enum bv_status bv_journal_open_existing(const char *state_dir, struct bv_journal **ret_journal, struct bv_error *error)
{
    if (!state_dir || !ret_journal) {
        return bv_fail(error, BV_E_INVALID, "", "a directory and a place for the journal are needed");
    }
    const int there = bv_state_exists(state_dir, JOURNAL_FILE);
    if (there == 0 || there == -ENOTDIR) {
        *ret_journal = NULL;
        return BV_OK;
    }
    return there < 0 ? bv_fail_sys(error, state_dir, there, "looking for a journal") : open_journal(state_dir, false, ret_journal, error);
}

void bv_journal_free(struct bv_journal *journal)
{
    if (!journal) {
        return;
    }
    (void)sqlite3_close(journal->db); /* no statement outlives its call */
    if (journal->vfs.own) {
        (void)sqlite3_vfs_unregister(&journal->vfs.vfs);
    }
    while (journal->held) {
        struct held *held = journal->held;
        journal->held = held->next;
        free(held);
    }
    bv_cleanup_fd(&journal->live_fd);
    (void)pthread_mutex_destroy(&journal->lock);
    free(journal);
}

const char *bv_journal_directory(const struct bv_journal *journal)
{
    return journal->dir;
}

bool bv_journal_owns_fd(const struct bv_journal *journal, int fd)
{
    static const char *const files[] = { JOURNAL_FILE, JOURNAL_FILE "-wal", JOURNAL_FILE "-shm", JOURNAL_LIVE };
    for (size_t i = 0; journal && i < BV_COUNT(files); i++) {
        if (bv_state_is_file(journal->dir, files[i], fd)) {
            return true;
        }
    }
    return false;
}
