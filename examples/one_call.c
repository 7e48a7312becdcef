/* examples/one_call.c - the whole loop in one call: a spec filled in C, bv_run_confined(), the report.
 *
 * cc one_call.c $(pkg-config --cflags --libs bvisor) && ./a.out
 * Runs /usr/bin/id with the installed system and nothing else. Ends with 77 if this machine cannot hold that boundary, after
 * telling why. */
#include <bvisor/bvisor.h>

#include <stdio.h>

static const char *const system_roots[] = { "/usr" };

static const struct bv_capability capabilities[] = {
    { .kind = BV_CAP_FILESYSTEM,
      .u.filesystem = { .access = BV_ACCESS_READ, .execute = true, .recursive = true, .roots = system_roots, .root_count = 1 } },
};

static const struct bv_control controls[] = {
    { .kind = BV_CTL_LAUNCH_WORKLOAD },
    { .kind = BV_CTL_CAPTURE_STREAMS, .u.capture = { .out = true, .err = true } },
};

static int tell_refusal(const struct bv_refusal *refusal)
{
    for (size_t i = 0; i < bv_refusal_count(refusal); i++) {
        printf("refused: %s: %s (%s)\n", bv_refusal_what(refusal, i), bv_refusal_why(refusal, i),
               bv_refusal_remedy(refusal, i));
    }
    return 77;
}

int main(void)
{
    struct bv_spec spec = {
        .workload = { .kind = BV_WORKLOAD_PROCESS, .path = "/usr/bin/id" },
        .capabilities = capabilities,
        .capability_count = sizeof capabilities / sizeof capabilities[0],
        .controls = controls,
        .control_count = sizeof controls / sizeof controls[0],
        .require_evidence = BV_CLAIM_TERMINAL_OUTCOME,
    };
    for (int d = 0; d < BV_DIMENSION_COUNT; d++) {
        spec.budgets[d] = (struct bv_budget_request){ .limit = BV_UNLIMITED };
    }
    spec.budgets[BV_WALL_MICROS].limit = 10 * 1000000;

    struct bv_backend *backend = NULL;
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_error error = { 0 };
    int result = 1;

    options.stdout_fd = 1; /* a live copy; the report captures it as well */
    enum bv_status status = bv_backend_linux(&backend, &error);
    if (status == BV_OK) {
        status = bv_run_confined(&spec, backend, &options, &report, &refusal, &error);
    }
    if (status == BV_OK) {
        printf("%s, exit status %d\n", bv_outcome_name(bv_report_outcome(report)), bv_report_exit_status(report));
        printf("seal %s\n", bv_report_body_hash(report));
        result = bv_report_exit_status(report);
    } else if (status == BV_E_REFUSED) {
        result = tell_refusal(refusal);
    } else {
        printf("%s: %s: %s\n", bv_status_name(status), error.place, error.text);
    }
    bv_report_free(report);
    bv_refusal_free(refusal);
    bv_backend_free(backend);
    return result;
}
