/* run/mounts.h - the host's mounts, and what a granted tree brings in with it. Pure: the table is read by grants.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <bvisor/spec.h>

enum bv_mount_class {
    BV_MOUNTED_STORAGE, /* files are bytes that were written there */
    BV_MOUNTED_KERNEL,  /* files are switches of the kernel: may be read */
    BV_MOUNTED_PROCFS,  /* shows the host's processes: not even that */
};

struct bv_mount {
    unsigned id, parent;
    const char *place, *type; /* text of the table's */
    enum bv_mount_class kind;
};

struct bv_mounts {
    struct bv_mount *items;
    size_t count;
};

/* Takes a whole mountinfo text apart in place; the table points into it. False: a line is none, or
 * out of memory (*ret_no_memory). bv_mounts_done() frees the table, not the text. */
bool bv_mounts_parse(char *text, struct bv_mounts *ret_mounts, bool *ret_no_memory);
void bv_mounts_done(struct bv_mounts *mounts);
/* The mount that a path without symbolic links is looked up in, as the kernel walks. NULL: none that
 * is listed, as for the root directory of a chroot, which is where its maker put it. */
const struct bv_mount *bv_mounts_of(const struct bv_mounts *mounts, const char *path);
/* The first mount that a grant of this tree would bring in and must not; NULL: none. A mount that
 * lies in one of the `inner` roots is left to that root's own check. */
const struct bv_mount *bv_mounts_fault(const struct bv_mounts *mounts, const char *path,
                                       enum bv_access access, const char *const *inner,
                                       size_t inner_count);
