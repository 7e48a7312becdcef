/* launcher/step_remount.c - the attributes of attached mounts on kernels without mount_setattr()
 * (before 5.12).
 *
 * There a detached clone cannot be restricted; what is attached can, one mount at a time, by
 * mount(MS_REMOUNT | MS_BIND). So a clone is attached first, and then it and every mount below it
 * are given their attributes, before anything of the workload exists. The mounts below are those
 * that this process's own mountinfo names, reached by path from the clone without following a link
 * and addressed through init's own procfs, which no path leads to. Each is looked at again
 * afterwards: a mount that did not take its attributes ends the launch. LINUX.md 3 and 4. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#include <sys/statfs.h>

#define LINE_BYTES 16384 /* the longest mountinfo line */
#define TREE_MAX   512   /* mounts below one source */

struct scan {
    uint32_t ids[TREE_MAX]; /* the clone's mount and those found below it */
    uint32_t count;
    int tree; /* the root of the clone */
    const char *dest; /* where it is attached */
    unsigned long flags;
};

/* MS_ flags of the attributes that a frame can ask for. */
static unsigned long flags_of(uint64_t attributes)
{
    return (attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0UL) |
           (attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0UL) |
           (attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0UL) |
           (attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0UL);
}

/* statfs tells the four by the same numbers (ST_RDONLY and its kin). */
static int flags_now(int fd, unsigned long *ret_flags)
{
    struct statfs fs;
    long result = raw_call(SYS_fstatfs, fd, &fs);

    *ret_flags = result < 0 ? 0 : (unsigned long)fs.f_flags &
                                      (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    return (int)result;
}

/* A remount sets all four, and what the host had locked may not be taken away; access times stay as
 * they are (path_mount() in fs/namespace.c). */
static int remount(const struct launch *launch, int fd, unsigned long flags)
{
    struct text path = { .length = 0 };
    unsigned long now;
    long result = flags_now(fd, &now);

    text_add(&path, "self/fd/");
    text_add_number(&path, (uint64_t)fd, 10);
    if (result == 0) {
        result = raw_call(SYS_fchdir, launch->proc_fd);
    }
    if (result == 0) {
        result = raw_call(SYS_mount, NULL, path.chars, NULL, MS_REMOUNT | MS_BIND | now | flags,
                          NULL);
    }
    if (result == 0) {
        result = flags_now(fd, &now);
    }
    return result < 0 ? (int)result : (now & flags) == flags ? 0 : -EPERM;
}

static bool known(const struct scan *scan, uint64_t id)
{
    for (uint32_t i = 0; i < scan->count; i++) {
        if (scan->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static uint64_t number_at(const char **at)
{
    uint64_t value = 0;

    for (; **at >= '0' && **at <= '9'; ++*at) {
        value = value * 10 + (uint64_t)(**at - '0');
    }
    *at += **at == ' ';
    return value;
}

/* Takes the octal escapes of mountinfo out of a field, in place, and ends it. */
static void end_field(char *field)
{
    char *to = field;

    for (const char *from = field; *from != ' ' && *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* The mount at a path below the clone. One that another covers is reached by nobody. */
static int restrict_below(const struct launch *launch, const struct scan *scan, const char *path)
{
    const size_t length = strlen(scan->dest);
    int fd, result;

    if (strncmp(path, scan->dest, length) != 0 || path[length] != '/') {
        return -EXDEV;
    }
    fd = raw_open_path(scan->tree, path + length + 1, 0);
    if (fd < 0) {
        return fd;
    }
    result = remount(launch, fd, scan->flags);
    raw_close(fd);
    return result;
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT ...". A mount is listed after its parent. */
static int visit_line(const struct launch *launch, struct scan *scan, char *line)
{
    const char *at = line;
    const uint64_t id = number_at(&at), parent = number_at(&at);
    char *field = (char *)(uintptr_t)at;

    if (!known(scan, parent)) {
        return 0;
    }
    for (int skip = 0; skip < 2; skip++) {
        field = strchr(field, ' ');
        if (!field) {
            return -EPROTO;
        }
        field++;
    }
    if (scan->count == TREE_MAX) {
        return -E2BIG;
    }
    scan->ids[scan->count++] = (uint32_t)id;
    end_field(field);
    return restrict_below(launch, scan, field);
}

static int visit_mounts(const struct launch *launch, struct scan *scan)
{
    char line[LINE_BYTES];
    size_t used = 0;
    long got = raw_call(SYS_openat, launch->proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC, 0);
    int fd = (int)got, result = fd < 0 ? fd : 0;

    while (result == 0 && (got = raw_call(SYS_read, fd, line + used,
                                          sizeof(line) - 1 - used)) > 0) {
        char *start = line, *end;

        used += (size_t)got;
        line[used] = '\0';
        while (result == 0 && (end = strchr(start, '\n')) != NULL) {
            *end = '\0';
            result = visit_line(launch, scan, start);
            start = end + 1;
        }
        used -= (size_t)(start - line);
        memmove(line, start, used);
        result = result == 0 && used == sizeof(line) - 1 ? -E2BIG : result;
    }
    if (fd >= 0) {
        raw_close(fd);
    }
    return result < 0 ? result : (int)got;
}

/* "mnt_id:\tN" of fdinfo: the kernel numbers what the descriptor was opened on. */
static int mount_id(const struct launch *launch, int fd, uint32_t *ret_id)
{
    static const char key[] = "mnt_id:\t";
    struct text path = { .length = 0 };
    char text[512];
    const char *at;
    long info, got;

    text_add(&path, "self/fdinfo/");
    text_add_number(&path, (uint64_t)fd, 10);
    info = raw_call(SYS_openat, launch->proc_fd, path.chars, O_RDONLY | O_CLOEXEC, 0);
    if (info < 0) {
        return (int)info;
    }
    got = raw_call(SYS_read, info, text, sizeof(text) - 1);
    raw_close((int)info);
    text[got > 0 ? got : 0] = '\0';
    for (at = text; strncmp(at, key, sizeof(key) - 1) != 0; at++) {
        at = strchr(at, '\n');
        if (!at) {
            return -EPROTO;
        }
    }
    at += sizeof(key) - 1;
    *ret_id = (uint32_t)number_at(&at);
    return 0;
}

int bv_restrict_attached(struct launch *launch, int tree, const char *dest, uint64_t attributes)
{
    struct scan scan = { .tree = tree, .dest = dest, .flags = flags_of(attributes) };
    int result = remount(launch, tree, scan.flags);

    if (result == 0 && dest) {
        scan.count = 1;
        result = mount_id(launch, tree, &scan.ids[0]);
    }
    return result < 0 || !dest ? result : visit_mounts(launch, &scan);
}
