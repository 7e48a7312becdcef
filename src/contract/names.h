/* contract/names.h - the words of documents, one table an enum: the value is the index. names.c also holds the public
 * bv_*_name() functions, which read the same tables. Words: CONTRACT.md and INTERFACE.md 2. */
#pragma once

#include <bvisor/spec.h>

struct bv_names {
    const char *const *names;
    size_t count;
};

extern const struct bv_names bv_names_access;     /* enum bv_access */
extern const struct bv_names bv_names_network;    /* enum bv_network_policy */
extern const struct bv_names bv_names_spawn;      /* enum bv_spawn_policy */
extern const struct bv_names bv_names_durability; /* enum bv_durability */
extern const struct bv_names bv_names_guarantee;  /* enum bv_guarantee */
extern const struct bv_names bv_names_dimension;  /* enum bv_dimension */
extern const struct bv_names bv_names_claim;      /* bit number of enum bv_claim */
extern const struct bv_names bv_names_capability; /* enum bv_capability_kind */
extern const struct bv_names bv_names_control;    /* enum bv_control_kind */
extern const struct bv_names bv_names_workload;   /* enum bv_workload_kind */
extern const struct bv_names bv_names_kill;       /* struct bv_kill: index 1 is atomic */
extern const struct bv_names bv_names_change;     /* enum bv_change */
extern const struct bv_names bv_names_artifact_kind; /* enum bv_artifact_kind */
extern const struct bv_names bv_names_fds;        /* inherited_fds policy: none, only */

/* Dimensions and bit numbers of claims in the order of their words, which is that of documents. */
extern const unsigned char bv_dimensions_by_name[BV_DIMENSION_COUNT];
extern const unsigned char bv_claims_by_name[BV_CLAIM_COUNT];

/* The word of a value; "invalid" when it is out of the table. */
const char *bv_name_of(const struct bv_names *names, size_t value);
/* The value of a word; false if it is none (the output is then not written). */
bool bv_name_find(const struct bv_names *names, const char *word, size_t *ret_value);
