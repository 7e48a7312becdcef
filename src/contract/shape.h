/* contract/shape.h - small tests on the shape of documents that come from outside. */
#pragma once

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

/* "sha256:" and 64 lower-case hex digits. NULL is not. */
bool bv_shape_digest(const char *text);
/* size lower-case hex digits and nothing else. NULL is not. */
bool bv_shape_hex(const char *text, size_t size);
/* An object that holds no key outside keys[0..count). */
bool bv_shape_keys(const json_t *object, const char *const *keys, size_t count);
/* What the strict reader took can also be written canonically: no U+007F in a string, ASCII keys only. */
bool bv_shape_canonical(const json_t *value);
