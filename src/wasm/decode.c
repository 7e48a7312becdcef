/* wasm/decode.c - bytes to module: the section loop, and the sections that declare things.
 *
 * Sections come in a fixed order, custom sections anywhere; each must be used up exactly. Types and indices are checked where they
 * are read, so that a module whose decoding succeeds is valid. segments.c reads the sections with expressions and bodies. */
#include "wasm/decode.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static bool nomem(struct bv_wasm_decoder *decoder)
{
    return bv_wasm_fail_nomem(&decoder->reader);
}

static void *copy(struct bv_wasm_decoder *decoder, const void *bytes, uint32_t size)
{
    void *kept = bv_wasm_arena_alloc(&decoder->module->arena, size, 1);
    if (kept && size) {
        memcpy(kept, bytes, size);
    }
    return kept;
}

static bool read_kept_name(struct bv_wasm_decoder *decoder, struct bv_wasm_name *ret_name)
{
    if (!bv_wasm_read_name(&decoder->reader, ret_name)) {
        return false;
    }
    ret_name->bytes = copy(decoder, ret_name->bytes, ret_name->size);
    return ret_name->bytes || nomem(decoder);
}

static bool read_value_type(struct bv_wasm_decoder *decoder, uint8_t *ret_type)
{
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, ret_type)) {
        return false;
    }
    return bv_wasm_is_value_type(*ret_type) ||
           bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed value type");
}

bool bv_wasm_decode_reftype(struct bv_wasm_decoder *decoder, uint8_t *ret_type)
{
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, ret_type)) {
        return false;
    }
    return bv_wasm_is_reference(*ret_type) ||
           bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed reference type");
}

static bool read_types_of(struct bv_wasm_decoder *decoder, enum bv_wasm_limit limit,
                          const uint8_t **ret_types, uint32_t *ret_count, uint32_t *ret_cells)
{
    uint32_t count, cells = 0;
    if (!bv_wasm_read_count(&decoder->reader, limit, &count)) {
        return false;
    }
    uint8_t *types = bv_wasm_arena_alloc(&decoder->module->arena, count, 1);
    if (!types) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_value_type(decoder, &types[i])) {
            return false;
        }
        cells += bv_wasm_cells_of(types[i]);
    }
    *ret_types = types;
    *ret_count = count;
    *ret_cells = cells;
    return true;
}

static bool decode_types(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_TYPES, &count)) {
        return false;
    }
    module->types = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->types));
    module->type_order = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->type_order));
    if (!module->types || !module->type_order) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bv_wasm_type_info *info = &module->types[i];
        const uint8_t *at = decoder->reader.at;
        uint8_t form;
        if (!bv_wasm_read_byte(&decoder->reader, &form)) {
            return false;
        }
        if (form != 0x60) {
            return bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at,
                                form & 0x80 ? "integer representation too long"
                                            : "malformed type form");
        }
        if (!read_types_of(decoder, BV_WASM_LIMIT_PARAMS, &info->type.params,
                           &info->type.param_count, &info->param_cells) ||
            !read_types_of(decoder, BV_WASM_LIMIT_RESULTS, &info->type.results,
                           &info->type.result_count, &info->result_cells)) {
            return false;
        }
    }
    module->type_count = count;
    bv_wasm_order_types(module);
    return true;
}

static bool read_limits(struct bv_wasm_decoder *decoder, struct bv_wasm_limits *ret_limits)
{
    const uint8_t *at = decoder->reader.at;
    uint8_t flags;
    uint32_t min, max = 0;
    if (!bv_wasm_read_byte(&decoder->reader, &flags)) {
        return false;
    }
    if (flags > 1) {
        return bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at,
                            flags & 0x80 ? "integer representation too long" : "integer too large");
    }
    if (!bv_wasm_read_u32(&decoder->reader, &min) ||
        (flags && !bv_wasm_read_u32(&decoder->reader, &max))) {
        return false;
    }
    if (flags && min > max) {
        return bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at,
                            "size minimum must not be greater than maximum");
    }
    *ret_limits = (struct bv_wasm_limits){ .min = min, .max = max, .has_max = flags != 0 };
    return true;
}

static bool read_table_type(struct bv_wasm_decoder *decoder, struct bv_wasm_table_type *ret_type)
{
    return bv_wasm_decode_reftype(decoder, &ret_type->type) &&
           read_limits(decoder, &ret_type->limits);
}

static bool read_memory_type(struct bv_wasm_decoder *decoder, struct bv_wasm_limits *ret_pages)
{
    const uint8_t *at = decoder->reader.at;
    if (!read_limits(decoder, ret_pages)) {
        return false;
    }
    if (ret_pages->min > BV_WASM_MAX_MEMORY_PAGES ||
        (ret_pages->has_max && ret_pages->max > BV_WASM_MAX_MEMORY_PAGES)) {
        return bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at,
                            "memory size must be at most 65536 pages (4GiB)");
    }
    return true;
}

static bool read_global_type(struct bv_wasm_decoder *decoder, struct bv_wasm_global_type *ret_type)
{
    uint8_t is_mutable;
    if (!read_value_type(decoder, &ret_type->type)) {
        return false;
    }
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, &is_mutable)) {
        return false;
    }
    ret_type->is_mutable = is_mutable == 1;
    return is_mutable <= 1 ||
           bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed mutability");
}

static bool read_type_index(struct bv_wasm_decoder *decoder, uint32_t *ret_index)
{
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_u32(&decoder->reader, ret_index)) {
        return false;
    }
    return *ret_index < decoder->module->type_count ||
           bv_wasm_fail_index(&decoder->reader, at, "type", *ret_index);
}

/* Makes room for `more` elements behind *count of an array that imports and a section share. */
static bool extend(struct bv_wasm_decoder *decoder, void *array, uint32_t count, uint32_t more,
                   enum bv_wasm_limit limit, size_t element_bytes)
{
    struct bv_wasm_module *module = decoder->module;
    uint64_t total = (uint64_t)count + more;
    if (total > bv_wasm_limit_value(limit)) {
        return bv_wasm_fail_limit(&decoder->reader, decoder->reader.at, limit);
    }
    void *old, *grown = bv_wasm_arena_alloc(&module->arena, total, element_bytes);
    if (!grown) {
        return nomem(decoder);
    }
    memcpy(&old, array, sizeof(old));
    if (count) {
        memcpy(grown, old, count * element_bytes);
    }
    memcpy(array, &grown, sizeof(grown));
    return true;
}

static bool decode_import(struct bv_wasm_decoder *decoder, struct bv_wasm_import_def *import)
{
    struct bv_wasm_module *module = decoder->module;
    const uint8_t *at;
    if (!read_kept_name(decoder, &import->module) || !read_kept_name(decoder, &import->name)) {
        return false;
    }
    at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, &import->kind)) {
        return false;
    }
    switch (import->kind) {
    case BV_WASM_FUNC: module->imported_functions++; return read_type_index(decoder, &import->type);
    case BV_WASM_TABLE: module->imported_tables++; return read_table_type(decoder, &import->table);
    case BV_WASM_MEMORY:
        module->imported_memories++;
        return read_memory_type(decoder, &import->memory);
    case BV_WASM_GLOBAL:
        module->imported_globals++;
        return read_global_type(decoder, &import->global);
    default: return bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed import kind");
    }
}

/* The index spaces begin with what was imported. */
static bool open_index_spaces(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    if (!extend(decoder, &module->function_types, 0, module->imported_functions,
                BV_WASM_LIMIT_FUNCTIONS, sizeof(uint32_t)) ||
        !extend(decoder, &module->tables, 0, module->imported_tables, BV_WASM_LIMIT_TABLES,
                sizeof(*module->tables)) ||
        !extend(decoder, &module->memories, 0, module->imported_memories, BV_WASM_LIMIT_MEMORIES,
                sizeof(*module->memories)) ||
        !extend(decoder, &module->globals, 0, module->imported_globals, BV_WASM_LIMIT_GLOBALS,
                sizeof(*module->globals))) {
        return false;
    }
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct bv_wasm_import_def *import = &module->imports[i];
        switch ((enum bv_wasm_kind)import->kind) {
        case BV_WASM_FUNC: module->function_types[module->function_count++] = import->type; break;
        case BV_WASM_TABLE: module->tables[module->table_count++] = import->table; break;
        case BV_WASM_MEMORY: module->memories[module->memory_count++] = import->memory; break;
        case BV_WASM_GLOBAL: module->globals[module->global_count++].type = import->global; break;
        }
    }
    return true;
}

static bool check_memory_count(struct bv_wasm_decoder *decoder, const uint8_t *at)
{
    return !decoder->module->options.only_2_0 || decoder->module->memory_count <= 1 ||
           bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at, "multiple memories");
}

static bool decode_imports(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    const uint8_t *at = decoder->reader.at;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_IMPORTS, &count)) {
        return false;
    }
    module->imports = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->imports));
    if (!module->imports) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_import(decoder, &module->imports[i])) {
            return false;
        }
    }
    module->import_count = count;
    return open_index_spaces(decoder) && check_memory_count(decoder, at);
}

static bool decode_functions(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_FUNCTIONS, &count) ||
        !extend(decoder, &module->function_types, module->function_count, count,
                BV_WASM_LIMIT_FUNCTIONS, sizeof(uint32_t))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_type_index(decoder, &module->function_types[module->function_count + i])) {
            return false;
        }
    }
    module->functions = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->functions));
    module->function_count += count;
    decoder->defined_functions = count;
    return module->functions || nomem(decoder);
}

static bool decode_tables(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_TABLES, &count) ||
        !extend(decoder, &module->tables, module->table_count, count, BV_WASM_LIMIT_TABLES,
                sizeof(*module->tables))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = decoder->reader.at;
        struct bv_wasm_table_type *table = &module->tables[module->table_count++];
        if (!read_table_type(decoder, table)) {
            return false;
        }
        if (table->limits.min > BV_WASM_MAX_TABLE_ELEMENTS) {
            return bv_wasm_fail_limit(&decoder->reader, at, BV_WASM_LIMIT_TABLE_ELEMENTS);
        }
    }
    return true;
}

static bool decode_memories(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    const uint8_t *at = decoder->reader.at;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_MEMORIES, &count) ||
        !extend(decoder, &module->memories, module->memory_count, count, BV_WASM_LIMIT_MEMORIES,
                sizeof(*module->memories))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_memory_type(decoder, &module->memories[module->memory_count++])) {
            return false;
        }
    }
    return check_memory_count(decoder, at);
}

static bool decode_globals(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_GLOBALS, &count) ||
        !extend(decoder, &module->globals, module->global_count, count, BV_WASM_LIMIT_GLOBALS,
                sizeof(*module->globals))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bv_wasm_global_def *global = &module->globals[module->global_count];
        if (!read_global_type(decoder, &global->type) ||
            !bv_wasm_decode_init(decoder, global->type.type, &global->init)) {
            return false;
        }
        module->global_count++; /* only now: its own expression must not name it */
    }
    return true;
}

static bool decode_export(struct bv_wasm_decoder *decoder, struct bv_wasm_export_def *export)
{
    struct bv_wasm_module *module = decoder->module;
    if (!read_kept_name(decoder, &export->name)) {
        return false;
    }
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, &export->kind)) {
        return false;
    }
    const struct {
        const char *what;
        uint32_t count;
    } spaces[] = {
        { "function", module->function_count },
        { "table", module->table_count },
        { "memory", module->memory_count },
        { "global", module->global_count },
    };
    if (export->kind >= BV_COUNT(spaces)) {
        return bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed export kind");
    }
    at = decoder->reader.at;
    if (!bv_wasm_read_u32(&decoder->reader, &export->index)) {
        return false;
    }
    if (export->index >= spaces[export->kind].count) {
        return bv_wasm_fail_index(&decoder->reader, at, spaces[export->kind].what, export->index);
    }
    return export->kind != BV_WASM_FUNC || bv_wasm_declare_function(decoder, export->index);
}

static bool decode_exports(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    const uint8_t *at = decoder->reader.at;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_EXPORTS, &count)) {
        return false;
    }
    module->exports = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->exports));
    module->export_order =
        bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->export_order));
    if (!module->exports || !module->export_order) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_export(decoder, &module->exports[i])) {
            return false;
        }
    }
    module->export_count = count;
    return bv_wasm_order_exports(module) ||
           bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at, "duplicate export name");
}

static bool decode_start(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_u32(&decoder->reader, &module->start)) {
        return false;
    }
    if (module->start >= module->function_count) {
        return bv_wasm_fail_index(&decoder->reader, at, "function", module->start);
    }
    const struct bv_wasm_functype *type =
        &module->types[module->function_types[module->start]].type;
    return (type->param_count == 0 && type->result_count == 0) ||
           bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at, "start function");
}

static bool decode_section(struct bv_wasm_decoder *decoder, uint8_t id)
{
    struct bv_wasm_name name;
    switch (id) {
    case 0:
        if (!bv_wasm_read_name(&decoder->reader, &name)) {
            return false;
        }
        decoder->reader.at =
            decoder->reader.end; /* custom sections say nothing that the engine needs */
        return true;
    case 1: return decode_types(decoder);
    case 2: return decode_imports(decoder);
    case 3: return decode_functions(decoder);
    case 4: return decode_tables(decoder);
    case 5: return decode_memories(decoder);
    case 6: return decode_globals(decoder);
    case 7: return decode_exports(decoder);
    case 8: return decode_start(decoder);
    case 12:
        decoder->has_data_count = true;
        return bv_wasm_read_u32(&decoder->reader, &decoder->data_count);
    default: return bv_wasm_decode_segment_section(decoder, id);
    }
}

static bool decode_header(struct bv_wasm_reader *reader)
{
    static const uint8_t magic[4] = { 0, 'a', 's', 'm' }, version[4] = { 1, 0, 0, 0 };
    const uint8_t *bytes;
    if (!bv_wasm_read_bytes(reader, sizeof(magic), &bytes)) {
        return false;
    }
    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, bytes, "magic header not detected");
    }
    if (!bv_wasm_read_bytes(reader, sizeof(version), &bytes)) {
        return false;
    }
    return memcmp(bytes, version, sizeof(version)) == 0 ||
           bv_wasm_fail(reader, BV_WASM_MALFORMED, bytes, "unknown binary version");
}

static bool decode_sections(struct bv_wasm_decoder *decoder)
{
    /* The place of each section in the order; the data count stands before the code that needs it. */
    static const uint8_t places[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10 };
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *module_end = reader->end;
    uint8_t last_place = 0;
    decoder->module_end = module_end;
    while (reader->at < module_end) {
        const uint8_t *at = reader->at;
        uint8_t id;
        uint32_t size;
        if (!bv_wasm_read_byte(reader, &id)) {
            return false;
        }
        if (id >= BV_COUNT(places)) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "malformed section id");
        }
        if (!bv_wasm_read_u32(reader, &size)) {
            return false;
        }
        if (size > (size_t)(module_end - reader->at)) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->at, "unexpected end");
        }
        if (id != 0 && places[id] <= last_place) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, at,
                                "unexpected content after last section");
        }
        last_place = id != 0 ? places[id] : last_place;
        reader->end = decoder->section_end = reader->at + size;
        reader->end_text = "unexpected end of section or function";
        if (!decode_section(decoder, id)) {
            return false;
        }
        if (reader->at != reader->end) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->at, "section size mismatch");
        }
        reader->end = module_end;
        reader->end_text = "unexpected end";
    }
    return true;
}

static bool decode_module(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    if (!decode_header(reader) || !decode_sections(decoder)) {
        return false;
    }
    if (decoder->defined_functions != 0 && !decoder->has_code) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->end,
                            "function and code section have inconsistent lengths");
    }
    if (decoder->has_data_count && decoder->data_count != decoder->module->data_count) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->end,
                            "data count and data section have inconsistent lengths");
    }
    return true;
}

enum bv_wasm_status bv_wasm_compile(const void *bytes, size_t size,
                                    const struct bv_wasm_options *options, uint64_t max_bytes,
                                    struct bv_wasm_module **ret_module, struct bv_wasm_error *error)
{
    struct bv_wasm_error unseen;
    struct bv_wasm_decoder decoder = {
        .reader = { .start = bytes,
                    .at = bytes,
                    .end = (const uint8_t *)bytes + size,
                    .end_text = "unexpected end",
                    .error = error ? error : &unseen },
    };
    if (size > BV_WASM_MAX_MODULE_BYTES) {
        (void)bv_wasm_fail_limit(&decoder.reader, NULL, BV_WASM_LIMIT_MODULE_BYTES);
        return decoder.reader.status;
    }
    struct bv_wasm_module *module =
        max_bytes >= sizeof(*module) ? calloc(1, sizeof(*module)) : NULL;
    if (!module) {
        (void)bv_wasm_fail_nomem(&decoder.reader);
        return decoder.reader.status;
    }
    module->references = 1;
    module->budget.limit_bytes = max_bytes - sizeof(*module);
    module->arena.budget = &module->budget;
    module->options = options ? *options : (struct bv_wasm_options){ .canonical_nans = true };
    module->start = UINT32_MAX;
    decoder.module = module;
    bool good = decode_module(&decoder);
    BV_ASSERT(good == (decoder.reader.status == BV_WASM_OK));
    bv_wasm_dealloc(&module->budget, decoder.declared,
                    decoder.declared ? ((size_t)module->function_count + 7) / 8 : 0);
    if (!good) {
        bv_wasm_module_free(module);
        return decoder.reader.status;
    }
    *ret_module = module;
    return BV_WASM_OK;
}
