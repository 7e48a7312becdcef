/* tests/unit/test_digest.c - SHA-256 by the vectors of FIPS 180-4, base64 by those of RFC 4648. */
#include "canon/canon.h"

#include "support/tap.h"

static void test_sha256(void)
{
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        { "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char text[BV_DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        bv_digest_bytes(vectors[i].text, strlen(vectors[i].text), text);
        tap_text(text, vectors[i].digest, "vector %zu", i);
    }
    struct bv_sha256 ctx;
    uint8_t digest[BV_SHA256_BYTES];
    char thousand[1000];
    memset(thousand, 'a', sizeof(thousand));
    bv_sha256_init(&ctx);
    bv_sha256_update(&ctx, NULL, 0);
    for (int i = 0; i < 1000; i++) {
        bv_sha256_update(&ctx, thousand, sizeof(thousand));
    }
    bv_sha256_final(&ctx, digest);
    bv_digest_text(digest, text);
    tap_text(text, "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
             "a million times a, in pieces");
}

static void test_json(void)
{
    char text[BV_DIGEST_TEXT_SIZE];
    json_t *value = json_object();
    json_object_set_new(value, "b", json_integer(1));
    json_object_set_new(value, "a", json_true());
    char wanted[BV_DIGEST_TEXT_SIZE];
    bv_digest_bytes("{\"a\":true,\"b\":1}", 16, wanted);
    tap_ok(bv_json_digest(value, text), "a document has a digest");
    tap_text(text, wanted, "which is that of its canonical form");
    json_object_set_new(value, "c", json_real(1.5));
    tap_ok(!bv_json_digest(value, text), "what has no canonical form has none");
    json_decref(value);
}

int main(void)
{
    test_sha256();
    test_json();
    static const char *const pairs[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char *text = bv_base64(pairs[i][0], strlen(pairs[i][0]));
        tap_text(text, pairs[i][1], "base64 of \"%s\"", pairs[i][0]);
        bv_free(text);
    }
    char *text = bv_base64("\xff\x00\xfe", 3);
    tap_text(text, "/wD+", "base64 of bytes");
    bv_free(text);
    return tap_done();
}
