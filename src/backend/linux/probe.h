/* backend/linux/probe.h - the parts of the probe: each tries one group of things and leaves
 * nothing behind. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/linux/linux.h"
#include "launchwire/status.h"

/* "v1 ok", "v2 EACCES", "absent", ...; features "ok" or "no". */
struct linux_cgroup_trial {
    char core[32], kill[8], memory[32], memory_peak[8], memsw[8], pids[32], pids_peak[8], cpu[32];
};
/* Makes an empty leaf in every hierarchy that lets this process, and says what it has. Only mkdir tells the truth. tag: part of its name.
 * The leaf is for linux_leaf_set() or linux_leaf_remove(). */
void linux_leaf_try(struct linux_leaf *leaf, const char *tag, struct linux_cgroup_trial *ret_trial);

/* "ok" for 0, "not tried" for BV_NOT_TRIED, else the name of the errno. */
const char *linux_result_text(int result);
