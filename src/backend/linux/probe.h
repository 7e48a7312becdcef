/* backend/linux/probe.h - the parts of the probe: each tries one group of things and leaves
 * nothing behind. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/linux/linux.h"

/* Not tried, because something before it failed. */
#define TRIAL_NOT_RUN (-1000)

/* Results of the trial child: 0, a negative errno, or TRIAL_NOT_RUN. */
struct linux_namespace_trial {
    int clone, id_map, tmpfs, open_tree, mount_setattr, remount, proc_mount, listener;
    int nproc_binds;  /* 0: a task beyond RLIMIT_NPROC is refused */
    int nproc_userns; /* 0: and one within it is not, whatever else the user runs */
};
void linux_try_namespaces(struct linux_namespace_trial *ret_trial);

/* "v1 ok", "v2 EACCES", "absent", ...; features "ok" or "no". */
struct linux_cgroup_trial {
    char core[32], kill[8], memory[32], memory_peak[8], memsw[8], pids[32], pids_peak[8], cpu[32];
};
void linux_try_cgroups(struct linux_cgroup_trial *ret_trial);

/* "ok" for 0, "not tried" for TRIAL_NOT_RUN, else the name of the errno. */
const char *linux_result_text(int result);
