/* run/runner.c - one run: re-check, start, dispatch, end, seal. The only caller of a backend's run
 * functions.
 *
 * Theory of operation. bv_run_start() looks again at everything the plan was made from: the kept
 * descriptors, the workload's file, the machine; any difference is a refusal. Only then are
 * secrets resolved and the backend started. From there on exactly one report comes out: a
 * backend that fails, falls silent or observes too little turns the run into a supervisor_fault,
 * whose text is run->fault. The backend's run is closed (the tree is dead) before the report is
 * sealed. One thread drives a run; bv_run_cancel() alone may come from any other thread or a
 * signal handler: it writes to an eventfd that lives as long as the run. Must not judge what was
 * observed: the contract's seal does. CONTRACT.md 1 and 9. */
#include <bvisor/run.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/step.h"
#include "run/drift.h"
#include "run/leases.h"
#include "run/planning.h"
#include "run/record.h"
#include "run/refuse.h"
#include "run/staging.h"
#include "run/stamp.h"

#define STAMP_BYTES   BV_STAMP_BYTES

struct bv_run {
    struct bv_backend *backend;
    const struct bv_plan *plan;
    struct bv_plan *own_plan; /* of a run that was begun without one */
    struct bv_survey *survey; /* of the start; holds the workload's descriptor and identity */
    struct bv_leases leases;
    struct bv_observation *observation;
    struct bv_staging *staging; /* NULL: nothing is staged */
    struct bv_execution execution;
    const struct bv_artifact *artifacts; /* the staging's */
    size_t artifact_count;
    void *state; /* the backend's run; NULL once closed */
    int cancel_fd;
    bool done, taken, listed;
    char attempt[BV_ATTEMPT_TEXT_SIZE];
    char started_at[STAMP_BYTES], finished_at[STAMP_BYTES];
    char fault[300]; /* "" while all is well */
    struct bv_journal *journal; /* the caller's; NULL: no record is kept */
    bool recorded;
};

static const struct bv_run_options default_options = BV_RUN_OPTIONS_INIT;

/* RFC 3339 in UTC with microseconds: evidence only, nothing is decided by it. */
static int stamp(const struct bv_sys *sys, char text[STAMP_BYTES])
{
    struct timespec now;
    int r = sys->now(&now);
    return r < 0 ? r : bv_stamp_text(&now, text);
}

/* The first fault is the one that the report names. */
static void fault(struct bv_run *run, const char *what, const char *why)
{
    if (run->fault[0] == '\0') {
        (void)snprintf(run->fault, sizeof(run->fault), "%s%s%s", what, why[0] ? ": " : "", why);
    }
}

static enum bv_status check_option_fd(const struct bv_sys *sys, const char *place, int fd,
                                      struct bv_error *error)
{
    if (fd == -1 || (fd >= 0 && sys->is_open(fd) == 0)) {
        return BV_OK;
    }
    return bv_fail(error, BV_E_INVALID, place, "descriptor %d is not open", fd);
}

static enum bv_status check_options(const struct bv_backend *backend,
                                    const struct bv_run_options *options, struct bv_error *error)
{
    if (options->capture_bytes > BV_CAPTURE_MAX_BYTES) {
        return bv_fail(error, BV_E_LIMIT, "capture_bytes",
                       "at most %u bytes of a stream can be captured", BV_CAPTURE_MAX_BYTES);
    }
    enum bv_status status = check_option_fd(backend->sys, "stdin_fd", options->stdin_fd, error);
    if (status == BV_OK) {
        status = check_option_fd(backend->sys, "stdout_fd", options->stdout_fd, error);
    }
    return status == BV_OK ? check_option_fd(backend->sys, "stderr_fd", options->stderr_fd, error)
                           : status;
}

/* Is the machine what the plan says, and the workload? A probe of this backend that found the
 * plan's very profile no longer ago than the caller allows is not repeated. */
static enum bv_status check_drift(struct bv_run *run, uint64_t max_age_micros,
                                  struct bv_refusal **refusal, struct bv_error *error)
{
    struct bv_backend *backend = run->backend;
    const char *id = backend->ops->id;
    enum bv_status status =
        bv_drift_workload(id, bv_plan_identity(run->plan), &run->survey->identity, refusal, error);
    if (status != BV_OK ||
        (max_age_micros > 0 &&
         bv_probe_memo_holds(&backend->last_probe, bv_plan_profile_hash(run->plan),
                             backend->sys->boot_micros(), max_age_micros))) {
        return status;
    }
    char hash[BV_DIGEST_TEXT_SIZE];
    status = bv_survey_machine(run->survey, backend, bv_plan_spec(run->plan), error);
    if (status == BV_OK && !bv_profile_digest(id, run->survey->facts, hash)) {
        status = bv_fail_nomem(error);
    }
    if (status != BV_OK || strcmp(hash, bv_plan_profile_hash(run->plan)) == 0) {
        if (status == BV_OK) {
            bv_probe_memo_store(&backend->last_probe, hash, backend->sys->boot_micros());
        }
        return status;
    }
    json_t *planned = bv_snapshot_to_json(bv_plan_profile(run->plan)->facts),
           *probed = bv_snapshot_to_json(run->survey->facts);
    status = planned && probed ? bv_drift_facts(id, planned, probed, refusal, error)
                               : bv_fail_nomem(error);
    json_decref(planned);
    json_decref(probed);
    if (status == BV_OK && !*refusal) { /* no single fact differs: the hash itself does */
        status =
            bv_drift_item(id, "profile", bv_plan_profile_hash(run->plan), hash, refusal, error);
    }
    return status;
}

/* All that must hold before anything is started, in this order: kept descriptors first, because
 * what is opened here takes free numbers; then the granted trees. BV_E_REFUSED with *refusal set, which the caller gives
 * on. */
static enum bv_status check_start(struct bv_run *run, const struct bv_run_options *options,
                                  struct bv_refusal **refusal, struct bv_error *error)
{
    const struct bv_spec *spec = bv_plan_spec(run->plan);
    enum bv_status status = bv_leases_check_fds(run->backend, run->plan, -EBADF, run->journal, refusal, error);
    if (status == BV_OK) {
        status = bv_record_check(run->journal, run->backend->ops->id, bv_plan_intent(run->plan), refusal, error);
    }
    if (status == BV_OK && !*refusal) {
        status = bv_grants_check(run->backend, spec, options->probe_max_age_micros, refusal, error);
    }
    if (status == BV_OK && !*refusal) {
        status = bv_staging_check(run->backend, spec, refusal, error);
    }
    if (status != BV_OK || *refusal) {
        return status;
    }
    bv_backend_prepare(run->backend, bv_plan_intent(run->plan)->network);
    status = bv_survey_workload(run->survey, run->backend, spec, false, error);
    if (status == BV_E_REFUSED) {
        status = bv_refuse_workload(run->backend, spec, BV_REFUSED_PROFILE_DRIFT,
                                    &run->survey->problem, refusal, error);
        return status == BV_E_REFUSED ? BV_OK : status;
    }
    if (status == BV_OK) {
        status = check_drift(run, options->probe_max_age_micros, refusal, error);
    }
    if (status == BV_OK && !*refusal) {
        status = bv_leases_resolve(&run->leases, run->backend, run->plan, options->secret,
                                   options->secret_context, refusal, error);
    }
    return status;
}

static enum bv_status prepare(struct bv_run *run, const struct bv_run_options *options,
                              struct bv_error *error)
{
    const struct bv_sys *sys = run->backend->sys;
    run->observation = bv_observation_new();
    if (!run->observation) {
        return bv_fail_nomem(error);
    }
    run->cancel_fd = sys->event_new();
    if (run->cancel_fd < 0) {
        return bv_fail_sys(error, "start", run->cancel_fd, "making the cancel event");
    }
    int r = bv_attempts_take(run->backend, bv_plan_intent(run->plan)->network, run->attempt);
    r = r == 0 ? stamp(sys, run->started_at) : r;
    if (r < 0) {
        return bv_fail_sys(error, "start", r, "making the attempt's id and time");
    }
    enum bv_status status = bv_staging_begin(run->backend, bv_plan_spec(run->plan), run->attempt, &run->staging, error);
    if (status != BV_OK) {
        return status;
    }
    run->execution = (struct bv_execution){
        .attempt = run->attempt,
        .intent = bv_plan_intent(run->plan),
        .identity = &run->survey->identity,
        .profile = bv_plan_profile(run->plan),
        .offers = bv_plan_offers(run->plan),
        .workload_fd = run->survey->workload_fd,
        .cancel_fd = run->cancel_fd,
        .stdin_fd = options->stdin_fd < 0 ? -EBADF : options->stdin_fd,
        .stdout_fd = options->stdout_fd < 0 ? -EBADF : options->stdout_fd,
        .stderr_fd = options->stderr_fd < 0 ? -EBADF : options->stderr_fd,
        .capture_bytes = options->capture_bytes,
        .secret_values = run->leases.values,
        .observation = run->observation,
        .paths = run->survey->paths.at,
        .path_count = run->survey->paths.count,
    };
    run->execution.staged = bv_staging_items(run->staging, &run->execution.staged_count);
    return BV_OK;
}

static enum bv_status start_backend(struct bv_run *run, struct bv_error *error)
{
    const struct bv_backend_ops *ops = run->backend->ops;
    enum bv_status status = ops->start(run->backend->context, &run->execution, &run->state, error);
    if (status == BV_OK && !run->state) {
        return bv_fail(error, BV_E_FAULT, "start",
                       "backend '%s' started nothing and said that it did", ops->id);
    }
    if (status == BV_E_REFUSED) { /* a refusal is the planner's; a backend has no object for one */
        return bv_fail(error, BV_E_FAULT, "start", "backend '%s' refused what was admitted",
                       ops->id);
    }
    if (status != BV_OK && run->state) {
        run->state = NULL; /* on failure nothing of it is left, and what it wrote there is no run */
    }
    return status;
}

static struct bv_run *run_new(struct bv_backend *backend, const struct bv_run_options *options)
{
    struct bv_run *run = calloc(1, sizeof(*run));
    if (!run) {
        return NULL;
    }
    run->backend = backend;
    run->journal = options->journal;
    run->cancel_fd = -EBADF;
    run->survey = bv_survey_new();
    if (!run->survey) {
        bv_run_free(run);
        return NULL;
    }
    return run;
}

/* The end of every start: a run, a refusal or an error, and nothing of the other two. */
static enum bv_status settle(struct bv_run *run, enum bv_status status, struct bv_refusal *refusal,
                             struct bv_run **ret_run, struct bv_refusal **ret_refusal)
{
    if (status == BV_OK && !refusal) {
        *ret_run = run;
        return BV_OK;
    }
    bv_run_free(run);
    if (status != BV_OK && status != BV_E_REFUSED) {
        bv_refusal_free(refusal);
        return status;
    }
    *ret_refusal = refusal;
    return BV_E_REFUSED;
}

static enum bv_status launch(struct bv_run *run, bool hold, struct bv_error *error)
{
    run->execution.hold = hold;
    enum bv_status status = start_backend(run, error);
    /* Delivered, or never to be: nothing of the supervisor's holds a value while the run lasts. */
    run->execution.secret_values = NULL;
    run->execution.path_count = 0; /* their text is the caller's spec's */
    bv_leases_done(&run->leases);
    return status;
}

/* A plan that is bound and a boundary that can hold its workload back: the record is made while the boundary is; the workload exists only
 * after it is durable. Without such a boundary it is made first. */
static enum bv_status start_planned(struct bv_run *run, const struct bv_run_options *options, struct bv_error *error)
{
    const struct bv_backend_ops *ops = run->backend->ops;
    const bool hold = ops->release != NULL && run->journal != NULL;
    enum bv_status status = prepare(run, options, error);
    if (status == BV_OK && !hold) {
        status = bv_record_start(run->journal, run->plan, run->attempt, error);
        BV_STEP("started");
    }
    if (status == BV_OK) {
        status = launch(run, hold, error);
        BV_STEP("launched");
    }
    if (status == BV_OK && hold) {
        status = bv_record_start(run->journal, run->plan, run->attempt, error);
        if (status == BV_OK) {
            BV_STEP("started");
            status = ops->release(run->state, error);
        }
    }
    return status;
}

enum bv_status bv_run_start(struct bv_backend *backend, const struct bv_plan *plan,
                            const struct bv_run_options *options, struct bv_run **ret_run,
                            struct bv_refusal **ret_refusal, struct bv_error *error)
{
    if (!backend || !plan || !ret_run || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend, a plan and places for the answers are needed");
    }
    options = options ? options : &default_options;
    if (strcmp(bv_plan_backend(plan), backend->ops->id) != 0) {
        return bv_fail(error, BV_E_INVALID, "", "the plan was made for backend '%s', not '%s'",
                       bv_plan_backend(plan), backend->ops->id);
    }
    enum bv_status status = check_options(backend, options, error);
    if (status != BV_OK) {
        return status;
    }
    struct bv_run *run = run_new(backend, options);
    if (!run) {
        return bv_fail_nomem(error);
    }
    run->plan = plan;
    struct bv_refusal *refusal = NULL;
    status = check_start(run, options, &refusal, error);
    if (status == BV_OK && !refusal) {
        status = start_planned(run, options, error);
    }
    return settle(run, status, refusal, ret_run, ret_refusal);
}

/* What the plan still lacks: the digest of the file that was opened, and with it the plan's identity. */
static enum bv_status bind_plan(struct bv_run *run, struct bv_refusal **refusal,
                                struct bv_error *error)
{
    struct bv_survey *survey = run->survey;
    enum bv_status status = BV_OK;
    if (survey->identity.known) {
        status = bv_workload_hash(run->backend, survey->workload_fd, &survey->identity,
                                  &survey->problem, error);
    }
    if (status == BV_E_REFUSED) {
        return bv_refuse_workload(run->backend, bv_plan_spec(run->plan), BV_REFUSED_PROFILE_DRIFT,
                                  &survey->problem, refusal, error);
    }
    return status == BV_OK ? bv_plan_bind(run->own_plan, survey->identity.digest, error) : status;
}

/* From a decided plan to a workload that runs. Hashing and binding need nothing of the boundary, nor the boundary of them: they are done
 * while a backend that can hold a workload back builds it. */
static enum bv_status begin_planned(struct bv_run *run, const struct bv_run_options *options,
                                    struct bv_refusal **refusal, struct bv_error *error)
{
    const struct bv_backend_ops *ops = run->backend->ops;
    const bool hold = ops->release != NULL;
    enum bv_status status =
        bv_leases_check_fds(run->backend, run->plan, run->survey->workload_fd, run->journal, refusal, error);
    if (status == BV_OK) {
        status = bv_record_check(run->journal, run->backend->ops->id, bv_plan_intent(run->plan), refusal, error);
    }
    if (status == BV_OK && !*refusal) {
        status = bv_leases_resolve(&run->leases, run->backend, run->plan, options->secret,
                                   options->secret_context, refusal, error);
    }
    if (status == BV_OK && !*refusal && !hold) {
        status = bind_plan(run, refusal, error);
        return status == BV_OK && !*refusal ? start_planned(run, options, error) : status;
    }
    if (status == BV_OK && !*refusal) {
        status = prepare(run, options, error);
    }
    if (status == BV_OK && !*refusal) {
        status = launch(run, true, error);
    }
    BV_STEP("boundary begun");
    if (status == BV_OK && !*refusal) {
        status = bind_plan(run, refusal, error);
    }
    if (status == BV_OK && !*refusal) {
        status = bv_record_start(run->journal, run->plan, run->attempt, error);
    }
    if (status == BV_OK && !*refusal) {
        BV_STEP("started");
        status = ops->release(run->state, error);
        BV_STEP("released");
    }
    return status;
}

/* One try at a run. BV_E_STATE: the machine is not what planning ahead took it for. */
static enum bv_status try_begin(struct bv_backend *backend, const struct bv_spec *spec,
                                const struct bv_run_options *options, enum bv_urgency urgency,
                                struct bv_run **ret_run, struct bv_refusal **ret_refusal,
                                struct bv_error *error)
{
    struct bv_run *run = run_new(backend, options);
    if (!run) {
        return bv_fail_nomem(error);
    }
    struct bv_refusal *refusal = NULL;
    enum bv_status status =
        bv_survey_plan(run->survey, backend, spec, urgency, &run->own_plan, &refusal, error);
    run->plan = run->own_plan;
    if (status == BV_OK) {
        status = begin_planned(run, options, &refusal, error);
    }
    return settle(run, status, refusal, ret_run, ret_refusal);
}

enum bv_status bv_run_begin(struct bv_backend *backend, const struct bv_spec *spec,
                            const struct bv_run_options *options, struct bv_run **ret_run,
                            struct bv_refusal **ret_refusal, struct bv_error *error)
{
    if (!backend || !spec || !ret_run || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend, a spec and places for the answers are needed");
    }
    options = options ? options : &default_options;
    enum bv_status status = check_options(backend, options, error);
    if (status != BV_OK) {
        return status;
    }
    status = try_begin(backend, spec, options, BV_PLAN_AHEAD, ret_run, ret_refusal, error);
    return status == BV_E_STATE ? try_begin(backend, spec, options, BV_PLAN_TO_BEGIN, ret_run, ret_refusal, error)
                                : status;
}

const struct bv_plan *bv_run_plan(const struct bv_run *run)
{
    return run->plan;
}

int bv_run_fd(const struct bv_run *run)
{
    /* Once the backend's run is closed there is nothing to wait for; the event that ends it
     * keeps the number a valid one. */
    return run->state ? run->backend->ops->poll_fd(run->state) : run->cancel_fd;
}

/* The tree is dead, or is being killed here. Everything after this is paper. */
static void finish(struct bv_run *run)
{
    const struct bv_sys *sys = run->backend->sys;
    run->backend->ops->close_run(BV_TAKE(run->state));
    bv_leases_done(&run->leases);
    run->execution.secret_values = NULL;
    if (run->survey->identity.known &&
        !bv_workload_is_unchanged(sys, run->survey->workload_fd, &run->survey->identity) &&
        !bv_observe_finding(run->observation, "workload_changed",
                            "the workload's file changed while it ran")) {
        fault(run, "the finding that the workload's file changed could not be kept", "");
    }
    if (stamp(sys, run->finished_at) < 0) {
        bv_copy_text(run->finished_at, sizeof(run->finished_at), run->started_at);
        fault(run, "the clock could not be read", "");
    }
    sys->event_raise(run->cancel_fd); /* so that whoever still polls bv_run_fd() wakes */
    run->done = true;
}

enum bv_status bv_run_dispatch(struct bv_run *run, bool *ret_done, struct bv_error *error)
{
    if (!run || !ret_done) {
        return bv_fail(error, BV_E_INVALID, "", "a run and a place for the answer are needed");
    }
    if (!run->done) {
        struct bv_error inner = { 0 };
        bool done = false;
        enum bv_status status = run->backend->ops->dispatch(run->state, &done, &inner);
        if (status != BV_OK) {
            fault(run, "the backend failed", inner.text[0] ? inner.text : bv_status_name(status));
        }
        if (done || status != BV_OK) {
            finish(run);
        }
    }
    *ret_done = run->done;
    return BV_OK;
}

void bv_run_cancel(struct bv_run *run)
{
    if (run) {
        run->backend->sys->event_raise(run->cancel_fd);
    }
}

/* Drives the run to its end. A backend whose descriptor cannot be waited for has failed. */
static enum bv_status drive(struct bv_run *run, struct bv_error *error)
{
    bool done = run->done;
    while (!done) {
        int r = run->backend->sys->wait_readable(bv_run_fd(run), -1);
        if (r < 0) {
            fault(run, "the backend's descriptor cannot be waited for", strerrordesc_np(-r));
            finish(run);
        }
        enum bv_status status = bv_run_dispatch(run, &done, error);
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

/* What a staged run changed belongs into what is sealed, so it is listed before. */
static void list_artifacts(struct bv_run *run, const struct bv_artifact **ret_artifacts, size_t *ret_count)
{
    if (run->staging && !run->listed) {
        const int r = bv_staging_list(run->staging, run->observation, &run->artifacts, &run->artifact_count);
        if (r < 0) {
            fault(run, "what the run staged could not be listed", strerrordesc_np(-r));
        }
        run->listed = true;
        BV_STEP("listed");
    }
    *ret_artifacts = run->artifacts;
    *ret_count = run->artifact_count;
}

enum bv_status bv_run_wait(struct bv_run *run, struct bv_report **ret_report,
                           struct bv_error *error)
{
    if (!run || !ret_report) {
        return bv_fail(error, BV_E_INVALID, "", "a run and a place for the report are needed");
    }
    if (run->taken) {
        return bv_fail(error, BV_E_STATE, "", "the report of this run was taken already");
    }
    enum bv_status status = drive(run, error);
    if (status != BV_OK) {
        return status;
    }
    const struct bv_artifact *artifacts = NULL;
    size_t artifact_count = 0;
    list_artifacts(run, &artifacts, &artifact_count);
    char kernel[96];
    int r = run->backend->sys->kernel_release(kernel, sizeof(kernel));
    if (r < 0) {
        return bv_fail_sys(error, "seal", r, "reading the kernel's release");
    }
    const struct bv_seal_facts facts = {
        .attempt = run->attempt,
        .started_at = run->started_at,
        .finished_at = run->finished_at,
        .kernel = kernel,
        .uid = run->backend->sys->effective_uid(),
        .fault = run->fault[0] ? run->fault : NULL,
        .artifacts = artifacts,
        .artifact_count = artifact_count,
    };
    /* When memory runs out here the run keeps what it observed, and the caller may ask again. */
    status = bv_report_seal(run->plan, run->observation, &facts, ret_report, error);
    run->taken = status == BV_OK;
    BV_STEP("sealed");
    if (run->taken) { /* all of it is in the report, captured streams too: once is enough */
        run->execution.observation = NULL;
        bv_observation_free(BV_TAKE(run->observation));
    }
    return status;
}

enum bv_status bv_run_record(struct bv_run *run, const struct bv_report *report, struct bv_error *error)
{
    if (!run || !report) {
        return bv_fail(error, BV_E_INVALID, "", "a run and its report are needed");
    }
    if (!run->taken || run->recorded) {
        return bv_fail(error, BV_E_STATE, "", "a report is recorded once, after it was taken");
    }
    enum bv_status status = bv_record_report(run->journal, run->attempt, report, error);
    run->recorded = status == BV_OK;
    BV_STEP("recorded");
    return status;
}

enum bv_status bv_run_settle(struct bv_run *run, struct bv_report *report, bool keep, struct bv_error *error)
{
    struct bv_disposed disposed;
    if (!run || !report) {
        return bv_fail(error, BV_E_INVALID, "", "a run and its report are needed");
    }
    if (!run->taken) {
        return bv_fail(error, BV_E_STATE, "", "the report of this run was not taken yet");
    }
    if (!run->staging) {
        return BV_OK;
    }
    if (run->journal && !run->recorded) { /* a decision may only follow what it is about */
        return bv_fail(error, BV_E_STATE, "", "not committed and not discarded: the report is not recorded");
    }
    const struct bv_staging_wish wish = {
        .completed = bv_report_outcome(report) == BV_OUTCOME_COMPLETED,
        .keep = keep,
        .journal = run->journal,
    };
    const enum bv_status status = bv_staging_settle(run->staging, bv_plan_intent(run->plan), &wish, &disposed, error);
    if (disposed.decided && !bv_report_dispose(report, disposed.decided, disposed.applied, disposed.detail)) {
        return status == BV_OK ? bv_fail_nomem(error) : status;
    }
    BV_STEP("settled");
    return status;
}

/* Whatever of it is not recorded by now is for a recovery: nobody is at work on it any more. */
static void settle_record(struct bv_run *run)
{
    if (run->journal && run->attempt[0] != '\0') {
        bv_record_end(run->journal, run->attempt);
    }
}

void bv_run_free(struct bv_run *run)
{
    if (!run) {
        return;
    }
    run->backend->ops->close_run(BV_TAKE(run->state));
    bv_leases_done(&run->leases);
    bv_staging_free(run->staging);
    settle_record(run); /* last: who finds the attempt dead finds nothing of it being worked on */
    bv_observation_free(run->observation);
    bv_survey_free(run->survey);
    bv_cleanup_fd(&run->cancel_fd);
    bv_plan_free(run->own_plan);
    free(run);
}
