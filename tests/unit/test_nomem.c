/* tests/unit/test_nomem.c - every allocation fails once: parse, check and write answer BV_E_NOMEM and leak nothing.
 *
 * The linker sends malloc, calloc, realloc and strdup of everything in this program, jansson included, through the wrappers
 * below (--wrap). Under the leak sanitizer a forgotten block ends the test. */
#include "contract/contract.h"

#include "support/spec_text.h"
#include "support/tap.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static size_t allocations, failing; /* failing 0: none fails */
static bool failing_on;             /* all after the failing one fail, too */

static bool fails(void)
{
    allocations++;
    return failing > 0 && (allocations == failing || (failing_on && allocations > failing));
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* parse and write once; *ret_text only on success. */
static enum bv_status round_trip(const char *text, char **ret_text, struct bv_error *error)
{
    struct bv_spec *spec = NULL;
    enum bv_status status = bv_spec_parse(text, strlen(text), &spec, error);
    if (status == BV_OK) {
        status = bv_spec_json(spec, ret_text, error);
    }
    bv_spec_free(spec);
    return status;
}

/* Fails allocation 1, 2, 3 ... of reading and writing text, until none is left to fail. */
static void torture(const char *text, const char *wanted, bool all_after, const char *name)
{
    bool good = true;
    size_t rounds = 0;
    for (size_t nth = 1;; nth++) {
        struct bv_error error = { 0 };
        char *written = NULL;
        allocations = 0;
        failing = nth;
        failing_on = all_after;
        enum bv_status status = round_trip(text, &written, &error);
        failing = 0;
        bool ended = allocations < nth;
        /* What a failure left must be a failure: a text that differs by a byte would be worse than none. */
        good = good && (status == BV_OK ? written && strcmp(written, wanted) == 0 && ended
                                        : status == BV_E_NOMEM && error.status == BV_E_NOMEM &&
                                              !written && !ended);
        bv_free(written);
        if (ended || !good) {
            rounds = nth;
            break;
        }
    }
    tap_ok(good && rounds > 20, "%s: allocation 1 to %zu fails%s", name, rounds,
           all_after ? ", and all after it" : "");
}

/* The same for a text that is refused: no failure turns a refusal into anything but BV_E_NOMEM. */
static void torture_fault(const char *text, const char *name)
{
    bool good = true;
    size_t nth = 0;
    do {
        struct bv_error error = { 0 };
        struct bv_spec *spec = NULL;
        allocations = 0;
        failing = ++nth;
        failing_on = false;
        enum bv_status status = bv_spec_parse(text, strlen(text), &spec, &error);
        failing = 0;
        good = !spec && status == (allocations < nth ? BV_E_INVALID : BV_E_NOMEM);
    } while (good && allocations >= nth);
    tap_ok(good, "%s: %zu allocations", name, nth);
}

/* A string of many escapes grows the decoder's buffer byte by byte: none may be lost. */
static char *long_escapes(void)
{
    struct bv_buf buf;
    bv_buf_init(&buf, (size_t)1 << 20);
    for (int i = 0; i < 3000; i++) {
        (void)bv_buf_text(&buf, i % 3 ? "a" : "\\u00e9");
    }
    char *list = bv_buf_take(&buf);
    char *text = list ? edit_spec(full_spec, "C.UTF-8", list) : NULL;
    free(list);
    return text;
}

int main(void)
{
    char *wanted = NULL;
    struct bv_error error = { 0 };
    (void)round_trip(full_spec, &wanted, &error);
    tap_ok(wanted != NULL, "without a failure it works");
    torture(full_spec, wanted, false, "the full spec");
    torture(full_spec, wanted, true, "the full spec");
    bv_free(wanted);
    wanted = NULL;
    char *text = long_escapes();
    (void)round_trip(text, &wanted, &error);
    torture(text, wanted, false, "a long string");
    bv_free(wanted);
    free(text);
    text = edit_spec(full_spec, "\"limit\": 0", "\"limit\": -1");
    torture_fault(text, "a value out of range");
    free(text);
    text = edit_spec(full_spec, "\"/srv/more\"", "\"/\"");
    torture_fault(text, "a root that is /");
    free(text);
    text = edit_spec(full_spec, "\"require\": [", "\"require\": [[");
    torture_fault(text, "a syntax error near the end");
    free(text);
    return tap_done();
}
