/* tests/unit/test_runner.c - one run from start to report: drift, cancel, faults of a backend, a
 * host that misuses the calls, many threads. */
#include <bvisor/run.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"
#include "sys/sys.h"

static const struct sim_op works[] = { { SIM_PRINT, "hello", 0 },
                                       { SIM_BURN, NULL, 100 },
                                       { SIM_EXIT, NULL, 3 } };
static const struct sim_op waits[] = { { SIM_PRINT, "hello", 0 }, { SIM_WAIT, NULL, 0 } };

static struct bv_plan *plan_of(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    enum bv_status status = bv_plan_create(backend, &fixture->spec, &plan, &refusal, &error);
    tap_ok(status == BV_OK, "a plan: %s %s", error.place, error.text);
    bv_refusal_free(refusal);
    return plan;
}

static struct bv_run *start(struct bv_backend *backend, const struct bv_plan *plan)
{
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    tap_ok(bv_run_start(backend, plan, NULL, &run, &refusal, &error) == BV_OK, "a run: %s",
           error.text);
    bv_refusal_free(refusal);
    return run;
}

static void drift_is(struct bv_backend *backend, const struct bv_plan *plan, const char *what)
{
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_run_start(backend, plan, NULL, &run, &refusal, NULL);
    tap_ok(status == BV_E_REFUSED && !run &&
               bv_refusal_reason(refusal) == BV_REFUSED_PROFILE_DRIFT &&
               strcmp(bv_refusal_what(refusal, 0), what) == 0,
           "drift of %s: %s", what, refusal ? bv_refusal_why(refusal, 0) : "none");
    bv_refusal_free(refusal);
}

static void test_report(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = start(backend, plan);
    struct bv_report *report = NULL;
    char *text = NULL;
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK, "a run is waited for");
    tap_ok(bv_report_outcome(report) == BV_OUTCOME_FAILED && bv_report_exit(report).value == 3 &&
               bv_report_exit_status(report) == 3,
           "exit 3");
    tap_ok(bv_report_json(report, &text, NULL) == BV_OK &&
               bv_report_verify(text, strlen(text), NULL) == BV_OK,
           "the report verifies");
    tap_ok(text && strstr(text, "\"hello\"") && strstr(text, bv_plan_id(plan)),
           "it holds the stream and the plan's id");
    bv_free(text);
    struct bv_report *again = NULL;
    tap_ok(bv_run_wait(run, &again, NULL) == BV_E_STATE && !again,
           "a second report of one run is not to be had");
    bv_report_free(report);
    bv_run_free(run);
    bv_plan_free(plan);
}

/* A host with a loop of its own: poll, dispatch, take the report at the end. */
static void test_dispatch(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = start(backend, plan);
    struct bv_report *report = NULL;
    bool done = false;
    int steps = 0;
    while (!done && steps < 100) {
        struct pollfd p = { .fd = bv_run_fd(run), .events = POLLIN };
        if (poll(&p, 1, 5000) != 1 || bv_run_dispatch(run, &done, NULL) != BV_OK) {
            break;
        }
        steps++;
    }
    struct pollfd p = { .fd = bv_run_fd(run), .events = POLLIN };
    tap_ok(done && steps == (int)BV_COUNT(works), "done after %d steps", steps);
    tap_ok(poll(&p, 1, 0) == 1, "its descriptor stays readable");
    tap_ok(bv_run_dispatch(run, &done, NULL) == BV_OK && done, "and it stays done");
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK && bv_report_exit(report).value == 3,
           "its report is there");
    bv_report_free(report);
    bv_run_free(run);
    bv_plan_free(plan);
}

static void test_drift(struct sim_setup *setup, struct bv_backend *backend,
                       const struct fixture *fixture)
{
    unsigned char elf[512];
    char path[FIXTURE_PATH];
    struct bv_plan *plan = plan_of(backend, fixture);
    setup->machine = "another";
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    options.probe_max_age_micros = 60u * 1000000u;
    struct bv_run *young = NULL;
    struct bv_refusal *refusal = NULL;
    tap_ok(bv_run_start(backend, plan, &options, &young, &refusal, NULL) == BV_OK,
           "a probe of just now serves where the caller says so");
    bv_run_free(young);
    drift_is(backend, plan, "machine");
    setup->machine = NULL;
    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    elf[size] = 1;
    fixture_file(fixture, "prog", elf, size + 1, 0755, path);
    drift_is(backend, plan, "workload digest");
    (void)unlink(path);
    drift_is(backend, plan, "launch_workload");
    fixture_file(fixture, "prog", elf, size, 0755, path);
    struct bv_run *run = start(backend, plan);
    bv_run_free(run); /* in mid-run: kills */
    bv_plan_free(plan);
}

static void test_workload_changed(struct bv_backend *backend, const struct fixture *fixture)
{
    unsigned char elf[512];
    char path[FIXTURE_PATH];
    char *text = NULL;
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = start(backend, plan);
    struct bv_report *report = NULL;
    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    elf[size] = 1;
    fixture_file(fixture, "prog", elf, size + 1, 0755,
                 path); /* the same inode, written while it runs */
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK &&
               bv_report_json(report, &text, NULL) == BV_OK && strstr(text, "workload_changed"),
           "a file that changed while it ran is a finding");
    bv_free(text);
    bv_report_free(report);
    bv_run_free(run);
    bv_plan_free(plan);
    fixture_file(fixture, "prog", elf, size, 0755, path);
}

static void *cancel_soon(void *context)
{
    (void)usleep(20000);
    bv_run_cancel(context);
    bv_run_cancel(context);
    return NULL;
}

static void test_cancel(struct sim_setup *setup, struct bv_backend *backend,
                        const struct fixture *fixture)
{
    setup->script = waits;
    setup->script_length = BV_COUNT(waits);
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = start(backend, plan);
    struct bv_report *report = NULL;
    pthread_t thread;
    tap_ok(pthread_create(&thread, NULL, cancel_soon, run) == 0, "a second thread");
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK &&
               bv_report_outcome(report) == BV_OUTCOME_KILLED &&
               bv_report_exit_status(report) == 137,
           "cancels the run");
    (void)pthread_join(thread, NULL);
    bv_run_cancel(run);
    bv_run_cancel(NULL);
    bv_report_free(report);
    bv_run_free(run);

    run = start(backend, plan);
    bv_run_free(run);
    tap_ok(true, "a run that waits for ever can be freed");
    bv_plan_free(plan);
    setup->script = works;
    setup->script_length = BV_COUNT(works);
}

/* A backend that fails, or falls silent: still exactly one report. */
static void test_faults(struct sim_setup *setup, struct bv_backend *backend,
                        const struct fixture *fixture)
{
    static const enum sim_lie lies[] = { SIM_CRASHES, SIM_NO_OUTCOME };
    for (size_t i = 0; i < BV_COUNT(lies); i++) {
        struct bv_plan *plan = plan_of(backend, fixture);
        setup->lie = lies[i];
        struct bv_run *run = start(backend, plan);
        struct bv_report *report = NULL;
        char *text = NULL;
        tap_ok(bv_run_wait(run, &report, NULL) == BV_OK &&
                   bv_report_outcome(report) == BV_OUTCOME_SUPERVISOR_FAULT &&
                   bv_report_exit_status(report) == 125,
               "a backend that %s: one report, supervisor_fault", sim_lie_name(lies[i]));
        tap_ok(bv_report_json(report, &text, NULL) == BV_OK &&
                   bv_report_verify(text, strlen(text), NULL) == BV_OK,
               "which verifies");
        tap_ok(lies[i] != SIM_CRASHES || strstr(text, "the simulated backend crashed"),
               "and says what failed");
        setup->lie = SIM_HONEST;
        bv_free(text);
        bv_report_free(report);
        bv_run_free(run);
        bv_plan_free(plan);
    }
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    setup->fails_to_start = true;
    tap_ok(bv_run_start(backend, plan, NULL, &run, &refusal, &error) == BV_E_SYS && !run &&
               !refusal && error.os_errno == EAGAIN,
           "a backend that cannot start is an error: %s", error.text);
    setup->fails_to_start = false;
    bv_plan_free(plan);
}

static void test_misuse(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_plan *plan = plan_of(backend, fixture);
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_backend *inert = NULL;
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    bool done;
    struct bv_report *report;
    tap_ok(bv_backend_inert(&inert, NULL) == BV_OK &&
               bv_run_start(inert, plan, NULL, &run, &refusal, NULL) == BV_E_INVALID,
           "another backend does not run the plan");
    options.capture_bytes = (uint64_t)BV_CAPTURE_MAX_BYTES + 1;
    tap_ok(bv_run_start(backend, plan, &options, &run, &refusal, NULL) == BV_E_LIMIT,
           "too large a capture");
    options = (struct bv_run_options)BV_RUN_OPTIONS_INIT;
    int closed = dup(2);
    (void)close(closed);
    options.stderr_fd = closed;
    tap_ok(bv_run_start(backend, plan, &options, &run, &refusal, NULL) == BV_E_INVALID,
           "a stream that is not open");
    options.stderr_fd = -7;
    tap_ok(bv_run_start(backend, plan, &options, &run, &refusal, NULL) == BV_E_INVALID,
           "a descriptor that is none");
    tap_ok(bv_run_start(NULL, plan, NULL, &run, &refusal, NULL) == BV_E_INVALID &&
               bv_run_start(backend, NULL, NULL, &run, &refusal, NULL) == BV_E_INVALID,
           "nothing to run");
    tap_ok(bv_run_dispatch(NULL, &done, NULL) == BV_E_INVALID &&
               bv_run_wait(NULL, &report, NULL) == BV_E_INVALID,
           "no run");
    tap_ok(!run && !refusal, "none of these wrote an answer");
    bv_run_free(NULL);
    bv_backend_free(inert);
    bv_plan_free(plan);
}

/* ---- many runs at once, on one backend and from one plan ---- */

#define THREADS         16
#define RUNS_PER_THREAD 50

struct many {
    struct bv_backend *backend;
    const struct bv_spec *spec;
    int good;
};

static void *run_many(void *context)
{
    struct many *many = context;
    for (int i = 0; i < RUNS_PER_THREAD; i++) {
        struct bv_report *report = NULL;
        struct bv_refusal *refusal = NULL;
        if (bv_run_confined(many->spec, many->backend, NULL, &report, &refusal, NULL) == BV_OK &&
            bv_report_exit(report).value == 3) {
            many->good++;
        }
        bv_report_free(report);
        bv_refusal_free(refusal);
    }
    return NULL;
}

static void test_many(struct bv_backend *backend, const struct fixture *fixture)
{
    struct many many[THREADS];
    pthread_t threads[THREADS];
    int good = 0;
    for (int i = 0; i < THREADS; i++) {
        many[i] = (struct many){ backend, &fixture->spec, 0 };
        if (pthread_create(&threads[i], NULL, run_many, &many[i]) != 0) {
            tap_ok(false, "thread %d", i);
            return;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        good += many[i].good;
    }
    tap_ok(good == THREADS * RUNS_PER_THREAD, "%d of %d runs in %d threads", good,
           THREADS * RUNS_PER_THREAD, THREADS);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += bv_sys_host.is_open(fd) == 0;
    }
    return count;
}

int main(void)
{
    struct sim_setup setup = { .lie = SIM_HONEST,
                               .script = works,
                               .script_length = BV_COUNT(works) };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    int before = open_descriptors();
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    test_report(backend, &fixture);
    test_dispatch(backend, &fixture);
    test_drift(&setup, backend, &fixture);
    test_workload_changed(backend, &fixture);
    test_cancel(&setup, backend, &fixture);
    test_faults(&setup, backend, &fixture);
    test_misuse(backend, &fixture);
    test_many(backend, &fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    tap_ok(open_descriptors() == before, "no descriptor is left open");
    return tap_done();
}
