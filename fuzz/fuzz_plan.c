/* fuzz/fuzz_plan.c - any bytes as a saved plan: what reads is a plan whose spec is sound, and nothing else reads.
 *
 * The bytes are tried as they are, and, because no mutation survives the hash, once more with the plan_id
 * that fits what they say: that is what a forger would hand in. */
#include "contract/contract.h"

#include "check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads; a plan must give a spec that checks, writes, and hashes to what the document says. */
static enum bv_status read_plan(const char *text, size_t size)
{
    struct bv_error error = { 0 };
    struct bv_saved_plan saved = { 0 };
    enum bv_status status = bv_plan_read(text, size, &saved, &error);
    FUZZ_CHECK(status == BV_OK || status == BV_E_INVALID || status == BV_E_CORRUPT);
    FUZZ_CHECK(error.status == status);
    if (status != BV_OK) {
        FUZZ_CHECK(!saved.spec && error.text[0] && !strchr(error.text, '\n') &&
                   !strchr(error.place, '\n'));
        return status;
    }
    struct bv_buf spec;
    char digest[BV_DIGEST_TEXT_SIZE];
    FUZZ_CHECK(bv_spec_check(saved.spec, &error) == BV_OK);
    bv_buf_init(&spec, BV_PLAN_MAX_BYTES);
    bv_spec_emit(&spec, saved.spec);
    FUZZ_CHECK(bv_emit_digest(&spec, digest) && memmem(text, size, digest, strlen(digest)));
    FUZZ_CHECK(strlen(saved.plan_id) == 71 && strlen(saved.profile_hash) == 71 && saved.backend[0]);
    bv_buf_done(&spec);
    bv_spec_free(saved.spec);
    return status;
}

/* Gives the document the id that it should have; what else is wrong with it then decides. */
static void read_forged(json_t *root)
{
    char digest[BV_DIGEST_TEXT_SIZE];
    (void)json_object_del(root, "plan_id");
    if (bv_json_digest(root, digest) &&
        json_object_set_new(root, "plan_id", json_string(digest)) == 0) {
        char *text = bv_json_text(root, BV_PLAN_MAX_BYTES);
        if (text) {
            (void)read_plan(text, strlen(text));
        }
        bv_free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    (void)read_plan((const char *)data, size);
    if (bv_json_read((const char *)data, size, BV_PLAN_MAX_BYTES, &root, NULL) == BV_OK &&
        json_is_object(root)) {
        read_forged(root);
    }
    json_decref(root);
    return 0;
}
