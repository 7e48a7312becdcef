/* tests/unit/test_refusal.c - a refusal's items, what they are about, and the document. */
#include "contract/refusal.h"

#include "contract/contract.h"
#include "support/fake.h"
#include "support/tap.h"

int main(void)
{
    struct bv_refusal *refusal = bv_refusal_new(BV_REFUSED_UNSUPPORTED, "fake");
    struct bv_control control = { .kind = BV_CTL_KILL, .u.kill = { true } };
    tap_ok(bv_refusal_count(refusal) == 0, "empty at first");
    tap_ok(bv_refusal_add(refusal, "kill", bv_control_to_json(&control), "no cgroup.kill",
                          "a kernel from 5.14 on"),
           "a requirement");
    tap_ok(bv_refusal_add(refusal, "cpu_micros", NULL, "no account", NULL), "a dimension");
    tap_ok(bv_refusal_add_claims(refusal, BV_CLAIM_PROCESS_TREE | BV_CLAIM_DENIED_ATTEMPTS,
                                 "not seen", "leave out"),
           "claims");
    tap_ok(bv_refusal_add(refusal, "profile", NULL, "evil\nline \033[31m \377", "n\303\251"),
           "a place, with foreign text");
    tap_ok(bv_refusal_count(refusal) == 4 && bv_refusal_reason(refusal) == BV_REFUSED_UNSUPPORTED,
           "four items");
    tap_text(bv_refusal_what(refusal, 0), "kill", "what");
    tap_text(bv_refusal_why(refusal, 1), "no account", "why");
    tap_text(bv_refusal_remedy(refusal, 1), "", "no remedy is an empty one");
    tap_text(bv_refusal_what(refusal, 2), "denied_attempts, process_tree", "claims by name");
    tap_text(bv_refusal_why(refusal, 3), "evil?line ?[31m ?", "one clean line");
    tap_text(bv_refusal_what(refusal, 4), "", "past the end");

    char *text = NULL;
    json_t *root = NULL;
    tap_ok(bv_refusal_json(refusal, &text, NULL) == BV_OK, "a document");
    tap_ok(bv_json_read(text, strlen(text), BV_REPORT_MAX_BYTES, &root, NULL) == BV_OK,
           "that reads");
    tap_text(text_at(root, "schema"), "bvisor.refusal/1", "schema");
    tap_text(text_at(root, "reason"), "unsupported", "reason");
    tap_text(text_at(root, "backend"), "fake", "backend");
    tap_text(text_at(root, "items/0/kind"), "kill", "a kind");
    tap_text(text_at(root, "items/0/requirement/kill/guarantee"), "atomic", "with its requirement");
    tap_text(text_at(root, "items/1/dimension"), "cpu_micros", "a dimension");
    tap_text(text_at(root, "items/2/claims/1"), "process_tree", "claims");
    tap_text(text_at(root, "items/3/place"), "profile", "a place");
    json_decref(root);
    bv_free(text);
    tap_ok(bv_refusal_json(NULL, &text, NULL) == BV_E_INVALID, "no refusal, no document");
    bv_refusal_free(refusal);
    bv_refusal_free(NULL);
    return tap_done();
}
