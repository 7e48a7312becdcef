/* wasm/exec.c - the interpreter: one function, one label per operation, each of which jumps to the next.
 *
 * It never recurses and never allocates but to grow the stack, so it can stop between any two operations: all that lives in its
 * variables is written back to the store at the one place where it leaves. Fuel is taken from `left` by every transfer of control;
 * below 0 the slice is used up, and the place that notices decides whether the limit is, too. This is the one function of the tree
 * without a limit on its length (tools/tidy.py): its parts share registers, which is what makes it fast. */
#include "wasm/store.h"

#include "wasm/numeric.h"
#include "wasm/simd.h"

#include "base/check.h"

#include <string.h>

#define UNLIKELY(e) __builtin_expect((e), 0)
#define A           fp[pc->a]
#define B           fp[pc->b]
#define C           fp[pc->c]
/* clang needs minutes for a jump table behind every operation, and the sanitizers' instrumentation of its edges more; the release
 * compiler is gcc; clang gets one place that dispatches, a switch. */
#if defined(__clang__)
#define GO goto dispatch
#else
#define GO goto *labels[pc->op]
#endif
#define NEXT(n)                                                                                                                \
    do {                                                                                                                       \
        pc += (n);                                                                                                             \
        GO;                                                                                                                    \
    } while (0)
#define TRAP(kind)                                                                                                             \
    do {                                                                                                                       \
        trap = BV_WASM_TRAP_##kind;                                                                                            \
        goto trapped;                                                                                                          \
    } while (0)

/* A result: into its cell and into the accumulator, from which the next operation may take it (chain.c). A cell that was just written is
 * read several cycles later, a register is not. */
#define PUT_u32(cell, e) do { const uint32_t r_ = (e); whole = r_; (cell).u32 = r_; } while (0)
#define PUT_i32(cell, e) do { const int32_t r_ = (e); whole = (uint32_t)r_; (cell).i32 = r_; } while (0)
#define PUT_u64(cell, e) do { const uint64_t r_ = (e); whole = r_; (cell).u64 = r_; } while (0)
#define PUT_i64(cell, e) do { const int64_t r_ = (e); whole = (uint64_t)r_; (cell).i64 = r_; } while (0)
#define PUT_f32(cell, e) (cell).f32 = (e)
#define PUT_f64(cell, e) do { const double r_ = (e); real = r_; (cell).f64 = r_; } while (0)
#define LEFT_u32         (uint32_t)whole
#define LEFT_i32         (int32_t)(uint32_t)whole
#define LEFT_u64         whole
#define LEFT_i64         (int64_t)whole
#define LEFT_f64         real

/* An operation's forms. x and y are of type T, read from and written to the member F or G of cells. */
#define UNARY(name, T, F, G, e)                                                                                                \
    code_##name : { const T x = B.F; PUT_##G(A, e); NEXT(1); }
#define BINARY(name, T, F, G, e, constant)                                                                                     \
    code_##name##_RR : { const T x = B.F, y = C.F; PUT_##G(A, e); NEXT(1); }                                                   \
    code_##name##_RI : { const T x = B.F, y = constant(pc[1].imm); PUT_##G(A, e); NEXT(2); }
#define BINARY_LEFT(name, T, F, G, e, constant)                                                                                \
    BINARY(name, T, F, G, e, constant)                                                                                         \
    code_##name##_RR_IB : { const T x = LEFT_##F, y = C.F; PUT_##G(A, e); NEXT(1); }                                            \
    code_##name##_RR_IC : { const T x = B.F, y = LEFT_##F; PUT_##G(A, e); NEXT(1); }                                            \
    code_##name##_RI_IB : { const T x = LEFT_##F, y = constant(pc[1].imm); PUT_##G(A, e); NEXT(2); }
#define FLOAT_BINARY(name, T, F, e, constant, canonical)                                                                       \
    code_##name##_RR : { const T x = B.F, y = C.F; PUT_##F(A, canonical(e)); NEXT(1); }                                              \
    code_##name##_RI : { const T x = B.F, y = constant(pc[1].imm); PUT_##F(A, canonical(e)); NEXT(2); }                              \
    code_##name##_IR : { const T x = constant(pc[1].imm), y = B.F; PUT_##F(A, canonical(e)); NEXT(2); }                              \
    code_##name##_RAW_RR : { const T x = B.F, y = C.F; A.F = (e); NEXT(1); }                                                   \
    code_##name##_RAW_RI : { const T x = B.F, y = constant(pc[1].imm); A.F = (e); NEXT(2); }                                   \
    code_##name##_RAW_IR : { const T x = constant(pc[1].imm), y = B.F; A.F = (e); NEXT(2); }
#define F64_BINARY_LEFT(name, e)                                                                                               \
    code_##name##_RR_FB : { const double x = real, y = C.f64; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(1); }                 \
    code_##name##_RR_FC : { const double x = B.f64, y = real; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(1); }                 \
    code_##name##_RI_FB : { const double x = real, y = AS_F64(pc[1].imm); PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); }     \
    code_##name##_IR_FB : { const double x = AS_F64(pc[1].imm), y = real; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); }
/* x * y, and z that comes to it; each rounded. */
#define F64_PRODUCT(name, e)                                                                                                   \
    code_##name : { const double x = B.f64, y = C.f64, z = fp[pc[1].low].f64; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); } \
    code_##name##_FB : { const double x = real, y = C.f64, z = fp[pc[1].low].f64; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); } \
    code_##name##_FC : { const double x = B.f64, y = real, z = fp[pc[1].low].f64; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); } \
    code_##name##_FD : { const double x = B.f64, y = C.f64, z = real; PUT_f64(A, bv_wasm_canonical_f64(e)); NEXT(2); }
#define FLOAT_UNARY(name, T, F, G, e, canonical)                                                                               \
    code_##name : { const T x = B.F; PUT_##G(A, canonical(e)); NEXT(1); }                                                            \
    code_##name##_RAW : { const T x = B.F; A.G = (e); NEXT(1); }
#define AS_U32(imm) (uint32_t)(imm)
#define AS_I32(imm) (int32_t)(uint32_t)(imm)
#define AS_U64(imm) (imm)
#define AS_I64(imm) (int64_t)(imm)
#define AS_F32(imm) bv_wasm_f32_of((uint32_t)(imm))
#define AS_F64(imm) bv_wasm_f64_of(imm)

/* A transfer of control takes its fuel and lands; a stop before the target's first operation is always possible. */
#define JUMP                                                                                                                   \
    do {                                                                                                                       \
        left -= pc[1].charge;                                                                                                  \
        pc += 1 + (ptrdiff_t)pc[1].jump;                                                                                       \
        if (UNLIKELY(left < 0)) {                                                                                              \
            goto stop_at_label;                                                                                                \
        }                                                                                                                      \
        GO;                                                                                                                    \
    } while (0)
/* A comparison as a value and as a branch. */
#define COMPARE(name, T, F, e, constant, near)                                                                                 \
    code_##name##_RR : { const T x = B.F, y = C.F; PUT_u32(A, e); NEXT(1); }                                                   \
    code_##name##_RI : { const T x = B.F, y = constant(pc[1].imm); PUT_u32(A, e); NEXT(2); }                                   \
    code_BR_##name##_RR : { const T x = A.F, y = B.F; if (e) { JUMP; } NEXT(2); }                                              \
    code_BR_##name##_RI : { const T x = A.F, y = constant(near); if (e) { JUMP; } NEXT(BR_UNITS_##constant); }
#define COMPARE_LEFT(name, T, F, e, constant, near, first, second)                                                             \
    COMPARE(name, T, F, e, constant, near)                                                                                     \
    code_BR_##name##_RR_##first : { const T x = LEFT_##F, y = B.F; if (e) { JUMP; } NEXT(2); }                                 \
    code_BR_##name##_RR_##second : { const T x = A.F, y = LEFT_##F; if (e) { JUMP; } NEXT(2); }                                \
    code_BR_##name##_RI_##first : { const T x = LEFT_##F, y = constant(near); if (e) { JUMP; } NEXT(BR_UNITS_##constant); }
#define BR_UNITS_AS_U32 2
#define BR_UNITS_AS_I32 2
#define BR_UNITS_AS_U64 2
#define BR_UNITS_AS_I64 2
#define BR_UNITS_AS_F32 2
#define BR_UNITS_AS_F64 3
#define NEAR            pc->w
#define NEAR_SIGNED     (uint64_t)(int32_t)pc->w
#define NEAR_F64        pc[2].imm
#define INT_COMPARES(type, S, U, s, u, AS_S, AS_U, near)                                                                     \
    COMPARE_LEFT(type##_EQ, U, u, x == y, AS_U, near, IA, IB)                                                                        \
    COMPARE_LEFT(type##_NE, U, u, x != y, AS_U, near, IA, IB)                                                                        \
    COMPARE_LEFT(type##_LT_S, S, s, x < y, AS_S, near, IA, IB)                                                                            \
    COMPARE_LEFT(type##_GE_S, S, s, x >= y, AS_S, near, IA, IB)                                                                           \
    COMPARE_LEFT(type##_LT_U, U, u, x < y, AS_U, near, IA, IB)                                                                            \
    COMPARE_LEFT(type##_GE_U, U, u, x >= y, AS_U, near, IA, IB)                                                                           \
    COMPARE_LEFT(type##_GT_S, S, s, x > y, AS_S, near, IA, IB)                                                                            \
    COMPARE_LEFT(type##_LE_S, S, s, x <= y, AS_S, near, IA, IB)                                                                           \
    COMPARE_LEFT(type##_GT_U, U, u, x > y, AS_U, near, IA, IB)                                                                            \
    COMPARE_LEFT(type##_LE_U, U, u, x <= y, AS_U, near, IA, IB)
#define FLOAT_COMPARES(compare, type, T, F, constant, ...)                                                                             \
    compare(type##_EQ, T, F, x == y, constant, __VA_ARGS__)                                                                           \
    compare(type##_NE, T, F, x != y, constant, __VA_ARGS__)                                                                           \
    compare(type##_LT, T, F, x < y, constant, __VA_ARGS__)                                                                            \
    compare(type##_NLT, T, F, !(x < y), constant, __VA_ARGS__)                                                                        \
    compare(type##_GT, T, F, x > y, constant, __VA_ARGS__)                                                                            \
    compare(type##_NGT, T, F, !(x > y), constant, __VA_ARGS__)                                                                        \
    compare(type##_LE, T, F, x <= y, constant, __VA_ARGS__)                                                                           \
    compare(type##_NLE, T, F, !(x <= y), constant, __VA_ARGS__)                                                                       \
    compare(type##_GE, T, F, x >= y, constant, __VA_ARGS__)                                                                           \
    compare(type##_NGE, T, F, !(x >= y), constant, __VA_ARGS__)
/* The end of a loop: a step, and the comparison of what came of it. */
#define STEP(name, T, F, e)                                                                                          \
    code_ADD_BR_##name##_RR : {                                                                                                \
        const uint32_t sum = fp[pc[2].high].u32 + pc[2].low;                                                                   \
        A.u32 = sum;                                                                                                           \
        const T x = (T)sum, y = B.F;                                                                                           \
        if (e) { JUMP; }                                                                                                       \
        NEXT(3);                                                                                                               \
    }                                                                                                                          \
    code_ADD_BR_##name##_RI : {                                                                                                \
        const uint32_t sum = fp[pc[2].high].u32 + pc[2].low;                                                                   \
        A.u32 = sum;                                                                                                           \
        const T x = (T)sum, y = (T)pc->w;                                                                                      \
        if (e) { JUMP; }                                                                                                       \
        NEXT(3);                                                                                                               \
    }
#define STEPS                                                                                                                  \
    STEP(I32_EQ, uint32_t, u32, x == y)                                                                                \
    STEP(I32_NE, uint32_t, u32, x != y)                                                                                \
    STEP(I32_LT_S, int32_t, i32, x < y)                                                                                \
    STEP(I32_GE_S, int32_t, i32, x >= y)                                                                               \
    STEP(I32_LT_U, uint32_t, u32, x < y)                                                                               \
    STEP(I32_GE_U, uint32_t, u32, x >= y)                                                                              \
    STEP(I32_GT_S, int32_t, i32, x > y)                                                                                \
    STEP(I32_LE_S, int32_t, i32, x <= y)                                                                               \
    STEP(I32_GT_U, uint32_t, u32, x > y)                                                                               \
    STEP(I32_LE_U, uint32_t, u32, x <= y)
#define INT_ARITHMETIC(type, S, U, s, u, AS_S, AS_U, bits, least)                                                              \
    BINARY_LEFT(type##_ADD, U, u, u, x + y, AS_U)                                                                                   \
    BINARY_LEFT(type##_SUB, U, u, u, x - y, AS_U)                                                                                   \
    BINARY_LEFT(type##_MUL, U, u, u, x * y, AS_U)                                                                                   \
    BINARY_LEFT(type##_AND, U, u, u, x & y, AS_U)                                                                                   \
    BINARY_LEFT(type##_OR, U, u, u, x | y, AS_U)                                                                                    \
    BINARY_LEFT(type##_XOR, U, u, u, x ^ y, AS_U)                                                                                   \
    BINARY_LEFT(type##_SHL, U, u, u, x << (y & (bits - 1)), AS_U)                                                                   \
    BINARY_LEFT(type##_SHR_U, U, u, u, x >> (y & (bits - 1)), AS_U)                                                                 \
    BINARY_LEFT(type##_SHR_S, U, u, u, bv_wasm_sar##bits(x, y), AS_U)                                                               \
    BINARY_LEFT(type##_ROTL, U, u, u, bv_wasm_rotl##bits(x, y), AS_U)                                                               \
    BINARY_LEFT(type##_ROTR, U, u, u, bv_wasm_rotr##bits(x, y), AS_U)                                                               \
    DIVIDE(type##_DIV_S, S, s, x / y, AS_S, if (x == least && y == -1) TRAP(OVERFLOW))                                         \
    DIVIDE(type##_DIV_U, U, u, x / y, AS_U, )                                                                                  \
    DIVIDE(type##_REM_S, S, s, bv_wasm_rem##bits(x, y), AS_S, )                                                                \
    DIVIDE(type##_REM_U, U, u, x % y, AS_U, )
#define DIVIDE(name, T, F, e, constant, check)                                                                                 \
    code_##name##_RR : { const T x = B.F, y = C.F; if (UNLIKELY(y == 0)) TRAP(DIVIDE_BY_ZERO); check; PUT_##F(A, e); NEXT(1); }    \
    code_##name##_RI : { const T x = B.F, y = constant(pc[1].imm); if (UNLIKELY(y == 0)) TRAP(DIVIDE_BY_ZERO); check; PUT_##F(A, e); NEXT(2); }
#define FLOAT_ARITHMETIC(type, T, F, constant, canonical, m, abs, sign)                                                        \
    FLOAT_BINARY(type##_ADD, T, F, x + y, constant, canonical)                                                                 \
    FLOAT_BINARY(type##_SUB, T, F, x - y, constant, canonical)                                                                 \
    FLOAT_BINARY(type##_MUL, T, F, x *y, constant, canonical)                                                                  \
    FLOAT_BINARY(type##_DIV, T, F, x / y, constant, canonical)                                                                 \
    FLOAT_BINARY(type##_MIN, T, F, abs##_min(x, y), constant, canonical)                                                       \
    FLOAT_BINARY(type##_MAX, T, F, abs##_max(x, y), constant, canonical)                                                       \
    FLOAT_UNARY(type##_CEIL, T, F, F, ceil##m(x), canonical)                                                                   \
    FLOAT_UNARY(type##_FLOOR, T, F, F, floor##m(x), canonical)                                                                 \
    FLOAT_UNARY(type##_TRUNC, T, F, F, trunc##m(x), canonical)                                                                 \
    FLOAT_UNARY(type##_NEAREST, T, F, F, rint##m(x), canonical)                                                                \
    FLOAT_UNARY(type##_SQRT, T, F, F, sqrt##m(x), canonical)
/* Signs are bits: a NaN keeps the rest of its own. */
#define SIGNS(type, U, u, constant, sign)                                                                                      \
    UNARY(type##_ABS, U, u, u, x & ~sign)                                                                                      \
    UNARY(type##_NEG, U, u, u, x ^ sign)                                                                                       \
    BINARY(type##_COPYSIGN, U, u, u, (x & ~sign) | (y & sign), constant)
/* The bounds are the nearest numbers of the type outside, or inside if `below` is >=. */
#define TRUNCATE(to, from, T, F, O, G, below, low, high)                                                                       \
    code_##to##_TRUNC_##from : {                                                                                               \
        const T x = B.F;                                                                                                       \
        if (UNLIKELY(x != x)) { TRAP(CONVERSION); }                                                                            \
        if (UNLIKELY(!(x below low && x < high))) { TRAP(OVERFLOW); }                                                          \
        PUT_##G(A, (O)x);                                                                                                      \
        NEXT(1);                                                                                                               \
    }
#define SATURATE(to, from, T, F, O, G, below, low, high, least, most)                                                          \
    code_##to##_TRUNC_SAT_##from : {                                                                                           \
        const T x = B.F;                                                                                                       \
        PUT_##G(A, x != x ? 0 : !(x below low) ? least : !(x < high) ? most : (O)x);                                           \
        NEXT(1);                                                                                                               \
    }
#define TRUNCATIONS(to, from, T, F, O, G, below, low, high, least, most)                                                       \
    TRUNCATE(to, from, T, F, O, G, below, low, high)                                                                           \
    SATURATE(to, from, T, F, O, G, below, low, high, least, most)

/* Memory. T is what memory holds, V what the cell gets. An address and an offset are 32 bits each, so their sum does not wrap. */
#define AT(address, size, T)                                                                                                   \
    const uint64_t at = (address);                                                                                             \
    if (UNLIKELY(at + sizeof(T) > (size))) { TRAP(MEMORY); }
#define ADDRESS_RR(first, second) (uint64_t)(uint32_t)((first) + (second)) + pc[1].imm
#define ADDRESS_RS(first, second) (uint64_t)(uint32_t)((first) + ((second) << pc[1].high)) + pc[1].low
#define ADDRESS_K(first)          (uint64_t)(uint32_t)((first) + pc[1].low) + pc[1].high
#define ADDRESS_Z(first)          pc[1].imm
#define LOAD_FORM(name, T, V, G, address)                                                                                      \
    code_##name : { T v; AT(address, memory_size, T) memcpy(&v, memory + at, sizeof(v)); PUT_##G(A, (V)v); NEXT(2); }
#define STORE_FORM(name, T, address, value)                                                                                    \
    code_##name : { AT(address, memory_size, T) const T v = (T)(value); memcpy(memory + at, &v, sizeof(v)); NEXT(2); }
#define LOAD_FORMS(name, T, V, G)                                                                                              \
    code_##name##_R : { T v; AT((uint64_t)B.u32 + pc->c, memory_size, T) memcpy(&v, memory + at, sizeof(v)); PUT_##G(A, (V)v); NEXT(1); } \
    LOAD_FORM(name##_RR, T, V, G, ADDRESS_RR(B.u32, C.u32))                                                                    \
    LOAD_FORM(name##_RS, T, V, G, ADDRESS_RS(B.u32, C.u32))                                                                    \
    LOAD_FORM(name##_K, T, V, G, ADDRESS_K(B.u32))                                                                             \
    LOAD_FORM(name##_Z, T, V, G, ADDRESS_Z(B.u32))
#define LOAD_LEFT(name, T, V, G)                                                                                               \
    code_##name##_R_IB : { T v; AT((uint64_t)LEFT_u32 + pc->c, memory_size, T) memcpy(&v, memory + at, sizeof(v)); PUT_##G(A, (V)v); NEXT(1); } \
    LOAD_FORM(name##_RR_IB, T, V, G, ADDRESS_RR(LEFT_u32, C.u32))                                                               \
    LOAD_FORM(name##_RR_IC, T, V, G, ADDRESS_RR(B.u32, LEFT_u32))                                                               \
    LOAD_FORM(name##_RS_IC, T, V, G, ADDRESS_RS(B.u32, LEFT_u32))
#define LOAD(name, T, V, G)                                                                                                    \
    LOAD_FORMS(name, T, V, G)                                                                                                  \
    code_##name##_M : {                                                                                                        \
        const struct bv_wasm_memory *m = instance->memories[pc->c];                                                            \
        T v;                                                                                                                   \
        AT((uint64_t)B.u32 + pc[1].imm, m->size, T)                                                                            \
        memcpy(&v, m->bytes + at, sizeof(v));                                                                                  \
        A.G = (V)v;                                                                                                            \
        NEXT(2);                                                                                                               \
    }
/* The value of a store is what is left, in the bits of its cell. */
#define STORE_LEFT(name, T, field, value)                                                                                      \
    code_##name##_R_##field : { AT((uint64_t)A.u32 + pc->c, memory_size, T) const T v = (T)(value); memcpy(memory + at, &v, sizeof(v)); NEXT(1); } \
    STORE_FORM(name##_RR_##field, T, ADDRESS_RR(A.u32, C.u32), value)                                                          \
    STORE_FORM(name##_RS_##field, T, ADDRESS_RS(A.u32, C.u32), value)                                                          \
    STORE_FORM(name##_K_##field, T, ADDRESS_K(A.u32), value)                                                                   \
    STORE_FORM(name##_Z_##field, T, ADDRESS_Z(A.u32), value)
#define STORE(name, T)                                                                                                         \
    code_##name##_R : { AT((uint64_t)A.u32 + pc->c, memory_size, T) const T v = (T)B.u64; memcpy(memory + at, &v, sizeof(v)); NEXT(1); } \
    STORE_FORM(name##_RR, T, ADDRESS_RR(A.u32, C.u32), B.u64)                                                                        \
    STORE_FORM(name##_RS, T, ADDRESS_RS(A.u32, C.u32), B.u64)                                                                        \
    STORE_FORM(name##_K, T, ADDRESS_K(A.u32), B.u64)                                                                           \
    STORE_FORM(name##_Z, T, ADDRESS_Z(A.u32), B.u64)                                                                           \
    STORE_FORM(name##_I, T, (uint64_t)A.u32 + pc->c, pc[1].imm)                                                                \
    code_##name##_M : {                                                                                                        \
        const struct bv_wasm_memory *m = instance->memories[pc->c];                                                            \
        AT((uint64_t)A.u32 + pc[1].imm, m->size, T)                                                                            \
        const T v = (T)B.u64;                                                                                                  \
        memcpy(m->bytes + at, &v, sizeof(v));                                                                                  \
        NEXT(2);                                                                                                               \
    }

/* ---- runs: what each operation does, one after the other, with pc at the one that works. A branch that is not taken goes on; what
 * always leaves goes to the operation itself. ---- */
#define DO_LOAD(T, G, address)       T v; AT(address, memory_size, T) memcpy(&v, memory + at, sizeof(v)); PUT_##G(A, v)
#define DO_STORE(T, address, value)  AT(address, memory_size, T) const T v = (T)(value); memcpy(memory + at, &v, sizeof(v))
#define BRANCH(e)                    if (e) { JUMP; }
#define DO_I32_ADD_RR           PUT_u32(A, B.u32 + C.u32)
#define DO_I32_ADD_RI           PUT_u32(A, B.u32 + (uint32_t)pc[1].imm)
#define DO_I32_ADD_PAIR         A.u32 = B.u32 + pc[1].low; C.u32 += pc[1].high
#define DO_I32_XOR_RR           PUT_u32(A, B.u32 ^ C.u32)
#define DO_I32_ROTL_RI          PUT_u32(A, bv_wasm_rotl32(B.u32, (uint32_t)pc[1].imm))
#define DO_I32_SHR_U_RI         PUT_u32(A, B.u32 >> (pc[1].imm & 31))
#define DO_LOAD32_K             DO_LOAD(uint32_t, u32, ADDRESS_K(B.u32))
#define DO_RETURN1              goto code_RETURN1
#define DO_ADD_BR_I32_NE_RI     const uint32_t sum = fp[pc[2].high].u32 + pc[2].low; A.u32 = sum; BRANCH(sum != pc->w)
#define DO_F64_CONVERT_I32_S    PUT_f64(A, (double)B.i32)
#define DO_LOAD64_R             DO_LOAD(uint64_t, u64, (uint64_t)B.u32 + pc->c)
#define DO_LOADF64_R            DO_LOAD(double, f64, (uint64_t)B.u32 + pc->c)
#define DO_I32_AND_RR           PUT_u32(A, B.u32 & C.u32)
#define DO_I32_OR_RR            PUT_u32(A, B.u32 | C.u32)
#define DO_COPY                 PUT_u64(A, B.u64)
#define DO_LOAD32_R             DO_LOAD(uint32_t, u32, (uint64_t)B.u32 + pc->c)
#define DO_LOAD32_RS            DO_LOAD(uint32_t, u32, ADDRESS_RS(B.u32, C.u32))
#define DO_LOADF64_K            DO_LOAD(double, f64, ADDRESS_K(B.u32))
#define DO_LOAD8_U_R            DO_LOAD(uint8_t, u64, (uint64_t)B.u32 + pc->c)
#define DO_F64_MUL_RR           PUT_f64(A, bv_wasm_canonical_f64(B.f64 * C.f64))
#define DO_F64_MUL_SUB          PUT_f64(A, bv_wasm_canonical_f64(B.f64 * C.f64 - fp[pc[1].low].f64))
#define DO_I32_ADD_SHL          PUT_u32(A, B.u32 + (C.u32 << pc[1].low))
#define DO_I32_MUL_RR           PUT_u32(A, B.u32 * C.u32)
#define DO_BR                   goto code_BR
#define DO_BR_NZ                BRANCH(A.u32)
#define DO_BR_I32_GT_U_RI       BRANCH(A.u32 > pc->w)
#define DO_BR_I32_NE_RR         BRANCH(A.u32 != B.u32)
#define DO_CALL                 goto code_CALL
#define DO_I32_ADD_RI_IB        PUT_u32(A, LEFT_u32 + (uint32_t)pc[1].imm)
#define DO_BR_I32_NE_RI         BRANCH(A.u32 != pc->w)
#define DO_LOAD32_R_IB          DO_LOAD(uint32_t, u32, (uint64_t)LEFT_u32 + pc->c)
#define DO_I32_XOR_RI_IB        PUT_u32(A, LEFT_u32 ^ (uint32_t)pc[1].imm)
#define DO_BR_AND_Z_RI          BRANCH(!(A.u32 & pc->w))
#define DO_BR_AND_NZ_RI         BRANCH(A.u32 & pc->w)
#define DO_I32_AND_RI           PUT_u32(A, B.u32 & (uint32_t)pc[1].imm)
#define DO_I32_SHL_RI_IB        PUT_u32(A, LEFT_u32 << (pc[1].imm & 31))
#define DO_I32_AND_RI_IB        PUT_u32(A, LEFT_u32 & (uint32_t)pc[1].imm)
#define DO_I32_OR_RI_IB         PUT_u32(A, LEFT_u32 | (uint32_t)pc[1].imm)
#define DO_BR_I32_LT_S_RR_IA    BRANCH(LEFT_i32 < B.i32)
#define DO_F64_SUB_RR           PUT_f64(A, bv_wasm_canonical_f64(B.f64 - C.f64))
#define DO_BR_I32_GT_S_RR       BRANCH(A.i32 > B.i32)
#define DO_COPY_FB              A.f64 = real
#define DO_CONST                PUT_u64(A, pc[1].imm)
#define DO_BR_I32_LT_U_RI       BRANCH(A.u32 < pc->w)
#define DO_I32_ADD_SHL_IC       PUT_u32(A, B.u32 + (LEFT_u32 << pc[1].low))
#define DO_STORE32_R_IB         DO_STORE(uint32_t, (uint64_t)A.u32 + pc->c, whole)
#define DO_STORE32_K_IB         DO_STORE(uint32_t, ADDRESS_K(A.u32), whole)
#define DO_BR_TABLE_IA          goto code_BR_TABLE_IA
#define DO_BR_I32_LT_S_RR_IB    BRANCH(A.i32 < LEFT_i32)
#define DO_BR_I32_GE_S_RR_IA    BRANCH(LEFT_i32 >= B.i32)
#define DO_BR_I32_GE_S_RR_IB    BRANCH(A.i32 >= LEFT_i32)
#define DO_BR_I32_GT_S_RR_IA    BRANCH(LEFT_i32 > B.i32)
#define DO_BR_I32_GT_S_RR_IB    BRANCH(A.i32 > LEFT_i32)
#define DO_I32_LT_S_RR          PUT_u32(A, B.i32 < C.i32)
#define DO_BR_I32_NE_RR_IB      BRANCH(A.u32 != LEFT_u32)
#define DO_BR_I32_EQ_RR_IB      BRANCH(A.u32 == LEFT_u32)
#define DO_BR_I32_NE_RI_IA      BRANCH(LEFT_u32 != pc->w)
#define DO_BR_I32_EQ_RI_IA      BRANCH(LEFT_u32 == pc->w)
#define DO_BR_NZ_IA             BRANCH(LEFT_u32)
#define DO_BR_Z_IA              BRANCH(!(LEFT_u32))
#define DO_STORE32_R            DO_STORE(uint32_t, (uint64_t)A.u32 + pc->c, B.u64)
#define DO_STORE32_K            DO_STORE(uint32_t, ADDRESS_K(A.u32), B.u64)
#define DO_STORE64_R_FB         DO_STORE(double, (uint64_t)A.u32 + pc->c, real)
#define DO_F64_ADD_RR_FC        PUT_f64(A, bv_wasm_canonical_f64(B.f64 + real))
#define DO_F64_SUB_RR_FC        PUT_f64(A, bv_wasm_canonical_f64(B.f64 - real))
#define DO_F64_MUL_RR_FC        PUT_f64(A, bv_wasm_canonical_f64(B.f64 * real))
#define DO_F64_MUL_RR_FB        PUT_f64(A, bv_wasm_canonical_f64(real * C.f64))
#define DO_F64_MUL_ADD_FC       PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 + B.f64 * real))
#define DO_F64_MUL_ADD_FB       PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 + real * C.f64))
#define DO_F64_MUL_ADD_FD       PUT_f64(A, bv_wasm_canonical_f64(real + B.f64 * C.f64))
#define DO_LOADF64_RR           DO_LOAD(double, f64, ADDRESS_RR(B.u32, C.u32))
#define DO_LOADF64_Z            DO_LOAD(double, f64, ADDRESS_Z(B.u32))
#define DO_F64_ADD_RR           PUT_f64(A, bv_wasm_canonical_f64(B.f64 + C.f64))
#define DO_STORE64_Z_FB         DO_STORE(double, ADDRESS_Z(A.u32), real)
#define DO_BR_F64_LE_RI_FA      BRANCH(real <= AS_F64(pc[2].imm))
#define DO_BR_F64_NLT_RI_FA     BRANCH(!(real < AS_F64(pc[2].imm)))
#define DO_F64_ADD_RI_FB        PUT_f64(A, bv_wasm_canonical_f64(real + AS_F64(pc[1].imm)))
#define DO_F64_SUB_MUL          PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 - B.f64 * C.f64))
#define DO_F64_SUB_MUL_FB       PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 - real * C.f64))
#define DO_F64_SUB_MUL_FC       PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 - B.f64 * real))
#define DO_F64_SUB_MUL_FD       PUT_f64(A, bv_wasm_canonical_f64(real - B.f64 * C.f64))
#define DO_F64_MUL_ADD          PUT_f64(A, bv_wasm_canonical_f64(fp[pc[1].low].f64 + B.f64 * C.f64))
#define DO_F64_MUL_RI           PUT_f64(A, bv_wasm_canonical_f64(B.f64 * AS_F64(pc[1].imm)))
#define DO_F64_DIV_IR_FB        PUT_f64(A, bv_wasm_canonical_f64(AS_F64(pc[1].imm) / real))
#define DO_LOAD64_K             DO_LOAD(uint64_t, u64, ADDRESS_K(B.u32))
#define DO_STORE64_K_IB         DO_STORE(uint64_t, ADDRESS_K(A.u32), whole)
#define DO_BR_TABLE             goto code_BR_TABLE
#define DO_BR_Z                 BRANCH(!A.u32)
#define DO_I32_LT_U_RI          PUT_u32(A, B.u32 < (uint32_t)pc[1].imm)
#define DO_BR_I32_GE_S_RR       BRANCH(A.i32 >= B.i32)
#define DO_BR_I32_LT_S_RR       BRANCH(A.i32 < B.i32)
#define DO_ADD_BR_I32_LT_S_RR   const uint32_t sum = fp[pc[2].high].u32 + pc[2].low; A.u32 = sum; BRANCH((int32_t)sum < B.i32)
#define DO_SELECT_ID            A = *(LEFT_u32 ? &B : &C)
#define DO_I32_SHL_RI           PUT_u32(A, B.u32 << (pc[1].imm & 31))
#define DO_I32_OR_RI            PUT_u32(A, B.u32 | (uint32_t)pc[1].imm)
#define DO_I32_GT_S_RR          PUT_u32(A, B.i32 > C.i32)
#define DO_ADD_BR_I32_GT_U_RI   const uint32_t sum = fp[pc[2].high].u32 + pc[2].low; A.u32 = sum; BRANCH(sum > pc->w)
#define STEP_(op)           { DO_##op; } pc += UNITS_##op;
#define LAST_(op)           { DO_##op; } NEXT(UNITS_##op);
#define RUN2(p, q)          code_##p##__##q : STEP_(p) LAST_(q)
#define RUN3(p, q, r)       code_##p##__##q##__##r : STEP_(p) STEP_(q) LAST_(r)
#define RUN4(p, q, r, s)    code_##p##__##q##__##r##__##s : STEP_(p) STEP_(q) STEP_(r) LAST_(s)
#define RUN5(p, q, r, s, t) code_##p##__##q##__##r##__##s##__##t : STEP_(p) STEP_(q) STEP_(r) STEP_(s) LAST_(t)

/* Vectors: the function of the table, and its NaNs. */
#define VECTOR bv_wasm_simd_ops[pc[1].low & 0xffff]
#define VECTOR_NEXT(n)                                                                                                         \
    do {                                                                                                                       \
        if (pc[1].low >> 16) {                                                                                                 \
            bv_wasm_simd_canonicalise(&A, (uint8_t)(pc[1].low >> 16));                                                         \
        }                                                                                                                      \
        NEXT(n);                                                                                                               \
    } while (0)
#define VECTOR_LANE      (pc[1].high & 0xff)
#define VECTOR_SCALAR(i) (VECTOR.operands[i] == BV_WASM_I32 || VECTOR.operands[i] == BV_WASM_F32)
#define VECTOR_AT                                                                                                              \
    const struct bv_wasm_memory *m = instance->memories[pc[1].high >> 8];                                                      \
    const uint64_t at = (uint64_t)B.u32 + pc[2].imm;                                                                           \
    if (UNLIKELY(at + VECTOR.bytes > m->size)) { TRAP(MEMORY); }

/* After whatever may have moved or replaced the memory or the stack. */
#define LOAD_MEMORY                                                                                                            \
    do {                                                                                                                       \
        memory = instance ? instance->memory0->bytes : NULL;                                                                   \
        memory_size = instance ? instance->memory0->size : 0;                                                                  \
    } while (0)
#define LOAD_STACK(base_) fp = store->cells + (base_)

enum {
#define BV_CODE(name, units, writes) UNITS_##name = (units),
#include "wasm/code.def"
#undef BV_CODE
};

enum bv_wasm_step bv_wasm_execute(struct bv_wasm_store *store)
{
#if !defined(__clang__)
    static const void *const all_labels[BV_WASM_CODES] = {
#define BV_CODE(name, units, writes) [BV_WASM_CODE_##name] = &&code_##name,
#include "wasm/code.def"
#undef BV_CODE
    };
    const void *const *labels = all_labels;
    __asm__("" : "+r"(labels)); /* a register for the table: its address is not computed anew for every jump */
#endif
    const union bv_wasm_unit *pc = store->pc;
    struct bv_wasm_instance *instance = store->instance;
    struct bv_wasm_frame *frame = store->frames + store->frame_count; /* the next to be pushed */
    int64_t left = store->left;
    uint8_t *memory;
    uint64_t memory_size;
    union bv_wasm_cell *fp;
    /* Between the parts of a call; nothing of this is kept from one operation to the next. */
    const struct bv_wasm_function *callee = NULL;
    struct bv_wasm_func *function;
    uint64_t host_base;
    enum bv_wasm_trap trap;
    enum bv_wasm_step step;
    enum bv_wasm_bulk bulk;
    uint32_t pending;
    /* The accumulators. No operation takes what was left before a stop. */
    uint64_t whole = 0;
    double real = 0;
    LOAD_STACK(store->base);
    LOAD_MEMORY;
    if (store->waiting) {
        function = store->waiting;
        host_base = store->waiting_base;
        store->waiting = NULL;
        goto call_host;
    }
#if defined(__clang__)
dispatch:
    switch ((enum bv_wasm_code)pc->op) {
#define BV_CODE(name, units, writes) case BV_WASM_CODE_##name: goto code_##name;
#include "wasm/code.def"
#undef BV_CODE
    case BV_WASM_CODES: BV_UNREACHABLE();
    }
    BV_UNREACHABLE();
#else
    GO;
#endif

code_EXIT:
    step = BV_WASM_STEP_DONE;
    pending = 0;
    goto leave;
code_HOST_ENTRY:
    function = store->function;
    host_base = 0;
    pc += 1;
    goto call_host;
code_UNREACHABLE:
    TRAP(UNREACHABLE);
code_COUNT:
    left -= 1;
    pc += 1;
    if (UNLIKELY(left < 0)) {
        goto stop;
    }
    GO;
code_COPY:
    PUT_u64(A, B.u64);
    NEXT(1);
code_COPY_IB:
    A.u64 = whole;
    NEXT(1);
code_COPY_FB:
    A.f64 = real;
    NEXT(1);
code_COPY2:
    memcpy(&A, &B, 2 * sizeof(A));
    NEXT(1);
code_COPY_PAIR:
    A = B;
    fp[pc[1].low] = C;
    NEXT(2);
code_COPY_PAIR_IB:
    A.u64 = whole;
    fp[pc[1].low] = C;
    NEXT(2);
code_I32_ADD_PAIR:
    A.u32 = B.u32 + pc[1].low;
    C.u32 += pc[1].high;
    NEXT(2);
code_I32_ADD_SHL:
    PUT_u32(A, B.u32 + (C.u32 << pc[1].low));
    NEXT(2);
code_I32_ADD_SHL_IB:
    PUT_u32(A, LEFT_u32 + (C.u32 << pc[1].low));
    NEXT(2);
code_I32_ADD_SHL_IC:
    PUT_u32(A, B.u32 + (LEFT_u32 << pc[1].low));
    NEXT(2);
    F64_PRODUCT(F64_MUL_ADD, z + x * y)
    F64_PRODUCT(F64_MUL_SUB, x * y - z)
    F64_PRODUCT(F64_SUB_MUL, z - x * y)
code_F64_SQRT_FB:
    PUT_f64(A, bv_wasm_canonical_f64(sqrt(real)));
    NEXT(1);
code_F64_CONVERT_I32_S_IB:
    PUT_f64(A, (double)LEFT_i32);
    NEXT(1);
code_F64_CONVERT_I32_U_IB:
    PUT_f64(A, (double)LEFT_u32);
    NEXT(1);
code_I64_EXTEND_I32_S_IB:
    PUT_i64(A, LEFT_i32);
    NEXT(1);
code_I64_EXTEND_I32_U_IB:
    PUT_u64(A, LEFT_u32);
    NEXT(1);
code_COPY_WIDE:
    fp[pc[1].low] = fp[pc[1].high];
    NEXT(2);
code_COPY2_WIDE:
    memcpy(&fp[pc[1].low], &fp[pc[1].high], 2 * sizeof(A));
    NEXT(2);
code_CONST:
    PUT_u64(A, pc[1].imm);
    NEXT(2);
code_CONST2:
    memcpy(&A, &pc[1], 2 * sizeof(A));
    NEXT(3);
code_SELECT:
    A = *(fp[pc[1].low].u32 ? &B : &C);
    NEXT(2);
code_SELECT_ID:
    A = *(LEFT_u32 ? &B : &C);
    NEXT(2);
code_SELECT2: {
    union bv_wasm_cell chosen[2]; /* the destination may overlap what is chosen */
    memcpy(chosen, fp[pc[1].low].u32 ? &B : &C, sizeof(chosen));
    memcpy(&A, chosen, sizeof(chosen));
    NEXT(2);
}
code_GLOBAL_GET:
    A = instance->globals[pc[1].low]->cells[0];
    NEXT(2);
code_GLOBAL_GET2:
    memcpy(&A, instance->globals[pc[1].low]->cells, 2 * sizeof(A));
    NEXT(2);
code_GLOBAL_SET:
    instance->globals[pc[1].low]->cells[0] = A;
    NEXT(2);
code_GLOBAL_SET_IA:
    instance->globals[pc[1].low]->cells[0].u64 = whole;
    NEXT(2);
code_GLOBAL_SET2:
    memcpy(instance->globals[pc[1].low]->cells, &A, 2 * sizeof(A));
    NEXT(2);

code_BR:
    JUMP;
code_BR_NZ_IA:
    if (LEFT_u32) {
        JUMP;
    }
    NEXT(2);
code_BR_NZ:
    if (A.u32) {
        JUMP;
    }
    NEXT(2);
code_BR_Z_IA:
    if (!(LEFT_u32)) {
        JUMP;
    }
    NEXT(2);
code_BR_Z:
    if (!A.u32) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_NZ_RR_IA:
    if (LEFT_u32 & B.u32) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_NZ_RR:
    if (A.u32 & B.u32) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_Z_RR_IA:
    if (!(LEFT_u32 & B.u32)) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_Z_RR:
    if (!(A.u32 & B.u32)) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_NZ_RI_IA:
    if (LEFT_u32 & pc->w) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_NZ_RI:
    if (A.u32 & pc->w) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_Z_RI_IA:
    if (!(LEFT_u32 & pc->w)) {
        JUMP;
    }
    NEXT(2);
code_BR_AND_Z_RI:
    if (!(A.u32 & pc->w)) {
        JUMP;
    }
    NEXT(2);
code_BR_TABLE: {
    const uint32_t index = A.u32, count = pc[1].low;
    pc += 1 + (index < count ? index : count); /* the unit before the entry, as JUMP expects */
    JUMP;
}
code_BR_TABLE_IA: {
    const uint32_t index = LEFT_u32, count = pc[1].low;
    pc += 1 + (index < count ? index : count);
    JUMP;
}
code_BR_ENTRY:
    BV_UNREACHABLE();

code_CALL:
    callee = &instance->functions[pc[1].low];
    left -= pc[1].charge;
    if (UNLIKELY(frame == store->frames_end)) {
        function = NULL;
        goto grow_frames;
    }
push_frame:
    frame->pc = pc + 2;
    frame->instance = instance;
    frame->delta = pc->w;
    frame++;
    fp += pc->w;
enter:
    if (UNLIKELY((uint64_t)((const char *)store->cells_end - (char *)fp) < sizeof(*fp) * (uint64_t)callee->frame_cells)) {
        goto grow_cells;
    }
    for (union bv_wasm_cell *local = fp + callee->param_cells, *end = local + callee->zero_cells; local < end; local++) {
        local->u64 = 0;
    }
    pc = callee->start;
    if (UNLIKELY(left < 0)) {
        goto stop;
    }
    GO;
grow_frames:
    store->frame_count = (uint32_t)(frame - store->frames);
    trap = bv_wasm_grow_frames(store);
    if (trap != BV_WASM_TRAP_NONE) {
        goto trapped;
    }
    frame = store->frames + store->frame_count;
    if (function) {
        goto push_far_frame;
    }
    goto push_frame;
grow_cells: {
    const uint64_t base = (uint64_t)(fp - store->cells);
    trap = bv_wasm_grow_cells(store, base + callee->frame_cells);
    if (trap != BV_WASM_TRAP_NONE) {
        goto trapped;
    }
    LOAD_STACK(base);
    goto enter;
}

code_CALL_IMPORT:
    function = instance->funcs[pc[1].low];
    left -= pc[1].charge;
    goto call_function;
code_CALL_INDIRECT: {
    const struct bv_wasm_table *table = instance->tables[pc[2].low];
    const uint32_t index = A.u32;
    left -= pc[1].charge;
    if (UNLIKELY(index >= table->count)) {
        TRAP(UNDEFINED_ELEMENT);
    }
    function = (struct bv_wasm_func *)(uintptr_t)table->elements[index];
    if (UNLIKELY(!function)) {
        TRAP(UNINITIALIZED_ELEMENT);
    }
    if (UNLIKELY(function->type_id != instance->type_ids[pc[1].low])) {
        TRAP(CALL_TYPE);
    }
}
call_function:
    if (!function->instance) {
        host_base = (uint64_t)(fp - store->cells) + pc->w;
        pc += pc->op == BV_WASM_CODE_CALL_INDIRECT ? 3 : 2;
        goto call_host;
    }
    if (UNLIKELY(frame == store->frames_end)) {
        goto grow_frames;
    }
push_far_frame:
    frame->pc = pc + (pc->op == BV_WASM_CODE_CALL_INDIRECT ? 3 : 2);
    frame->instance = instance;
    frame->delta = pc->w;
    frame++;
    fp += pc->w;
    callee = function->code;
    if (instance != function->instance) {
        instance = function->instance;
        LOAD_MEMORY;
    }
    goto enter;

/* A tail call's arguments take the place of this frame. */
code_TAIL_CALL:
    callee = &instance->functions[pc[1].low];
    left -= pc[1].charge;
    memmove(fp, fp + pc->w, callee->param_cells * sizeof(*fp));
    goto enter;
code_TAIL_CALL_IMPORT:
    function = instance->funcs[pc[1].low];
    left -= pc[1].charge;
    goto tail_call_function;
code_TAIL_CALL_INDIRECT: {
    const struct bv_wasm_table *table = instance->tables[pc[2].low];
    const uint32_t index = A.u32;
    left -= pc[1].charge;
    if (UNLIKELY(index >= table->count)) {
        TRAP(UNDEFINED_ELEMENT);
    }
    function = (struct bv_wasm_func *)(uintptr_t)table->elements[index];
    if (UNLIKELY(!function)) {
        TRAP(UNINITIALIZED_ELEMENT);
    }
    if (UNLIKELY(function->type_id != instance->type_ids[pc[1].low])) {
        TRAP(CALL_TYPE);
    }
}
tail_call_function:
    memmove(fp, fp + pc->w, function->type->param_cells * sizeof(*fp));
    if (!function->instance) {
        host_base = (uint64_t)(fp - store->cells);
        pc = bv_wasm_return_unit;
        goto call_host;
    }
    callee = function->code;
    if (instance != function->instance) {
        instance = function->instance;
        LOAD_MEMORY;
    }
    goto enter;

code_RETURN:
    left -= pc[1].charge;
    memmove(fp, fp + pc->w, pc[1].low * sizeof(*fp));
    goto pop_frame;
code_RETURN1:
    fp[0] = A;
    left -= pc[1].charge;
    goto pop_frame;
code_RETURN1_IA:
    fp[0].u64 = whole;
    left -= pc[1].charge;
    goto pop_frame;
code_RETURN1_FA:
    fp[0].f64 = real;
    left -= pc[1].charge;
    goto pop_frame;
code_RETURN0:
    left -= pc[1].charge;
pop_frame:
    frame--;
    pc = frame->pc;
    fp -= frame->delta;
    if (UNLIKELY(instance != frame->instance)) {
        instance = frame->instance;
        LOAD_MEMORY;
    }
    if (UNLIKELY(left < 0)) {
        goto stop;
    }
    GO;

/* pc is where to go on. The limit is asked before: nothing that the host does may be past it. */
call_host:
    if (UNLIKELY(left < 0) && store->charged + (uint64_t)(store->grant - left) > store->fuel_limit) {
        TRAP(FUEL);
    }
    store->left = left;
    switch (bv_wasm_call_host(store, function, instance, host_base)) {
    case BV_WASM_DONE: break;
    case BV_WASM_AGAIN:
        left = store->left;
        store->waiting = function;
        store->waiting_base = host_base;
        step = BV_WASM_STEP_WAIT;
        pending = 0;
        goto leave;
    case BV_WASM_HALT: left = store->left; TRAP(HOST);
    }
    left = store->left;
    LOAD_MEMORY;
    if (UNLIKELY(left < 0)) {
        goto stop;
    }
    GO;

    INT_COMPARES(I32, int32_t, uint32_t, i32, u32, AS_I32, AS_U32, NEAR)
    INT_COMPARES(I64, int64_t, uint64_t, i64, u64, AS_I64, AS_U64, NEAR_SIGNED)
    STEPS
    FLOAT_COMPARES(COMPARE, F32, float, f32, AS_F32, NEAR)
    FLOAT_COMPARES(COMPARE_LEFT, F64, double, f64, AS_F64, NEAR_F64, FA, FB)
    INT_ARITHMETIC(I32, int32_t, uint32_t, i32, u32, AS_I32, AS_U32, 32, INT32_MIN)
    INT_ARITHMETIC(I64, int64_t, uint64_t, i64, u64, AS_I64, AS_U64, 64, INT64_MIN)
    UNARY(I32_CLZ, uint32_t, u32, u32, x ? (uint32_t)__builtin_clz(x) : 32)
    UNARY(I32_CTZ, uint32_t, u32, u32, x ? (uint32_t)__builtin_ctz(x) : 32)
    UNARY(I32_POPCNT, uint32_t, u32, u32, (uint32_t)__builtin_popcount(x))
    UNARY(I64_CLZ, uint64_t, u64, u64, x ? (uint64_t)__builtin_clzll(x) : 64)
    UNARY(I64_CTZ, uint64_t, u64, u64, x ? (uint64_t)__builtin_ctzll(x) : 64)
    UNARY(I64_POPCNT, uint64_t, u64, u64, (uint64_t)__builtin_popcountll(x))
    UNARY(I32_EXTEND8_S, uint32_t, u32, i32, (int8_t)x)
    UNARY(I32_EXTEND16_S, uint32_t, u32, i32, (int16_t)x)
    UNARY(I64_EXTEND8_S, uint64_t, u64, i64, (int8_t)x)
    UNARY(I64_EXTEND16_S, uint64_t, u64, i64, (int16_t)x)
    UNARY(I64_EXTEND32_S, uint64_t, u64, i64, (int32_t)x)
    UNARY(I64_EXTEND_I32_S, int32_t, i32, i64, x)
    UNARY(I64_EXTEND_I32_U, uint32_t, u32, u64, x)
    FLOAT_ARITHMETIC(F32, float, f32, AS_F32, bv_wasm_canonical_f32, f, bv_wasm_f32, )
    FLOAT_ARITHMETIC(F64, double, f64, AS_F64, bv_wasm_canonical_f64, , bv_wasm_f64, )
    SIGNS(F32, uint32_t, u32, AS_U32, UINT32_C(0x80000000))
    SIGNS(F64, uint64_t, u64, AS_U64, UINT64_C(0x8000000000000000))
    FLOAT_UNARY(F32_DEMOTE_F64, double, f64, f32, (float)x, bv_wasm_canonical_f32)
    FLOAT_UNARY(F64_PROMOTE_F32, float, f32, f64, (double)x, bv_wasm_canonical_f64)
    UNARY(F32_CONVERT_I32_S, int32_t, i32, f32, (float)x)
    UNARY(F32_CONVERT_I32_U, uint32_t, u32, f32, (float)x)
    UNARY(F32_CONVERT_I64_S, int64_t, i64, f32, (float)x)
    UNARY(F32_CONVERT_I64_U, uint64_t, u64, f32, (float)x)
    UNARY(F64_CONVERT_I32_S, int32_t, i32, f64, (double)x)
    UNARY(F64_CONVERT_I32_U, uint32_t, u32, f64, (double)x)
    UNARY(F64_CONVERT_I64_S, int64_t, i64, f64, (double)x)
    UNARY(F64_CONVERT_I64_U, uint64_t, u64, f64, (double)x)
    TRUNCATIONS(I32, F32_S, float, f32, int32_t, i32, >=, -0x1p31f, 0x1p31f, INT32_MIN, INT32_MAX)
    TRUNCATIONS(I32, F32_U, float, f32, uint32_t, u32, >, -1.0f, 0x1p32f, 0, UINT32_MAX)
    TRUNCATIONS(I32, F64_S, double, f64, int32_t, i32, >, -2147483649.0, 0x1p31, INT32_MIN, INT32_MAX)
    TRUNCATIONS(I32, F64_U, double, f64, uint32_t, u32, >, -1.0, 0x1p32, 0, UINT32_MAX)
    TRUNCATIONS(I64, F32_S, float, f32, int64_t, i64, >=, -0x1p63f, 0x1p63f, INT64_MIN, INT64_MAX)
    TRUNCATIONS(I64, F32_U, float, f32, uint64_t, u64, >, -1.0f, 0x1p64f, 0, UINT64_MAX)
    TRUNCATIONS(I64, F64_S, double, f64, int64_t, i64, >=, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX)
    TRUNCATIONS(I64, F64_U, double, f64, uint64_t, u64, >, -1.0, 0x1p64, 0, UINT64_MAX)

    LOAD(LOAD32, uint32_t, uint32_t, u32)
    LOAD(LOAD64, uint64_t, uint64_t, u64)
    LOAD(LOAD8_U, uint8_t, uint64_t, u64)
    LOAD(LOAD16_U, uint16_t, uint64_t, u64)
    LOAD(LOAD32_U, uint32_t, uint64_t, u64)
    LOAD(I32_LOAD8_S, int8_t, int32_t, i32)
    LOAD(I32_LOAD16_S, int16_t, int32_t, i32)
    LOAD(I64_LOAD8_S, int8_t, int64_t, i64)
    LOAD(I64_LOAD16_S, int16_t, int64_t, i64)
    LOAD(I64_LOAD32_S, int32_t, int64_t, i64)
    STORE(STORE8, uint8_t)
    STORE(STORE16, uint16_t)
    STORE(STORE32, uint32_t)
    STORE(STORE64, uint64_t)
    LOAD_FORMS(LOADF64, double, double, f64)
    LOAD_LEFT(LOADF64, double, double, f64)
    LOAD_LEFT(LOAD32, uint32_t, uint32_t, u32)
    LOAD_LEFT(LOAD64, uint64_t, uint64_t, u64)
    LOAD_LEFT(LOAD8_U, uint8_t, uint64_t, u64)
    LOAD_LEFT(LOAD16_U, uint16_t, uint64_t, u64)
    STORE_LEFT(STORE8, uint8_t, IB, whole)
    STORE_LEFT(STORE16, uint16_t, IB, whole)
    STORE_LEFT(STORE32, uint32_t, IB, whole)
    STORE_LEFT(STORE64, uint64_t, IB, whole)
    STORE_LEFT(STORE64, double, FB, real)
    F64_BINARY_LEFT(F64_ADD, x + y)
    F64_BINARY_LEFT(F64_SUB, x - y)
    F64_BINARY_LEFT(F64_MUL, x *y)
    F64_BINARY_LEFT(F64_DIV, x / y)

#define BV_CODE(name, units, writes)
#define BV_FROM(name, field, units, writes)
#define BV_HEAD(run)
#define BV_RUN2 RUN2
#define BV_RUN3 RUN3
#define BV_RUN4 RUN4
#define BV_RUN5 RUN5
#include "wasm/code.def"
#undef BV_CODE

code_VECTOR_UNARY:
    VECTOR.run.unary(&A, &B);
    VECTOR_NEXT(2);
code_VECTOR_BINARY:
    VECTOR.run.binary(&A, &B, &C);
    VECTOR_NEXT(2);
code_VECTOR_TERNARY:
    VECTOR.run.ternary(&A, &B, &C, &fp[pc[1].high]);
    VECTOR_NEXT(2);
code_VECTOR_SHIFT:
    VECTOR.run.shift(&A, &B, C.u32);
    NEXT(2);
code_VECTOR_TEST:
    A.u32 = VECTOR.run.test(&B);
    NEXT(2);
code_VECTOR_SHUFFLE:
    VECTOR.run.shuffle(&A, &B, &C, &pc[2]);
    NEXT(4);
code_VECTOR_SPLAT:
    VECTOR.run.splat(&A, VECTOR_SCALAR(0) ? B.u32 : B.u64);
    NEXT(2);
code_VECTOR_EXTRACT:
    A.u64 = VECTOR.run.extract(&B, VECTOR_LANE);
    NEXT(2);
code_VECTOR_REPLACE:
    VECTOR.run.replace(&A, &B, VECTOR_LANE, VECTOR_SCALAR(1) ? C.u32 : C.u64);
    NEXT(2);
code_VECTOR_LOAD: {
    VECTOR_AT
    VECTOR.run.load(&A, m->bytes + at);
    NEXT(3);
}
code_VECTOR_LOAD_LANE: {
    VECTOR_AT
    VECTOR.run.load_lane(&A, &C, VECTOR_LANE, m->bytes + at);
    NEXT(3);
}
code_VECTOR_STORE: {
    VECTOR_AT
    VECTOR.run.store(m->bytes + at, &C);
    NEXT(3);
}
code_VECTOR_STORE_LANE: {
    VECTOR_AT
    VECTOR.run.store_lane(m->bytes + at, &C, VECTOR_LANE);
    NEXT(3);
}
code_MEMORY_SIZE:
    A.u32 = (uint32_t)(instance->memories[pc->c]->size / 65536);
    NEXT(1);
code_MEMORY_GROW: {
    const uint32_t pages = B.u32, before = bv_wasm_grow_memory(instance->memories[pc->c], pages);
    left -= before == BV_WASM_GROW_FAILED ? 0 : (int64_t)pages;
    A.u32 = before;
    LOAD_MEMORY;
    NEXT(1);
}
code_TABLE_SIZE:
    A.u32 = instance->tables[pc->c]->count;
    NEXT(1);
code_TABLE_GET: {
    const struct bv_wasm_table *table = instance->tables[pc->c];
    if (UNLIKELY(B.u32 >= table->count)) {
        TRAP(TABLE);
    }
    A.u64 = table->elements[B.u32];
    NEXT(1);
}
code_TABLE_SET: {
    const struct bv_wasm_table *table = instance->tables[pc->c];
    if (UNLIKELY(A.u32 >= table->count)) {
        TRAP(TABLE);
    }
    table->elements[A.u32] = B.u64;
    NEXT(1);
}
code_TABLE_GROW: {
    const uint32_t count = B.u32, before = bv_wasm_grow_table(instance->tables[pc->c], count, fp[pc[1].low].u64);
    left -= before == BV_WASM_GROW_FAILED ? 0 : (int64_t)count / 8;
    A.u32 = before;
    NEXT(2);
}
code_REF_NULL_TEST:
    A.u32 = B.u64 == 0;
    NEXT(1);
code_REF_FUNC:
    A.u64 = (uint64_t)(uintptr_t)instance->funcs[pc[1].low];
    NEXT(2);
code_DATA_DROP:
    instance->data_dropped[pc[1].low] = true;
    NEXT(2);
code_ELEM_DROP:
    instance->elem_dropped[pc[1].low] = true;
    NEXT(2);
code_MEMORY_COPY:
code_MEMORY_FILL:
code_MEMORY_INIT:
code_TABLE_COPY:
code_TABLE_FILL:
code_TABLE_INIT:
    store->left = left; /* whose address may be taken: `left` stays in a register */
    bulk = bv_wasm_bulk_step(instance, pc, fp + pc->w, &store->left);
    left = store->left;
    switch (bulk) {
    case BV_WASM_BULK_DONE: NEXT(2);
    case BV_WASM_BULK_MORE:
        if (left < 0) {
            goto stop_inside;
        }
        GO;
    case BV_WASM_BULK_MEMORY: TRAP(MEMORY);
    case BV_WASM_BULK_TABLE: TRAP(TABLE);
    }
    BV_UNREACHABLE();

/* The slice is used up: between two operations, at a label, or inside a bulk operation; what is pending there is not charged yet. */
stop_inside:
    pending = bv_wasm_pending_at(instance->module, pc, true);
    goto stop_with_pending;
stop_at_label:
    pending = bv_wasm_pending_at(instance->module, pc, false);
    goto stop_with_pending;
stop:
    pending = 0;
stop_with_pending:
    step = BV_WASM_STEP_SLICE;
    if (store->charged + (uint64_t)(store->grant - left) <= store->fuel_limit) {
        goto leave;
    }
    trap = BV_WASM_TRAP_FUEL;
    goto trapped_with_pending;
trapped: /* at a call of the host nothing is pending, and pc is behind it */
    pending = trap != BV_WASM_TRAP_FUEL && trap != BV_WASM_TRAP_HOST && instance ? bv_wasm_pending_at(instance->module, pc, true) : 0;
trapped_with_pending:
    store->trap = trap;
    step = BV_WASM_STEP_TRAPPED;
leave:
    store->charged += (uint64_t)(store->grant - left);
    store->used = store->charged + pending;
    if (step == BV_WASM_STEP_TRAPPED) {
        if (store->used > store->fuel_limit || trap == BV_WASM_TRAP_FUEL) {
            store->trap = BV_WASM_TRAP_FUEL; /* it ended before it could trap otherwise */
            store->used = store->fuel_limit;
        }
        store->charged = store->used; /* nothing goes on from here */
    }
    store->left = 0;
    store->grant = 0;
    store->pc = pc;
    store->instance = instance;
    store->base = (uint64_t)(fp - store->cells);
    store->frame_count = (uint32_t)(frame - store->frames);
    return step;
}
