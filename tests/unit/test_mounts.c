/* tests/unit/test_mounts.c - run/mounts.c: mountinfo taken apart, the walk of a path through it, and
 * what a grant must not bring in. */
#include "run/mounts.h"

#include <string.h>

#include "base/check.h"
#include "support/tap.h"

/* A machine with a chroot that has its own proc, sysfs and a cgroup, a covered and a tucked mount. */
static const char table[] =
    "1 1 0:2 / / rw - rootfs rootfs rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "22 27 0:21 / /proc rw - proc proc rw\n"
    "21 22 0:40 / /proc/sys/fs/binfmt_misc rw - binfmt_misc binfmt_misc rw\n"
    "23 27 0:22 / /sys rw - sysfs sysfs rw\n"
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw master:2 propagate_from:1 - cgroup2 cgroup2 rw\n"
    "24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
    "25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
    "30 25 0:27 / /dev/shm rw - tmpfs tmpfs rw\n"
    "50 27 0:21 / /srv/a\\040b/proc rw - proc proc rw\n"
    "51 27 0:22 /kernel /srv/box/kernel rw - sysfs sysfs rw\n"
    "52 27 0:61 / /mnt/share rw - fuse.sshfs host:/ rw\n"
    "53 27 0:62 / /mnt/odd rw - oddfs odd rw\n"
    "54 27 0:28 / /cover/x rw - tmpfs tmpfs rw\n"
    "55 27 0:22 / /cover rw - sysfs sysfs rw\n"
    "56 27 0:21 /sys/kernel/x /srv/file rw - proc proc rw\n";

static char *text_of(const char *source, char *buffer, size_t size)
{
    BV_ASSERT(strlen(source) < size);
    memcpy(buffer, source, strlen(source) + 1);
    return buffer;
}

static const char *type_of(const struct bv_mount *mount)
{
    return mount ? mount->type : "none";
}

static void test_walk(const struct bv_mounts *mounts)
{
    static const struct {
        const char *path, *type;
        unsigned id;
    } rows[] = {
        { "/", "ext4", 27 },
        { "/usr/lib", "ext4", 27 },
        { "/proc", "proc", 22 },
        { "/process", "ext4", 27 },
        { "/proc/sys/fs/binfmt_misc/register", "binfmt_misc", 21 },
        { "/sys/kernel", "sysfs", 23 },
        { "/sys/fs/cgroup/x", "tmpfs", 31 },
        { "/sys/fs/cgroup/unified/x", "cgroup2", 41 },
        { "/dev/shm", "tmpfs", 30 },
        { "/dev/null", "devtmpfs", 24 },
        { "/srv/a b/proc/1", "proc", 50 },
        { "/srv/a b", "ext4", 27 },
        { "/cover/x/y", "sysfs", 55 },
    };
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        const struct bv_mount *mount = bv_mounts_of(mounts, rows[i].path);
        tap_ok(mount && mount->id == rows[i].id && strcmp(mount->type, rows[i].type) == 0,
               "%s is looked up in %s", rows[i].path, type_of(mount));
    }
}

static void test_fault(const struct bv_mounts *mounts)
{
    static const char *const inner[] = { "/srv/box", "/srv/box/kernel", "/srv/a b",
                                         "/srv/a b/proc" };
    static const struct {
        const char *path;
        const char *read, *write; /* type of the mount that is in the way; NULL: none */
        size_t inner_count;
    } rows[] = {
        { "/usr", NULL, NULL, 0 },
        { "/sys", NULL, "sysfs", 0 },
        { "/sys/fs/cgroup", NULL, "cgroup2", 0 },
        { "/sys/fs/cgroup/systemd", NULL, NULL, 0 },
        { "/sys/fs/cgroup/unified/me", NULL, "cgroup2", 0 },
        { "/proc/sys", "proc", "proc", 0 },
        { "/dev/shm", NULL, NULL, 0 },
        { "/dev/shm/mine", NULL, NULL, 0 },
        { "/dev/pts", NULL, "devtmpfs", 0 },
        { "/srv", "proc", "proc", 0 },
        { "/srv/box", NULL, "sysfs", 0 },
        { "/srv/box", NULL, NULL, 2 },           /* left to the narrower root, */
        { "/srv/box/kernel", NULL, "sysfs", 2 }, /* which is asked itself */
        { "/srv/a b", "proc", "proc", 2 },
        { "/srv/a b", NULL, NULL, 4 },
        { "/srv/a b/proc", "proc", "proc", 4 },
        { "/srv/file", "proc", "proc", 0 },
        { "/mnt/share", NULL, NULL, 0 },
        { "/mnt/odd", NULL, "oddfs", 0 }, /* nobody knows it: not for writing */
        { "/cover/x", NULL, "sysfs", 0 },
    };
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        const struct bv_mount *read =
            bv_mounts_fault(mounts, rows[i].path, BV_ACCESS_READ, inner, rows[i].inner_count);
        tap_text(type_of(read), rows[i].read ? rows[i].read : "none", "reading %s", rows[i].path);
        static const enum bv_access writes[] = { BV_ACCESS_WRITE, BV_ACCESS_READ_WRITE };
        for (size_t k = 0; k < BV_COUNT(writes); k++) {
            const struct bv_mount *write =
                bv_mounts_fault(mounts, rows[i].path, writes[k], inner, rows[i].inner_count);
            tap_text(type_of(write), rows[i].write ? rows[i].write : "none", "writing %s",
                     rows[i].path);
        }
    }
}

static void test_bad(void)
{
    static const char *const bad[] = {
        "\n",
        "1 1 0:2 / / rw rootfs rootfs rw\n",     /* no separator */
        "1 1 0:2 / - rootfs rootfs rw\n",        /* too few fields */
        "x 1 0:2 / / rw - rootfs rootfs rw\n",   /* no number */
        "1 4294967296 0:2 / / rw - ext4 a rw\n", /* too large */
        "-1 1 0:2 / / rw - ext4 a rw\n",         /* a sign */
        "1 1 0:2 / place rw - ext4 a rw\n",      /* no path */
        "1 1 0:2 / / rw - \n",                   /* no type */
        "1 1 0:2 / / rw - ext4 a rw\n\n",        /* an empty line */
    };
    char buffer[200];
    struct bv_mounts mounts;
    bool no_memory;
    for (size_t i = 0; i < BV_COUNT(bad); i++) {
        tap_ok(!bv_mounts_parse(text_of(bad[i], buffer, sizeof(buffer)), &mounts, &no_memory) &&
                   !no_memory,
               "no mountinfo: row %zu", i);
    }
    tap_ok(bv_mounts_parse(text_of("", buffer, sizeof(buffer)), &mounts, &no_memory) &&
               mounts.count == 0 && !bv_mounts_of(&mounts, "/x"),
           "an empty one has no mounts");
    bv_mounts_done(&mounts);
    tap_ok(bv_mounts_parse(text_of("1 2 8:1 / / rw - ext4 a rw\n2 1 0:9 / / rw - sysfs a rw",
                                   buffer, sizeof(buffer)),
                           &mounts, &no_memory) &&
               !bv_mounts_of(&mounts, "/x"),
           "mounts that are each other's parent are no way down, and end");
    bv_mounts_done(&mounts);
}

int main(void)
{
    char buffer[sizeof(table)];
    struct bv_mounts mounts;
    bool no_memory;
    tap_ok(bv_mounts_parse(text_of(table, buffer, sizeof(buffer)), &mounts, &no_memory) &&
               mounts.count == 17,
           "a table of 17 mounts");
    test_walk(&mounts);
    test_fault(&mounts);
    bv_mounts_done(&mounts);
    test_bad();
    return tap_done();
}
