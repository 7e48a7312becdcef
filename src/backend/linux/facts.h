/* backend/linux/facts.h - what a launch must know of the host's file tree, gathered once by facts.c for lower.c. */
#pragma once

#include "backend/linux/linux.h"

#define LINUX_LINKS_MAX 32

struct linux_facts {
    struct linux_path_fact roots[BV_ROOTS_MAX], exposes[BV_EXPOSES_MAX];
    char links[LINUX_LINKS_MAX][2][256];
    size_t link_count;
    struct linux_path_fact interpreter, loader; /* of the workload's identity; ino 0: none */
    const char *canary_path; /* "" if no candidate exists outside the grants */
};

/* BV_E_INVALID with the path as place: it is missing, or a component of it is a symbolic link. */
enum bv_status linux_facts_gather(const struct bv_execution *execution, struct linux_facts *ret_facts, struct bv_error *error);
