/* run/mounts.c - no file system that speaks for the kernel comes in with a grant; see mounts.h.
 *
 * A grant is bound with every mount below it, and in a user namespace those cannot be left out
 * (mount_namespaces(7), locked mounts). Behind the files of procfs, sysfs and their like is the
 * kernel and not storage: /proc/sys/kernel/core_pattern is a program run as root on the host, a
 * cgroup.procs is the way out of the budgets, and a root workload owns both without any capability.
 * What is storage is listed, not what is not: a type that nobody here has heard of is refused for
 * writing. File systems on a block device are storage whatever their type. Format: proc(5)
 * mountinfo. Makes no system call; fuzzed by fuzz_mounts. */
#include "run/mounts.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "contract/intent.h"

/* Without a block device of their own (major number 0): memory, network, other file systems. */
static const char *const storage_types[] = {
    "tmpfs",  "ramfs",   "rootfs",   "overlay", "aufs",     "btrfs",    "bcachefs", "zfs",
    "ubifs",  "nfs",     "nfs4",     "cifs",    "smb3",     "ceph",     "9p",       "virtiofs",
    "fuse",   "fuseblk", "ecryptfs", "afs",     "orangefs", "lustre",   "gpfs",     "beegfs",
    "vboxsf", "vmhgfs",  "prl_fs",   "hostfs",  "erofs",    "squashfs", "autofs",
};

static enum bv_mount_class class_of(const char *type, const char *device)
{
    if (strcmp(type, "proc") == 0) {
        return BV_MOUNTED_PROCFS;
    }
    if (strncmp(device, "0:", 2) != 0 || strncmp(type, "fuse.", 5) == 0) {
        return BV_MOUNTED_STORAGE;
    }
    for (size_t i = 0; i < BV_COUNT(storage_types); i++) {
        if (strcmp(storage_types[i], type) == 0) {
            return BV_MOUNTED_STORAGE;
        }
    }
    return BV_MOUNTED_KERNEL;
}

static bool is_octal(const char *digits)
{
    return digits[0] >= '0' && digits[0] <= '3' && digits[1] >= '0' && digits[1] <= '7' &&
           digits[2] >= '0' && digits[2] <= '7';
}

/* Undoes the octal escapes of mountinfo (space, tab, newline, backslash) in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && is_octal(from + 1)) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static bool read_number(const char *text, unsigned *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number <= UINT32_MAX; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *ret_number = (unsigned)number;
    return at != text && *at == '\0' && number <= UINT32_MAX;
}

/* "ID PARENT MAJ:MIN ROOT PLACE OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS"; spaces in a field are
 * escaped. */
static bool read_line(char *line, struct bv_mount *ret_mount)
{
    char *fields[5], *save = NULL, *tail = strstr(line, " - ");
    if (!tail) {
        return false;
    }
    *tail = '\0';
    for (size_t i = 0; i < BV_COUNT(fields); i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (!fields[i]) {
            return false;
        }
    }
    char *type = strtok_r(tail + 3, " ", &save);
    if (!type || !read_number(fields[0], &ret_mount->id) ||
        !read_number(fields[1], &ret_mount->parent) || fields[4][0] != '/') {
        return false;
    }
    unescape(type);
    unescape(fields[4]);
    ret_mount->type = type;
    ret_mount->place = fields[4];
    ret_mount->kind = class_of(type, fields[2]);
    return true;
}

bool bv_mounts_parse(char *text, struct bv_mounts *ret_mounts, bool *ret_no_memory)
{
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    struct bv_mount *items = calloc(lines + 1, sizeof(*items));
    *ret_no_memory = !items;
    size_t count = 0;
    for (char *line = text; items && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end) {
            *end = '\0';
        }
        if (!read_line(line, &items[count])) {
            free(items);
            return false;
        }
        count++;
        line = end ? end + 1 : line + strlen(line);
    }
    *ret_mounts = (struct bv_mounts){ items, count };
    return items != NULL;
}

void bv_mounts_done(struct bv_mounts *mounts)
{
    free(mounts->items);
    *mounts = (struct bv_mounts){ 0 };
}

/* A mount whose parent is outside of what this process sees (or its own, as the first root's). */
static bool is_top(const struct bv_mounts *mounts, const struct bv_mount *mount)
{
    for (size_t i = 0; i < mounts->count; i++) {
        if (mounts->items[i].id == mount->parent && &mounts->items[i] != mount) {
            return false;
        }
    }
    return true;
}

/* The mount that the walk of `path` enters next, standing in `current`. */
static const struct bv_mount *next_on(const struct bv_mounts *mounts,
                                      const struct bv_mount *current, const char *path)
{
    const struct bv_mount *next = NULL;
    for (size_t i = 0; i < mounts->count; i++) {
        const struct bv_mount *mount = &mounts->items[i];
        const bool nearer = !next || strlen(mount->place) < strlen(next->place);
        if (mount != current && nearer && bv_path_is_inside(path, mount->place) &&
            (current
                 ? mount->parent == current->id && bv_path_is_inside(mount->place, current->place)
                 : is_top(mounts, mount))) {
            next = mount;
        }
    }
    return next;
}

const struct bv_mount *bv_mounts_of(const struct bv_mounts *mounts, const char *path)
{
    const struct bv_mount *current = NULL, *next;
    /* Each step enters another mount; a table whose parents form a circle ends it all the same. */
    for (size_t step = 0; step <= mounts->count; step++) {
        next = next_on(mounts, current, path);
        if (!next) {
            break;
        }
        current = next;
    }
    return current;
}

static bool is_fault(const struct bv_mount *mount, enum bv_access access)
{
    return mount->kind == BV_MOUNTED_PROCFS ||
           (mount->kind == BV_MOUNTED_KERNEL && access != BV_ACCESS_READ);
}

const struct bv_mount *bv_mounts_fault(const struct bv_mounts *mounts, const char *path,
                                       enum bv_access access, const char *const *inner,
                                       size_t inner_count)
{
    const struct bv_mount *own = bv_mounts_of(mounts, path);
    if (own && is_fault(own, access)) {
        return own;
    }
    for (size_t i = 0; i < mounts->count; i++) {
        const struct bv_mount *mount = &mounts->items[i];
        /* What another mount covers counts too: telling it apart is not worth being wrong once. */
        bool counts = is_fault(mount, access) && strcmp(mount->place, path) != 0 &&
                      bv_path_is_inside(mount->place, path);
        for (size_t k = 0; counts && k < inner_count; k++) {
            counts = strcmp(inner[k], path) == 0 || !bv_path_is_inside(inner[k], path) ||
                     !bv_path_is_inside(mount->place, inner[k]);
        }
        if (counts) {
            return mount;
        }
    }
    return NULL;
}
