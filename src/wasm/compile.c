/* wasm/compile.c - the loop over a body's instructions: numeric ones by the table, the others by a case each. */
#include "wasm/compile.h"

#include "wasm/compiler.h"

#include "base/check.h"

#include <string.h>

#define NARROW_CELLS 65534 /* slots of 16 bits, two cells at a time */
/* Checks of types beyond one per byte: calls and branches may name long types with few bytes, over and over. */
#define PER_BYTE_STEPS 64
#define SPARE_STEPS    (UINT64_C(1) << 24)

#define EXPECTED_UNITS 45 /* of code from a hundred bytes of bodies: compiled C gives 33 to 42 */

static const struct bv_wasm_opcode opcodes[256] = {
#define BV_OPCODE(byte, name, shape_, operand_, result_, alignment_, code_)                        \
    [byte] = { BV_WASM_SHAPE_##shape_, BV_WASM_##operand_, BV_WASM_##result_, (alignment_),        \
               BV_WASM_CODE_##code_ },
#define BV_PREFIXED(second, name, shape, operand, result, alignment, code)
#include "wasm/opcodes.def"
#undef BV_OPCODE
#undef BV_PREFIXED
};

static const struct bv_wasm_opcode prefixed[] = {
#define BV_OPCODE(byte, name, shape, operand, result, alignment, code)
#define BV_PREFIXED(second, name, shape_, operand_, result_, alignment_, code_)                    \
    [second] = { BV_WASM_SHAPE_##shape_, BV_WASM_##operand_, BV_WASM_##result_, (alignment_),      \
                 BV_WASM_CODE_##code_ },
#include "wasm/opcodes.def"
#undef BV_OPCODE
#undef BV_PREFIXED
};

bool bv_wasm_is_opcode(uint8_t byte)
{
    bool control = byte <= 0x05 || (byte >= 0x0b && byte <= 0x13) ||
                   (byte >= 0x1a && byte <= 0x1c) || (byte >= 0x20 && byte <= 0x26);
    bool other = (byte >= 0x3f && byte <= 0x44) || (byte >= 0xd0 && byte <= 0xd2) || byte == 0xfc ||
                 byte == 0xfd;
    return control || other || opcodes[byte].shape != BV_WASM_SHAPE_NONE;
}

/* ---- numeric instructions ---- */

static bool emit_unary(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode,
                       uint32_t code)
{
    struct bv_wasm_entry x;
    if (!bv_wasm_pop(c, opcode->operand, &x)) {
        return false;
    }
    uint16_t b = bv_wasm_in(c, bv_wasm_slot_of(c, &x), 1, 0), a = bv_wasm_out(c, c->height, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, (enum bv_wasm_code)code, 1);
    unit->a = a;
    unit->b = b;
    if (opcode->shape == BV_WASM_SHAPE_TRUNCATE) {
        bv_wasm_mark_trap(c);
    }
    bv_wasm_out_done(c);
    bv_wasm_push(c, opcode->result, BV_WASM_IN_SLOT, 0);
    return true;
}

/* Slot b with a constant, in the form `code`. */
static void emit_constant(struct bv_wasm_compiler *c, struct bv_wasm_entry *x, uint64_t constant,
                          uint32_t code, bool traps)
{
    uint16_t b = bv_wasm_in(c, bv_wasm_slot_of(c, x), 1, 0), a = bv_wasm_out(c, c->height, 1);
    union bv_wasm_unit *unit = bv_wasm_emit(c, (enum bv_wasm_code)code, 2);
    unit->a = a;
    unit->b = b;
    unit[1].imm = constant;
    if (traps) {
        bv_wasm_mark_trap(c);
    }
    bv_wasm_out_done(c);
}

/* A local plus a constant is not computed before it is known what for. */
static bool push_sum(struct bv_wasm_compiler *c, uint32_t code, const struct bv_wasm_entry *x,
                     const struct bv_wasm_entry *y)
{
    bool sum = code == BV_WASM_CODE_I32_ADD_RR;
    if (!c->fuse || (!sum && code != BV_WASM_CODE_I32_SUB_RR)) {
        return false;
    }
    const struct bv_wasm_entry *local = bv_wasm_is_lazy(x) ? x : y, *constant = local == x ? y : x;
    if (!bv_wasm_is_lazy(local) || constant->place != BV_WASM_IS_CONST || (!sum && local != x)) {
        return false;
    }
    uint32_t added = (uint32_t)constant->bits,
             before = local->place == BV_WASM_IN_SUM ? (uint32_t)(local->bits >> 32) : 0;
    added = before + (sum ? added : -added);
    c->local_uses[(uint32_t)local->bits]++;
    bv_wasm_push(c, BV_WASM_I32, BV_WASM_IN_SUM, (uint32_t)local->bits | (uint64_t)added << 32);
    return true;
}

/* A sum with what the operation before shifted or multiplied: one operation. */
static bool fuse_sum(struct bv_wasm_compiler *c, uint32_t code, struct bv_wasm_entry *x,
                     struct bv_wasm_entry *y)
{
    bool first = bv_wasm_made_by_last(c, x);
    struct bv_wasm_entry *made = first ? x : y, *other = first ? y : x;
    if (other->place == BV_WASM_IS_CONST || !bv_wasm_made_by_last(c, made)) {
        return false;
    }
    union bv_wasm_unit *unit = &c->module->code[c->last], before = *unit;
    uint64_t constant;
    enum bv_wasm_code fused;
    if (code == BV_WASM_CODE_I32_ADD_RR && before.op == BV_WASM_CODE_I32_SHL_RI) {
        constant = unit[1].imm & 31;
        fused = BV_WASM_CODE_I32_ADD_SHL;
        before.c = before.b;
        bv_wasm_take_back(c); /* first: a sum with a constant is only computed now */
        before.b = (uint16_t)bv_wasm_slot_of(c, other);
    } else if (before.op == BV_WASM_CODE_F64_MUL_RR &&
               (code == BV_WASM_CODE_F64_ADD_RR || code == BV_WASM_CODE_F64_SUB_RR)) {
        constant = bv_wasm_slot_of(c, other);
        fused = code == BV_WASM_CODE_F64_ADD_RR ? BV_WASM_CODE_F64_MUL_ADD
                : first                         ? BV_WASM_CODE_F64_MUL_SUB
                                                : BV_WASM_CODE_F64_SUB_MUL;
        bv_wasm_take_back(c);
    } else {
        return false;
    }
    unit = bv_wasm_emit(c, fused, 2);
    *unit = before;
    unit->op = (uint16_t)fused;
    unit->a = (uint16_t)c->height;
    unit[1].imm = constant;
    return true;
}

static bool emit_binary(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    struct bv_wasm_entry x, y;
    bool is_float = opcode->shape == BV_WASM_SHAPE_FLOAT_BINARY,
         traps = opcode->shape == BV_WASM_SHAPE_DIVIDE;
    uint32_t code = opcode->code + (is_float && !c->canonical ? 3u : 0u);
    if (!bv_wasm_pop(c, opcode->operand, &y) || !bv_wasm_pop(c, opcode->operand, &x)) {
        return false;
    }
    if (push_sum(c, code, &x, &y)) {
        return true;
    }
    if (fuse_sum(c, code, &x, &y)) {
        bv_wasm_push(c, opcode->result, BV_WASM_IN_SLOT, 0);
        return true;
    }
    if (opcode->shape == BV_WASM_SHAPE_COMMUTATIVE && x.place == BV_WASM_IS_CONST &&
        y.place != BV_WASM_IS_CONST) {
        emit_constant(c, &y, x.bits, code + 1, traps);
    } else if (y.place == BV_WASM_IS_CONST) {
        emit_constant(c, &x, y.bits, code + 1, traps);
    } else if (is_float && x.place == BV_WASM_IS_CONST) {
        emit_constant(c, &y, x.bits, code + 2, traps);
    } else {
        uint16_t b = bv_wasm_in(c, bv_wasm_slot_of(c, &x), 1, 0),
                 second = bv_wasm_in(c, bv_wasm_slot_of(c, &y), 1, 1);
        uint16_t a = bv_wasm_out(c, c->height, 1);
        union bv_wasm_unit *unit = bv_wasm_emit(c, (enum bv_wasm_code)code, 1);
        unit->a = a;
        unit->b = b;
        unit->c = second;
        if (traps) {
            bv_wasm_mark_trap(c);
        }
        bv_wasm_out_done(c);
    }
    bv_wasm_push(c, opcode->result, BV_WASM_IN_SLOT, 0);
    return true;
}

/* Of a comparison just made: its negation. Else a comparison with 0. */
static bool emit_eqz(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    struct bv_wasm_entry x;
    if (!bv_wasm_pop(c, opcode->operand, &x)) {
        return false;
    }
    union bv_wasm_unit *unit = bv_wasm_made_by_last(c, &x) ? &c->module->code[c->last] : NULL;
    if (unit && opcode->operand == BV_WASM_I32 && unit->op >= BV_WASM_CODE_I32_EQ_RR &&
        unit->op <= BV_WASM_CODE_F64_NGE_RI) {
        unit->op = (uint16_t)(BV_WASM_CODE_I32_EQ_RR + ((unit->op - BV_WASM_CODE_I32_EQ_RR) ^ 2));
    } else {
        emit_constant(c, &x, 0, opcode->code, false);
    }
    bv_wasm_push(c, BV_WASM_I32, BV_WASM_IN_SLOT, 0);
    return true;
}

/* The same bits under another type; i32.wrap_i64 reads the low half of the cell. */
static bool retype(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    struct bv_wasm_entry x;
    if (!bv_wasm_pop(c, opcode->operand, &x)) {
        return false;
    }
    if (x.place == BV_WASM_IN_SUM) {
        (void)bv_wasm_slot_of(c, &x);
    } else if (x.place == BV_WASM_IN_LOCAL) {
        c->local_uses[x.bits]++;
    } else if (x.place == BV_WASM_IS_CONST && opcode->result == BV_WASM_I32) {
        x.bits = (uint32_t)x.bits;
    }
    bv_wasm_push(c, opcode->result, (enum bv_wasm_place)x.place, x.bits);
    return true;
}

static bool compile_numeric(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode)
{
    switch ((enum bv_wasm_shape)opcode->shape) {
    case BV_WASM_SHAPE_LOAD: return bv_wasm_compile_load(c, opcode);
    case BV_WASM_SHAPE_STORE: return bv_wasm_compile_store(c, opcode);
    case BV_WASM_SHAPE_EQZ: return emit_eqz(c, opcode);
    case BV_WASM_SHAPE_FLOAT_UNARY:
        return emit_unary(c, opcode, opcode->code + (c->canonical ? 0u : 1u));
    case BV_WASM_SHAPE_UNARY:
    case BV_WASM_SHAPE_TRUNCATE: return emit_unary(c, opcode, opcode->code);
    case BV_WASM_SHAPE_COMPARE:
    case BV_WASM_SHAPE_COMMUTATIVE:
    case BV_WASM_SHAPE_BINARY:
    case BV_WASM_SHAPE_DIVIDE:
    case BV_WASM_SHAPE_FLOAT_BINARY: return emit_binary(c, opcode);
    case BV_WASM_SHAPE_RETYPE: return retype(c, opcode);
    case BV_WASM_SHAPE_NONE: break;
    }
    return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, c->reader->at - 1, "illegal opcode");
}

/* ---- constants and selection ---- */

static bool compile_constant(struct bv_wasm_compiler *c, uint8_t opcode)
{
    int32_t s32;
    int64_t s64;
    const uint8_t *bytes;
    uint64_t bits = 0;
    switch (opcode) {
    case 0x41:
        if (!bv_wasm_read_s32(c->reader, &s32)) {
            return false;
        }
        bv_wasm_push(c, BV_WASM_I32, BV_WASM_IS_CONST, (uint32_t)s32);
        return true;
    case 0x42:
        if (!bv_wasm_read_s64(c->reader, &s64)) {
            return false;
        }
        bv_wasm_push(c, BV_WASM_I64, BV_WASM_IS_CONST, (uint64_t)s64);
        return true;
    default:
        if (!bv_wasm_read_bytes(c->reader, opcode == 0x43 ? 4 : 8, &bytes)) {
            return false;
        }
        memcpy(&bits, bytes, opcode == 0x43 ? 4 : 8);
        bv_wasm_push(c, opcode == 0x43 ? BV_WASM_F32 : BV_WASM_F64, BV_WASM_IS_CONST, bits);
        return true;
    }
}

static bool read_select_type(struct bv_wasm_compiler *c, uint8_t *ret_type)
{
    const uint8_t *at = c->reader->at;
    uint32_t count;
    if (!bv_wasm_read_u32(c->reader, &count)) {
        return false;
    }
    if (count != 1) {
        return bv_wasm_fail(c->reader, BV_WASM_INVALID, at, "invalid result arity");
    }
    at = c->reader->at;
    if (!bv_wasm_read_byte(c->reader, ret_type)) {
        return false;
    }
    return bv_wasm_is_value_type(*ret_type) ||
           bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "malformed value type");
}

static bool compile_select(struct bv_wasm_compiler *c, bool typed)
{
    struct bv_wasm_entry condition, x, y;
    uint8_t type = BV_WASM_UNKNOWN;
    if ((typed && !read_select_type(c, &type)) || !bv_wasm_pop(c, BV_WASM_I32, &condition) ||
        !bv_wasm_pop(c, type, &y) || !bv_wasm_pop(c, type == BV_WASM_UNKNOWN ? y.type : type, &x)) {
        return false;
    }
    if (!typed) {
        type = y.type == BV_WASM_UNKNOWN ? x.type : y.type;
        if (bv_wasm_is_reference(type)) {
            return bv_wasm_mismatch(c);
        }
    }
    uint32_t cells = bv_wasm_cells_of(type);
    uint16_t slot = bv_wasm_in(c, bv_wasm_slot_of(c, &condition), 1, 2);
    uint16_t second = bv_wasm_in(c, bv_wasm_slot_of(c, &y), cells, 1),
             first = bv_wasm_in(c, bv_wasm_slot_of(c, &x), cells, 0);
    uint16_t a = bv_wasm_out(c, c->height, cells);
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_SELECT2 : BV_WASM_CODE_SELECT, 2);
    unit->a = a;
    unit->b = first;
    unit->c = second;
    unit[1].low = slot;
    bv_wasm_out_done(c);
    bv_wasm_push(c, type, BV_WASM_IN_SLOT, 0);
    return true;
}

/* ---- the loop ---- */

static bool compile_prefixed(struct bv_wasm_compiler *c)
{
    uint32_t second;
    if (!bv_wasm_read_u32(c->reader, &second)) {
        return false;
    }
    return second < BV_COUNT(prefixed) ? compile_numeric(c, &prefixed[second])
                                       : bv_wasm_compile_bulk(c, second);
}

static bool compile_unreachable(struct bv_wasm_compiler *c)
{
    (void)bv_wasm_emit(c, BV_WASM_CODE_UNREACHABLE, 1);
    bv_wasm_mark_trap(c);
    bv_wasm_make_dead(c);
    return true;
}

/* return_call and return_call_indirect are not WebAssembly 2.0. */
static bool compile_tail_call(struct bv_wasm_compiler *c, uint8_t opcode)
{
    if (c->module->options.only_2_0) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, c->reader->at - 1, "illegal opcode");
    }
    return opcode == 0x12 ? bv_wasm_compile_call(c, true) : bv_wasm_compile_call_indirect(c, true);
}

/* A third of all instructions: nothing is emitted, and a push that found no memory has told the reader. */
static inline bool compile_local_get(struct bv_wasm_compiler *c)
{
    uint32_t index;
    struct bv_wasm_local local;
    if (!bv_wasm_read_u32(c->reader, &index) || !bv_wasm_find_local(c, index, &local)) {
        return false;
    }
    c->local_uses[index]++;
    bv_wasm_push(c, local.type, BV_WASM_IN_LOCAL, index);
    return true;
}

static bool compile_instruction(struct bv_wasm_compiler *c, uint8_t opcode)
{
    struct bv_wasm_entry dropped;
    switch (opcode) {
    case 0x00: return compile_unreachable(c);
    case 0x01: return true;
    case 0x02:
    case 0x03:
    case 0x04: return bv_wasm_compile_block(c, opcode);
    case 0x05: return bv_wasm_compile_else(c);
    case 0x0b: return bv_wasm_compile_end(c);
    case 0x0c: return bv_wasm_compile_br(c);
    case 0x0d: return bv_wasm_compile_br_if(c);
    case 0x0e: return bv_wasm_compile_br_table(c);
    case 0x0f: return bv_wasm_compile_return(c);
    case 0x10: return bv_wasm_compile_call(c, false);
    case 0x11: return bv_wasm_compile_call_indirect(c, false);
    case 0x12:
    case 0x13: return compile_tail_call(c, opcode);
    case 0x1a: return bv_wasm_pop(c, BV_WASM_UNKNOWN, &dropped);
    case 0x1b:
    case 0x1c: return compile_select(c, opcode == 0x1c);
    case 0x20: return compile_local_get(c);
    case 0x21:
    case 0x22: return bv_wasm_compile_local_set(c, opcode);
    case 0x23:
    case 0x24: return bv_wasm_compile_global(c, opcode);
    case 0x25:
    case 0x26: return bv_wasm_compile_table(c, opcode);
    case 0x3f:
    case 0x40: return bv_wasm_compile_memory(c, opcode);
    case 0x41:
    case 0x42:
    case 0x43:
    case 0x44: return compile_constant(c, opcode);
    case 0xd0:
    case 0xd1:
    case 0xd2: return bv_wasm_compile_ref(c, opcode);
    case 0xfc: return compile_prefixed(c);
    case 0xfd: return bv_wasm_compile_vector(c);
    default: return compile_numeric(c, &opcodes[opcode]);
    }
}

/* block, loop, else, end and nop cost nothing. */
static void count_fuel(struct bv_wasm_compiler *c, uint8_t opcode)
{
    if (c->dead || (opcode >= 0x01 && opcode <= 0x03) || opcode == 0x05 || opcode == 0x0b) {
        return;
    }
    if (c->count_each) {
        (void)bv_wasm_emit(c, BV_WASM_CODE_COUNT, 1);
    } else {
        c->pending++;
    }
}

static bool compile_instructions(struct bv_wasm_compiler *c)
{
    struct bv_wasm_reader *reader = c->reader;
    while (c->block_count > 0) {
        uint8_t opcode;
        if (reader->at >= reader->end) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->end,
                                "unexpected end of section or function");
        }
        c->instruction = reader->at;
        opcode = *reader->at++;
        count_fuel(c, opcode);
        if (!compile_instruction(c, opcode) || reader->status != BV_WASM_OK || c->needs_wide) {
            return reader->status == BV_WASM_OK;
        }
    }
    return reader->at == reader->end ||
           bv_wasm_fail(reader, BV_WASM_MALFORMED, reader->at, "END opcode expected");
}

/* One attempt: narrow, or wide once the narrow one met a slot beyond 16 bits. */
static bool compile_once(struct bv_wasm_compiler *c, bool wide)
{
    c->wide = wide;
    c->needs_wide = false;
    c->fuse = !wide && !c->count_each;
    c->height_limit = wide ? (uint32_t)BV_WASM_MAX_FRAME_CELLS : NARROW_CELLS;
    c->stack_count = c->block_count = c->lazy_from = c->pending = c->label_count = 0;
    c->dead = false;
    c->last = c->previous = BV_WASM_NONE;
    return bv_wasm_enter_locals(c) && bv_wasm_open_block(c, 0) && compile_instructions(c);
}

static bool compile_function(struct bv_wasm_compiler *c, uint32_t index)
{
    struct bv_wasm_module *module = c->module;
    struct bv_wasm_function *function = &module->functions[index];
    function->type = module->function_types[module->imported_functions + index];
    function->entry = module->code_units;
    c->type = &module->types[function->type];
    const uint8_t *body = c->reader->at;
    uint32_t marks = module->mark_count;
    if (!compile_once(c, false)) {
        return false;
    }
    if (c->needs_wide) {
        bv_wasm_truncate(c, 0); /* forgets the uses of locals */
        c->reader->at = body;
        module->code_units = function->entry;
        module->mark_count = marks;
        if (!compile_once(c, true)) {
            return false;
        }
        BV_ASSERT(!c->needs_wide);
    }
    bv_wasm_truncate(c, 0);
    if (c->fuse && c->reader->status == BV_WASM_OK) {
        bv_wasm_chain(c, function->entry);
    }
    function->units = module->code_units - function->entry;
    function->param_cells = c->type->param_cells;
    function->result_cells = c->type->result_cells;
    function->zero_cells = c->frame_locals - c->type->param_cells;
    uint32_t cells =
        c->height_max > function->result_cells ? c->height_max : function->result_cells;
    function->frame_cells = cells;
    return true;
}

static bool compile_body(struct bv_wasm_compiler *c, uint32_t index)
{
    struct bv_wasm_reader *reader = c->reader;
    const uint8_t *at = reader->at, *section_end = reader->end;
    uint32_t size;
    if (!bv_wasm_read_u32(reader, &size)) {
        return false;
    }
    if (size > (size_t)(section_end - reader->at)) {
        return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "unexpected end of section or function");
    }
    if (size > BV_WASM_MAX_BODY_BYTES) {
        return bv_wasm_fail_limit(reader, at, BV_WASM_LIMIT_BODY_BYTES);
    }
    reader->end = reader->at + size;
    c->steps_left += (uint64_t)size * PER_BYTE_STEPS;
    if (!compile_function(c, index)) {
        return false;
    }
    reader->end = section_end;
    return true;
}

/* The arrays have grown by doubling; what is kept is what is used. */
static bool fit(struct bv_wasm_compiler *c, uint32_t count)
{
    struct bv_wasm_module *module = c->module;
    if (!bv_wasm_shrink(c->budget, &module->code, &module->code_capacity, module->code_units,
                        sizeof(*module->code)) ||
        !bv_wasm_shrink(c->budget, &module->marks, &module->mark_capacity, module->mark_count,
                        sizeof(*module->marks))) {
        return bv_wasm_fail_nomem(c->reader);
    }
    for (uint32_t i = 0; i < count; i++) {
        module->functions[i].start = module->code + module->functions[i].entry;
    }
    return true;
}

bool bv_wasm_compile_bodies(struct bv_wasm_decoder *decoder, uint32_t count)
{
    struct bv_wasm_compiler c = {
        .decoder = decoder,
        .reader = &decoder->reader,
        .module = decoder->module,
        .budget = &decoder->module->budget,
        .count_each = decoder->module->options.count_each,
        .canonical = decoder->module->options.canonical_nans,
        .steps_left = SPARE_STEPS,
    };
    bool good = true;
    bv_wasm_expect(c.budget, &c.module->code, &c.module->code_capacity,
                   (uint64_t)(c.reader->end - c.reader->at) * EXPECTED_UNITS / 100,
                   sizeof(*c.module->code));
    for (uint32_t i = 0; i < count && good; i++) {
        good = compile_body(&c, i);
    }
    bv_wasm_compiler_done(&c);
    return good && fit(&c, count);
}
