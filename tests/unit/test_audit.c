/* tests/unit/test_audit.c - every lie and gap that the cross-check knows turns the run into supervisor_fault and is named. */
#include "contract/audit.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;
static struct request request;
static const struct bv_exit exit_none = { .kind = BV_EXIT_NONE }, exit_0 = { .kind = BV_EXIT_CODE },
                            exit_3 = { .kind = BV_EXIT_CODE, .value = 3 },
                            exit_256 = { .kind = BV_EXIT_CODE, .value = 256 },
                            exit_kill = { .kind = BV_EXIT_SIGNAL, .value = 9 },
                            exit_signal_0 = { .kind = BV_EXIT_SIGNAL },
                            exit_trap = { .kind = BV_EXIT_TRAP, .trap = "unreachable" };

/* The findings of kind supervisor_fault, joined; frees the observation. */
static void judge_as(struct bv_observation *o, const struct bv_seal_facts *facts,
                     enum bv_outcome wanted, const char *text, const char *name)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct finding_list findings = { .arena = bv_arena_new(1u << 20) };
    struct ending ending = { .outcome = BV_OUTCOME_SUPERVISOR_FAULT };
    char all[2048] = "";
    bool good = plan && o && findings.arena && bv_audit(plan, o, facts, &findings, &ending);
    for (const struct finding *finding = findings.first; finding; finding = finding->next) {
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof(all) - used, "%s; ", finding->detail);
    }
    tap_ok(good && ending.outcome == wanted, "%s: %s %s", name, bv_outcome_name(ending.outcome),
           all);
    if (text) {
        tap_ok(strstr(all, text) != NULL, "%s: says \"%s\"", name, text);
        tap_ok(ending.exit.kind == BV_EXIT_NONE && !(ending.claims & BV_CLAIM_TERMINAL_OUTCOME),
               "%s: vouches for no exit", name);
    } else {
        tap_ok(!findings.first, "%s: without a finding", name);
    }
    bv_arena_free(findings.arena);
    bv_observation_free(o);
    bv_plan_free(plan);
}

static void good(struct bv_observation *o, enum bv_outcome outcome, const char *name)
{
    judge_as(o, &fake_facts, outcome, NULL, name);
}

static void lie(struct bv_observation *o, const char *text, const char *name)
{
    judge_as(o, &fake_facts, BV_OUTCOME_SUPERVISOR_FAULT, text, name);
}

/* What could not be honoured is no fault, but the report must say what it was. */
static void test_unsupported(void)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = bv_observation_new();
    struct finding_list findings = { .arena = bv_arena_new(1u << 16) };
    struct ending ending = { .outcome = BV_OUTCOME_SUPERVISOR_FAULT };
    (void)bv_observe_outcome(o, BV_OUTCOME_UNSUPPORTED, exit_none, -1, "a granted path changed");
    tap_ok(plan && bv_audit(plan, o, &fake_facts, &findings, &ending) &&
               ending.outcome == BV_OUTCOME_UNSUPPORTED,
           "a plan that could not be honoured");
    const struct finding *finding = findings.last;
    tap_text(finding ? finding->kind : "", "unsupported", "is told as a finding");
    tap_text(finding ? finding->detail : "", "a granted path changed", "with its reason");
    bv_arena_free(findings.arena);
    bv_observation_free(o);
    bv_plan_free(plan);
}

static struct bv_observation *ended(enum bv_outcome outcome, struct bv_exit exit, int cause)
{
    struct bv_observation *o = fake_observe_open();
    (void)bv_observe_outcome(o, outcome, exit, cause, "");
    return o;
}

/* Nothing observed but an outcome. */
static struct bv_observation *bare(enum bv_outcome outcome, struct bv_exit exit, int cause)
{
    struct bv_observation *o = bv_observation_new();
    (void)bv_observe_outcome(o, outcome, exit, cause, "");
    return o;
}

static void test_truths(void)
{
    good(fake_observe(), BV_OUTCOME_COMPLETED, "completed with 0");
    good(ended(BV_OUTCOME_FAILED, exit_3, -1), BV_OUTCOME_FAILED, "failed with 3");
    good(ended(BV_OUTCOME_FAILED, exit_kill, -1), BV_OUTCOME_FAILED, "failed by a signal");
    good(ended(BV_OUTCOME_FAILED, exit_trap, -1), BV_OUTCOME_FAILED, "failed by a trap");
    good(ended(BV_OUTCOME_DENIED, exit_kill, -1), BV_OUTCOME_DENIED, "denied");
    good(ended(BV_OUTCOME_TIMEOUT, exit_kill, BV_WALL_MICROS), BV_OUTCOME_TIMEOUT,
         "timeout by wall");
    good(ended(BV_OUTCOME_TIMEOUT, exit_none, BV_CPU_MICROS), BV_OUTCOME_TIMEOUT, "timeout by cpu");
    good(ended(BV_OUTCOME_KILLED, exit_kill, BV_RESIDENT_BYTES), BV_OUTCOME_KILLED,
         "killed by memory");
    good(ended(BV_OUTCOME_KILLED, exit_0, -1), BV_OUTCOME_KILLED, "cancelled");
    good(bare(BV_OUTCOME_KILLED, exit_none, -1), BV_OUTCOME_KILLED,
         "cancelled before the workload was");
    good(bare(BV_OUTCOME_TIMEOUT, exit_none, BV_WALL_MICROS), BV_OUTCOME_TIMEOUT,
         "timed out before the workload was");
    good(bare(BV_OUTCOME_UNSUPPORTED, exit_none, -1), BV_OUTCOME_UNSUPPORTED,
         "unsupported at execution");
}

static void test_outcomes(void)
{
    static const struct {
        enum bv_outcome outcome;
        const struct bv_exit *exit;
        int cause;
        const char *text;
    } rows[] = {
        { BV_OUTCOME_COMPLETED, &exit_3, -1, "completed does not go with exit code 3" },
        { BV_OUTCOME_COMPLETED, &exit_none, -1, "completed does not go with no exit status" },
        { BV_OUTCOME_COMPLETED, &exit_kill, -1, "completed does not go with signal 9" },
        { BV_OUTCOME_COMPLETED, &exit_0, BV_WALL_MICROS,
          "completed does not go with wall_micros as its cause" },
        { BV_OUTCOME_FAILED, &exit_0, -1, "failed does not go with exit code 0" },
        { BV_OUTCOME_FAILED, &exit_none, -1, "failed does not go with no exit status" },
        { BV_OUTCOME_FAILED, &exit_256, -1, "failed does not go with exit code 256" },
        { BV_OUTCOME_FAILED, &exit_signal_0, -1, "failed does not go with signal 0" },
        { BV_OUTCOME_TIMEOUT, &exit_kill, -1, "timeout does not go with no budget" },
        { BV_OUTCOME_TIMEOUT, &exit_kill, BV_PROCESS_COUNT,
          "timeout does not go with process_count" },
        { BV_OUTCOME_KILLED, &exit_kill, BV_CPU_MICROS, "killed does not go with cpu_micros" },
        { BV_OUTCOME_UNSUPPORTED, &exit_0, -1, "unsupported does not go with exit code 0" },
        { BV_OUTCOME_UNSUPPORTED, &exit_none, -1, "yet it was launched" },
        { BV_OUTCOME_SUPERVISOR_FAULT, &exit_none, -1, "a fault of its own" },
    };
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        lie(ended(rows[i].outcome, *rows[i].exit, rows[i].cause), rows[i].text, rows[i].text);
    }
    lie(fake_observe_open(), "no terminal outcome", "none");
    struct bv_observation *o = fake_observe();
    (void)bv_observe_outcome(o, BV_OUTCOME_FAILED, exit_3, -1, "");
    lie(o, "2 terminal outcomes, completed and failed", "two");
    o = fake_observe();
    (void)bv_observe_fact(o, "NO KIND", "x");
    lie(o, "incomplete", "an observation that failed");
    struct bv_seal_facts facts = fake_facts;
    facts.fault = "the backend crashed";
    judge_as(fake_observe(), &facts, BV_OUTCOME_SUPERVISOR_FAULT, "the backend crashed",
             "a fault that the runner saw");
    judge_as(fake_observe(), &facts, BV_OUTCOME_SUPERVISOR_FAULT,
             "had observed the outcome completed with exit code 0", "what was said is kept");
    request.spec.budgets[BV_WALL_MICROS].limit = BV_UNLIMITED;
    lie(ended(BV_OUTCOME_TIMEOUT, exit_kill, BV_WALL_MICROS),
        "ended by wall_micros, which is unlimited", "a limit that was not there");
    request_init(&request);
}

static void test_launch(void)
{
    lie(bare(BV_OUTCOME_COMPLETED, exit_0, -1), "never seen to be launched",
        "completed without a launch");
    lie(bare(BV_OUTCOME_KILLED, exit_kill, -1), "never seen to be launched",
        "a signal without a launch");
    struct bv_observation *o = bare(BV_OUTCOME_KILLED, exit_none, -1);
    (void)bv_observe_fact(o, "workload_exited", "code 0");
    lie(o, "exited that was never seen to be launched", "an exit without a launch");
    o = bv_observation_new();
    (void)bv_observe_fact(o, "workload_launched", "x");
    (void)bv_observe_stream(o, 1, NULL, 0, 0, false);
    (void)bv_observe_stream(o, 2, NULL, 0, 0, false);
    (void)bv_observe_outcome(o, BV_OUTCOME_COMPLETED, exit_0, -1, "");
    lie(o, "tree empty", "an orphan may be left");
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    request.spec.require_evidence = 0;
    good(bare(BV_OUTCOME_COMPLETED, exit_none, -1), BV_OUTCOME_COMPLETED,
         "nothing to launch, nothing launched");
    lie(bare(BV_OUTCOME_COMPLETED, exit_0, -1), "completed does not go with exit code 0",
        "nothing to launch, yet an exit");
    o = bare(BV_OUTCOME_COMPLETED, exit_none, -1);
    (void)bv_observe_fact(o, "workload_launched", "x");
    (void)bv_observe_fact(o, "tree_empty", "x");
    lie(o, "the plan launches nothing", "nothing to launch, yet launched");
    request_init(&request);
}

static void with_fact(const char *kind)
{
    char text[96];
    struct bv_observation *o = fake_observe();
    (void)bv_observe_fact(o, kind, "x");
    (void)snprintf(text, sizeof(text), "%s was observed", kind);
    lie(o, text, kind);
}

static void test_facts(void)
{
    static const char *const kinds[] = { "network_allow_list", "network_allow_all",
                                         "inherited_fds_only", "temp_root_created",
                                         "path_exposed",       "artifact_staged",
                                         "artifact_committed", "artifact_discarded" };
    static const char *const root[] = { "/srv" };
    for (size_t i = 0; i < BV_COUNT(kinds); i++) {
        with_fact(kinds[i]);
    }
    request_capability(&request,
                       (struct bv_capability){ .kind = BV_CAP_NETWORK,
                                               .u.network = { .policy = BV_NETWORK_ALLOW_ALL } });
    request.spec.budgets[BV_NETWORK_BYTES].limit = BV_UNLIMITED;
    with_fact("network_deny_all"); /* fake_observe() says so, too */
    request_init(&request);
    request_grant(&request, root, BV_ACCESS_READ_WRITE, false);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_LIST_OUTPUTS });
    with_fact("artifact_committed");
    request_init(&request);
}

static void test_figures(void)
{
    const uint64_t figure = 7;
    fake.offer[BV_RESIDENT_BYTES].evidence = 0;
    struct bv_observation *o = fake_observe();
    lie(o, "resident_bytes was reported, which this backend cannot measure", "an invented figure");
    o = fake_observe();
    (void)bv_observe_usage(o, BV_RESIDENT_BYTES, NULL, false, "not measured");
    (void)bv_observe_usage(o, BV_NETWORK_BYTES, &figure, false, "structural");
    good(o, BV_OUTCOME_COMPLETED, "a figure that is null with its reason");
    fake_init(&fake);
}

static void test_streams(void)
{
    struct bv_observation *o = fake_observe();
    (void)bv_observe_stream(o, 1, "more", 4, 7, false);
    lie(o, "stdout is said to have 7 bytes, fewer than the 10 captured",
        "a total that is too small");
    o = fake_observe();
    (void)bv_observe_stream(o, 2, NULL, 0, 5, false);
    lie(o, "stderr misses 5 bytes and is not marked truncated", "a stream cut silently");
    o = fake_observe();
    (void)bv_observe_stream(o, 2, NULL, 0, 5, true);
    good(o, BV_OUTCOME_COMPLETED, "a stream cut and marked");
    request_drop(&request, BV_CTL_CAPTURE_STREAMS);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_CAPTURE_STREAMS,
                                                   .u.capture = { true, false, false } });
    lie(fake_observe(), "stderr was captured, although nobody asked",
        "a stream that nobody asked for");
    request_init(&request);
}

static void test_evidence(void)
{
    request.spec.require_evidence |= BV_CLAIM_MECHANISM_ATTESTATION;
    lie(fake_observe(), "evidence required: mechanism_attestation", "evidence that is owed");
    struct bv_observation *o = fake_observe();
    (void)bv_observe_fact(o, "canaries", "1 of 1 denied");
    good(o, BV_OUTCOME_COMPLETED, "evidence that is given");
    good(bare(BV_OUTCOME_UNSUPPORTED, exit_none, -1), BV_OUTCOME_UNSUPPORTED,
         "a workload that never ran owes none");
    request_init(&request);
    request.spec.budgets[BV_HANDLE_COUNT].evidence = BV_CLAIM_RESOURCE_USAGE;
    o = fake_observe();
    (void)bv_observe_usage(o, BV_HANDLE_COUNT, NULL, false, "lost");
    lie(o, "handle_count lacks the evidence required: resource_usage", "a figure that is owed");
    request_init(&request);
}

int main(void)
{
    fake_init(&fake);
    request_init(&request);
    test_truths();
    test_outcomes();
    test_launch();
    test_facts();
    test_figures();
    test_streams();
    test_evidence();
    test_unsupported();
    return tap_done();
}
