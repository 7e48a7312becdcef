/* tests/unit/test_spec.c - the public face: hostile texts, truncation, sizes, round trips, the schema. */
#include <bvisor/spec.h>

#include "contract/contract.h"
#include "support/spec_text.h"
#include "support/tap.h"

static void test_truncated(void)
{
    size_t size = strlen(full_spec);
    while (full_spec[size - 1] != '}') {
        size--; /* white space after the document may go without harm */
    }
    size_t refused = 0, described = 0;
    for (size_t cut = 0; cut < size; cut++) {
        /* A copy of exactly that size, so that a sanitizer sees a read past it. */
        char *text = malloc(cut ? cut : 1);
        if (!text) {
            abort();
        }
        memcpy(text, full_spec, cut);
        struct bv_error error = { 0 };
        struct bv_spec *spec = NULL;
        refused += bv_spec_parse(text, cut, &spec, &error) == BV_E_INVALID && !spec;
        described +=
            strncmp(error.place, "line ", 5) == 0 && error.text[0] && !strchr(error.text, '\n');
        free(text);
    }
    tap_ok(refused == size, "cut after any of its %zu bytes, a spec is refused", size);
    tap_ok(described == size, "always with line, column and one line of reason");
}

/* Any one byte changed to any of a few others: refused, or a spec that is written and read back the same. */
static void test_flipped(void)
{
    static const char others[] = { '\0', '"', '}', '0', (char)0xff };
    size_t size = strlen(full_spec);
    bool good = true;
    for (size_t at = 0; at < size && good; at++) {
        for (size_t i = 0; i < sizeof(others) && good; i++) {
            char text[sizeof(full_spec)];
            memcpy(text, full_spec, sizeof(text));
            text[at] = others[i];
            struct bv_error error = { 0 };
            struct bv_spec *spec = NULL, *back = NULL;
            char *first = NULL, *second = NULL;
            enum bv_status status = bv_spec_parse(text, size, &spec, &error);
            good = status == BV_OK
                       ? bv_spec_json(spec, &first, NULL) == BV_OK &&
                             bv_spec_parse(first, strlen(first), &back, NULL) == BV_OK &&
                             bv_spec_json(back, &second, NULL) == BV_OK &&
                             strcmp(first, second) == 0
                       : status == BV_E_INVALID && error.text[0];
            bv_spec_free(spec);
            bv_spec_free(back);
            bv_free(first);
            bv_free(second);
        }
    }
    tap_ok(good, "any byte changed: an error, or a spec that reads back the same");
}

static void test_hostile(void)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    size_t deep = 200000;
    char *text = malloc(deep);
    if (!text) {
        abort();
    }
    memset(text, '[', deep);
    tap_ok(bv_spec_parse(text, deep, &spec, &error) == BV_E_INVALID &&
               strstr(error.text, "nested deeper"),
           "200000 nested arrays: %s", error.text);
    free(text);
    text = malloc(BV_SPEC_MAX_BYTES + 1);
    if (!text) {
        abort();
    }
    memset(text, ' ', BV_SPEC_MAX_BYTES + 1);
    memcpy(text, small_spec, sizeof(small_spec) - 1);
    error = (struct bv_error){ 0 };
    tap_ok(bv_spec_parse(text, BV_SPEC_MAX_BYTES + 1, &spec, &error) == BV_E_INVALID &&
               strstr(error.text, "more than the 1048576 allowed"),
           "over 1 MiB: %s", error.text);
    tap_ok(bv_spec_parse(text, BV_SPEC_MAX_BYTES, &spec, NULL) == BV_OK, "exactly 1 MiB is read");
    bv_spec_free(spec);
    free(text);
    error = (struct bv_error){ 0 };
    tap_ok(bv_spec_parse("hello", 5, &spec, &error) == BV_E_INVALID, "not JSON: %s: %s",
           error.place, error.text);
    tap_ok(bv_spec_parse(NULL, 0, &spec, NULL) == BV_E_INVALID &&
               bv_spec_parse("{}", 2, NULL, NULL) == BV_E_INVALID,
           "NULL arguments");
}

/* Documents whose structs are far larger than they: refused by a cap, never by memory. */
static void test_amplification(void)
{
    static const struct {
        const char *find, *item, *why;
    } lists[] = {
        { "\"/srv/job/job.py\", \"\", \"\\u00e9\\n\"", "\"\",", "more than 4096 arguments" },
        { "3, 7", "7,", "more than 64" },
        { "{ \"launch_workload\": {} }", "{\"list_outputs\":{}},", "more than 128 controls" },
        { "{ \"child_spawn\": { \"policy\": \"allow_threads\" } }",
          "{\"child_spawn\":{\"policy\":\"allow_threads\"}},", "more than 256 capabilities" },
        { "\"/srv/job\", \"/srv/more\"", "\"/\",", "more than 256 roots" },
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct bv_buf buf;
        bv_buf_init(&buf, (size_t)1 << 20);
        while (buf.size < ((size_t)1 << 20) - 8192) {
            (void)bv_buf_text(&buf, lists[i].item);
        }
        buf.data[buf.size - 1] = ' '; /* the last comma */
        char *list = bv_buf_take(&buf);
        char *text = list ? edit_spec(full_spec, lists[i].find, list) : NULL;
        struct bv_error error = { 0 };
        struct bv_spec *spec = NULL;
        tap_ok(text && bv_spec_parse(text, strlen(text), &spec, &error) == BV_E_INVALID &&
                   strstr(error.text, lists[i].why),
               "1 MiB of %s -> %s: %s", lists[i].item, error.place, error.text);
        bv_spec_free(spec);
        free(list);
        free(text);
    }
}

/* A spec that a program filled to the caps does not fit a document, and says so. */
static void test_too_large_to_write(void)
{
    static char path[BV_PATH_MAX_BYTES + 1];
    static const char *roots[BV_ROOTS_MAX];
    for (size_t i = 0; i < BV_PATH_MAX_BYTES; i++) {
        path[i] = i % 200 == 0 ? '/' : '\x01';
    }
    for (size_t i = 0; i < BV_ROOTS_MAX; i++) {
        roots[i] = path;
    }
    struct bv_capability capability = {
        .kind = BV_CAP_FILESYSTEM, .u.filesystem = { .roots = roots, .root_count = BV_ROOTS_MAX }
    };
    struct bv_spec spec = { .workload = { .path = "/bin/true" },
                            .capabilities = &capability,
                            .capability_count = 1 };
    struct bv_error error = { 0 };
    char *text = NULL;
    tap_ok(bv_spec_check(&spec, &error) == BV_OK, "256 roots of 4095 bytes are good %s %s",
           error.place, error.text);
    tap_ok(bv_spec_json(&spec, &text, &error) == BV_E_INVALID && !text &&
               strstr(error.text, "more than the 1048576 allowed"),
           "but do not fit a document: %s", error.text);
    tap_ok(bv_spec_json(&spec, NULL, NULL) == BV_E_INVALID, "no place for the text");
}

static void test_schema(void)
{
    const char *text = bv_spec_schema();
    json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    tap_ok(json_is_object(schema), "the schema is a JSON object");
    tap_text(json_string_value(json_object_get(schema, "$schema")),
             "https://json-schema.org/draft/2020-12/schema", "of draft 2020-12");
    const json_t *budgets = json_object_get(json_object_get(schema, "$defs"), "budgets");
    const json_t *seven =
        json_object_get(json_array_get(json_object_get(budgets, "oneOf"), 0), "required");
    bool same = json_array_size(seven) == BV_DIMENSION_COUNT;
    for (size_t i = 0; i < BV_DIMENSION_COUNT && same; i++) {
        same = strcmp(json_string_value(json_array_get(seven, i)),
                      bv_dimension_name((enum bv_dimension)i)) == 0;
    }
    tap_ok(same, "it names the seven budgets");
    const json_t *claims = json_object_get(
        json_object_get(json_object_get(json_object_get(schema, "$defs"), "claims"), "items"),
        "enum");
    same = json_array_size(claims) == BV_CLAIM_COUNT;
    for (size_t i = 0; i < BV_CLAIM_COUNT && same; i++) {
        same = strcmp(json_string_value(json_array_get(claims, i)),
                      bv_claim_name((enum bv_claim)(1u << i))) == 0;
    }
    tap_ok(same, "and the ten claims");
    json_decref(schema);
}

int main(void)
{
    test_truncated();
    test_flipped();
    test_hostile();
    test_amplification();
    test_too_large_to_write();
    test_schema();
    return tap_done();
}
