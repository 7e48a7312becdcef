/* stage/job.c - what the passes of a disposition share: selection, trees, and the walk over list and records; see job.h. */
#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/tree.h"
#include "sys/sys.h"

enum bv_status stage_job_init(struct stage_job *job, struct stage_quarantine *quarantine, const struct bv_selection *selection,
                              struct bv_error *error)
{
    const size_t count = quarantine->root_count + 1;
    *job = (struct stage_job){ .quarantine = quarantine, .error = error };
    if (selection) {
        job->selection = *selection;
    }
    job->roots = malloc(count * sizeof job->roots[0]);
    job->uppers = malloc(count * sizeof job->uppers[0]);
    job->batched = calloc(count, sizeof job->batched[0]);
    if (!job->roots || !job->uppers || !job->batched) {
        stage_job_done(job);
        return bv_fail_nomem(error);
    }
    for (size_t i = 0; i < count; i++) {
        job->roots[i] = job->uppers[i] = -EBADF;
    }
    return BV_OK;
}

void stage_job_done(struct stage_job *job)
{
    for (size_t i = 0; job->roots && job->uppers && i <= job->quarantine->root_count; i++) {
        bv_cleanup_fd(&job->roots[i]);
        bv_cleanup_fd(&job->uppers[i]);
    }
    free(job->roots);
    free(job->uppers);
    free(job->batched);
    free(job->top.path);
    job->roots = job->uppers = NULL;
    job->batched = NULL;
    job->top.path = NULL;
}

int stage_job_root(struct stage_job *job, uint32_t root)
{
    if (job->roots[root] < 0) {
        job->roots[root] = stage_open_root(job->quarantine, root);
        if (job->roots[root] == -ESTALE) {
            (void)bv_fail(job->error, BV_E_STATE, job->quarantine->roots[root].path, "%.160s: is not the directory any more that was staged",
                          job->quarantine->roots[root].path);
        } else if (job->roots[root] < 0) {
            (void)bv_fail_sys(job->error, job->quarantine->roots[root].path, job->roots[root], "opening the root %.120s",
                              job->quarantine->roots[root].path);
        }
    }
    return job->roots[root];
}

int stage_job_upper(struct stage_job *job, uint32_t root)
{
    if (job->uppers[root] < 0) {
        job->uppers[root] = stage_open_upper(job->quarantine, root);
        if (job->uppers[root] < 0) {
            (void)bv_fail_sys(job->error, job->quarantine->attempt, job->uppers[root], "opening what was staged");
        }
    }
    return job->uppers[root];
}

int stage_job_parent(struct stage_job *job, const struct stage_entry *entry, const char **ret_name)
{
    const int root = stage_job_root(job, entry->root);
    return root < 0 ? root : tree_open_parent(root, entry->path, ret_name);
}

static void place_of(const struct stage_job *job, const struct stage_entry *entry, char *place, size_t size)
{
    (void)snprintf(place, size, "%s/%s", job->quarantine->roots[entry->root].path, entry->path);
}

int stage_job_fail(struct stage_job *job, const struct stage_entry *entry, int result, const char *what)
{
    char place[192];
    place_of(job, entry, place, sizeof place);
    (void)bv_fail_sys(job->error, place, result, "%.120s: %s", place, what);
    return result;
}

int stage_job_conflict(struct stage_job *job, const struct stage_entry *entry, const char *why)
{
    char place[192];
    place_of(job, entry, place, sizeof place);
    (void)bv_fail(job->error, BV_E_STATE, place, "%.120s: %s", place, why);
    return -EEXIST;
}

void stage_job_temporary(const struct stage_job *job, uint64_t ordinal, char name[STAGE_TEMPORARY_BYTES])
{
    (void)snprintf(name, STAGE_TEMPORARY_BYTES, "bvisor-%s.%llu", job->quarantine->attempt, (unsigned long long)ordinal);
}

/* ---- selection ---- */

/* root + "/" + path, compared with an absolute path piece by piece, so that nothing is put together. */
static enum stage_taken taken_by_absolute(const char *chosen, const char *root, const char *path)
{
    if (stage_path_inside(root, chosen)) {
        return STAGE_TAKEN;
    }
    if (!stage_path_inside(chosen, root) || chosen[strlen(root)] != '/') {
        return STAGE_NOT;
    }
    const char *below = chosen + strlen(root) + 1;
    return stage_path_inside(path, below) ? STAGE_TAKEN : stage_path_inside(below, path) ? STAGE_ON_THE_WAY : STAGE_NOT;
}

enum stage_taken stage_taken(const struct bv_selection *selection, const char *root, const char *path)
{
    enum stage_taken best = selection->path_count == 0 ? STAGE_TAKEN : STAGE_NOT;
    for (size_t i = 0; best != STAGE_TAKEN && i < selection->path_count; i++) {
        const char *chosen = selection->paths[i];
        const enum stage_taken taken = chosen[0] == '/'                 ? taken_by_absolute(chosen, root, path)
                                       : stage_path_inside(path, chosen) ? STAGE_TAKEN
                                       : stage_path_inside(chosen, path) ? STAGE_ON_THE_WAY
                                                                         : STAGE_NOT;
        best = taken > best ? taken : best;
    }
    return best;
}

/* A directory on the way is taken along only where it has to be there for what is selected. */
static bool is_wanted(const struct stage_job *job, const struct stage_entry *entry)
{
    switch (stage_taken(&job->selection, job->quarantine->roots[entry->root].path, entry->path)) {
    case STAGE_NOT: return false;
    case STAGE_TAKEN: return true;
    case STAGE_ON_THE_WAY:
        return entry->now.exists && entry->now.kind == BV_ARTIFACT_DIRECTORY && !(entry->base.exists && entry->base.kind == BV_ARTIFACT_DIRECTORY);
    }
    BV_UNREACHABLE();
}

/* ---- tops ---- */

int stage_job_open_top(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_step_type type, bool gone)
{
    free(job->top.path);
    job->top = (struct stage_top){
        .type = type == STAGE_BUILD ? STAGE_BUILD : '\0',
        .gone = gone,
        .root = entry->root,
        .path = strdup(entry->path),
        .ordinal = ordinal,
    };
    return job->top.path ? 0 : -ENOMEM;
}

static bool is_inside_top(const struct stage_job *job, const struct stage_entry *entry)
{
    const struct stage_top *top = &job->top;
    return top->path && top->root == entry->root && stage_path_inside(entry->path, top->path);
}

/* ---- the pass ---- */

struct pass {
    struct stage_file lines, record_lines;
    struct stage_reader list;
    struct stage_record_reader records;
    struct stage_record record;
    bool with_records;
};

static int damaged(struct stage_job *job, const char *name, int result)
{
    job->damaged = true;
    if (result == -EBADMSG) {
        (void)bv_fail(job->error, BV_E_CORRUPT, job->quarantine->attempt, "the record `%s` of attempt %s is damaged", name, job->quarantine->attempt);
    } else {
        (void)bv_fail_sys(job->error, job->quarantine->attempt, result, "reading the record `%s` of attempt %s", name, job->quarantine->attempt);
    }
    return result;
}

static int next_record(struct stage_job *job, struct pass *pass)
{
    if (!pass->with_records) {
        return 0;
    }
    const int result = stage_record_reader_next(&pass->records, &pass->record);
    if (result == 0) {
        pass->record.ordinal = 0;
    }
    return result < 0 ? damaged(job, "prepared", result) : 0;
}

static int visit_own(struct stage_job *job, struct pass *pass, const struct stage_entry *entry, uint64_t ordinal, stage_visit_fn *visit,
                     void *context)
{
    if (!pass->with_records) {
        return visit(job, entry, ordinal, STAGE_OWN, NULL, context);
    }
    if (pass->record.ordinal != ordinal) {
        return damaged(job, "prepared", -EBADMSG); /* every step has its record */
    }
    const struct stage_record record = pass->record;
    int result = 0;
    if (record.type == STAGE_BUILD || record.gone) {
        result = stage_job_open_top(job, entry, ordinal, record.type, record.gone);
    }
    if (result == 0) {
        result = visit(job, entry, ordinal, STAGE_OWN, &record, context);
    }
    return result < 0 ? result : next_record(job, pass);
}

static int go_over(struct stage_job *job, struct pass *pass, stage_visit_fn *visit, void *context)
{
    struct stage_entry entry;
    uint64_t ordinal = 0;
    int result = next_record(job, pass);
    while (result == 0) {
        const int got = stage_reader_next(&pass->list, &entry);
        if (got <= 0) {
            return got < 0 ? damaged(job, "delta", got) : pass->record.ordinal != 0 ? damaged(job, "prepared", -EBADMSG) : 0;
        }
        ordinal++;
        if (entry.root >= job->quarantine->root_count || strcmp(pass->list.header.roots[entry.root], job->quarantine->roots[entry.root].path) != 0) {
            return damaged(job, "delta", -EBADMSG);
        }
        if (!is_wanted(job, &entry)) {
            continue;
        }
        if (is_inside_top(job, &entry)) {
            result = visit(job, &entry, ordinal, job->top.type == STAGE_BUILD ? STAGE_INNER : STAGE_GONE, NULL, context);
        } else {
            result = visit_own(job, pass, &entry, ordinal, visit, context);
        }
    }
    return result;
}

int stage_job_pass(struct stage_job *job, bool with_records, stage_visit_fn *visit, void *context)
{
    struct pass pass = { .with_records = with_records };
    const int fd = tree_open(job->quarantine->fd, "delta", O_RDONLY | O_NONBLOCK, 0);
    int records = with_records ? tree_open(job->quarantine->fd, "prepared", O_RDONLY | O_NONBLOCK, 0) : -EBADF;
    int result = fd < 0 ? damaged(job, "delta", fd) : with_records && records < 0 ? damaged(job, "prepared", records) : 0;
    stage_file_init(&pass.lines, fd);
    stage_file_init(&pass.record_lines, records);
    pass.list.line = stage_file_line;
    pass.list.source = &pass.lines;
    stage_record_reader_init(&pass.records, stage_file_line, &pass.record_lines);
    free(BV_TAKE(job->top.path));
    if (result == 0) {
        result = stage_reader_begin(&pass.list);
        result = result < 0 ? damaged(job, "delta", result) : go_over(job, &pass, visit, context);
        job->complete = pass.list.complete;
    }
    stage_reader_done(&pass.list);
    stage_file_done(&pass.lines);
    stage_file_done(&pass.record_lines);
    bv_cleanup_fd(&fd);
    bv_cleanup_fd(&records);
    return result;
}
