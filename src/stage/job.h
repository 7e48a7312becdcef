/* stage/job.h - one disposition at work: what is selected, the trees it moves between, and the passes over the list of changes.
 *
 * A commit goes over the list several times, each time in the same order: prepare (make every new thing under a temporary name beside its target,
 * compare what the host has with what the run began from), switch (exchange the names), and clear (remove what was exchanged). Between the passes
 * stand the files of store.h, each durable before the next pass begins. Undo goes over the same list. A pass holds one change in memory.
 *
 * A change is a step of its own, or it lies inside another's: below a directory that is built as a whole, or below one that goes as a whole. */
#pragma once

#include "stage/record.h"
#include "stage/store.h"

enum stage_role {
    STAGE_OWN,   /* a step of its own */
    STAGE_INNER, /* to be made inside the directory that is being built */
    STAGE_GONE,  /* goes with the directory above it */
};

struct stage_top { /* the newest step whose change holds other changes; type 0: none */
    char type;          /* STAGE_BUILD, or 0 with gone */
    bool gone;
    uint32_t root;
    char *path;         /* of the change */
    uint64_t ordinal, below; /* below: changes seen inside it that go */
};

#define STAGE_SYNCS_MAX 32u /* from here on one sync of everything on the file system is sooner done, whoever else writes to it */

struct stage_job {
    struct stage_quarantine *quarantine;
    struct bv_selection selection;
    enum bv_durability durability;
    bool overwrite;
    int *roots, *uppers;      /* per root, opened when first needed; -EBADF: not yet */
    struct stage_top top;
    struct bv_committed counts;
    struct bv_error *error;
    bool damaged;             /* a record or the list could not be read in a pass: nothing may be moved by them */
    bool complete;            /* of the list, after a pass */
    bool *batched;            /* per root: its file system is synced as a whole */
    unsigned synced;          /* things that were synced one by one */
    bool failed_sync;         /* a file system could not say that it had written; told under best effort only */
};

/* BV_E_NOMEM. The selection is the caller's and must outlive the job. */
BV_MUST_CHECK enum bv_status stage_job_init(struct stage_job *job, struct stage_quarantine *quarantine, const struct bv_selection *selection,
                                            struct bv_error *error);
void stage_job_done(struct stage_job *job);
/* 0, or -errno with job->error filled. */
int stage_job_root(struct stage_job *job, uint32_t root);
int stage_job_upper(struct stage_job *job, uint32_t root);
/* The directory that holds the entry's path in the host's tree, as O_PATH. -errno, job->error not filled. */
int stage_job_parent(struct stage_job *job, const struct stage_entry *entry, const char **ret_name);
/* job->error names the entry's absolute path; returns result, which is an -errno. */
int stage_job_fail(struct stage_job *job, const struct stage_entry *entry, int result, const char *what);
/* The host's side is not what the run began from: -EEXIST, and job->error says BV_E_STATE, the path, and why. */
int stage_job_conflict(struct stage_job *job, const struct stage_entry *entry, const char *why);

#define STAGE_TEMPORARY_BYTES 72
void stage_job_temporary(const struct stage_job *job, uint64_t ordinal, char name[STAGE_TEMPORARY_BYTES]);

/* How far the selection takes a path in: not, as a directory on the way to what is selected, or whole. */
enum stage_taken { STAGE_NOT, STAGE_ON_THE_WAY, STAGE_TAKEN };
enum stage_taken stage_taken(const struct bv_selection *selection, const char *root, const char *path);

/* One change that the job is about. record: NULL in a pass that goes without. 0 goes on, -errno ends the pass and is its result. In a pass without
 * records the visitor of an own step says by stage_job_open_top() that it holds others. */
typedef int stage_visit_fn(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                           const struct stage_record *record, void *context);
/* Goes over the list, beside it over `prepared` when with_records. 0 or -errno; -EBADMSG with job->error filled when either is damaged. */
int stage_job_pass(struct stage_job *job, bool with_records, stage_visit_fn *visit, void *context);
int stage_job_open_top(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_step_type type, bool gone);

/* commit.c, switch.c: the passes. 0 or -errno with job->error filled. */
int stage_prepare(struct stage_job *job, int records_fd);
int stage_switch(struct stage_job *job);
int stage_clear(struct stage_job *job);   /* after a switch, or after undoing one: what the temporary names hold is not wanted any more */
int stage_undo(struct stage_job *job);    /* of a switch that went part of the way */
int stage_withdraw(struct stage_job *job); /* of a prepare that went part of the way: there are no records yet */
int stage_sync(struct stage_job *job);    /* the directories in which names were made or exchanged; nothing under `atomic` */
int stage_verify(struct stage_job *job);  /* whether all that was prepared is still what the list says, wherever it stands now */

/* The decision that stands in a quarantine, read into a job. The strings live until stage_decision_done(). */
struct stage_decision { json_t *tree; const char **paths; char **decoded; size_t count; };
int stage_decision_read(struct stage_quarantine *quarantine, const char *name, struct stage_decision *ret_decision, struct bv_selection *ret_selection,
                        enum bv_durability *ret_durability, bool *ret_overwrite);
int stage_decision_parse(const char *text, size_t size, struct stage_decision *ret_decision, struct bv_selection *ret_selection,
                         enum bv_durability *ret_durability, bool *ret_overwrite);
int stage_decision_write(const struct stage_job *job, const char *name /* "decision", "discarding" */);
void stage_decision_done(struct stage_decision *decision);

/* dispose.c. These take the quarantine over, whatever they answer. */
BV_MUST_CHECK enum bv_status stage_commit(struct stage_quarantine *quarantine, const struct bv_selection *selection,
                                          const struct bv_commit_options *options, struct bv_committed *ret_committed, struct bv_error *error);
BV_MUST_CHECK enum bv_status stage_discard(struct stage_quarantine *quarantine, const struct bv_selection *selection, struct bv_error *error);
/* Opens one that is kept. BV_E_STATE otherwise. */
BV_MUST_CHECK enum bv_status stage_open_kept(struct bv_store *store, const char *attempt, struct stage_quarantine **ret_quarantine,
                                             struct bv_error *error);
/* Every path of the job's selection is well formed and names something. */
BV_MUST_CHECK enum bv_status stage_check_selection(struct stage_job *job);
