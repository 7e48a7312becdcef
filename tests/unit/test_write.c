/* tests/unit/test_write.c - the canonical form: by hand-written bytes, by refusal, and by jq where it is installed. */
#include "canon/canon.h"

#include "support/tap.h"

#include <bvisor/limits.h>
#include <sys/wait.h>
#include <unistd.h>

static void is_text(const json_t *value, const char *wanted, const char *name)
{
    char *text = bv_json_text(value, (size_t)1 << 20);
    tap_text(text, wanted, "%s", name);
    free(text);
}

static void test_bytes(void)
{
    json_t *object = json_object();
    json_object_set_new(object, "b", json_integer(-1));
    json_object_set_new(object, "a", json_null());
    json_object_set_new(object, "aa", json_false());
    json_object_set_new(object, "B", json_array());
    json_object_set_new(object, "_", json_object());
    json_object_set_new(object, "", json_integer(BV_JSON_MAX_INTEGER));
    is_text(object, "{\"\":9007199254740991,\"B\":[],\"_\":{},\"a\":null,\"aa\":false,\"b\":-1}",
            "members are sorted by byte");
    json_decref(object);
    json_t *value =
        json_string("\b\t\n\f\r\"\\/\x01\x1f\x0b<>&'\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80");
    is_text(
        value,
        "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\\u000b<>&'\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\"",
        "escapes of RFC 8785");
    json_decref(value);
    value = json_string("");
    is_text(value, "\"\"", "an empty string");
    json_decref(value);
    value = json_true();
    is_text(value, "true", "a scalar alone");
    json_decref(value);
}

/* The escape of one byte; NULL if no document can hold it. */
static const char *escape_of(unsigned char byte, char text[8])
{
    static const char shorts[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (size_t i = 0; shorts[i]; i += 2) {
        if (byte == (unsigned char)shorts[i]) {
            (void)snprintf(text, 8, "\\%c", shorts[i + 1]);
            return text;
        }
    }
    if (byte == 0 || byte >= 0x7f) {
        return NULL;
    }
    (void)snprintf(text, 8, byte < 0x20 ? "\\u%04x" : "%c", byte);
    return text;
}

/* Long runs are looked at eight bytes at a time: every byte at every place among them. */
static void test_every_byte(void)
{
    bool plain = true, same = true;
    for (unsigned byte = 0; byte < 256; byte++) {
        char escape[8];
        const char *wanted = escape_of((unsigned char)byte, escape);
        for (int at = 0; at < 26; at++) {
            char text[26], line[64];
            struct bv_buf buf;
            memset(text, at % 2 ? '~' : ' ', sizeof(text));
            text[at] = (char)byte;
            bv_buf_init(&buf, 100);
            plain = plain && bv_text_is_plain(text, sizeof(text)) == (wanted != NULL);
            const bool written = bv_json_write_string(&buf, text, sizeof(text));
            (void)snprintf(line, sizeof(line), "\"%.*s%s%.*s\"", at, text, wanted ? wanted : "",
                           25 - at, text + at + 1);
            same = same && written == (wanted != NULL) && (!written || strcmp(buf.data, line) == 0);
            bv_buf_done(&buf);
        }
    }
    tap_ok(plain, "which bytes are plain, wherever they stand");
    tap_ok(same, "and what each is written as");
}

static void is_refused(json_t *value, const char *name)
{
    char *text = bv_json_text(value, 1 << 20);
    tap_ok(text == NULL, "refused: %s", name);
    free(text);
    json_decref(value);
}

static void test_refused(void)
{
    is_refused(json_real(1.0), "a real");
    is_refused(json_string("a\x7f"), "U+007F");
    is_refused(json_stringn("a\0b", 3), "NUL");
    is_refused(json_string_nocheck("\xff"), "bytes that are not UTF-8");
    is_refused(json_integer(BV_JSON_MAX_INTEGER + 1), "2^53");
    is_refused(json_integer(-BV_JSON_MAX_INTEGER - 1), "-2^53");
    is_refused(json_pack("{s:i}", "\xc3\xa9", 1), "a key that is not ASCII");
    is_refused(json_pack("{s:i}", "\x7f", 1), "a key with U+007F");
    is_refused(json_pack("[[f]]", 1.0), "a real deep inside");
    json_t *deep = json_array();
    for (int i = 1; i < BV_JSON_MAX_DEPTH; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, deep);
        deep = outer;
    }
    char *text = bv_json_text(deep, 1 << 20);
    tap_ok(text && strlen(text) == 2 * BV_JSON_MAX_DEPTH, "as deep as the reader reads");
    free(text);
    json_t *outer = json_array();
    json_array_append_new(outer, deep);
    is_refused(outer, "deeper than the reader reads");
    tap_ok(bv_json_text(NULL, 10) == NULL, "no value");
    json_t *value = json_string("abcdef");
    tap_ok(bv_json_text(value, 7) == NULL, "over the maximum");
    is_text(value, "\"abcdef\"", "within it");
    json_decref(value);
}

static void test_plain(void)
{
    tap_ok(bv_text_is_plain("", 0) && bv_text_is_plain("a\n\x01\xc3\xa9", 5), "plain texts");
    tap_ok(!bv_text_is_plain("\x7f", 1) && !bv_text_is_plain("\xff", 1) &&
               !bv_text_is_plain("a\0", 2) && !bv_text_is_plain("\xc3", 1),
           "texts that are not");
}

/* Runs `jq -cSj .` on text; the output in a malloc'd text, NULL when there is no jq. */
static char *run_jq(const char *text, size_t size)
{
    char name[] = "/tmp/bvisor-test-write-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) {
        return NULL;
    }
    bool written = write(fd, text, size) == (ssize_t)size;
    (void)close(fd);
    char command[128];
    (void)snprintf(command, sizeof(command), "jq -cSj . %s 2>/dev/null", name);
    FILE *pipe = written ? popen(command, "r") : NULL;
    struct bv_buf buf;
    bv_buf_init(&buf, (size_t)1 << 22);
    char chunk[4096];
    for (size_t got; pipe && (got = fread(chunk, 1, sizeof(chunk), pipe)) > 0;) {
        (void)bv_buf_add(&buf, chunk, got);
    }
    int status = pipe ? pclose(pipe) : -1;
    (void)unlink(name);
    if (status != 0) {
        bv_buf_done(&buf);
        return NULL;
    }
    return bv_buf_take(&buf);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static json_t *random_string(uint32_t *state)
{
    char text[64];
    size_t at = 0;
    size_t count = next_random(state) % 12;
    for (size_t i = 0; i < count; i++) {
        uint32_t pick = next_random(state) % 8;
        if (pick < 2) {
            text[at++] = (char)(1 + next_random(state) % 0x7e); /* never NUL or U+007F */
        } else if (pick < 3) {
            memcpy(text + at, "\xc3\xa9", 2);
            at += 2;
        } else if (pick < 4) {
            memcpy(text + at, "\xf0\x9f\x98\x80", 4);
            at += 4;
        } else if (pick < 5) {
            memcpy(text + at, "\xe2\x80\xa8", 3);
            at += 3;
        } else {
            text[at++] = (char)('a' + next_random(state) % 26);
        }
    }
    return json_stringn(text, at);
}

static json_t *random_value(uint32_t *state, int depth)
{
    uint32_t pick = next_random(state) % (depth > 5 ? 5 : 8);
    if (pick == 0) {
        return json_null();
    } else if (pick == 1) {
        return json_boolean(next_random(state) & 1);
    } else if (pick == 2) {
        json_int_t high = next_random(state) & 0x1fffff, low = next_random(state);
        return json_integer(
            (next_random(state) & 1 ? -1 : 1) *
            ((high << 24 | low) % (BV_JSON_MAX_INTEGER >> (next_random(state) % 50))));
    } else if (pick < 5) {
        return random_string(state);
    }
    bool is_array = pick == 5;
    json_t *value = is_array ? json_array() : json_object();
    for (uint32_t i = next_random(state) % 8; i > 0; i--) {
        char key[8];
        (void)snprintf(key, sizeof(key), "%c%c%u", (char)('A' + next_random(state) % 58),
                       (char)(' ' + next_random(state) % 95), i % 3);
        json_t *item = random_value(state, depth + 1);
        (void)(is_array ? json_array_append_new(value, item)
                        : json_object_set_new(value, key, item));
    }
    return value;
}

static void test_jq(void)
{
    if (access("/usr/bin/jq", X_OK) != 0 && system("command -v jq >/dev/null 2>&1") != 0) {
        tap_skip("jq is not installed");
        return;
    }
    json_t *list = json_array();
    uint32_t state = 1;
    for (int i = 0; i < 400; i++) {
        json_array_append_new(list, random_value(&state, 0));
    }
    char *text = bv_json_text(list, (size_t)1 << 22);
    /* jq gets the text of jansson, with other escapes, spaces and order. */
    char *input = json_dumps(list, JSON_INDENT(3) | JSON_ENSURE_ASCII);
    char *jq = text && input ? run_jq(input, strlen(input)) : NULL;
    tap_ok(text && jq && strlen(text) > 10000, "400 random documents: %zu bytes",
           text ? strlen(text) : 0);
    tap_ok(text && jq && strcmp(text, jq) == 0, "are the bytes of jq -cSj .");
    json_t *back = NULL;
    tap_ok(text && bv_json_read(text, strlen(text), (size_t)1 << 22, &back, NULL) == BV_OK &&
               json_equal(back, list),
           "and read back equal");
    json_decref(back);
    free(text);
    free(input);
    free(jq);
    json_decref(list);
}

int main(void)
{
    test_bytes();
    test_every_byte();
    test_refused();
    test_plain();
    test_jq();
    return tap_done();
}
