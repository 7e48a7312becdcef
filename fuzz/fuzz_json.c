/* fuzz/fuzz_json.c - any bytes: the strict reader against jansson's, and the canonical form against both.
 *
 * What the strict reader takes, jansson takes with an equal value. What jansson takes and the strict reader does not must
 * be outside the restricted form: a number that is no integer within +-(2^53-1), or too deep; or it holds a raw NUL,
 * which jansson passes over where it looked ahead. The canonical form, where there is one, reads back to an equal value
 * and is its own canonical form. */
#include "canon/canon.h"

#include "check.h"

#include <bvisor/limits.h>
#include <string.h>

#define DOCUMENT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_restricted(const json_t *value, unsigned depth)
{
    if (json_is_real(value)) {
        return false;
    }
    if (json_is_integer(value)) {
        return json_integer_value(value) <= BV_JSON_MAX_INTEGER &&
               json_integer_value(value) >= -BV_JSON_MAX_INTEGER;
    }
    if ((json_is_array(value) || json_is_object(value)) && depth >= BV_JSON_MAX_DEPTH) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!is_restricted(json_array_get(value, i), depth + 1)) {
            return false;
        }
    }
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        if (!is_restricted(json_object_iter_value(iter), depth + 1)) {
            return false;
        }
    }
    return true;
}

static void check_canonical(const json_t *value)
{
    char *text = bv_json_text(value, 8 * DOCUMENT_MAX);
    if (!text) {
        return; /* U+007F or a key that is not ASCII */
    }
    json_t *back = NULL;
    FUZZ_CHECK(bv_json_read(text, strlen(text), 8 * DOCUMENT_MAX, &back, NULL) == BV_OK);
    FUZZ_CHECK(json_equal(value, back));
    char *again = bv_json_text(back, 8 * DOCUMENT_MAX);
    FUZZ_CHECK(again && strcmp(text, again) == 0);
    bv_free(text);
    bv_free(again);
    json_decref(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bv_error error = { 0 };
    json_t *ours = NULL;
    enum bv_status status = bv_json_read((const char *)data, size, DOCUMENT_MAX, &ours, &error);
    json_t *theirs =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    FUZZ_CHECK(status == error.status && (status == BV_OK || status == BV_E_INVALID) &&
               (status == BV_OK) == (ours != NULL));
    if (ours) {
        FUZZ_CHECK(theirs && json_equal(ours, theirs));
        check_canonical(ours);
    } else {
        FUZZ_CHECK(error.text[0]);
        FUZZ_CHECK(!theirs || size > DOCUMENT_MAX || memchr(data, 0, size) ||
                   !is_restricted(theirs, 0));
    }
    json_decref(ours);
    json_decref(theirs);
    return 0;
}
