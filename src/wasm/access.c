/* wasm/access.c - translation of calls and of everything that names a local, global, memory, table, segment or function. */
#include "wasm/compiler.h"

#include "base/check.h"

static bool invalid(struct bv_wasm_compiler *c, const uint8_t *at, const char *text)
{
    return bv_wasm_fail(c->reader, BV_WASM_INVALID, at, text);
}

/* An index held against the size of its space. */
static bool read_index(struct bv_wasm_compiler *c, const char *what, uint32_t count,
                       uint32_t *ret_index)
{
    const uint8_t *at = c->reader->at;
    if (!bv_wasm_read_u32(c->reader, ret_index)) {
        return false;
    }
    return *ret_index < count || bv_wasm_fail_index(c->reader, at, what, *ret_index);
}

/* ---- calls ---- */

/* Arguments go to the slots where the callee's frame begins; the results come back there. Returns that slot. */
static bool pass_arguments(struct bv_wasm_compiler *c, const struct bv_wasm_functype *type,
                           uint32_t *ret_base)
{
    if (!bv_wasm_check_top(c, type->params, type->param_count)) {
        return false;
    }
    if (c->reader->status == BV_WASM_OK) {
        bv_wasm_settle_top(c, type->param_count);
        *ret_base =
            type->param_count ? c->stack[c->stack_count - type->param_count].slot : c->height;
    }
    return c->reader->status == BV_WASM_OK;
}

static bool finish_call(struct bv_wasm_compiler *c, const struct bv_wasm_functype *type, bool tail)
{
    if (tail) {
        const struct bv_wasm_functype *own = &c->type->type;
        if (own->result_count != type->result_count) {
            return bv_wasm_mismatch(c);
        }
        for (uint32_t i = 0; i < own->result_count; i++) {
            if (own->results[i] != type->results[i]) {
                return bv_wasm_mismatch(c);
            }
        }
        bv_wasm_make_dead(c);
        return true;
    }
    bv_wasm_truncate(c, c->stack_count - type->param_count);
    bv_wasm_push_slots(c, type->results, type->result_count);
    c->pending = c->dead ? c->pending : 0; /* the call charged it */
    c->last = BV_WASM_NONE;
    return true;
}

bool bv_wasm_compile_call(struct bv_wasm_compiler *c, bool tail)
{
    const struct bv_wasm_module *module = c->module;
    uint32_t index, base = 0;
    if (!read_index(c, "function", module->function_count, &index)) {
        return false;
    }
    const struct bv_wasm_functype *type = &module->types[module->function_types[index]].type;
    if (!pass_arguments(c, type, &base)) {
        return false;
    }
    bool import = index < module->imported_functions;
    enum bv_wasm_code code = tail
                                 ? (import ? BV_WASM_CODE_TAIL_CALL_IMPORT : BV_WASM_CODE_TAIL_CALL)
                                 : (import ? BV_WASM_CODE_CALL_IMPORT : BV_WASM_CODE_CALL);
    union bv_wasm_unit *unit = bv_wasm_emit(c, code, 2);
    unit->w = base;
    unit[1].low = import ? index : index - module->imported_functions;
    unit[1].charge = (int32_t)c->pending;
    return finish_call(c, type, tail);
}

bool bv_wasm_compile_call_indirect(struct bv_wasm_compiler *c, bool tail)
{
    const struct bv_wasm_module *module = c->module;
    uint32_t type_index, table, base = 0;
    struct bv_wasm_entry callee;
    if (!read_index(c, "type", module->type_count, &type_index)) {
        return false;
    }
    const uint8_t *at = c->reader->at;
    if (!read_index(c, "table", module->table_count, &table)) {
        return false;
    }
    if (module->tables[table].type != BV_WASM_FUNCREF) {
        return invalid(c, at, "type mismatch");
    }
    const struct bv_wasm_functype *type = &module->types[type_index].type;
    if (!bv_wasm_pop(c, BV_WASM_I32, &callee)) {
        return false;
    }
    if (callee.place == BV_WASM_IS_CONST) {
        (void)bv_wasm_slot_of(c, &callee); /* its slot is above the arguments' */
    }
    if (!pass_arguments(c, type, &base)) {
        return false;
    }
    uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, &callee), 1, 0);
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, tail ? BV_WASM_CODE_TAIL_CALL_INDIRECT : BV_WASM_CODE_CALL_INDIRECT, 3);
    unit->a = a;
    unit->w = base;
    unit[1].low = type_index;
    unit[1].charge = (int32_t)c->pending;
    unit[2].low = table;
    return finish_call(c, type, tail);
}

/* ---- variables ---- */

bool bv_wasm_compile_local_set(struct bv_wasm_compiler *c, uint8_t opcode)
{
    uint32_t index;
    struct bv_wasm_local local;
    struct bv_wasm_entry value;
    if (!bv_wasm_read_u32(c->reader, &index) || !bv_wasm_find_local(c, index, &local) ||
        !bv_wasm_pop(c, local.type, &value)) {
        return false;
    }
    bv_wasm_assign_local(c, index, &local, &value);
    if (opcode == 0x22) {
        c->local_uses[index]++;
        bv_wasm_push(c, local.type, BV_WASM_IN_LOCAL, index);
    }
    return true;
}

bool bv_wasm_compile_global(struct bv_wasm_compiler *c, uint8_t opcode)
{
    uint32_t index;
    const uint8_t *at = c->reader->at;
    if (!read_index(c, "global", c->module->global_count, &index)) {
        return false;
    }
    struct bv_wasm_global_type type = c->module->globals[index].type;
    uint32_t cells = bv_wasm_cells_of(type.type);
    if (opcode == 0x23) {
        uint16_t a = bv_wasm_out(c, c->height, cells);
        union bv_wasm_unit *unit =
            bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_GLOBAL_GET2 : BV_WASM_CODE_GLOBAL_GET, 2);
        unit->a = a;
        unit[1].low = index;
        bv_wasm_out_done(c);
        bv_wasm_push(c, type.type, BV_WASM_IN_SLOT, 0);
        return true;
    }
    struct bv_wasm_entry value;
    if (!type.is_mutable) {
        return invalid(c, at, "global is immutable");
    }
    if (!bv_wasm_pop(c, type.type, &value)) {
        return false;
    }
    uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, &value), cells, 0);
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_GLOBAL_SET2 : BV_WASM_CODE_GLOBAL_SET, 2);
    unit->a = a;
    unit[1].low = index;
    return true;
}

/* ---- memories ---- */

bool bv_wasm_read_memory_index(struct bv_wasm_compiler *c, uint32_t *ret_memory)
{
    const uint8_t *at = c->reader->at;
    if (c->module->options.only_2_0) {
        uint8_t zero;
        if (!bv_wasm_read_byte(c->reader, &zero)) {
            return false;
        }
        if (zero != 0) {
            return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "zero byte expected");
        }
        *ret_memory = 0;
        return c->module->memory_count > 0 || bv_wasm_fail_index(c->reader, at, "memory", 0);
    }
    return read_index(c, "memory", c->module->memory_count, ret_memory);
}

/* Alignment and, where its bit 6 is set, the memory's index; then the offset. */
bool bv_wasm_read_memory_access(struct bv_wasm_compiler *c, uint8_t alignment, uint32_t *ret_memory,
                                uint32_t *ret_offset)
{
    const uint8_t *at = c->reader->at;
    uint32_t flags;
    bool multiple = !c->module->options.only_2_0;
    *ret_memory = 0;
    if (!bv_wasm_read_u32(c->reader, &flags)) {
        return false;
    }
    if (flags >= (multiple ? 128u : 32u)) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "malformed memop flags");
    }
    if (multiple && (flags & 64) && !bv_wasm_read_u32(c->reader, ret_memory)) {
        return false;
    }
    if (*ret_memory >= c->module->memory_count) {
        return bv_wasm_fail_index(c->reader, at, "memory", *ret_memory);
    }
    if ((flags & 63) > alignment) {
        return invalid(c, at, "alignment must not be larger than natural");
    }
    return bv_wasm_read_u32(c->reader, ret_offset);
}

/* The forms of a load or store, in the order of code.def. */
enum form { FORM_R, FORM_M, FORM_RR, FORM_RS, FORM_K, FORM_Z, FORM_I };
struct address {
    enum form form;
    uint16_t first, second;
    union bv_wasm_unit extra;
}; /* first: the slot; second: field c */

/* How the address is best said; an operation that computed it just before is taken back. */
static struct address find_address(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry,
                                   uint32_t memory, uint32_t offset)
{
    struct address address = { .form = FORM_R };
    struct bv_wasm_local local;
    if (memory == 0 && c->fuse && entry->place == BV_WASM_IS_CONST) {
        address.form = FORM_Z;
        address.extra.imm = (uint64_t)(uint32_t)entry->bits + offset;
        return address;
    }
    if (memory == 0 && entry->place == BV_WASM_IN_SUM &&
        bv_wasm_find_local(c, (uint32_t)entry->bits, &local)) {
        address.form = FORM_K;
        address.first = (uint16_t)local.slot;
        address.extra.low = (uint32_t)(entry->bits >> 32);
        address.extra.high = offset;
        return address;
    }
    const union bv_wasm_unit *sum =
        memory == 0 && bv_wasm_made_by_last(c, entry) ? &c->module->code[c->last] : NULL;
    if (sum && (sum->op == BV_WASM_CODE_I32_ADD_RR || sum->op == BV_WASM_CODE_I32_ADD_SHL ||
                sum->op == BV_WASM_CODE_I32_ADD_RI)) {
        address.first = sum->b;
        address.second = sum->c;
        address.extra.low = sum->op == BV_WASM_CODE_I32_ADD_RI ? (uint32_t)sum[1].imm : offset;
        address.extra.high = sum->op == BV_WASM_CODE_I32_ADD_RI    ? offset
                             : sum->op == BV_WASM_CODE_I32_ADD_SHL ? (uint32_t)sum[1].imm
                                                                   : 0;
        address.form = sum->op == BV_WASM_CODE_I32_ADD_RR    ? FORM_RR
                       : sum->op == BV_WASM_CODE_I32_ADD_SHL ? FORM_RS
                                                             : FORM_K;
        bv_wasm_take_back(c);
        return address;
    }
    address.form = memory == 0 && offset <= UINT16_MAX ? FORM_R : FORM_M;
    address.first = bv_wasm_in(c, bv_wasm_slot_of(c, entry), 1, 0);
    address.second = (uint16_t)(address.form == FORM_R ? offset : memory);
    address.extra.imm = offset;
    return address;
}

bool bv_wasm_compile_load(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    uint32_t memory, offset;
    struct bv_wasm_entry entry;
    if (!bv_wasm_read_memory_access(c, opcode->alignment, &memory, &offset) ||
        !bv_wasm_pop(c, BV_WASM_I32, &entry)) {
        return false;
    }
    struct address address = find_address(c, &entry, memory, offset);
    uint16_t a = bv_wasm_out(c, c->height, 1);
    uint32_t units = address.form == FORM_R ? 1 : 2;
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, (enum bv_wasm_code)(opcode->code + address.form), units);
    unit->a = a;
    unit->b = address.first;
    unit->c = address.second;
    if (units == 2) {
        unit[1] = address.extra;
    }
    bv_wasm_mark_trap(c);
    bv_wasm_out_done(c);
    bv_wasm_push(c, opcode->result, BV_WASM_IN_SLOT, 0);
    return true;
}

bool bv_wasm_compile_store(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    uint32_t memory, offset;
    struct bv_wasm_entry entry, value;
    if (!bv_wasm_read_memory_access(c, opcode->alignment, &memory, &offset) ||
        !bv_wasm_pop(c, opcode->result, &value) || !bv_wasm_pop(c, BV_WASM_I32, &entry)) {
        return false;
    }
    bool constant = value.place == BV_WASM_IS_CONST && memory == 0 && offset <= UINT16_MAX &&
                    entry.place != BV_WASM_IS_CONST && entry.place != BV_WASM_IN_SUM;
    if (constant) {
        uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, &entry), 1, 0);
        union bv_wasm_unit *unit = bv_wasm_emit(c, (enum bv_wasm_code)(opcode->code + FORM_I), 2);
        unit->a = a;
        unit->c = (uint16_t)offset;
        unit[1].imm = value.bits;
    } else {
        /* A value that must first be put into its slot comes between the address and the store. */
        uint16_t b = bv_wasm_in(c, bv_wasm_slot_of(c, &value), 1, 1);
        struct address address = find_address(c, &entry, memory, offset);
        uint32_t units = address.form == FORM_R ? 1 : 2;
        union bv_wasm_unit *unit =
            bv_wasm_emit(c, (enum bv_wasm_code)(opcode->code + address.form), units);
        unit->a = address.first;
        unit->b = b;
        unit->c = address.second;
        if (units == 2) {
            unit[1] = address.extra;
        }
    }
    bv_wasm_mark_trap(c);
    return true;
}

static bool compile_unary(struct bv_wasm_compiler *c, enum bv_wasm_code code,
                          struct bv_wasm_entry *operand, uint32_t index, uint8_t result)
{
    uint16_t b = operand ? bv_wasm_in(c, bv_wasm_slot_of(c, operand), 1, 0) : 0,
             a = bv_wasm_out(c, c->height, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, code, 1);
    unit->a = a;
    unit->b = b;
    unit->c = (uint16_t)index;
    bv_wasm_mark_trap(c);
    bv_wasm_out_done(c);
    bv_wasm_push(c, result, BV_WASM_IN_SLOT, 0);
    return true;
}

bool bv_wasm_compile_memory(struct bv_wasm_compiler *c, uint8_t opcode)
{
    uint32_t memory;
    struct bv_wasm_entry pages;
    if (!bv_wasm_read_memory_index(c, &memory)) {
        return false;
    }
    if (opcode == 0x3f) {
        return compile_unary(c, BV_WASM_CODE_MEMORY_SIZE, NULL, memory, BV_WASM_I32);
    }
    return bv_wasm_pop(c, BV_WASM_I32, &pages) &&
           compile_unary(c, BV_WASM_CODE_MEMORY_GROW, &pages, memory, BV_WASM_I32);
}

/* ---- tables and references ---- */

bool bv_wasm_compile_table(struct bv_wasm_compiler *c, uint8_t opcode)
{
    uint32_t table;
    struct bv_wasm_entry index, value;
    if (!read_index(c, "table", c->module->table_count, &table)) {
        return false;
    }
    uint8_t type = c->module->tables[table].type;
    if (opcode == 0x25) {
        return bv_wasm_pop(c, BV_WASM_I32, &index) &&
               compile_unary(c, BV_WASM_CODE_TABLE_GET, &index, table, type);
    }
    if (!bv_wasm_pop(c, type, &value) || !bv_wasm_pop(c, BV_WASM_I32, &index)) {
        return false;
    }
    uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, &index), 1, 0),
             b = bv_wasm_in(c, bv_wasm_slot_of(c, &value), 1, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_TABLE_SET, 1);
    unit->a = a;
    unit->b = b;
    unit->c = (uint16_t)table;
    bv_wasm_mark_trap(c);
    return true;
}

bool bv_wasm_compile_ref(struct bv_wasm_compiler *c, uint8_t opcode)
{
    const uint8_t *at = c->reader->at;
    uint8_t type;
    uint32_t index;
    struct bv_wasm_entry operand;
    if (opcode == 0xd0) {
        if (!bv_wasm_decode_reftype(c->decoder, &type)) {
            return false;
        }
        bv_wasm_push(c, type, BV_WASM_IS_CONST, 0);
        return true;
    }
    if (opcode == 0xd1) {
        if (!bv_wasm_pop(c, BV_WASM_UNKNOWN, &operand)) {
            return false;
        }
        if (operand.type != BV_WASM_UNKNOWN && !bv_wasm_is_reference(operand.type)) {
            return bv_wasm_mismatch(c);
        }
        return compile_unary(c, BV_WASM_CODE_REF_NULL_TEST, &operand, 0, BV_WASM_I32);
    }
    if (!read_index(c, "function", c->module->function_count, &index)) {
        return false;
    }
    if (!bv_wasm_is_declared(c->decoder, index)) {
        return invalid(c, at, "undeclared function reference");
    }
    uint16_t a = bv_wasm_out(c, c->height, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_REF_FUNC, 2);
    unit->a = a;
    unit[1].low = index;
    bv_wasm_out_done(c);
    bv_wasm_push(c, BV_WASM_FUNCREF, BV_WASM_IN_SLOT, 0);
    return true;
}

/* ---- bulk operations ---- */

static bool bulk(struct bv_wasm_compiler *c, enum bv_wasm_code code, uint8_t second_type,
                 uint32_t low, uint32_t high)
{
    const uint8_t types[3] = { BV_WASM_I32, second_type, BV_WASM_I32 };
    if (!bv_wasm_check_top(c, types, 3) || c->reader->status != BV_WASM_OK) {
        return false;
    }
    bv_wasm_settle_top(c, 3);
    union bv_wasm_unit *unit = bv_wasm_emit(c, code, 2);
    unit->w = c->stack[c->stack_count - 3].slot;
    unit[1].low = low;
    unit[1].high = high;
    bv_wasm_mark_trap(c);
    bv_wasm_truncate(c, c->stack_count - 3);
    return true;
}

/* Without a data count the code may not name segments, whether or not some follow; only then is it malformed rather than invalid. */
static bool data_section_follows(const struct bv_wasm_decoder *decoder)
{
    struct bv_wasm_error unseen;
    struct bv_wasm_reader ahead = { .start = decoder->reader.start,
                                    .at = decoder->section_end,
                                    .end = decoder->module_end,
                                    .end_text = "",
                                    .error = &unseen };
    uint8_t id;
    uint32_t size;
    const uint8_t *content;
    while (ahead.at < ahead.end && bv_wasm_read_byte(&ahead, &id) &&
           bv_wasm_read_u32(&ahead, &size) && bv_wasm_read_bytes(&ahead, size, &content)) {
        if (id == 11) {
            return true;
        }
    }
    return false;
}

static bool check_data_index(struct bv_wasm_compiler *c, const uint8_t *at, uint32_t index)
{
    const struct bv_wasm_decoder *decoder = c->decoder;
    if (!decoder->has_data_count && data_section_follows(decoder)) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "data count section required");
    }
    return (decoder->has_data_count && index < decoder->data_count) ||
           bv_wasm_fail_index(c->reader, at, "data segment", index);
}

static bool memory_init(struct bv_wasm_compiler *c)
{
    const uint8_t *at = c->reader->at;
    uint32_t data, memory;
    return bv_wasm_read_u32(c->reader, &data) && bv_wasm_read_memory_index(c, &memory) &&
           check_data_index(c, at, data) &&
           bulk(c, BV_WASM_CODE_MEMORY_INIT, BV_WASM_I32, memory, data);
}

static bool drop(struct bv_wasm_compiler *c, enum bv_wasm_code code, uint32_t index)
{
    bv_wasm_emit(c, code, 2)[1].low = index;
    return true;
}

static bool table_init(struct bv_wasm_compiler *c)
{
    uint32_t elem, table;
    const uint8_t *at = c->reader->at;
    if (!bv_wasm_read_u32(c->reader, &elem) ||
        !read_index(c, "table", c->module->table_count, &table)) {
        return false;
    }
    if (elem >= c->module->elem_count) {
        return bv_wasm_fail_index(c->reader, at, "elem segment", elem);
    }
    if (c->module->tables[table].type != c->module->elems[elem].type) {
        return invalid(c, at, "type mismatch");
    }
    return bulk(c, BV_WASM_CODE_TABLE_INIT, BV_WASM_I32, table, elem);
}

static bool table_copy(struct bv_wasm_compiler *c)
{
    uint32_t to, from;
    const uint8_t *at = c->reader->at;
    if (!read_index(c, "table", c->module->table_count, &to) ||
        !read_index(c, "table", c->module->table_count, &from)) {
        return false;
    }
    if (c->module->tables[to].type != c->module->tables[from].type) {
        return invalid(c, at, "type mismatch");
    }
    return bulk(c, BV_WASM_CODE_TABLE_COPY, BV_WASM_I32, to, from);
}

static bool table_grow(struct bv_wasm_compiler *c, uint32_t table)
{
    struct bv_wasm_entry count, value;
    if (!bv_wasm_pop(c, BV_WASM_I32, &count) ||
        !bv_wasm_pop(c, c->module->tables[table].type, &value)) {
        return false;
    }
    uint16_t b = bv_wasm_in(c, bv_wasm_slot_of(c, &count), 1, 0),
             value_slot = bv_wasm_in(c, bv_wasm_slot_of(c, &value), 1, 1);
    uint16_t a = bv_wasm_out(c, c->height, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_TABLE_GROW, 2);
    unit->a = a;
    unit->b = b;
    unit->c = (uint16_t)table;
    unit[1].low = value_slot;
    bv_wasm_mark_trap(c);
    bv_wasm_out_done(c);
    bv_wasm_push(c, BV_WASM_I32, BV_WASM_IN_SLOT, 0);
    return true;
}

bool bv_wasm_compile_bulk(struct bv_wasm_compiler *c, uint32_t second)
{
    const uint8_t *at = c->reader->at;
    uint32_t a, b;
    switch (second) {
    case 8: return memory_init(c);
    case 9:
        return bv_wasm_read_u32(c->reader, &a) && check_data_index(c, at, a) &&
               drop(c, BV_WASM_CODE_DATA_DROP, a);
    case 10:
        return bv_wasm_read_memory_index(c, &a) && bv_wasm_read_memory_index(c, &b) &&
               bulk(c, BV_WASM_CODE_MEMORY_COPY, BV_WASM_I32, a, b);
    case 11:
        return bv_wasm_read_memory_index(c, &a) &&
               bulk(c, BV_WASM_CODE_MEMORY_FILL, BV_WASM_I32, a, 0);
    case 12: return table_init(c);
    case 13:
        return read_index(c, "elem segment", c->module->elem_count, &a) &&
               drop(c, BV_WASM_CODE_ELEM_DROP, a);
    case 14: return table_copy(c);
    case 15: return read_index(c, "table", c->module->table_count, &a) && table_grow(c, a);
    case 16:
        return read_index(c, "table", c->module->table_count, &a) &&
               compile_unary(c, BV_WASM_CODE_TABLE_SIZE, NULL, a, BV_WASM_I32);
    case 17:
        return read_index(c, "table", c->module->table_count, &a) &&
               bulk(c, BV_WASM_CODE_TABLE_FILL, c->module->tables[a].type, a, 0);
    default: return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "illegal opcode");
    }
}
