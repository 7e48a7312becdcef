/* contract/node.c - typed readings out of a tree, each fault at its place.
 *
 * What every reader of documents does: is it an object, are all its keys known, is the member there and a string. A
 * reading returns false when it failed and has then recorded why, so that readings chain with && and the caller looks at
 * the status once. Texts are copied into the reading's arena. Specified by INTERFACE.md 2. */
#include "contract/node.h"

#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

bool bv_node_fail(struct bv_reading *r, const struct bv_place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    r->status = bv_vfail_at(r->error, BV_E_INVALID, place, format, arguments);
    va_end(arguments);
    return false;
}

bool bv_node_nomem(struct bv_reading *r)
{
    r->status = bv_fail_nomem(r->error);
    return false;
}

bool bv_node_fail_words(struct bv_reading *r, const struct bv_place *place, const char *what,
                        const struct bv_names *names)
{
    char list[200];
    size_t at = 0;
    for (size_t i = 0; i < names->count; i++) {
        int length =
            snprintf(list + at, sizeof(list) - at, "%s%s", i == 0 ? "" : ", ", names->names[i]);
        BV_ASSERT(length > 0 && (size_t)length < sizeof(list) - at);
        at += (size_t)length;
    }
    return bv_node_fail(r, place, "%s %s", what, list);
}

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool bv_node_expect_object(struct bv_reading *r, const struct bv_node *node,
                           const char *const *keys, size_t count)
{
    if (!json_is_object(node->json)) {
        return bv_node_fail(r, &node->place, "must be an object");
    }
    json_t *object = (json_t *)(uintptr_t)node->json; /* jansson's iterator does not change it */
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        const char *key = json_object_iter_key(iter);
        if (!is_one_of(key, keys, count)) {
            struct bv_place place = BV_PLACE_KEY(&node->place, key);
            return bv_node_fail(r, &place, "unknown key");
        }
    }
    return true;
}

bool bv_node_member(struct bv_reading *r, const struct bv_node *object, const char *key,
                    enum bv_need need, struct bv_node *ret_node)
{
    *ret_node =
        (struct bv_node){ json_object_get(object->json, key), BV_PLACE_KEY(&object->place, key) };
    return ret_node->json || need == BV_OPTIONAL || bv_node_fail(r, &ret_node->place, "is missing");
}

struct bv_node bv_node_item(const struct bv_node *array, size_t index)
{
    return (struct bv_node){ json_array_get(array->json, index),
                             BV_PLACE_INDEX(&array->place, index) };
}

bool bv_node_read_array(struct bv_reading *r, const struct bv_node *object, const char *key,
                        enum bv_need need, struct bv_node *ret_node, size_t *ret_count)
{
    if (!bv_node_member(r, object, key, need, ret_node)) {
        return false;
    }
    if (ret_node->json && !json_is_array(ret_node->json)) {
        return bv_node_fail(r, &ret_node->place, "must be an array");
    }
    *ret_count = json_array_size(ret_node->json);
    return true;
}

bool bv_node_take_text(struct bv_reading *r, const struct bv_node *node, const char **ret_text)
{
    if (!json_is_string(node->json)) {
        return bv_node_fail(r, &node->place, "must be a string");
    }
    const char *text = json_string_value(node->json);
    BV_ASSERT(strlen(text) == json_string_length(node->json)); /* the JSON reader refuses NUL */
    *ret_text = bv_arena_text(r->arena, text);
    return *ret_text || bv_node_nomem(r);
}

bool bv_node_read_text(struct bv_reading *r, const struct bv_node *object, const char *key,
                       enum bv_need need, const char **ret_text)
{
    struct bv_node node;
    return bv_node_member(r, object, key, need, &node) &&
           (!node.json || bv_node_take_text(r, &node, ret_text));
}

bool bv_node_read_bool(struct bv_reading *r, const struct bv_node *object, const char *key,
                       bool *ret_value)
{
    struct bv_node node;
    if (!bv_node_member(r, object, key, BV_OPTIONAL, &node)) {
        return false;
    }
    if (node.json && !json_is_boolean(node.json)) {
        return bv_node_fail(r, &node.place, "must be true or false");
    }
    *ret_value = node.json ? json_is_true(node.json) : *ret_value;
    return true;
}

bool bv_node_read_word(struct bv_reading *r, const struct bv_node *object, const char *key,
                       const struct bv_names *names, size_t *ret_value)
{
    struct bv_node node;
    if (!bv_node_member(r, object, key, BV_REQUIRED, &node)) {
        return false;
    }
    if (!json_is_string(node.json) ||
        !bv_name_find(names, json_string_value(node.json), ret_value)) {
        return bv_node_fail_words(r, &node.place, "must be one of", names);
    }
    return true;
}

bool bv_node_read_fixed(struct bv_reading *r, const struct bv_node *object, const char *key,
                        const char *only)
{
    struct bv_node node;
    if (!bv_node_member(r, object, key, BV_OPTIONAL, &node)) {
        return false;
    }
    bool good = !node.json ||
                (json_is_string(node.json) && strcmp(json_string_value(node.json), only) == 0);
    return good || bv_node_fail(r, &node.place, "must be %s", only);
}

bool bv_node_take_integer(struct bv_reading *r, const struct bv_node *node, uint64_t max,
                          uint64_t *ret_value)
{
    if (!json_is_integer(node->json)) {
        return bv_node_fail(r, &node->place, "must be an integer");
    }
    json_int_t value = json_integer_value(node->json);
    if (value < 0) {
        return bv_node_fail(r, &node->place, "must not be negative");
    }
    if ((uint64_t)value > max) {
        return bv_node_fail(r, &node->place, "must be at most %llu", (unsigned long long)max);
    }
    *ret_value = (uint64_t)value;
    return true;
}

bool bv_node_tagged(struct bv_reading *r, const struct bv_node *node, const struct bv_names *names,
                    size_t *ret_kind, struct bv_node *ret_body)
{
    if (!json_is_object(node->json)) {
        return bv_node_fail(r, &node->place, "must be an object");
    }
    json_t *object = (json_t *)(uintptr_t)node->json;
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        const char *key = json_object_iter_key(iter);
        if (!bv_name_find(names, key, ret_kind)) {
            struct bv_place place = BV_PLACE_KEY(&node->place, key);
            return bv_node_fail_words(r, &place, "unknown key, must be one of", names);
        }
    }
    if (json_object_size(object) != 1) {
        return bv_node_fail_words(r, &node->place, "must hold exactly one of", names);
    }
    return bv_node_member(r, node, names->names[*ret_kind], BV_REQUIRED, ret_body);
}

bool bv_node_read_texts(struct bv_reading *r, const struct bv_node *object, const char *key,
                        enum bv_need need, const char *const **ret_texts, size_t *ret_count)
{
    struct bv_node list;
    size_t count;
    if (!bv_node_read_array(r, object, key, need, &list, &count)) {
        return false;
    }
    const char **texts = bv_arena_array(r->arena, count, sizeof(*texts));
    if (!texts) {
        return bv_node_nomem(r);
    }
    for (size_t i = 0; i < count; i++) {
        struct bv_node item = bv_node_item(&list, i);
        if (!bv_node_take_text(r, &item, &texts[i])) {
            return false;
        }
    }
    *ret_texts = texts;
    *ret_count = count;
    return true;
}
