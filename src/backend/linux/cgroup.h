/* backend/linux/cgroup.h - where this process may make leaves: shared by probe.c (tries it) and
 * cgroup.c (does it). */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/linux/linux.h"

/* Reads /proc/self/cgroup and mountinfo. CORE is the v2 hierarchy; a use whose controller is
 * bound to no v1 hierarchy is in v2 as well. CPU needs no controller there: cpu.stat counts in
 * every v2 cgroup (cgroup-v2.rst, "CPU Interface Files"), so v1 cpuacct is for machines without
 * a usable v2 leaf only. 0 or -errno. */
int linux_cgroups_find(struct linux_cgroups *ret_cgroups);
/* The same with the v2 cgroup that the process is in now, also when it made that itself
 * (cgroup_home.c). */
int linux_cgroups_find_raw(struct linux_cgroups *ret_cgroups);

/* Whether v2 may have the memory or the pids controller: false when both are bound to v1 hierarchies. Costs one small read. */
bool linux_cgroup_v2_serves(void);

/* Whether a child of the caller's own v2 cgroup has a controller: 0: it has; 1: it will once the
 * controller is enabled, which only the root cgroup can do while it holds processes; -ENOENT:
 * not available there; -EBUSY: available, but the own cgroup holds processes (cgroup-v2.rst, no
 * internal process constraint). */
int linux_cgroup_v2_controller(const char *dir, const char *controller);

/* cgroup_home.c. Where the own v2 cgroup holds nobody but the calling process, moves it into a child
 * and enables the controllers that leaves need; elsewhere nothing. Before a launcher is started,
 * which would be somebody else. Failures show when the leaf is tried. */
void linux_cgroup_divide(void);
/* cgroup_home.c. 0 if the caller may move into a child of its own cgroup `dir` and enable
 * controllers there, without touching anybody else; -EBUSY: it is not alone in it. */
int linux_cgroup_may_divide(int dir);
/* Whether a list of processes holds no other than this one. */
bool linux_only_process(const char *procs, long pid);
/* Moves the calling process into a child of its own cgroup. 0, also when it is there already. */
int linux_cgroup_move_down(const char *dir);
/* Undoes that, and disables the controllers; nothing while somebody holds the home. */
void linux_cgroup_move_back(void);
/* A descriptor that keeps the process where it is while a leaf lives; -EBADF if it did not move. */
int linux_cgroup_hold_home(void);
/* Cuts the last component off `dir` if it is the child that this process moved into. False: it is not. */
bool linux_cgroup_home_of(char *dir);
/* Whether a name is that of such a child, whoever made it: it may hold what the owner started. */
bool linux_leaf_is_home(const char *name);

/* Makes the leaf of that name below `parent`, remembers it, opens its directory. */
int linux_leaf_below(struct linux_leaf *leaf, const char *parent);
/* Written before the other leaves are made, so that none is ever without its entry. It serves
 * sweeps that start from other cgroups only, and holds nothing up where it cannot be kept. */
void linux_leaf_note_parents(const struct linux_leaf *leaf);

/* bvisor-<tag>.<inode of the pid namespace>.<pid>.<start time>: names the owner of a leaf. 0 or
 * -errno. */
int linux_leaf_name(const char *tag, char *name, size_t size);

/* On the v2 leaf: the directories, one a line, below which leaves of the same name were made in
 * other hierarchies. The owner may have had another cgroup there than whoever sweeps. Only root
 * of the initial user namespace reads or writes trusted attributes (xattr(7)); an ordinary user
 * has no leaf outside of its one v2 subtree. */
#define LINUX_LEAF_PARENTS_XATTR "trusted.bvisor.parents"
#define LINUX_LEAF_PARENTS_BYTES 2048u

/* Start time of a process in clock ticks since boot: with its pid it names one process for ever.
 * 0 or -errno. */
int linux_process_start(pid_t pid, unsigned long long *ret_start);
/* Removes a leaf, waiting while it is busy. 0, also when it is not there, or -errno. */
int linux_leaf_rmdir(const char *parent, const char *name, unsigned wait_millis);

/* Reads a small file below dir_fd as text. Bytes read or -errno; text is NUL-terminated. */
int linux_read_at(int dir_fd, const char *name, char *text, size_t size);
/* Writes a small file below dir_fd with one write. 0 or -errno. */
int linux_write_at(int dir_fd, const char *name, const char *text);
