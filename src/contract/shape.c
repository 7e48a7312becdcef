/* contract/shape.c - tests on saved plans and reports that somebody hands back to bvisor.
 *
 * The documents were made by bvisor, so a reader needs no tolerance: a key that the format does not know, or a digest
 * that is not written as bvisor writes one, means that it is not such a document. */
#include "contract/shape.h"

#include "canon/canon.h"

#include <stdint.h>
#include <string.h>

bool bv_shape_hex(const char *text, size_t size)
{
    if (!text || strlen(text) != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

bool bv_shape_digest(const char *text)
{
    return text && strlen(text) > 7 && memcmp(text, "sha256:", 7) == 0 &&
           bv_shape_hex(text + 7, 64);
}

bool bv_shape_keys(const json_t *object, const char *const *keys, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known += json_object_get(object, keys[i]) != NULL;
    }
    return json_is_object(object) && json_object_size(object) == known;
}

static bool key_is_ascii(const char *key)
{
    for (; *key; key++) {
        if ((unsigned char)*key >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Recursion ends where the reader's depth does. */
bool bv_shape_canonical(const json_t *value)
{
    if (json_is_string(value)) {
        return bv_text_is_plain(json_string_value(value), json_string_length(value));
    }
    for (size_t i = 0; i < json_array_size(value); i++) { /* 0 for what is no array */
        if (!bv_shape_canonical(json_array_get(value, i))) {
            return false;
        }
    }
    json_t *object = (json_t *)(uintptr_t)
        value; /* jansson's iterator takes a non-const object and does not change it */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        if (!key_is_ascii(json_object_iter_key(at)) ||
            !bv_shape_canonical(json_object_iter_value(at))) {
            return false;
        }
    }
    return !json_is_real(value);
}
