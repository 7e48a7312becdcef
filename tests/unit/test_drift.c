/* tests/unit/test_drift.c - the words of a drift: every difference by name, with what was and
 * what is. */
#include "run/drift.h"

#include <string.h>

#include "base/error.h"
#include "support/tap.h"

static bool names(const struct bv_refusal *refusal, const char *what, const char *why)
{
    for (size_t i = 0; refusal && i < bv_refusal_count(refusal); i++) {
        if (strcmp(bv_refusal_what(refusal, i), what) == 0) {
            tap_text(bv_refusal_why(refusal, i), why, "the words for %s", what);
            return true;
        }
    }
    return false;
}

static void test_facts(void)
{
    struct bv_refusal *refusal = NULL;
    json_t *planned = json_pack("{ssssss}", "abi", "7", "cgroup", "v2", "same", "x");
    json_t *probed = json_pack("{ssssss}", "abi", "6", "new", "1", "same", "x");
    tap_ok(bv_drift_facts("sim", planned, planned, &refusal, NULL) == BV_OK && !refusal,
           "equal facts are no drift");
    tap_ok(bv_drift_facts("sim", planned, probed, &refusal, NULL) == BV_OK && refusal,
           "different ones are");
    tap_ok(bv_refusal_reason(refusal) == BV_REFUSED_PROFILE_DRIFT && bv_refusal_count(refusal) == 3,
           "each is one item");
    tap_ok(names(refusal, "abi", "was 7 when it was planned, is 6 now"), "a changed one");
    tap_ok(names(refusal, "cgroup", "was v2 when it was planned, is absent now"), "one that went");
    tap_ok(names(refusal, "new", "was absent when it was planned, is 1 now"), "one that came");
    bv_refusal_free(refusal);
    json_decref(planned);
    json_decref(probed);
}

static void test_workload(void)
{
    static struct bv_workload_identity a, b; /* large */
    struct bv_refusal *refusal = NULL;
    a.known = b.known = true;
    bv_copy_text(a.digest, sizeof(a.digest), "sha256:1");
    bv_copy_text(a.interpreter_digest, sizeof(a.interpreter_digest), "sha256:2");
    b = a;
    b.ino = 5;
    b.mtime_sec = 7;
    tap_ok(bv_drift_workload("sim", &a, &b, &refusal, NULL) == BV_OK && !refusal,
           "another file with the same bytes is no drift");
    bv_copy_text(b.interpreter_digest, sizeof(b.interpreter_digest), "sha256:3");
    bv_copy_text(b.path, sizeof(b.path), "/\xff");
    tap_ok(bv_drift_workload("sim", &a, &b, &refusal, NULL) == BV_OK &&
               bv_refusal_count(refusal) == 2,
           "another interpreter and path are");
    tap_ok(
        names(refusal, "interpreter digest", "was sha256:2 when it was planned, is sha256:3 now"),
        "the interpreter");
    tap_ok(names(refusal, "workload path",
                 "was absent when it was planned, is (a name that is not UTF-8) now"),
           "a path that no document holds");
    bv_refusal_free(refusal);
}

int main(void)
{
    test_facts();
    test_workload();
    return tap_done();
}
