/* backend/linux/lower.c - intent to launch frame: the pure half of a launch.
 *
 * What a workload will see is decided here and nowhere else: which tree is mounted where and how, which Landlock rule belongs
 * to it, the exact environment, the limits and the descriptors. Makes no system call; everything about the machine comes in
 * through struct linux_lowering. The launcher does what the frame says in the order in which it says it, so parents stand
 * before children and the workload's own file stands last. Specified by LINUX.md 3 and 4. */
#include "backend/linux/linux.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/error.h"
#include "sys/uapi_landlock.h"

#define TEMP_PATH  "/tmp"
#define PROC_PATH  "/proc"
#define DEV_PATH   "/dev"
#define SHM_PATH   "/dev/shm"
#define PAGE_BYTES 4096u
/* An inode of a tmpfs is about 1 KiB of kernel memory, so inodes need a bound of their own: two for each page of content let
 * any tree of small files fill the size first. */
#define TEMP_MIN_INODES 1024u
#define TEMP_MAX_INODES (1u << 20)
#define SIGPENDING_MAX 1024
/* Init is a task of the same user namespace and counts for RLIMIT_NPROC as well; the launcher is not. */
#define NPROC_OWN_TASKS 1u

struct lower {
    const struct linux_lowering *in;
    const struct bv_intent *intent;
    struct bv_frame *frame;
    char *text;
    size_t text_size, text_at;
    uint64_t abi;
    struct bv_error *error;
};

/* True when path is prefix or lies below it. */
static bool lies_in(const char *path, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool below(const char *path, const char *prefix)
{
    return lies_in(path, prefix) && strcmp(path, prefix) != 0;
}

static enum bv_status add_mount(struct lower *lower, const struct bv_frame_mount *mount)
{
    struct bv_frame *frame = lower->frame;
    if (frame->mount_count >= BV_FRAME_MOUNTS_MAX) {
        return bv_fail(lower->error, BV_E_LIMIT, mount->dest, "more than %d mounts",
                       BV_FRAME_MOUNTS_MAX);
    }
    frame->mounts[frame->mount_count++] = *mount;
    return BV_OK;
}

/* A Landlock rule of no rights would be refused by the kernel (ENOMSG) and means nothing, so it is left out. */
static enum bv_status add_rule(struct lower *lower, const char *path, uint64_t access)
{
    struct bv_frame *frame = lower->frame;
    if (access == 0) {
        return BV_OK;
    }
    if (frame->rule_count >= BV_FRAME_RULES_MAX) {
        return bv_fail(lower->error, BV_E_LIMIT, path, "more than %d Landlock rules",
                       BV_FRAME_RULES_MAX);
    }
    frame->rules[frame->rule_count++] = (struct bv_frame_rule){ .access = access, .path = path };
    return BV_OK;
}

/* A root inside a writable one: what lies on the way to it could be renamed there, the mount with it,
 * and something else put at the path that this root alone decides about. */
static bool needs_pin(const struct bv_intent *intent, const char *path)
{
    const struct bv_root *above = NULL;
    bool is_root = false;
    for (size_t i = 0; i < intent->root_count; i++) {
        const struct bv_root *root = &intent->roots[i];
        is_root = is_root || strcmp(root->path, path) == 0;
        if (below(path, root->path) &&
            (above == NULL || strlen(root->path) > strlen(above->path))) {
            above = root;
        }
    }
    return is_root && above != NULL && above->access != BV_ACCESS_READ;
}

static enum bv_status add_bind(struct lower *lower, const char *source, const char *dest,
                               enum bv_access access, bool execute,
                               const struct linux_path_fact *fact)
{
    const bool is_dir = S_ISDIR(fact->mode);
    const struct bv_frame_mount mount = {
        .kind = BV_MOUNT_BIND,
        .flags = (access == BV_ACCESS_READ ? BV_MOUNT_RDONLY : 0u) |
                 (execute ? 0u : BV_MOUNT_NOEXEC) | (is_dir ? 0u : BV_MOUNT_IS_FILE) |
                 (needs_pin(lower->intent, dest) ? BV_MOUNT_PIN : 0u),
        .mode = fact->mode,
        .dev = fact->dev,
        .ino = fact->ino,
        .source = source,
        .dest = dest,
    };
    const enum bv_status status = add_mount(lower, &mount);
    if (status != BV_OK) {
        return status;
    }
    return add_rule(lower, dest, linux_landlock_access(lower->abi, access, execute, is_dir));
}

/* The quarantine's directory for what is written to this tree; NULL: it is not staged. */
static const char *stage_of(const struct lower *lower, const char *source)
{
    const struct bv_execution *execution = lower->in->execution;
    for (size_t i = 0; i < execution->staged_count; i++) {
        if (strcmp(execution->staged[i].root, source) == 0) {
            return execution->staged[i].dir;
        }
    }
    return NULL;
}

/* A staged tree: the host's below, its quarantine above. The rule names what is mounted. */
static enum bv_status add_overlay(struct lower *lower, const char *source, const char *dest,
                                  enum bv_access access, bool execute,
                                  const struct linux_path_fact *fact)
{
    const char *stage = stage_of(lower, source);
    if (stage == NULL || !S_ISDIR(fact->mode)) {
        return bv_fail(lower->error, BV_E_FAULT, source,
                       "%.160s: is to be staged, and is no directory that was prepared for it", source);
    }
    const struct bv_frame_mount mount = {
        .kind = BV_MOUNT_OVERLAY,
        .flags = (execute ? 0u : BV_MOUNT_NOEXEC) |
                 (needs_pin(lower->intent, dest) ? BV_MOUNT_PIN : 0u),
        .mode = fact->mode,
        .dev = fact->dev,
        .ino = fact->ino,
        .source = source,
        .dest = dest,
        .stage = stage,
    };
    const enum bv_status status = add_mount(lower, &mount);
    if (status != BV_OK) {
        return status;
    }
    return add_rule(lower, dest, linux_landlock_access(lower->abi, access, execute, true));
}

/* A tree of the host's: live, or staged where it can be written and the run is. */
static enum bv_status add_tree(struct lower *lower, const char *source, const char *dest,
                               enum bv_access access, bool execute,
                               const struct linux_path_fact *fact)
{
    return lower->intent->staged && access != BV_ACCESS_READ
               ? add_overlay(lower, source, dest, access, execute, fact)
               : add_bind(lower, source, dest, access, execute, fact);
}

/* The boundary's own /proc: read only whatever was asked, since a root workload owns the files of its own processes. */
static enum bv_status add_proc(struct lower *lower)
{
    const struct bv_frame_mount mount = { .kind = BV_MOUNT_PROC, .source = "", .dest = PROC_PATH };
    const enum bv_status status = add_mount(lower, &mount);
    if (status != BV_OK) {
        return status;
    }
    return add_rule(lower, PROC_PATH,
                    linux_landlock_access(lower->abi, BV_ACCESS_READ, false, true));
}

/* The boundary's own /dev: its few devices may be read and written; nothing may be made there but in /dev/shm. */
static enum bv_status add_dev(struct lower *lower)
{
    const bool shm = lower->intent->temp_root;
    const struct bv_frame_mount mount = {
        .kind = BV_MOUNT_DEV,
        .flags = shm ? BV_MOUNT_SHM : 0u,
        .source = "",
        .dest = DEV_PATH,
    };
    enum bv_status status = add_mount(lower, &mount);
    if (status == BV_OK) {
        status =
            add_rule(lower, DEV_PATH,
                     linux_landlock_access(lower->abi, BV_ACCESS_READ, false, true) |
                         linux_landlock_access(lower->abi, BV_ACCESS_READ_WRITE, false, false));
    }
    if (status == BV_OK && shm) {
        status = add_rule(lower, SHM_PATH,
                          linux_landlock_access(lower->abi, BV_ACCESS_READ_WRITE, false, true) |
                              linux_landlock_private_sockets(lower->abi));
    }
    return status;
}

static enum bv_status lower_roots(struct lower *lower)
{
    const struct bv_workload_identity *identity = lower->in->execution->identity;
    for (size_t i = 0; i < lower->intent->root_count; i++) {
        const struct bv_root *root = &lower->intent->roots[i];
        enum bv_status status;
        if (strcmp(root->path, PROC_PATH) == 0) {
            status = add_proc(lower);
        } else if (strcmp(root->path, DEV_PATH) == 0) {
            status = add_dev(lower);
        } else if (lies_in(root->path, PROC_PATH) || lies_in(root->path, DEV_PATH)) {
            status = bv_fail(lower->error, BV_E_INVALID, root->path,
                             "/proc and /dev are always the boundary's own: grant one of them, not "
                             "a path below it");
        } else if (identity->known && strcmp(root->path, identity->path) == 0) {
            /* The workload's own file is bound last, read only and executable; here only what else was granted on it. */
            status =
                add_rule(lower, root->path,
                         linux_landlock_access(lower->abi, root->access, root->execute, false));
        } else {
            status = add_tree(lower, root->path, root->path, root->access, root->execute,
                              &lower->in->roots[i]);
        }
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

static enum bv_status lower_exposes(struct lower *lower)
{
    for (size_t i = 0; i < lower->intent->expose_count; i++) {
        const struct bv_expose *expose = &lower->intent->exposes[i];
        if (lies_in(expose->dest, PROC_PATH) || lies_in(expose->dest, DEV_PATH) ||
            strcmp(expose->dest, "/") == 0) {
            return bv_fail(lower->error, BV_E_INVALID, expose->dest, "nothing can be exposed at %s",
                           expose->dest);
        }
        const enum bv_status status = add_tree(lower, expose->source, expose->dest, expose->access,
                                               false, &lower->in->exposes[i]);
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

static uint64_t temp_size(const struct bv_intent *intent)
{
    const uint64_t storage = intent->budgets[BV_STORAGE_BYTES].limit;
    return intent->temp_bytes < storage ? intent->temp_bytes : storage;
}

static enum bv_status lower_temp(struct lower *lower)
{
    if (!lower->intent->temp_root) {
        return BV_OK;
    }
    const uint64_t size = temp_size(lower->intent);
    uint64_t inodes = size / PAGE_BYTES * 2;
    inodes = inodes < TEMP_MIN_INODES   ? TEMP_MIN_INODES
             : inodes > TEMP_MAX_INODES ? TEMP_MAX_INODES
                                        : inodes;
    const struct bv_frame_mount mount = {
        .kind = BV_MOUNT_TMPFS,
        .flags = BV_MOUNT_NOEXEC,
        .mode = 01777,
        .size_bytes = size,
        .inodes = inodes,
        .source = "",
        .dest = TEMP_PATH,
    };
    const enum bv_status status = add_mount(lower, &mount);
    if (status != BV_OK) {
        return status;
    }
    return add_rule(lower, TEMP_PATH,
                    linux_landlock_access(lower->abi, BV_ACCESS_READ_WRITE, false, true) |
                        linux_landlock_private_sockets(lower->abi));
}

/* The fresh root holds the granted trees and their empty parents, whose names are no secret: `ls /` may list them. A rule
 * on "/" reaches everything below it, so there is one only where every granted directory may be listed anyway. */
static enum bv_status lower_listing(struct lower *lower)
{
    for (size_t i = 0; i < lower->intent->root_count; i++) {
        if (lower->intent->roots[i].access == BV_ACCESS_WRITE) {
            return BV_OK;
        }
    }
    const bool any = lower->abi > 0 && lower->intent->root_count > 0;
    return any ? add_rule(lower, "/", LANDLOCK_ACCESS_FS_READ_DIR) : BV_OK;
}

/* True when a mount so far, or the workload's file, is at path or below it, or path lies inside a mount. */
static bool path_taken(const struct lower *lower, const char *path)
{
    const struct bv_workload_identity *identity = lower->in->execution->identity;
    for (uint32_t i = 0; i < lower->frame->mount_count; i++) {
        const char *dest = lower->frame->mounts[i].dest;
        if (lies_in(dest, path) || lies_in(path, dest)) {
            return true;
        }
    }
    return identity->known && lies_in(identity->path, path);
}

/* A distribution's /bin -> usr/bin and the like, so that absolute paths in scripts and PT_INTERP resolve as on the host. */
static enum bv_status lower_links(struct lower *lower)
{
    for (size_t i = 0; i < lower->in->link_count; i++) {
        const char *dest = lower->in->links[i][0];
        if (path_taken(lower, dest)) {
            continue;
        }
        const struct bv_frame_mount mount = { .kind = BV_MOUNT_SYMLINK,
                                              .source = lower->in->links[i][1],
                                              .dest = dest };
        const enum bv_status status = add_mount(lower, &mount);
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

/* Absolute and without empty, "." or ".." components. */
static bool path_is_plain(const char *path)
{
    const size_t n = strlen(path);
    return path[0] == '/' && n > 1 && path[n - 1] != '/' && strstr(path, "//") == NULL &&
           strstr(path, "/./") == NULL && strstr(path, "/../") == NULL &&
           (n < 2 || strcmp(path + n - 2, "/.") != 0) &&
           (n < 3 || strcmp(path + n - 3, "/..") != 0);
}

/* The path behind a top-level link that is made inside: /bin/sh is /usr/bin/sh. NULL: no room. */
static const char *behind_link(struct lower *lower, const char *path)
{
    for (uint32_t i = 0; i < lower->frame->mount_count; i++) {
        const struct bv_frame_mount *mount = &lower->frame->mounts[i];
        if (mount->kind != BV_MOUNT_SYMLINK || !lies_in(path, mount->dest)) {
            continue;
        }
        char *at = lower->text + lower->text_at;
        const size_t room = lower->text_size - lower->text_at;
        const int n = snprintf(at, room, "/%s%s", mount->source + strspn(mount->source, "/"),
                               path + strlen(mount->dest));
        if (n < 0 || (size_t)n >= room) {
            return NULL;
        }
        lower->text_at += (size_t)n + 1;
        return at;
    }
    return path;
}

/* The kernel opens an interpreter by the path as written, which may lead through links that no grant brings along
 * (/lib64/ld-linux-x86-64.so.2). Where that path is nothing inside, the granted file is bound there as well. */
static enum bv_status lower_program(struct lower *lower, const char *written, const char *path,
                                    const struct linux_path_fact *fact)
{
    if (fact == NULL || fact->ino == 0 || !path_is_plain(written)) {
        return BV_OK;
    }
    const char *dest = behind_link(lower, written);
    if (dest == NULL) {
        return bv_fail(lower->error, BV_E_LIMIT, written,
                       "the path of the interpreter is too long");
    }
    if (strcmp(dest, path) == 0 || path_taken(lower, dest)) {
        return BV_OK;
    }
    return add_bind(lower, path, dest, BV_ACCESS_READ, true, fact);
}

static enum bv_status lower_programs(struct lower *lower)
{
    const struct bv_workload_identity *identity = lower->in->execution->identity;
    const enum bv_status status = lower_program(lower, identity->interpreter,
                                                identity->interpreter_path, lower->in->interpreter);
    if (status != BV_OK) {
        return status;
    }
    return lower_program(lower, identity->loader, identity->loader_path, lower->in->loader);
}

/* The working directory exists when it is in a grant or above one; elsewhere an empty one is made in the fresh root. */
static enum bv_status lower_cwd(struct lower *lower)
{
    const char *cwd = lower->intent->workload->cwd ? lower->intent->workload->cwd : "/";
    lower->frame->cwd = cwd;
    if (strcmp(cwd, "/") == 0 || path_taken(lower, cwd)) {
        return BV_OK;
    }
    const struct bv_frame_mount mount = {
        .kind = BV_MOUNT_DIR, .mode = 0755, .source = "", .dest = cwd
    };
    return add_mount(lower, &mount);
}

static int compare_mounts(const void *left, const void *right)
{
    const struct bv_frame_mount *a = left;
    const struct bv_frame_mount *b = right;
    return strcmp(a->dest, b->dest); /* a path sorts before everything that lies below it */
}

static enum bv_status sort_mounts(struct lower *lower)
{
    struct bv_frame *frame = lower->frame;
    qsort(frame->mounts, frame->mount_count, sizeof frame->mounts[0], compare_mounts);
    for (uint32_t i = 1; i < frame->mount_count; i++) {
        if (strcmp(frame->mounts[i - 1].dest, frame->mounts[i].dest) == 0) {
            return bv_fail(lower->error, BV_E_INVALID, frame->mounts[i].dest,
                           "two different things are to be at this path inside the boundary");
        }
    }
    return BV_OK;
}

static enum bv_status lower_exe(struct lower *lower)
{
    const struct bv_workload_identity *identity = lower->in->execution->identity;
    if (lies_in(identity->path, PROC_PATH) || lies_in(identity->path, DEV_PATH)) {
        return bv_fail(lower->error, BV_E_INVALID, identity->path,
                       "a workload cannot lie in /proc or /dev");
    }
    for (uint32_t i = 0; i < lower->frame->mount_count; i++) {
        if (below(lower->frame->mounts[i].dest, identity->path) ||
            strcmp(lower->frame->mounts[i].dest, identity->path) == 0) {
            return bv_fail(lower->error, BV_E_INVALID, lower->frame->mounts[i].dest,
                           "the workload's own file is at %.160s", identity->path);
        }
    }
    const struct linux_path_fact fact = { .dev = identity->dev,
                                          .ino = identity->ino,
                                          .mode = identity->mode };
    lower->frame->exec_path = identity->path;
    lower->frame->flags |= identity->is_script ? BV_FRAME_SCRIPT : 0u;
    return add_bind(lower, identity->path, identity->path, BV_ACCESS_READ, true, &fact);
}

static enum bv_status lower_args(struct lower *lower)
{
    const struct bv_workload *workload = lower->intent->workload;
    struct bv_frame *frame = lower->frame;
    if (workload->arg_count >= BV_FRAME_ARGS_MAX) {
        return bv_fail(lower->error, BV_E_LIMIT, "/workload/process/args", "too many arguments");
    }
    frame->args[frame->arg_count++] = workload->path;
    for (size_t i = 0; i < workload->arg_count; i++) {
        frame->args[frame->arg_count++] = workload->args[i];
    }
    return BV_OK;
}

/* Every value, secret or not, is written into the caller's text storage: it is the only place where secrets stand. */
static enum bv_status lower_env(struct lower *lower)
{
    const struct bv_intent *intent = lower->intent;
    if (intent->env_count > BV_FRAME_ENV_MAX) {
        return bv_fail(lower->error, BV_E_LIMIT, "/capabilities/environment", "too many entries");
    }
    for (size_t i = 0; i < intent->env_count; i++) {
        const struct bv_env_entry *entry = &intent->env[i];
        const char *value = entry->literal;
        if (value == NULL) {
            BV_ASSERT(lower->in->execution->secret_values != NULL);
            value = lower->in->execution->secret_values[i];
        }
        BV_ASSERT(value != NULL);
        const size_t name_size = strlen(entry->name);
        const size_t value_size = strlen(value);
        if (name_size + value_size + 2 > lower->text_size - lower->text_at) {
            return bv_fail(lower->error, BV_E_LIMIT, "/capabilities/environment",
                           "the environment is too large");
        }
        char *at = lower->text + lower->text_at;
        memcpy(at, entry->name, name_size);
        at[name_size] = '=';
        memcpy(at + name_size + 1, value, value_size + 1);
        lower->text_at += name_size + value_size + 2;
        lower->frame->env[lower->frame->env_count++] = at;
    }
    return BV_OK;
}

static enum bv_status lower_keep(struct lower *lower)
{
    if (lower->intent->fd_count > BV_FRAME_KEEP_MAX) {
        return bv_fail(lower->error, BV_E_LIMIT, "/capabilities/inherited_fds",
                       "too many descriptors");
    }
    for (size_t i = 0; i < lower->intent->fd_count; i++) {
        lower->frame->keep[lower->frame->keep_count++] =
            (struct bv_frame_keep){ .number = lower->intent->fds[i], .fd = -1 };
    }
    return BV_OK;
}

static void add_rlimit(struct lower *lower, int resource, uint64_t limit)
{
    struct bv_frame *frame = lower->frame;
    BV_ASSERT(frame->rlimit_count < BV_FRAME_RLIMITS_MAX);
    frame->rlimits[frame->rlimit_count++] =
        (struct bv_frame_rlimit){ .resource = (uint32_t)resource, .soft = limit, .hard = limit };
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Backstops, but for NOFILE where processes x NOFILE is the bound itself. A hard limit is never raised: root without
 * CAP_SYS_RESOURCE could not (LINUX.md 3, traps). */
static void lower_rlimits(struct lower *lower)
{
    const struct bv_execution *execution = lower->in->execution;
    const uint64_t processes = lower->intent->budgets[BV_PROCESS_COUNT].limit;
    /* 1, not 0: what LINUX calls a special value stops a core_pattern pipe too (core(5) ignores 0
     * there). The filter keeps it so. */
    add_rlimit(lower, RLIMIT_CORE, 1);
    /* Pending signals and timers are counted for the caller's user on the host as well: this many are
     * the tree's, the rest stays for the user's other processes. */
    add_rlimit(lower, RLIMIT_SIGPENDING, SIGPENDING_MAX);
    const uint64_t nofile = linux_nofile(lower->intent);
    if (nofile != UINT64_MAX) {
        add_rlimit(lower, RLIMIT_NOFILE, smaller(nofile, lower->in->nofile_hard));
    }
    if (execution->profile->word[LW_PIDS] == LINUX_CONTROLLER_NONE &&
        execution->profile->word[LW_NPROC_USERNS] != 0 && processes != BV_UNLIMITED) {
        add_rlimit(lower, RLIMIT_NPROC,
                   smaller(processes + NPROC_OWN_TASKS, lower->in->nproc_hard));
    }
}

/* A dimension that has no kernel mechanism is bounded by init, which samples. */
static void lower_budgets(struct lower *lower)
{
    const struct bv_execution *execution = lower->in->execution;
    const uint64_t *word = execution->profile->word;
    struct bv_frame *frame = lower->frame;
    frame->wall_micros = lower->intent->budgets[BV_WALL_MICROS].limit;
    frame->cpu_micros = lower->intent->budgets[BV_CPU_MICROS].limit;
    frame->cpu_count = word[LW_CPUS] > 0 ? (uint32_t)word[LW_CPUS] : 1u;
    frame->process_limit = BV_UNLIMITED;
    frame->handle_limit = BV_UNLIMITED;
    frame->sample_interval_micros = LINUX_SAMPLE_MICROS;
    if (execution->offers[BV_PROCESS_COUNT].guarantee == BV_GUARANTEE_MEDIATED &&
        !execution->offers[BV_PROCESS_COUNT].structural) {
        frame->process_limit = lower->intent->budgets[BV_PROCESS_COUNT].limit;
    }
    if (execution->offers[BV_HANDLE_COUNT].guarantee == BV_GUARANTEE_MEDIATED) {
        frame->handle_limit = lower->intent->budgets[BV_HANDLE_COUNT].limit;
    }
    if (word[LW_CPUACCT] == LINUX_CONTROLLER_NONE) {
        frame->flags |= BV_FRAME_SAMPLE_CPU;
    }
    if (word[LW_PIDS_PEAK] == 0) {
        frame->flags |= BV_FRAME_SAMPLE_TASKS;
    }
    frame->flags |= BV_FRAME_SAMPLE_HANDLES;
    if (lower->intent->temp_root) {
        frame->flags |= BV_FRAME_SAMPLE_STORAGE;
    }
}

static void lower_landlock(struct lower *lower)
{
    struct bv_frame *frame = lower->frame;
    frame->landlock_abi = (uint32_t)lower->abi;
    if (lower->abi == 0) {
        return;
    }
    frame->flags |= BV_FRAME_LANDLOCK;
    frame->landlock_fs = linux_landlock_handled_fs(lower->abi);
    frame->landlock_net = linux_landlock_handled_net(lower->abi, lower->intent->network);
    frame->landlock_scoped = linux_landlock_scoped(lower->abi, lower->intent->network);
    frame->landlock_flags = linux_landlock_restrict_flags(lower->abi);
}

static enum bv_status lower_seccomp(struct lower *lower)
{
    struct bv_frame *frame = lower->frame;
    const struct linux_filter filter =
        linux_seccomp_filter(lower->intent->spawn, lower->intent->network,
                             linux_unix_sockets(lower->abi, lower->intent));
    if (filter.count == 0) {
        return bv_fail(lower->error, BV_E_FAULT, "seccomp",
                       "there is no filter program for this policy");
    }
    if (filter.count > BV_FRAME_BPF_MAX_INSNS) {
        return bv_fail(lower->error, BV_E_LIMIT, "seccomp", "the filter program is too long");
    }
    memcpy(frame->bpf, filter.insns, filter.count * sizeof frame->bpf[0]);
    frame->bpf_count = filter.count;
    /* Without a listener (another supervisor around this one has it) the same calls fail with ENOSYS, unrecorded. */
    frame->flags |= lower->in->execution->profile->word[LW_NOTIFY] != 0 ? BV_FRAME_LISTENER : 0u;
    return BV_OK;
}

static void lower_canaries(struct lower *lower)
{
    const struct linux_lowering *in = lower->in;
    struct bv_frame *frame = lower->frame;
    frame->canary_path = in->canary_path ? in->canary_path : "";
    frame->canary_socket = in->canary_socket ? in->canary_socket : "";
    frame->canary_port = in->canary_port;
    frame->supervisor_pid = in->supervisor_pid;
    const struct bv_canary_policy policy = {
        .deny_network = lower->intent->network == BV_NETWORK_DENY_ALL,
        .deny_tasks = lower->intent->spawn == BV_SPAWN_DENY_NEW_TASKS,
        .deny_processes = lower->intent->spawn != BV_SPAWN_ALLOW_DESCENDANTS,
        .outside_path = frame->canary_path[0] != '\0',
        .listener_port = frame->canary_port != 0,
        .listener_socket = frame->canary_socket[0] != '\0',
        .signal_scope = lower->abi >= 6,
    };
    frame->canaries = bv_canary_set(&policy);
    frame->flags |= BV_FRAME_CANARIES;
}

static void frame_defaults(struct lower *lower)
{
    struct bv_frame *frame = lower->frame;
    frame->uid = lower->in->uid;
    frame->gid = lower->in->gid;
    frame->hostname = "bvisor";
    frame->stdin_fd = frame->stdout_fd = frame->stderr_fd = -1;
    frame->cpu_fd = frame->oom_fd = -1;
    for (size_t i = 0; i < BV_FRAME_TASKS_MAX; i++) {
        frame->task_fds[i] = -1;
    }
    frame->flags = lower->in->uid == 0 ? BV_FRAME_FULL_ID_MAP : 0u;
    frame->flags |= lower->in->execution->hold ? BV_FRAME_HOLD : 0u;
    if (lower->intent->network != BV_NETWORK_ALLOW_ALL) {
        frame->flags |= BV_FRAME_NEW_NET;
    }
}

enum bv_status linux_lower(const struct linux_lowering *in, struct bv_frame *ret_frame, char *text,
                           size_t text_size, struct bv_error *error)
{
    static enum bv_status (*const steps[])(struct lower *) = {
        lower_roots, lower_exposes, lower_temp, lower_listing, lower_links, lower_programs, lower_cwd,
        sort_mounts, lower_exe,     lower_args, lower_env,   lower_keep,     lower_seccomp,
    };
    struct lower lower = {
        .in = in,
        .intent = in->execution->intent,
        .frame = ret_frame,
        .text = text,
        .text_size = text_size,
        .abi = in->execution->profile->word[LW_LANDLOCK_ABI],
        .error = error,
    };
    BV_ASSERT(in->execution->identity->known);
    frame_defaults(&lower);
    for (size_t i = 0; i < BV_COUNT(steps); i++) {
        const enum bv_status status = steps[i](&lower);
        if (status != BV_OK) {
            return status;
        }
    }
    lower_rlimits(&lower);
    lower_budgets(&lower);
    lower_landlock(&lower);
    lower_canaries(&lower);
    return BV_OK;
}
