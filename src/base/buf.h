/* base/buf.h - a growing byte buffer with a maximum that is set at init. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bv_buf { char *data; size_t size, capacity, max; bool failed; };

void bv_buf_init(struct bv_buf *buf, size_t max_bytes);
void bv_buf_done(struct bv_buf *buf); /* frees; the buffer may be init'ed again */
void bv_buf_clear(struct bv_buf *buf); /* empties and keeps the storage; a failure stays */
/* Appends; on out of memory or over the maximum sets failed, which sticks, and returns false. data[size] is always NUL once non-NULL. */
bool bv_buf_add(struct bv_buf *buf, const void *bytes, size_t size);
char *bv_buf_extend(struct bv_buf *buf, size_t size); /* appends size bytes for the caller to write; NULL where bv_buf_add() is false */
/* Makes room for so many more bytes at once, or for as many as the maximum allows. False only when out of memory, which sticks. */
bool bv_buf_reserve(struct bv_buf *buf, size_t size);
bool bv_buf_text(struct bv_buf *buf, const char *text);
bool bv_buf_format(struct bv_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *bv_buf_take(struct bv_buf *buf); /* moves the NUL-terminated bytes out; NULL if failed; buf is as after init */
