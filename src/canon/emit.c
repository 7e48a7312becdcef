/* canon/emit.c - the canonical form (RFC 8785, as in write.c), written as it comes.
 *
 * A tree costs an allocation for every member and a sort for every object; most documents of bvisor are written once, by
 * code that can name the members in order. Owns commas, keys and the order; strings are write.c's. CONTRACT.md 10. */
#include "canon/emit.h"

#include "base/check.h"

#include <string.h>

#define DIGITS_MAX 16 /* of BV_JSON_MAX_INTEGER */

void bv_emit_init(struct bv_emit *emit, struct bv_buf *buf)
{
    emit->buf = buf;
    emit->depth = 0;
    emit->last[0] = NULL;
}

static void check_order(struct bv_emit *emit, const char *key)
{
    const char **last = &emit->last[emit->depth];
    BV_ASSERT(!key == !*last);
    if (key) {
        BV_ASSERT(strcmp(*last, key) < 0);
        *last = key;
    }
}

/* Writes what stands before a value; then the size bytes of the value follow, which the caller writes. NULL: failed. */
static char *begin(struct bv_emit *emit, const char *key, size_t size)
{
    struct bv_buf *buf = emit->buf;
    check_order(emit, key);
    if (buf->failed) {
        return NULL;
    }
    const char before = emit->depth > 0 ? buf->data[buf->size - 1] : '[';
    const bool comma = before != '[' && before != '{';
    const size_t key_size = key ? strlen(key) : 0;
    char *at = bv_buf_extend(buf, size + comma + (key ? key_size + 3 : 0));
    if (!at) {
        return NULL;
    }
    if (comma) {
        *at++ = ',';
    }
    if (key) {
        *at++ = '"';
        memcpy(at, key, key_size);
        at += key_size;
        *at++ = '"';
        *at++ = ':';
    }
    return at;
}

static size_t open_value(struct bv_emit *emit, const char *key, char bracket, const char *last)
{
    char *at = begin(emit, key, 1);
    BV_ASSERT(emit->depth < BV_JSON_MAX_DEPTH);
    emit->last[++emit->depth] = last;
    if (!at) {
        return emit->buf->size;
    }
    *at = bracket;
    return emit->buf->size - 1;
}

size_t bv_emit_object(struct bv_emit *emit, const char *key)
{
    return open_value(emit, key, '{', "");
}

size_t bv_emit_array(struct bv_emit *emit, const char *key)
{
    return open_value(emit, key, '[', NULL);
}

void bv_emit_end(struct bv_emit *emit)
{
    BV_ASSERT(emit->depth > 0);
    (void)bv_buf_add(emit->buf, emit->last[emit->depth--] ? "}" : "]", 1);
}

void bv_emit_bytes(struct bv_emit *emit, const char *key, const char *bytes, size_t size)
{
    if (begin(emit, key, 0) && !bv_json_write_string(emit->buf, bytes, size)) {
        emit->buf->failed = true;
    }
}

void bv_emit_text(struct bv_emit *emit, const char *key, const char *text)
{
    bv_emit_bytes(emit, key, text, strlen(text));
}

void bv_emit_number(struct bv_emit *emit, const char *key, uint64_t number)
{
    if (number > BV_JSON_MAX_INTEGER) {
        emit->buf->failed = true;
    }
    char digits[DIGITS_MAX];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 && first > 0);
    bv_emit_canonical(emit, key, digits + first, sizeof(digits) - first);
}

void bv_emit_bool(struct bv_emit *emit, const char *key, bool value)
{
    bv_emit_canonical(emit, key, value ? "true" : "false", value ? 4 : 5);
}

void bv_emit_null(struct bv_emit *emit, const char *key)
{
    bv_emit_canonical(emit, key, "null", 4);
}

void bv_emit_canonical(struct bv_emit *emit, const char *key, const char *text, size_t size)
{
    char *at = begin(emit, key, size);
    if (at) {
        memcpy(at, text, size);
    }
}

bool bv_emit_digest(const struct bv_buf *buf, char text[BV_DIGEST_TEXT_SIZE])
{
    if (buf->failed) {
        return false;
    }
    bv_digest_bytes(buf->data, buf->size, text);
    return true;
}

json_t *bv_emit_tree(struct bv_buf *buf)
{
    json_t *tree = NULL;
    if (!buf->failed && bv_json_read(buf->data, buf->size, buf->max, &tree, NULL) != BV_OK) {
        tree = NULL;
    }
    bv_buf_done(buf);
    return tree;
}
