/* run/staging.c - staging as planning and running need it; see staging.h. What happens on disk is src/stage's. */
#include "run/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "contract/intent.h"
#include "run/grants.h"
#include "run/instance.h"
#include "run/record.h"
#include "run/refuse.h"
#include "stage/artifacts.h"
#include "stage/delta.h"
#include "stage/job.h"
#include "stage/tree.h"

void bv_backend_stage_in(struct bv_backend *backend, struct bv_store *store)
{
    backend->store = store;
}

/* ---- what is staged ---- */

static bool is_own(const char *path)
{
    return bv_path_is_inside(path, "/proc") || bv_path_is_inside(path, "/dev");
}

static void add_root(struct bv_staged_roots *roots, const char *path)
{
    for (size_t i = 0; i < roots->count; i++) {
        if (strcmp(roots->path[i], path) == 0) {
            return; /* equal roots unite */
        }
    }
    if (!is_own(path) && roots->count < BV_COUNT(roots->path)) {
        roots->path[roots->count++] = path;
    }
}

static bool asks(const struct bv_control *control)
{
    return control->kind == BV_CTL_COMMIT_ARTIFACT || control->kind == BV_CTL_DISCARD_ARTIFACT || control->kind == BV_CTL_LIST_OUTPUTS;
}

void bv_staging_roots(const struct bv_spec *spec, struct bv_staged_roots *ret_roots)
{
    *ret_roots = (struct bv_staged_roots){ 0 };
    for (size_t i = 0; i < spec->control_count && !ret_roots->control; i++) {
        ret_roots->control = asks(&spec->controls[i]) ? &spec->controls[i] : NULL;
    }
    for (size_t i = 0; ret_roots->control && i < spec->capability_count; i++) {
        const struct bv_filesystem *fs = &spec->capabilities[i].u.filesystem;
        const bool writes = spec->capabilities[i].kind == BV_CAP_FILESYSTEM && fs->access != BV_ACCESS_READ;
        for (size_t k = 0; writes && k < fs->root_count; k++) {
            add_root(ret_roots, fs->roots[k]);
        }
    }
    for (size_t i = 0; ret_roots->control && i < spec->control_count; i++) {
        const struct bv_control *control = &spec->controls[i];
        if (control->kind == BV_CTL_EXPOSE_PATH && control->u.expose.access != BV_ACCESS_READ) {
            add_root(ret_roots, control->u.expose.source);
        }
    }
}

/* ---- may it be staged ---- */

struct check {
    struct bv_backend *backend;
    const struct bv_control *control;
    struct bv_refusal **refusal;
    struct bv_error *error;
};

static enum bv_status refuse(struct check *check, const char *why, const char *remedy)
{
    json_t *requirement = bv_control_to_json(check->control);
    const enum bv_requirement_kind kind = check->control->kind == BV_CTL_COMMIT_ARTIFACT    ? BV_REQ_COMMIT_ARTIFACT
                                          : check->control->kind == BV_CTL_DISCARD_ARTIFACT ? BV_REQ_DISCARD_ARTIFACT
                                                                                            : BV_REQ_LIST_OUTPUTS;
    return requirement ? bv_refuse_item(check->refusal, BV_REFUSED_UNSUPPORTED, check->backend->ops->id, bv_requirement_name(kind), requirement, why,
                                        remedy, check->error)
                       : bv_fail_nomem(check->error);
}

static enum bv_status check_directory(struct check *check, const char *path)
{
    struct stat st;
    char why[300];
    if (check->backend->sys->stat(path, &st) < 0 || S_ISDIR(st.st_mode)) {
        return BV_OK; /* one that is not there is an error of the grant, told by whoever looks at grants */
    }
    (void)snprintf(why, sizeof why, "%.180s is no directory, and only directories can be staged", path);
    return refuse(check, why, "grant the directory that it is in");
}

static enum bv_status check_mounts(struct check *check, const char *path)
{
    char place[200], why[500];
    bool found;
    const enum bv_status status = bv_grants_mount_below(check->backend, path, place, sizeof place, &found, check->error);
    if (status != BV_OK || !found) {
        return status;
    }
    (void)snprintf(why, sizeof why, "something is mounted at %.180s, and only one file system is staged: what is below %.180s would be missing", place,
                   path);
    return refuse(check, why, "grant the directories beside it");
}

static bool same_directory(const struct bv_sys *sys, const char *a, const char *b)
{
    struct stat one, other;
    return sys->stat(a, &one) == 0 && sys->stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* True when path, or a directory above it, is the same directory as top: by name, or by another name of it. */
static bool lies_in(const struct bv_sys *sys, const char *path, const char *top)
{
    char prefix[BV_PATH_MAX_BYTES + 1];
    bv_copy_text(prefix, sizeof prefix, path);
    for (;;) {
        if (strcmp(prefix, top) == 0 || same_directory(sys, prefix, top)) {
            return true;
        }
        char *slash = strrchr(prefix, '/');
        if (!slash || slash == prefix) {
            return false;
        }
        *slash = '\0';
    }
}

static enum bv_status check_apart(struct check *check, const char *path)
{
    const struct bv_sys *sys = check->backend->sys;
    const char *state = check->backend->store->path;
    char why[500];
    const bool below = !is_own(path) && lies_in(sys, state, path);
    if (!below && !lies_in(sys, path, state)) {
        return BV_OK;
    }
    (void)snprintf(why, sizeof why, "the state directory (%.180s) lies %s the granted %.180s: the workload could reach what is staged", state,
                   below ? "inside" : "around", path);
    return refuse(check, why, "another state directory: XDG_STATE_HOME, or --journal DIR");
}

static enum bv_status check_granted(struct check *check, const struct bv_spec *spec)
{
    enum bv_status status = BV_OK;
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_filesystem *fs = &spec->capabilities[i].u.filesystem;
        for (size_t k = 0; status == BV_OK && spec->capabilities[i].kind == BV_CAP_FILESYSTEM && k < fs->root_count; k++) {
            status = check_apart(check, fs->roots[k]);
        }
    }
    for (size_t i = 0; status == BV_OK && i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_EXPOSE_PATH) {
            status = check_apart(check, spec->controls[i].u.expose.source);
        }
    }
    return status;
}

static bool overlap(const char *a, const char *b)
{
    return bv_path_is_inside(a, b) || bv_path_is_inside(b, a);
}

/* True when a writable root, or a writable exposed path after this one, holds files of this exposed path. */
static bool is_staged_elsewhere(const struct bv_spec *spec, size_t index)
{
    const char *source = spec->controls[index].u.expose.source;
    for (size_t i = index + 1; i < spec->control_count; i++) {
        const struct bv_control *control = &spec->controls[i];
        if (control->kind == BV_CTL_EXPOSE_PATH && control->u.expose.access != BV_ACCESS_READ && overlap(source, control->u.expose.source)) {
            return true;
        }
    }
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_filesystem *fs = &spec->capabilities[i].u.filesystem;
        for (size_t k = 0; spec->capabilities[i].kind == BV_CAP_FILESYSTEM && fs->access != BV_ACCESS_READ && k < fs->root_count; k++) {
            if (overlap(source, fs->roots[k])) {
                return true;
            }
        }
    }
    return false;
}

/* Two views of one directory would each have changes of their own to it. */
static enum bv_status check_once(struct check *check, const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->control_count; i++) {
        const struct bv_control *control = &spec->controls[i];
        if (control->kind == BV_CTL_EXPOSE_PATH && control->u.expose.access != BV_ACCESS_READ && is_staged_elsewhere(spec, i)) {
            char why[300];
            (void)snprintf(why, sizeof why, "%.160s is exposed and writable in two places, each of which would stage its own changes of it",
                           control->u.expose.source);
            return refuse(check, why, "expose it read-only, or grant it in one place");
        }
    }
    return BV_OK;
}

enum bv_status bv_staging_check(struct bv_backend *backend, const struct bv_spec *spec, struct bv_refusal **refusal, struct bv_error *error)
{
    struct bv_staged_roots roots;
    bv_staging_roots(spec, &roots);
    if (roots.count == 0 || !backend->store) {
        return BV_OK;
    }
    struct check check = { backend, roots.control, refusal, error };
    enum bv_status status = check_granted(&check, spec);
    if (status == BV_OK) {
        status = check_once(&check, spec);
    }
    for (size_t i = 0; status == BV_OK && i < roots.count; i++) {
        status = check_directory(&check, roots.path[i]);
        status = status == BV_OK ? check_mounts(&check, roots.path[i]) : status;
    }
    return status;
}

/* ---- the probe ---- */

static int make_trial(const struct stage_quarantine *quarantine)
{
    static const char *const directories[] = { "lower", "upper", "work", "upper1", "work1" };
    static const char *const files[] = { "lower/changed", "lower/removed" };
    for (size_t i = 0; i < BV_COUNT(directories); i++) {
        if (mkdirat(quarantine->fd, directories[i], 0700) != 0) {
            return -errno;
        }
    }
    for (size_t i = 0; i < BV_COUNT(files); i++) {
        const int fd = tree_open(quarantine->fd, files[i], O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) {
            return fd;
        }
        (void)close(fd);
    }
    return 0;
}

enum bv_status bv_staging_probe(struct bv_backend *backend, const struct bv_spec *spec, struct bv_snapshot *facts, struct bv_error *error)
{
    struct bv_staged_roots roots = { 0 };
    struct stage_quarantine *quarantine;
    char id[BV_ATTEMPT_TEXT_SIZE], dir[BV_PATH_MAX_BYTES + 64];
    if (spec) {
        bv_staging_roots(spec, &roots);
    }
    if (!backend->store || !backend->ops->try_staging || (spec && roots.count == 0)) {
        return BV_OK;
    }
    int result = bv_attempt_new(backend->sys, id);
    if (result < 0) {
        return bv_fail_sys(error, "probe", result, "making a name for the trial of staging");
    }
    enum bv_status status = stage_create(backend->store, id, NULL, 0, &quarantine, error);
    if (status != BV_OK) {
        return status;
    }
    (void)snprintf(dir, sizeof dir, "%s/bvisor-%s", backend->store->path, id);
    result = make_trial(quarantine);
    status = result < 0 ? bv_fail_sys(error, backend->store->path, result, "making the trial of staging")
                        : backend->ops->try_staging(backend->context, dir, roots.path, roots.count, facts, error);
    result = stage_drop(quarantine);
    return status == BV_OK && result < 0 ? bv_fail_sys(error, backend->store->path, result, "removing the trial of staging") : status;
}

/* ---- a run's ---- */

struct bv_staging {
    struct stage_quarantine *quarantine; /* NULL once it was let go */
    struct bv_staged items[BV_ROOTS_MAX + BV_EXPOSES_MAX];
    char *dirs[BV_ROOTS_MAX + BV_EXPOSES_MAX];
    size_t count;
    bool listed;
    uint64_t entries;
    struct bv_arena *arena; /* of the list */
    struct bv_artifact *artifacts;
};

enum bv_status bv_staging_begin(struct bv_backend *backend, const struct bv_spec *spec, const char *attempt, struct bv_staging **ret_staging,
                                struct bv_error *error)
{
    struct bv_staged_roots roots;
    *ret_staging = NULL;
    bv_staging_roots(spec, &roots);
    if (roots.count == 0) {
        return BV_OK;
    }
    if (!backend->store) {
        return bv_fail(error, BV_E_STATE, "", "the run is to be staged, and the backend was told no state directory (bv_backend_stage_in())");
    }
    struct bv_staging *staging = calloc(1, sizeof *staging);
    if (!staging) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = stage_create(backend->store, attempt, roots.path, roots.count, &staging->quarantine, error);
    for (size_t i = 0; status == BV_OK && i < roots.count; i++) {
        if (asprintf(&staging->dirs[i], "%s/bvisor-%s/r%zu", backend->store->path, attempt, i) < 0) {
            staging->dirs[i] = NULL;
            status = bv_fail_nomem(error);
            break;
        }
        staging->items[staging->count++] = (struct bv_staged){ staging->quarantine->roots[i].path, staging->dirs[i] };
    }
    if (status != BV_OK) {
        bv_staging_free(staging);
        return status;
    }
    *ret_staging = staging;
    return BV_OK;
}

const struct bv_staged *bv_staging_items(const struct bv_staging *staging, size_t *ret_count)
{
    *ret_count = staging ? staging->count : 0;
    return staging ? staging->items : NULL;
}

struct listing {
    struct bv_staging *staging;
    size_t count, room, bytes;
    bool cut;
};

static bool copy_artifact(struct bv_arena *arena, const struct bv_artifact *from, struct bv_artifact *to)
{
    *to = *from;
    to->artifact_id = bv_arena_text(arena, from->artifact_id);
    to->root = bv_arena_text(arena, from->root);
    to->path = bv_arena_text(arena, from->path);
    to->content_hash = from->content_hash ? bv_arena_text(arena, from->content_hash) : NULL;
    return to->artifact_id && to->root && to->path && (!from->content_hash || to->content_hash);
}

static int keep_artifact(struct listing *listing, const struct bv_artifact *artifact)
{
    struct bv_staging *staging = listing->staging;
    listing->bytes += strlen(artifact->path) * 2 + 400; /* as a document's text, at the most that is common */
    if (listing->cut || listing->count >= BV_ARTIFACTS_MAX || listing->bytes > BV_ARTIFACTS_MAX_BYTES) {
        listing->cut = true;
        return 0;
    }
    if (listing->count == listing->room) {
        const size_t room = listing->room ? listing->room * 2 : 64;
        struct bv_artifact *artifacts = realloc(staging->artifacts, room * sizeof artifacts[0]);
        if (!artifacts) {
            return -ENOMEM;
        }
        staging->artifacts = artifacts;
        listing->room = room;
    }
    return copy_artifact(staging->arena, artifact, &staging->artifacts[listing->count++]) ? 0 : -ENOMEM;
}

/* The list is read back from its file: what is reported is what a commit will read. */
static int read_list(struct listing *listing)
{
    const struct stage_quarantine *quarantine = listing->staging->quarantine;
    const int fd = tree_open(quarantine->fd, "delta", O_RDONLY, 0);
    struct stage_file lines;
    struct stage_reader reader = { .line = stage_file_line, .source = &lines };
    struct stage_entry entry;
    stage_file_init(&lines, fd);
    int result = fd < 0 ? fd : stage_reader_begin(&reader);
    while (result == 0) {
        const int got = stage_reader_next(&reader, &entry);
        if (got <= 0) {
            result = got;
            break;
        }
        char id[BV_DIGEST_TEXT_SIZE];
        struct bv_artifact artifact;
        stage_artifact_of(quarantine->attempt, reader.header.roots[entry.root], &entry, id, &artifact);
        result = keep_artifact(listing, &artifact);
    }
    stage_reader_done(&reader);
    stage_file_done(&lines);
    bv_cleanup_fd(&fd);
    return result;
}

static void lose_claims(struct bv_observation *observation, const char *why)
{
    static const char *const claims[] = { "filesystem_delta", "artifact_lineage" };
    for (size_t i = 0; i < BV_COUNT(claims); i++) {
        (void)bv_observe_finding(observation, "evidence_lost", "%s: %s", claims[i], why);
    }
}

int bv_staging_list(struct bv_staging *staging, struct bv_observation *observation, const struct bv_artifact **ret_artifacts, size_t *ret_count)
{
    struct stage_summary summary;
    struct listing listing = { .staging = staging };
    int result = stage_delta(staging->quarantine, &summary);
    if (result == 0) {
        staging->arena = bv_arena_new(BV_ARTIFACTS_MAX_BYTES * 2 + BV_ARTIFACTS_MAX * 512ul);
        result = staging->arena ? read_list(&listing) : -ENOMEM;
    }
    if (result < 0) {
        return result;
    }
    staging->listed = true;
    staging->entries = summary.entries;
    if (!summary.complete) {
        char why[260];
        (void)snprintf(why, sizeof why, "not everything that the run changed could be listed: %s", summary.missing);
        lose_claims(observation, why);
    } else if (listing.cut) {
        char why[120];
        (void)snprintf(why, sizeof why, "%llu paths were changed, of which a report lists %zu", (unsigned long long)summary.entries, listing.count);
        lose_claims(observation, why);
    }
    *ret_artifacts = staging->artifacts;
    *ret_count = listing.count;
    return 0;
}

static enum bv_status fail_keep(int result, struct bv_error *error)
{
    return bv_fail_sys(error, "", result, "keeping what the run staged");
}

/* What is not kept is dropped, unless something of the commit is still to be undone, or told: then a recovery does it. */
static void drop_refused(struct bv_store *store, const char *attempt)
{
    struct stage_quarantine *quarantine;
    struct bv_error unsaid = { 0 };
    if (stage_open(store, attempt, &quarantine, &unsaid) != BV_OK) {
        return;
    }
    if (stage_state(quarantine) == BV_STORE_LISTED) {
        (void)stage_drop(quarantine);
    } else {
        stage_close(quarantine);
    }
}

static enum bv_status commit(struct bv_staging *staging, const struct bv_intent *intent, const struct bv_staging_wish *wish,
                             struct bv_disposed *disposed, struct bv_error *error)
{
    const struct bv_commit_options options = { .durability = intent->durability };
    struct bv_committed committed = { 0 };
    struct bv_error own = { 0 };
    struct bv_store *store = staging->quarantine->store;
    char attempt[33];
    memcpy(attempt, staging->quarantine->attempt, sizeof attempt);
    disposed->decided = "commit";
    const int kept = wish->keep ? stage_keep(staging->quarantine, false) : 0; /* durable with the decision, which follows */
    const enum bv_status status =
        kept < 0 ? fail_keep(kept, &own) : stage_commit(BV_TAKE(staging->quarantine), NULL, &options, &committed, &own);
    disposed->applied = status == BV_OK || committed.unrecorded;
    if (status != BV_OK) {
        if (!wish->keep && !wish->journal) {
            drop_refused(store, attempt);
        }
        bv_copy_text(disposed->detail, sizeof disposed->detail, own.text);
        return bv_fail(error, status, own.place, "%s%.140s", committed.unrecorded ? "" : "not committed: ", own.text);
    }
    if (committed.skipped > 0) {
        (void)snprintf(disposed->detail, sizeof disposed->detail, "%llu special files were not promoted", (unsigned long long)committed.skipped);
    }
    return BV_OK;
}

enum bv_status bv_staging_settle(struct bv_staging *staging, const struct bv_intent *intent, const struct bv_staging_wish *wish,
                                 struct bv_disposed *ret_disposed, struct bv_error *error)
{
    *ret_disposed = (struct bv_disposed){ 0 };
    if (!staging->quarantine) {
        return BV_OK;
    }
    if (wish->journal) {
        bv_record_events(wish->journal, &staging->quarantine->events);
    }
    if (staging->listed && intent->commit && wish->completed) {
        return commit(staging, intent, wish, ret_disposed, error);
    }
    if (staging->listed && intent->discard) {
        ret_disposed->decided = "discard";
        const enum bv_status status = stage_discard(BV_TAKE(staging->quarantine), NULL, error);
        ret_disposed->applied = status == BV_OK;
        return status;
    }
    if (staging->listed && wish->keep && staging->entries > 0) {
        const int kept = stage_keep(staging->quarantine, true);
        stage_close(BV_TAKE(staging->quarantine));
        return kept < 0 ? fail_keep(kept, error) : BV_OK;
    }
    const int result = stage_drop(BV_TAKE(staging->quarantine));
    return result < 0 ? bv_fail_sys(error, "", result, "dropping what the run staged") : BV_OK;
}

void bv_staging_free(struct bv_staging *staging)
{
    if (!staging) {
        return;
    }
    if (staging->quarantine && staging->listed) {
        stage_close(staging->quarantine);
    } else if (staging->quarantine) {
        (void)stage_drop(staging->quarantine); /* what cannot be removed now is for the next recovery */
    }
    for (size_t i = 0; i < BV_COUNT(staging->dirs); i++) {
        free(staging->dirs[i]);
    }
    free(staging->artifacts);
    bv_arena_free(staging->arena);
    free(staging);
}
