/* bvisor/report.h - the sealed report: outcome, what held, what happened, what it used. INTERFACE.md 3. */
#ifndef BVISOR_REPORT_H
#define BVISOR_REPORT_H

#include <bvisor/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bv_outcome { /* CONTRACT.md 9; exactly one for every started attempt */
    BV_OUTCOME_COMPLETED = 0, BV_OUTCOME_FAILED = 1, BV_OUTCOME_DENIED = 2, BV_OUTCOME_TIMEOUT = 3,
    BV_OUTCOME_KILLED = 4, BV_OUTCOME_UNSUPPORTED = 5, BV_OUTCOME_SUPERVISOR_FAULT = 6,
};

enum bv_exit_kind { BV_EXIT_NONE = 0, BV_EXIT_CODE = 1, BV_EXIT_SIGNAL = 2, BV_EXIT_TRAP = 3 };
struct bv_exit { enum bv_exit_kind kind; int value; /* exit code or signal number */ char trap[96]; };

struct bv_report;

BV_API const char *bv_outcome_name(enum bv_outcome outcome);
BV_API enum bv_outcome bv_report_outcome(const struct bv_report *report);
BV_API struct bv_exit bv_report_exit(const struct bv_report *report);
BV_API const char *bv_report_body_hash(const struct bv_report *report); /* "sha256:..." */
/* The exit status that INTERFACE.md 1 gives `bvisor run` for this report: 0..255. */
BV_API int bv_report_exit_status(const struct bv_report *report);
/* The report as one "bvisor.report/1" document whose body is canonical; NUL-terminated, freed with bv_free(). BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_report_json(const struct bv_report *report, char **ret_text, struct bv_error *error);
BV_API void bv_report_free(struct bv_report *report);

/* Recomputes the seal of a report document. BV_OK: the body is canonical JSON's hash. BV_E_CORRUPT: it is not, or the
 * document holds anything that the seal does not cover and the format does not know. BV_E_INVALID: not a report. */
BV_API BV_MUST_CHECK enum bv_status bv_report_verify(const char *text, size_t size, struct bv_error *error);

#ifdef __cplusplus
}
#endif
#endif
