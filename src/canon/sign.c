/* canon/sign.c - see sign.h. A key is 32 bytes behind a fixed head in DER, which RFC 8410 writes out in its section 10. */
#include "canon/sign.h"

#include <nettle/base64.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "canon/canon.h"

static const unsigned char private_head[16] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
static const unsigned char public_head[12] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
static const char *const private_marks[] = { "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----" };
static const char *const public_marks[] = { "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----" };

#define DER_MAX 64

struct bv_key {
    bool can_sign;
    unsigned char secret[crypto_sign_SECRETKEYBYTES], public[crypto_sign_PUBLICKEYBYTES];
    char id[BV_DIGEST_TEXT_SIZE];
};

static void name_key(struct bv_key *key)
{
    unsigned char der[sizeof(public_head) + sizeof(key->public)];
    memcpy(der, public_head, sizeof(public_head));
    memcpy(der + sizeof(public_head), key->public, sizeof(key->public));
    bv_digest_bytes(der, sizeof(der), key->id);
}

static enum bv_status make(struct bv_key **ret_key, struct bv_error *error)
{
    if (sodium_init() < 0) {
        return bv_fail(error, BV_E_FAULT, "", "the signature library cannot be used: no source of random numbers");
    }
    struct bv_key *key = sodium_malloc(sizeof(*key)); /* locked; a full quota of locked memory leaves it unlocked */
    if (!key) {
        return bv_fail_nomem(error);
    }
    memset(key, 0, sizeof(*key));
    *ret_key = key;
    return BV_OK;
}

enum bv_status bv_key_new(struct bv_key **ret_key, struct bv_error *error)
{
    if (!ret_key) {
        return bv_fail(error, BV_E_INVALID, "", "a place for the key is needed");
    }
    struct bv_key *key = NULL;
    enum bv_status status = make(&key, error);
    if (status == BV_OK) {
        (void)crypto_sign_keypair(key->public, key->secret); /* returns 0 always */
        key->can_sign = true;
        name_key(key);
        *ret_key = key;
    }
    return status;
}

/* The bytes between two marks; 0 if they are not there or anything but one block and white space is. */
static size_t pem_bytes(const char *text, size_t size, const char *const marks[2], unsigned char der[DER_MAX])
{
    const size_t begin = strlen(marks[0]), end = strlen(marks[1]);
    const char *at = memmem(text, size, marks[0], begin), *stop = memmem(text, size, marks[1], end);
    struct base64_decode_ctx ctx;
    size_t length = DER_MAX;
    if (!at || !stop || stop < at + begin || (size_t)(stop - (at + begin)) > BASE64_ENCODE_LENGTH(DER_MAX)) {
        return 0;
    }
    for (const char *byte = text; byte < text + size; byte++) {
        const bool outside = byte < at || byte >= stop + end;
        if (outside && !(*byte == '\n' || *byte == '\r' || *byte == ' ' || *byte == '\t')) {
            return 0;
        }
    }
    base64_decode_init(&ctx);
    const bool good = base64_decode_update(&ctx, &length, der, (size_t)(stop - (at + begin)), at + begin) && base64_decode_final(&ctx);
    return good ? length : 0;
}

enum bv_status bv_key_read(const char *text, size_t size, struct bv_key **ret_key, struct bv_error *error)
{
    if (!text || !ret_key || size > 4096) {
        return bv_fail(error, BV_E_INVALID, "", "no key: a PEM file of one is much smaller");
    }
    unsigned char der[DER_MAX];
    struct bv_key *key = NULL;
    enum bv_status status = make(&key, error);
    if (status != BV_OK) {
        return status;
    }
    const size_t seed_at = sizeof(private_head), point_at = sizeof(public_head);
    if (pem_bytes(text, size, private_marks, der) == seed_at + crypto_sign_SEEDBYTES && memcmp(der, private_head, seed_at) == 0) {
        (void)crypto_sign_seed_keypair(key->public, key->secret, der + seed_at);
        key->can_sign = true;
    } else if (pem_bytes(text, size, public_marks, der) == point_at + sizeof(key->public) && memcmp(der, public_head, point_at) == 0) {
        memcpy(key->public, der + point_at, sizeof(key->public));
    } else {
        status = bv_fail(error, BV_E_INVALID, "", "no Ed25519 key in PEM: one block, PRIVATE KEY or PUBLIC KEY");
    }
    sodium_memzero(der, sizeof(der));
    if (status != BV_OK) {
        bv_key_free(key);
        return status;
    }
    name_key(key);
    *ret_key = key;
    return BV_OK;
}

enum bv_status bv_key_pem(const struct bv_key *key, bool private_half, char **ret_text, struct bv_error *error)
{
    if (!key || !ret_text || (private_half && !key->can_sign)) {
        return bv_fail(error, BV_E_INVALID, "", "the key has no private half");
    }
    const char *const *marks = private_half ? private_marks : public_marks;
    const size_t head = private_half ? sizeof(private_head) : sizeof(public_head);
    unsigned char der[DER_MAX];
    memcpy(der, private_half ? private_head : public_head, head);
    memcpy(der + head, private_half ? key->secret : key->public, 32); /* libsodium's secret key begins with the seed */
    char *base64 = bv_base64(der, head + 32);
    struct bv_buf text;
    bv_buf_init(&text, 4096);
    (void)bv_buf_format(&text, "%s\n%s\n%s\n", marks[0], base64 ? base64 : "", marks[1]);
    sodium_memzero(der, sizeof(der));
    if (base64) {
        sodium_memzero(base64, strlen(base64));
    }
    char *pem = base64 ? bv_buf_take(&text) : NULL;
    bv_buf_done(&text);
    free(base64);
    if (!pem) {
        return bv_fail_nomem(error);
    }
    *ret_text = pem;
    return BV_OK;
}

const char *bv_key_id(const struct bv_key *key)
{
    return key->id;
}

bool bv_key_can_sign(const struct bv_key *key)
{
    return key->can_sign;
}

void bv_key_free(struct bv_key *key)
{
    sodium_free(key); /* wipes; NULL is a no-op */
}

enum bv_status bv_sign(const struct bv_key *key, const void *bytes, size_t size, char text[BV_SIGNATURE_TEXT_SIZE], struct bv_error *error)
{
    unsigned char signature[crypto_sign_BYTES];
    _Static_assert(BASE64_ENCODE_RAW_LENGTH(sizeof(signature)) + 1 == BV_SIGNATURE_TEXT_SIZE, "a signature in base64");
    if (!key->can_sign) {
        return bv_fail(error, BV_E_INVALID, "", "a public key cannot sign");
    }
    (void)crypto_sign_detached(signature, NULL, bytes, size, key->secret); /* returns 0 always */
    base64_encode_raw(text, sizeof(signature), signature);
    text[BV_SIGNATURE_TEXT_SIZE - 1] = '\0';
    return BV_OK;
}

bool bv_sign_holds(const struct bv_key *key, const void *bytes, size_t size, const char *text)
{
    unsigned char signature[BASE64_DECODE_LENGTH(BV_SIGNATURE_TEXT_SIZE)];
    size_t length = sizeof(signature);
    struct base64_decode_ctx ctx;
    base64_decode_init(&ctx);
    return strlen(text) == BV_SIGNATURE_TEXT_SIZE - 1 && base64_decode_update(&ctx, &length, signature, strlen(text), text) &&
           base64_decode_final(&ctx) && length == crypto_sign_BYTES && crypto_sign_verify_detached(signature, bytes, size, key->public) == 0;
}
