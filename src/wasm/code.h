/* wasm/code.h - the internal code that the translator writes and the interpreter runs.
 *
 * A frame is an array of 8-byte cells: parameters, other locals, then the operand stack; a slot is an index into it, and a v128 takes
 * two. A callee's frame begins at its first argument, inside its caller's. An operation is one or more units of 8 bytes; the first
 * holds the operation and up to three slots. Fuel is charged where control is transferred: each place in the code has a static
 * `pending` (instructions of this segment that are not charged yet), and a jump charges the difference between its own and its
 * target's, so that falling into a label costs nothing. bv_wasm_module.marks holds the pending of every place where a run can stop.
 * A compiler to machine code would use the same slots, pendings and marks. */
#pragma once

#include "wasm/wasm.h"

union bv_wasm_unit {
    struct { uint16_t op, a, b, c; };
    struct { uint16_t op_, a_; uint32_t w; };
    struct { int32_t jump, charge; };
    struct { uint32_t low, high; };
    uint64_t imm;
};
_Static_assert(sizeof(union bv_wasm_unit) == 8, "code is measured in units of 8 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cells are read in narrower types than written");

union bv_wasm_cell { uint32_t u32; int32_t i32; uint64_t u64; int64_t i64; float f32; double f64; };
_Static_assert(sizeof(union bv_wasm_cell) == 8, "a v128 takes two cells");

enum bv_wasm_code {
#define BV_CODE(name, units, writes) BV_WASM_CODE_##name,
#include "wasm/code.def"
#undef BV_CODE
    BV_WASM_CODES
};

/* The pending fuel of a place: key = 2 * unit for a label, + 1 for an operation that can trap (itself included). Sorted by key. */
struct bv_wasm_mark { uint32_t key, pending; };
