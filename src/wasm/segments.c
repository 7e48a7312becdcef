/* wasm/segments.c - constant expressions, element and data segments, and the code section's bodies, which compile.c translates. */
#include "wasm/compile.h"
#include "wasm/decode.h"

#include "base/check.h"

#include <string.h>

static bool nomem(struct bv_wasm_decoder *decoder)
{
    return bv_wasm_fail_nomem(&decoder->reader);
}

/* All functions are known before the first expression that may name one. */
bool bv_wasm_declare_function(struct bv_wasm_decoder *decoder, uint32_t index)
{
    struct bv_wasm_module *module = decoder->module;
    if (!decoder->declared) {
        decoder->declared =
            bv_wasm_alloc(&module->budget, ((size_t)module->function_count + 7) / 8);
        if (!decoder->declared) {
            return nomem(decoder);
        }
    }
    BV_ASSERT(index < module->function_count);
    decoder->declared[index / 8] = (uint8_t)(decoder->declared[index / 8] | 1u << (index % 8));
    return true;
}

static bool read_function_index(struct bv_wasm_decoder *decoder, uint32_t *ret_index)
{
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_u32(&decoder->reader, ret_index)) {
        return false;
    }
    if (*ret_index >= decoder->module->function_count) {
        return bv_wasm_fail_index(&decoder->reader, at, "function", *ret_index);
    }
    return bv_wasm_declare_function(decoder, *ret_index);
}

static bool read_bits(struct bv_wasm_decoder *decoder, uint32_t size, uint64_t bits[2])
{
    const uint8_t *bytes;
    if (!bv_wasm_read_bytes(&decoder->reader, size, &bytes)) {
        return false;
    }
    memcpy(bits, bytes, size);
    return true;
}

static bool read_global_init(struct bv_wasm_decoder *decoder, const uint8_t *at,
                             struct bv_wasm_init *init, uint8_t *ret_type)
{
    const struct bv_wasm_module *module = decoder->module;
    if (!bv_wasm_read_u32(&decoder->reader, &init->index)) {
        return false;
    }
    if (init->index >= module->imported_globals) {
        return bv_wasm_fail_index(&decoder->reader, at, "global", init->index);
    }
    if (module->globals[init->index].type.is_mutable) {
        return bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at, "constant expression required");
    }
    init->kind = BV_WASM_INIT_GLOBAL;
    *ret_type = module->globals[init->index].type.type;
    return true;
}

static bool read_vector_init(struct bv_wasm_decoder *decoder, const uint8_t *at,
                             struct bv_wasm_init *init)
{
    uint32_t second;
    if (!bv_wasm_read_u32(&decoder->reader, &second)) {
        return false;
    }
    if (second != 12) { /* v128.const */
        return bv_wasm_fail(&decoder->reader, BV_WASM_INVALID, at, "constant expression required");
    }
    return read_bits(decoder, 16, init->bits);
}

static bool read_constant(struct bv_wasm_decoder *decoder, struct bv_wasm_init *init,
                          uint8_t *ret_type)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at;
    uint8_t opcode;
    int32_t s32;
    int64_t s64;
    if (!bv_wasm_read_byte(reader, &opcode)) {
        return false;
    }
    switch (opcode) {
    case 0x41:
        *ret_type = BV_WASM_I32;
        if (!bv_wasm_read_s32(reader, &s32)) {
            return false;
        }
        init->bits[0] = (uint32_t)s32;
        return true;
    case 0x42:
        *ret_type = BV_WASM_I64;
        if (!bv_wasm_read_s64(reader, &s64)) {
            return false;
        }
        init->bits[0] = (uint64_t)s64;
        return true;
    case 0x43: *ret_type = BV_WASM_F32; return read_bits(decoder, 4, init->bits);
    case 0x44: *ret_type = BV_WASM_F64; return read_bits(decoder, 8, init->bits);
    case 0x23: return read_global_init(decoder, at, init, ret_type);
    case 0xd0: return bv_wasm_decode_reftype(decoder, ret_type);
    case 0xd2:
        *ret_type = BV_WASM_FUNCREF;
        init->kind = BV_WASM_INIT_FUNC;
        return read_function_index(decoder, &init->index);
    case 0xfd: *ret_type = BV_WASM_V128; return read_vector_init(decoder, at, init);
    case 0x0b: return bv_wasm_fail(reader, BV_WASM_INVALID, at, "type mismatch");
    default:
        return bv_wasm_is_opcode(opcode)
                   ? bv_wasm_fail(reader, BV_WASM_INVALID, at, "constant expression required")
                   : bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "illegal opcode");
    }
}

bool bv_wasm_decode_init(struct bv_wasm_decoder *decoder, uint8_t type,
                         struct bv_wasm_init *ret_init)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at;
    struct bv_wasm_init init = { .kind = BV_WASM_INIT_CONST }, second;
    uint8_t found = 0, end;
    if (!read_constant(decoder, &init, &found)) {
        return false;
    }
    const uint8_t *end_at = reader->at;
    if (!bv_wasm_read_byte(reader, &end)) {
        return false;
    }
    if (end !=
        0x0b) { /* a second instruction: no constant one takes an operand, so the first's result is left over */
        reader->at = end_at;
        return read_constant(decoder, &second, &end) &&
               bv_wasm_fail(reader, BV_WASM_INVALID, end_at, "type mismatch");
    }
    *ret_init = init;
    return found == type || bv_wasm_fail(reader, BV_WASM_INVALID, at, "type mismatch");
}

static bool read_elem_kind(struct bv_wasm_decoder *decoder, bool expressions, uint8_t *ret_type)
{
    uint8_t kind;
    if (expressions) {
        return bv_wasm_decode_reftype(decoder, ret_type);
    }
    const uint8_t *at = decoder->reader.at;
    if (!bv_wasm_read_byte(&decoder->reader, &kind)) {
        return false;
    }
    *ret_type = BV_WASM_FUNCREF;
    return kind == 0 ||
           bv_wasm_fail(&decoder->reader, BV_WASM_MALFORMED, at, "malformed element kind");
}

/* Flags: 1 passive or declarative, 2 declarative or explicit table, 4 expressions instead of function indices. */
static bool read_elem_head(struct bv_wasm_decoder *decoder, struct bv_wasm_elem *elem,
                           uint32_t flags)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at;
    elem->type = BV_WASM_FUNCREF;
    elem->mode = !(flags & 1) ? BV_WASM_ACTIVE : flags & 2 ? BV_WASM_DECLARATIVE : BV_WASM_PASSIVE;
    if (elem->mode == BV_WASM_ACTIVE) {
        if ((flags & 2) && !bv_wasm_read_u32(reader, &elem->table)) {
            return false;
        }
        if (elem->table >= decoder->module->table_count) {
            return bv_wasm_fail_index(reader, at, "table", elem->table);
        }
        if (!bv_wasm_decode_init(decoder, BV_WASM_I32, &elem->offset)) {
            return false;
        }
    }
    if ((flags & 3) && !read_elem_kind(decoder, flags & 4, &elem->type)) {
        return false;
    }
    return elem->mode != BV_WASM_ACTIVE ||
           decoder->module->tables[elem->table].type == elem->type ||
           bv_wasm_fail(reader, BV_WASM_INVALID, at, "type mismatch");
}

static bool decode_elem(struct bv_wasm_decoder *decoder, struct bv_wasm_elem *elem)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at;
    uint32_t flags;
    if (!bv_wasm_read_u32(reader, &flags)) {
        return false;
    }
    if (flags > 7) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "malformed elements segment kind");
    }
    if (!read_elem_head(decoder, elem, flags) ||
        !bv_wasm_read_count(reader, BV_WASM_LIMIT_SEGMENT_ELEMENTS, &elem->count)) {
        return false;
    }
    elem->inits = bv_wasm_arena_alloc(&decoder->module->arena, elem->count, sizeof(*elem->inits));
    if (!elem->inits) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < elem->count; i++) {
        if (flags & 4) {
            if (!bv_wasm_decode_init(decoder, elem->type, &elem->inits[i])) {
                return false;
            }
        } else {
            elem->inits[i].kind = BV_WASM_INIT_FUNC;
            if (!read_function_index(decoder, &elem->inits[i].index)) {
                return false;
            }
        }
    }
    return true;
}

static bool decode_elems(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_SEGMENTS, &count)) {
        return false;
    }
    module->elems = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->elems));
    if (!module->elems) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_elem(decoder, &module->elems[i])) {
            return false;
        }
    }
    module->elem_count = count;
    return true;
}

static bool decode_data(struct bv_wasm_decoder *decoder, struct bv_wasm_data *data)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at, *bytes;
    uint32_t flags;
    if (!bv_wasm_read_u32(reader, &flags)) {
        return false;
    }
    if (flags > 2) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "malformed data segment kind");
    }
    data->mode = flags == 1 ? BV_WASM_PASSIVE : BV_WASM_ACTIVE;
    if (flags == 2 && !bv_wasm_read_u32(reader, &data->memory)) {
        return false;
    }
    if (data->mode == BV_WASM_ACTIVE) {
        if (data->memory >= decoder->module->memory_count) {
            return bv_wasm_fail_index(reader, at, "memory", data->memory);
        }
        if (!bv_wasm_decode_init(decoder, BV_WASM_I32, &data->offset)) {
            return false;
        }
    }
    if (!bv_wasm_read_u32(reader, &data->size) || !bv_wasm_read_bytes(reader, data->size, &bytes)) {
        return false;
    }
    uint8_t *kept = bv_wasm_arena_alloc(&decoder->module->arena, data->size, 1);
    if (!kept) {
        return nomem(decoder);
    }
    if (data->size) {
        memcpy(kept, bytes, data->size);
    }
    data->bytes = kept;
    return true;
}

static bool decode_datas(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_module *module = decoder->module;
    uint32_t count;
    if (!bv_wasm_read_count(&decoder->reader, BV_WASM_LIMIT_SEGMENTS, &count)) {
        return false;
    }
    module->datas = bv_wasm_arena_alloc(&module->arena, count, sizeof(*module->datas));
    if (!module->datas) {
        return nomem(decoder);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_data(decoder, &module->datas[i])) {
            return false;
        }
    }
    module->data_count = count;
    return true;
}

static bool decode_code(struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_reader *reader = &decoder->reader;
    const uint8_t *at = reader->at;
    uint32_t count;
    if (!bv_wasm_read_count(reader, BV_WASM_LIMIT_FUNCTIONS, &count)) {
        return false;
    }
    if (count != decoder->defined_functions) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, at,
                            "function and code section have inconsistent lengths");
    }
    decoder->has_code = true;
    return bv_wasm_compile_bodies(decoder, count);
}

bool bv_wasm_decode_segment_section(struct bv_wasm_decoder *decoder, uint8_t id)
{
    switch (id) {
    case 9: return decode_elems(decoder);
    case 10: return decode_code(decoder);
    case 11: return decode_datas(decoder);
    default: BV_UNREACHABLE();
    }
}
