/* stage/store.h - one state directory's quarantines: made, locked, looked at, dropped.
 *
 * STATE/quarantine/bvisor-<attempt>/ holds
 *     owner      locked (flock) by the process that works on it, as long as that process lives: the lock alone tells dead from live
 *     meta       {"attempt","roots":[{"dev","ino","path"}],"schema":"bvisor.quarantine/1","started_nanos","started_seconds"}
 *     rN/        one per staged root: upper/ (what the run wrote), work/ (overlayfs's own)
 *     delta      the list of changes (manifest.h); without it nothing of the run can be kept
 *     kept       empty: the run was over and its host decided to keep this; what has only a list is nobody's
 *     discarding a discard was decided: as `decision`; from here it goes forward
 *     decision   a commit was decided: {"durability","overwrite","paths","schema":"bvisor.decision/1"}
 *     prepared   every new file stands beside its target; the inodes of old and new: from here a crashed commit goes forward
 *     applied    every name is exchanged; what is left is to clear up
 * In this order a commit writes them and in the opposite order it removes them, so that any of them standing says how far it came.
 * STATE/quarantine itself is locked for sharing while a quarantine is made, and exclusively while one without an owner is removed. */
#pragma once

#include <bvisor/artifacts.h>

#include <time.h>

#include "base/error.h"
#include "stage/manifest.h"

#define STAGE_DECISION_MAX_BYTES (4u << 20)

/* Called before every step that changes something on disk, by name. A test's may end the process or answer -errno, which the step then gives. */
typedef int stage_step_fn(void *context, const char *step);

struct bv_store {
    int fd;         /* STATE/quarantine */
    char *path;     /* absolute, of STATE/quarantine */
    struct bv_store_events events;
    stage_step_fn *step; /* NULL but in tests */
    void *step_context;
};
int stage_step(const struct bv_store *store, const char *step);

struct stage_root { char *path; uint64_t dev, ino; };
struct stage_quarantine {
    struct bv_store *store;
    struct bv_store_events events; /* the store's, or those of the run that made it */
    char attempt[33];
    int fd, owner_fd;
    struct stage_root *roots;
    size_t root_count;
    struct timespec started; /* CLOCK_REALTIME, of its making */
};

bool stage_attempt_is_good(const char *attempt);

/* Makes a quarantine for these roots, which must be directories, and locks it. A root's upper directory has that root's mode and owner. */
BV_MUST_CHECK enum bv_status stage_create(struct bv_store *store, const char *attempt, const char *const *roots, size_t root_count,
                                          struct stage_quarantine **ret_quarantine, struct bv_error *error);
/* Opens and locks one that is there, whatever its state; the roots are read from its meta. BV_E_INVALID: there is none; BV_E_STATE: somebody works
 * on it; BV_E_CORRUPT: its meta is unreadable. */
BV_MUST_CHECK enum bv_status stage_open(struct bv_store *store, const char *attempt, struct stage_quarantine **ret_quarantine, struct bv_error *error);
/* Says that it is kept. durable: on the disk when it returns. 0 or -errno. */
int stage_keep(const struct stage_quarantine *quarantine, bool durable);
/* Unlocks. NULL is a no-op. */
void stage_close(struct stage_quarantine *quarantine);
/* By what stands in it; the lock is held. */
enum bv_store_state stage_state(const struct stage_quarantine *quarantine);
/* Removes it and everything in it; it is closed afterwards too, whatever is answered. 0 or -errno. */
int stage_drop(struct stage_quarantine *quarantine);
/* Whether there is one of this attempt, and its state. *ret_state is set only if there is. */
BV_MUST_CHECK enum bv_status stage_look(struct bv_store *store, const char *attempt, bool *ret_there, enum bv_store_state *ret_state,
                                        struct bv_error *error);
/* Removes what of a quarantine was left without an owner file, if nobody is making one. 0 or -errno. */
int stage_drop_orphan(struct bv_store *store, const char *attempt);
/* rN/upper, opened. -errno. */
int stage_open_upper(const struct stage_quarantine *quarantine, size_t root);
/* The host's root, opened if it is still the directory that was staged; -ESTALE if it is another. */
int stage_open_root(const struct stage_quarantine *quarantine, size_t root);
