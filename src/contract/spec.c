/* contract/spec.c - the public face of specs: parse, check, write, schema.
 *
 * A spec has one meaning whether a program filled it or a document wrote it: bv_spec_parse() is the reader followed by
 * the same bv_spec_check() that a program's own spec goes through. What is well-formed but contradictory is no error
 * here; the planner refuses it (CONTRACT.md 8). */
#include <bvisor/spec.h>

#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"
#include "contract/spec_parts.h"

#include <string.h>

enum bv_status bv_spec_parse(const char *text, size_t size, struct bv_spec **ret_spec,
                             struct bv_error *error)
{
    if (!ret_spec) {
        return bv_fail(error, BV_E_INVALID, NULL, "no place for the spec given");
    }
    json_t *root = NULL;
    enum bv_status status = bv_json_read(text, size, BV_SPEC_MAX_BYTES, &root, error);
    if (status != BV_OK) {
        return status;
    }
    status = bv_spec_from_json(root, "", ret_spec, error);
    json_decref(root);
    return status;
}

enum bv_status bv_spec_check(const struct bv_spec *spec, struct bv_error *error)
{
    if (!spec) {
        return bv_fail(error, BV_E_INVALID, NULL, "no spec given");
    }
    return bv_spec_check_below(spec, "", error);
}

enum bv_status bv_spec_json(const struct bv_spec *spec, char **ret_text, struct bv_error *error)
{
    if (!ret_text) {
        return bv_fail(error, BV_E_INVALID, NULL, "no place for the text given");
    }
    enum bv_status status = bv_spec_check(spec, error);
    if (status != BV_OK) {
        return status;
    }
    /* A checked spec is within the caps of limits.h, which keep even a fully escaped text below this bound: what is left
     * to fail is memory. */
    struct bv_buf buf;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_spec_emit(&buf, spec);
    char *text = bv_buf_take(&buf);
    if (!text) {
        return bv_fail_nomem(error);
    }
    size_t size = strlen(text);
    if (size > BV_SPEC_MAX_BYTES) { /* bv_spec_parse() would refuse it */
        bv_free(text);
        return bv_fail(error, BV_E_INVALID, NULL,
                       "written out, the spec has %zu bytes, more than the %u allowed", size,
                       BV_SPEC_MAX_BYTES);
    }
    *ret_text = text;
    return BV_OK;
}

const char *bv_spec_schema(void)
{
    return bv_spec_schema_text;
}
