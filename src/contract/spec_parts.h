/* contract/spec_parts.h - what the files of the spec share: spec_read.c makes the struct, spec_check.c holds every value
 * rule, spec_write.c makes the document, spec.c is the public face. */
#pragma once

#include <bvisor/spec.h>

#define BV_SPEC_SCHEMA_NAME "bvisor.spec/1"

/* bv_spec_check() with places below prefix, a JSON pointer ("" for a document of its own). */
BV_MUST_CHECK enum bv_status bv_spec_check_below(const struct bv_spec *spec, const char *prefix,
                                                 struct bv_error *error);

/* docs/schema/spec.schema.json, embedded when the library is built. */
extern const char bv_spec_schema_text[];
