/* contract/observation.h - the inside of an observation: what a backend said of one run, unjudged and unsealed. */
#pragma once

#include <bvisor/backend.h>

#include "base/arena.h"
#include "base/buf.h"

struct observed_item {
    struct observed_item *next;
    const char *kind, *detail;
}; /* facts and findings */
struct observed_list {
    struct observed_item *first, **last;
    size_t count;
};
struct observed_denial {
    struct observed_denial *next;
    enum bv_requirement_kind kind;
    const char *detail;
    uint64_t count;
};
struct observed_stream {
    struct bv_buf kept;
    uint64_t total_bytes;
    bool seen, truncated;
};
struct observed_usage {
    bool told, measured, limit_reached;
    uint64_t value;
    char source[200];
};

struct bv_observation {
    struct bv_arena
        *arena; /* the observation itself and its items; the streams' buffers are on the heap */
    struct observed_list facts, findings;
    struct observed_denial *denials, **last_denial;
    size_t denial_count;
    struct observed_stream stream[2]; /* stdout, stderr */
    struct observed_usage usage[BV_DIMENSION_COUNT];
    unsigned outcome_count;
    enum bv_outcome outcome, second_outcome;
    struct bv_exit exit;
    int cause;
    char detail[201], launcher[BV_NAME_MAX_BYTES + 1];
    const char *failure; /* why the observation is incomplete or malformed; NULL if it is not */
};

/* The first fact of a kind; NULL if there is none. */
const struct observed_item *bv_observation_fact(const struct bv_observation *observation,
                                                const char *kind);
