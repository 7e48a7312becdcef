/* tests/unit/test_utf8.c - the decoder against a naive one, over every code point and every two- and three-byte prefix. */
#include "base/utf8.h"

#include "support/tap.h"

#include <stdint.h>

static size_t encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Decodes freely, then asks whether encoding gives the same bytes and the code point is one. */
static size_t naive(const unsigned char *b, size_t size)
{
    size_t length = b[0] < 0x80       ? 1
                    : b[0] >> 5 == 6  ? 2
                    : b[0] >> 4 == 14 ? 3
                    : b[0] >> 3 == 30 ? 4
                                      : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = b[0] & masks[length];
    for (size_t i = 1; i < length; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (b[i] & 0x3f);
    }
    char back[4];
    bool real = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return real && encode(code, back) == length && memcmp(back, b, length) == 0 ? length : 0;
}

static void test_clean(void)
{
    static const char *const pairs[][2] = {
        { "", "" },
        { "plain ~", "plain ~" },
        { "a\nb\tc\177d\033[1m", "a?b?c?d?[1m" },
        { "\303\251\342\202\254\360\237\230\200", "\303\251\342\202\254\360\237\230\200" },
        { "\302\205\302\237\302\240", "????\302\240" }, /* C1 ends at U+009F */
        { "\377x\303", "?x?" },
        { "\342\202", "??" },
        { "\001", "?" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%s", pairs[i][0]);
        bv_utf8_clean(text);
        tap_text(text, pairs[i][1], "cleaned, %zu", i);
    }
}

int main(void)
{
    test_clean();
    bool all = true;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        size_t size = encode(code, text);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        all = all && bv_utf8_length(text, size) == (surrogate ? 0 : size) &&
              bv_utf8_length(text, size - 1) == 0;
    }
    tap_ok(all, "every code point, whole and cut short");
    all = true;
    static const unsigned char tails[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90,
                                           0x9f, 0xa0, 0xbf, 0xc0, 0xff };
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t third = 0; third < sizeof(tails); third++) {
                for (size_t fourth = 0; fourth < sizeof(tails); fourth++) {
                    unsigned char b[4] = { (unsigned char)first, (unsigned char)second,
                                           tails[third], tails[fourth] };
                    all = all && bv_utf8_length((char *)b, 4) == naive(b, 4);
                }
            }
        }
    }
    tap_ok(all, "every first and second byte agrees with a naive decoder");
    return tap_done();
}
