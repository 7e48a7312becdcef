/* wasm/reader.c - reading of a module's bytes. A LEB128 that is too long or has bits beyond its width is malformed. */
#include "wasm/reader.h"

#include "base/check.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

bool bv_wasm_fail(struct bv_wasm_reader *reader, enum bv_wasm_status status, const uint8_t *at,
                  const char *text)
{
    BV_ASSERT(status != BV_WASM_OK);
    if (reader->status == BV_WASM_OK) {
        reader->status = status;
        reader->error->offset = at ? (uint64_t)(at - reader->start) : UINT64_MAX;
        (void)snprintf(reader->error->text, sizeof(reader->error->text), "%s", text);
    }
    return false;
}

bool bv_wasm_fail_index(struct bv_wasm_reader *reader, const uint8_t *at, const char *what,
                        uint32_t index)
{
    char text[80];
    (void)snprintf(text, sizeof(text), "unknown %s %u", what, index);
    return bv_wasm_fail(reader, BV_WASM_INVALID, at, text);
}

bool bv_wasm_fail_limit(struct bv_wasm_reader *reader, const uint8_t *at, enum bv_wasm_limit limit)
{
    char text[100];
    (void)snprintf(text, sizeof(text), "too many %s: at most %llu", bv_wasm_limit_name(limit),
                   (unsigned long long)bv_wasm_limit_value(limit));
    return bv_wasm_fail(reader, BV_WASM_LIMIT, at, text);
}

bool bv_wasm_fail_nomem(struct bv_wasm_reader *reader)
{
    return bv_wasm_fail(reader, BV_WASM_NOMEM, NULL, "out of memory");
}

static bool ended(struct bv_wasm_reader *reader)
{
    return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->end, reader->end_text);
}

bool bv_wasm_read_byte(struct bv_wasm_reader *reader, uint8_t *ret_value)
{
    if (reader->at >= reader->end) {
        return ended(reader);
    }
    *ret_value = *reader->at++;
    return true;
}

bool bv_wasm_read_bytes(struct bv_wasm_reader *reader, uint32_t size, const uint8_t **ret_bytes)
{
    if (size > (size_t)(reader->end - reader->at)) {
        return ended(reader);
    }
    *ret_bytes = reader->at;
    reader->at += size;
    return true;
}

/* Both kinds of LEB128. The last byte of the longest form may only hold bits of the value or, signed, copies of its sign. */
static bool read_leb(struct bv_wasm_reader *reader, unsigned bits, bool is_signed,
                     uint64_t *ret_value)
{
    const uint8_t *from = reader->at;
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte;
        if (!bv_wasm_read_byte(reader, &byte)) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        unsigned left = bits - shift;
        if (left < 7) {
            if (byte & 0x80) {
                return bv_wasm_fail(reader, BV_WASM_MALFORMED, from,
                                    "integer representation too long");
            }
            uint8_t rest = (uint8_t)((byte & 0x7f) >> (is_signed ? left - 1 : left));
            uint8_t ones = (uint8_t)(0x7f >> (left - 1));
            if (rest != 0 && !(is_signed && rest == ones)) {
                return bv_wasm_fail(reader, BV_WASM_MALFORMED, from, "integer too large");
            }
        }
        if (!(byte & 0x80)) {
            unsigned filled = shift + 7;
            if (is_signed && (byte & 0x40) && filled < 64) {
                value |= ~UINT64_C(0) << filled;
            }
            *ret_value = value;
            return true;
        }
    }
}

bool bv_wasm_read_u32_slow(struct bv_wasm_reader *reader, uint32_t *ret_value)
{
    uint64_t value;
    if (!read_leb(reader, 32, false, &value)) {
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

bool bv_wasm_read_s32(struct bv_wasm_reader *reader, int32_t *ret_value)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        *ret_value = (int32_t)((uint32_t)*reader->at++ << 25) >> 25;
        return true;
    }
    uint64_t value;
    if (!read_leb(reader, 32, true, &value)) {
        return false;
    }
    *ret_value = (int32_t)(uint32_t)value;
    return true;
}

bool bv_wasm_read_s33(struct bv_wasm_reader *reader, int64_t *ret_value)
{
    uint64_t value;
    if (!read_leb(reader, 33, true, &value)) {
        return false;
    }
    *ret_value = (int64_t)value;
    return true;
}

bool bv_wasm_read_s64(struct bv_wasm_reader *reader, int64_t *ret_value)
{
    uint64_t value;
    if (!read_leb(reader, 64, true, &value)) {
        return false;
    }
    *ret_value = (int64_t)value;
    return true;
}

bool bv_wasm_read_count(struct bv_wasm_reader *reader, enum bv_wasm_limit limit,
                        uint32_t *ret_value)
{
    const uint8_t *from = reader->at;
    uint32_t count;
    if (!bv_wasm_read_u32(reader, &count)) {
        return false;
    }
    if (count > bv_wasm_limit_value(limit)) {
        return bv_wasm_fail_limit(reader, from, limit);
    }
    if (count > (size_t)(reader->end - reader->at)) {
        return ended(reader);
    }
    *ret_value = count;
    return true;
}

bool bv_wasm_read_name(struct bv_wasm_reader *reader, struct bv_wasm_name *ret_name)
{
    uint32_t size;
    const uint8_t *bytes;
    if (!bv_wasm_read_u32(reader, &size)) {
        return false;
    }
    if (size > (size_t)(reader->end - reader->at)) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->at, "length out of bounds");
    }
    if (!bv_wasm_read_bytes(reader, size, &bytes)) {
        return false;
    }
    for (size_t at = 0; at < size;) {
        size_t length = bv_utf8_length((const char *)bytes + at, size - at);
        if (length == 0) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, bytes + at, "malformed UTF-8 encoding");
        }
        at += length;
    }
    *ret_name = (struct bv_wasm_name){ .bytes = (const char *)bytes, .size = size };
    return true;
}
