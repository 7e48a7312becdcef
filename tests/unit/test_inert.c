/* tests/unit/test_inert.c - the backend that confines nothing: it admits only what needs
 * nothing, and refuses all else by name. */
#include <bvisor/run.h>

#include <string.h>

#include "contract/contract.h"
#include "support/fixture.h"
#include "support/tap.h"

static void test_matrix(struct bv_backend *inert)
{
    char *text = NULL;
    tap_ok(bv_probe_json(inert, &text, NULL) == BV_OK, "it can be probed");
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *matrix = json_object_get(root, "matrix");
    tap_ok(json_array_size(matrix) == BV_REQUIREMENT_KIND_COUNT, "every kind has a row");
    for (size_t i = 0; i < json_array_size(matrix); i++) {
        const json_t *row = json_array_get(matrix, i);
        const char *kind = json_string_value(json_object_get(row, "kind")),
                   *why = json_string_value(json_object_get(row, "why"));
        const char *enforcement = json_string_value(json_object_get(row, "enforcement"));
        bool nothing = kind && (strcmp(kind, "network_allow_all") == 0 ||
                                strcmp(kind, "spawn_allow_descendants") == 0);
        tap_text(enforcement, nothing ? "enforced" : "unsupported", "%s",
                 kind ? kind : "(no kind)");
        tap_ok(nothing || (why && strstr(why, "confines nothing")), "row %zu says why", i);
    }
    json_decref(root);
    bv_free(text);
}

static void test_refuses(struct bv_backend *inert, const struct fixture *fixture)
{
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    tap_ok(bv_run_confined(&fixture->spec, inert, NULL, &report, &refusal, NULL) == BV_E_REFUSED &&
               !report,
           "a launch is refused");
    bool launch = false, filesystem = false, network = false;
    for (size_t i = 0; refusal && i < bv_refusal_count(refusal); i++) {
        launch = launch || strcmp(bv_refusal_what(refusal, i), "launch_workload") == 0;
        filesystem = filesystem || strcmp(bv_refusal_what(refusal, i), "filesystem") == 0;
        network = network || strcmp(bv_refusal_what(refusal, i), "network_deny_all") == 0;
    }
    tap_ok(launch && filesystem && network,
           "every unsupported requirement is named, the implied ones too");
    bv_refusal_free(refusal);

    struct bv_spec spec = fixture->spec;
    spec.control_count = 0;
    spec.capability_count = 0;
    spec.budgets[BV_STORAGE_BYTES].limit = 1000;
    refusal = NULL;
    tap_ok(bv_run_confined(&spec, inert, NULL, &report, &refusal, NULL) == BV_E_REFUSED &&
               bv_refusal_reason(refusal) == BV_REFUSED_BUDGET_REFUSED &&
               strcmp(bv_refusal_what(refusal, 0), "storage_bytes") == 0,
           "a finite limit is refused");
    bv_refusal_free(refusal);
}

static void test_completes(struct bv_backend *inert, const struct fixture *fixture)
{
    static const struct bv_capability capabilities[] = {
        { .kind = BV_CAP_NETWORK, .u.network = { .policy = BV_NETWORK_ALLOW_ALL } },
        { .kind = BV_CAP_CHILD_SPAWN, .u.child_spawn = BV_SPAWN_ALLOW_DESCENDANTS },
    };
    struct bv_spec spec = fixture->spec;
    spec.controls = NULL;
    spec.control_count = 0;
    spec.capabilities = capabilities;
    spec.capability_count = 2;
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    char *text = NULL;
    enum bv_status status = bv_run_confined(&spec, inert, NULL, &report, &refusal, &error);
    tap_ok(status == BV_OK && !refusal, "a spec that needs nothing runs: %s %s", error.place,
           refusal ? bv_refusal_why(refusal, 0) : error.text);
    if (status != BV_OK) {
        bv_refusal_free(refusal);
        return;
    }
    tap_ok(bv_report_outcome(report) == BV_OUTCOME_COMPLETED &&
               bv_report_exit(report).kind == BV_EXIT_NONE && bv_report_exit_status(report) == 0,
           "it completes without an exit");
    tap_ok(bv_report_json(report, &text, NULL) == BV_OK &&
               bv_report_verify(text, strlen(text), NULL) == BV_OK,
           "its report verifies");
    tap_ok(text && strstr(text, "\"exit\":null") && !strstr(text, "workload_launched"),
           "and says that nothing ran");
    bv_free(text);
    bv_report_free(report);
}

int main(void)
{
    struct fixture fixture;
    struct bv_backend *inert = NULL;
    fixture_init(&fixture);
    tap_ok(bv_backend_inert(&inert, NULL) == BV_OK && strcmp(bv_backend_id(inert), "inert") == 0,
           "the inert backend");
    test_matrix(inert);
    test_refuses(inert, &fixture);
    test_completes(inert, &fixture);
    bv_backend_free(inert);
    fixture_done(&fixture);
    return tap_done();
}
