/* contract/intent.h - from what was asked to what is decided: the intent, and the list of requirements behind it. */
#pragma once

#include <bvisor/backend.h>

#include "base/arena.h"

/* The spec with every family decided, as backends read it. spec must live as long as the intent. False: out of memory. */
bool bv_intent_build(struct bv_arena *arena, const struct bv_spec *spec,
                     struct bv_intent *ret_intent);

struct requirement_list {
    struct bv_requirement *item;
    size_t count;
};

/* Every requirement of the spec in its order, then the implied ones: the strictest denial of each absent family and, for a process, read and
 * execute of exe_path (its path after all symlinks; NULL or "" if there is none). False: out of memory. */
bool bv_requirements_list(struct bv_arena *arena, const struct bv_spec *spec, const char *exe_path,
                          struct requirement_list *ret_list);

/* True when path is prefix or lies below it, by whole components. Both absolute and normalised. */
bool bv_path_is_inside(const char *path, const char *prefix);
/* The most specific root that path lies in; NULL if none. */
const struct bv_root *bv_intent_root_of(const struct bv_intent *intent, const char *path);
/* True when some root, or some exposed path, can be written: what storage_bytes counts and staging stages. */
bool bv_intent_writes_roots(const struct bv_intent *intent);
bool bv_intent_writes_exposed(const struct bv_intent *intent);
bool bv_spec_launches(const struct bv_spec *spec); /* it has a launch_workload control */
