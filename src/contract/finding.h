/* contract/finding.h - what a reader must know before trusting a plan or a report: a list of {kind, detail}. */
#pragma once

#include "base/arena.h"
#include "canon/emit.h"

struct finding {
    struct finding *next;
    const char *kind, *detail;
};

struct finding_list {
    struct bv_arena *arena; /* where its items live */
    struct finding *first, *last;
};

/* Appends unless an equal finding is there. kind is kept as it is; detail is cleaned and copied. False: out of memory. */
bool bv_finding_add(struct finding_list *list, const char *kind, const char *detail);
/* Appends all of other, which must outlive the list. False: out of memory. */
bool bv_finding_add_all(struct finding_list *list, const struct finding_list *other);
void bv_findings_emit(struct bv_emit *emit, const char *key, const struct finding_list *list);
