/* stage/commit.c - the first pass of a commit: every new thing is made beside its target, and what the host has is compared with what the run began from.
 *
 * Nothing that anybody else looks at is changed here; what is made are temporary names, which stage_withdraw() takes back. What is made has the
 * staged bytes (their digest is compared with the list), the staged permission bits without set-id and sticky, the owner of what it replaces or
 * else of the staged thing, and its extended attributes of the `user` class. It is a copy, or a second name of the staged file itself where nobody
 * could tell the two
 * apart: making and removing a file costs most file systems a hundred times what a name does. */
#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define PLAIN_MODE 0777u /* what is promoted: never set-id, never sticky */

struct closing { /* a directory's final mode, given when everything in it stands */
    char *path;
    uint32_t mode;
};

struct prepare {
    struct stage_record_writer writer;
    int parent;               /* of the directory that is being built; -EBADF */
    struct closing *closings;
    size_t closing_count, closing_room;
    struct stage_entry gone;  /* the own step whose directory goes, for its name in an error; path is gone_path */
    char *gone_path;
    uint64_t gone_there, gone_listed;
};

static int step(const struct stage_job *job, const char *name)
{
    return stage_step(job->quarantine->store, name);
}

static bool wants_sync(const struct stage_job *job)
{
    return job->durability != BV_DURABILITY_ATOMIC;
}

/* What is left of a sync's answer. A file system that cannot say is an error under `durable` and a note under `best_effort_durable`; a disk that fails
 * is an error under both. */
static int judge_sync(struct stage_job *job, int result)
{
    if (job->durability == BV_DURABILITY_BEST_EFFORT && (result == -EINVAL || result == -EOPNOTSUPP || result == -EROFS)) {
        job->failed_sync = true;
        return 0;
    }
    return result;
}

/* Of a new file or directory in a root. After the first few the root's file system is synced as a whole, once, before anything relies on them: each
 * sync of its own would wait for the medium (syncfs(2) tells of failed writes since Linux 5.8; staging needs 5.11). */
static int sync_new(struct stage_job *job, uint32_t root, int fd)
{
    if (!wants_sync(job)) {
        return 0;
    }
    if (job->synced >= STAGE_SYNCS_MAX) {
        job->batched[root] = true;
        return 0;
    }
    job->synced++;
    const int result = step(job, "fsync");
    return judge_sync(job, result < 0 ? result : fsync(fd) == 0 ? 0 : -errno);
}

/* ---- what the host has ---- */

/* NULL: it is what the run began from. Else why not. */
static const char *difference(int parent, const char *name, const struct stat *st, const struct stage_entry *entry, int *ret_result)
{
    char hash[BV_DIGEST_TEXT_SIZE], text[PATH_MAX];
    uint64_t size;
    const struct stage_thing *base = &entry->base;
    switch (base->kind) {
    case BV_ARTIFACT_DIRECTORY: return S_ISDIR(st->st_mode) ? NULL : "the host has put something else in the directory's place";
    case BV_ARTIFACT_SPECIAL:
        return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode) ? "the host has put something else in its place" : NULL;
    case BV_ARTIFACT_SYMLINK:
        if (!S_ISLNK(st->st_mode)) {
            return "the host has put something else in the link's place";
        }
        *ret_result = tree_read_link(parent, name, text, sizeof text);
        if (*ret_result < 0) {
            return NULL;
        }
        bv_digest_bytes(text, strlen(text), hash);
        return strcmp(hash, base->hash) == 0 ? NULL : "the host has changed the link since";
    case BV_ARTIFACT_FILE: break;
    }
    if (!S_ISREG(st->st_mode)) {
        return "the host has put something else in the file's place";
    }
    if (!base->hash[0]) {
        return "the host's file could not be read when the run ended, so nobody can say whether it changed since";
    }
    if ((uint64_t)st->st_size != base->size) {
        return "the host has changed the file since";
    }
    const int fd = tree_open(parent, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    *ret_result = fd < 0 ? fd : tree_hash(fd, STAGE_HASH_MAX_BYTES, &size, hash);
    bv_cleanup_fd(&fd);
    return *ret_result < 0 || strcmp(hash, base->hash) == 0 ? NULL : "the host has changed the file since";
}

/* 0, or -EEXIST for a conflict, or what went wrong. there: st is of the host's thing. */
static int compare(struct stage_job *job, int parent, const char *name, bool there, const struct stat *st, const struct stage_entry *entry)
{
    const bool directory = entry->now.exists && entry->now.kind == BV_ARTIFACT_DIRECTORY;
    int result = 0;
    if (job->overwrite || (directory && there && S_ISDIR(st->st_mode)) || (!there && entry->change == BV_CHANGE_REMOVED)) {
        return 0;
    }
    if (entry->raced && !(entry->base.exists && entry->base.kind == BV_ARTIFACT_DIRECTORY)) {
        return stage_job_conflict(job, entry, entry->base.exists ? "the host changed it while the run lasted" : "the host removed it while the run lasted");
    }
    if (there && !entry->base.exists) {
        return stage_job_conflict(job, entry, "the run made it new, and the host has made something there since");
    }
    if (!there && entry->base.exists) {
        return stage_job_conflict(job, entry, "the host has removed it since");
    }
    const char *why = there ? difference(parent, name, st, entry, &result) : NULL;
    return result < 0 ? stage_job_fail(job, entry, result, "comparing the host's") : why ? stage_job_conflict(job, entry, why) : 0;
}

/* ---- making ---- */

/* Attributes of the `user` class, overlayfs's own left out; what the target's file system cannot hold is left out too. */
static void copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    const ssize_t size = flistxattr(from, names, sizeof names);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        const char *name = names + at;
        if (strncmp(name, "user.", 5) != 0 || strncmp(name, "user.overlay.", 13) == 0) {
            continue;
        }
        const ssize_t length = fgetxattr(from, name, value, sizeof value);
        if (length >= 0) {
            (void)fsetxattr(to, name, value, (size_t)length, 0);
        }
    }
}

/* old: what it takes the place of; NULL: nothing. */
static int give_owner(int fd, const struct stat *staged, const struct stat *old)
{
    const struct stat *from = old ? old : staged;
    if (geteuid() != 0) {
        return 0; /* it is the caller's, who may give it to nobody */
    }
    return fchown(fd, from->st_uid, from->st_gid) == 0 ? 0 : -errno;
}

static int fill_file(struct stage_job *job, const struct stage_entry *entry, int from, int to, const struct stat *old)
{
    char hash[BV_DIGEST_TEXT_SIZE];
    struct stat staged;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { entry->mtime_seconds, entry->mtime_nanos } };
    if (fstat(from, &staged) != 0) {
        return -errno;
    }
    if (!S_ISREG(staged.st_mode)) {
        return -EBADMSG;
    }
    int result = step(job, "copy file");
    if (result == 0) {
        result = tree_copy(from, to, STAGE_HASH_MAX_BYTES, hash);
    }
    if (result == 0 && strcmp(hash, entry->now.hash) != 0) {
        return -EBADMSG; /* what is listed and reported is what is committed, or nothing */
    }
    copy_attributes(from, to);
    if (result == 0) {
        result = give_owner(to, &staged, old);
    }
    if (result == 0 && (fchmod(to, entry->now.mode & PLAIN_MODE) != 0 || futimens(to, times) != 0)) {
        result = -errno;
    }
    return result == 0 ? sync_new(job, entry->root, to) : result;
}

/* ---- a name instead of a copy ---- */

/* A copy has attributes of the `user` class only, and none of overlayfs's. False: it has others, or they cannot be taken away. */
static bool strip_attributes(int fd)
{
    char names[4096];
    const ssize_t size = flistxattr(fd, names, sizeof names);
    if (size < 0) {
        return errno == EOPNOTSUPP;
    }
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        const char *name = names + at;
        if (strncmp(name, "user.", 5) != 0 || (strncmp(name, "user.overlay.", 13) == 0 && fremovexattr(fd, name) != 0)) {
            return false;
        }
    }
    return true;
}

/* Nobody has it open for writing: a descriptor that a workload gave away must not reach what the host holds. A lease is had on no other terms
 * (fcntl(2), F_SETLEASE). */
static bool is_still(int fd)
{
    return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* Flags that a new file has by itself; any other may be the workload's doing. */
static bool has_plain_flags(int fd)
{
    int flags = 0;
    return ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 ? errno == ENOTTY || errno == EOPNOTSUPP : (flags & ~(FS_EXTENT_FL | FS_INLINE_DATA_FL)) == 0;
}

static bool can_be_linked(int from, const struct stat *staged)
{
    return S_ISREG(staged->st_mode) && staged->st_nlink == 1 && has_plain_flags(from) && is_still(from) && strip_attributes(from);
}

/* 1: dir/path is a name of the staged file. 0: only a copy will do. -errno. */
static int link_file(struct stage_job *job, const struct stage_entry *entry, int from, int dir, const char *path, const struct stat *old)
{
    char hash[BV_DIGEST_TEXT_SIZE], self[40];
    struct stat staged;
    const char *name;
    uint64_t size;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { entry->mtime_seconds, entry->mtime_nanos } };
    if (fstat(from, &staged) != 0 || !can_be_linked(from, &staged)) {
        return 0;
    }
    int result = tree_hash(from, STAGE_HASH_MAX_BYTES, &size, hash);
    if (result < 0 || strcmp(hash, entry->now.hash) != 0) {
        return result < 0 ? result : -EBADMSG;
    }
    if (give_owner(from, &staged, old) < 0 || fchmod(from, entry->now.mode & PLAIN_MODE) != 0 || futimens(from, times) != 0) {
        return 0;
    }
    result = step(job, "link file");
    const int parent = result < 0 ? result : tree_open_parent(dir, path, &name);
    if (parent < 0) {
        return parent;
    }
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", from);
    const bool linked = linkat(AT_FDCWD, self, parent, name, AT_SYMLINK_FOLLOW) == 0;
    bv_cleanup_fd(&parent);
    if (!linked) {
        return 0; /* another file system, or one without second names */
    }
    result = sync_new(job, entry->root, from);
    return result < 0 ? result : 1;
}

static int make_file(struct stage_job *job, const struct stage_entry *entry, int dir, const char *path, const struct stat *old)
{
    const int upper = stage_job_upper(job, entry->root);
    if (upper < 0) {
        return upper;
    }
    if (!entry->now.hash[0]) {
        return stage_job_conflict(job, entry, "it is too large to have been hashed, and what has no digest is not committed");
    }
    const int from = stage_open_own(upper, entry->path);
    int result = from < 0 ? from : link_file(job, entry, from, dir, path, old), to = -EBADF;
    if (result == 0) {
        result = step(job, "make file");
        to = result < 0 ? result : tree_open(dir, path, O_RDWR | O_CREAT | O_EXCL, 0600);
        result = to < 0 ? to : fill_file(job, entry, from, to, old);
    }
    bv_cleanup_fd(&from);
    bv_cleanup_fd(&to);
    if (result == -EBADMSG) {
        char place[160];
        (void)snprintf(place, sizeof place, "%s/%s", job->quarantine->roots[entry->root].path, entry->path);
        (void)bv_fail(job->error, BV_E_CORRUPT, place, "%.120s: what is staged is not what the run's list says", place);
        return result;
    }
    return result < 0 ? stage_job_fail(job, entry, result, "copying it into the root") : 0;
}

static int make_link(struct stage_job *job, const struct stage_entry *entry, int dir, const char *path)
{
    char text[PATH_MAX], hash[BV_DIGEST_TEXT_SIZE];
    const char *name, *target;
    const int upper = stage_job_upper(job, entry->root);
    const int from = upper < 0 ? upper : tree_open_parent(upper, entry->path, &name);
    int result = from < 0 ? from : tree_read_link(from, name, text, sizeof text);
    bv_cleanup_fd(&from);
    if (result == 0) {
        bv_digest_bytes(text, strlen(text), hash);
        result = strcmp(hash, entry->now.hash) == 0 ? step(job, "make link") : -EBADMSG;
    }
    if (result == 0) {
        const int to = tree_open_parent(dir, path, &target);
        result = to < 0 ? to : symlinkat(text, to, target) == 0 ? 0 : -errno;
        bv_cleanup_fd(&to);
    }
    return result < 0 ? stage_job_fail(job, entry, result, "making the link") : 0;
}

static int note_mode(struct prepare *prepare, const char *path, uint32_t mode)
{
    if (prepare->closing_count == prepare->closing_room) {
        const size_t room = prepare->closing_room ? prepare->closing_room * 2 : 16;
        struct closing *closings = realloc(prepare->closings, room * sizeof *closings);
        if (!closings) {
            return -ENOMEM;
        }
        prepare->closings = closings;
        prepare->closing_room = room;
    }
    char *copy = strdup(path);
    if (!copy) {
        return -ENOMEM;
    }
    prepare->closings[prepare->closing_count++] = (struct closing){ copy, mode };
    return 0;
}

/* Open to its owner until everything in it stands. */
static int make_directory(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry, int dir, const char *path)
{
    const char *name;
    struct stat staged;
    const uint32_t mode = entry->now.mode & PLAIN_MODE;
    const int upper = stage_job_upper(job, entry->root);
    const int from = upper < 0 ? upper : tree_open(upper, entry->path, O_PATH | O_DIRECTORY, 0);
    int result = from < 0 ? from : fstat(from, &staged) != 0 ? -errno : step(job, "make directory");
    bv_cleanup_fd(&from);
    const int parent = result < 0 ? result : tree_open_parent(dir, path, &name);
    if (parent >= 0) {
        result = mkdirat(parent, name, 0700) == 0 ? 0 : -errno;
    }
    const int fd = parent < 0 || result < 0 ? -EBADF : tree_open(parent, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        result = give_owner(fd, &staged, NULL);
        if (result == 0 && fchmod(fd, mode | 0700) != 0) {
            result = -errno;
        }
    }
    bv_cleanup_fd(&fd);
    bv_cleanup_fd(&parent);
    if (result == 0 && ((mode & 0700) != 0700 || wants_sync(job))) {
        result = note_mode(prepare, path, mode);
    }
    return result < 0 ? stage_job_fail(job, entry, result, "making the directory") : 0;
}

/* Gives the directories of what was built their modes, the innermost first. */
static int close_build(struct stage_job *job, struct prepare *prepare)
{
    int result = 0;
    while (prepare->closing_count > 0) {
        struct closing *closing = &prepare->closings[--prepare->closing_count];
        const int fd = result < 0 ? -EBADF : tree_open(prepare->parent, closing->path, O_RDONLY | O_DIRECTORY, 0);
        if (result == 0) {
            result = fd < 0 ? fd : sync_new(job, job->top.root, fd);
        }
        if (result == 0 && fchmod(fd, closing->mode) != 0) {
            result = -errno;
        }
        bv_cleanup_fd(&fd);
        free(closing->path);
    }
    bv_cleanup_fd(&prepare->parent);
    prepare->parent = -EBADF;
    return result < 0 ? bv_fail_sys(job->error, job->quarantine->attempt, result, "closing a new directory"), result : 0;
}

/* All that a directory held that goes was listed when the run ended; what came since is the host's. */
static int close_gone(struct stage_job *job, struct prepare *prepare)
{
    const bool equal = prepare->gone_listed == prepare->gone_there || job->overwrite;
    int result = 0;
    if (prepare->gone_path && !equal) {
        prepare->gone.path = prepare->gone_path;
        result = stage_job_conflict(job, &prepare->gone, "the host has changed what is in this directory since");
    }
    free(BV_TAKE(prepare->gone_path));
    return result;
}

static int close_top(struct stage_job *job, struct prepare *prepare)
{
    const int built = close_build(job, prepare), gone = close_gone(job, prepare);
    return built < 0 ? built : gone;
}

/* ---- steps ---- */

static void note_old(struct stage_record *record, const struct stat *st)
{
    record->old_dev = st->st_dev;
    record->old_ino = st->st_ino;
    record->old_size = (uint64_t)st->st_size;
    record->old_seconds = st->st_mtim.tv_sec;
    record->old_nanos = (uint32_t)st->st_mtim.tv_nsec;
    record->old_mode = st->st_mode & 07777;
}

static int note_new(struct stage_job *job, const struct stage_entry *entry, int parent, const char *name, struct stage_record *record)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return stage_job_fail(job, entry, -errno, "looking at its copy");
    }
    record->new_dev = st.st_dev;
    record->new_ino = st.st_ino;
    return 0;
}

/* A file with more names is not touched in place: the run changed the one name only. */
static bool only_touched(const struct stage_entry *entry, bool there, const struct stat *st)
{
    return there && entry->now.kind == BV_ARTIFACT_FILE && S_ISREG(st->st_mode) && st->st_nlink == 1 && entry->base.exists && entry->now.hash[0] &&
           entry->base.kind == BV_ARTIFACT_FILE && strcmp(entry->now.hash, entry->base.hash) == 0;
}

static enum stage_step_type type_of(const struct stage_job *job, const struct stage_entry *entry, bool there, const struct stat *st)
{
    if (entry->change == BV_CHANGE_REMOVED) {
        return there ? STAGE_REMOVE : STAGE_NOTHING;
    }
    switch (entry->now.kind) {
    case BV_ARTIFACT_SPECIAL: return STAGE_NOTHING;
    case BV_ARTIFACT_DIRECTORY: return there && S_ISDIR(st->st_mode) ? STAGE_TOUCH : STAGE_BUILD;
    case BV_ARTIFACT_FILE: return only_touched(entry, there, st) && !job->overwrite ? STAGE_TOUCH : STAGE_PUT;
    case BV_ARTIFACT_SYMLINK: return STAGE_PUT;
    }
    BV_UNREACHABLE();
}

static int make_new(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry, int parent, const struct stat *old,
                    struct stage_record *record)
{
    char temporary[STAGE_TEMPORARY_BYTES];
    int result = 0;
    stage_job_temporary(job, record->ordinal, temporary);
    if (record->type == STAGE_BUILD) {
        prepare->parent = fcntl(parent, F_DUPFD_CLOEXEC, 3);
        result = prepare->parent < 0 ? -errno : make_directory(job, prepare, entry, parent, temporary);
    } else if (entry->now.kind == BV_ARTIFACT_FILE) {
        result = make_file(job, entry, parent, temporary, old && S_ISREG(old->st_mode) ? old : NULL);
    } else {
        result = make_link(job, entry, parent, temporary);
    }
    return result < 0 ? result : note_new(job, entry, parent, temporary, record);
}

/* What goes with this step below it. A special file that took a directory's place is not promoted, and leaves the directory. */
static int begin_gone(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry, int parent, const char *name)
{
    prepare->gone = *entry;
    prepare->gone_listed = 1;
    prepare->gone_path = strdup(entry->path);
    if (!prepare->gone_path) {
        return -ENOMEM;
    }
    const int result = tree_count(parent, name, &prepare->gone_there);
    return result < 0 ? stage_job_fail(job, entry, result, "looking at what is in the directory") : 0;
}

static int prepare_own(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry, uint64_t ordinal)
{
    struct stage_record record = { .ordinal = ordinal };
    struct stat st;
    const char *name;
    int result = close_top(job, prepare);
    const int parent = result < 0 ? result : stage_job_parent(job, entry, &name);
    if (parent < 0) {
        return result < 0 ? result : stage_job_fail(job, entry, parent, "reaching the directory that it is in");
    }
    const bool there = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    record.type = type_of(job, entry, there, &st);
    const bool directory = there && S_ISDIR(st.st_mode);
    record.gone = directory && (record.type == STAGE_REMOVE || record.type == STAGE_PUT ||
                                (record.type == STAGE_NOTHING && entry->base.exists && entry->base.kind == BV_ARTIFACT_DIRECTORY));
    job->counts.skipped += entry->now.exists && entry->now.kind == BV_ARTIFACT_SPECIAL;
    job->counts.applied += record.type != STAGE_NOTHING;
    if (record.type != STAGE_NOTHING) {
        result = compare(job, parent, name, there, &st, entry);
    }
    if (result == 0 && there) {
        note_old(&record, &st);
    }
    if (result == 0 && (record.type == STAGE_PUT || record.type == STAGE_BUILD)) {
        result = make_new(job, prepare, entry, parent, there ? &st : NULL, &record);
    }
    if (result == 0 && record.gone && record.type != STAGE_NOTHING) {
        result = begin_gone(job, prepare, entry, parent, name);
    }
    if (result == 0 && (record.gone || record.type == STAGE_BUILD)) {
        result = stage_job_open_top(job, entry, ordinal, record.type, record.gone);
    }
    if (result == 0) {
        stage_record_writer_add(&prepare->writer, &record);
        result = prepare->writer.result;
    }
    bv_cleanup_fd(&parent);
    return result;
}

/* A path inside the directory that is being built. */
static int prepare_inner(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry)
{
    char temporary[STAGE_TEMPORARY_BYTES];
    char *path;
    if (!entry->now.exists) {
        return 0;
    }
    job->counts.skipped += entry->now.kind == BV_ARTIFACT_SPECIAL;
    job->counts.applied += entry->now.kind != BV_ARTIFACT_SPECIAL;
    stage_job_temporary(job, job->top.ordinal, temporary);
    if (asprintf(&path, "%s%s", temporary, entry->path + strlen(job->top.path)) < 0) {
        return -ENOMEM;
    }
    int result = 0;
    switch (entry->now.kind) {
    case BV_ARTIFACT_FILE: result = make_file(job, entry, prepare->parent, path, NULL); break;
    case BV_ARTIFACT_DIRECTORY: result = make_directory(job, prepare, entry, prepare->parent, path); break;
    case BV_ARTIFACT_SYMLINK: result = make_link(job, entry, prepare->parent, path); break;
    case BV_ARTIFACT_SPECIAL: break;
    }
    free(path);
    return result;
}

static int prepare_gone(struct stage_job *job, struct prepare *prepare, const struct stage_entry *entry)
{
    struct stat st;
    const char *name;
    if (!prepare->gone_path) { /* below what stays */
        return 0;
    }
    const int parent = stage_job_parent(job, entry, &name);
    const bool there = parent >= 0 && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int result = 0;
    if (there) {
        prepare->gone_listed++;
        job->counts.applied++;
        result = compare(job, parent, name, true, &st, entry);
    }
    bv_cleanup_fd(&parent);
    return result;
}

static int visit_prepare(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                         const struct stage_record *record, void *context)
{
    (void)record;
    switch (role) {
    case STAGE_OWN: return prepare_own(job, context, entry, ordinal);
    case STAGE_INNER: return prepare_inner(job, context, entry);
    case STAGE_GONE: return prepare_gone(job, context, entry);
    }
    BV_UNREACHABLE();
}

int stage_prepare(struct stage_job *job, int records_fd)
{
    struct prepare prepare = { .parent = -EBADF };
    stage_record_writer_init(&prepare.writer, records_fd);
    int result = stage_job_pass(job, false, visit_prepare, &prepare);
    if (result == 0) {
        result = close_top(job, &prepare);
    }
    bv_cleanup_fd(&prepare.parent);
    while (prepare.closing_count > 0) {
        free(prepare.closings[--prepare.closing_count].path);
    }
    free(prepare.closings);
    free(prepare.gone_path);
    const int written = stage_record_writer_done(&prepare.writer);
    if (result == 0 && written < 0) {
        (void)bv_fail_sys(job->error, job->quarantine->attempt, written, "writing the record `prepared`");
    }
    return result < 0 ? result : written;
}

/* ---- taking back, clearing ---- */

/* Removes the temporary name of a step, whatever it holds. The directory that it was in may be gone by now. */
static int drop_temporary(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, const char *why)
{
    char temporary[STAGE_TEMPORARY_BYTES];
    struct stat st;
    const char *name;
    struct bv_error unsaid = { 0 }, *error = job->error;
    job->error = &unsaid;
    const int parent = stage_job_parent(job, entry, &name);
    job->error = error;
    if (parent < 0) {
        return parent == -ENOENT || parent == -ENOTDIR || parent == -ELOOP || parent == -ESTALE
                   ? 0
                   : stage_job_fail(job, entry, parent, "reaching the directory that it is in");
    }
    int result = 0;
    stage_job_temporary(job, ordinal, temporary);
    if (fstatat(parent, temporary, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        result = step(job, why);
        result = result == 0 ? tree_remove(parent, temporary) : result;
    }
    bv_cleanup_fd(&parent);
    return result < 0 ? stage_job_fail(job, entry, result, why) : 0;
}

static int visit_withdraw(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                          const struct stage_record *record, void *context)
{
    (void)role;
    (void)record;
    (void)context;
    return drop_temporary(job, entry, ordinal, "take back");
}

int stage_withdraw(struct stage_job *job)
{
    return stage_job_pass(job, false, visit_withdraw, NULL);
}

static int visit_clear(struct stage_job *job, const struct stage_entry *entry, uint64_t ordinal, enum stage_role role,
                       const struct stage_record *record, void *context)
{
    (void)context;
    return role == STAGE_OWN && record->type != STAGE_TOUCH && record->type != STAGE_NOTHING ? drop_temporary(job, entry, ordinal, "clear") : 0;
}

int stage_clear(struct stage_job *job)
{
    return stage_job_pass(job, true, visit_clear, NULL);
}
