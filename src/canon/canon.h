/* canon/canon.h - strict JSON in (jansson), canonical JSON out (RFC 8785 restricted to integers), SHA-256 (nettle).
 *
 * Documents are jansson trees inside the library; nothing of jansson appears in include/bvisor. Specified by CONTRACT.md 10. */
#pragma once

#include <bvisor/base.h>
#include <jansson.h>

#include "base/buf.h"

/* Parses one JSON document. Refuses: duplicate keys, NaN/Infinity, real numbers, integers beyond +-(2^53-1), strings with NUL, depth over
 * BV_JSON_MAX_DEPTH, bytes after the document, size over max_bytes, invalid UTF-8. BV_E_INVALID with place = "line L column C" (or a
 * JSON pointer where the fault is in a value that parsed), BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_json_read(const char *text, size_t size, size_t max_bytes, json_t **ret_root, struct bv_error *error);

/* Appends the canonical form: keys sorted by UTF-16 code units (keys are ASCII here), no white space, RFC 8785 escapes. False: out of memory, over
 * the buffer's maximum, or a value outside the restricted form (a real, U+007F, NUL, a non-ASCII key). */
bool bv_json_write(struct bv_buf *buf, const json_t *value);
/* Appends one string. False as bv_json_write(); what was appended by then is of no use. */
bool bv_json_write_string(struct bv_buf *buf, const char *text, size_t size);
/* bv_json_write into a fresh NUL-terminated text for bv_free(); NULL on failure. */
char *bv_json_text(const json_t *value, size_t max_bytes);
/* True when text may stand in a document as a string: valid UTF-8 without U+007F. */
bool bv_text_is_plain(const char *text, size_t size);
/* Length of the run of printable ASCII without quote, backslash and U+007F that text begins with: what stands for itself in a JSON string. */
size_t bv_text_run(const char *text, size_t size);
/* base64 (RFC 4648, padded) of bytes as a NUL-terminated malloc'd text; NULL: out of memory. */
char *bv_base64(const void *bytes, size_t size);

#define BV_DIGEST_TEXT_SIZE 72 /* "sha256:" + 64 hex + NUL */
#define BV_SHA256_BYTES 32

struct bv_sha256 { _Alignas(16) unsigned char opaque[256]; }; /* holds nettle's struct sha256_ctx; a static assert in digest.c ties them */
void bv_sha256_init(struct bv_sha256 *ctx);
void bv_sha256_update(struct bv_sha256 *ctx, const void *bytes, size_t size);
void bv_sha256_final(struct bv_sha256 *ctx, uint8_t digest[BV_SHA256_BYTES]);
void bv_digest_text(const uint8_t digest[BV_SHA256_BYTES], char text[BV_DIGEST_TEXT_SIZE]); /* "sha256:<hex>" */
void bv_digest_bytes(const void *bytes, size_t size, char text[BV_DIGEST_TEXT_SIZE]);
/* "sha256:..." of the canonical form. False as bv_json_write(). */
bool bv_json_digest(const json_t *value, char text[BV_DIGEST_TEXT_SIZE]);
