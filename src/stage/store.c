/* stage/store.c - quarantines on disk; layout and locking: store.h. */
#include "stage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/step.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define META_SCHEMA    "bvisor.quarantine/1"
#define META_MAX_BYTES (8u << 20) /* the paths of all roots, escaped */
#define NAME_PREFIX    "bvisor-"
#define NAME_BYTES     (sizeof NAME_PREFIX + 32)

int stage_step(const struct bv_store *store, const char *step)
{
    BV_STEP(step);
    return store->step ? store->step(store->step_context, step) : 0;
}

bool stage_attempt_is_good(const char *attempt)
{
    return attempt && strlen(attempt) == 32 && strspn(attempt, "0123456789abcdef") == 32;
}

static void name_of(const char *attempt, char name[NAME_BYTES])
{
    BV_ASSERT(stage_attempt_is_good(attempt));
    (void)snprintf(name, NAME_BYTES, NAME_PREFIX "%s", attempt);
}

/* ---- the store ---- */

/* Makes every directory of an absolute path that is missing, the owner's alone, and opens the last; no link is passed. */
static int make_path(const char *path)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[256];
    if (fd < 0) {
        return -errno;
    }
    for (const char *at = path + 1; fd >= 0 && *at != '\0';) {
        const char *slash = strchrnul(at, '/');
        const size_t size = (size_t)(slash - at);
        if (size > 255) {
            (void)close(fd);
            return -ENAMETOOLONG;
        }
        if (size > 0) {
            memcpy(name, at, size);
            name[size] = '\0';
            int next = tree_open(fd, name, O_PATH | O_DIRECTORY, 0);
            if (next == -ENOENT && (mkdirat(fd, name, 0700) == 0 || errno == EEXIST)) {
                next = tree_open(fd, name, O_PATH | O_DIRECTORY, 0);
            } else if (next == -ENOENT) {
                next = -errno;
            }
            (void)close(fd);
            fd = next;
        }
        at = *slash ? slash + 1 : slash;
    }
    return fd;
}

enum bv_status bv_store_open(const char *state_dir, struct bv_store **ret_store, struct bv_error *error)
{
    if (!state_dir || !ret_store || state_dir[0] != '/' || !stage_path_is_good(state_dir + 1, strlen(state_dir + 1))) {
        return bv_fail(error, BV_E_INVALID, state_dir, "a state directory is an absolute path without empty, . or .. components");
    }
    struct bv_store *store = calloc(1, sizeof *store);
    if (!store) {
        return bv_fail_nomem(error);
    }
    store->fd = -EBADF;
    if (asprintf(&store->path, "%s/quarantine", state_dir) < 0) {
        free(store);
        return bv_fail_nomem(error);
    }
    int result = make_path(store->path);
    if (result >= 0) {
        store->fd = tree_open(result, "", O_RDONLY | O_DIRECTORY, 0);
        (void)close(result);
        result = store->fd;
    }
    struct stat st;
    if (result >= 0 && fstat(store->fd, &st) != 0) {
        result = -errno;
    }
    if (result >= 0 && (st.st_uid != geteuid() || (st.st_mode & 022) != 0)) {
        bv_store_free(store);
        return bv_fail(error, BV_E_INVALID, state_dir, "%s: its directory `quarantine` is not the caller's alone to write", state_dir);
    }
    if (result < 0) {
        bv_store_free(store);
        return result == -ELOOP ? bv_fail(error, BV_E_INVALID, state_dir, "%s: passes through a symbolic link", state_dir)
                                : bv_fail_sys(error, state_dir, result, "making the state directory %s", state_dir);
    }
    *ret_store = store;
    return BV_OK;
}

void bv_store_free(struct bv_store *store)
{
    if (store) {
        bv_cleanup_fd(&store->fd);
        free(store->path);
        free(store);
    }
}

void bv_store_set_events(struct bv_store *store, const struct bv_store_events *events)
{
    store->events = events ? *events : (struct bv_store_events){ 0 };
}

/* ---- meta ---- */

static void emit_meta(struct bv_buf *buf, const struct stage_quarantine *quarantine)
{
    struct bv_emit emit;
    char number[24];
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "attempt", quarantine->attempt);
    bv_emit_array(&emit, "roots");
    for (size_t i = 0; i < quarantine->root_count; i++) {
        const struct stage_root *root = &quarantine->roots[i];
        bv_emit_object(&emit, NULL);
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)root->dev); /* a number of 64 bits is no JSON number */
        bv_emit_text(&emit, "dev", number);
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)root->ino);
        bv_emit_text(&emit, "ino", number);
        bv_emit_text(&emit, "path", root->path);
        bv_emit_end(&emit);
    }
    bv_emit_end(&emit);
    bv_emit_text(&emit, "schema", META_SCHEMA);
    bv_emit_number(&emit, "started_nanos", (uint64_t)quarantine->started.tv_nsec);
    bv_emit_number(&emit, "started_seconds", (uint64_t)quarantine->started.tv_sec);
    bv_emit_end(&emit);
}

static int write_meta(const struct stage_quarantine *quarantine)
{
    struct bv_buf buf;
    bv_buf_init(&buf, META_MAX_BYTES);
    emit_meta(&buf, quarantine);
    const int result = buf.failed ? -ENOMEM : tree_write_file(quarantine->fd, "meta", buf.data, buf.size, false);
    bv_buf_done(&buf);
    return result;
}

static bool read_number(const json_t *text, uint64_t *ret_number)
{
    const char *digits = json_string_value(text);
    char *end;
    if (!digits || digits[0] < '0' || digits[0] > '9') {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(digits, &end, 10);
    return errno == 0 && *end == '\0';
}

static int read_root(const json_t *item, struct stage_root *root)
{
    const char *path = json_string_value(json_object_get(item, "path"));
    if (json_object_size(item) != 3 || !path || path[0] != '/' || !stage_path_is_good(path + 1, strlen(path + 1)) ||
        !read_number(json_object_get(item, "dev"), &root->dev) || !read_number(json_object_get(item, "ino"), &root->ino)) {
        return -EBADMSG;
    }
    root->path = strdup(path);
    return root->path ? 0 : -ENOMEM;
}

static int read_meta_tree(struct stage_quarantine *quarantine, const json_t *meta)
{
    const char *schema = json_string_value(json_object_get(meta, "schema")), *attempt = json_string_value(json_object_get(meta, "attempt"));
    const json_t *roots = json_object_get(meta, "roots"), *nanos = json_object_get(meta, "started_nanos"),
                 *seconds = json_object_get(meta, "started_seconds");
    if (json_object_size(meta) != 5 || !schema || strcmp(schema, META_SCHEMA) != 0 || !attempt || strcmp(attempt, quarantine->attempt) != 0 ||
        !json_is_array(roots) || json_array_size(roots) > STAGE_ROOTS_MAX || !json_is_integer(nanos) || !json_is_integer(seconds) ||
        json_integer_value(nanos) < 0 || json_integer_value(nanos) > 999999999 || json_integer_value(seconds) < 0) {
        return -EBADMSG;
    }
    quarantine->started = (struct timespec){ json_integer_value(seconds), json_integer_value(nanos) };
    quarantine->roots = calloc(json_array_size(roots) + 1, sizeof quarantine->roots[0]);
    int result = quarantine->roots ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < json_array_size(roots); i++) {
        result = read_root(json_array_get(roots, i), &quarantine->roots[i]);
        quarantine->root_count += result == 0;
    }
    return result;
}

static int read_meta(struct stage_quarantine *quarantine)
{
    char *text = NULL;
    size_t size = 0;
    json_t *meta = NULL;
    int result = tree_read_file(quarantine->fd, "meta", META_MAX_BYTES, &text, &size);
    if (result == 0) {
        const enum bv_status status = bv_json_read(text, size, META_MAX_BYTES, &meta, NULL);
        result = status == BV_OK ? read_meta_tree(quarantine, meta) : status == BV_E_NOMEM ? -ENOMEM : -EBADMSG;
    }
    json_decref(meta);
    free(text);
    return result;
}

/* ---- making ---- */

static struct stage_quarantine *quarantine_new(struct bv_store *store, const char *attempt)
{
    struct stage_quarantine *quarantine = calloc(1, sizeof *quarantine);
    if (quarantine) {
        quarantine->store = store;
        quarantine->events = store->events;
        quarantine->fd = quarantine->owner_fd = -EBADF;
        memcpy(quarantine->attempt, attempt, 33);
    }
    return quarantine;
}

void stage_close(struct stage_quarantine *quarantine)
{
    if (!quarantine) {
        return;
    }
    bv_cleanup_fd(&quarantine->owner_fd);
    bv_cleanup_fd(&quarantine->fd);
    for (size_t i = 0; i < quarantine->root_count; i++) {
        free(quarantine->roots[i].path);
    }
    free(quarantine->roots);
    free(quarantine);
}

static int write_owner(struct stage_quarantine *quarantine)
{
    char text[40];
    /* Locked before it has its name: nobody who looks takes it for a dead one's in between. */
    quarantine->owner_fd = tree_open(quarantine->fd, "owner.new", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (quarantine->owner_fd < 0) {
        return quarantine->owner_fd;
    }
    if (flock(quarantine->owner_fd, LOCK_EX | LOCK_NB) != 0) {
        return -errno;
    }
    (void)snprintf(text, sizeof text, "pid %ld\n", (long)getpid()); /* for people: nothing is decided by it */
    const int result = tree_write_all(quarantine->owner_fd, text, strlen(text));
    return result < 0 ? result : renameat(quarantine->fd, "owner.new", quarantine->fd, "owner") == 0 ? 0 : -errno;
}

/* The directory with its owner's lock. Nobody sweeps meanwhile. */
static int make_directory(struct stage_quarantine *quarantine)
{
    char name[NAME_BYTES];
    struct bv_store *store = quarantine->store;
    name_of(quarantine->attempt, name);
    int result = stage_step(store, "make quarantine");
    if (result < 0 || flock(store->fd, LOCK_SH) != 0) {
        return result < 0 ? result : -errno;
    }
    result = mkdirat(store->fd, name, 0700) == 0 ? 0 : -errno;
    if (result == 0) {
        quarantine->fd = tree_open(store->fd, name, O_RDONLY | O_DIRECTORY, 0);
        result = quarantine->fd < 0 ? quarantine->fd : write_owner(quarantine);
    }
    (void)flock(store->fd, LOCK_UN);
    return result;
}

/* What this process may do with a directory that is not its own, as the owner's bits of one that is: the merged directory must allow no more. */
static mode_t mode_for(const struct stat *st, const char *path)
{
    mode_t mode = st->st_mode & 07777;
    if (st->st_uid != geteuid() && geteuid() != 0) {
        mode = (mode & 077) | (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 ? 0400u : 0u) |
               (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0200u : 0u) |
               (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0100u : 0u);
    }
    return mode;
}

static int make_upper(int dir, const struct stage_root *root, const struct stat *st)
{
    int result = mkdirat(dir, "work", 0700) == 0 && mkdirat(dir, "upper", 0700) == 0 ? 0 : -errno;
    const int upper = result < 0 ? result : tree_open(dir, "upper", O_RDONLY | O_DIRECTORY, 0);
    if (upper < 0) {
        return upper;
    }
    if (geteuid() == 0 && fchown(upper, st->st_uid, st->st_gid) != 0) {
        result = -errno;
    }
    if (result == 0 && fchmod(upper, mode_for(st, root->path)) != 0) {
        result = -errno;
    }
    (void)close(upper);
    return result;
}

static int make_root(struct stage_quarantine *quarantine, const char *path)
{
    char name[16];
    struct stat st;
    struct stage_root *root = &quarantine->roots[quarantine->root_count];
    const int fd = bv_sys_host.open_resolved(path);
    int result = fd < 0 ? fd : bv_sys_host.fstat(fd, &st);
    bv_cleanup_fd(&fd);
    if (result == 0 && !S_ISDIR(st.st_mode)) {
        result = -ENOTDIR;
    }
    if (result < 0) {
        return result;
    }
    *root = (struct stage_root){ .path = strdup(path), .dev = st.st_dev, .ino = st.st_ino };
    if (!root->path) {
        return -ENOMEM;
    }
    (void)snprintf(name, sizeof name, "r%zu", quarantine->root_count++);
    if (mkdirat(quarantine->fd, name, 0700) != 0) {
        return -errno;
    }
    const int dir = tree_open(quarantine->fd, name, O_PATH | O_DIRECTORY, 0);
    result = dir < 0 ? dir : make_upper(dir, root, &st);
    bv_cleanup_fd(&dir);
    return result;
}

enum bv_status stage_create(struct bv_store *store, const char *attempt, const char *const *roots, size_t root_count,
                            struct stage_quarantine **ret_quarantine, struct bv_error *error)
{
    BV_ASSERT(root_count <= STAGE_ROOTS_MAX);
    struct stage_quarantine *quarantine = quarantine_new(store, attempt);
    if (!quarantine) {
        return bv_fail_nomem(error);
    }
    quarantine->roots = calloc(root_count + 1, sizeof quarantine->roots[0]);
    int result = quarantine->roots ? make_directory(quarantine) : -ENOMEM;
    const char *place = store->path;
    for (size_t i = 0; result == 0 && i < root_count; i++) {
        place = roots[i];
        result = make_root(quarantine, roots[i]);
    }
    if (result == 0) {
        place = store->path;
        result = clock_gettime(CLOCK_REALTIME, &quarantine->started) == 0 ? write_meta(quarantine) : -errno;
    }
    if (result < 0) {
        if (quarantine->owner_fd >= 0) {
            (void)stage_drop(quarantine);
        } else {
            stage_close(quarantine);
        }
        return bv_fail_sys(error, place, result, "making the quarantine of a staged run for %.160s", place);
    }
    *ret_quarantine = quarantine;
    return BV_OK;
}

/* ---- opening ---- */

static bool stands(const struct stage_quarantine *quarantine, const char *name)
{
    struct stat st;
    return fstatat(quarantine->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum bv_store_state stage_state(const struct stage_quarantine *quarantine)
{
    return stands(quarantine, "applied")    ? BV_STORE_APPLIED
           : !stands(quarantine, "delta")   ? BV_STORE_UNSEALED
           : stands(quarantine, "prepared") ? BV_STORE_PREPARED
           : stands(quarantine, "decision") ? BV_STORE_DECIDED
           : stands(quarantine, "discarding") ? BV_STORE_DISCARDING
           : stands(quarantine, "kept")       ? BV_STORE_KEPT
                                              : BV_STORE_LISTED;
}

int stage_keep(const struct stage_quarantine *quarantine, bool durable)
{
    const int result = stage_step(quarantine->store, "keep");
    return result < 0 ? result : tree_write_file(quarantine->fd, "kept", "", 0, durable);
}

/* 0, -ENOENT, -EWOULDBLOCK, or what else is wrong. *quarantine is made in any case but that of no memory. */
static int open_locked(struct bv_store *store, const char *attempt, struct stage_quarantine **ret_quarantine)
{
    char name[NAME_BYTES];
    struct stat held, named;
    struct stage_quarantine *quarantine = quarantine_new(store, attempt);
    if (!quarantine) {
        return -ENOMEM;
    }
    *ret_quarantine = quarantine;
    name_of(attempt, name);
    quarantine->fd = tree_open(store->fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (quarantine->fd < 0) {
        return quarantine->fd;
    }
    quarantine->owner_fd = tree_open(quarantine->fd, "owner", O_RDWR, 0);
    if (quarantine->owner_fd < 0) {
        return quarantine->owner_fd == -ENOENT ? -ENOLCK : quarantine->owner_fd;
    }
    if (flock(quarantine->owner_fd, LOCK_EX | LOCK_NB) != 0) {
        return -errno;
    }
    /* Whoever had the lock may have removed it all the moment before. */
    if (fstat(quarantine->owner_fd, &held) != 0 || fstatat(quarantine->fd, "owner", &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        held.st_ino != named.st_ino) {
        return -ENOENT;
    }
    return 0;
}

enum bv_status stage_open(struct bv_store *store, const char *attempt, struct stage_quarantine **ret_quarantine, struct bv_error *error)
{
    if (!stage_attempt_is_good(attempt)) {
        return bv_fail(error, BV_E_INVALID, attempt, "an attempt id has 32 lower-case hexadecimal digits");
    }
    struct stage_quarantine *quarantine = NULL;
    int result = open_locked(store, attempt, &quarantine);
    if (result == 0) {
        result = read_meta(quarantine);
        if (result == -ENOENT) { /* cut off before it was written: dead, and nothing of it can be kept */
            result = 0;
        }
    }
    if (result == 0) {
        *ret_quarantine = quarantine;
        return BV_OK;
    }
    stage_close(quarantine);
    switch (result) {
    case -ENOENT:
    case -ENOLCK: return bv_fail(error, BV_E_INVALID, attempt, "nothing is staged under attempt %s", attempt);
    case -EWOULDBLOCK: return bv_fail(error, BV_E_STATE, attempt, "attempt %s is being worked on by another process", attempt);
    case -EBADMSG: return bv_fail(error, BV_E_CORRUPT, attempt, "the record `meta` of attempt %s is damaged", attempt);
    default: return bv_fail_sys(error, attempt, result, "opening the quarantine of attempt %s", attempt);
    }
}

static int open_in(const struct stage_quarantine *quarantine, size_t root, const char *what)
{
    char name[32];
    (void)snprintf(name, sizeof name, "r%zu/%s", root, what);
    return tree_open(quarantine->fd, name, O_RDONLY | O_DIRECTORY, 0);
}

int stage_open_upper(const struct stage_quarantine *quarantine, size_t root)
{
    char name[32];
    int fd = open_in(quarantine, root, "upper");
    if (fd == -EACCES) { /* it has the root's own mode, which need not let its owner in */
        (void)snprintf(name, sizeof name, "r%zu/upper", root);
        fd = fchmodat(quarantine->fd, name, 0700, 0) == 0 ? open_in(quarantine, root, "upper") : -errno;
    }
    return fd;
}

int stage_open_root(const struct stage_quarantine *quarantine, size_t root)
{
    struct stat st;
    const struct stage_root *known = &quarantine->roots[root];
    const int path_fd = bv_sys_host.open_resolved(known->path);
    if (path_fd < 0) {
        return path_fd;
    }
    const int fd = tree_open(path_fd, "", O_RDONLY | O_DIRECTORY, 0);
    bv_cleanup_fd(&path_fd);
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &st) != 0 || st.st_dev != known->dev || st.st_ino != known->ino) {
        (void)close(fd);
        return -ESTALE;
    }
    return fd;
}

/* ---- removing ---- */

#define DYING_ROUNDS 200
#define DYING_NANOS  10000000

/* A boundary whose supervisor was killed dies by itself, and until then what runs in it may write. */
static int remove_from_dying(int dir, const char *name)
{
    const struct timespec pause = { .tv_nsec = DYING_NANOS };
    int result = tree_remove(dir, name);
    for (int i = 0; result == -ENOTEMPTY && i < DYING_ROUNDS; i++) {
        (void)nanosleep(&pause, NULL);
        result = tree_remove(dir, name);
    }
    return result;
}

/* The list goes first, so that what a crash leaves is nothing that could be kept; the owner's file goes last, as the lock is in it. */
int stage_drop(struct stage_quarantine *quarantine)
{
    static const char *const records[] = { "delta", "discarding", "prepared", "decision", "applied", "meta" };
    struct bv_store *store = quarantine->store;
    char name[NAME_BYTES];
    int result = 0;
    name_of(quarantine->attempt, name);
    for (size_t i = 0; result == 0 && i < BV_COUNT(records); i++) {
        result = stage_step(store, "drop record");
        if (result == 0) {
            result = tree_remove(quarantine->fd, records[i]);
        }
    }
    struct tree_names names = { 0 };
    result = result == 0 ? tree_names_read(quarantine->fd, SIZE_MAX, &names) : result;
    for (size_t i = 0; result == 0 && i < names.count; i++) {
        if (strcmp(tree_name(&names, i), "owner") != 0) {
            result = stage_step(store, "drop tree");
            result = result == 0 ? remove_from_dying(quarantine->fd, tree_name(&names, i)) : result;
        }
    }
    tree_names_done(&names);
    if (result == 0) {
        result = stage_step(store, "drop quarantine");
        result = result == 0 ? tree_remove(store->fd, name) : result;
    }
    stage_close(quarantine);
    return result;
}

int stage_drop_orphan(struct bv_store *store, const char *attempt)
{
    char name[NAME_BYTES], owner[NAME_BYTES + 8];
    struct stat st;
    name_of(attempt, name);
    (void)snprintf(owner, sizeof owner, "%s/owner", name);
    if (flock(store->fd, LOCK_EX) != 0) {
        return -errno;
    }
    int result = 0;
    if (fstatat(store->fd, owner, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        result = tree_remove(store->fd, name);
    }
    (void)flock(store->fd, LOCK_UN);
    return result;
}

/* ---- looking ---- */

/* 1: *ret_state, 0: there is none, or -errno. */
static int look(struct bv_store *store, const char *attempt, enum bv_store_state *ret_state)
{
    struct stage_quarantine *quarantine = NULL;
    int result = open_locked(store, attempt, &quarantine);
    if (quarantine && (result == 0 || result == -EWOULDBLOCK || result == -ENOLCK)) {
        *ret_state = result == -EWOULDBLOCK ? BV_STORE_LIVE : result == 0 ? stage_state(quarantine) : BV_STORE_UNSEALED;
        result = 1;
    }
    stage_close(quarantine); /* whoever is told may want to settle it */
    return result == -ENOENT ? 0 : result;
}

enum bv_status stage_look(struct bv_store *store, const char *attempt, bool *ret_there, enum bv_store_state *ret_state, struct bv_error *error)
{
    const int result = look(store, attempt, ret_state);
    *ret_there = result > 0;
    return result < 0 ? bv_fail_sys(error, store->path, result, "looking at the quarantine of attempt %s", attempt) : BV_OK;
}

enum bv_status bv_store_each(struct bv_store *store, bv_store_fn *fn, void *context, struct bv_error *error)
{
    struct tree_names names = { 0 };
    int result = tree_names_read(store->fd, SIZE_MAX, &names);
    bool more = true;
    for (size_t i = 0; result >= 0 && more && i < names.count; i++) {
        const char *name = tree_name(&names, i);
        enum bv_store_state state;
        if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 || !stage_attempt_is_good(name + strlen(NAME_PREFIX))) {
            continue;
        }
        result = look(store, name + strlen(NAME_PREFIX), &state);
        if (result > 0) {
            more = fn(context, name + strlen(NAME_PREFIX), state);
        }
    }
    tree_names_done(&names);
    return result < 0 ? bv_fail_sys(error, store->path, result, "looking at the quarantines in %s", store->path) : BV_OK;
}
