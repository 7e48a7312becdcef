/* contract/report.h - the body of a report, before it is sealed, and the inside of a sealed one. */
#pragma once

#include "contract/audit.h"

/* The exact keys of a body, which the reader checks and the writer fills. */
#define BV_REPORT_SCHEMA         "bvisor.report/1"
#define BV_REPORT_SCHEMA_VERSION 1

struct bv_report {
    struct bv_arena *arena;
    struct bv_buf body; /* canonical text: the very bytes that were hashed */
    char body_hash[BV_DIGEST_TEXT_SIZE];
    char *disposition; /* canonical text of the member; NULL: there is none. Freed with the report */
    struct ending ending;
    char signature[320]; /* canonical object; "" while unsigned */
};

/* INTERFACE.md 3. Appended to buf, which says whether it failed. */
void bv_report_body(struct bv_buf *buf, const struct bv_plan *plan,
                    const struct bv_observation *observation, const struct bv_seal_facts *facts,
                    const struct ending *ending, const struct finding_list *findings);
