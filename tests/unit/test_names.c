/* tests/unit/test_names.c - every word of the documents, and the way back. */
#include "contract/names.h"

#include "support/tap.h"

#include <bvisor/report.h>

static void test_table(const struct bv_names *names, size_t count, const char *last,
                       const char *what)
{
    bool good = names->count == count;
    for (size_t i = 0; i < names->count; i++) {
        size_t value = count;
        good = good && bv_name_find(names, bv_name_of(names, i), &value) && value == i;
    }
    size_t untouched = 77;
    good = good && !bv_name_find(names, "", &untouched) && untouched == 77;
    tap_ok(good, "%s: %zu words, each found again", what, count);
    tap_text(bv_name_of(names, count - 1), last, "%s: the last word", what);
    tap_text(bv_name_of(names, count), "invalid", "%s: one past the last", what);
}

static void test_claims(void)
{
    for (unsigned bit = 0; bit < BV_CLAIM_COUNT; bit++) {
        enum bv_claim claim;
        const char *name = bv_claim_name((enum bv_claim)(1u << bit));
        tap_ok(bv_claim_from_name(name, &claim) && (unsigned)claim == 1u << bit, "claim %s", name);
    }
    enum bv_claim claim = BV_CLAIM_PROCESS_TREE;
    tap_ok(!bv_claim_from_name("nothing", &claim) && !bv_claim_from_name(NULL, &claim) &&
               claim == BV_CLAIM_PROCESS_TREE,
           "no claim");
    tap_text(bv_claim_name((enum bv_claim)3), "invalid", "a set of two claims has no name");
    tap_text(bv_claim_name((enum bv_claim)(1 << 10)), "invalid", "nor has a bit past the last");
    tap_text(bv_claim_name(BV_CLAIM_MECHANISM_ATTESTATION), "mechanism_attestation",
             "the last claim");
    enum bv_dimension dimension = BV_CPU_MICROS;
    tap_ok(!bv_dimension_from_name("x", &dimension) && !bv_dimension_from_name(NULL, &dimension) &&
               dimension == BV_CPU_MICROS,
           "no dimension");
    tap_ok(bv_dimension_from_name("network_bytes", &dimension) && dimension == BV_NETWORK_BYTES,
           "the last dimension");
}

/* Every value once, and the words in the order of documents. */
static void test_order(const struct bv_names *names, const unsigned char *order, const char *what)
{
    bool sorted = true;
    for (size_t i = 1; i < names->count; i++) {
        sorted = sorted && order[i] < names->count &&
                 strcmp(names->names[order[i - 1]], names->names[order[i]]) < 0;
    }
    tap_ok(sorted && order[0] < names->count, "the order of %s words", what);
}

int main(void)
{
    test_table(&bv_names_access, 3, "read_write", "access");
    test_table(&bv_names_network, 3, "allow_all", "network");
    test_table(&bv_names_spawn, 3, "allow_descendants", "spawn");
    test_table(&bv_names_durability, 3, "best_effort_durable", "durability");
    test_table(&bv_names_guarantee, 2, "enforced", "guarantee");
    test_table(&bv_names_dimension, BV_DIMENSION_COUNT, "network_bytes", "dimension");
    test_table(&bv_names_claim, BV_CLAIM_COUNT, "mechanism_attestation", "claim");
    test_table(&bv_names_capability, 5, "inherited_fds", "capability");
    test_table(&bv_names_control, 8, "list_outputs", "control");
    test_table(&bv_names_workload, 2, "wasm", "workload");
    test_table(&bv_names_kill, 2, "atomic", "kill");
    test_table(&bv_names_fds, 2, "only", "fds");
    test_order(&bv_names_dimension, bv_dimensions_by_name, "dimension");
    test_order(&bv_names_claim, bv_claims_by_name, "claim");
    test_claims();
    tap_text(bv_requirement_name(BV_REQ_FILESYSTEM), "filesystem", "requirement kinds");
    tap_text(bv_requirement_name(BV_REQ_INHERITED_FDS_ONLY), "inherited_fds_only",
             "requirement kinds");
    tap_text(bv_requirement_name(BV_REQ_LIST_OUTPUTS), "list_outputs", "requirement kinds");
    tap_text(bv_requirement_name((enum bv_requirement_kind)18), "invalid", "no requirement kind");
    tap_text(bv_enforcement_name(BV_UNSUPPORTED), "unsupported", "enforcement");
    tap_text(bv_enforcement_name(BV_ENFORCED), "enforced", "enforcement");
    tap_text(bv_refusal_reason_name(BV_REFUSED_PROFILE_DRIFT), "profile_drift", "refusal reasons");
    tap_text(bv_refusal_reason_name(BV_REFUSED_EVIDENCE_UNSATISFIABLE), "evidence_unsatisfiable",
             "refusal reasons");
    tap_text(bv_outcome_name(BV_OUTCOME_COMPLETED), "completed", "outcomes");
    tap_text(bv_outcome_name(BV_OUTCOME_SUPERVISOR_FAULT), "supervisor_fault", "outcomes");
    tap_text(bv_outcome_name((enum bv_outcome)7), "invalid", "no outcome");
    return tap_done();
}
