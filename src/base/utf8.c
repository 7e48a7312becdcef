/* base/utf8.c - well-formed UTF-8, byte by byte, after table 3-7 of the Unicode standard (RFC 3629).
 *
 * Used wherever bytes of unknown origin meet a text: error lines, names in documents, captured streams. */
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool in_range(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* The second byte alone tells overlong forms (E0, F0), surrogates (ED) and values above U+10FFFF (F4). */
static bool second_byte_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0: return in_range(second, 0xa0, 0xbf);
    case 0xed: return in_range(second, 0x80, 0x9f);
    case 0xf0: return in_range(second, 0x90, 0xbf);
    case 0xf4: return in_range(second, 0x80, 0x8f);
    default: return in_range(second, 0x80, 0xbf);
    }
}

size_t bv_utf8_length(const char *text, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const unsigned char *byte = (const unsigned char *)text;
    size_t length;
    if (byte[0] < 0x80) {
        return 1;
    } else if (in_range(byte[0], 0xc2, 0xdf)) {
        length = 2;
    } else if (in_range(byte[0], 0xe0, 0xef)) {
        length = 3;
    } else if (in_range(byte[0], 0xf0, 0xf4)) {
        length = 4;
    } else {
        return 0;
    }
    if (size < length || !second_byte_fits(byte[0], byte[1])) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (!in_range(byte[i], 0x80, 0xbf)) {
            return 0;
        }
    }
    return length;
}

void bv_utf8_clean(char *text)
{
    const size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        const unsigned char first = (unsigned char)text[at];
        if (first >= 0x20 && first < 0x7f) { /* nearly every byte of nearly every text */
            at++;
            continue;
        }
        const size_t length = bv_utf8_length(text + at, size - at);
        const bool c1_control = length == 2 && first == 0xc2 && (unsigned char)text[at + 1] < 0xa0;
        if (length < 2 || c1_control) { /* no sequence, or an ASCII control */
            text[at++] =
                '?'; /* of a C1 control the second byte is then alone and becomes one, too */
        } else {
            at += length;
        }
    }
}
