/* base/buf.c - a growing byte buffer with a maximum.
 *
 * Failure sticks: a writer appends without looking and asks once at the end. The maximum bounds the bytes without the
 * closing NUL, so a text of exactly max_bytes fits. */
#include "base/buf.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)256)

void bv_buf_init(struct bv_buf *buf, size_t max_bytes)
{
    *buf = (struct bv_buf){ .max = max_bytes };
}

void bv_buf_done(struct bv_buf *buf)
{
    free(buf->data);
    bv_buf_init(buf, buf->max);
}

void bv_buf_clear(struct bv_buf *buf)
{
    buf->size = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

static bool fail(struct bv_buf *buf)
{
    buf->failed = true;
    return false;
}

/* Makes room for extra more bytes and a NUL. */
static bool reserve(struct bv_buf *buf, size_t extra)
{
    BV_ASSERT(buf->size <= buf->max);
    if (buf->failed || extra > buf->max - buf->size) {
        return fail(buf);
    }
    size_t needed;
    if (bv_ckd_add(&needed, buf->size, extra) || bv_ckd_add(&needed, needed, (size_t)1)) {
        return fail(buf);
    }
    if (needed <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity < needed) {
        if (bv_ckd_mul(&capacity, capacity, (size_t)2)) {
            capacity = needed;
        }
    }
    char *data = realloc(buf->data, capacity);
    if (!data) {
        return fail(buf);
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

bool bv_buf_reserve(struct bv_buf *buf, size_t size)
{
    const size_t room = buf->max - buf->size;
    return reserve(buf, size < room ? size : room);
}

char *bv_buf_extend(struct bv_buf *buf, size_t size)
{
    if (!reserve(buf, size)) {
        return NULL;
    }
    char *at = buf->data + buf->size;
    buf->size += size;
    buf->data[buf->size] = '\0';
    return at;
}

bool bv_buf_add(struct bv_buf *buf, const void *bytes, size_t size)
{
    char *at = bv_buf_extend(buf, size);
    if (at && size > 0) {
        memcpy(at, bytes, size);
    }
    return at != NULL;
}

bool bv_buf_text(struct bv_buf *buf, const char *text)
{
    return bv_buf_add(buf, text, strlen(text));
}

bool bv_buf_format(struct bv_buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return fail(buf);
    }
    if (!reserve(buf, (size_t)length)) {
        return false;
    }
    va_start(arguments, format);
    int written = vsnprintf(buf->data + buf->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    BV_ASSERT(written == length);
    buf->size += (size_t)length;
    return true;
}

char *bv_buf_take(struct bv_buf *buf)
{
    if (!buf->data && !buf->failed) {
        (void)bv_buf_add(buf, "", 0); /* an empty text is a text */
    }
    char *data = buf->failed ? NULL : BV_TAKE(buf->data);
    bv_buf_done(buf);
    return data;
}
