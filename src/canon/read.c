/* canon/read.c - the strict JSON reader: bytes to a jansson tree, or one place and one reason.
 *
 * jansson's own parser is not used: when memory runs short it drops bytes of a string without an error (lex_save() of
 * its load.c), and a root that silently lost its tail would widen a grant. It also recurses to 2048 levels and cannot
 * name the place of a duplicate key. This one is a bounded recursive descent; every allocation is looked at, and a fault
 * of a value carries its JSON pointer, a fault of the syntax its line and column. RFC 8259, narrowed by CONTRACT.md 10:
 * no duplicate names, integers within +-(2^53-1) only, no NUL in strings, BV_JSON_MAX_DEPTH levels. */
#include "canon/canon.h"

#include "base/check.h"
#include "base/error.h"
#include "base/utf8.h"
#include "canon/place.h"

#include <bvisor/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END (-1) /* peek() past the last byte */

struct reader {
    const char *text;
    size_t size, at;
    struct bv_buf scratch; /* the string read last, decoded */
    struct bv_error *error;
    enum bv_status status;
};

static void fail_nomem(struct reader *r)
{
    r->status = bv_fail_nomem(r->error);
}

/* Fails at the byte r->at. Columns count characters, from 1, as editors do. */
static void fail_syntax(struct reader *r, const char *why)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < r->at; i++) {
        if (r->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    char place[64];
    (void)snprintf(place, sizeof(place), "line %zu column %zu", line, column);
    r->status = bv_fail(r->error, BV_E_INVALID, place, "not valid JSON: %s", why);
}

static int peek(const struct reader *r)
{
    return r->at < r->size ? (unsigned char)r->text[r->at] : END;
}

static void skip_space(struct reader *r)
{
    for (int byte = peek(r); byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
         byte = peek(r)) {
        r->at++;
    }
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* Four hex digits at r->at. */
static bool read_hex4(struct reader *r, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(r);
        uint32_t digit;
        if (is_digit(byte)) {
            digit = (uint32_t)(byte - '0');
        } else if (byte >= 'a' && byte <= 'f') {
            digit = (uint32_t)(byte - 'a' + 10);
        } else if (byte >= 'A' && byte <= 'F') {
            digit = (uint32_t)(byte - 'A' + 10);
        } else {
            fail_syntax(r, "\\u needs four hex digits");
            return false;
        }
        unit = unit << 4 | digit;
        r->at++;
    }
    *ret_unit = unit;
    return true;
}

static bool add_scratch(struct reader *r, const void *bytes, size_t size)
{
    if (!bv_buf_add(&r->scratch, bytes, size)) {
        fail_nomem(r); /* its maximum is the document's size, which no decoded string exceeds */
        return false;
    }
    return true;
}

static bool add_code_point(struct reader *r, uint32_t code)
{
    unsigned char bytes[4];
    size_t size;
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        size = 1;
    } else if (code < 0x800) {
        bytes[0] = (unsigned char)(0xc0 | code >> 6);
        bytes[1] = (unsigned char)(0x80 | (code & 0x3f));
        size = 2;
    } else if (code < 0x10000) {
        bytes[0] = (unsigned char)(0xe0 | code >> 12);
        bytes[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (unsigned char)(0x80 | (code & 0x3f));
        size = 3;
    } else {
        BV_ASSERT(code <= 0x10ffff);
        bytes[0] = (unsigned char)(0xf0 | code >> 18);
        bytes[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
        bytes[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        bytes[3] = (unsigned char)(0x80 | (code & 0x3f));
        size = 4;
    }
    return add_scratch(r, bytes, size);
}

/* What follows "\u": one unit, or a surrogate pair. */
static bool read_unicode_escape(struct reader *r, const struct bv_place *place)
{
    uint32_t unit;
    if (!read_hex4(r, &unit)) {
        return false;
    }
    if (unit == 0) {
        r->status =
            bv_fail_at(r->error, BV_E_INVALID, place, "a string must not hold NUL (\\u0000)");
        return false;
    }
    if (unit >= 0xd800 && unit <= 0xdbff) {
        uint32_t low;
        if (r->size - r->at < 2 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u') {
            fail_syntax(r, "half of a surrogate pair");
            return false;
        }
        r->at += 2;
        if (!read_hex4(r, &low)) {
            return false;
        }
        if (low < 0xdc00 || low > 0xdfff) {
            fail_syntax(r, "half of a surrogate pair");
            return false;
        }
        unit = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
    } else if (unit >= 0xdc00 && unit <= 0xdfff) {
        fail_syntax(r, "half of a surrogate pair");
        return false;
    }
    return add_code_point(r, unit);
}

static bool read_escape(struct reader *r, const struct bv_place *place)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    r->at++;
    int byte = peek(r);
    if (byte == 'u') {
        r->at++;
        return read_unicode_escape(r, place);
    }
    const char *letter = byte == END || byte == 0 ? NULL : strchr(letters, byte);
    if (!letter) {
        fail_syntax(r, "unknown escape in a string");
        return false;
    }
    r->at++;
    return add_scratch(r, &meanings[letter - letters], 1);
}

/* Decodes the string at r->at into the scratch buffer. place names the value or the object whose member it names. */
static bool read_string(struct reader *r, const struct bv_place *place)
{
    BV_ASSERT(peek(r) == '"');
    r->scratch.size = 0;
    r->at++;
    if (!add_scratch(r, "", 0)) { /* so that an empty string has bytes, too */
        return false;
    }
    for (;;) {
        int byte = peek(r);
        if (byte == '"') {
            r->at++;
            return true;
        }
        if (byte == '\\') {
            if (!read_escape(r, place)) {
                return false;
            }
            continue;
        }
        if (byte == END) {
            fail_syntax(r, "the text ends within a string");
            return false;
        }
        if (byte < 0x20) {
            fail_syntax(r, "control character in a string, it must be escaped");
            return false;
        }
        size_t length = bv_text_run(r->text + r->at, r->size - r->at);
        if (length == 0) {
            length = bv_utf8_length(r->text + r->at, r->size - r->at);
        }
        if (length == 0) {
            fail_syntax(r, "bytes that are not UTF-8");
            return false;
        }
        if (!add_scratch(r, r->text + r->at, length)) {
            return false;
        }
        r->at += length;
    }
}

static json_t *read_number(struct reader *r, const struct bv_place *place)
{
    bool negative = peek(r) == '-';
    r->at += negative;
    if (!is_digit(peek(r))) {
        fail_syntax(r, "a number needs a digit");
        return NULL;
    }
    size_t start = r->at;
    json_int_t number = 0;
    bool in_range = true;
    for (; is_digit(peek(r)); r->at++) {
        if (in_range) {
            number = number * 10 + (r->text[r->at] - '0');
            in_range = number <= BV_JSON_MAX_INTEGER;
        }
    }
    if (r->text[start] == '0' && r->at - start > 1) {
        r->at = start;
        fail_syntax(r, "a number must not begin with 0");
        return NULL;
    }
    int next = peek(r);
    if (next == '.' || next == 'e' || next == 'E') {
        r->status = bv_fail_at(r->error, BV_E_INVALID, place,
                               "must be an integer, written without fraction or exponent");
        return NULL;
    }
    if (!in_range) {
        r->status = bv_fail_at(r->error, BV_E_INVALID, place,
                               "number out of range (integers from -(2^53-1) to 2^53-1)");
        return NULL;
    }
    json_t *value = json_integer(negative ? -number : number);
    if (!value) {
        fail_nomem(r);
    }
    return value;
}

static json_t *read_word(struct reader *r)
{
    static const char *const words[] = { "true", "false", "null" };
    for (size_t i = 0; i < BV_COUNT(words); i++) {
        size_t length = strlen(words[i]);
        if (r->size - r->at >= length && memcmp(r->text + r->at, words[i], length) == 0) {
            r->at += length;
            return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
        }
    }
    fail_syntax(r,
                r->at == r->size ? "the text ends where a value is expected" : "expected a value");
    return NULL;
}

static json_t *read_value(struct reader *r, const struct bv_place *place, unsigned depth);

/* After an item: true at the closing bracket (which is eaten), false with status BV_OK at a comma. */
static bool read_separator(struct reader *r, char closing)
{
    skip_space(r);
    int byte = peek(r);
    if (byte == closing) {
        r->at++;
        return true;
    }
    if (byte == ',') {
        r->at++;
        skip_space(r);
    } else if (byte == END) {
        fail_syntax(r, closing == ']' ? "the text ends within an array"
                                      : "the text ends within an object");
    } else {
        fail_syntax(r, closing == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
    }
    return false;
}

static json_t *read_array(struct reader *r, const struct bv_place *place, unsigned depth)
{
    json_t *array = json_array();
    if (!array) {
        fail_nomem(r);
        return NULL;
    }
    r->at++;
    skip_space(r);
    if (peek(r) == ']') {
        r->at++;
        return array;
    }
    do {
        struct bv_place item_place = BV_PLACE_INDEX(place, json_array_size(array));
        json_t *item = read_value(r, &item_place, depth + 1);
        if (item && json_array_append_new(array, item) != 0) {
            fail_nomem(r);
        }
    } while (r->status == BV_OK && !read_separator(r, ']'));
    if (r->status != BV_OK) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static void read_member(struct reader *r, const struct bv_place *place, unsigned depth,
                        json_t *object)
{
    if (peek(r) != '"') {
        fail_syntax(r, "expected a member name in double quotes");
        return;
    }
    if (!read_string(r, place)) {
        return;
    }
    BV_AUTO(bv_cleanup_free) char *key = strdup(r->scratch.data);
    if (!key) {
        fail_nomem(r);
        return;
    }
    struct bv_place member_place = BV_PLACE_KEY(place, key);
    if (json_object_get(object, key)) {
        r->status = bv_fail_at(r->error, BV_E_INVALID, &member_place, "duplicate key");
        return;
    }
    skip_space(r);
    if (peek(r) != ':') {
        fail_syntax(r, "expected ':'");
        return;
    }
    r->at++;
    skip_space(r);
    json_t *value = read_value(r, &member_place, depth + 1);
    if (value && json_object_set_new_nocheck(object, key, value) != 0) {
        fail_nomem(r);
    }
}

static json_t *read_object(struct reader *r, const struct bv_place *place, unsigned depth)
{
    json_t *object = json_object();
    if (!object) {
        fail_nomem(r);
        return NULL;
    }
    r->at++;
    skip_space(r);
    if (peek(r) == '}') {
        r->at++;
        return object;
    }
    do {
        read_member(r, place, depth, object);
    } while (r->status == BV_OK && !read_separator(r, '}'));
    if (r->status != BV_OK) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* The value at r->at; depth counts the arrays and objects around it. NULL: r->status says why. */
static json_t *read_value(struct reader *r, const struct bv_place *place, unsigned depth)
{
    int byte = peek(r);
    if (byte == '{' || byte == '[') {
        if (depth >= BV_JSON_MAX_DEPTH) {
            r->status = bv_fail_at(r->error, BV_E_INVALID, place, "nested deeper than %d levels",
                                   BV_JSON_MAX_DEPTH);
            return NULL;
        }
        return byte == '{' ? read_object(r, place, depth) : read_array(r, place, depth);
    }
    if (byte == '"') {
        if (!read_string(r, place)) {
            return NULL;
        }
        json_t *value = json_stringn_nocheck(r->scratch.data, r->scratch.size);
        if (!value) {
            fail_nomem(r);
        }
        return value;
    }
    return byte == '-' || is_digit(byte) ? read_number(r, place) : read_word(r);
}

enum bv_status bv_json_read(const char *text, size_t size, size_t max_bytes, json_t **ret_root,
                            struct bv_error *error)
{
    if (!text || !ret_root) {
        return bv_fail(error, BV_E_INVALID, NULL, "no text given");
    }
    if (size > max_bytes) {
        return bv_fail(error, BV_E_INVALID, NULL,
                       "the document has %zu bytes, more than the %zu allowed", size, max_bytes);
    }
    struct reader r = { .text = text, .size = size, .error = error, .status = BV_OK };
    bv_buf_init(&r.scratch, size);
    struct bv_place place = BV_PLACE_ROOT("");
    skip_space(&r);
    json_t *root = read_value(&r, &place, 0);
    bv_buf_done(&r.scratch);
    if (root) {
        skip_space(&r);
        if (r.at < r.size) {
            fail_syntax(&r, "bytes after the document");
        }
    }
    BV_ASSERT(root || r.status != BV_OK);
    if (r.status != BV_OK) {
        json_decref(root);
        return r.status;
    }
    *ret_root = root;
    return BV_OK;
}
