/* stage/delta.h - what a staged run changed: walks what it wrote beside the host's tree and writes the list of changes. */
#pragma once

#include "stage/store.h"

#define STAGE_NAMES_MAX_BYTES (256u << 20) /* names of one directory: some ten million */
#define STAGE_HASH_MAX_BYTES  (64ull << 30) /* read for digests in one walk, the host's files included: a minute; what is beyond has no digest */

struct stage_summary {
    uint64_t entries;
    bool complete;
    char missing[200]; /* why it is not complete; "" if it is */
};

/* The tree of the run must be dead. Writes `delta` into the quarantine; 0 or -errno, and nothing is written then. */
int stage_delta(struct stage_quarantine *quarantine, struct stage_summary *ret_summary);
/* Opens an own regular file for reading, also one that its owner may not read; -errno. */
int stage_open_own(int root, const char *path);
