/* contract/audit.c - a backend is not believed: the runner refuses what cannot be true.
 *
 * Every rule here compares two things that a run must say consistently: outcome and exit, outcome and cause, facts and
 * intent, figures and offers, streams and totals, evidence required and evidence carried. Each breach becomes a finding
 * and together they turn the run into supervisor_fault. That catches a confused backend and many lying ones; what a
 * consistent liar let happen is for tests with an oracle of their own. Specified by CONTRACT.md 5, 6 and 9. */
#include "contract/audit.h"

#include "base/check.h"
#include "contract/evidence.h"
#include "contract/support.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct audit {
    const struct bv_plan *plan;
    const struct bv_observation *observation;
    struct finding_list *findings;
    unsigned breaches;
    bool nomem;
};

static void BV_PRINTF(2, 3) breach(struct audit *audit, const char *format, ...)
{
    char detail[480];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    audit->breaches++;
    audit->nomem = !bv_finding_add(audit->findings, "supervisor_fault", detail) || audit->nomem;
}

static bool has_fact(const struct audit *audit, const char *kind)
{
    return bv_observation_fact(audit->observation, kind) != NULL;
}

static void describe_exit(const struct bv_exit *exit, char *text, size_t size)
{
    switch (exit->kind) {
    case BV_EXIT_NONE: (void)snprintf(text, size, "no exit status"); return;
    case BV_EXIT_CODE: (void)snprintf(text, size, "exit code %d", exit->value); return;
    case BV_EXIT_SIGNAL: (void)snprintf(text, size, "signal %d", exit->value); return;
    case BV_EXIT_TRAP: (void)snprintf(text, size, "trap %s", exit->trap); return;
    }
    BV_UNREACHABLE();
}

/* ---- outcome, exit, cause ---- */

static bool exit_fits(const struct audit *audit, enum bv_outcome outcome,
                      const struct bv_exit *exit)
{
    bool sane = (exit->kind != BV_EXIT_CODE || (exit->value >= 0 && exit->value <= 255)) &&
                (exit->kind != BV_EXIT_SIGNAL || (exit->value >= 1 && exit->value <= 64)) &&
                (exit->kind != BV_EXIT_TRAP || exit->trap[0]);
    switch (outcome) {
    case BV_OUTCOME_COMPLETED: /* a plan that launches nothing has nothing to exit */
        return audit->plan->intent.launch ? exit->kind == BV_EXIT_CODE && exit->value == 0
                                          : exit->kind == BV_EXIT_NONE;
    case BV_OUTCOME_FAILED:
        return sane && exit->kind != BV_EXIT_NONE &&
               (exit->kind != BV_EXIT_CODE || exit->value != 0);
    case BV_OUTCOME_DENIED:
    case BV_OUTCOME_TIMEOUT:
    case BV_OUTCOME_KILLED: return sane;
    case BV_OUTCOME_UNSUPPORTED: return exit->kind == BV_EXIT_NONE;
    case BV_OUTCOME_SUPERVISOR_FAULT: return sane;
    }
    BV_UNREACHABLE();
}

static bool cause_fits(enum bv_outcome outcome, int cause)
{
    bool is_time = cause == BV_WALL_MICROS || cause == BV_CPU_MICROS;
    if (outcome == BV_OUTCOME_TIMEOUT) {
        return is_time;
    }
    return outcome == BV_OUTCOME_KILLED ? !is_time : cause == -1;
}

static void check_outcome(struct audit *audit)
{
    const struct bv_observation *observation = audit->observation;
    const char *name = bv_outcome_name(observation->outcome);
    if (observation->outcome_count == 0) {
        breach(audit, "the backend observed no terminal outcome");
        return;
    }
    if (observation->outcome_count > 1) {
        breach(audit, "the backend observed %u terminal outcomes, %s and %s among them",
               observation->outcome_count, name, bv_outcome_name(observation->second_outcome));
    }
    if (!exit_fits(audit, observation->outcome, &observation->exit)) {
        char text[128];
        describe_exit(&observation->exit, text, sizeof(text));
        breach(audit, "the outcome %s does not go with %s", name, text);
    }
    if (!cause_fits(observation->outcome, observation->cause)) {
        breach(audit, "the outcome %s does not go with %s as its cause", name,
               observation->cause < 0 ? "no budget"
                                      : bv_dimension_name((enum bv_dimension)observation->cause));
    } else if (observation->cause >= 0 &&
               audit->plan->spec.budgets[observation->cause].limit == BV_UNLIMITED) {
        breach(audit, "the run was ended by %s, which is unlimited",
               bv_dimension_name((enum bv_dimension)observation->cause));
    }
    if (observation->outcome == BV_OUTCOME_SUPERVISOR_FAULT) {
        breach(audit, "the backend reports a fault of its own: %s",
               observation->detail[0] ? observation->detail : "no reason given");
    }
    if (observation->outcome == BV_OUTCOME_UNSUPPORTED && observation->detail[0]) {
        audit->nomem = !bv_finding_add(audit->findings, "unsupported", observation->detail) ||
                       audit->nomem;
    }
}

/* ---- facts against the intent ---- */

static bool needs_launch(const struct bv_observation *observation, bool plan_launches)
{
    switch (observation->outcome) {
    case BV_OUTCOME_COMPLETED: return plan_launches;
    case BV_OUTCOME_FAILED:
    case BV_OUTCOME_DENIED: return true;
    case BV_OUTCOME_TIMEOUT: /* a limit or a cancel may come before the workload does */
    case BV_OUTCOME_KILLED: return observation->exit.kind != BV_EXIT_NONE;
    case BV_OUTCOME_UNSUPPORTED:
    case BV_OUTCOME_SUPERVISOR_FAULT: return false;
    }
    BV_UNREACHABLE();
}

static void check_launch(struct audit *audit)
{
    const struct bv_observation *observation = audit->observation;
    bool launched = has_fact(audit, "workload_launched");
    bool has_outcome = observation->outcome_count > 0;
    if (launched && !audit->plan->intent.launch) {
        breach(audit, "a workload was launched, although the plan launches nothing");
    }
    if (launched && has_outcome && observation->outcome == BV_OUTCOME_UNSUPPORTED) {
        breach(audit,
               "the outcome unsupported means that the workload never ran, yet it was launched");
    }
    if (launched && !has_fact(audit, "tree_empty")) {
        breach(audit, "nobody saw the process tree empty after the run");
    }
    if (!launched && has_fact(audit, "workload_exited")) {
        breach(audit, "a workload exited that was never seen to be launched");
    } else if (!launched && has_outcome && needs_launch(observation, audit->plan->intent.launch)) {
        breach(audit, "the outcome is %s of a workload that was never seen to be launched",
               bv_outcome_name(observation->outcome));
    }
}

static void check_facts(struct audit *audit)
{
    const struct bv_intent *intent = &audit->plan->intent;
    const struct {
        const char *kind;
        bool planned;
    } rules[] = {
        { "network_deny_all", intent->network == BV_NETWORK_DENY_ALL },
        { "network_allow_list", intent->network == BV_NETWORK_ALLOW_LIST },
        { "network_allow_all", intent->network == BV_NETWORK_ALLOW_ALL },
        { "inherited_fds_none", intent->fd_count == 0 },
        { "inherited_fds_only", intent->fd_count > 0 },
        { "temp_root_created", intent->temp_root },
        { "path_exposed", intent->expose_count > 0 },
        { "stream_captured", intent->capture.out || intent->capture.err || intent->capture.in },
        { "artifact_staged", intent->staged },
        { "artifact_committed", false }, /* what becomes of it is decided after the seal, and by the host */
        { "artifact_discarded", false },
    };
    for (size_t i = 0; i < BV_COUNT(rules); i++) {
        if (!rules[i].planned && has_fact(audit, rules[i].kind)) {
            breach(audit, "%s was observed, which the plan does not hold", rules[i].kind);
        }
    }
    if (intent->staged && has_fact(audit, "workload_launched") && !has_fact(audit, "artifact_staged")) {
        breach(audit, "nobody saw the writable roots staged");
    }
}

/* ---- figures, streams, evidence ---- */

static void check_usage(struct audit *audit)
{
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        if (bv_witness_is_invented(audit->plan, audit->observation, (enum bv_dimension)d)) {
            breach(audit, "a figure for %s was reported, which this backend cannot measure here",
                   bv_dimension_name((enum bv_dimension)d));
        }
    }
}

static void check_streams(struct audit *audit)
{
    static const char *const names[] = { "stdout", "stderr" };
    const bool asked[] = { audit->plan->intent.capture.out, audit->plan->intent.capture.err };
    for (size_t i = 0; i < BV_COUNT(names); i++) {
        const struct observed_stream *stream = &audit->observation->stream[i];
        if (stream->seen && !asked[i]) {
            breach(audit, "%s was captured, although nobody asked for it", names[i]);
        }
        if (stream->total_bytes < stream->kept.size) {
            breach(audit, "%s is said to have %llu bytes, fewer than the %zu captured", names[i],
                   (unsigned long long)stream->total_bytes, stream->kept.size);
        } else if (!stream->truncated && stream->total_bytes > stream->kept.size) {
            breach(audit, "%s misses %llu bytes and is not marked truncated", names[i],
                   (unsigned long long)(stream->total_bytes - stream->kept.size));
        }
    }
}

/* Evidence is owed once the workload ran; of one that never did, there is nothing to show. */
static void check_evidence(struct audit *audit, uint32_t carried)
{
    char claims[256];
    if (!has_fact(audit, "workload_launched")) {
        return;
    }
    uint32_t missing = audit->plan->spec.require_evidence & ~carried;
    if (missing) {
        bv_claims_text(missing, claims, sizeof(claims));
        breach(audit, "the report does not carry the evidence required: %s", claims);
    }
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        uint32_t held = bv_witness_dimension_claims(audit->plan, audit->observation, carried,
                                                    (enum bv_dimension)d);
        missing = audit->plan->spec.budgets[d].evidence & ~held;
        if (missing) {
            bv_claims_text(missing, claims, sizeof(claims));
            breach(audit, "%s lacks the evidence required: %s",
                   bv_dimension_name((enum bv_dimension)d), claims);
        }
    }
}

static bool ends_without_fault(const struct audit *audit)
{
    return audit->breaches == 0 && audit->observation->outcome_count == 1;
}

bool bv_audit(const struct bv_plan *plan, const struct bv_observation *observation,
              const struct bv_seal_facts *facts, struct finding_list *findings,
              struct ending *ret_ending)
{
    struct audit audit = { .plan = plan, .observation = observation, .findings = findings };
    if (facts->fault) {
        breach(&audit, "%s", facts->fault);
    }
    if (observation->failure) {
        breach(&audit, "the observation is incomplete: %s", observation->failure);
    }
    check_outcome(&audit);
    check_launch(&audit);
    check_facts(&audit);
    check_usage(&audit);
    check_streams(&audit);
    uint32_t claims = bv_witness_claims(plan, observation, ends_without_fault(&audit));
    if (ends_without_fault(
            &audit)) { /* after a fault it would only repeat that the run went wrong */
        check_evidence(&audit, claims);
    }
    struct ending ending = { observation->outcome, observation->exit, claims };
    if (!ends_without_fault(&audit)) {
        char text[128];
        describe_exit(&observation->exit, text, sizeof(text));
        if (observation->outcome_count > 0 && observation->outcome != BV_OUTCOME_SUPERVISOR_FAULT) {
            breach(&audit, "the backend had observed the outcome %s with %s",
                   bv_outcome_name(observation->outcome), text);
        }
        ending = (struct ending){ .outcome = BV_OUTCOME_SUPERVISOR_FAULT,
                                  .claims = claims & ~(uint32_t)BV_CLAIM_TERMINAL_OUTCOME };
    }
    *ret_ending = ending;
    return !audit.nomem;
}
