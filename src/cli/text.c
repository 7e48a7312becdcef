/* cli/text.c - see text.h. A sandbox's report quotes what hostile programs wrote, so nothing of
 * it reaches a terminal raw. */
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

size_t cli_utf8_next(const char *text, size_t size, uint32_t *ret_point)
{
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) {
        return 0;
    }
    if (s[0] < 0x80) {
        *ret_point = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > size) {
        return 0;
    }
    uint32_t point = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (s[i] & 0x3fu);
    }
    /* Overlong forms, surrogates and values past U+10FFFF are not UTF-8 (RFC 3629). */
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (point < least[length] || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) {
        return 0;
    }
    *ret_point = point;
    return length;
}

bool cli_is_steering(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x061c ||
           (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

void cli_put_clean(FILE *out, const char *bytes, size_t size, bool keep_lines)
{
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = cli_utf8_next(bytes + at, size - at, &point);
        if (length == 0) {
            (void)fprintf(out, "\\x%02x", (unsigned char)bytes[at]);
            at++;
            continue;
        }
        if (!cli_is_steering(point) || (keep_lines && (point == '\n' || point == '\t'))) {
            (void)fwrite(bytes + at, 1, length, out);
        } else if (point < 0x100) {
            (void)fprintf(out, "\\x%02" PRIx32, point);
        } else {
            (void)fprintf(out, "\\u%04" PRIx32, point);
        }
        at += length;
    }
}

void cli_put_text(FILE *out, const char *text)
{
    cli_put_clean(out, text, strlen(text), false);
}

/* value / unit with up to two decimals, trailing zeros dropped. */
static void format_scaled(uint64_t value, uint64_t unit, const char *suffix,
                          char text[CLI_FIGURE_BYTES])
{
    uint64_t whole = value / unit;
    unsigned hundredths = (unsigned)((double)(value % unit) * 100.0 / (double)unit);
    if (hundredths == 0) {
        (void)snprintf(text, CLI_FIGURE_BYTES, "%" PRIu64 "%s", whole, suffix);
    } else if (hundredths % 10 == 0) {
        (void)snprintf(text, CLI_FIGURE_BYTES, "%" PRIu64 ".%u%s", whole, hundredths / 10, suffix);
    } else {
        (void)snprintf(text, CLI_FIGURE_BYTES, "%" PRIu64 ".%02u%s", whole, hundredths, suffix);
    }
}

void cli_format_duration(uint64_t micros, char text[CLI_FIGURE_BYTES])
{
    if (micros < 1000) {
        format_scaled(micros, 1, "us", text);
    } else if (micros < 1000000) {
        format_scaled(micros, 1000, "ms", text);
    } else if (micros < 60000000 || micros % 60000000 != 0) {
        format_scaled(micros, 1000000, "s", text);
    } else if (micros % 3600000000u != 0) {
        format_scaled(micros, 60000000, "m", text);
    } else {
        format_scaled(micros, 3600000000u, "h", text);
    }
}

void cli_format_size(uint64_t bytes, char text[CLI_FIGURE_BYTES])
{
    static const char *const suffixes[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB" };
    size_t step = 0;
    uint64_t unit = 1;
    while (step < 5 && bytes / unit >= 1024) {
        unit *= 1024;
        step++;
    }
    format_scaled(bytes, unit, suffixes[step], text);
}
