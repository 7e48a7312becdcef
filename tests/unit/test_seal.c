/* tests/unit/test_seal.c - a sealed report answers for itself: hash, document, exit status; every refusal reason has its table row. */
#include "contract/report.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;
static struct request request;

static const struct {
    enum bv_outcome outcome;
    struct bv_exit exit;
    int cause, status;
} endings[] = {
    { BV_OUTCOME_COMPLETED, { .kind = BV_EXIT_CODE }, -1, 0 },
    { BV_OUTCOME_FAILED, { .kind = BV_EXIT_CODE, .value = 1 }, -1, 1 },
    { BV_OUTCOME_FAILED, { .kind = BV_EXIT_CODE, .value = 255 }, -1, 255 },
    { BV_OUTCOME_FAILED, { .kind = BV_EXIT_SIGNAL, .value = 11 }, -1, 139 },
    { BV_OUTCOME_FAILED, { .kind = BV_EXIT_SIGNAL, .value = 64 }, -1, 192 },
    { BV_OUTCOME_FAILED, { .kind = BV_EXIT_TRAP, .trap = "unreachable" }, -1, 134 },
    { BV_OUTCOME_DENIED, { .kind = BV_EXIT_SIGNAL, .value = 31 }, -1, 159 },
    { BV_OUTCOME_TIMEOUT, { .kind = BV_EXIT_SIGNAL, .value = 9 }, BV_CPU_MICROS, 124 },
    { BV_OUTCOME_KILLED, { .kind = BV_EXIT_SIGNAL, .value = 9 }, BV_STORAGE_BYTES, 137 },
    { BV_OUTCOME_KILLED, { .kind = BV_EXIT_CODE }, -1, 137 },
    { BV_OUTCOME_SUPERVISOR_FAULT, { .kind = BV_EXIT_NONE }, -1, 125 },
};

static void test_endings(void)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    for (size_t i = 0; i < BV_COUNT(endings); i++) {
        struct bv_observation *o = fake_observe_open();
        (void)bv_observe_outcome(o, endings[i].outcome, endings[i].exit, endings[i].cause, "");
        struct bv_report *report = fake_seal(plan, o, NULL);
        bool good = report && bv_report_outcome(report) == endings[i].outcome &&
                    bv_report_exit(report).kind == endings[i].exit.kind &&
                    bv_report_exit(report).value == endings[i].exit.value;
        tap_ok(good, "outcome %s with exit kind %d", bv_outcome_name(endings[i].outcome),
               (int)endings[i].exit.kind);
        tap_ok(report && bv_report_exit_status(report) == endings[i].status, "gives status %d",
               endings[i].status);
        bv_report_free(report);
        bv_observation_free(o);
    }
    struct bv_exit none = { .kind = BV_EXIT_NONE };
    struct bv_observation *o = bv_observation_new();
    (void)bv_observe_outcome(o, BV_OUTCOME_UNSUPPORTED, none, -1, "");
    struct bv_report *report = fake_seal(plan, o, NULL);
    tap_ok(report && bv_report_exit_status(report) == 126, "unsupported at execution gives 126");
    bv_report_free(report);
    bv_observation_free(o);
    bv_plan_free(plan);
}

static void test_document(void)
{
    char *text = NULL, *canonical = NULL, digest[BV_DIGEST_TEXT_SIZE];
    json_t *root = NULL;
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = fake_observe();
    struct bv_report *report = fake_seal(plan, o, &text), *again = fake_seal(plan, o, NULL);
    tap_ok(report && bv_json_read(text, strlen(text), BV_REPORT_MAX_BYTES, &root, NULL) == BV_OK,
           "a document that reads");
    canonical = bv_json_text(root, BV_REPORT_MAX_BYTES);
    tap_text(canonical, text, "in canonical form");
    tap_ok(bv_json_digest(json_object_get(root, "body"), digest), "a digest of the body");
    tap_text(bv_report_body_hash(report), digest, "is the body_hash");
    tap_text(text_at(root, "body_hash"), digest, "also in the document");
    tap_ok(again && strcmp(bv_report_body_hash(again), digest) == 0, "sealing is deterministic");
    bv_free(canonical);
    bv_free(text);
    json_decref(root);
    bv_report_free(report);
    bv_report_free(again);
    bv_report_free(NULL);
    bv_observation_free(o);
    bv_plan_free(plan);
}

static void test_arguments(void)
{
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = fake_observe();
    struct bv_report *report = NULL;
    struct bv_seal_facts facts = fake_facts;
    tap_ok(bv_report_seal(NULL, o, &facts, &report, NULL) == BV_E_INVALID &&
               bv_report_seal(plan, o, NULL, &report, NULL) == BV_E_INVALID,
           "NULL");
    facts.attempt = "0123456789ABCDEF0123456789ABCDEF";
    tap_ok(bv_report_seal(plan, o, &facts, &report, NULL) == BV_E_INVALID,
           "an attempt id that is none");
    facts = fake_facts;
    facts.finished_at = NULL;
    tap_ok(bv_report_seal(plan, o, &facts, &report, NULL) == BV_E_INVALID && !report, "no time");
    facts = fake_facts;
    facts.kernel = "6.1\n\377";
    tap_ok(bv_report_seal(plan, o, &facts, &report, NULL) == BV_OK,
           "a kernel's odd release does not stop a report");
    bv_report_free(report);
    bv_observation_free(o);
    bv_plan_free(plan);
}

int main(void)
{
    fake_init(&fake);
    request_init(&request);
    test_endings();
    test_document();
    test_arguments();
    return tap_done();
}
