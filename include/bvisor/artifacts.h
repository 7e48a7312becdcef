/* bvisor/artifacts.h - what staged runs wrote: kept apart from the host's files until somebody decides. CONTRACT.md 4.
 *
 * A store is the part of a state directory that holds quarantines, one per attempt. A run on a backend that was told where to stage
 * (bv_backend_stage_in()) makes one, seals its list of changes into the report, and bv_run_settle() commits or drops it as the spec says; what is
 * kept is for the calls below. Several processes may use one state directory; a quarantine is worked on by one of them at a time. */
#ifndef BVISOR_ARTIFACTS_H
#define BVISOR_ARTIFACTS_H

#include <bvisor/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bv_store;

/* Opens a state directory (absolute path, no symbolic link in it), which is made with its missing parents if it does not exist, for its owner
 * alone. The store is the caller's. BV_E_INVALID: not absolute, or passes through a link; BV_E_SYS, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_store_open(const char *state_dir, struct bv_store **ret_store, struct bv_error *error);
/* NULL is a no-op. No run, backend or call may use the store any more. */
BV_API void bv_store_free(struct bv_store *store);

/* Told of dispositions, in the thread of the call that disposes. Each must have made its record durable when it returns BV_OK. decided: anything else
 * and nothing is moved. settled, how it ended: anything else, and what tells bv_store_settle() that it is to be told again stays. Both may be told the
 * same thing again by a settling after a crash. */
struct bv_store_events {
    void *context;
    enum bv_status (*decided)(void *context, const char *attempt, const char *decision /* "commit", "discard" */, struct bv_error *error);
    enum bv_status (*settled)(void *context, const char *attempt, const char *decision, bool applied, const char *detail, struct bv_error *error);
};
/* Copied; NULL: nobody is told. Before the store is used. */
BV_API void bv_store_set_events(struct bv_store *store, const struct bv_store_events *events);

enum bv_store_state {
    BV_STORE_LIVE = 0,     /* a process works on it: a run, or a call of these */
    BV_STORE_UNSEALED = 1, /* its run never came to a list of changes: nothing of it can be kept */
    BV_STORE_KEPT = 2,     /* waits for a decision */
    BV_STORE_DECIDED = 3,  /* a commit was cut off before everything was ready: it will be undone */
    BV_STORE_PREPARED = 4, /* a commit was cut off while names were exchanged: it will be finished, or undone wholly */
    BV_STORE_APPLIED = 5,  /* a commit was done and only its remains were not cleared */
    BV_STORE_LISTED = 6,   /* its run ended and was cut off before it was kept or decided about */
    BV_STORE_DISCARDING = 7, /* a discard was cut off: it will be finished */
};
/* False ends the listing. attempt: 32 hexadecimal digits. */
typedef bool bv_store_fn(void *context, const char *attempt, enum bv_store_state state);
/* Names every quarantine, in the order of attempt ids. Looks only. BV_E_SYS, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_store_each(struct bv_store *store, bv_store_fn *fn, void *context, struct bv_error *error);

enum bv_settled { BV_SETTLED_NOTHING = 0, BV_SETTLED_LIVE = 1, BV_SETTLED_DROPPED = 2, BV_SETTLED_UNDONE = 3, BV_SETTLED_APPLIED = 4 };
/* Settles what a crash cut off: see enum bv_store_state; one that is only listed is dropped. NOTHING: there was nothing to settle; a kept one is
 * never touched. Idempotent, and safe beside live runs. BV_E_INVALID: no such attempt; BV_E_CORRUPT: its records contradict each other, and nothing
 * was changed; BV_E_SYS: something of it could not be done, and the same call may be tried again. */
BV_API BV_MUST_CHECK enum bv_status bv_store_settle(struct bv_store *store, const char *attempt, enum bv_settled *ret_settled, struct bv_error *error);

enum bv_change { BV_CHANGE_ADDED = 0, BV_CHANGE_MODIFIED = 1, BV_CHANGE_REMOVED = 2 };
enum bv_artifact_kind { BV_ARTIFACT_FILE = 0, BV_ARTIFACT_DIRECTORY = 1, BV_ARTIFACT_SYMLINK = 2, BV_ARTIFACT_SPECIAL = 3 };
struct bv_artifact { /* one changed path; all texts live as long as the call that gives them */
    const char *artifact_id;   /* "sha256:...", of attempt, root, path, change and content hash */
    const char *root;          /* absolute */
    const char *path;          /* below the root, any bytes but NUL */
    enum bv_change change;
    enum bv_artifact_kind kind; /* of what is staged; of what was there if it was removed */
    bool replaces;              /* something was at this path, of base_kind */
    enum bv_artifact_kind base_kind;
    uint64_t size;             /* bytes of a file, of a link's text; 0 otherwise */
    uint32_t mode;             /* permission bits; what a commit gives is without set-id and sticky bits */
    const char *content_hash;  /* "sha256:..." of a file's bytes or a link's text; NULL: there is none, or it was too large to be hashed */
};
BV_API const char *bv_change_name(enum bv_change change);               /* "added" ... */
BV_API const char *bv_artifact_kind_name(enum bv_artifact_kind kind);   /* "file" ... */
typedef bool bv_artifact_fn(void *context, const struct bv_artifact *artifact); /* false ends the listing */

/* What a call is about: paths as bvisor prints them, absolute or below a root; a directory means all below it. None: everything. */
struct bv_selection { const char *const *paths; size_t path_count; };

/* The changes of a kept attempt, parents before children. *ret_complete (may be NULL): false when the run changed more than is listed; such a one
 * is never committed whole. BV_E_INVALID: no such attempt, or a path of the selection names nothing in it; BV_E_STATE: it is not kept; BV_E_CORRUPT: its
 * list was changed; BV_E_SYS, BV_E_NOMEM. The other calls say the same in the same cases. */
BV_API BV_MUST_CHECK enum bv_status bv_artifacts_list(struct bv_store *store, const char *attempt, const struct bv_selection *selection,
                                                      bv_artifact_fn *fn, void *context, bool *ret_complete, struct bv_error *error);
/* Unified text diffs of the selection against the host's files as they are now, written to fd; what is no text is named. */
BV_API BV_MUST_CHECK enum bv_status bv_artifacts_diff(struct bv_store *store, const char *attempt, const struct bv_selection *selection, int fd,
                                                      struct bv_error *error);
/* A pax tar of the selection's added and modified files, directories and links, written to fd. Names begin with the root's without its slash. */
BV_API BV_MUST_CHECK enum bv_status bv_artifacts_export(struct bv_store *store, const char *attempt, const struct bv_selection *selection, int fd,
                                                        struct bv_error *error);

struct bv_commit_options {
    enum bv_durability durability;
    bool overwrite; /* also where the host's file is no longer what the run started from */
};
struct bv_committed {
    uint64_t applied, skipped; /* skipped: special files, which are never promoted */
    bool unrecorded;           /* set when the call fails because all of it is committed and that could not be recorded: bv_store_settle() tells it again */
};
/* Puts the selection into its roots: all of it or nothing, whatever happens on the way; after a crash bv_store_settle() finishes it or undoes it.
 * BV_E_STATE with the path in error->place: the host changed it since (or: it cannot be committed, as error->text says). *ret_committed may be NULL. */
BV_API BV_MUST_CHECK enum bv_status bv_artifacts_commit(struct bv_store *store, const char *attempt, const struct bv_selection *selection,
                                                        const struct bv_commit_options *options, struct bv_committed *ret_committed, struct bv_error *error);
/* Drops the selection; with nothing left the quarantine goes. */
BV_API BV_MUST_CHECK enum bv_status bv_artifacts_discard(struct bv_store *store, const char *attempt, const struct bv_selection *selection,
                                                         struct bv_error *error);

#ifdef __cplusplus
}
#endif
#endif
