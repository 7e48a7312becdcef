/* canon/sign.h - Ed25519 (RFC 8032) by libsodium, keys as PEM (RFC 8410). Nothing of libsodium runs before the first key is made. */
#pragma once

#include <bvisor/sign.h>

#define BV_SIGNATURE_TEXT_SIZE 89 /* base64 of 64 bytes and a NUL */

/* BV_E_INVALID: the key is public; BV_E_FAULT. */
BV_MUST_CHECK enum bv_status bv_sign(const struct bv_key *key, const void *bytes, size_t size, char text[BV_SIGNATURE_TEXT_SIZE],
                                     struct bv_error *error);
bool bv_sign_holds(const struct bv_key *key, const void *bytes, size_t size, const char *text);
