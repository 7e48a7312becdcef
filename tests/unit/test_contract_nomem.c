/* tests/unit/test_contract_nomem.c - every allocation fails once: admit, seal, and each document answer BV_E_NOMEM or not at all.
 *
 * The linker sends malloc, calloc and realloc of everything in this program, jansson included, through the wrappers below
 * (--wrap). Under the leak sanitizer a forgotten block ends the test. */
#include "contract/contract.h"

#include "contract/observation.h"
#include "support/fake.h"
#include "support/scenes.h"
#include "support/tap.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static size_t allocations, failing; /* failing 0: none fails */

static bool fails(void)
{
    allocations++;
    return failing > 0 && allocations == failing;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static struct fake fake;
static struct request request;
static struct bv_snapshot *facts;
static struct bv_plan *shared_plan;
static struct bv_observation *shared_run;
static char *plan_text, *report_text;

/* Each gives a text that says everything about its result; NULL only with BV_E_NOMEM. */
typedef enum bv_status job(char **ret_text, struct bv_error *error);

static enum bv_status admit(char **ret_text, struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_plan_admit(&fake_ops, &fake, &request.spec, &request.identity, facts,
                                          &plan, &refusal, error);
    if (status == BV_OK) {
        status = bv_plan_json(plan, ret_text, error);
    } else if (status == BV_E_REFUSED) {
        status = bv_refusal_json(refusal, ret_text, error);
    }
    bv_plan_free(plan);
    bv_refusal_free(refusal);
    return status;
}

static enum bv_status seal(char **ret_text, struct bv_error *error)
{
    struct bv_report *report = NULL;
    enum bv_status status = bv_report_seal(shared_plan, shared_run, &fake_facts, &report, error);
    if (status == BV_OK) {
        status = bv_report_json(report, ret_text, error);
    }
    bv_report_free(report);
    return status;
}

static enum bv_status read_plan(char **ret_text, struct bv_error *error)
{
    struct bv_saved_plan saved = { 0 };
    enum bv_status status = bv_plan_read(plan_text, strlen(plan_text), &saved, error);
    if (status == BV_OK) {
        status = bv_spec_json(saved.spec, ret_text, error);
    }
    bv_spec_free(saved.spec);
    return status;
}

static enum bv_status probe(char **ret_text, struct bv_error *error)
{
    (void)error;
    json_t *document = bv_probe_document(&fake_ops, &fake, facts);
    *ret_text = document ? bv_json_text(document, BV_PLAN_MAX_BYTES) : NULL;
    json_decref(document);
    return *ret_text ? BV_OK : BV_E_NOMEM;
}

static enum bv_status verify(char **ret_text, struct bv_error *error)
{
    enum bv_status status = bv_report_verify(report_text, strlen(report_text), error);
    *ret_text = status == BV_OK ? bv_base64("ok", 2) : NULL;
    return status == BV_OK && !*ret_text ? BV_E_NOMEM : status;
}

/* An observation that lost something says so: the report of it is a fault, never a report that is merely shorter. */
static enum bv_status observe(char **ret_text, struct bv_error *error)
{
    struct bv_report *report = NULL;
    struct bv_observation *o = scene_full_run();
    enum bv_status status =
        o ? bv_report_seal(shared_plan, o, &fake_facts, &report, error) : BV_E_NOMEM;
    if (status == BV_OK) {
        status = bv_report_json(report, ret_text, error);
    }
    bv_report_free(report);
    bv_observation_free(o);
    return status;
}

static void torture(job *run, const char *name)
{
    char *wanted = NULL;
    struct bv_error error = { 0 };
    bool good = run(&wanted, &error) == BV_OK && wanted;
    size_t nth = 1;
    for (bool ended = false; good && !ended; nth++) {
        char *text = NULL;
        error = (struct bv_error){ 0 };
        allocations = 0;
        failing = nth;
        enum bv_status status = run(&text, &error);
        failing = 0;
        ended = allocations < nth;
        good = ended ? status == BV_OK && text && strcmp(text, wanted) == 0
                     : status == BV_E_NOMEM && !text;
        if (!good) {
            printf("# allocation %zu: %s %s\n", nth, bv_status_name(status), error.text);
        }
        bv_free(text);
    }
    tap_ok(good && nth > 5, "%s: allocation 1 to %zu fails", name, nth - 1);
    bv_free(wanted);
}

int main(void)
{
    facts = bv_snapshot_new();
    bool ok = bv_snapshot_set(facts, "kernel", "6.18.44", NULL) == BV_OK;
    scene_full(&fake, &request);
    torture(admit, "a plan");
    shared_plan = fake_plan(&fake, &request);
    shared_run = scene_full_run();
    ok = ok && bv_plan_json(shared_plan, &plan_text, NULL) == BV_OK;
    struct bv_report *report = fake_seal(shared_plan, shared_run, &report_text);
    tap_ok(ok && report, "a plan and a report");
    bv_report_free(report);
    torture(seal, "a report");
    torture(read_plan, "a saved plan");
    torture(probe, "a probe document");
    torture(verify, "a verification");
    torture(observe, "an observation");
    memset(&fake.ceiling, 0, sizeof(fake.ceiling));
    torture(admit, "a refusal");
    request.spec.require_evidence = BV_CLAIMS_ALL;
    request.spec.budgets[BV_WALL_MICROS].limit = 0;
    torture(admit, "a refusal of a budget");
    bv_free(plan_text);
    bv_free(report_text);
    bv_plan_free(shared_plan);
    bv_observation_free(shared_run);
    bv_snapshot_free(facts);
    return tap_done();
}
