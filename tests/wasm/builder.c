/* tests/wasm/builder.c - the hand assembler of builder.h: one growing buffer a section, framed at the end. */
#include "builder.h"

#include <stdlib.h>
#include <string.h>

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = 2 * (bytes->size + size) + 64;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data) {
            abort();
        }
    }
    if (size) {
        memcpy(bytes->data + bytes->size, data, size);
    }
    bytes->size += size;
}

static void add_byte(struct bytes *bytes, uint8_t byte)
{
    bytes_add(bytes, &byte, 1);
}

void bytes_leb(struct bytes *bytes, uint64_t value)
{
    do {
        add_byte(bytes, (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0)));
        value >>= 7;
    } while (value);
}

void bytes_sleb(struct bytes *bytes, int64_t value)
{
    for (;;) {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        if ((value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40))) {
            add_byte(bytes, byte);
            return;
        }
        add_byte(bytes, byte | 0x80);
    }
}

static uint8_t type_of(char letter)
{
    switch (letter) {
    case 'i': return 0x7f;
    case 'I': return 0x7e;
    case 'f': return 0x7d;
    case 'F': return 0x7c;
    case 'v': return 0x7b;
    case 'c': return 0x70;
    case 'x': return 0x6f;
    default: abort();
    }
}

static void add_types(struct bytes *bytes, const char *letters)
{
    bytes_leb(bytes, strlen(letters));
    for (; *letters; letters++) {
        add_byte(bytes, type_of(*letters));
    }
}

static void add_name(struct bytes *bytes, const char *name)
{
    bytes_leb(bytes, strlen(name));
    bytes_add(bytes, name, strlen(name));
}

uint32_t module_type(struct module *m, const char *params, const char *results)
{
    add_byte(&m->sections[1], 0x60);
    add_types(&m->sections[1], params);
    add_types(&m->sections[1], results);
    return m->counts[1]++;
}

uint32_t module_import(struct module *m, const char *module_name, const char *name,
                       const char *params, const char *results)
{
    uint32_t type = module_type(m, params, results);
    add_name(&m->sections[2], module_name);
    add_name(&m->sections[2], name);
    add_byte(&m->sections[2], 0);
    bytes_leb(&m->sections[2], type);
    m->counts[2]++;
    return m->functions++;
}

uint32_t module_function(struct module *m, const char *params, const char *results,
                         const char *locals, const uint8_t *code, size_t size)
{
    bytes_leb(&m->sections[3], module_type(m, params, results));
    m->counts[3]++;
    struct bytes body = { 0 }, runs = { 0 };
    uint32_t run_count = 0;
    while (*locals) {
        char *after = NULL;
        unsigned long count = strtoul(locals, &after, 10);
        bytes_leb(&runs, after == locals ? 1 : count);
        add_byte(&runs, type_of(*after));
        locals = after + 1;
        run_count++;
    }
    bytes_leb(&body, run_count);
    bytes_add(&body, runs.data, runs.size);
    bytes_add(&body, code, size);
    bytes_leb(&m->sections[10], body.size);
    bytes_add(&m->sections[10], body.data, body.size);
    m->counts[10]++;
    free(body.data);
    free(runs.data);
    return m->functions++;
}

static void add_limits(struct bytes *bytes, uint32_t min, int64_t max)
{
    add_byte(bytes, max >= 0);
    bytes_leb(bytes, min);
    if (max >= 0) {
        bytes_leb(bytes, (uint64_t)max);
    }
}

void module_memory(struct module *m, uint32_t min, int64_t max)
{
    add_limits(&m->sections[5], min, max);
    m->counts[5]++;
}

void module_table(struct module *m, uint32_t min, int64_t max)
{
    add_byte(&m->sections[4], 0x70);
    add_limits(&m->sections[4], min, max);
    m->counts[4]++;
}

void module_global(struct module *m, char type, int is_mutable, int64_t value)
{
    add_byte(&m->sections[6], type_of(type));
    add_byte(&m->sections[6], is_mutable != 0);
    add_byte(&m->sections[6], type == 'I' ? 0x42 : 0x41);
    bytes_sleb(&m->sections[6], value);
    add_byte(&m->sections[6], 0x0b);
    m->counts[6]++;
}

void module_export(struct module *m, const char *name, uint8_t kind, uint32_t index)
{
    add_name(&m->sections[7], name);
    add_byte(&m->sections[7], kind);
    bytes_leb(&m->sections[7], index);
    m->counts[7]++;
}

void module_start(struct module *m, uint32_t function)
{
    bytes_leb(&m->sections[8], function);
}

static void add_offset(struct bytes *bytes, uint32_t offset)
{
    add_byte(bytes, 0x41);
    bytes_sleb(bytes, (int32_t)offset);
    add_byte(bytes, 0x0b);
}

void module_elem(struct module *m, uint32_t offset, const uint32_t *functions, uint32_t count)
{
    add_byte(&m->sections[9], 0);
    add_offset(&m->sections[9], offset);
    bytes_leb(&m->sections[9], count);
    for (uint32_t i = 0; i < count; i++) {
        bytes_leb(&m->sections[9], functions[i]);
    }
    m->counts[9]++;
}

void module_data(struct module *m, uint32_t offset, const void *data, uint32_t size)
{
    add_byte(&m->sections[11], 0);
    add_offset(&m->sections[11], offset);
    bytes_leb(&m->sections[11], size);
    bytes_add(&m->sections[11], data, size);
    m->counts[11]++;
}

void module_passive_data(struct module *m, const void *data, uint32_t size)
{
    add_byte(&m->sections[11], 1);
    bytes_leb(&m->sections[11], size);
    bytes_add(&m->sections[11], data, size);
    m->counts[11]++;
    m->counts[12] = 1;
}

const uint8_t *module_finish(struct module *m, size_t *ret_size)
{
    static const uint8_t order[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11 };
    bytes_add(&m->whole, "\0asm\1\0\0\0", 8);
    for (size_t i = 0; i < sizeof(order); i++) {
        struct bytes content = { 0 };
        uint8_t id = order[i];
        if (id == 12 && m->counts[12]) {
            bytes_leb(&content, m->counts[11]);
        } else if (id != 8 && m->counts[id] && id != 12) {
            bytes_leb(&content, m->counts[id]);
        }
        bytes_add(&content, m->sections[id].data, m->sections[id].size);
        if (content.size) {
            add_byte(&m->whole, id);
            bytes_leb(&m->whole, content.size);
            bytes_add(&m->whole, content.data, content.size);
        }
        free(content.data);
    }
    *ret_size = m->whole.size;
    return m->whole.data;
}

void module_free(struct module *m)
{
    for (size_t i = 0; i < MODULE_SECTIONS; i++) {
        free(m->sections[i].data);
    }
    free(m->whole.data);
    *m = (struct module){ 0 };
}
