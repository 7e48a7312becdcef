/* run/record.h - what the runner writes into a journal, and the trees that must not hold one. A NULL journal keeps no record. */
#pragma once

#include <bvisor/artifacts.h>
#include <bvisor/run.h>

/* `started`, with the plan as its document. BV_OK: durable. */
BV_MUST_CHECK enum bv_status bv_record_start(struct bv_journal *journal, const struct bv_plan *plan, const char *attempt, struct bv_error *error);
/* `report`, with the report as its document. */
BV_MUST_CHECK enum bv_status bv_record_report(struct bv_journal *journal, const char *attempt, const struct bv_report *report,
                                              struct bv_error *error);
/* Events that record dispositions of attempts that the journal knows; others are not recorded. The journal must outlive their use. */
void bv_record_events(struct bv_journal *journal, struct bv_store_events *ret_events);
/* The attempt is nobody's any more. */
void bv_record_end(struct bv_journal *journal, const char *attempt);
/* Refuses (invalid_policy) every writable tree that holds the journal, or lies in its directory. BV_OK or BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_record_check(const struct bv_journal *journal, const char *backend_id, const struct bv_intent *intent,
                                             struct bv_refusal **refusal, struct bv_error *error);
