/* tests/unit/test_buf.c - growth, the maximum, sticky failure, taking. */
#include "base/buf.h"

#include "support/tap.h"

static void test_growth(void)
{
    struct bv_buf buf;
    bv_buf_init(&buf, 100000);
    bool good = true;
    for (int i = 0; i < 10000 && good; i++) {
        good = bv_buf_format(&buf, "%04d", i) && buf.data[buf.size] == '\0';
    }
    tap_ok(good && buf.size == 40000 && strncmp(buf.data + 4 * 1234, "1234", 4) == 0,
           "10000 formats");
    char *text = bv_buf_take(&buf);
    tap_ok(text && strlen(text) == 40000, "take gives the whole text");
    tap_ok(!buf.data && buf.size == 0 && buf.max == 100000 && !buf.failed,
           "and leaves the buffer as after init");
    tap_ok(bv_buf_text(&buf, "again"), "which can be used again");
    tap_text(buf.data, "again", "and holds the new text");
    bv_buf_done(&buf);
    free(text);
}

static void test_maximum(void)
{
    struct bv_buf buf;
    bv_buf_init(&buf, 4);
    tap_ok(bv_buf_text(&buf, "abcd"), "exactly the maximum fits");
    tap_ok(!bv_buf_text(&buf, "e") && buf.failed, "one more does not");
    tap_ok(!bv_buf_add(&buf, "", 0), "failure sticks");
    tap_text(buf.data, "abcd", "what was there stays");
    tap_ok(bv_buf_take(&buf) == NULL && !buf.failed,
           "take of a failed buffer is NULL and resets it");
    tap_ok(!bv_buf_format(&buf, "%s", "abcde"), "a format over the maximum");
    bv_buf_done(&buf);
    bv_buf_init(&buf, SIZE_MAX);
    tap_ok(bv_buf_text(&buf, "a") && !bv_buf_add(&buf, "", SIZE_MAX - 1), "a size that wraps");
    bv_buf_done(&buf);
}

static void test_extend(void)
{
    struct bv_buf buf;
    bv_buf_init(&buf, 10);
    char *at = bv_buf_extend(&buf, 3);
    tap_ok(at && buf.size == 3 && at[3] == '\0', "room for the caller's bytes, with an end");
    if (at) {
        memcpy(at, "abc", 3);
    }
    tap_ok(bv_buf_text(&buf, "d") && !bv_buf_extend(&buf, 7) && buf.failed, "within the maximum");
    tap_text(buf.data, "abcd", "what was there stays");
    bv_buf_clear(&buf);
    tap_ok(buf.size == 0 && buf.failed && buf.data[0] == '\0', "cleared, but for the failure");
    bv_buf_done(&buf);
    bv_buf_clear(&buf);
    tap_ok(bv_buf_text(&buf, "again"), "an empty one can be cleared, too");
    bv_buf_clear(&buf);
    tap_ok(bv_buf_text(&buf, "0123456789"), "and one that is cleared has all its room");
    bv_buf_done(&buf);
}

static void test_reserve(void)
{
    struct bv_buf buf;
    bv_buf_init(&buf, 1000);
    tap_ok(bv_buf_reserve(&buf, 500) && buf.size == 0 && buf.capacity > 500, "room is made and nothing is in it");
    const char *data = buf.data;
    bool added = true;
    for (int i = 0; i < 500; i++) {
        added = bv_buf_add(&buf, "x", 1) && added;
    }
    tap_ok(added && buf.data == data, "what it is made for does not move");
    tap_ok(bv_buf_reserve(&buf, SIZE_MAX) && !buf.failed && !bv_buf_extend(&buf, 501), "no more than the maximum");
    bv_buf_done(&buf);
}

int main(void)
{
    test_growth();
    test_extend();
    test_reserve();
    test_maximum();
    struct bv_buf buf;
    bv_buf_init(&buf, 0);
    char *text = bv_buf_take(&buf);
    tap_text(text, "", "an empty buffer gives an empty text");
    free(text);
    return tap_done();
}
