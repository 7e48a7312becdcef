/* contract/copy.h - a deep copy of a spec into an arena, so that a plan outlives what its caller filled. */
#pragma once

#include <bvisor/spec.h>

#include "base/arena.h"

/* The spec must have passed bv_spec_check(). False: out of memory; *ret_copy is then half made and the arena to be freed. */
bool bv_spec_copy(struct bv_arena *arena, const struct bv_spec *spec, struct bv_spec *ret_copy);
