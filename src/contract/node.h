/* contract/node.h - typed readings out of a jansson tree. Each returns false after recording the fault at its place. */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "canon/place.h"
#include "contract/names.h"

struct bv_reading {
    struct bv_arena *arena; /* where texts go */
    struct bv_error *error; /* may be NULL */
    enum bv_status status;  /* BV_OK until a reading failed */
};

struct bv_node { /* a value and where it is; json NULL: an optional member that is absent */
    const json_t *json;
    struct bv_place place; /* points to the place of the value around it */
};

enum bv_need { BV_OPTIONAL, BV_REQUIRED };

/* Faults. */
bool bv_node_fail(struct bv_reading *r, const struct bv_place *place, const char *format, ...)
    BV_PRINTF(3, 4);
/* what, then the words: "must be one of read, write, read_write". */
bool bv_node_fail_words(struct bv_reading *r, const struct bv_place *place, const char *what,
                        const struct bv_names *names);
bool bv_node_nomem(struct bv_reading *r);

/* Is it an object with no other keys than these? */
bool bv_node_expect_object(struct bv_reading *r, const struct bv_node *node,
                           const char *const *keys, size_t count);
/* An object with exactly one member, whose key is a word of names: {"wasm": {...}}. */
bool bv_node_tagged(struct bv_reading *r, const struct bv_node *node, const struct bv_names *names,
                    size_t *ret_kind, struct bv_node *ret_body);
bool bv_node_member(struct bv_reading *r, const struct bv_node *object, const char *key,
                    enum bv_need need, struct bv_node *ret_node);
struct bv_node bv_node_item(const struct bv_node *array, size_t index);
bool bv_node_take_text(struct bv_reading *r, const struct bv_node *node, const char **ret_text);
bool bv_node_take_integer(struct bv_reading *r, const struct bv_node *node, uint64_t max,
                          uint64_t *ret_value); /* 0 to max */

/* Members by name. Absent and BV_OPTIONAL: a text or boolean stays as it was, an array has json NULL and count 0. */
bool bv_node_read_text(struct bv_reading *r, const struct bv_node *object, const char *key,
                       enum bv_need need, const char **ret_text);
bool bv_node_read_bool(struct bv_reading *r, const struct bv_node *object, const char *key,
                       bool *ret_value); /* optional */
bool bv_node_read_word(struct bv_reading *r, const struct bv_node *object, const char *key,
                       const struct bv_names *names, size_t *ret_value); /* required */
/* An optional key that has only one possible value, written for the reader of a document. */
bool bv_node_read_fixed(struct bv_reading *r, const struct bv_node *object, const char *key,
                        const char *only);
bool bv_node_read_array(struct bv_reading *r, const struct bv_node *object, const char *key,
                        enum bv_need need, struct bv_node *ret_node, size_t *ret_count);
bool bv_node_read_texts(struct bv_reading *r, const struct bv_node *object, const char *key,
                        enum bv_need need, const char *const **ret_texts, size_t *ret_count);
