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
    struct snapshot_fact fact[BV_SNAPSHOT_MAX_FACTS];
};

/* A copy that lives in arena and is freed with it; NULL: out of memory. */
struct bv_snapshot *bv_snapshot_copy(struct bv_arena *arena, const struct bv_snapshot *snapshot);
