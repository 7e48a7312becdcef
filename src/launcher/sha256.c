/* launcher/sha256.c - SHA-256 (FIPS 180-4) behind the interface of canon.h, for the program without
 * a libc.
 *
 * The library and the command hash with nettle. nettle's archive needs stdio, getenv and
 * constructors to choose its code, and on a virtual machine every CPUID that it asks is an exit to
 * the hypervisor (6 us here); a frame is a few kilobytes. Straight from the standard, no table but
 * its own, checked against nettle by tests/unit/test_sha256.c. */
#include "canon/canon.h"

#include "base/check.h"

#include <string.h>

#define BLOCK_BYTES 64u

struct context {
    uint32_t state[8];
    uint64_t bytes; /* hashed so far; the last bytes % 64 of them lie in block */
    uint8_t block[BLOCK_BYTES];
};
_Static_assert(sizeof(struct context) <= sizeof(struct bv_sha256),
               "struct bv_sha256 holds the context");

/* FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static struct context *context_of(struct bv_sha256 *ctx)
{
    return (struct context *)(void *)ctx->opaque;
}

static uint32_t rotate(uint32_t x, unsigned bits)
{
    return x >> bits | x << (32 - bits);
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* 6.2.2; the message schedule holds sixteen words at a time. */
static void compress(uint32_t state[8], const uint8_t block[BLOCK_BYTES])
{
    uint32_t w[16], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4],
                    f = state[5], g = state[6], h = state[7];

    for (unsigned t = 0; t < 64; t++) {
        uint32_t t1, t2;

        if (t < 16) {
            w[t] = load(block + 4 * t);
        } else {
            uint32_t w15 = w[(t + 1) & 15], w2 = w[(t + 14) & 15];

            w[t & 15] += (rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >> 3) + w[(t + 9) & 15] +
                         (rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >> 10);
        }
        t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[t] +
             w[t & 15];
        t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
    explicit_bzero(w, sizeof(w)); /* a frame holds secrets */
}

void bv_sha256_init(struct bv_sha256 *ctx)
{
    static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    struct context *c = context_of(ctx);

    memcpy(c->state, initial, sizeof(initial));
    c->bytes = 0;
}

void bv_sha256_update(struct bv_sha256 *ctx, const void *bytes, size_t size)
{
    struct context *c = context_of(ctx);
    const uint8_t *at = bytes;

    while (size > 0) {
        const size_t used = c->bytes % BLOCK_BYTES;
        const size_t part = size < BLOCK_BYTES - used ? size : BLOCK_BYTES - used;

        if (part == BLOCK_BYTES) {
            compress(c->state, at);
        } else {
            memcpy(c->block + used, at, part);
            if (used + part == BLOCK_BYTES) {
                compress(c->state, c->block);
            }
        }
        c->bytes += part;
        at += part;
        size -= part;
    }
}

void bv_sha256_final(struct bv_sha256 *ctx, uint8_t digest[BV_SHA256_BYTES])
{
    struct context *c = context_of(ctx);
    const uint64_t bits = c->bytes * 8;
    static const uint8_t padding[BLOCK_BYTES] = { 0x80 };
    uint8_t length[8];

    bv_sha256_update(ctx, padding, 1 + (BLOCK_BYTES + 55 - c->bytes % BLOCK_BYTES) % BLOCK_BYTES);
    BV_ASSERT(c->bytes % BLOCK_BYTES == BLOCK_BYTES - sizeof(length));
    store(length, (uint32_t)(bits >> 32));
    store(length + 4, (uint32_t)bits);
    bv_sha256_update(ctx, length, sizeof(length));
    for (unsigned i = 0; i < 8; i++) {
        store(digest + 4 * i, c->state[i]);
    }
}
