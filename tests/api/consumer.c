/* tests/api/consumer.c - a stranger's program: nothing but the installed headers and what pkg-config says.
 *
 * One call that does it all, the poll loop with a descriptor, and a cancel from another thread. Prints TAP. */
#include <bvisor/bvisor.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int count, failed;

static void check(int fine, const char *name)
{
    count++;
    failed += !fine;
    printf("%s %d - %s\n", fine ? "ok" : "not ok", count, name);
}

static struct bv_spec *read_spec(const char *exe, const char *argument)
{
    static const char format[] =
        "{\"schema\":\"bvisor.spec/1\",\"workload\":{\"process\":{\"exe\":\"%s\",\"args\":[\"%s\"]}},"
        "\"capabilities\":[{\"filesystem\":{\"access\":\"read\",\"execute\":true,\"roots\":[\"/usr\"],\"recursive\":true,"
        "\"confinement\":\"declared_roots_only\"}}],"
        "\"controls\":[{\"launch_workload\":{}},{\"capture_streams\":{\"stdout\":true,\"stderr\":true,\"stdin\":false}}],"
        "\"budgets\":{\"uniform\":{\"limit\":\"unlimited\",\"guarantee\":\"mediated\"}},"
        "\"evidence\":{\"require_captured_streams\":true,\"require_exit_status\":true,\"require\":[]}}";
    char text[2048];
    struct bv_spec *spec = NULL;
    struct bv_error error = { 0 };
    (void)snprintf(text, sizeof text, format, exe, argument);
    if (bv_spec_parse(text, strlen(text), &spec, &error) != BV_OK) {
        printf("# %s: %s\n", error.place, error.text);
    }
    return spec;
}

static void *cancel_soon(void *argument)
{
    (void)usleep(300000);
    bv_run_cancel(argument);
    bv_run_cancel(argument); /* twice is once */
    return NULL;
}

static struct bv_report *follow(struct bv_run *run, struct bv_error *error)
{
    struct bv_report *report = NULL;
    bool done = false;
    while (!done) {
        struct pollfd fd = { bv_run_fd(run), POLLIN, 0 };
        if (poll(&fd, 1, 20000) != 1 || bv_run_dispatch(run, &done, error) != BV_OK) {
            return NULL;
        }
    }
    return bv_run_wait(run, &report, error) == BV_OK ? report : NULL;
}

static void test_cancel(struct bv_backend *backend)
{
    struct bv_error error = { 0 };
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_refusal *refusal = NULL;
    struct bv_plan *plan = NULL;
    struct bv_run *run = NULL;
    struct bv_spec *spec = read_spec("/usr/bin/sleep", "60");
    check(bv_plan_create(backend, spec, &plan, &refusal, &error) == BV_OK && !refusal, "a plan");
    check(bv_run_start(backend, plan, &options, &run, &refusal, &error) == BV_OK && !refusal, "a start");
    pthread_t thread;
    struct bv_report *report = NULL;
    if (run != NULL && pthread_create(&thread, NULL, cancel_soon, run) == 0) {
        report = follow(run, &error);
        (void)pthread_join(thread, NULL);
    }
    check(report != NULL && bv_report_outcome(report) == BV_OUTCOME_KILLED && bv_report_exit_status(report) == 137,
          "cancelled from another thread: killed, 137");
    bv_report_free(report);
    bv_run_free(run);
    bv_plan_free(plan);
    bv_spec_free(spec);
}

int main(void)
{
    struct bv_error error = { 0 };
    struct bv_backend *backend = NULL;
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_spec *spec = read_spec("/usr/bin/echo", "hello");
    if (spec == NULL || bv_backend_linux(&backend, &error) != BV_OK) {
        printf("Bail out! %s\n", error.text);
        return 1;
    }
    enum bv_status status = bv_run_confined(spec, backend, &options, &report, &refusal, &error);
    if (status == BV_E_REFUSED) {
        check(report == NULL && refusal != NULL, "a refusal sets only the refusal");
        printf("1..%d # SKIP %s\n", count, bv_refusal_why(refusal, 0));
        bv_refusal_free(refusal);
        bv_spec_free(spec);
        bv_backend_free(backend);
        return failed != 0;
    }
    check(status == BV_OK && report != NULL && refusal == NULL, "one call does it all");
    char *text = NULL;
    check(bv_report_json(report, &text, &error) == BV_OK && strstr(text, "\"content\":\"hello\\n\"") != NULL,
          "the report holds what was said");
    bv_free(text);
    bv_report_free(report);
    bv_spec_free(spec);

    report = NULL;
    spec = read_spec("/usr/bin/gone", "x");
    status = bv_run_confined(spec, backend, &options, &report, &refusal, &error);
    check(status == BV_E_REFUSED && report == NULL && refusal != NULL && bv_refusal_count(refusal) > 0,
          "a refusal sets only the refusal");
    bv_refusal_free(refusal);
    bv_spec_free(spec);

    test_cancel(backend);
    bv_backend_free(backend);
    printf("1..%d\n", count);
    return failed != 0;
}
