/* canon/place.h - where in a document a fault is: a chain of steps on the stack, written out as a JSON pointer only when
 * something is wrong. Specified by RFC 6901. */
#pragma once

#include <bvisor/base.h>

#include <stdarg.h>

struct bv_place {
    const struct bv_place *up; /* NULL for the root of the chain */
    const char *key;           /* member name, NULL: an array index */
    size_t index;
};

/* prefix: a pointer text that is put before all, as it is; "" for a document of its own. */
#define BV_PLACE_ROOT(prefix)     ((struct bv_place){ NULL, (prefix), 0 })
#define BV_PLACE_KEY(up, key)     ((struct bv_place){ (up), (key), 0 })
#define BV_PLACE_INDEX(up, index) ((struct bv_place){ (up), NULL, (index) })

/* Writes the JSON pointer, cut to size when it is longer; always NUL-terminated. */
void bv_place_text(const struct bv_place *place, char *text, size_t size);
/* bv_fail() with a place; returns status. */
enum bv_status bv_fail_at(struct bv_error *error, enum bv_status status,
                          const struct bv_place *place, const char *format, ...) BV_PRINTF(4, 5);
enum bv_status bv_vfail_at(struct bv_error *error, enum bv_status status,
                           const struct bv_place *place, const char *format, va_list arguments)
    BV_PRINTF(4, 0);
