/* tests/wasm/builder.h - makes small WebAssembly modules by hand, for tests that must run everywhere.
 *
 *     struct module m = { 0 };
 *     uint32_t f = module_function(&m, "ii", "i", "", CODE(0x20, 0, 0x20, 1, 0x6a, 0x0b));
 *     module_export(&m, "add", 0, f);
 *     const uint8_t *bytes = module_finish(&m, &size);
 *
 * Types are letters: i I f F for the numbers, v a vector, c a funcref, x an externref. Imports come before functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MODULE_SECTIONS 13
#define CODE(...)       (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

struct bytes { uint8_t *data; size_t size, capacity; };
struct module { struct bytes sections[MODULE_SECTIONS], whole; uint32_t counts[MODULE_SECTIONS], functions; };

void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_leb(struct bytes *bytes, uint64_t value);
void bytes_sleb(struct bytes *bytes, int64_t value);

uint32_t module_type(struct module *m, const char *params, const char *results);
uint32_t module_import(struct module *m, const char *module_name, const char *name, const char *params, const char *results);
/* locals: letters, each optionally after a count: "3i2F". */
uint32_t module_function(struct module *m, const char *params, const char *results, const char *locals, const uint8_t *code, size_t size);
void module_memory(struct module *m, uint32_t min, int64_t max); /* max < 0: none */
void module_table(struct module *m, uint32_t min, int64_t max);
void module_global(struct module *m, char type, int is_mutable, int64_t value); /* i or I */
void module_export(struct module *m, const char *name, uint8_t kind, uint32_t index);
void module_start(struct module *m, uint32_t function);
void module_elem(struct module *m, uint32_t offset, const uint32_t *functions, uint32_t count);
void module_data(struct module *m, uint32_t offset, const void *data, uint32_t size);
void module_passive_data(struct module *m, const void *data, uint32_t size); /* with the data count */
const uint8_t *module_finish(struct module *m, size_t *ret_size);            /* the module's until module_free() */
void module_free(struct module *m);
