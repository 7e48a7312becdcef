/* stage/artifacts.c - looking at what is kept: lists, diffs, tar archives. Changes nothing but what it writes to the caller's descriptor. */
#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/artifacts.h"
#include "stage/delta.h"
#include "stage/diff.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define OUT_MAX_BYTES (64u << 20) /* one file's diff: its two texts and their marks */

void stage_artifact_of(const char *attempt, const char *root, const struct stage_entry *entry, char id[BV_DIGEST_TEXT_SIZE],
                       struct bv_artifact *ret_artifact)
{
    const struct stage_thing *thing = entry->now.exists ? &entry->now : &entry->base;
    const bool sized = thing->kind == BV_ARTIFACT_FILE || thing->kind == BV_ARTIFACT_SYMLINK;
    stage_artifact_id(attempt, root, entry, id);
    *ret_artifact = (struct bv_artifact){
        .artifact_id = id,
        .root = root,
        .path = entry->path,
        .change = entry->change,
        .kind = thing->kind,
        .replaces = entry->base.exists,
        .base_kind = entry->base.kind,
        .size = sized ? thing->size : 0,
        .mode = thing->mode,
        .content_hash = entry->now.exists && entry->now.hash[0] ? entry->now.hash : NULL,
    };
}

/* ---- one walk for all three ---- */

typedef int visit_fn(struct stage_job *job, const struct stage_entry *entry, void *context); /* 0: on; 1: enough; -errno: job->error is filled */

struct look { visit_fn *visit; void *context; bool enough; };

static int visit_taken(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                       const struct stage_record *record, void *context)
{
    struct look *look = context;
    (void)ordinal;
    (void)role;
    (void)record;
    if (look->enough || stage_taken(&job->selection, job->quarantine->roots[entry->root].path, entry->path) != STAGE_TAKEN) {
        return 0;
    }
    const int result = look->visit(job, entry, look->context);
    look->enough = result > 0;
    return result < 0 ? result : 0;
}

static enum bv_status look_at(struct bv_store *store, const char *attempt, const struct bv_selection *selection, visit_fn *visit, void *context,
                              bool *ret_complete, struct bv_error *error)
{
    struct stage_quarantine *quarantine;
    struct stage_job job;
    struct bv_error own = { 0 };
    struct look look = { .visit = visit, .context = context };
    error = error ? error : &own;
    if (!store) {
        return bv_fail(error, BV_E_INVALID, "", "a store is needed");
    }
    enum bv_status status = stage_open_kept(store, attempt, &quarantine, error);
    if (status != BV_OK) {
        return status;
    }
    status = stage_job_init(&job, quarantine, selection, error);
    if (status == BV_OK) {
        status = stage_check_selection(&job);
        if (status == BV_OK) {
            const int result = stage_job_pass(&job, false, visit_taken, &look);
            status = result == 0 ? BV_OK : error->status != BV_OK ? error->status : bv_fail_sys(error, attempt, result, "reading what is staged");
        }
        if (status == BV_OK && ret_complete) {
            *ret_complete = job.complete;
        }
        stage_job_done(&job);
    }
    stage_close(quarantine);
    return status;
}

/* ---- list ---- */

struct listing { bv_artifact_fn *fn; void *context; };

static int visit_list(struct stage_job *job, const struct stage_entry *entry, void *context)
{
    const struct listing *listing = context;
    char id[BV_DIGEST_TEXT_SIZE];
    struct bv_artifact artifact;
    stage_artifact_of(job->quarantine->attempt, job->quarantine->roots[entry->root].path, entry, id, &artifact);
    return listing->fn(listing->context, &artifact) ? 0 : 1;
}

enum bv_status bv_artifacts_list(struct bv_store *store, const char *attempt, const struct bv_selection *selection, bv_artifact_fn *fn, void *context,
                                 bool *ret_complete, struct bv_error *error)
{
    struct listing listing = { fn, context };
    return fn ? look_at(store, attempt, selection, visit_list, &listing, ret_complete, error)
              : bv_fail(error, BV_E_INVALID, "", "a function for the artifacts is needed");
}

/* ---- diff ---- */

/* A whole text, or NULL with *ret_result 0 if it is none that can be compared. */
static char *read_text(int fd, size_t *ret_size, int *ret_result)
{
    struct stat st;
    *ret_result = fstat(fd, &st) == 0 ? 0 : -errno;
    if (*ret_result < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)STAGE_DIFF_MAX_BYTES) {
        return NULL;
    }
    char *text = malloc((size_t)st.st_size + 1);
    size_t size = 0;
    *ret_result = text ? 0 : -ENOMEM;
    while (*ret_result == 0 && size < (size_t)st.st_size) {
        const ssize_t n = pread(fd, text + size, (size_t)st.st_size - size, (off_t)size);
        if (n <= 0) {
            *ret_result = n < 0 && errno != EINTR ? -errno : 0;
            if (n == 0 || *ret_result < 0) {
                break;
            }
            continue;
        }
        size += (size_t)n;
    }
    *ret_size = size;
    if (*ret_result < 0 || !stage_is_text(text, size)) {
        free(text);
        return NULL;
    }
    return text;
}

struct side { bool exists, comparable; char *text; size_t size; };

/* One side of a diff: a file's text, or a link's. dir: of its tree; < 0: nothing is there. */
static int read_side(int dir, const char *path, enum bv_artifact_kind kind, bool own, struct side *side)
{
    int result = 0;
    if (kind == BV_ARTIFACT_SYMLINK) {
        const char *name;
        const int parent = tree_open_parent(dir, path, &name);
        side->text = malloc(PATH_MAX);
        result = parent < 0 ? parent : side->text ? tree_read_link(parent, name, side->text, PATH_MAX) : -ENOMEM;
        bv_cleanup_fd(&parent);
        side->size = result == 0 ? strlen(side->text) : 0;
        side->exists = side->comparable = result == 0;
    } else if (kind == BV_ARTIFACT_FILE) {
        const int fd = own ? stage_open_own(dir, path) : tree_open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        result = fd < 0 ? fd : 0;
        side->exists = fd >= 0;
        side->text = fd < 0 ? NULL : read_text(fd, &side->size, &result);
        side->comparable = side->text != NULL;
        bv_cleanup_fd(&fd);
    }
    return result == -ENOENT ? 0 : result;
}

static void put_name(struct bv_buf *out, const char *mark, const char *side, bool exists, const char *root, const char *path)
{
    (void)bv_buf_text(out, mark);
    (void)(exists ? stage_diff_path(out, side, root, path) : bv_buf_text(out, "/dev/null"));
    (void)bv_buf_text(out, "\n");
}

static void put_head(struct bv_buf *out, const struct stage_entry *entry, const char *root)
{
    (void)bv_buf_text(out, "diff ");
    (void)stage_diff_path(out, "a", root, entry->path);
    (void)bv_buf_text(out, " ");
    (void)stage_diff_path(out, "b", root, entry->path);
    (void)bv_buf_text(out, "\n");
    if (!entry->base.exists) {
        (void)bv_buf_format(out, "new %s mode %04o\n", bv_artifact_kind_name(entry->now.kind), entry->now.mode);
    } else if (!entry->now.exists) {
        (void)bv_buf_format(out, "deleted %s mode %04o\n", bv_artifact_kind_name(entry->base.kind), entry->base.mode);
    } else if (entry->base.kind != entry->now.kind) {
        (void)bv_buf_format(out, "old %s\nnew %s\n", bv_artifact_kind_name(entry->base.kind), bv_artifact_kind_name(entry->now.kind));
    } else if (entry->base.mode != entry->now.mode && entry->now.kind != BV_ARTIFACT_SYMLINK) {
        (void)bv_buf_format(out, "old mode %04o\nnew mode %04o\n", entry->base.mode, entry->now.mode);
    }
}

static bool has_text(const struct stage_thing *thing)
{
    return thing->exists && (thing->kind == BV_ARTIFACT_FILE || thing->kind == BV_ARTIFACT_SYMLINK);
}

static void put_body(struct bv_buf *out, const struct stage_entry *entry, const char *root, const struct side *a, const struct side *b)
{
    if ((a->exists && !a->comparable) || (b->exists && !b->comparable)) {
        if (strcmp(entry->base.hash, entry->now.hash) != 0 || !entry->now.hash[0]) {
            (void)bv_buf_text(out, "Binary files differ\n");
        }
        return;
    }
    const size_t before = out->size;
    put_name(out, "--- ", "a", a->exists, root, entry->path);
    put_name(out, "+++ ", "b", b->exists, root, entry->path);
    const size_t headed = out->size;
    (void)stage_diff(out, a->text ? a->text : "", a->size, b->text ? b->text : "", b->size);
    if (out->size == headed && !out->failed) { /* equal, or both empty */
        out->size = before;
        out->data[before] = '\0';
    }
}

static int visit_diff(struct stage_job *job, const struct stage_entry *entry, void *context)
{
    const int *fd = context;
    const char *root = job->quarantine->roots[entry->root].path;
    struct side a = { 0 }, b = { 0 };
    struct bv_buf out;
    const int lower = stage_job_root(job, entry->root), upper = lower < 0 ? lower : stage_job_upper(job, entry->root);
    int result = upper < 0 ? upper : 0;
    bv_buf_init(&out, OUT_MAX_BYTES);
    if (result == 0 && has_text(&entry->base)) {
        result = read_side(lower, entry->path, entry->base.kind, false, &a);
    }
    if (result == 0 && has_text(&entry->now)) {
        result = read_side(upper, entry->path, entry->now.kind, true, &b);
    }
    if (result == 0) {
        put_head(&out, entry, root);
        put_body(&out, entry, root, &a, &b);
        result = out.failed ? -ENOMEM : tree_write_all(*fd, out.data, out.size);
    }
    bv_buf_done(&out);
    free(a.text);
    free(b.text);
    return result < 0 ? stage_job_fail(job, entry, result, "showing how it differs") : 0;
}

enum bv_status bv_artifacts_diff(struct bv_store *store, const char *attempt, const struct bv_selection *selection, int fd, struct bv_error *error)
{
    return look_at(store, attempt, selection, visit_diff, &fd, NULL, error);
}

/* ---- export ---- */

static int visit_export(struct stage_job *job, const struct stage_entry *entry, void *context)
{
    const int *fd = context;
    const int upper = entry->now.exists ? stage_job_upper(job, entry->root) : 0;
    if (!entry->now.exists || entry->now.kind == BV_ARTIFACT_SPECIAL) {
        return 0;
    }
    const int result = upper < 0 ? upper : stage_tar_entry(*fd, upper, job->quarantine->roots[entry->root].path, entry);
    return result < 0 ? stage_job_fail(job, entry, result, "writing it to the archive") : 0;
}

enum bv_status bv_artifacts_export(struct bv_store *store, const char *attempt, const struct bv_selection *selection, int fd, struct bv_error *error)
{
    const enum bv_status status = look_at(store, attempt, selection, visit_export, &fd, NULL, error);
    const int result = status == BV_OK ? stage_tar_end(fd) : 0;
    return result < 0 ? bv_fail_sys(error, attempt, result, "writing the archive") : status;
}
