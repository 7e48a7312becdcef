/* examples/cancel.c - a run that another thread cancels: plan, start, wait, and the whole tree is gone.
 *
 * cc cancel.c $(pkg-config --cflags --libs bvisor) -pthread && ./a.out
 * The spec is read from text here; one_call.c fills it in C. Ends with 77 if this machine cannot hold the boundary. */
#include <bvisor/bvisor.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char spec_text[] =
    "{\"schema\":\"bvisor.spec/1\","
    "\"workload\":{\"process\":{\"exe\":\"/usr/bin/sleep\",\"args\":[\"1000\"]}},"
    "\"capabilities\":[{\"filesystem\":{\"access\":\"read\",\"execute\":true,\"roots\":[\"/usr\"],\"recursive\":true,"
    "\"confinement\":\"declared_roots_only\"}}],"
    "\"controls\":[{\"launch_workload\":{}}],"
    "\"budgets\":{\"uniform\":{\"limit\":\"unlimited\",\"guarantee\":\"mediated\"}},"
    "\"evidence\":{\"require_captured_streams\":false,\"require_exit_status\":true,\"require\":[]}}";

static void *cancel_soon(void *run)
{
    const struct timespec pause = { 0, 200 * 1000 * 1000 };
    (void)nanosleep(&pause, NULL);
    bv_run_cancel(run); /* from any thread, any number of times; the run stays this program's to free */
    return NULL;
}

/* Starts the plan, lets a thread cancel it, and gives the report; NULL if anything failed. */
static struct bv_report *run_and_cancel(struct bv_backend *backend, const struct bv_plan *plan, struct bv_error *error)
{
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_report *report = NULL;
    pthread_t thread;
    if (bv_run_start(backend, plan, &options, &run, &refusal, error) != BV_OK) {
        bv_refusal_free(refusal);
        return NULL;
    }
    if (pthread_create(&thread, NULL, cancel_soon, run) == 0) {
        if (bv_run_wait(run, &report, error) != BV_OK) {
            report = NULL;
        }
        (void)pthread_join(thread, NULL); /* before the run is freed: the thread still holds it */
    }
    bv_run_free(run);
    return report;
}

int main(void)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    struct bv_backend *backend = NULL;
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    int result = 1;

    enum bv_status status = bv_spec_parse(spec_text, strlen(spec_text), &spec, &error);
    status = status == BV_OK ? bv_backend_linux(&backend, &error) : status;
    status = status == BV_OK ? bv_plan_create(backend, spec, &plan, &refusal, &error) : status;
    if (status == BV_E_REFUSED) {
        printf("refused: %s: %s\n", bv_refusal_what(refusal, 0), bv_refusal_why(refusal, 0));
        result = 77;
    } else if (status == BV_OK) {
        struct bv_report *report = run_and_cancel(backend, plan, &error);
        if (report) {
            printf("%s\n", bv_outcome_name(bv_report_outcome(report)));
            result = bv_report_outcome(report) == BV_OUTCOME_KILLED ? 0 : 1;
        }
        bv_report_free(report);
    }
    if (result == 1) {
        printf("%s %s\n", error.place, error.text);
    }
    bv_refusal_free(refusal);
    bv_plan_free(plan);
    bv_backend_free(backend);
    bv_spec_free(spec);
    return result;
}
