/* tests/unit/test_matrix.c - the probe document: every row of the matrix and every budget, judged as the planner judges. */
#include "contract/contract.h"

#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;

static json_t *probe(void)
{
    struct bv_snapshot *facts = bv_snapshot_new();
    json_t *document = NULL;
    if (bv_snapshot_set(facts, "fake.level", "3", NULL) == BV_OK) {
        document = bv_probe_document(&fake_ops, &fake, facts);
    }
    bv_snapshot_free(facts);
    return document;
}

int main(void)
{
    char path[64];
    fake_init(&fake);
    fake.ceiling[BV_REQ_KILL] = (struct bv_verdict){
        .enforcement = BV_MEDIATED, .evidence = 0, .why = "no cgroup", .remedy = "delegate one"
    };
    fake.best[BV_REQ_COMMIT_ARTIFACT] =
        (struct bv_verdict){ .enforcement = BV_UNSUPPORTED, .why = "no staging yet" };
    json_t *document = probe();
    tap_ok(document != NULL, "a document");
    tap_text(text_at(document, "schema"), "bvisor.probe/1", "schema");
    tap_text(text_at(document, "backend"), "fake", "backend");
    tap_text(text_at(document, "probed/fake.level"), "3", "facts");
    tap_ok(strncmp(text_at(document, "profile_hash"), "sha256:", 7) == 0, "profile hash");
    tap_ok(json_array_size(json_object_get(document, "matrix")) == BV_REQUIREMENT_KIND_COUNT,
           "18 rows");
    bool named = true;
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        (void)snprintf(path, sizeof(path), "matrix/%u/kind", kind);
        named = named && strcmp(text_at(document, path),
                                bv_requirement_name((enum bv_requirement_kind)kind)) == 0;
    }
    tap_ok(named, "in the order of the contract");
    tap_text(text_at(document, "matrix/0/enforcement"), "enforced", "a verdict");
    tap_text(text_at(document, "matrix/0/mechanism"), "fake:filesystem", "its mechanism");
    tap_ok(json_array_size(tree_at(document, "matrix/0/evidence")) == BV_CLAIM_COUNT,
           "its evidence");
    tap_text(text_at(document, "matrix/16/enforcement"), "mediated", "met with the ceiling");
    tap_text(text_at(document, "matrix/16/remedy"), "delegate one", "with its remedy");
    tap_text(text_at(document, "matrix/14/enforcement"), "unsupported", "what is not held");
    tap_text(text_at(document, "matrix/14/why"), "no staging yet", "and why");
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        (void)snprintf(path, sizeof(path), "budget/%s/mechanism",
                       bv_dimension_name((enum bv_dimension)d));
        tap_ok(text_at(document, path)[0], "budget %s", bv_dimension_name((enum bv_dimension)d));
    }
    tap_text(text_at(document, "budget/wall_micros/guarantee"), "mediated", "a guarantee");
    tap_ok(json_integer_value(tree_at(document, "budget/resident_bytes/floor")) == 4096, "a floor");
    char *text = bv_json_text(document, BV_PLAN_MAX_BYTES);
    tap_ok(text != NULL, "it has a canonical form");
    bv_free(text);
    json_decref(document);
    return tap_done();
}
