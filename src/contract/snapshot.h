/* contract/snapshot.h - probed facts: a bounded, sorted table that needs no allocation per fact. */
#pragma once

#include <bvisor/backend.h>

#include "base/arena.h"

#define SNAPSHOT_KEY_BYTES   48
#define SNAPSHOT_VALUE_BYTES 200

struct snapshot_fact {
    char key[SNAPSHOT_KEY_BYTES + 1];
    char value[SNAPSHOT_VALUE_BYTES + 1];
};

struct bv_snapshot {
    struct bv_arena *arena; /* its own; NULL when it lives in another object's arena */
    size_t count;
    unsigned char order[BV_SNAPSHOT_MAX_FACTS]; /* indices of fact, sorted by key */
    struct snapshot_fact fact
        []; /* in the order of their coming; room for BV_SNAPSHOT_MAX_FACTS, in a copy for count */
};
_Static_assert(BV_SNAPSHOT_MAX_FACTS <= 256, "an index fits a byte");

/* The i-th fact by key. */
static inline const struct snapshot_fact *bv_snapshot_at(const struct bv_snapshot *snapshot,
                                                         size_t i)
{
    return &snapshot->fact[snapshot->order[i]];
}

/* A copy that lives in arena and is freed with it; NULL: out of memory. */
struct bv_snapshot *bv_snapshot_copy(struct bv_arena *arena, const struct bv_snapshot *snapshot);
