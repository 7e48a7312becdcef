/* run/workload_file.c - the workload's file: opened once, identified, hashed; see workload_file.h.
 *
 * Everything that is said of a file here is said of one open descriptor, and its size and times
 * must be equal before and after it was read: so the digest, the format and the descriptor that
 * a backend gets belong together whatever happens to the name. Specified by CONTRACT.md 2. Must
 * not decide whether the kind of file is the one asked for or its interpreter is granted: the
 * planner does. */
#include "run/workload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "run/workload_id.h"

_Static_assert(sizeof(((struct bv_workload_identity *)0)->interpreter) == BV_INTERPRETER_BYTES,
               "an interpreter's path fits");
_Static_assert(sizeof(((struct bv_workload_identity *)0)->loader) == BV_INTERPRETER_BYTES,
               "a loader's path fits");

#define READ_BYTES                                                                                 \
    (64u << 10) /* stays in the second-level cache while it is hashed; larger was not faster */

/* One file on its way: what was asked, what is open, and where a problem goes. */
struct file {
    struct bv_backend *backend;
    const char *path; /* as asked, for messages */
    int fd;
    bool hash_later; /* the digest is left "" unless it is known already */
    bool missing;    /* nothing has this name */
    struct stat before;
    bool short_read; /* a read gave fewer bytes than the size promised */
    int read_error;  /* -errno of a read, 0 if none */
    struct bv_workload_problem *problem;
    struct bv_error *error;
};

static enum bv_status refuse(const struct file *file, const char *remedy, const char *format, ...)
    BV_PRINTF(3, 4);

static enum bv_status refuse(const struct file *file, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    file->problem->subject = file->path;
    file->problem->remedy = remedy;
    (void)vsnprintf(file->problem->why, sizeof(file->problem->why), format, args);
    va_end(args);
    return BV_E_REFUSED;
}

/* A failed open: what the path is to blame for is a refusal, what the system is out of is an
 * error. */
static enum bv_status refuse_open(struct file *file, int result)
{
    switch (result) {
    case -ENOENT:
        file->missing = true;
        return refuse(file, "name a file that exists", "no such file");
    case -ENOTDIR:
        return refuse(file, "name a file that exists",
                      "a component of the path is not a directory");
    case -EACCES:
    case -EPERM:
        return refuse(file, "make it readable for this user: it is hashed before it runs",
                      "permission denied");
    case -ELOOP: return refuse(file, "name the file itself", "too many symbolic links");
    case -ENAMETOOLONG: return refuse(file, "use a shorter path", "the path is too long");
    default: return bv_fail_sys(file->error, file->path, result, "opening the workload");
    }
}

/* Opens in two steps, O_PATH and then the same inode for reading, because opening a FIFO or a
 * device has effects of its own. */
static enum bv_status open_file(struct file *file, bool must_execute)
{
    const struct bv_sys *sys = file->backend->sys;
    BV_AUTO(bv_cleanup_fd) int path_fd = sys->open(file->path, O_PATH);
    if (path_fd < 0) {
        return refuse_open(file, path_fd);
    }
    struct stat st;
    int r = sys->fstat(path_fd, &st);
    if (r < 0) {
        return bv_fail_sys(file->error, file->path, r, "reading the workload's attributes");
    }
    if (S_ISDIR(st.st_mode)) {
        return refuse(file, "name the program itself", "is a directory");
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(file, "name a regular file", "is not a regular file");
    }
    char link[32];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    file->fd = sys->open(link, O_RDONLY);
    if (file->fd < 0) {
        return file->fd == -ENOENT ? bv_fail_sys(file->error, "/proc", file->fd,
                                                 "reopening the workload needs /proc mounted")
                                   : refuse_open(file, file->fd);
    }
    if (must_execute && sys->may_execute(file->fd) < 0) {
        return refuse(file,
                      "chmod +x it, or run its interpreter with the file as an argument; a noexec "
                      "mount cannot run it",
                      "is not executable for this user");
    }
    r = sys->fstat(file->fd, &file->before);
    if (r < 0) {
        return bv_fail_sys(file->error, file->path, r, "reading the workload's attributes");
    }
    if (file->before.st_dev != st.st_dev || file->before.st_ino != st.st_ino) {
        return bv_fail(file->error, BV_E_SYS, file->path,
                       "/proc/self/fd did not lead back to the open file");
    }
    return BV_OK;
}

/* The path after all symlinks, as the kernel knows the open file. It must lead to the same
 * inode, or it is no path of it any more. */
static enum bv_status resolve_path(const struct file *file, char *path, size_t size)
{
    const struct bv_sys *sys = file->backend->sys;
    int r = sys->fd_path(file->fd, path, size);
    if (r < 0) {
        return bv_fail_sys(file->error, file->path, r, "resolving the path");
    }
    struct stat st;
    if (path[0] != '/' || sys->stat(path, &st) < 0 || st.st_dev != file->before.st_dev ||
        st.st_ino != file->before.st_ino) {
        return refuse(file, "run it again once nobody renames or removes it",
                      "was moved or removed while it was opened");
    }
    return BV_OK;
}

static bool read_at(void *context, uint64_t offset_bytes, void *buffer, size_t size)
{
    struct file *file = context;
    char *at = buffer;
    while (size > 0) {
        ssize_t n = file->backend->sys->pread(file->fd, at, size, offset_bytes);
        if (n <= 0) {
            file->read_error = n < 0 && file->read_error == 0 ? (int)n : file->read_error;
            file->short_read = true;
            return false;
        }
        at += n;
        offset_bytes += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

static struct bv_file_key key_of(const struct stat *st)
{
    return (struct bv_file_key){
        .dev = (uint64_t)st->st_dev,
        .ino = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_sec = st->st_mtim.tv_sec,
        .mtime_nsec = st->st_mtim.tv_nsec,
        .ctime_sec = st->st_ctim.tv_sec,
        .ctime_nsec = st->st_ctim.tv_nsec,
    };
}

static bool stats_agree(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum bv_status hash_bytes(struct file *file, char digest[BV_DIGEST_TEXT_SIZE])
{
    uint64_t size = (uint64_t)file->before.st_size;
    size_t chunk = size < READ_BYTES ? (size_t)size + 1 : READ_BYTES;
    BV_AUTO(bv_cleanup_free) char *buffer = malloc(chunk);
    if (!buffer) {
        return bv_fail_nomem(file->error);
    }
    if (size > READ_BYTES) {
        file->backend->sys->read_ahead(file->fd);
    }
    struct bv_sha256 sha;
    bv_sha256_init(&sha);
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < chunk ? (size_t)(size - at) : chunk;
        if (!read_at(file, at, buffer, n)) {
            break;
        }
        bv_sha256_update(&sha, buffer, n);
        at += n;
    }
    if (file->read_error < 0) {
        return bv_fail_sys(file->error, file->path, file->read_error, "hashing");
    }
    uint8_t bytes[BV_SHA256_BYTES];
    bv_sha256_final(&sha, bytes);
    bv_digest_text(bytes, digest);
    return BV_OK;
}

/* Format and digest of the open file, from one state of it. The format is read each time: it is
 * a few hundred bytes. */
static enum bv_status examine(struct file *file, struct bv_format_facts *facts,
                              char interpreter[BV_INTERPRETER_BYTES],
                              char digest[BV_DIGEST_TEXT_SIZE])
{
    const struct bv_sys *sys = file->backend->sys;
    struct timespec now;
    int r = sys->now(&now);
    if (r < 0) {
        return bv_fail_sys(file->error, file->path, r, "reading the clock");
    }
    struct bv_file_key key = key_of(&file->before);
    bv_workload_format(read_at, file, key.size, facts, interpreter);
    if (file->read_error < 0) {
        return bv_fail_sys(file->error, file->path, file->read_error, "reading");
    }
    bool cached = bv_digest_cache_get(&file->backend->digests, &key, digest);
    const bool hash = !cached && !file->hash_later;
    if (hash) {
        file->short_read =
            false; /* the format may point past the end of the file; the hash may not */
        enum bv_status status = hash_bytes(file, digest);
        if (status != BV_OK) {
            return status;
        }
    }
    struct stat after;
    r = sys->fstat(file->fd, &after);
    if (r < 0) {
        return bv_fail_sys(file->error, file->path, r, "reading the workload's attributes");
    }
    if (!stats_agree(&file->before, &after) || (hash && file->short_read)) {
        return refuse(file, "run it again once nobody writes to it", "changed while it was hashed");
    }
    if (hash) {
        bv_digest_cache_put(&file->backend->digests, &key, now.tv_sec, digest);
    }
    return facts->format == BV_FORMAT_UNKNOWN
               ? refuse(file, "name an x86-64 program, a script or a Wasm module", "%s", facts->why)
               : BV_OK;
}

/* The loader of a script's interpreter: only where it is. It is named in the plan so that its
 * grant can be checked. */
static enum bv_status resolve_loader(struct bv_backend *backend,
                                     struct bv_workload_identity *identity,
                                     struct bv_workload_problem *problem, struct bv_error *error)
{
    struct file file = { .backend = backend,
                         .path = identity->loader,
                         .fd = -EBADF,
                         .problem = problem,
                         .error = error };
    enum bv_status status = open_file(&file, false);
    if (status == BV_OK) {
        status = resolve_path(&file, identity->loader_path, sizeof(identity->loader_path));
    } else if (status == BV_E_REFUSED) {
        identity->loader_path[0] = '\0'; /* the planner says that it does not exist */
        status = BV_OK;
    }
    bv_cleanup_fd(&file.fd);
    return status;
}

/* The interpreter that the kernel will open. One that does not exist leaves interpreter_path
 * empty: the planner refuses it together with everything else that is wrong. */
static enum bv_status examine_interpreter(struct bv_backend *backend,
                                          struct bv_workload_identity *identity,
                                          struct bv_workload_problem *problem,
                                          struct bv_error *error)
{
    struct file file = { .backend = backend,
                         .path = identity->interpreter,
                         .fd = -EBADF,
                         .problem = problem,
                         .error = error };
    struct bv_format_facts facts;
    enum bv_status status = open_file(&file, true);
    if (file.missing) {
        return BV_OK;
    }
    if (status == BV_OK) {
        status =
            resolve_path(&file, identity->interpreter_path, sizeof(identity->interpreter_path));
    }
    if (status == BV_OK) {
        status = examine(&file, &facts, identity->loader, identity->interpreter_digest);
    }
    if (status == BV_OK && facts.format != BV_FORMAT_ELF) {
        status = refuse(&file, "name an ELF program after #!",
                        "is the interpreter, but not an ELF program itself");
    }
    bv_cleanup_fd(&file.fd);
    if (!identity->is_script) {
        identity->loader[0] = '\0'; /* a loader's own PT_INTERP: the kernel does not look at it */
    }
    return status == BV_OK && identity->loader[0] != '\0'
               ? resolve_loader(backend, identity, problem, error)
               : status;
}

static void copy_stat(struct bv_workload_identity *identity, const struct stat *st)
{
    const struct bv_file_key key = key_of(st);
    identity->dev = key.dev;
    identity->ino = key.ino;
    identity->size = key.size;
    identity->mtime_sec = key.mtime_sec;
    identity->mtime_nsec = key.mtime_nsec;
    identity->ctime_sec = key.ctime_sec;
    identity->ctime_nsec = key.ctime_nsec;
    identity->mode = (uint32_t)st->st_mode;
}

/* A module given as bytes becomes a sealed memory file, so that from here on there is only one
 * kind of workload. */
static enum bv_status open_bytes(struct file *file, const struct bv_workload *workload)
{
    file->path = "(module bytes)";
    file->fd = file->backend->sys->sealed_copy("bvisor-module", workload->module_bytes,
                                               workload->module_size);
    if (file->fd < 0) {
        return bv_fail_sys(file->error, file->path, file->fd, "copying the module");
    }
    int r = file->backend->sys->fstat(file->fd, &file->before);
    return r < 0 ? bv_fail_sys(file->error, file->path, r, "reading the module's attributes")
                 : BV_OK;
}

static enum bv_status open_and_examine(struct file *file, const struct bv_workload *workload,
                                       struct bv_workload_identity *identity)
{
    enum bv_status status = workload->path ? open_file(file, workload->kind == BV_WORKLOAD_PROCESS)
                                           : open_bytes(file, workload);
    if (status == BV_OK && workload->path) {
        status = resolve_path(file, identity->path, sizeof(identity->path));
    }
    struct bv_format_facts facts;
    if (status == BV_OK) {
        status = examine(file, &facts, identity->interpreter, identity->digest);
    }
    if (status != BV_OK) {
        return status;
    }
    copy_stat(identity, &file->before);
    identity->is_elf = facts.format == BV_FORMAT_ELF;
    identity->is_script = facts.format == BV_FORMAT_SCRIPT;
    identity->is_wasm = facts.format == BV_FORMAT_WASM;
    return identity->interpreter[0] == '\0'
               ? BV_OK
               : examine_interpreter(file->backend, identity, file->problem, file->error);
}

enum bv_status bv_workload_open(struct bv_backend *backend, const struct bv_workload *workload,
                                bool hash_later, struct bv_workload_identity *identity, int *ret_fd,
                                struct bv_workload_problem *problem, struct bv_error *error)
{
    BV_ASSERT(workload->path || workload->module_bytes);
    struct file file = { .backend = backend,
                         .path = workload->path,
                         .fd = -EBADF,
                         .hash_later = hash_later,
                         .problem = problem,
                         .error = error };
    memset(identity, 0, sizeof(*identity));
    enum bv_status status = open_and_examine(&file, workload, identity);
    if (status != BV_OK) {
        bv_cleanup_fd(&file.fd);
        return status;
    }
    identity->known = true;
    *ret_fd = file.fd;
    return BV_OK;
}

enum bv_status bv_workload_hash(struct bv_backend *backend, int fd,
                                struct bv_workload_identity *identity,
                                struct bv_workload_problem *problem, struct bv_error *error)
{
    if (identity->digest[0] != '\0') {
        return BV_OK;
    }
    struct file file = {
        .backend = backend, .path = identity->path, .fd = fd, .problem = problem, .error = error
    };
    struct timespec now;
    int r = backend->sys->now(&now);
    if (r == 0) {
        r = backend->sys->fstat(fd, &file.before);
    }
    if (r < 0) {
        return bv_fail_sys(error, file.path, r, "reading the workload's attributes");
    }
    enum bv_status status = hash_bytes(&file, identity->digest);
    if (status != BV_OK) {
        return status;
    }
    if (file.short_read || !bv_workload_is_unchanged(backend->sys, fd, identity)) {
        return refuse(&file, "run it again once nobody writes to it", "changed while it was hashed");
    }
    const struct bv_file_key key = key_of(&file.before);
    bv_digest_cache_put(&backend->digests, &key, now.tv_sec, identity->digest);
    return BV_OK;
}

bool bv_workload_is_unchanged(const struct bv_sys *sys, int fd,
                              const struct bv_workload_identity *identity)
{
    struct stat st;
    return sys->fstat(fd, &st) == 0 && (uint64_t)st.st_size == identity->size &&
           st.st_mtim.tv_sec == identity->mtime_sec && st.st_mtim.tv_nsec == identity->mtime_nsec &&
           st.st_ctim.tv_sec == identity->ctime_sec && st.st_ctim.tv_nsec == identity->ctime_nsec;
}

static enum bv_status check_path(const struct bv_sys *sys, const char *path, const char *pointer,
                                 struct bv_path_fact *ret_fact, struct bv_error *error)
{
    BV_AUTO(bv_cleanup_fd) int fd = sys->open_resolved(path);
    struct stat st;
    if (fd >= 0) {
        const int r = sys->fstat(fd, &st);
        *ret_fact = (struct bv_path_fact){ path, st.st_dev, st.st_ino, st.st_mode };
        return r < 0 ? bv_fail_sys(error, pointer, r, "looking at %s", path) : BV_OK;
    }
    switch (fd) {
    case -ELOOP:
        return bv_fail(error, BV_E_INVALID, pointer,
                       "passes through a symbolic link (write the resolved path): %s", path);
    case -ENOENT:
    case -ENOTDIR: return bv_fail(error, BV_E_INVALID, pointer, "does not exist: %s", path);
    case -EACCES:
    case -EPERM:
        return bv_fail(error, BV_E_INVALID, pointer, "cannot be reached by this user: %s", path);
    case -ENAMETOOLONG:
        return bv_fail(error, BV_E_INVALID, pointer, "has a component that is too long: %s", path);
    default: return bv_fail_sys(error, pointer, fd, "opening %s", path);
    }
}

static size_t count_paths(const struct bv_spec *spec)
{
    size_t count = spec->control_count;
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == BV_CAP_FILESYSTEM) {
            count += spec->capabilities[i].u.filesystem.root_count;
        }
    }
    return count;
}

enum bv_status bv_paths_check(const struct bv_sys *sys, const struct bv_spec *spec,
                              struct bv_path_facts *facts, struct bv_error *error)
{
    char pointer[96];
    enum bv_status status = BV_OK;
    free(facts->at);
    facts->count = 0;
    facts->at = calloc(count_paths(spec) + 1, sizeof(*facts->at));
    if (!facts->at) {
        return bv_fail_nomem(error);
    }
    for (size_t i = 0; i < spec->capability_count && status == BV_OK; i++) {
        const struct bv_filesystem *fs = &spec->capabilities[i].u.filesystem;
        if (spec->capabilities[i].kind != BV_CAP_FILESYSTEM) {
            continue;
        }
        for (size_t k = 0; k < fs->root_count && status == BV_OK; k++) {
            if (strcmp(fs->roots[k], "/proc") != 0 && strcmp(fs->roots[k], "/dev") != 0) {
                (void)snprintf(pointer, sizeof(pointer), "/capabilities/%zu/filesystem/roots/%zu",
                               i, k);
                status = check_path(sys, fs->roots[k], pointer, &facts->at[facts->count++], error);
            }
        }
    }
    for (size_t i = 0; i < spec->control_count && status == BV_OK; i++) {
        if (spec->controls[i].kind == BV_CTL_EXPOSE_PATH) {
            (void)snprintf(pointer, sizeof(pointer), "/controls/%zu/expose_path/source", i);
            status = check_path(sys, spec->controls[i].u.expose.source, pointer,
                                &facts->at[facts->count++], error);
        }
    }
    return status;
}
