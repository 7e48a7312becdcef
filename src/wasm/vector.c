/* wasm/vector.c - translation of the vector instructions (prefix 0xFD), driven by the table of simd.h. */
#include "wasm/compiler.h"
#include "wasm/simd.h"

#include "base/check.h"

#include <string.h>

struct immediates {
    uint32_t memory, offset;
    uint8_t lane;
    const uint8_t *bytes;
};

static bool read_immediates(struct bv_wasm_compiler *c, const struct bv_wasm_simd_op *op,
                            struct immediates *ret)
{
    bool shuffle = op->shape == BV_WASM_SIMD_SHUFFLE;
    if (op->bytes && !bv_wasm_read_memory_access(c, op->align_log2, &ret->memory, &ret->offset)) {
        return false;
    }
    if ((shuffle || op->shape == BV_WASM_SIMD_CONST) &&
        !bv_wasm_read_bytes(c->reader, 16, &ret->bytes)) {
        return false;
    }
    if (op->lanes && !shuffle && !bv_wasm_read_byte(c->reader, &ret->lane)) {
        return false;
    }
    bool valid = !op->lanes || ret->lane < op->lanes;
    for (int i = 0; shuffle && i < 16; i++) {
        valid = valid && ret->bytes[i] < op->lanes;
    }
    return valid ||
           bv_wasm_fail(c->reader, BV_WASM_INVALID, c->reader->at - 1, "invalid lane index");
}

static bool compile_constant(struct bv_wasm_compiler *c, const struct immediates *immediates)
{
    uint16_t a = bv_wasm_out(c, c->height, 2);
    union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_CONST2, 3);
    unit->a = a;
    memcpy(&unit[1], immediates->bytes, 16);
    bv_wasm_out_done(c);
    bv_wasm_push(c, BV_WASM_V128, BV_WASM_IN_SLOT, 0);
    return true;
}

/* Fields: a is the result, b and c the first two operands; a store has no result. Second unit: the instruction with what its NaNs
 * become, and its third operand, lane or memory; third unit: of memory shapes the offset, and of a shuffle with the fourth its lanes. */
static void emit(struct bv_wasm_compiler *c, uint32_t second, const struct bv_wasm_simd_op *op,
                 struct bv_wasm_entry *operands, const struct immediates *immediates)
{
    uint16_t slots[3] = { 0 };
    for (uint32_t i = 0; i < op->operand_count; i++) {
        slots[i] =
            bv_wasm_in(c, bv_wasm_slot_of(c, &operands[i]), bv_wasm_cells_of(op->operands[i]), i);
    }
    uint16_t a = op->result ? bv_wasm_out(c, c->height, bv_wasm_cells_of(op->result)) : 0;
    enum bv_wasm_code code =
        (enum bv_wasm_code)(BV_WASM_CODE_VECTOR_UNARY + (op->shape - BV_WASM_SIMD_UNARY));
    union bv_wasm_unit *unit = bv_wasm_emit(c, code, bv_wasm_code_info[code].units);
    unit->a = a;
    unit->b = slots[0];
    unit->c = slots[1];
    unit[1].low = second | (uint32_t)(c->canonical ? op->nan_shape : BV_WASM_NAN_NONE) << 16;
    unit[1].high =
        op->shape == BV_WASM_SIMD_TERNARY ? slots[2] : immediates->lane | immediates->memory << 8;
    if (op->bytes) {
        unit[2].imm = immediates->offset;
        bv_wasm_mark_trap(c);
    } else if (op->shape == BV_WASM_SIMD_SHUFFLE) {
        memcpy(&unit[2], immediates->bytes, 16);
    }
    if (op->result) {
        bv_wasm_out_done(c);
    }
}
_Static_assert(BV_WASM_CODE_VECTOR_STORE_LANE - BV_WASM_CODE_VECTOR_UNARY ==
                   BV_WASM_SIMD_STORE_LANE - BV_WASM_SIMD_UNARY,
               "one order");

bool bv_wasm_compile_vector(struct bv_wasm_compiler *c)
{
    const uint8_t *at = c->reader->at;
    uint32_t second;
    if (!bv_wasm_read_u32(c->reader, &second)) {
        return false;
    }
    const struct bv_wasm_simd_op *op = second < BV_WASM_SIMD_OPS ? &bv_wasm_simd_ops[second] : NULL;
    if (!op || op->shape == BV_WASM_SIMD_NONE) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "illegal opcode");
    }
    struct immediates immediates = { .memory = 0 };
    struct bv_wasm_entry operands[3];
    if (!read_immediates(c, op, &immediates)) {
        return false;
    }
    if (op->shape == BV_WASM_SIMD_CONST) {
        return compile_constant(c, &immediates);
    }
    for (uint32_t i = op->operand_count; i-- > 0;) {
        if (!bv_wasm_pop(c, op->operands[i], &operands[i])) {
            return false;
        }
    }
    emit(c, second, op, operands, &immediates);
    if (op->result) {
        bv_wasm_push(c, op->result, BV_WASM_IN_SLOT, 0);
    }
    return true;
}
