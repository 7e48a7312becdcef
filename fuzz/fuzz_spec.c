/* fuzz/fuzz_spec.c - any bytes: a spec that parses is good, and its document reads back to the same document.
 *
 * A refusal must say so in one line, leave no spec behind, and be a refusal of the document, not of memory. */
#include <bvisor/spec.h>

#include "check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    enum bv_status status = bv_spec_parse((const char *)data, size, &spec, &error);
    FUZZ_CHECK(status == BV_OK || status == BV_E_INVALID);
    FUZZ_CHECK(error.status == status);
    if (status != BV_OK) {
        FUZZ_CHECK(!spec && error.text[0] && !strchr(error.text, '\n') &&
                   !strchr(error.place, '\n'));
        return 0;
    }
    FUZZ_CHECK(bv_spec_check(spec, &error) == BV_OK);
    char *first = NULL, *second = NULL;
    struct bv_spec *back = NULL;
    /* Defaults written out may push a document of nearly 1 MiB over the limit; that, too, must be said. */
    status = bv_spec_json(spec, &first, &error);
    FUZZ_CHECK(status == BV_OK || (status == BV_E_INVALID && size > BV_SPEC_MAX_BYTES / 8));
    if (status == BV_OK) {
        FUZZ_CHECK(bv_spec_parse(first, strlen(first), &back, &error) == BV_OK);
        FUZZ_CHECK(bv_spec_json(back, &second, &error) == BV_OK);
        FUZZ_CHECK(strcmp(first, second) == 0);
        FUZZ_CHECK(memcmp(spec->budgets, back->budgets, sizeof(spec->budgets)) == 0);
        FUZZ_CHECK(spec->require_evidence == back->require_evidence);
    }
    bv_free(first);
    bv_free(second);
    bv_spec_free(spec);
    bv_spec_free(back);
    return 0;
}
