/* tests/unit/test_error.c - the error record: first failure wins, text is one clean line of UTF-8. */
#include "base/error.h"

#include "support/tap.h"

#include <errno.h>

static bool is_clean(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static void test_record(void)
{
    struct bv_error error = { 0 };
    tap_ok(bv_fail(&error, BV_E_INVALID, "/a", "first %d", 1) == BV_E_INVALID,
           "bv_fail returns its status");
    tap_ok(error.status == BV_E_INVALID && error.os_errno == 0, "status is kept");
    tap_text(error.place, "/a", "place is kept");
    tap_text(error.text, "first 1", "text is formatted");
    tap_ok(bv_fail(&error, BV_E_FAULT, "/b", "second") == BV_E_FAULT,
           "a second failure returns its own status");
    tap_text(error.text, "first 1", "the first failure wins");
    tap_ok(bv_fail(NULL, BV_E_LIMIT, "/a", "x") == BV_E_LIMIT, "error may be NULL");
    error = (struct bv_error){ 0 };
    tap_ok(bv_fail_nomem(&error) == BV_E_NOMEM && error.status == BV_E_NOMEM, "bv_fail_nomem");
    tap_text(error.place, "", "place NULL is empty");
}

static void test_system(void)
{
    struct bv_error error = { 0 };
    tap_ok(bv_fail_sys(&error, "clone", -EPERM, "creating %s", "init") == BV_E_SYS,
           "bv_fail_sys returns BV_E_SYS");
    tap_ok(error.os_errno == EPERM, "errno is kept, positive");
    tap_text(error.text, "creating init: Operation not permitted", "the description is appended");
    error = (struct bv_error){ 0 };
    tap_ok(bv_fail_sys(&error, NULL, -ENOMEM, "x") == BV_E_NOMEM, "ENOMEM is BV_E_NOMEM");
    error = (struct bv_error){ 0 };
    (void)bv_fail_sys(&error, NULL, -4000, "x");
    tap_text(error.text, "x: error 4000", "an unknown errno is shown as a number");
    error = (struct bv_error){ 0 };
    char long_text[600];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    (void)bv_fail_sys(&error, long_text, -EPERM, "%s", long_text);
    tap_ok(strlen(error.text) == sizeof(error.text) - 1 &&
               strstr(error.text, ": Operation not permitted"),
           "a long text is cut before the description");
    tap_ok(strlen(error.place) == sizeof(error.place) - 1, "a long place is cut");
}

static void test_clean(void)
{
    struct bv_error error = { 0 };
    (void)bv_fail(&error, BV_E_INVALID, "a\nb\x1b",
                  "tab\tnew\nline \x7f esc\x1b[0m c1 \xc2\x9b e\xc3\xa9 bad \xff\xc3(");
    tap_text(error.place, "a?b?", "control characters of a place");
    tap_text(error.text,
             "tab?new?line ? esc?[0m c1 ?? e\xc3\xa9 bad ?"
             "?(",
             "control characters and bad bytes become '?'");
    tap_ok(is_clean(error.text), "one clean line");
    for (size_t pad = 250; pad < 256; pad++) { /* a sequence across the cut */
        char text[300];
        memset(text, 'a', pad);
        memcpy(text + pad, "\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 9);
        error = (struct bv_error){ 0 };
        (void)bv_fail(&error, BV_E_INVALID, NULL, "%s", text);
        size_t wanted = pad + 4 <= 255 ? pad + 4 : pad;
        tap_ok(strlen(error.text) == wanted && !strchr(error.text, '?'),
               "cut on a character boundary after %zu bytes", pad);
    }
}

static void test_copy(void)
{
    char buffer[5];
    bv_copy_text(buffer, sizeof(buffer), "abc\xc3\xa9");
    tap_text(buffer, "abc", "bv_copy_text cuts before a sequence");
    bv_copy_text(buffer, sizeof(buffer), "ab\xc3\xa9");
    tap_text(buffer, "ab\xc3\xa9", "bv_copy_text keeps what fits");
    bv_copy_text(buffer, sizeof(buffer), NULL);
    tap_text(buffer, "", "NULL is empty");
    bv_copy_text(buffer, 1, "abc");
    tap_text(buffer, "", "room for the NUL only");
    bv_copy_text(buffer, sizeof(buffer), "\x80\x80\x80\x80\x80\x80\x80\x80");
    tap_ok(strlen(buffer) <= 4, "bytes that are no text stay in bounds");
}

static void test_names(void)
{
    static const char *const names[] = { "ok",    "invalid", "refused", "out_of_memory", "system",
                                         "limit", "corrupt", "state",   "fault" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tap_text(bv_status_name((enum bv_status)i), names[i], "status %zu", i);
    }
    tap_text(bv_status_name((enum bv_status)99), "unknown", "a number that is no status");
    char version[32];
    (void)snprintf(version, sizeof(version), "%d.%d.%d", BV_VERSION_MAJOR, BV_VERSION_MINOR,
                   BV_VERSION_PATCH);
    tap_text(bv_version(), version, "version string and numbers agree");
    bv_free(NULL);
}

int main(void)
{
    test_record();
    test_system();
    test_clean();
    test_copy();
    test_names();
    return tap_done();
}
