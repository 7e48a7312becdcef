/* tests/unit/test_plan.c - admission as a whole: the order of reasons, completeness, evidence, determinism, and memory that fails. */
#include "contract/plan.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;

static const char *reason_of(const struct request *request)
{
    struct answer answer = fake_admit(&fake, request);
    const char *reason = answer.status == BV_E_REFUSED
                             ? bv_refusal_reason_name(bv_refusal_reason(answer.refusal))
                             : bv_status_name(answer.status);
    answer_done(&answer);
    return reason;
}

/* A request with every fault; each is mended in the order in which it is found. */
static void test_order(void)
{
    static struct request request;
    fake_init(&fake);
    request_init(&request);
    fake.best[BV_REQ_KILL].enforcement = BV_UNSUPPORTED;
    fake.best[BV_REQ_LAUNCH_WORKLOAD].evidence &= ~(uint32_t)BV_CLAIM_PROCESS_TREE;
    fake.offer[BV_WALL_MICROS].can_bound = false;
    request.spec.require_evidence |= BV_CLAIM_PROCESS_TREE;
    request.identity.is_elf = false;
    request.spec.budgets[BV_WALL_MICROS].limit = 0;
    request.spec.workload.path = "relative";
    request_control(&request, (struct bv_control){ .kind = BV_CTL_LAUNCH_WORKLOAD });
    tap_text(reason_of(&request), "invalid", "malformed is an error, before everything");
    request.spec.workload.path = "/opt/app/bin/tool";
    tap_text(reason_of(&request), "invalid_policy", "then contradictions");
    request.spec.control_count--;
    tap_text(reason_of(&request), "budget_refused", "then the derived minimums");
    request.spec.budgets[BV_WALL_MICROS].limit = 1000;
    tap_text(reason_of(&request), "workload_incompatible", "then the workload");
    request.identity.is_elf = true;
    tap_text(reason_of(&request), "unsupported", "then what cannot be held");
    fake.best[BV_REQ_KILL].enforcement = BV_MEDIATED;
    tap_text(reason_of(&request), "evidence_unsatisfiable", "then evidence");
    fake.best[BV_REQ_LAUNCH_WORKLOAD].evidence |= BV_CLAIM_PROCESS_TREE;
    tap_text(reason_of(&request), "budget_refused", "then budgets against the offers");
    fake.offer[BV_WALL_MICROS].can_bound = true;
    tap_text(reason_of(&request), "ok", "then there is a plan");
}

static void test_unsupported(void)
{
    static struct request request;
    fake_init(&fake);
    request_init(&request);
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        fake.ceiling[kind] =
            (struct bv_verdict){ .why = "landlock ABI 0", .remedy = "a newer kernel" };
    }
    struct answer answer = fake_admit(&fake, &request);
    tap_ok(answer.status == BV_E_REFUSED && bv_refusal_count(answer.refusal) == 9,
           "all nine requirements are named, implied ones, too");
    bool explained = answer.refusal != NULL;
    for (size_t i = 0; explained && i < bv_refusal_count(answer.refusal); i++) {
        explained = strcmp(bv_refusal_why(answer.refusal, i), "landlock ABI 0") == 0 &&
                    bv_refusal_remedy(answer.refusal, i)[0];
    }
    tap_ok(explained, "each with reason and remedy");
    answer_done(&answer);
    fake_init(&fake);
    fake.best[BV_REQ_NETWORK_DENY_ALL] = (struct bv_verdict){ .enforcement = BV_UNSUPPORTED };
    answer = fake_admit(&fake, &request);
    tap_ok(answer.status == BV_E_REFUSED,
           "an implied denial must be enforceable like a written one");
    answer_done(&answer);
}

static uint32_t available(const struct request *request)
{
    struct bv_plan *plan = fake_plan(&fake, request);
    uint32_t claims = plan ? plan->available : 0;
    bv_plan_free(plan);
    return claims;
}

static void test_evidence(void)
{
    static struct request request;
    static const char *const root[] = { "/srv" };
    const uint32_t staged = BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE;
    fake_init(&fake);
    request_init(&request);
    tap_ok(available(&request) == (BV_CLAIMS_ALL & ~staged),
           "without staging there is no delta and no lineage");
    request_grant(&request, root, BV_ACCESS_READ_WRITE, false);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_LIST_OUTPUTS });
    tap_ok(available(&request) == BV_CLAIMS_ALL, "with it there is");
    request_init(&request);
    request.spec.require_evidence = 0;
    request_drop(&request, BV_CTL_CAPTURE_STREAMS);
    tap_ok(!(available(&request) & BV_CLAIM_CAPTURED_STREAMS),
           "without capture there are no captured streams");
    request.spec.require_evidence = BV_CLAIM_CAPTURED_STREAMS;
    struct answer answer = fake_admit(&fake, &request);
    tap_ok(answer.status == BV_E_REFUSED &&
               bv_refusal_reason(answer.refusal) == BV_REFUSED_EVIDENCE_UNSATISFIABLE,
           "so they cannot be required");
    tap_ok(answer.refusal && strstr(bv_refusal_remedy(answer.refusal, 0), "capture_streams"),
           "and the remedy is said");
    answer_done(&answer);
    request.spec.require_evidence = 0;
    fake.best[BV_REQ_LAUNCH_WORKLOAD].evidence = BV_CLAIM_TERMINAL_OUTCOME;
    tap_ok(
        available(&request) ==
            (BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_NETWORK_ACTIVITY),
        "the launch stands for the run; denials and network activity count wherever they are seen");
    fake_init(&fake);
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    tap_ok(available(&request) == 0, "a plan that launches nothing has nothing to show");
}

static void test_deterministic(void)
{
    static struct request request;
    fake_init(&fake);
    request_init(&request);
    struct bv_plan *one = fake_plan(&fake, &request), *two = fake_plan(&fake, &request);
    tap_ok(one && two && strcmp(bv_plan_id(one), bv_plan_id(two)) == 0,
           "equal inputs give equal plans");
    bv_plan_free(two);
    request.spec.budgets[BV_CPU_MICROS].limit++;
    two = fake_plan(&fake, &request);
    tap_ok(two && strcmp(bv_plan_id(one), bv_plan_id(two)) != 0, "a microsecond makes another");
    bv_plan_free(two);
    request.spec.budgets[BV_CPU_MICROS].limit--;
    request.identity.digest[10] = request.identity.digest[10] == '0' ? '1' : '0';
    two = fake_plan(&fake, &request);
    tap_ok(two && strcmp(bv_plan_id(one), bv_plan_id(two)) != 0, "and so does another program");
    bv_plan_free(two);
    request_init(&request);
    memcpy(fake.best[BV_REQ_KILL].mechanism, "other", 6);
    two = fake_plan(&fake, &request);
    tap_ok(two && strcmp(bv_plan_id(one), bv_plan_id(two)) != 0, "or another mechanism");
    tap_text(bv_plan_backend(one), "fake", "the backend is kept");
    tap_ok(bv_plan_spec(one)->workload.path != request.spec.workload.path &&
               bv_plan_intent(one)->workload == &bv_plan_spec(one)->workload,
           "a plan holds copies only");
    tap_text(bv_snapshot_get(bv_plan_profile(one)->facts, "kernel"), "6.18.44",
             "the facts outlive the probe");
    tap_ok(bv_plan_identity(one)->is_elf && bv_plan_offers(one)[BV_WALL_MICROS].can_bound,
           "identity and offers are kept");
    bv_plan_free(one);
    bv_plan_free(two);
    bv_plan_free(NULL);
}

static void test_arguments(void)
{
    static struct request request;
    struct bv_snapshot *facts = bv_snapshot_new();
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_backend_ops lame = fake_ops;
    fake_init(&fake);
    request_init(&request);
    tap_ok(bv_plan_admit(&fake_ops, &fake, &request.spec, NULL, facts, &plan, &refusal, NULL) ==
               BV_E_INVALID,
           "a launch needs an identity");
    tap_ok(bv_plan_admit(&fake_ops, &fake, NULL, &request.identity, facts, &plan, &refusal, NULL) ==
               BV_E_INVALID,
           "a plan needs a spec");
    lame.classify = NULL;
    tap_ok(bv_plan_admit(&lame, &fake, &request.spec, &request.identity, facts, &plan, &refusal,
                         NULL) == BV_E_INVALID,
           "and a whole backend");
    tap_ok(!plan && !refusal, "nothing is written then");
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    request.spec.require_evidence = 0;
    tap_ok(bv_plan_admit(&fake_ops, &fake, &request.spec, NULL, facts, &plan, &refusal, NULL) ==
               BV_OK,
           "without a launch no identity is needed");
    bv_plan_free(plan);
    bv_snapshot_free(facts);
}

int main(void)
{
    test_order();
    test_unsupported();
    test_evidence();
    test_deterministic();
    test_arguments();
    return tap_done();
}
