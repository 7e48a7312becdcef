/* canon/place.c - JSON pointers from chains of steps.
 *
 * Chains are as deep as the documents they follow (BV_JSON_MAX_DEPTH plus a prefix), so walking them upwards is
 * bounded; a deeper one is a fault of bvisor. */
#include "canon/place.h"

#include "base/check.h"
#include "base/error.h"

#include <bvisor/limits.h>
#include <stdio.h>
#include <string.h>

#define STEPS_MAX (BV_JSON_MAX_DEPTH + 2)

struct cursor {
    char *text;
    size_t size, at;
};

static void put(struct cursor *cursor, char byte)
{
    if (cursor->at + 1 < cursor->size) {
        cursor->text[cursor->at++] = byte;
    }
}

static void put_key(struct cursor *cursor, const char *key)
{
    for (; *key; key++) {
        if (*key == '~' || *key == '/') { /* RFC 6901, section 3 */
            put(cursor, '~');
            put(cursor, *key == '~' ? '0' : '1');
        } else {
            put(cursor, *key);
        }
    }
}

void bv_place_text(const struct bv_place *place, char *text, size_t size)
{
    BV_ASSERT(size > 0);
    struct cursor cursor = { text, size, 0 };
    const struct bv_place *steps[STEPS_MAX];
    size_t count = 0;
    for (; place && place->up; place = place->up) {
        BV_ASSERT(count < STEPS_MAX);
        steps[count++] = place;
    }
    for (const char *byte = place ? place->key : ""; *byte; byte++) {
        put(&cursor, *byte);
    }
    while (count > 0) {
        const struct bv_place *step = steps[--count];
        put(&cursor, '/');
        if (step->key) {
            put_key(&cursor, step->key);
        } else {
            char digits[24];
            (void)snprintf(digits, sizeof(digits), "%zu", step->index);
            put_key(&cursor, digits);
        }
    }
    text[cursor.at] = '\0';
}

enum bv_status bv_vfail_at(struct bv_error *error, enum bv_status status,
                           const struct bv_place *place, const char *format, va_list arguments)
{
    char pointer[sizeof(((struct bv_error *)NULL)->place)];
    char text[sizeof(((struct bv_error *)NULL)->text)];
    bv_place_text(place, pointer, sizeof(pointer));
    if (vsnprintf(text, sizeof(text), format, arguments) < 0) {
        text[0] = '\0';
    }
    return bv_fail(error, status, pointer, "%s", text);
}

enum bv_status bv_fail_at(struct bv_error *error, enum bv_status status,
                          const struct bv_place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum bv_status result = bv_vfail_at(error, status, place, format, arguments);
    va_end(arguments);
    return result;
}
