/* bvisor/host.h - what outlives a run: the host's journal of attempts, and what settles those that a crash cut off.
 *
 * A journal is one SQLite file in a state directory. Its events are appended, never changed, and each holds the hash of the one before it
 * (docs/format-journal.md). An event is on the disk when the call that appends it returns BV_OK, and not there at all when it fails. Any number
 * of processes and threads may use one journal. CONTRACT.md 11. */
#ifndef BVISOR_HOST_H
#define BVISOR_HOST_H

#include <bvisor/artifacts.h>
#include <bvisor/backend.h>
#include <bvisor/report.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bv_event_kind {
    BV_EVENT_STARTED = 0,     /* {plan_id, backend, exe, supervisor}; its document is the plan. Durable before the workload exists */
    BV_EVENT_REPORT = 1,      /* {outcome, exit_status, body_hash}; its document is the sealed report */
    BV_EVENT_DISPOSITION = 2, /* {decided: commit|discard, state: decided|applied|failed, detail} */
    BV_EVENT_RECOVERY = 3,    /* {settled: completed|rolled_back|canonical_refusal, swept: [...]} */
    BV_EVENT_RETENTION = 4,   /* {through_seq, through_hash, dropped}: what is older was dropped; of no attempt */
};
#define BV_EVENT_KIND_COUNT 5

struct bv_event { /* texts live until the function that was given it returns */
    uint64_t seq;             /* 1, 2, 3 ...: without a gap */
    enum bv_event_kind kind;
    const char *attempt;      /* 32 hex digits; "" for BV_EVENT_RETENTION */
    const char *at;           /* RFC 3339, UTC: evidence only, nothing is decided by it */
    const char *text;         /* the event, canonical "bvisor.event/1": these bytes were hashed */
    const char *hash;         /* "sha256:..." of text */
    const char *document;     /* plan or report; NULL if the event has none or it was not asked for */
};
/* false ends the walk. */
typedef bool bv_event_fn(void *context, const struct bv_event *event);

struct bv_journal; /* thread-safe */

/* Opens the journal of a state directory, and makes both if they are not there: directory 0700, files 0600. BV_E_INVALID: the path is not absolute,
 * or the directory belongs to another user or may be written by others; BV_E_SYS: it cannot be made or written; BV_E_CORRUPT: what is there
 * is no journal, or of another version; BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_open(const char *state_dir, struct bv_journal **ret_journal, struct bv_error *error);
/* The same, only to read what is there. *ret_journal is NULL, and the status BV_OK, when nothing is. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_open_existing(const char *state_dir, struct bv_journal **ret_journal, struct bv_error *error);
/* bv_journal_free(NULL) does nothing. */
BV_API void bv_journal_free(struct bv_journal *journal);
/* The directory it was opened in, all symlinks resolved; lives as long as the journal. */
BV_API const char *bv_journal_directory(const struct bv_journal *journal);

/* Appends an event of an attempt in one transaction; payload: a canonical JSON object; document: a plan or report, or NULL. BV_OK: it is durable.
 * BV_E_SYS (disk full, I/O error ...), BV_E_NOMEM, BV_E_INVALID (not canonical), BV_E_STATE (the attempt's events do not allow it: a second
 * start, a second end, a disposition that was never decided): nothing was appended. BV_E_CORRUPT: the journal is damaged. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_append(struct bv_journal *journal, const char *attempt, enum bv_event_kind kind, const char *payload,
                                                      const char *document, struct bv_error *error);

/* One line of a list: an attempt and how far it came. */
struct bv_attempt_view {
    const char *attempt, *started_at;
    const char *state;    /* "running", "interrupted" (no supervisor, no end), an outcome, "rolled_back" or "canonical_refusal" */
    const char *disposition; /* "commit decided", "discard applied" ...; "" without one */
    const char *exe;      /* the workload, as the plan names it */
};
typedef bool bv_attempt_fn(void *context, const struct bv_attempt_view *view);
/* The newest attempts first, at most `limit` (0: all). BV_E_SYS, BV_E_CORRUPT, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_list(struct bv_journal *journal, uint64_t limit, bv_attempt_fn *fn, void *context, struct bv_error *error);
/* The events of one attempt, oldest first, with documents. attempt: its id, or at least four of its first digits. BV_E_INVALID: no attempt
 * or several begin so. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_show(struct bv_journal *journal, const char *attempt, bv_event_fn *fn, void *context, struct bv_error *error);
/* Every event, oldest first, with documents, as of one moment. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_export(struct bv_journal *journal, bv_event_fn *fn, void *context, struct bv_error *error);

struct bv_journal_head { uint64_t seq, first_seq; /* 0: the journal is empty */ char hash[72]; };
/* Recomputes everything: the file's structure, each event, the chain, documents, the tables that only repeat the chain. BV_OK: *ret_head.
 * BV_E_CORRUPT: place and text name the first event that is wrong. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_verify(struct bv_journal *journal, struct bv_journal_head *ret_head, struct bv_error *error);
/* The hash of the event `seq` (0: the newest), for a signature over the journal as of it. BV_E_INVALID: there is none. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_head(struct bv_journal *journal, uint64_t seq, struct bv_journal_head *ret_head, struct bv_error *error);
/* Drops the oldest events: those before `before` (RFC 3339; NULL: no bound) and, after that, until at most max_bytes are in use (UINT64_MAX: no
 * bound). What is not settled, and everything after it, stays. An event says what was dropped, so the rest still verifies. */
BV_API BV_MUST_CHECK enum bv_status bv_journal_retain(struct bv_journal *journal, const char *before, uint64_t max_bytes, uint64_t *ret_dropped,
                                                      struct bv_error *error);

/* Has every disposition of the store's calls recorded in the journal, which must outlive the store's use; of attempts that the journal does not know
 * nothing is recorded. In place of bv_store_set_events(). NULL: nothing is recorded. A run that is recorded does so by itself. */
BV_API void bv_store_record_in(struct bv_store *store, struct bv_journal *journal);

/* ---- recovery ---- */

struct bv_recovered { /* texts live until the function returns */
    const char *attempt;
    const char *settled; /* completed, rolled_back, canonical_refusal; cleared: nothing was open, or nothing recorded, but something of it was left */
    const char *swept;   /* canonical JSON list of what was found and removed or settled; with dry_run: would be */
};
typedef bool bv_recovered_fn(void *context, const struct bv_recovered *recovered);
/* Settles every attempt that has no end, or a disposition without an end, and no living supervisor: sweeps what is left of it on the machine,
 * finishes or undoes its commit, then records how it ended; and clears what is staged of attempts that nobody can come back to. Beside running
 * attempts, other recoveries and its own repetition it changes nothing that is not its own. journal: NULL when there is none. store: NULL for
 * the one in the journal's directory, if it is there. backend: sweeps; NULL: none is swept, for a journal of simulated runs. fn may be NULL.
 * BV_E_SYS, BV_E_CORRUPT, BV_E_NOMEM: of what could not be settled the first; everything else was. */
BV_API BV_MUST_CHECK enum bv_status bv_recover(struct bv_journal *journal, struct bv_store *store, struct bv_backend *backend, bool dry_run,
                                               bv_recovered_fn *fn, void *context, struct bv_error *error);

#ifdef __cplusplus
}
#endif
#endif
