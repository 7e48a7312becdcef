/* fuzz/fuzz_report.c - any bytes as a report: what verifies is canonical text with the hash of its own body, and stops verifying when changed.
 *
 * The bytes are tried as they are, and once more in canonical form with the body_hash that fits, so that mutations reach
 * what lies behind the seal. */
#include "contract/contract.h"

#include "check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(const char *text, size_t size)
{
    struct bv_error error = { 0 };
    enum bv_status status = bv_report_verify(text, size, &error);
    FUZZ_CHECK(status == BV_OK || status == BV_E_INVALID || status == BV_E_CORRUPT);
    FUZZ_CHECK(error.status == status);
    if (status != BV_OK) {
        FUZZ_CHECK(error.text[0] && !strchr(error.text, '\n') && !strchr(error.place, '\n'));
        return;
    }
    /* An oracle of its own: read, hash the body, compare. */
    json_t *root = NULL;
    char digest[BV_DIGEST_TEXT_SIZE];
    FUZZ_CHECK(bv_json_read(text, size, BV_REPORT_MAX_BYTES, &root, &error) == BV_OK);
    FUZZ_CHECK(bv_json_digest(json_object_get(root, "body"), digest));
    FUZZ_CHECK(strcmp(digest, json_string_value(json_object_get(root, "body_hash"))) == 0);
    json_decref(root);
    char *changed = malloc(size);
    FUZZ_CHECK(changed);
    memcpy(changed, text, size);
    changed[size / 2] = (char)(changed[size / 2] ^ 1);
    /* Outside the seal lie only a signature's and a disposition's words, of which any may be another. */
    FUZZ_CHECK(bv_report_verify(changed, size, NULL) != BV_OK ||
               memmem(text, size, "\"disposition\":[{", 16) ||
               memmem(text, size, "\"signature\":{", 13));
    free(changed);
}

static void verify_resealed(json_t *root)
{
    char digest[BV_DIGEST_TEXT_SIZE];
    if (bv_json_digest(json_object_get(root, "body"), digest) &&
        json_object_set_new(root, "body_hash", json_string(digest)) == 0) {
        char *text = bv_json_text(root, BV_REPORT_MAX_BYTES);
        if (text) {
            verify(text, strlen(text));
        }
        bv_free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    verify((const char *)data, size);
    if (bv_json_read((const char *)data, size, BV_REPORT_MAX_BYTES, &root, NULL) == BV_OK &&
        json_object_get(root, "body")) {
        verify_resealed(root);
    }
    json_decref(root);
    return 0;
}
