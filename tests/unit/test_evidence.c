/* tests/unit/test_evidence.c - budget findings by their table, and claims that count only when the thing itself is there. */
#include "contract/evidence.h"

#include "base/check.h"
#include "contract/contract.h"
#include "support/fake.h"
#include "support/tap.h"

#define NOT_MEASURED UINT64_MAX

struct row {
    const char *name;
    uint64_t limit, observed;
    bool mediated, reached, is_cause;
    const char *finding;
};

/* CONTRACT.md 5. The limit is 1000 and the stated overshoot of a mediated dimension 100. */
static const struct row rows[] = {
    { "below", 1000, 999, false, false, false, "within_limit" },
    { "at the limit", 1000, 1000, false, false, false, "within_limit" },
    { "above an enforced limit", 1000, 1001, false, false, false, "enforcement_fault" },
    { "the mechanism refused something", 1000, 1000, false, true, false, "limit_reached_enforced" },
    { "the run was ended for it", 1000, 1003, false, false, true, "limit_reached_enforced" },
    { "ended, and not measured", 1000, NOT_MEASURED, false, true, false, "limit_reached_enforced" },
    { "not measured", 1000, NOT_MEASURED, false, false, false, "observation_unavailable" },
    { "mediated below", 1000, 5, true, false, false, "within_limit" },
    { "mediated within the overshoot", 1000, 1100, true, false, false,
      "exceeded_within_mediated_overshoot" },
    { "mediated, ended within the overshoot", 1000, 1100, true, true, true,
      "exceeded_within_mediated_overshoot" },
    { "mediated beyond the overshoot", 1000, 1101, true, true, true, "enforcement_fault" },
    { "mediated, ended in time", 1000, 1000, true, false, true, "limit_reached_enforced" },
    { "mediated, not measured", 1000, NOT_MEASURED, true, true, true, "observation_unavailable" },
    { "unlimited", BV_UNLIMITED, 1u << 30, true, false, false, "within_limit" },
    { "unlimited, not measured", BV_UNLIMITED, NOT_MEASURED, true, false, false,
      "observation_unavailable" },
};

static struct fake fake;
static struct request request;

static void test_findings(void)
{
    const enum bv_dimension dimension = BV_CPU_MICROS;
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        fake_init(&fake);
        request_init(&request);
        fake.offer[dimension].guarantee =
            row->mediated ? BV_GUARANTEE_MEDIATED : BV_GUARANTEE_ENFORCED;
        request.spec.budgets[dimension].limit = row->limit;
        struct bv_plan *plan = fake_plan(&fake, &request);
        struct bv_observation *o = bv_observation_new();
        struct bv_exit none = { .kind = BV_EXIT_NONE };
        bool ok =
            bv_observe_usage(o, dimension, row->observed == NOT_MEASURED ? NULL : &row->observed,
                             row->reached, "test");
        ok = bv_observe_outcome(o, BV_OUTCOME_TIMEOUT, none, row->is_cause ? (int)dimension : -1,
                                "") &&
             ok;
        tap_ok(plan && ok, "%s", row->name);
        tap_text(plan ? bv_witness_finding(plan, o, dimension) : "", row->finding, "%s", row->name);
        bv_observation_free(o);
        bv_plan_free(plan);
    }
}

static void test_invented(void)
{
    const uint64_t figure = 3;
    fake_init(&fake);
    request_init(&request);
    fake.offer[BV_HANDLE_COUNT].evidence = 0;
    fake.offer[BV_NETWORK_BYTES].evidence = 0;
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = bv_observation_new();
    tap_ok(!bv_witness_is_invented(plan, o, BV_HANDLE_COUNT), "no figure is no invention");
    tap_ok(bv_observe_usage(o, BV_HANDLE_COUNT, &figure, false, "x") &&
               bv_observe_usage(o, BV_NETWORK_BYTES, &figure, false, "x"),
           "two figures");
    tap_ok(bv_witness_is_invented(plan, o, BV_HANDLE_COUNT), "one that cannot be measured is one");
    tap_text(bv_witness_finding(plan, o, BV_HANDLE_COUNT), "enforcement_fault", "and a fault");
    tap_ok(!bv_witness_is_invented(plan, o, BV_NETWORK_BYTES),
           "a structural figure is known without measuring");
    tap_ok(bv_witness_dimension_claims(plan, o, BV_CLAIMS_ALL, BV_HANDLE_COUNT) ==
               (BV_CLAIMS_ALL & ~(uint32_t)BV_CLAIM_RESOURCE_USAGE),
           "an invented figure is no evidence");
    bv_observation_free(o);
    bv_plan_free(plan);
}

static uint32_t claims(struct bv_observation *o)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    uint32_t carried = bv_witness_claims(plan, o, bv_observation_has_outcome(o));
    bv_observation_free(o);
    bv_plan_free(plan);
    return carried;
}

static void test_claims(void)
{
    const uint32_t lists =
        BV_CLAIM_ALLOWED_ACTIONS | BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_NETWORK_ACTIVITY;
    const uint32_t ordinary = lists | BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS |
                              BV_CLAIM_RESOURCE_USAGE | BV_CLAIM_PROCESS_TREE;
    fake_init(&fake);
    request_init(&request);
    tap_ok(claims(fake_observe()) == ordinary, "an ordinary run, without canaries and staging");
    struct bv_observation *o = fake_observe();
    tap_ok(bv_observe_fact(o, "canaries", "3 of 3 denied") &&
               claims(o) == (ordinary | BV_CLAIM_MECHANISM_ATTESTATION),
           "canaries attest");
    o = fake_observe_open();
    tap_ok(claims(o) == (ordinary & ~(uint32_t)BV_CLAIM_TERMINAL_OUTCOME),
           "no outcome, no such claim");
    o = fake_observe();
    tap_ok(bv_observe_finding(o, "evidence_lost", "denied_attempts: the listener broke") &&
               claims(o) == (ordinary & ~(uint32_t)BV_CLAIM_DENIED_ATTEMPTS),
           "what a backend withdraws is not carried");
    fake.best[BV_REQ_LAUNCH_WORKLOAD].evidence = BV_CLAIM_TERMINAL_OUTCOME;
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        fake.best[kind].evidence &= BV_CLAIM_TERMINAL_OUTCOME;
    }
    request.spec.require_evidence = 0;
    tap_ok(claims(fake_observe()) == BV_CLAIM_TERMINAL_OUTCOME, "nothing beyond the plan");
    fake_init(&fake);
    o = bv_observation_new();
    struct bv_exit none = { .kind = BV_EXIT_NONE };
    tap_ok(bv_observe_outcome(o, BV_OUTCOME_UNSUPPORTED, none, -1, "") &&
               claims(o) == BV_CLAIM_TERMINAL_OUTCOME,
           "of a workload that never ran only the outcome");
    o = bv_observation_new();
    tap_ok(bv_observe_fact(o, "workload_launched", "x") &&
               bv_observe_stream(o, 1, "x", 1, 1, false) && claims(o) == lists,
           "one stream of two is not the streams, and no figure is no usage");
}

int main(void)
{
    test_findings();
    test_invented();
    test_claims();
    return tap_done();
}
