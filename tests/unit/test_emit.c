/* tests/unit/test_emit.c - documents written member by member: exact bytes, what the tree writer makes of them, failure that sticks. */
#include "canon/emit.h"

#include "support/tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bv_buf buf;
static struct bv_emit emit;

static void begin(size_t max)
{
    bv_buf_init(&buf, max);
    bv_emit_init(&emit, &buf);
}

static void emit_all_kinds(void)
{
    bv_emit_object(&emit, NULL);
    bv_emit_array(&emit, "a");
    bv_emit_end(&emit);
    bv_emit_array(&emit, "b");
    bv_emit_number(&emit, NULL, 0);
    bv_emit_number(&emit, NULL, BV_JSON_MAX_INTEGER);
    bv_emit_text(&emit, NULL, "[");
    bv_emit_text(&emit, NULL, "\"\\\n\001\303\251");
    bv_emit_bytes(&emit, NULL, "xyz", 2);
    bv_emit_object(&emit, NULL);
    bv_emit_end(&emit);
    bv_emit_object(&emit, NULL);
    bv_emit_bool(&emit, "no", false);
    bv_emit_null(&emit, "nothing");
    bv_emit_bool(&emit, "yes", true);
    bv_emit_end(&emit);
    bv_emit_end(&emit);
    bv_emit_canonical(&emit, "c", "{\"x\":[]}", 8);
    bv_emit_text(&emit, "d", "");
    bv_emit_end(&emit);
}

static void test_bytes(void)
{
    char digest[BV_DIGEST_TEXT_SIZE], again[BV_DIGEST_TEXT_SIZE];
    begin(1000);
    emit_all_kinds();
    tap_ok(!buf.failed, "nothing failed");
    tap_text(buf.data,
             "{\"a\":[],\"b\":[0,9007199254740991,\"[\",\"\\\"\\\\\\n\\u0001\303\251\",\"xy\",{},"
             "{\"no\":false,\"nothing\":null,\"yes\":true}],\"c\":{\"x\":[]},\"d\":\"\"}",
             "every kind of value");
    tap_ok(bv_emit_digest(&buf, digest), "has a digest");
    json_t *tree = bv_emit_tree(&buf);
    tap_ok(tree && bv_json_digest(tree, again) && strcmp(digest, again) == 0,
           "the writer of trees gives the same bytes");
    tap_ok(!buf.data && !buf.size, "the buffer is empty then");
    json_decref(tree);
    begin(10);
    bv_emit_text(&emit, NULL, "a");
    tap_text(buf.data, "\"a\"", "a document may be one text");
    bv_buf_done(&buf);
}

static void test_places(void)
{
    begin(1000);
    tap_ok(bv_emit_object(&emit, NULL) == 0, "the document begins the buffer");
    bv_emit_number(&emit, "a", 12);
    const size_t at = bv_emit_array(&emit, "b");
    bv_emit_end(&emit);
    bv_emit_end(&emit);
    tap_ok(at == strlen("{\"a\":12,\"b\":") && buf.data[at] == '[',
           "where a member's value begins");
    bv_buf_done(&buf);
}

static void test_failure(void)
{
    static const char *const bad[] = { "\177", "\377", "\303", "a\355\240\200" };
    char digest[BV_DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin(100);
        bv_emit_text(&emit, NULL, bad[i]);
        tap_ok(buf.failed, "a text that no document can hold, %zu", i);
        bv_buf_done(&buf);
    }
    begin(100);
    bv_emit_bytes(&emit, NULL, "a\0b", 3);
    tap_ok(buf.failed, "NUL is in no document");
    bv_buf_done(&buf);
    begin(100);
    bv_emit_number(&emit, NULL, BV_JSON_MAX_INTEGER + 1ull);
    tap_ok(buf.failed, "nor is 2^53");
    bv_buf_done(&buf);
    begin(1000);
    emit_all_kinds();
    const size_t whole = buf.size;
    bv_buf_done(&buf);
    bool all = true;
    for (size_t max = 0; max < whole; max++) {
        begin(max);
        emit_all_kinds();
        all = all && buf.failed && !bv_emit_digest(&buf, digest) && !bv_emit_tree(&buf);
    }
    tap_ok(all,
           "a buffer that is too small by any number of bytes fails, and so do digest and tree");
}

/* True when the function ends its process by an assertion. */
static bool traps(void (*function)(void))
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        begin(100);
        bv_emit_object(&emit, NULL);
        function();
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child &&
           !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void in_order(void)
{
    bv_emit_null(&emit, "a");
    bv_emit_null(&emit, "b");
}

static void out_of_order(void)
{
    bv_emit_null(&emit, "b");
    bv_emit_null(&emit, "a");
}

static void twice(void)
{
    bv_emit_null(&emit, "a");
    bv_emit_null(&emit, "a");
}

static void without_key(void)
{
    bv_emit_null(&emit, NULL);
}

static void key_in_array(void)
{
    bv_emit_array(&emit, "a");
    bv_emit_null(&emit, "b");
}

int main(void)
{
    test_bytes();
    test_places();
    test_failure();
    tap_ok(!traps(in_order), "members in order");
    tap_ok(traps(out_of_order), "members out of order are a defect");
    tap_ok(traps(twice), "so is a member that comes twice");
    tap_ok(traps(without_key), "a member without a key");
    tap_ok(traps(key_in_array), "and an item with one");
    return tap_done();
}
