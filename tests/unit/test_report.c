/* tests/unit/test_report.c - the body of a report: byte for byte as it was, and captured output of every sort. */
#include "contract/report.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/scenes.h"
#include "support/tap.h"

static struct fake fake;
static struct request request;

static void golden(const char *directory, const char *name, struct bv_observation *o)
{
    char *text = NULL;
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_report *report = fake_seal(plan, o, &text);
    tap_ok(report && golden_check(directory, name, text), "%s: byte for byte as it was", name);
    bv_free(text);
    bv_report_free(report);
    bv_observation_free(o);
    bv_plan_free(plan);
}

static void test_refusal_golden(const char *directory)
{
    struct answer answer;
    char *text = NULL;
    scene_full(&fake, &request);
    fake.best[BV_REQ_COMMIT_ARTIFACT] = (struct bv_verdict){ .enforcement = BV_UNSUPPORTED,
                                                             .why = "no overlayfs with userxattr",
                                                             .remedy = "a kernel from 5.11 on" };
    fake.ceiling[BV_REQ_FILESYSTEM] =
        (struct bv_verdict){ .enforcement = BV_UNSUPPORTED,
                             .remedy = "",
                             .why =
                                 "landlock ABI 0: kernel built without CONFIG_SECURITY_LANDLOCK" };
    answer = fake_admit(&fake, &request);
    tap_ok(answer.refusal && bv_refusal_json(answer.refusal, &text, NULL) == BV_OK &&
               golden_check(directory, "refusal_unsupported.json", text),
           "refusal_unsupported.json: byte for byte as it was");
    bv_free(text);
    answer_done(&answer);
    scene_full(&fake, &request);
    fake.offer[BV_STORAGE_BYTES] =
        (struct bv_offer){ .why = "a live root without quota", .remedy = "--stage" };
    fake.offer[BV_PROCESS_COUNT].guarantee = BV_GUARANTEE_MEDIATED;
    answer = fake_admit(&fake, &request);
    text = NULL;
    tap_ok(answer.refusal && bv_refusal_json(answer.refusal, &text, NULL) == BV_OK &&
               golden_check(directory, "refusal_budget.json", text),
           "refusal_budget.json: byte for byte as it was");
    bv_free(text);
    answer_done(&answer);
}

static void test_content(void)
{
    scene_full(&fake, &request);
    struct bv_plan *plan = fake_plan(&fake, &request);
    json_t *body = fake_body(plan, scene_full_run());
    tap_text(text_at(body, "outcome"), "timeout", "outcome");
    tap_ok(json_integer_value(tree_at(body, "exit/signal")) == 9, "exit");
    tap_text(text_at(body, "plan_id"), bv_plan_id(plan), "plan_id");
    tap_text(text_at(body, "denied/0/requirement/network/policy"), "allow_list",
             "a denial with the plan's requirement");
    tap_ok(json_integer_value(tree_at(body, "denied/0/count")) == 3, "counted");
    tap_text(text_at(body, "denied/1/detail"), "open /etc/shadow ??", "foreign text is cleaned");
    tap_text(text_at(body, "denied/1/requirement/filesystem/roots/0"), "/usr",
             "the written requirement, not an implied one");
    tap_text(text_at(body, "captured/stdout/content"), "gr\303\274\303\237e\n\"\\\001",
             "UTF-8 stays readable");
    tap_text(text_at(body, "captured/stdout/encoding"), "utf-8", "and says so");
    tap_ok(json_integer_value(tree_at(body, "captured/stdout/bytes")) == 5000 &&
               json_is_true(tree_at(body, "captured/stdout/truncated")),
           "truncated");
    tap_text(text_at(body, "captured/stderr/content"), "AP9/eA==", "bytes are base64");
    tap_text(text_at(body, "captured/stderr/encoding"), "base64", "and say so");
    tap_ok(json_is_null(tree_at(body, "budget/resident_bytes/observed")), "not measured is null");
    tap_text(text_at(body, "budget/resident_bytes/source"), "no memory controller",
             "with its reason");
    tap_text(text_at(body, "budget/resident_bytes/finding"), "observation_unavailable",
             "and its finding");
    tap_text(text_at(body, "budget/wall_micros/finding"), "exceeded_within_mediated_overshoot",
             "an overshoot");
    tap_text(text_at(body, "budget/process_count/finding"), "limit_reached_enforced",
             "a limit that held");
    tap_text(text_at(body, "budget/handle_count/source"),
             "the backend said nothing of this dimension", "silence is not hidden");
    tap_ok(json_array_size(json_object_get(body, "findings")) == 5,
           "the plan's findings and the run's");
    tap_ok(json_is_array(json_object_get(body, "artifacts")), "artifacts");
    tap_text(text_at(body, "supervisor/launcher_digest"), FAKE_LAUNCHER, "the launcher");
    json_decref(body);
    bv_plan_free(plan);
}

static void test_nothing(void)
{
    struct bv_exit none = { .kind = BV_EXIT_NONE };
    struct bv_observation *o = bv_observation_new();
    fake_init(&fake);
    request_init(&request);
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    request_drop(&request, BV_CTL_CAPTURE_STREAMS);
    request.spec.require_evidence = 0;
    request.identity.known = false;
    struct bv_plan *plan = fake_plan(&fake, &request);
    (void)bv_observe_outcome(o, BV_OUTCOME_COMPLETED, none, -1, "");
    json_t *body = fake_body(plan, o);
    tap_ok(json_is_null(json_object_get(body, "exit")), "nothing launched, no exit");
    tap_ok(json_object_size(json_object_get(body, "captured")) == 0,
           "nothing asked for, nothing captured");
    tap_ok(json_is_null(tree_at(body, "supervisor/launcher_digest")), "no launcher");
    tap_ok(tree_at(body, "workload/digest") == NULL && tree_at(body, "workload/process"),
           "a workload that was not opened has no digest");
    json_decref(body);
    bv_plan_free(plan);
}

static const char *encoding_of(const char *bytes, size_t size)
{
    static char encoding[16];
    struct bv_plan *plan = fake_plan(&fake, &request);
    struct bv_observation *o = fake_observe();
    (void)bv_observe_stream(o, 2, bytes, size, size, false);
    json_t *body = fake_body(plan, o);
    (void)snprintf(encoding, sizeof(encoding), "%s", text_at(body, "captured/stderr/encoding"));
    json_decref(body);
    bv_plan_free(plan);
    return encoding;
}

static void test_encodings(void)
{
    fake_init(&fake);
    request_init(&request);
    tap_text(encoding_of("", 0), "utf-8", "nothing");
    tap_text(encoding_of("a\0b", 3), "base64", "NUL");
    tap_text(encoding_of("a\177b", 3), "base64", "U+007F");
    tap_text(encoding_of("\033[31mred\r\n", 10), "utf-8", "other controls are escaped");
    tap_text(encoding_of("\355\240\200", 3), "base64", "a surrogate");
    tap_text(encoding_of("\303", 1), "base64", "half a character");
    tap_text(encoding_of("\364\217\277\277", 4), "utf-8", "the last code point");
    const size_t size = 24u << 20;
    char *bytes = malloc(size);
    if (bytes) {
        memset(bytes, '\001', size); /* six bytes each as escapes: 144 MiB */
        tap_text(encoding_of(bytes, size), "base64", "escapes that would not fit");
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    fake_init(&fake);
    request_init(&request);
    golden(directory, "report_completed.json", fake_observe());
    golden(directory, "report_fault.json", fake_observe_open());
    scene_full(&fake, &request);
    golden(directory, "report_timeout.json", scene_full_run());
    test_refusal_golden(directory);
    test_content();
    test_nothing();
    test_encodings();
    return tap_done();
}
