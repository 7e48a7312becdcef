/* base/bytes.h - a little-endian cursor for wire data: no struct is ever cast to bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Reader. Any read past the end sets bad, which sticks, and yields 0 / NULL. */
struct bv_reader { const uint8_t *data; size_t size, at; bool bad; };

static inline const uint8_t *bv_read_bytes(struct bv_reader *r, size_t n)
{
    if (r->bad || n > r->size - r->at) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->at;
    r->at += n;
    return p;
}

static inline uint64_t bv_read_le(struct bv_reader *r, unsigned bytes)
{
    const uint8_t *p = bv_read_bytes(r, bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint8_t bv_read_u8(struct bv_reader *r) { return (uint8_t)bv_read_le(r, 1); }
static inline uint16_t bv_read_u16(struct bv_reader *r) { return (uint16_t)bv_read_le(r, 2); }
static inline uint32_t bv_read_u32(struct bv_reader *r) { return (uint32_t)bv_read_le(r, 4); }
static inline uint64_t bv_read_u64(struct bv_reader *r) { return bv_read_le(r, 8); }

/* Writer into caller's storage; past the end sets bad. */
struct bv_writer { uint8_t *data; size_t size, at; bool bad; };

static inline void bv_write_bytes(struct bv_writer *w, const void *bytes, size_t n)
{
    if (w->bad || n > w->size - w->at) {
        w->bad = true;
        return;
    }
    if (n)
        memcpy(w->data + w->at, bytes, n);
    w->at += n;
}

static inline void bv_write_le(struct bv_writer *w, uint64_t v, unsigned bytes)
{
    uint8_t b[8];
    for (unsigned i = 0; i < bytes; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    bv_write_bytes(w, b, bytes);
}

static inline void bv_write_u8(struct bv_writer *w, uint8_t v) { bv_write_le(w, v, 1); }
static inline void bv_write_u16(struct bv_writer *w, uint16_t v) { bv_write_le(w, v, 2); }
static inline void bv_write_u32(struct bv_writer *w, uint32_t v) { bv_write_le(w, v, 4); }
static inline void bv_write_u64(struct bv_writer *w, uint64_t v) { bv_write_le(w, v, 8); }
