/* stage/dispose.c - a commit from its decision to its end, what recovery makes of one that was cut off, and discarding.
 *
 * Order of a commit, each line durable before the next begins:
 *     list, decision          nothing outside the quarantine has changed
 *     (the journal's word)    bv_store_events.decided
 *     prepared                new things stand under temporary names; the host's own are untouched
 *     applied                 all names are exchanged; the old things stand under the temporary names
 *     (the journal's word)    bv_store_events.settled
 *     (the end)               temporary names are gone, then the records in the opposite order, or the whole quarantine
 * A failure before `applied` undoes everything and leaves the quarantine as it was before the decision. A crash leaves one of these states, and
 * bv_store_settle() goes on from there: forward from `prepared`, back before it. A discard has one such file, `discarding`, and always goes
 * forward. The end of a disposition is told before the last file that says so goes: told twice it may be, never not at all. */
#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define BUSY_MILLIS 100

static int step(const struct stage_job *job, const char *name)
{
    return stage_step(job->quarantine->store, name);
}

static int fail_record(struct stage_job *job, const char *name, int result)
{
    (void)bv_fail_sys(job->error, job->quarantine->attempt, result, "writing the record `%s` of attempt %s", name, job->quarantine->attempt);
    return result;
}

static bool stands(const struct stage_job *job, const char *name)
{
    struct stat st;
    return fstatat(job->quarantine->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int drop_record(struct stage_job *job, const char *name)
{
    int result = stands(job, name) ? step(job, "drop record") : 0;
    if (result == 0 && unlinkat(job->quarantine->fd, name, 0) != 0 && errno != ENOENT) {
        result = -errno;
    }
    return result < 0 ? fail_record(job, name, result) : 0;
}

static int sync_quarantine(struct stage_job *job)
{
    return fsync(job->quarantine->fd) == 0 ? 0 : fail_record(job, "decision", -errno);
}

/* The list may be younger than the disk: it is made durable with the decision that speaks of it. */
static int write_decision(struct stage_job *job, const char *name)
{
    const int fd = tree_open(job->quarantine->fd, "delta", O_RDONLY, 0);
    int result = fd < 0 ? fd : step(job, "fsync delta");
    if (result == 0 && fsync(fd) != 0) {
        result = -errno;
    }
    bv_cleanup_fd(&fd);
    if (result == 0) {
        result = stage_decision_write(job, name);
    }
    return result < 0 ? fail_record(job, name, result) : 0;
}

/* Durable, and then under its name: `prepared` stands only whole. */
static int write_prepared(struct stage_job *job)
{
    const int fd = tree_open(job->quarantine->fd, "prepared.new", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        return fail_record(job, "prepared", fd);
    }
    int result = stage_prepare(job, fd);
    if (result == 0) {
        result = stage_sync(job);
    }
    if (result == 0) {
        result = step(job, "write prepared");
        if (result == 0 && (fsync(fd) != 0 || renameat(job->quarantine->fd, "prepared.new", job->quarantine->fd, "prepared") != 0 ||
                            fsync(job->quarantine->fd) != 0)) {
            result = -errno;
        }
        if (result < 0) {
            (void)fail_record(job, "prepared", result);
        }
    }
    bv_cleanup_fd(&fd);
    return result;
}

static int write_applied(struct stage_job *job)
{
    int result = stage_sync(job);
    if (result < 0) {
        return result;
    }
    result = step(job, "write applied");
    result = result == 0 ? tree_write_file(job->quarantine->fd, "applied", "", 0, true) : result;
    return result < 0 ? fail_record(job, "applied", result) : 0;
}

/* ---- back ---- */

/* Back to before the decision. The records go in the order that leaves a state which says what is still to do. */
static int go_back(struct stage_job *job)
{
    int result = stands(job, "prepared") ? stage_undo(job) : 0;
    if (result == 0) {
        result = stands(job, "prepared") ? stage_clear(job) : stage_withdraw(job);
    }
    if (result == 0) {
        result = drop_record(job, "prepared.new");
    }
    if (result == 0) {
        result = drop_record(job, "prepared");
    }
    if (result == 0) {
        result = drop_record(job, "decision");
    }
    return result == 0 ? sync_quarantine(job) : result;
}

/* ---- the end ---- */

struct remainder { struct stage_writer writer; const struct bv_selection *selection; };

static int copy_rest(const struct stage_job *job, struct stage_reader *list, struct remainder *rest)
{
    struct stage_entry entry;
    int got;
    while ((got = stage_reader_next(list, &entry)) > 0) {
        if (stage_taken(&job->selection, list->header.roots[entry.root], entry.path) != STAGE_TAKEN) {
            stage_writer_add(&rest->writer, &entry);
        }
    }
    return got;
}

/* Writes the list without what is done. *ret_rest: how many changes it still has. Done twice it changes nothing. */
static int write_rest(struct stage_job *job, uint64_t *ret_rest)
{
    struct stage_file lines;
    struct stage_reader list = { .line = stage_file_line, .source = &lines };
    struct remainder rest = { 0 };
    const int from = tree_open(job->quarantine->fd, "delta", O_RDONLY | O_NONBLOCK, 0);
    int result = from < 0 ? from : step(job, "write rest"), to = -EBADF;
    stage_file_init(&lines, from);
    result = result == 0 ? stage_reader_begin(&list) : result;
    if (result == 0) {
        to = tree_open(job->quarantine->fd, "delta.new", O_RDWR | O_CREAT | O_TRUNC, 0600);
        result = to < 0 ? to : 0;
    }
    if (result == 0) {
        stage_writer_init(&rest.writer, to, &list.header);
        result = copy_rest(job, &list, &rest);
        *ret_rest = rest.writer.entries;
        const int written = stage_writer_done(&rest.writer, list.complete);
        result = result < 0 ? result : written;
    }
    if (result == 0 && (fsync(to) != 0 || renameat(job->quarantine->fd, "delta.new", job->quarantine->fd, "delta") != 0 ||
                        fsync(job->quarantine->fd) != 0)) {
        result = -errno;
    }
    stage_reader_done(&list);
    stage_file_done(&lines);
    bv_cleanup_fd(&from);
    bv_cleanup_fd(&to);
    return result < 0 ? fail_record(job, "delta", result) : 0;
}

/* What is left of the quarantine once `applied` stands. Closes it in any case. */
static int finish(struct stage_job *job)
{
    uint64_t rest = 0;
    const bool clears = stands(job, "delta") && stands(job, "prepared");
    int result = clears ? stage_clear(job) : 0;
    if (result < 0) { /* what failed for a moment must not leave names in the host's tree until the next recovery */
        result = stage_clear(job);
    }
    if (result == 0 && job->selection.path_count > 0 && stands(job, "delta") && stands(job, "decision")) {
        result = drop_record(job, "prepared"); /* it numbers the lines of the list that is replaced now */
        result = result == 0 ? write_rest(job, &rest) : result;
    }
    if (result == 0 && rest > 0) {
        /* The decision last: it says which part this was about, and `applied` without it would mean all. Alone it is a commit that never began. */
        result = drop_record(job, "applied");
        return result == 0 ? drop_record(job, "decision") : result;
    }
    if (result == 0) {
        struct stage_quarantine *quarantine = job->quarantine;
        stage_job_done(job);
        result = stage_drop(quarantine);
        job->quarantine = NULL;
        if (result < 0) {
            (void)bv_fail_sys(job->error, "", result, "removing what was committed from the quarantine");
        }
    }
    return result;
}

static void close_job(struct stage_job *job)
{
    struct stage_quarantine *quarantine = job->quarantine;
    if (quarantine) {
        stage_job_done(job);
        stage_close(quarantine);
        job->quarantine = NULL;
    }
}

/* ---- commit ---- */

static enum bv_status status_of(const struct stage_job *job, int result)
{
    return result == 0 ? BV_OK : job->error && job->error->status != BV_OK ? job->error->status : result == -ENOMEM ? BV_E_NOMEM : BV_E_SYS;
}

struct listener { struct bv_store_events events; char attempt[33]; }; /* outlives the quarantine */

static struct listener listener_of(const struct stage_quarantine *quarantine)
{
    struct listener listener = { .events = quarantine->events };
    memcpy(listener.attempt, quarantine->attempt, sizeof listener.attempt);
    return listener;
}

static enum bv_status tell(const struct listener *listener, const char *decision, bool applied, const char *detail, struct bv_error *error)
{
    const struct bv_store_events *events = &listener->events;
    return events->settled ? events->settled(events->context, listener->attempt, decision, applied, detail, error) : BV_OK;
}

static enum bv_status ask(const struct listener *listener, const char *decision, struct bv_error *error)
{
    const struct bv_store_events *events = &listener->events;
    return events->decided ? events->decided(events->context, listener->attempt, decision, error) : BV_OK;
}

/* Everything between decision and `applied`; on failure everything is as before, and that is told if the decision was. */
static enum bv_status carry_out(struct stage_job *job, const struct listener *listener)
{
    int result = write_decision(job, "decision");
    enum bv_status status = status_of(job, result);
    if (status == BV_OK) {
        status = ask(listener, "commit", job->error);
    }
    const bool decided = status == BV_OK;
    if (decided) {
        result = write_prepared(job);
        result = result == 0 ? stage_switch(job) : result;
        result = result == 0 ? write_applied(job) : result;
        status = status_of(job, result);
    }
    if (status != BV_OK) {
        /* If this fails too, what stands is a state that bv_store_settle() knows; the first failure is the one that is told. */
        struct bv_error first = *job->error, late = { 0 };
        const bool undone = go_back(job) == 0;
        *job->error = first;
        if (undone && decided) { /* what cannot be told now is told by a recovery, which finds a decision without an end */
            (void)tell(listener, "commit", false, first.text, &late);
        }
    }
    return status;
}

struct look { uint8_t *hit; };

/* Says which paths of the selection name something. */
static int visit_look(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                      const struct stage_record *record, void *context)
{
    struct look *look = context;
    (void)ordinal;
    (void)role;
    (void)record;
    for (size_t i = 0; i < job->selection.path_count; i++) {
        if (!look->hit[i]) {
            const struct bv_selection one = { &job->selection.paths[i], 1 };
            look->hit[i] = stage_taken(&one, job->quarantine->roots[entry->root].path, entry->path) == STAGE_TAKEN;
        }
    }
    return 0;
}

static enum bv_status check_paths(const struct bv_selection *selection, struct bv_error *error)
{
    for (size_t i = 0; selection && i < selection->path_count; i++) {
        const char *path = selection->paths[i], *relative = path && path[0] == '/' ? path + 1 : path;
        if (!path || !stage_path_is_good(relative, strlen(relative))) {
            return bv_fail(error, BV_E_INVALID, path, "%.160s: not a path as the list of artifacts prints them", path ? path : "NULL");
        }
    }
    return BV_OK;
}

enum bv_status stage_check_selection(struct stage_job *job)
{
    struct look look = { .hit = calloc(job->selection.path_count + 1, 1) };
    enum bv_status status = check_paths(&job->selection, job->error);
    if (!look.hit) {
        return bv_fail_nomem(job->error);
    }
    if (status == BV_OK && job->selection.path_count > 0) {
        status = status_of(job, stage_job_pass(job, false, visit_look, &look));
    }
    for (size_t i = 0; status == BV_OK && i < job->selection.path_count; i++) {
        if (!look.hit[i]) {
            status = bv_fail(job->error, BV_E_INVALID, job->selection.paths[i], "%.120s: nothing staged under attempt %s has this path",
                             job->selection.paths[i], job->quarantine->attempt);
        }
    }
    free(look.hit);
    return status;
}

enum bv_status stage_open_kept(struct bv_store *store, const char *attempt, struct stage_quarantine **ret_quarantine, struct bv_error *error)
{
    struct bv_error busy = { 0 };
    enum bv_status status = stage_open(store, attempt, ret_quarantine, &busy);
    for (int i = 0; status == BV_E_STATE && i < BUSY_MILLIS; i++) { /* a recovery that only looks has the lock for a moment */
        const struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
        busy = (struct bv_error){ 0 };
        status = stage_open(store, attempt, ret_quarantine, &busy);
    }
    if (status != BV_OK) {
        return bv_fail(error, status, busy.place, "%s", busy.text);
    }
    switch (stage_state(*ret_quarantine)) {
    case BV_STORE_KEPT: return BV_OK;
    case BV_STORE_UNSEALED:
        stage_close(*ret_quarantine);
        return bv_fail(error, BV_E_STATE, attempt, "the run of attempt %s was cut off before its changes were listed (bvisor recover drops them)",
                       attempt);
    case BV_STORE_LISTED:
        stage_close(*ret_quarantine);
        return bv_fail(error, BV_E_STATE, attempt, "the run of attempt %s was cut off before its changes were kept (bvisor recover settles it)", attempt);
    case BV_STORE_LIVE:
    case BV_STORE_DECIDED:
    case BV_STORE_PREPARED:
    case BV_STORE_DISCARDING:
    case BV_STORE_APPLIED: break;
    }
    stage_close(*ret_quarantine);
    return bv_fail(error, BV_E_STATE, attempt, "a commit or discard of attempt %s was cut off (bvisor recover finishes or undoes it)", attempt);
}

/* A list that says of itself that it is not all cannot be committed whole. */
static enum bv_status check_complete(struct stage_job *job)
{
    struct look look = { 0 };
    enum bv_status status = job->selection.path_count > 0 ? BV_OK : status_of(job, stage_job_pass(job, false, visit_look, &look));
    if (status == BV_OK && !job->complete && job->selection.path_count == 0) {
        status = bv_fail(job->error, BV_E_STATE, job->quarantine->attempt,
                         "the run of attempt %s changed more than could be listed: name the paths that are to be committed", job->quarantine->attempt);
    }
    return status;
}

/* All of it stands in the host's tree. Without a record of that the remains stay, so that a recovery finds what it is to tell. */
static enum bv_status tell_applied(struct stage_job *job, const struct listener *listener)
{
    struct bv_error why = { 0 };
    const enum bv_status status = tell(listener, "commit", true, "", &why);
    job->counts.unrecorded = status != BV_OK;
    return status == BV_OK ? BV_OK
                           : bv_fail(job->error, status, why.place, "it is committed, and that could not be recorded: %.90s (bvisor recover does it)",
                                     why.text);
}

enum bv_status stage_commit(struct stage_quarantine *quarantine, const struct bv_selection *selection, const struct bv_commit_options *options,
                            struct bv_committed *ret_committed, struct bv_error *error)
{
    struct stage_job job;
    struct bv_error own = { 0 };
    const struct listener listener = listener_of(quarantine);
    enum bv_status status = stage_job_init(&job, quarantine, selection, error ? error : &own);
    if (status != BV_OK) {
        stage_close(quarantine);
        return status;
    }
    job.durability = options->durability;
    job.overwrite = options->overwrite;
    status = stage_check_selection(&job);
    if (status == BV_OK) {
        status = check_complete(&job);
    }
    if (status == BV_OK) {
        status = carry_out(&job, &listener);
        if (status == BV_OK) {
            status = tell_applied(&job, &listener);
        }
        if (status == BV_OK) {
            struct bv_error late = { 0 };
            job.error = &late; /* it is committed: what is not cleared away now is cleared by the next recovery */
            (void)finish(&job);
        }
    }
    if (ret_committed && (status == BV_OK || job.counts.unrecorded)) {
        *ret_committed = job.counts;
    }
    close_job(&job);
    return status;
}

enum bv_status bv_artifacts_commit(struct bv_store *store, const char *attempt, const struct bv_selection *selection,
                                   const struct bv_commit_options *options, struct bv_committed *ret_committed, struct bv_error *error)
{
    static const struct bv_commit_options plain = { BV_DURABILITY_ATOMIC, false };
    struct stage_quarantine *quarantine;
    if (!store) {
        return bv_fail(error, BV_E_INVALID, "", "a store is needed");
    }
    if (options && (unsigned)options->durability > BV_DURABILITY_BEST_EFFORT) {
        return bv_fail(error, BV_E_INVALID, "durability", "no such durability");
    }
    const enum bv_status status = stage_open_kept(store, attempt, &quarantine, error);
    return status == BV_OK ? stage_commit(quarantine, selection, options ? options : &plain, ret_committed, error) : status;
}

/* ---- discard ---- */

/* From `discarding` on; done twice it changes nothing. Closes the job in any case. */
static enum bv_status finish_discard(struct stage_job *job, const struct listener *listener)
{
    uint64_t rest = 0;
    struct bv_error *error = job->error;
    int result = job->selection.path_count > 0 ? write_rest(job, &rest) : 0;
    if (result == 0 && rest == 0) {
        struct stage_quarantine *quarantine = job->quarantine;
        stage_job_done(job);
        job->quarantine = NULL;
        result = stage_drop(quarantine);
        return result < 0 ? bv_fail_sys(error, listener->attempt, result, "dropping what attempt %s staged", listener->attempt)
                          : tell(listener, "discard", true, "", error);
    }
    enum bv_status status = status_of(job, result);
    if (status == BV_OK) {
        status = tell(listener, "discard", true, "", error);
    }
    if (status == BV_OK) {
        status = status_of(job, drop_record(job, "discarding"));
    }
    close_job(job);
    return status;
}

enum bv_status stage_discard(struct stage_quarantine *quarantine, const struct bv_selection *selection, struct bv_error *error)
{
    struct stage_job job;
    struct bv_error own = { 0 };
    const struct listener listener = listener_of(quarantine);
    enum bv_status status = stage_job_init(&job, quarantine, selection, error ? error : &own);
    if (status != BV_OK) {
        stage_close(quarantine);
        return status;
    }
    status = stage_check_selection(&job);
    if (status == BV_OK) {
        status = status_of(&job, write_decision(&job, "discarding"));
    }
    if (status == BV_OK) {
        status = ask(&listener, "discard", job.error);
        if (status != BV_OK) {
            struct bv_error first = *job.error;
            (void)drop_record(&job, "discarding");
            *job.error = first;
        }
    }
    if (status == BV_OK) {
        return finish_discard(&job, &listener);
    }
    close_job(&job);
    return status;
}

enum bv_status bv_artifacts_discard(struct bv_store *store, const char *attempt, const struct bv_selection *selection, struct bv_error *error)
{
    struct stage_quarantine *quarantine;
    if (!store) {
        return bv_fail(error, BV_E_INVALID, "", "a store is needed");
    }
    const enum bv_status status = stage_open_kept(store, attempt, &quarantine, error);
    return status == BV_OK ? stage_discard(quarantine, selection, error) : status;
}

/* ---- after a crash ---- */

/* From `prepared` on: all of it forward, or all of it back. */
static enum bv_status settle_prepared(struct stage_job *job, const struct listener *listener, enum bv_settled *ret_settled)
{
    struct bv_error why = { 0 }, *error = job->error;
    job->error = &why;
    int result = stage_verify(job);
    result = result == 0 ? stage_switch(job) : result;
    result = result == 0 ? write_applied(job) : result;
    job->error = error;
    if (result == 0) {
        *ret_settled = BV_SETTLED_APPLIED;
        const enum bv_status status = tell(listener, "commit", true, "finished by recovery", error);
        return status == BV_OK ? status_of(job, finish(job)) : status;
    }
    if (job->damaged) { /* the records themselves: nothing may be moved by them */
        return bv_fail(error, BV_E_CORRUPT, why.place, "%s", why.text);
    }
    result = go_back(job);
    if (result < 0) {
        return status_of(job, result);
    }
    *ret_settled = BV_SETTLED_UNDONE;
    return tell(listener, "commit", false, why.text, error);
}

static enum bv_status settle_job(struct stage_job *job, enum bv_store_state state, enum bv_settled *ret_settled)
{
    const struct listener listener = listener_of(job->quarantine);
    enum bv_status status;
    int result = 0;
    switch (state) {
    case BV_STORE_LIVE:
    case BV_STORE_UNSEALED:
    case BV_STORE_LISTED:
    case BV_STORE_KEPT: BV_UNREACHABLE();
    case BV_STORE_DECIDED:
        result = go_back(job);
        *ret_settled = result == 0 ? BV_SETTLED_UNDONE : BV_SETTLED_NOTHING;
        return result == 0 ? tell(&listener, "commit", false, "undone by recovery", job->error) : status_of(job, result);
    case BV_STORE_PREPARED: return settle_prepared(job, &listener, ret_settled);
    case BV_STORE_APPLIED:
        *ret_settled = BV_SETTLED_APPLIED;
        status = tell(&listener, "commit", true, "cleared by recovery", job->error);
        return status == BV_OK ? status_of(job, finish(job)) : status;
    case BV_STORE_DISCARDING:
        *ret_settled = BV_SETTLED_DROPPED;
        status = ask(&listener, "discard", job->error);
        return status == BV_OK ? finish_discard(job, &listener) : status;
    }
    BV_UNREACHABLE();
}

static enum bv_status settle_decided(struct stage_quarantine *quarantine, enum bv_store_state state, enum bv_settled *ret_settled,
                                     struct bv_error *error)
{
    struct stage_job job;
    struct stage_decision decision = { 0 };
    struct bv_selection selection = { 0 };
    enum bv_durability durability = BV_DURABILITY_ATOMIC;
    bool overwrite = false;
    struct bv_error own = { 0 };
    const char *name = state == BV_STORE_DISCARDING ? "discarding" : "decision";
    error = error ? error : &own;
    const int read = stage_decision_read(quarantine, name, &decision, &selection, &durability, &overwrite);
    struct stat st;
    const bool dropping = state == BV_STORE_APPLIED && fstatat(quarantine->fd, "delta", &st, AT_SYMLINK_NOFOLLOW) != 0;
    if (read < 0 && !(read == -ENOENT && dropping)) { /* all of it was applied, and it was being dropped */
        stage_decision_done(&decision);
        const enum bv_status status = read == -EBADMSG || read == -ENOENT
                                          ? bv_fail(error, BV_E_CORRUPT, quarantine->attempt, "the record `%s` of attempt %s is damaged", name,
                                                    quarantine->attempt)
                                          : bv_fail_sys(error, quarantine->attempt, read, "reading the record `%s`", name);
        stage_close(quarantine);
        return status;
    }
    enum bv_status status = stage_job_init(&job, quarantine, &selection, error);
    if (status == BV_OK) {
        job.durability = durability;
        job.overwrite = overwrite;
        status = settle_job(&job, state, ret_settled);
        close_job(&job);
    } else {
        stage_close(quarantine);
    }
    stage_decision_done(&decision);
    return status;
}

enum bv_status bv_store_settle(struct bv_store *store, const char *attempt, enum bv_settled *ret_settled, struct bv_error *error)
{
    struct stage_quarantine *quarantine;
    struct bv_error inner = { 0 };
    if (!store || !ret_settled) {
        return bv_fail(error, BV_E_INVALID, "", "a store and a place for the answer are needed");
    }
    *ret_settled = BV_SETTLED_NOTHING;
    const enum bv_status status = stage_open(store, attempt, &quarantine, &inner);
    if (status == BV_E_STATE) {
        *ret_settled = BV_SETTLED_LIVE;
        return BV_OK;
    }
    if (status == BV_E_INVALID && stage_attempt_is_good(attempt)) { /* nothing, or what was left of it without an owner */
        const int result = stage_drop_orphan(store, attempt);
        return result < 0 ? bv_fail_sys(error, attempt, result, "removing the remains of attempt %s", attempt) : BV_OK;
    }
    if (status != BV_OK) {
        return bv_fail(error, status, inner.place, "%s", inner.text);
    }
    const enum bv_store_state state = stage_state(quarantine);
    if (state == BV_STORE_KEPT) {
        stage_close(quarantine);
        return BV_OK;
    }
    if (state != BV_STORE_UNSEALED && state != BV_STORE_LISTED) {
        return settle_decided(quarantine, state, ret_settled, error);
    }
    const int result = stage_drop(quarantine);
    *ret_settled = BV_SETTLED_DROPPED;
    return result < 0 ? bv_fail_sys(error, attempt, result, "dropping what attempt %s left", attempt) : BV_OK;
}
