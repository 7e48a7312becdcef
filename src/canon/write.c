/* canon/write.c - the canonical writer: RFC 8785 restricted to integers and ASCII keys.
 *
 * One value has one text: members sorted by key (ASCII, so bytes and UTF-16 code units sort alike), no white space,
 * the shortest escapes, everything from U+0020 up raw. `jq -cSj .` gives the same bytes, which is what lets anybody
 * check a seal without bvisor; U+007F is left out of documents because jq escapes it and RFC 8785 does not. What is
 * outside the form is refused, never bent into it. Specified by CONTRACT.md 10. */
#include "canon/canon.h"

#include "base/check.h"
#include "base/utf8.h"

#include <bvisor/limits.h>
#include <stdlib.h>
#include <string.h>

static bool is_ordinary(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* is_ordinary() of eight bytes at once: the high bit of a byte of the result is set if one of the rules is broken in it, or
 * in one before it. */
static bool are_ordinary(const char *text)
{
    const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    uint64_t word;
    memcpy(&word, text, sizeof(word));
    const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\',
                   del = word ^ ones * 0x7f;
    const uint64_t broken = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
                            ((backslash - ones) & ~backslash) | ((del - ones) & ~del) | word;
    return (broken & highs) == 0;
}

/* Where the run of ASCII bytes that stand for themselves, nearly all of nearly every text, ends. */
static size_t skip_ordinary(const char *text, size_t at, size_t size)
{
    while (size - at >= sizeof(uint64_t) && are_ordinary(text + at)) {
        at += sizeof(uint64_t);
    }
    while (at < size && is_ordinary((unsigned char)text[at])) {
        at++;
    }
    return at;
}

size_t bv_text_run(const char *text, size_t size)
{
    return skip_ordinary(text, 0, size);
}

bool bv_text_is_plain(const char *text, size_t size)
{
    for (size_t at = skip_ordinary(text, 0, size); at < size; at = skip_ordinary(text, at, size)) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80) {
            if (byte == 0x7f || byte == '\0') {
                return false;
            }
            at++;
            continue;
        }
        size_t length = bv_utf8_length(text + at, size - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

/* RFC 8785, section 3.2.2.2. Returns NULL for controls that have no short form. */
static const char *short_escape(unsigned char byte)
{
    switch (byte) {
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\f': return "\\f";
    case '\r': return "\\r";
    case '"': return "\\\"";
    case '\\': return "\\\\";
    default: return NULL;
    }
}

static bool write_escape(struct bv_buf *buf, unsigned char byte)
{
    const char *escape = short_escape(byte);
    return escape ? bv_buf_add(buf, escape, 2) : bv_buf_format(buf, "\\u%04x", (unsigned)byte);
}

bool bv_json_write_string(struct bv_buf *buf, const char *text, size_t size)
{
    size_t at = skip_ordinary(text, 0, size);
    if (at == size) {
        char *written = bv_buf_extend(buf, size + 2);
        if (written) {
            written[0] = '"';
            memcpy(written + 1, text, size);
            written[size + 1] = '"';
        }
        return written != NULL;
    }
    bool ok = bv_buf_add(buf, "\"", 1);
    size_t run = 0; /* start of the bytes that are not written yet */
    for (; at < size && ok; at = skip_ordinary(text, at, size)) {
        const unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80) {
            ok = byte != '\0' && byte != 0x7f && bv_buf_add(buf, text + run, at - run) &&
                 write_escape(buf, byte);
            run = ++at;
            continue;
        }
        const size_t length = bv_utf8_length(text + at, size - at);
        ok = length > 0;
        at += length;
    }
    return ok && bv_buf_add(buf, text + run, size - run) && bv_buf_add(buf, "\"", 1);
}

static bool write_value(struct bv_buf *buf, const json_t *value, unsigned depth);

static bool write_array(struct bv_buf *buf, const json_t *array, unsigned depth)
{
    bool ok = bv_buf_add(buf, "[", 1);
    for (size_t i = 0; i < json_array_size(array) && ok; i++) {
        ok = (i == 0 || bv_buf_add(buf, ",", 1)) &&
             write_value(buf, json_array_get(array, i), depth + 1);
    }
    return ok && bv_buf_add(buf, "]", 1);
}

struct member {
    const char *key;
    const json_t *value;
};

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static bool write_members(struct bv_buf *buf, const struct member *members, size_t count,
                          unsigned depth)
{
    for (size_t i = 0; i < count; i++) {
        const char *key = members[i].key;
        size_t size = strlen(key);
        for (size_t at = 0; at < size; at++) {
            if ((unsigned char)key[at] >= 0x7f) {
                return false;
            }
        }
        if ((i > 0 && !bv_buf_add(buf, ",", 1)) || !bv_json_write_string(buf, key, size) ||
            !bv_buf_add(buf, ":", 1) || !write_value(buf, members[i].value, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool write_object(struct bv_buf *buf, const json_t *value, unsigned depth)
{
    size_t count = json_object_size(value);
    if (count == 0) {
        return bv_buf_text(buf, "{}");
    }
    BV_AUTO(bv_cleanup_free) struct member *members = calloc(count, sizeof(*members));
    if (!members) {
        return false;
    }
    /* jansson's iterator takes a non-const object and does not change it. */
    json_t *object = (json_t *)(uintptr_t)value;
    size_t filled = 0;
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        BV_ASSERT(filled < count);
        members[filled++] =
            (struct member){ json_object_iter_key(iter), json_object_iter_value(iter) };
    }
    BV_ASSERT(filled == count);
    qsort(members, count, sizeof(*members), compare_members);
    return bv_buf_add(buf, "{", 1) && write_members(buf, members, count, depth) &&
           bv_buf_add(buf, "}", 1);
}

/* Recursion ends at the depth that the reader allows: what bvisor writes, it can read back. */
static bool write_value(struct bv_buf *buf, const json_t *value, unsigned depth)
{
    if (!value) {
        return false;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT: return depth < BV_JSON_MAX_DEPTH && write_object(buf, value, depth);
    case JSON_ARRAY: return depth < BV_JSON_MAX_DEPTH && write_array(buf, value, depth);
    case JSON_STRING:
        return bv_json_write_string(buf, json_string_value(value), json_string_length(value));
    case JSON_INTEGER: {
        json_int_t number = json_integer_value(value);
        return number <= BV_JSON_MAX_INTEGER && number >= -BV_JSON_MAX_INTEGER &&
               bv_buf_format(buf, "%" JSON_INTEGER_FORMAT, number);
    }
    case JSON_REAL: return false;
    case JSON_TRUE: return bv_buf_text(buf, "true");
    case JSON_FALSE: return bv_buf_text(buf, "false");
    case JSON_NULL: return bv_buf_text(buf, "null");
    }
    BV_UNREACHABLE();
}

bool bv_json_write(struct bv_buf *buf, const json_t *value)
{
    return write_value(buf, value, 0);
}

char *bv_json_text(const json_t *value, size_t max_bytes)
{
    struct bv_buf buf;
    bv_buf_init(&buf, max_bytes);
    if (!bv_json_write(&buf, value)) {
        bv_buf_done(&buf);
        return NULL;
    }
    return bv_buf_take(&buf);
}
