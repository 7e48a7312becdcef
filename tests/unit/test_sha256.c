/* tests/unit/test_sha256.c - the launcher's own SHA-256 against the standard's vectors and, at
 * every length and cut, against nettle. */
#include "canon/canon.h"

#include "support/tap.h"

#include <nettle/sha2.h>

static void hex(const uint8_t digest[BV_SHA256_BYTES], char text[2 * BV_SHA256_BYTES + 1])
{
    for (size_t i = 0; i < BV_SHA256_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

static void test_vectors(void)
{
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        /* FIPS 180-4 examples */
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct bv_sha256 ctx;
        uint8_t digest[BV_SHA256_BYTES];
        char text[2 * BV_SHA256_BYTES + 1];

        bv_sha256_init(&ctx);
        bv_sha256_update(&ctx, vectors[i].text, strlen(vectors[i].text));
        bv_sha256_final(&ctx, digest);
        hex(digest, text);
        tap_text(text, vectors[i].digest, "the standard's digest of \"%s\"", vectors[i].text);
    }
}

/* Every length up to five blocks, in two parts cut at every seventh place. */
static void test_against_nettle(void)
{
    uint8_t bytes[320], ours[BV_SHA256_BYTES], theirs[SHA256_DIGEST_SIZE];
    unsigned tried = 0, equal = 0;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 167 + 13);
    }
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        for (size_t cut = 0; cut <= length; cut += 7) {
            struct bv_sha256 ctx;
            struct sha256_ctx reference;

            bv_sha256_init(&ctx);
            bv_sha256_update(&ctx, bytes, cut);
            bv_sha256_update(&ctx, bytes + cut, length - cut);
            bv_sha256_final(&ctx, ours);
            sha256_init(&reference);
            sha256_update(&reference, length, bytes);
            sha256_digest(&reference, sizeof(theirs), theirs);
            tried++;
            equal += memcmp(ours, theirs, sizeof(ours)) == 0;
        }
    }
    tap_ok(equal == tried, "%u of %u inputs hash as nettle hashes them", equal, tried);
}

int main(void)
{
    test_vectors();
    test_against_nettle();
    return tap_done();
}
