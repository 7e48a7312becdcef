/* stage/delta.c - the list of changes of a staged run.
 *
 * Theory. rN/upper holds what overlayfs keeps of the run's writes: files and directories as they were left, a character device 0:0 for a name that
 * was removed (a whiteout), and the attribute user.overlay.opaque on a directory that hides what the host has there
 * (Documentation/filesystems/overlayfs.rst). The walk goes through it and compares each thing with what the host has at the same path now. Both trees
 * are read by descriptor and no link is followed; a special file is looked at and never opened. Memory is what the names of the directories on
 * the way to one path take. What was only touched (overlayfs copies a file when it is opened for writing) is no change.
 *
 * The tree that wrote all this was hostile and is dead; the host's is alive, and is read as it is. */
#include "stage/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define OPAQUE   "user.overlay.opaque"
#define REDIRECT "user.overlay.redirect"
#define ORIGIN   "user.overlay.origin"

struct frame {
    struct tree_names names;  /* of the upper directory; of the host's under a removal */
    struct tree_names hidden; /* of the host's, where the upper one is opaque */
    size_t next, next_hidden, path_size; /* path_size: of the path without this directory's name */
    bool removed;             /* everything in it is gone */
    bool opaque;
};

struct walk {
    struct stage_quarantine *quarantine;
    struct stage_writer writer;
    struct stage_summary *summary;
    uint32_t root;
    int upper_root, lower_root;
    int upper, lower;    /* directories of the newest frame; -EBADF: none, or not reached yet */
    bool reached;
    struct frame *frames;
    size_t depth, room;
    char *path;
    size_t path_size;
    uint64_t hash_left;
};

/* The first thing that could not be listed is the one that is told. */
static void missing(struct walk *walk, const char *what, int result)
{
    struct stage_summary *summary = walk->summary;
    summary->complete = false;
    if (summary->missing[0] == '\0') {
        (void)snprintf(summary->missing, sizeof summary->missing, "%.120s: %s: %s", walk->path, what, strerror(-result));
    }
}

/* ---- things ---- */

static enum bv_artifact_kind kind_of(mode_t mode)
{
    return S_ISREG(mode)   ? BV_ARTIFACT_FILE
           : S_ISDIR(mode) ? BV_ARTIFACT_DIRECTORY
           : S_ISLNK(mode) ? BV_ARTIFACT_SYMLINK
                           : BV_ARTIFACT_SPECIAL;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int stage_open_own(int root, const char *path)
{
    int fd = tree_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    struct stat st;
    char link[40];
    if (fd != -EACCES) {
        return fd;
    }
    const int path_fd = tree_open(root, path, O_PATH, 0);
    if (path_fd < 0) {
        return path_fd;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
    if (fstat(path_fd, &st) == 0 && S_ISREG(st.st_mode) && chmod(link, (st.st_mode & 07777) | 0400) == 0) {
        fd = tree_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        (void)chmod(link, st.st_mode & 07777);
    }
    (void)close(path_fd);
    return fd;
}

static int hash_file(struct walk *walk, int dir, const char *name, bool own, struct stage_thing *thing)
{
    uint64_t size;
    if (thing->size > walk->hash_left) {
        return 0; /* stays without a digest, which says so */
    }
    const int fd = own ? stage_open_own(dir, name) : tree_open(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) {
        return fd;
    }
    struct stat st;
    int result = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -ESTALE; /* the host exchanged it meanwhile */
    if (result == 0) {
        result = tree_hash(fd, walk->hash_left, &size, thing->hash);
    }
    (void)close(fd);
    if (result == 0) {
        walk->hash_left -= size;
        thing->size = size;
    } else {
        thing->hash[0] = '\0';
    }
    return result == -EFBIG ? 0 : result;
}

static int hash_link(int dir, const char *name, struct stage_thing *thing)
{
    char text[PATH_MAX];
    const int result = tree_read_link(dir, name, text, sizeof text);
    if (result == 0) {
        thing->size = strlen(text);
        bv_digest_bytes(text, strlen(text), thing->hash);
    }
    return result;
}

/* What stands at a name, with its digest. Host's files that may not be read have none. */
static int look(struct walk *walk, int dir, const char *name, bool own, const struct stat *st, struct stage_thing *thing)
{
    *thing = (struct stage_thing){ .exists = true, .kind = kind_of(st->st_mode), .mode = st->st_mode & 07777 };
    switch (thing->kind) {
    case BV_ARTIFACT_FILE: {
        thing->size = (uint64_t)st->st_size;
        const int result = hash_file(walk, dir, name, own, thing);
        return result < 0 && !own && result != -ENOMEM ? 0 : result;
    }
    case BV_ARTIFACT_SYMLINK: return hash_link(dir, name, thing);
    case BV_ARTIFACT_DIRECTORY:
    case BV_ARTIFACT_SPECIAL: return 0;
    }
    BV_UNREACHABLE();
}

static bool is_later(const struct timespec *time, const struct timespec *than)
{
    return time->tv_sec != than->tv_sec ? time->tv_sec > than->tv_sec : time->tv_nsec > than->tv_nsec;
}

static bool has_attribute(int root, const char *path, const char *name, char *value)
{
    char link[40], text[4];
    const int fd = tree_open(root, path, O_PATH, 0);
    if (fd < 0) {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = getxattr(link, name, text, sizeof text);
    (void)close(fd);
    *value = size > 0 ? text[0] : '\0';
    return size >= 0 || errno == ERANGE;
}

/* ---- the path and its directories ---- */

static int push_path(struct walk *walk, const char *name)
{
    const size_t size = strlen(name);
    if (walk->path_size + size + 1 > STAGE_PATH_MAX_BYTES) {
        return -ENAMETOOLONG;
    }
    if (walk->path_size > 0) {
        walk->path[walk->path_size++] = '/';
    }
    memcpy(walk->path + walk->path_size, name, size + 1);
    walk->path_size += size;
    return 0;
}

static void cut_path(struct walk *walk, size_t size)
{
    walk->path_size = size;
    walk->path[size] = '\0';
}

static void leave(struct walk *walk)
{
    bv_cleanup_fd(&walk->upper);
    bv_cleanup_fd(&walk->lower);
    walk->upper = walk->lower = -EBADF;
    walk->reached = false;
}

/* Opens both directories of the newest frame, whose path is the walk's. A directory that one of the two has not is -EBADF. */
static int reach(struct walk *walk)
{
    const struct frame *frame = &walk->frames[walk->depth - 1];
    if (walk->reached) {
        return 0;
    }
    leave(walk);
    if (!frame->removed) {
        walk->upper = tree_open(walk->upper_root, walk->path, O_RDONLY | O_DIRECTORY, 0);
        if (walk->upper < 0) {
            return walk->upper;
        }
    }
    walk->lower = tree_open(walk->lower_root, walk->path, O_RDONLY | O_DIRECTORY, 0);
    if (walk->lower == -EACCES) {
        walk->lower = tree_open(walk->lower_root, walk->path, O_PATH | O_DIRECTORY, 0);
    }
    if (walk->lower < 0) {
        walk->lower = -EBADF; /* no directory of the host's, or none any more */
    }
    walk->reached = true;
    return 0;
}

/* Enters the directory at the walk's path; before: the path without its name. */
static int enter(struct walk *walk, size_t before, bool removed, bool opaque)
{
    if (walk->depth == walk->room) {
        const size_t room = walk->room ? walk->room * 2 : 32;
        struct frame *frames = realloc(walk->frames, room * sizeof *frames);
        if (!frames) {
            return -ENOMEM;
        }
        walk->frames = frames;
        walk->room = room;
    }
    struct frame *frame = &walk->frames[walk->depth++];
    *frame = (struct frame){ .path_size = before, .removed = removed, .opaque = opaque };
    walk->reached = false;
    int result = reach(walk);
    if (result == 0 && !removed) {
        result = tree_names_read(walk->upper, STAGE_NAMES_MAX_BYTES, &frame->names);
    }
    if (result == 0 && walk->lower >= 0 && (removed || opaque)) {
        const int read = tree_names_read(walk->lower, STAGE_NAMES_MAX_BYTES, removed ? &frame->names : &frame->hidden);
        if (read < 0 && read != -ENOMEM) {
            missing(walk, "reading the host's directory", read);
        } else {
            result = read;
        }
    }
    return result;
}

static void leave_frame(struct walk *walk)
{
    struct frame *frame = &walk->frames[--walk->depth];
    tree_names_done(&frame->names);
    tree_names_done(&frame->hidden);
    cut_path(walk, frame->path_size);
    walk->reached = false;
}

/* ---- one path ---- */

static int add(struct walk *walk, struct stage_entry *entry)
{
    if (walk->writer.entries >= STAGE_ENTRIES_MAX) {
        missing(walk, "too many changes", -E2BIG);
        return 0;
    }
    entry->root = walk->root;
    entry->path = walk->path;
    stage_writer_add(&walk->writer, entry);
    return walk->writer.result;
}

/* The host's thing at a name. 1: there is one; 0: there is none. */
static int look_below(struct walk *walk, const char *name, struct stage_entry *entry)
{
    struct stat st;
    if (walk->lower < 0 || fstatat(walk->lower, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    const int result = look(walk, walk->lower, name, false, &st, &entry->base);
    entry->raced = is_later(&st.st_ctim, &walk->quarantine->started);
    return result < 0 ? result : 1;
}

/* Everything of the host's at the walk's path is gone. */
static int list_removed(struct walk *walk, const char *name, size_t before)
{
    struct stage_entry entry = { .change = BV_CHANGE_REMOVED };
    const int there = look_below(walk, name, &entry);
    const int result = there > 0 ? add(walk, &entry) : there;
    if (result < 0 || there == 0 || entry.base.kind != BV_ARTIFACT_DIRECTORY) {
        return result;
    }
    return enter(walk, before, true, false);
}

static bool same_file(const struct stage_entry *entry, const struct stat *now, const struct stat *base)
{
    return entry->now.hash[0] && strcmp(entry->now.hash, entry->base.hash) == 0 && entry->now.mode == entry->base.mode &&
           now->st_mtim.tv_sec == base->st_mtim.tv_sec && now->st_mtim.tv_nsec == base->st_mtim.tv_nsec;
}

static bool is_unchanged(struct walk *walk, const char *name, const struct stage_entry *entry, const struct stat *now)
{
    struct stat base;
    if (!entry->base.exists || entry->base.kind != entry->now.kind || fstatat(walk->lower, name, &base, AT_SYMLINK_NOFOLLOW) != 0) {
        return false;
    }
    switch (entry->now.kind) {
    case BV_ARTIFACT_FILE: return same_file(entry, now, &base);
    case BV_ARTIFACT_DIRECTORY: return entry->now.mode == entry->base.mode;
    case BV_ARTIFACT_SYMLINK: return strcmp(entry->now.hash, entry->base.hash) == 0;
    case BV_ARTIFACT_SPECIAL: return ((now->st_mode ^ base.st_mode) & S_IFMT) == 0 && now->st_rdev == base.st_rdev && entry->now.mode == entry->base.mode;
    }
    BV_UNREACHABLE();
}

/* A directory of the run's: opened up if it closed it to its owner, what the host has below it merged unless it hides that. */
static int enter_upper(struct walk *walk, const char *name, size_t before, const struct stat *st, bool merges)
{
    char value;
    if ((st->st_mode & 0700) != 0700) {
        if (fchmodat(walk->upper, name, (st->st_mode & 07777) | 0700, 0) != 0) {
            return -errno;
        }
    }
    if (has_attribute(walk->upper, name, REDIRECT, &value)) {
        missing(walk, "a renamed directory", -EBADMSG); /* never made under the options that we mount with */
        return 0;
    }
    const bool opaque = walk->frames[walk->depth - 1].opaque || !merges ||
                        (has_attribute(walk->upper, name, OPAQUE, &value) && value == 'y');
    return enter(walk, before, false, opaque);
}

/* A copy of a file of the host's stands where the host has none: either the run gave it this name, or the host has removed it meanwhile. Only if the
 * host's directory was changed since the run began can it be the latter. */
static bool host_took_names(const struct walk *walk)
{
    struct stat st;
    return walk->lower >= 0 && fstat(walk->lower, &st) == 0 && is_later(&st.st_mtim, &walk->quarantine->started);
}

static int visit_upper(struct walk *walk, const char *name, size_t before)
{
    struct stat st;
    char value;
    struct stage_entry entry = { 0 };
    int result = fstatat(walk->upper, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    if (result < 0) {
        return result;
    }
    if (is_whiteout(&st)) {
        return list_removed(walk, name, before);
    }
    result = look(walk, walk->upper, name, true, &st, &entry.now);
    const int there = result < 0 ? result : look_below(walk, name, &entry);
    if (there < 0) {
        return there;
    }
    entry.change = there ? BV_CHANGE_MODIFIED : BV_CHANGE_ADDED;
    entry.mtime_seconds = st.st_mtim.tv_sec;
    entry.mtime_nanos = (uint32_t)st.st_mtim.tv_nsec;
    if (!there && entry.now.kind == BV_ARTIFACT_FILE && has_attribute(walk->upper, name, ORIGIN, &value)) {
        entry.raced = host_took_names(walk);
    }
    if (!is_unchanged(walk, name, &entry, &st)) {
        result = add(walk, &entry);
    }
    if (result == 0 && entry.now.kind == BV_ARTIFACT_DIRECTORY) {
        result = enter_upper(walk, name, before, &st, there && entry.base.kind == BV_ARTIFACT_DIRECTORY);
    } else if (result == 0 && there && entry.base.kind == BV_ARTIFACT_DIRECTORY) {
        result = enter(walk, before, true, false); /* a file or a link took a directory's place */
    }
    return result;
}

/* The next name of the newest frame: of the upper directory, or one that an opaque directory hides. NULL: there is no more. */
static const char *next_name(struct frame *frame, bool *ret_hidden)
{
    const char *upper = frame->next < frame->names.count ? tree_name(&frame->names, frame->next) : NULL;
    const char *hidden = frame->next_hidden < frame->hidden.count ? tree_name(&frame->hidden, frame->next_hidden) : NULL;
    const int order = !upper ? 1 : !hidden ? -1 : strcmp(upper, hidden);
    frame->next += order <= 0 && upper;
    frame->next_hidden += order >= 0 && hidden;
    *ret_hidden = order > 0;
    return order > 0 ? hidden : upper;
}

static bool is_fatal(int result)
{
    return result == -ENOMEM || result == -ENOSPC || result == -EDQUOT || result == -EIO || result == -EMFILE || result == -ENFILE;
}

static int step(struct walk *walk)
{
    bool hidden, entered = false;
    struct frame *frame = &walk->frames[walk->depth - 1];
    const size_t before = walk->path_size;
    const char *name = next_name(frame, &hidden);
    if (!name) {
        leave_frame(walk);
        return 0;
    }
    int result = reach(walk);
    if (result == 0) {
        result = push_path(walk, name);
    }
    if (result == 0) {
        const size_t depth = walk->depth;
        result = frame->removed || hidden ? list_removed(walk, name, before) : visit_upper(walk, name, before);
        entered = walk->depth > depth; /* also one that could not be read: it is left again at once */
    }
    if (result < 0 && !is_fatal(result) && walk->writer.result == 0) {
        missing(walk, name, result);
        result = 0;
    }
    if (!entered && walk->path_size > before) {
        cut_path(walk, before);
    }
    return result;
}

static int walk_root(struct walk *walk, uint32_t root)
{
    walk->root = root;
    walk->upper_root = stage_open_upper(walk->quarantine, root);
    walk->lower_root = walk->upper_root < 0 ? -EBADF : stage_open_root(walk->quarantine, root);
    cut_path(walk, 0);
    int result = walk->upper_root < 0 ? walk->upper_root : 0;
    if (result == 0 && walk->lower_root < 0) {
        missing(walk, walk->quarantine->roots[root].path, walk->lower_root); /* the host took the root away */
    } else if (result == 0) {
        result = enter(walk, 0, false, false);
    }
    while (result == 0 && walk->depth > 0) {
        result = step(walk);
    }
    while (walk->depth > 0) {
        leave_frame(walk);
    }
    leave(walk);
    bv_cleanup_fd(&walk->upper_root);
    bv_cleanup_fd(&walk->lower_root);
    return result;
}

static int write_list(struct walk *walk, int fd)
{
    const char *roots[STAGE_ROOTS_MAX];
    struct stage_header header = { .roots = roots, .root_count = walk->quarantine->root_count };
    memcpy(header.attempt, walk->quarantine->attempt, sizeof header.attempt);
    for (size_t i = 0; i < header.root_count; i++) {
        roots[i] = walk->quarantine->roots[i].path;
    }
    stage_writer_init(&walk->writer, fd, &header);
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < header.root_count; i++) {
        result = walk_root(walk, i);
    }
    walk->summary->entries = walk->writer.entries;
    const int written = stage_writer_done(&walk->writer, walk->summary->complete);
    return result < 0 ? result : written;
}

int stage_delta(struct stage_quarantine *quarantine, struct stage_summary *ret_summary)
{
    struct walk walk = {
        .quarantine = quarantine,
        .summary = ret_summary,
        .upper_root = -EBADF,
        .lower_root = -EBADF,
        .upper = -EBADF,
        .lower = -EBADF,
        .path = malloc(STAGE_PATH_MAX_BYTES + 2),
        .hash_left = STAGE_HASH_MAX_BYTES,
    };
    *ret_summary = (struct stage_summary){ .complete = true };
    int result = walk.path ? stage_step(quarantine->store, "write delta") : -ENOMEM;
    int fd = -EBADF;
    if (result == 0) {
        fd = tree_open(quarantine->fd, "delta.new", O_RDWR | O_CREAT | O_TRUNC, 0600);
        result = fd < 0 ? fd : write_list(&walk, fd);
    }
    bv_cleanup_fd(&fd);
    if (result == 0 && renameat(quarantine->fd, "delta.new", quarantine->fd, "delta") != 0) {
        result = -errno;
    }
    if (result < 0) {
        (void)unlinkat(quarantine->fd, "delta.new", 0);
    }
    free(walk.frames);
    free(walk.path);
    return result;
}
