/* tests/unit/test_read.c - the strict reader: what it takes, and where and why it refuses the rest. */
#include "canon/canon.h"

#include "support/tap.h"

#include <bvisor/limits.h>

#define DOCUMENT_MAX ((size_t)1 << 20)

static enum bv_status read_text(const char *text, size_t size, struct bv_error *error)
{
    json_t *root = NULL;
    *error = (struct bv_error){ 0 };
    enum bv_status status = bv_json_read(text, size, DOCUMENT_MAX, &root, error);
    if ((status == BV_OK) != (root != NULL)) {
        tap_ok(false, "an output on success and only then: %s", text);
    }
    json_decref(root);
    return status;
}

static void test_good(void)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n[ ] \n",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "9007199254740991",
        "-9007199254740991",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\uD83D\\ude00\"",
        "[1,2,[3,{\"a\":[]}]]",
        "{\"a\":{\"b\":{}},\"c\":[{}]}",
        "{\"\":1}",
        "{\"\xc3\xa9\":1}",
        "\"\x7f\"",
        "[[],[],{}]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bv_error error;
        enum bv_status status = read_text(texts[i], strlen(texts[i]), &error);
        tap_ok(status == BV_OK && error.status == BV_OK, "good: %s %s %s", texts[i], error.place,
               error.text);
    }
    json_t *root = NULL;
    struct bv_error error = { 0 };
    static const char text[] = "{\"k\":[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\",-12,true,null]}";
    if (tap_ok(bv_json_read(text, sizeof(text) - 1, DOCUMENT_MAX, &root, &error) == BV_OK,
               "values are read")) {
        const json_t *list = json_object_get(root, "k");
        tap_text(json_string_value(json_array_get(list, 0)),
                 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "escapes of every length");
        tap_ok(json_integer_value(json_array_get(list, 1)) == -12 &&
                   json_is_true(json_array_get(list, 2)) && json_is_null(json_array_get(list, 3)),
               "number, true, null");
        json_decref(root);
    }
}

static const struct {
    const char *text, *place, *why;
} faults[] = {
    { "", "line 1 column 1", "the text ends where a value is expected" },
    { "  ", "line 1 column 3", "the text ends where a value is expected" },
    { "nul", "line 1 column 1", "expected a value" },
    { "NaN", "line 1 column 1", "expected a value" },
    { "{\"a\": NaN}", "line 1 column 7", "expected a value" },
    { "[Infinity]", "line 1 column 2", "expected a value" },
    { "[-Infinity]", "line 1 column 3", "a number needs a digit" },
    { "[-]", "line 1 column 3", "a number needs a digit" },
    { "[01]", "line 1 column 2", "must not begin with 0" },
    { "[-00]", "line 1 column 3", "must not begin with 0" },
    { "[+1]", "line 1 column 2", "expected a value" },
    { "[1e3]", "/0", "without fraction or exponent" },
    { "{\"a\": {\"b\": [0, 1.5]}}", "/a/b/1", "without fraction or exponent" },
    { "{\"a/~\": 1E3}", "/a~1~0", "without fraction or exponent" },
    { "{\"limit\": 18446744073709551616}", "/limit", "number out of range" },
    { "{\"limit\": 9007199254740992}", "/limit", "number out of range" },
    { "{\"limit\": -9007199254740992}", "/limit", "number out of range" },
    { "[9223372036854775808]", "/0", "number out of range" },
    { "[99999999999999999999999999999999999999999999999999]", "/0", "number out of range" },
    { "{\"a\": 1, \"b\": 2, \"a\": 3}", "/a", "duplicate key" },
    { "{\"x\": [{\"a\": 1, \"\\u0061\": 1}]}", "/x/0/a", "duplicate key" },
    { "{\"a\": \"x\\u0000y\"}", "/a", "must not hold NUL" },
    { "{\"a\\u0000\": 1}", "", "must not hold NUL" },
    { "[1,\n 2,\n  x]", "line 3 column 3", "expected a value" },
    { "[\"\xc3\xa9\xc3\xa9\", x]", "line 1 column 8", "expected a value" },
    { "{} {}", "line 1 column 4", "bytes after the document" },
    { "[]]", "line 1 column 3", "bytes after the document" },
    { "[1,]", "line 1 column 4", "expected a value" },
    { "[1 2]", "line 1 column 4", "expected ',' or ']'" },
    { "{\"a\":1,}", "line 1 column 8", "expected a member name" },
    { "{\"a\":1 \"b\":2}", "line 1 column 8", "expected ',' or '}'" },
    { "{a:1}", "line 1 column 2", "expected a member name" },
    { "{'a':1}", "line 1 column 2", "expected a member name" },
    { "{\"a\" 1}", "line 1 column 6", "expected ':'" },
    { "{\"a\"", "line 1 column 5", "expected ':'" },
    { "[", "line 1 column 2", "the text ends where a value is expected" },
    { "[1", "line 1 column 3", "the text ends within an array" },
    { "{", "line 1 column 2", "expected a member name" },
    { "{\"a\":1", "line 1 column 7", "the text ends within an object" },
    { "\"abc", "line 1 column 5", "the text ends within a string" },
    { "\"abc\\", "line 1 column 6", "unknown escape" },
    { "\"\\x\"", "line 1 column 3", "unknown escape" },
    { "\"\\u12g4\"", "line 1 column 6", "four hex digits" },
    { "\"\\u12", "line 1 column 6", "four hex digits" },
    { "\"\\ud800\"", "line 1 column 8", "half of a surrogate pair" },
    { "\"\\ud800\\u0041\"", "line 1 column 14", "half of a surrogate pair" },
    { "\"\\udc00\"", "line 1 column 8", "half of a surrogate pair" },
    { "\"a\nb\"", "line 1 column 3", "control character" },
    { "\"a\tb\"", "line 1 column 3", "control character" },
    { "\"\xff\"", "line 1 column 2", "not UTF-8" },
    { "\"\xc0\x80\"", "line 1 column 2", "not UTF-8" },
    { "\"\xed\xa0\x80\"", "line 1 column 2", "not UTF-8" },
    { "\"\xc3", "line 1 column 2", "not UTF-8" },
    { "{\"\xff\":1}", "line 1 column 3", "not UTF-8" },
    { "\xef\xbb\xbf{}", "line 1 column 1", "expected a value" },
    { "[1] // x", "line 1 column 5", "bytes after the document" },
    { "hello", "line 1 column 1", "expected a value" },
    { "truex", "line 1 column 5", "bytes after the document" },
};

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct bv_error error;
        enum bv_status status = read_text(faults[i].text, strlen(faults[i].text), &error);
        bool good = status == BV_E_INVALID && strcmp(error.place, faults[i].place) == 0 &&
                    strstr(error.text, faults[i].why);
        tap_ok(good, "bad: %s -> %s: %s", faults[i].text, error.place, error.text);
    }
    struct bv_error error;
    tap_ok(read_text("[\"a\0b\"]", 7, &error) == BV_E_INVALID, "a raw NUL in a string");
    tap_ok(read_text("[]\0", 3, &error) == BV_E_INVALID, "a NUL after the document");
    tap_ok(read_text("\0[]", 3, &error) == BV_E_INVALID, "a NUL before the document");
    tap_ok(bv_json_read(NULL, 0, 1, NULL, NULL) == BV_E_INVALID,
           "no text, no output, no error record");
    json_t *root = NULL;
    error = (struct bv_error){ 0 };
    tap_ok(bv_json_read("[1, 2]", 6, 5, &root, &error) == BV_E_INVALID &&
               strstr(error.text, "more than the 5 allowed"),
           "over the size");
    tap_ok(bv_json_read("[1, 2]", 6, 6, &root, NULL) == BV_OK, "exactly the size");
    json_decref(root);
}

static char *nested(char open, char close, size_t depth, size_t *ret_size)
{
    char *text = malloc(2 * depth);
    if (!text) {
        abort();
    }
    memset(text, open, depth);
    memset(text + depth, close, depth);
    *ret_size = 2 * depth;
    return text;
}

static void test_depth(void)
{
    struct bv_error error;
    size_t size;
    char *text = nested('[', ']', BV_JSON_MAX_DEPTH, &size);
    tap_ok(read_text(text, size, &error) == BV_OK, "%d levels are read", BV_JSON_MAX_DEPTH);
    free(text);
    text = nested('[', ']', BV_JSON_MAX_DEPTH + 1, &size);
    tap_ok(read_text(text, size, &error) == BV_E_INVALID &&
               strstr(error.text, "nested deeper than 32 levels"),
           "one more is not: %s", error.text);
    tap_ok(strncmp(error.place, "/0/0/0", 6) == 0, "the place is a pointer");
    free(text);
    text = nested('[', ']', 200000, &size);
    tap_ok(read_text(text, size, &error) == BV_E_INVALID && strstr(error.text, "nested deeper"),
           "200000 nested arrays");
    tap_ok(read_text(text, 200000, &error) == BV_E_INVALID && strstr(error.text, "nested deeper"),
           "200000 open brackets");
    free(text);
    struct bv_buf buf;
    bv_buf_init(&buf, DOCUMENT_MAX);
    for (int i = 0; i < 100000; i++) {
        (void)bv_buf_text(&buf, "{\"a\":");
    }
    tap_ok(read_text(buf.data, buf.size, &error) == BV_E_INVALID &&
               strstr(error.text, "nested deeper"),
           "100000 nested objects");
    bv_buf_done(&buf);
}

/* Whatever jansson takes and the restricted form allows is taken, with the same value. */
static void test_like_jansson(void)
{
    static const char text[] =
        "{\"a\": [1, -2, \"x\\u00e9\\ud83d\\ude00\\n\", null, true, {\"b\": {}}], \"c\": \"\\/\"}";
    json_t *ours = NULL;
    json_t *theirs =
        json_loadb(text, sizeof(text) - 1, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    tap_ok(bv_json_read(text, sizeof(text) - 1, DOCUMENT_MAX, &ours, NULL) == BV_OK &&
               json_equal(ours, theirs),
           "the same tree as jansson's");
    json_decref(ours);
    json_decref(theirs);
}

int main(void)
{
    test_good();
    test_faults();
    test_depth();
    test_like_jansson();
    return tap_done();
}
