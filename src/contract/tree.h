/* contract/tree.h - building documents: small helpers over jansson that turn every allocation failure into one false.
 *
 * Each takes the value over, also when it fails, and takes NULL (a failed allocation) for a value, so that calls chain with
 * `ok = tree_put(...) && ok` and a single check at the end. Texts given here must be plain (bv_text_is_plain). */
#pragma once

#include "canon/canon.h"

static inline bool tree_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static inline bool tree_put_text(json_t *object, const char *key, const char *text)
{
    return tree_put(object, key, json_string(text));
}

static inline bool tree_put_bool(json_t *object, const char *key, bool value)
{
    return tree_put(object, key, json_boolean(value));
}

/* value <= BV_JSON_MAX_INTEGER */
static inline bool tree_put_u64(json_t *object, const char *key, uint64_t value)
{
    return tree_put(object, key, json_integer((json_int_t)value));
}

/* Shares a value that stays its owner's; NULL fails. */
static inline bool tree_put_shared(json_t *object, const char *key, json_t *value)
{
    return json_object_set(object, key, value) == 0;
}

static inline bool tree_append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0;
}

static inline const char *tree_text(const json_t *object,
                                    const char *key) /* NULL: absent or no string */
{
    return json_string_value(json_object_get(object, key));
}

static inline void tree_drop(json_t **value) /* for BV_AUTO(tree_drop) */
{
    json_decref(*value);
}
