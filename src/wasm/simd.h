/* wasm/simd.h - the vector instructions of WebAssembly 2.0 (prefix 0xFD): one table that decoder, validator, translator and interpreter share.
 *
 * Each of the 236 instructions is a row of bv_wasm_simd_ops with its types and a pure function from bytes to bytes. Memory, the operand
 * stack, traps and fuel are the engine's: for a load it hands over the bytes, for a store it receives them, both already in bounds. A v128
 * is 16 bytes, little-endian, at any alignment; a result may lie on its operands. Scalars travel as bits, an i32 or f32 in the low half
 * with zeros above. A NaN that an instruction computes is whatever the specification lets it be; rows with a nan_shape compute NaNs, and
 * the deterministic mode applies bv_wasm_simd_canonicalise() to their result. All others only move bits. The semantics: simd.def. */
#pragma once

#include "wasm/wasm.h"

enum bv_wasm_simd_shape { /* operands -> result, immediates, and the member of run */
    BV_WASM_SIMD_NONE = 0,   /* no such instruction */
    BV_WASM_SIMD_CONST,      /* -> v128; 16 bytes: the value itself, so there is nothing to run */
    BV_WASM_SIMD_UNARY,      /* v128 -> v128 */
    BV_WASM_SIMD_BINARY,     /* v128 v128 -> v128 */
    BV_WASM_SIMD_TERNARY,    /* v128 v128 v128 -> v128 */
    BV_WASM_SIMD_SHIFT,      /* v128 i32 -> v128; any count, it is taken modulo the lane's width */
    BV_WASM_SIMD_TEST,       /* v128 -> i32 */
    BV_WASM_SIMD_SHUFFLE,    /* v128 v128 -> v128; 16 lanes of one byte, each below .lanes */
    BV_WASM_SIMD_SPLAT,      /* scalar -> v128 */
    BV_WASM_SIMD_EXTRACT,    /* v128 -> scalar; a lane */
    BV_WASM_SIMD_REPLACE,    /* v128 scalar -> v128; a lane */
    BV_WASM_SIMD_LOAD,       /* i32 -> v128; memory argument: .bytes are read, extended, repeated or filled up with zeros */
    BV_WASM_SIMD_LOAD_LANE,  /* i32 v128 -> v128; memory argument, then a lane */
    BV_WASM_SIMD_STORE,      /* i32 v128 -> ; memory argument */
    BV_WASM_SIMD_STORE_LANE, /* i32 v128 -> ; memory argument, then a lane */
};

enum bv_wasm_nan_shape { BV_WASM_NAN_NONE = 0, BV_WASM_NAN_F32X4, BV_WASM_NAN_F64X2 };

struct bv_wasm_simd_op {
    const char *name;      /* the text format's; NULL: no such instruction */
    uint8_t shape;         /* enum bv_wasm_simd_shape */
    uint8_t nan_shape;     /* enum bv_wasm_nan_shape: float lanes that the instruction computes */
    uint8_t lanes;         /* a lane immediate must be below it; 0: there is none */
    uint8_t bytes;         /* memory shapes: bytes read or written; 0: no memory */
    uint8_t align_log2;    /* memory shapes: natural alignment, the most that a memory argument may state */
    uint8_t operand_count; /* of operands, the first one deepest in the stack */
    uint8_t operands[3];   /* enum bv_wasm_type */
    uint8_t result;        /* enum bv_wasm_type; 0: none */
    union {
        void (*unary)(void *ret, const void *x);
        void (*binary)(void *ret, const void *x, const void *y);
        void (*ternary)(void *ret, const void *x, const void *y, const void *z);
        void (*shift)(void *ret, const void *x, uint32_t count);
        uint32_t (*test)(const void *x);
        void (*shuffle)(void *ret, const void *x, const void *y, const void *lanes);
        void (*splat)(void *ret, uint64_t bits);
        uint64_t (*extract)(const void *x, uint32_t lane);
        void (*replace)(void *ret, const void *x, uint32_t lane, uint64_t bits);
        void (*load)(void *ret, const void *memory);
        void (*load_lane)(void *ret, const void *x, uint32_t lane, const void *memory);
        void (*store)(void *memory, const void *x);
        void (*store_lane)(void *memory, const void *x, uint32_t lane);
    } run; /* by shape; lanes are valid, that is the validator's word */
};

#define BV_WASM_SIMD_OPS 256 /* a second opcode at or above it is no instruction of WebAssembly 2.0 */
extern const struct bv_wasm_simd_op bv_wasm_simd_ops[BV_WASM_SIMD_OPS];

/* Replaces every NaN among the lanes by the positive canonical one; nothing for BV_WASM_NAN_NONE. */
void bv_wasm_simd_canonicalise(void *v128, uint8_t nan_shape);
