/* canon/digest.c - SHA-256 and base64, both by nettle.
 *
 * nettle's context lives inside struct bv_sha256, so that no header of ours needs nettle's and the launcher can hash
 * without malloc. Digests are written "sha256:<64 lower-case hex digits>" (CONTRACT.md 10). */
#include "canon/canon.h"

#include "base/check.h"

#include <bvisor/limits.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct bv_sha256),
               "struct bv_sha256 holds nettle's context");
_Static_assert(_Alignof(struct sha256_ctx) <= _Alignof(struct bv_sha256),
               "struct bv_sha256 is aligned for nettle's context");
_Static_assert(SHA256_DIGEST_SIZE == BV_SHA256_BYTES, "a SHA-256 digest has 32 bytes");

static struct sha256_ctx *context_of(struct bv_sha256 *ctx)
{
    return (struct sha256_ctx *)(void *)ctx->opaque;
}

void bv_sha256_init(struct bv_sha256 *ctx)
{
    sha256_init(context_of(ctx));
}

void bv_sha256_update(struct bv_sha256 *ctx, const void *bytes, size_t size)
{
    if (size > 0) {
        sha256_update(context_of(ctx), size, bytes);
    }
}

void bv_sha256_final(struct bv_sha256 *ctx, uint8_t digest[BV_SHA256_BYTES])
{
    sha256_digest(context_of(ctx), BV_SHA256_BYTES, digest);
}

void bv_digest_text(const uint8_t digest[BV_SHA256_BYTES], char text[BV_DIGEST_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    static const char prefix[] = "sha256:";
    size_t at = sizeof(prefix) - 1;
    memcpy(text, prefix, at);
    for (size_t i = 0; i < BV_SHA256_BYTES; i++) {
        text[at++] = hex[digest[i] >> 4];
        text[at++] = hex[digest[i] & 15];
    }
    BV_ASSERT(at + 1 == BV_DIGEST_TEXT_SIZE);
    text[at] = '\0';
}

void bv_digest_bytes(const void *bytes, size_t size, char text[BV_DIGEST_TEXT_SIZE])
{
    struct bv_sha256 ctx;
    uint8_t digest[BV_SHA256_BYTES];
    bv_sha256_init(&ctx);
    bv_sha256_update(&ctx, bytes, size);
    bv_sha256_final(&ctx, digest);
    bv_digest_text(digest, text);
}

bool bv_json_digest(const json_t *value, char text[BV_DIGEST_TEXT_SIZE])
{
    struct bv_buf buf;
    bv_buf_init(&buf, BV_REPORT_MAX_BYTES);
    bool written = bv_json_write(&buf, value);
    if (written) {
        bv_digest_bytes(buf.data, buf.size, text);
    }
    bv_buf_done(&buf);
    return written;
}

char *bv_base64(const void *bytes, size_t size)
{
    if (size > BV_REPORT_MAX_BYTES) { /* also keeps the length below from wrapping */
        return NULL;
    }
    size_t length = BASE64_ENCODE_RAW_LENGTH(size);
    char *text = malloc(length + 1);
    if (text) {
        if (size > 0) {
            base64_encode_raw(text, size, bytes);
        }
        text[length] = '\0';
    }
    return text;
}
