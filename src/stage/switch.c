/* stage/switch.c - the second pass of a commit, its undoing, and the look at what a crash left between the two.
 *
 * Every step either exchanges two names in one directory (renameat2(2)) or sets a mode, and `prepared` says which inodes they had. So at any
 * moment, and after any crash, it can be told which steps were taken: the new inode stands at the target or at the temporary name. A step that was
 * taken is not taken twice, in either direction. What the host has changed since it was compared ends the pass, and everything is undone. */
#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define PLAIN_MODE 0777u

struct place { /* the two names of a step, as they are now */
    int parent;
    const char *name;
    char temporary[STAGE_TEMPORARY_BYTES];
    bool there, aside; /* something stands at the target, at the temporary name */
    struct stat target, kept;
};

static int step(const struct stage_job *job, const char *name)
{
    return stage_step(job->quarantine->store, name);
}

static bool is_inode(bool there, const struct stat *st, uint64_t dev, uint64_t ino)
{
    return there && ino != 0 && st->st_dev == dev && st->st_ino == ino;
}

static int look(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, struct place *place)
{
    *place = (struct place){ .parent = stage_job_parent(job, entry, &place->name) };
    if (place->parent < 0) {
        return stage_job_fail(job, entry, place->parent, "reaching the directory that it is in");
    }
    const char *slash = strrchr(entry->path, '/');
    place->name = slash ? slash + 1 : entry->path;
    stage_job_temporary(job, ordinal, place->temporary);
    place->there = fstatat(place->parent, place->name, &place->target, AT_SYMLINK_NOFOLLOW) == 0;
    place->aside = fstatat(place->parent, place->temporary, &place->kept, AT_SYMLINK_NOFOLLOW) == 0;
    return 0;
}

static int move(const struct stage_job *job, const struct place *place, const char *from, const char *to, unsigned flags, const char *why)
{
    const int result = step(job, why);
    return result < 0 ? result : renameat2(place->parent, from, place->parent, to, flags) == 0 ? 0 : -errno;
}

/* The host's old thing is what it was when it was compared; its content cannot have changed without its time or size. */
static bool is_old(const struct stage_record *record, bool there, const struct stat *st)
{
    return is_inode(there, st, record->old_dev, record->old_ino) &&
           (S_ISDIR(st->st_mode) || ((uint64_t)st->st_size == record->old_size && st->st_mtim.tv_sec == record->old_seconds &&
                                     (uint32_t)st->st_mtim.tv_nsec == record->old_nanos));
}

static int meddled(struct stage_job *job, const struct stage_entry *entry)
{
    return stage_job_conflict(job, entry, "the host changed it while it was being committed");
}

static int put_over(struct stage_job *job, const struct stage_entry *entry, const struct stage_record *record, struct place *place)
{
    int result = move(job, place, place->temporary, place->name, RENAME_EXCHANGE, "exchange");
    if (result < 0) {
        return stage_job_fail(job, entry, result, "exchanging the old for the new");
    }
    place->aside = fstatat(place->parent, place->temporary, &place->kept, AT_SYMLINK_NOFOLLOW) == 0;
    return is_old(record, place->aside, &place->kept) ? 0 : meddled(job, entry);
}

static int put(struct stage_job *job, const struct stage_entry *entry, const struct stage_record *record, struct place *place)
{
    if (is_inode(place->there, &place->target, record->new_dev, record->new_ino)) {
        return record->old_ino == 0 || is_old(record, place->aside, &place->kept) ? 0 : meddled(job, entry);
    }
    if (!is_inode(place->aside, &place->kept, record->new_dev, record->new_ino)) {
        return stage_job_conflict(job, entry, "what was prepared for it is gone");
    }
    if (record->old_ino != 0) {
        return is_old(record, place->there, &place->target) ? put_over(job, entry, record, place) : meddled(job, entry);
    }
    const int result = move(job, place, place->temporary, place->name, RENAME_NOREPLACE, "rename");
    return result == -EEXIST ? meddled(job, entry) : result < 0 ? stage_job_fail(job, entry, result, "giving it its name") : 0;
}

static int take_away(struct stage_job *job, const struct stage_entry *entry, const struct stage_record *record, struct place *place)
{
    if (!place->there && is_inode(place->aside, &place->kept, record->old_dev, record->old_ino)) {
        return 0;
    }
    if (!is_old(record, place->there, &place->target)) {
        return meddled(job, entry);
    }
    const int result = move(job, place, place->name, place->temporary, RENAME_NOREPLACE, "set aside");
    return result < 0 ? stage_job_fail(job, entry, result, "removing it") : 0;
}

/* Sets mode and time of the target itself, if it still is what the record says. time: NULL leaves it. */
static int set_facts(struct stage_job *job, const struct stage_record *record, const struct place *place, uint32_t mode,
                     const struct timespec *time)
{
    char link[40];
    struct stat st;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, time ? *time : (struct timespec){ .tv_nsec = UTIME_OMIT } };
    const int fd = tree_open(place->parent, place->name, O_PATH, 0);
    int result = fd < 0 ? fd : fstat(fd, &st) != 0 ? -errno : step(job, "set mode");
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (result == 0 && (st.st_dev != record->old_dev || st.st_ino != record->old_ino || S_ISLNK(st.st_mode))) {
        result = -ESTALE;
    }
    if (result == 0 && ((st.st_mode & 07777) != mode && chmod(link, mode) != 0)) {
        result = -errno;
    }
    if (result == 0 && time && utimensat(AT_FDCWD, link, times, 0) != 0) {
        result = -errno;
    }
    bv_cleanup_fd(&fd);
    return result;
}

static int touch(struct stage_job *job, const struct stage_entry *entry, const struct stage_record *record, struct place *place)
{
    const struct timespec time = { entry->mtime_seconds, entry->mtime_nanos };
    const bool file = entry->now.kind == BV_ARTIFACT_FILE;
    if (!is_inode(place->there, &place->target, record->old_dev, record->old_ino)) {
        return meddled(job, entry);
    }
    /* A directory keeps the set-group and sticky bits that the host gave it. */
    const uint32_t kept = file ? 0 : record->old_mode & 07000;
    const int result = set_facts(job, record, place, (entry->now.mode & PLAIN_MODE) | kept, file ? &time : NULL);
    return result == -ESTALE ? meddled(job, entry) : result < 0 ? stage_job_fail(job, entry, result, "setting its mode") : 0;
}

static int visit_switch(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                        const struct stage_record *record, void *context)
{
    struct place place;
    (void)context;
    if (role != STAGE_OWN || record->type == STAGE_NOTHING) {
        return 0;
    }
    int result = look(job, entry, ordinal, &place);
    if (result < 0) {
        return result;
    }
    switch (record->type) {
    case STAGE_PUT:
    case STAGE_BUILD: result = put(job, entry, record, &place); break;
    case STAGE_REMOVE: result = take_away(job, entry, record, &place); break;
    case STAGE_TOUCH: result = touch(job, entry, record, &place); break;
    case STAGE_NOTHING: BV_UNREACHABLE();
    }
    bv_cleanup_fd(&place.parent);
    return result;
}

int stage_switch(struct stage_job *job)
{
    return stage_job_pass(job, true, visit_switch, NULL);
}

/* ---- undoing ---- */

static int take_back(struct stage_job *job, const struct stage_record *record, struct place *place)
{
    if (!is_inode(place->there, &place->target, record->new_dev, record->new_ino)) {
        return 0;
    }
    if (record->old_ino != 0) {
        return place->aside ? move(job, place, place->temporary, place->name, RENAME_EXCHANGE, "exchange back") : -ENOENT;
    }
    return move(job, place, place->name, place->temporary, RENAME_NOREPLACE, "rename back");
}

static int put_back(struct stage_job *job, const struct stage_record *record, struct place *place)
{
    if (!is_inode(place->aside, &place->kept, record->old_dev, record->old_ino)) {
        return 0;
    }
    return move(job, place, place->temporary, place->name, RENAME_NOREPLACE, "put back");
}

static int restore(struct stage_job *job, const struct stage_entry *entry, const struct stage_record *record, struct place *place)
{
    const struct timespec time = { record->old_seconds, record->old_nanos };
    if (!is_inode(place->there, &place->target, record->old_dev, record->old_ino)) {
        return 0; /* the host has put something else there, which this commit never touched */
    }
    return set_facts(job, record, place, record->old_mode, entry->now.kind == BV_ARTIFACT_FILE ? &time : NULL);
}

static int visit_undo(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                      const struct stage_record *record, void *context)
{
    struct place place;
    (void)context;
    if (role != STAGE_OWN || record->type == STAGE_NOTHING) {
        return 0;
    }
    int result = look(job, entry, ordinal, &place);
    if (result < 0) {
        return result;
    }
    switch (record->type) {
    case STAGE_PUT:
    case STAGE_BUILD: result = take_back(job, record, &place); break;
    case STAGE_REMOVE: result = put_back(job, record, &place); break;
    case STAGE_TOUCH: result = restore(job, entry, record, &place); break;
    case STAGE_NOTHING: BV_UNREACHABLE();
    }
    bv_cleanup_fd(&place.parent);
    return result < 0 ? stage_job_fail(job, entry, result, "undoing its commit") : 0;
}

int stage_undo(struct stage_job *job)
{
    return stage_job_pass(job, true, visit_undo, NULL);
}

/* ---- what a crash left ---- */

/* The new file at dir/path has the bytes that the list says. */
static int check_file(int dir, const char *path, const struct stage_entry *entry)
{
    char hash[BV_DIGEST_TEXT_SIZE];
    uint64_t size;
    const int fd = stage_open_own(dir, path);
    int result = fd < 0 ? fd : tree_hash(fd, STAGE_HASH_MAX_BYTES, &size, hash);
    bv_cleanup_fd(&fd);
    return result < 0 ? result : strcmp(hash, entry->now.hash) == 0 ? 0 : -EBADMSG;
}

/* base: where the top of what was built stands now, its name in its parent. */
struct verify { char base[256]; int parent; };

static int verify_own(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, const struct stage_record *record,
                      struct verify *verify)
{
    struct place place;
    bv_cleanup_fd(&verify->parent);
    verify->parent = -EBADF;
    if (record->type != STAGE_PUT && record->type != STAGE_BUILD) {
        return 0;
    }
    int result = look(job, entry, ordinal, &place);
    if (result < 0) {
        return result;
    }
    const bool done = is_inode(place.there, &place.target, record->new_dev, record->new_ino);
    (void)snprintf(verify->base, sizeof verify->base, "%s", done ? place.name : place.temporary);
    if (!done && !is_inode(place.aside, &place.kept, record->new_dev, record->new_ino)) {
        result = -ENOENT;
    } else if (entry->now.kind == BV_ARTIFACT_FILE) {
        result = check_file(place.parent, verify->base, entry);
    }
    verify->parent = place.parent;
    return result;
}

static int verify_inner(struct stage_job *job, const struct stage_entry *entry, const struct verify *verify)
{
    char *path;
    if (entry->now.kind != BV_ARTIFACT_FILE || !entry->now.exists) {
        return 0;
    }
    if (asprintf(&path, "%s%s", verify->base, entry->path + strlen(job->top.path)) < 0) {
        return -ENOMEM;
    }
    const int result = check_file(verify->parent, path, entry);
    free(path);
    return result;
}

static int visit_verify(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                        const struct stage_record *record, void *context)
{
    int result = 0;
    switch (role) {
    case STAGE_OWN: result = verify_own(job, entry, ordinal, record, context); break;
    case STAGE_INNER: result = verify_inner(job, entry, context); break;
    case STAGE_GONE: break;
    }
    return result < 0 ? stage_job_fail(job, entry, result, "what was prepared did not survive the crash") : 0;
}

int stage_verify(struct stage_job *job)
{
    struct verify verify = { .parent = -EBADF };
    const int result = stage_job_pass(job, true, visit_verify, &verify);
    bv_cleanup_fd(&verify.parent);
    return result;
}

/* ---- durable names ---- */

struct sync { char *last; uint32_t root; };

static int visit_sync(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                      const struct stage_record *record, void *context)
{
    struct sync *sync = context;
    const char *slash = strrchr(entry->path, '/');
    const size_t size = slash ? (size_t)(slash - entry->path) : 0;
    (void)ordinal;
    (void)role;
    (void)record;
    if (job->batched[entry->root]) {
        return 0;
    }
    if (sync->last && sync->root == entry->root && strlen(sync->last) == size && strncmp(sync->last, entry->path, size) == 0) {
        return 0;
    }
    free(sync->last);
    sync->last = strndup(entry->path, size);
    sync->root = entry->root;
    const int root = stage_job_root(job, entry->root);
    if (!sync->last || root < 0) {
        return sync->last ? root : -ENOMEM;
    }
    const int fd = tree_open(root, sync->last, O_RDONLY | O_DIRECTORY, 0);
    int result = fd == -ENOENT || fd == -ENOTDIR ? 0 : fd < 0 ? fd : step(job, "fsync directory"); /* it went, or is yet to come */
    if (result == 0 && fd >= 0 && fsync(fd) != 0) {
        result = -errno;
    }
    bv_cleanup_fd(&fd);
    if (job->durability == BV_DURABILITY_BEST_EFFORT && (result == -EINVAL || result == -EOPNOTSUPP || result == -EROFS || result == -EACCES)) {
        job->failed_sync = true;
        result = 0;
    }
    return result < 0 ? stage_job_fail(job, entry, result, "making its directory durable") : 0;
}

static int sync_whole(struct stage_job *job, uint32_t root)
{
    const int fd = stage_job_root(job, root);
    int result = fd < 0 ? fd : step(job, "syncfs");
    if (result == 0 && syncfs(fd) != 0) {
        result = -errno;
    }
    return result < 0 ? bv_fail_sys(job->error, job->quarantine->roots[root].path, result, "making what is committed durable"), result : 0;
}

int stage_sync(struct stage_job *job)
{
    struct sync sync = { 0 };
    int result = job->durability == BV_DURABILITY_ATOMIC ? 0 : stage_job_pass(job, false, visit_sync, &sync);
    free(sync.last);
    for (uint32_t root = 0; result == 0 && root < job->quarantine->root_count; root++) {
        result = job->batched[root] ? sync_whole(job, root) : 0;
    }
    return result;
}
