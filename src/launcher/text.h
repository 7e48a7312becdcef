/* launcher/text.h - short texts in fixed storage: paths below /proc, numbers for mount options and
 * id maps.
 *
 * A text that does not fit is a bug of the caller, whose storage is sized for the largest number;
 * it traps. */
#pragma once

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char chars[96];
    size_t length;
};

static inline void text_add(struct text *text, const char *more)
{
    size_t length = strlen(more);

    BV_ASSERT(length < sizeof(text->chars) - text->length);
    memcpy(text->chars + text->length, more, length + 1);
    text->length += length;
}

static inline void text_add_number(struct text *text, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    BV_ASSERT(base == 8 || base == 10);
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % base);
        value /= base;
    } while (value > 0);
    text_add(text, digits + at);
}

static inline struct text text_of_number(uint64_t value, unsigned base)
{
    struct text text = { .length = 0 };

    text_add_number(&text, value, base);
    return text;
}
