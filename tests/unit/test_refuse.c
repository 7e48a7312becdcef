/* tests/unit/test_refuse.c - refusals that the runner makes: one item after the other, and the
 * workload's with its path in front. */
#include "run/refuse.h"

#include <string.h>

#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

static void test_items(void)
{
    struct bv_refusal *refusal = NULL;
    tap_ok(bv_refuse_item(&refusal, BV_REFUSED_INVALID_POLICY, "sim", "environment", NULL, "why",
                          "remedy", NULL) == BV_OK,
           "a first item makes the refusal");
    tap_ok(bv_refuse_item(&refusal, BV_REFUSED_INVALID_POLICY, "sim", "kill", json_object(), "2",
                          "", NULL) == BV_OK,
           "a second one is added");
    tap_ok(bv_refusal_reason(refusal) == BV_REFUSED_INVALID_POLICY &&
               bv_refusal_count(refusal) == 2,
           "both are there");
    tap_text(bv_refusal_what(refusal, 0), "environment", "what");
    tap_text(bv_refusal_why(refusal, 0), "why", "why");
    tap_text(bv_refusal_remedy(refusal, 0), "remedy", "remedy");
    bv_refusal_free(refusal);
}

static void test_workload(const struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_refusal *refusal = NULL;
    struct bv_workload_problem problem = { .subject = "/x/y",
                                           .why = "is odd",
                                           .remedy = "even it" };
    char *text = NULL;
    tap_ok(bv_refuse_workload(backend, &fixture->spec, BV_REFUSED_WORKLOAD_INCOMPATIBLE, &problem,
                              &refusal, NULL) == BV_E_REFUSED,
           "a workload is refused");
    tap_text(bv_refusal_what(refusal, 0), "launch_workload", "what was asked");
    tap_text(bv_refusal_why(refusal, 0), "/x/y: is odd", "the path and what is wrong with it");
    tap_text(bv_refusal_remedy(refusal, 0), "even it", "what would help");
    tap_ok(bv_refusal_json(refusal, &text, NULL) == BV_OK &&
               strstr(text, "\"requirement\":{\"launch_workload\":{}}"),
           "the document holds the requirement");
    bv_free(text);
    bv_refusal_free(refusal);
}

int main(void)
{
    static const struct sim_setup setup = { .lie = SIM_HONEST };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    test_items();
    test_workload(backend, &fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
