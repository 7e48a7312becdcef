/* wasm/simd.c - the functions and the table of wasm/simd.def.
 *
 * Each row becomes one function of a loop over lanes with a constant count, which compilers turn into vector code, and one entry of the
 * table. Here is also what a lane needs beyond an operator of C. Nothing here may depend on a compiler's freedom with floats: values
 * are rounded to their type, once, to nearest even, and no NaN is assumed away. The instructions are those of the specification's
 * sections 4.3.2 (integers), 4.3.3 (floats), 4.3.4 (conversions) and 4.4.3 (vectors). */
#include "wasm/simd.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "the semantics of floats are guest-visible"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "an operation on floats is rounded to its type");
_Static_assert(FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53, "floats are IEEE 754 binary32 and binary64");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lane 0 is at the lowest address");

union lanes {
    int8_t i8[16];
    uint8_t u8[16];
    int16_t i16[8];
    uint16_t u16[8];
    int32_t i32[4];
    uint32_t u32[4];
    int64_t i64[2];
    uint64_t u64[2];
    float f32[4];
    double f64[2];
};
_Static_assert(sizeof(union lanes) == 16, "a v128");

/* ---- integers ---- */

static inline int8_t narrow_i8(int16_t value)
{
    return (int8_t)(value < INT8_MIN ? INT8_MIN : value > INT8_MAX ? INT8_MAX : value);
}

static inline uint8_t narrow_u8(int16_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : value);
}

static inline int16_t narrow_i16(int32_t value)
{
    return (int16_t)(value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value);
}

static inline uint16_t narrow_u16(int32_t value)
{
    return (uint16_t)(value < 0 ? 0 : value > UINT16_MAX ? UINT16_MAX : value);
}

/* Sums and differences saturate in their own width (no wider lanes): the sign is wrong exactly where the operands' signs say so. */
static inline int8_t add_sat_i8(int8_t x, int8_t y)
{
    int8_t sum = (int8_t)(x + y), limit = (int8_t)((x >> 7) ^ INT8_MAX);
    return (int8_t)((x ^ sum) & (y ^ sum)) < 0 ? limit : sum;
}

static inline int16_t add_sat_i16(int16_t x, int16_t y)
{
    int16_t sum = (int16_t)(x + y), limit = (int16_t)((x >> 15) ^ INT16_MAX);
    return (int16_t)((x ^ sum) & (y ^ sum)) < 0 ? limit : sum;
}

static inline int8_t sub_sat_i8(int8_t x, int8_t y)
{
    int8_t difference = (int8_t)(x - y), limit = (int8_t)((x >> 7) ^ INT8_MAX);
    return (int8_t)((x ^ y) & (x ^ difference)) < 0 ? limit : difference;
}

static inline int16_t sub_sat_i16(int16_t x, int16_t y)
{
    int16_t difference = (int16_t)(x - y), limit = (int16_t)((x >> 15) ^ INT16_MAX);
    return (int16_t)((x ^ y) & (x ^ difference)) < 0 ? limit : difference;
}

static inline uint8_t add_sat_u8(uint8_t x, uint8_t y)
{
    uint8_t sum = (uint8_t)(x + y);
    return sum < x ? UINT8_MAX : sum;
}

static inline uint16_t add_sat_u16(uint16_t x, uint16_t y)
{
    uint16_t sum = (uint16_t)(x + y);
    return sum < x ? UINT16_MAX : sum;
}

static inline uint8_t sub_sat_u8(uint8_t x, uint8_t y)
{
    return (uint8_t)(x > y ? x - y : 0);
}

static inline uint16_t sub_sat_u16(uint16_t x, uint16_t y)
{
    return (uint16_t)(x > y ? x - y : 0);
}

/* Rounded Q15 product; only the square of the least value does not fit. */
static inline int16_t q15_multiply(int16_t x, int16_t y)
{
    return narrow_i16((x * y + (1 << 14)) >> 15);
}

static inline uint8_t bits_set(uint8_t byte)
{
    byte = (uint8_t)(byte - ((byte >> 1) & 0x55));
    byte = (uint8_t)((byte & 0x33) + ((byte >> 2) & 0x33));
    return (uint8_t)((byte + (byte >> 4)) & 0x0f);
}

/* ---- floats ---- */

static inline uint32_t bits_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint64_t bits_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Bits of the lesser. Equal operands differ at most in a zero's sign, which `|` takes from either; a NaN comes out of the sum, quiet. */
static inline uint32_t min_f32(float x, float y)
{
    uint32_t equal = bits_f32(x) | bits_f32(y), nan = bits_f32(x + y);
    return x < y ? bits_f32(x) : x > y ? bits_f32(y) : x == y ? equal : nan;
}

static inline uint32_t max_f32(float x, float y)
{
    uint32_t equal = bits_f32(x) & bits_f32(y), nan = bits_f32(x + y);
    return x > y ? bits_f32(x) : x < y ? bits_f32(y) : x == y ? equal : nan;
}

static inline uint64_t min_f64(double x, double y)
{
    uint64_t equal = bits_f64(x) | bits_f64(y), nan = bits_f64(x + y);
    return x < y ? bits_f64(x) : x > y ? bits_f64(y) : x == y ? equal : nan;
}

static inline uint64_t max_f64(double x, double y)
{
    uint64_t equal = bits_f64(x) & bits_f64(y), nan = bits_f64(x + y);
    return x > y ? bits_f64(x) : x < y ? bits_f64(y) : x == y ? equal : nan;
}

/* Adding 2^23 (2^52) to a smaller magnitude rounds it to an integer, in the processor's own mode, nearest even; a float from there on is
 * an integer already. The sign is put back for -0 and for what rounds to it. A NaN is made quiet as bits, because a compiler may take
 * x + 0 for x. */
static inline float quiet_f32(float x)
{
    uint32_t bits = bits_f32(x) | (x != x ? 0x00400000u : 0);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double quiet_f64(double x)
{
    uint64_t bits = bits_f64(x) | (x != x ? 0x0008000000000000u : 0);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float nearest_f32(float x)
{
    float magnitude = fabsf(x), rounded = (magnitude + 0x1p23f) - 0x1p23f;
    return magnitude < 0x1p23f ? copysignf(rounded, x) : quiet_f32(x);
}

static inline double nearest_f64(double x)
{
    double magnitude = fabs(x), rounded = (magnitude + 0x1p52) - 0x1p52;
    return magnitude < 0x1p52 ? copysign(rounded, x) : quiet_f64(x);
}

static inline float floor_f32(float x)
{
    float rounded = nearest_f32(x);
    return copysignf(rounded > x ? rounded - 1.0f : rounded, x);
}

static inline double floor_f64(double x)
{
    double rounded = nearest_f64(x);
    return copysign(rounded > x ? rounded - 1.0 : rounded, x);
}

static inline float ceil_f32(float x)
{
    float rounded = nearest_f32(x);
    return copysignf(rounded < x ? rounded + 1.0f : rounded, x);
}

static inline double ceil_f64(double x)
{
    double rounded = nearest_f64(x);
    return copysign(rounded < x ? rounded + 1.0 : rounded, x);
}

static inline float trunc_f32(float x)
{
    return copysignf(floor_f32(fabsf(x)), x);
}

static inline double trunc_f64(double x)
{
    return copysign(floor_f64(fabs(x)), x);
}

/* Saturating truncation; exact for a float too, which a double holds whole. NaN is 0, and no comparison holds for it. */
static inline int32_t trunc_i32(double x)
{
    return x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : x == x ? (int32_t)x : 0;
}

static inline uint32_t trunc_u32(double x)
{
    return x >= 0x1p32 ? UINT32_MAX : x > 0.0 ? (uint32_t)x : 0;
}

void bv_wasm_simd_canonicalise(void *v128, uint8_t nan_shape)
{
    union lanes x;
    memcpy(&x, v128, 16);
    if (nan_shape == BV_WASM_NAN_F32X4) {
        for (int i = 0; i < 4; i++) {
            x.u32[i] = (x.u32[i] & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : x.u32[i];
        }
    } else if (nan_shape == BV_WASM_NAN_F64X2) {
        for (int i = 0; i < 2; i++) {
            x.u64[i] = (x.u64[i] & 0x7fffffffffffffff) > 0x7ff0000000000000 ? 0x7ff8000000000000 : x.u64[i];
        }
    }
    memcpy(v128, &x, 16);
}

/* ---- one function per row ---- */

/* The result is complete before it is stored: ret may be an operand. The cast is the value modulo the lane's width. */
#define BV_LANES(to, count, value)                                                                                             \
    union lanes r;                                                                                                             \
    for (unsigned i = 0; i < (count); i++) {                                                                                   \
        r.to[i] = (__typeof__(r.to[0]))(value);                                                                                \
    }                                                                                                                          \
    memcpy(ret, &r, 16)
#define BV_OPERAND(name)                                                                                                       \
    union lanes name;                                                                                                          \
    memcpy(&name, p##name, 16)

#define BV_SIMD_UNARY(code, name, nan, to, count, value)                                                                       \
    static void run_##code(void *ret, const void *px)                                                                          \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        BV_LANES(to, count, value);                                                                                            \
    }
#define BV_SIMD_BINARY(code, name, nan, to, count, value)                                                                      \
    static void run_##code(void *ret, const void *px, const void *py)                                                          \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        BV_OPERAND(y);                                                                                                         \
        BV_LANES(to, count, value);                                                                                            \
    }
#define BV_SIMD_TERNARY(code, name, nan, to, count, value)                                                                     \
    static void run_##code(void *ret, const void *px, const void *py, const void *pz)                                          \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        BV_OPERAND(y);                                                                                                         \
        BV_OPERAND(z);                                                                                                         \
        BV_LANES(to, count, value);                                                                                            \
    }
#define BV_SIMD_SHIFT(code, name, to, count, value)                                                                            \
    static void run_##code(void *ret, const void *px, uint32_t n)                                                              \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        n &= 128 / (count)-1;                                                                                                  \
        BV_LANES(to, count, value);                                                                                            \
    }
#define BV_SIMD_TEST(code, name, count, start, value)                                                                          \
    static uint32_t run_##code(const void *px)                                                                                 \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        uint32_t r = (start);                                                                                                  \
        for (unsigned i = 0; i < (count); i++) {                                                                               \
            r = (value);                                                                                                       \
        }                                                                                                                      \
        return r;                                                                                                              \
    }
#define BV_SIMD_SHUFFLE(code, name)                                                                                            \
    static void run_##code(void *ret, const void *px, const void *py, const void *pz)                                          \
    {                                                                                                                          \
        union lanes xy[2], z;                                                                                                  \
        memcpy(&xy[0], px, 16);                                                                                                \
        memcpy(&xy[1], py, 16);                                                                                                \
        memcpy(&z, pz, 16);                                                                                                    \
        BV_LANES(u8, 16, xy[z.u8[i] >> 4 & 1].u8[z.u8[i] & 15]);                                                               \
    }
#define BV_SIMD_CONST(code, name)
#define BV_SIMD_SPLAT(code, name, type, to, count)                                                                             \
    static void run_##code(void *ret, uint64_t bits)                                                                           \
    {                                                                                                                          \
        BV_LANES(to, count, bits);                                                                                             \
    }
#define BV_SIMD_EXTRACT(code, name, type, from, count, widen)                                                                  \
    static uint64_t run_##code(const void *px, uint32_t lane)                                                                  \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        widen wide = (widen)x.from[lane];                                                                                      \
        return wide;                                                                                                           \
    }
#define BV_SIMD_REPLACE(code, name, type, to, count)                                                                           \
    static void run_##code(void *ret, const void *px, uint32_t lane, uint64_t bits)                                            \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        x.to[lane] = (__typeof__(x.to[0]))bits;                                                                                \
        memcpy(ret, &x, 16);                                                                                                   \
    }
#define BV_SIMD_LOAD(code, name, size, to, count, value)                                                                       \
    static void run_##code(void *ret, const void *memory)                                                                      \
    {                                                                                                                          \
        union lanes m = { .u64 = { 0 } };                                                                                      \
        memcpy(&m, memory, size);                                                                                              \
        BV_LANES(to, count, value);                                                                                            \
    }
#define BV_SIMD_LOAD_LANE(code, name, size, to, count)                                                                         \
    static void run_##code(void *ret, const void *px, uint32_t lane, const void *memory)                                       \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        memcpy(&x.to[lane], memory, size);                                                                                     \
        memcpy(ret, &x, 16);                                                                                                   \
    }
#define BV_SIMD_STORE(code, name)                                                                                              \
    static void run_##code(void *memory, const void *px)                                                                       \
    {                                                                                                                          \
        memcpy(memory, px, 16);                                                                                                \
    }
#define BV_SIMD_STORE_LANE(code, name, size, from, count)                                                                      \
    static void run_##code(void *memory, const void *px, uint32_t lane)                                                        \
    {                                                                                                                          \
        BV_OPERAND(x);                                                                                                         \
        memcpy(memory, &x.from[lane], size);                                                                                   \
    }
#include "wasm/simd.def"
#undef BV_SIMD_UNARY
#undef BV_SIMD_BINARY
#undef BV_SIMD_TERNARY
#undef BV_SIMD_SHIFT
#undef BV_SIMD_TEST
#undef BV_SIMD_SHUFFLE
#undef BV_SIMD_CONST
#undef BV_SIMD_SPLAT
#undef BV_SIMD_EXTRACT
#undef BV_SIMD_REPLACE
#undef BV_SIMD_LOAD
#undef BV_SIMD_LOAD_LANE
#undef BV_SIMD_STORE
#undef BV_SIMD_STORE_LANE

/* ---- one entry per row ---- */

#define BV_TYPE(type) BV_WASM_##type
#define BV_ENTRY(text, its_shape, takes, gives, ...)                                                                           \
    { .name = (text), .shape = BV_WASM_SIMD_##its_shape, .operand_count = (takes), .result = (gives), __VA_ARGS__ }
#define BV_VECTOR  .operands = { BV_WASM_V128 }
#define BV_VECTORS .operands = { BV_WASM_V128, BV_WASM_V128 }
#define BV_ADDRESS .operands = { BV_WASM_I32, BV_WASM_V128 }
#define BV_ACCESS(size) .bytes = (size), .align_log2 = __builtin_ctz(size)

#define BV_SIMD_UNARY(code, name, nan, to, count, value)                                                                       \
    [code] = BV_ENTRY(name, UNARY, 1, BV_WASM_V128, BV_VECTOR, .nan_shape = BV_WASM_NAN_##nan, .run.unary = run_##code),
#define BV_SIMD_BINARY(code, name, nan, to, count, value)                                                                      \
    [code] = BV_ENTRY(name, BINARY, 2, BV_WASM_V128, BV_VECTORS, .nan_shape = BV_WASM_NAN_##nan, .run.binary = run_##code),
#define BV_SIMD_TERNARY(code, name, nan, to, count, value)                                                                     \
    [code] = BV_ENTRY(name, TERNARY, 3, BV_WASM_V128, .operands = { BV_WASM_V128, BV_WASM_V128, BV_WASM_V128 },                               \
                      .nan_shape = BV_WASM_NAN_##nan, .run.ternary = run_##code),
#define BV_SIMD_SHIFT(code, name, to, count, value)                                                                            \
    [code] = BV_ENTRY(name, SHIFT, 2, BV_WASM_V128, .operands = { BV_WASM_V128, BV_WASM_I32 }, .run.shift = run_##code),
#define BV_SIMD_TEST(code, name, count, start, value)                                                                          \
    [code] = BV_ENTRY(name, TEST, 1, BV_WASM_I32, BV_VECTOR, .run.test = run_##code),
#define BV_SIMD_SHUFFLE(code, name)                                                                                            \
    [code] = BV_ENTRY(name, SHUFFLE, 2, BV_WASM_V128, BV_VECTORS, .lanes = 32, .run.shuffle = run_##code),
#define BV_SIMD_CONST(code, name) [code] = BV_ENTRY(name, CONST, 0, BV_WASM_V128, .lanes = 0),
#define BV_SIMD_SPLAT(code, name, type, to, count)                                                                             \
    [code] = BV_ENTRY(name, SPLAT, 1, BV_WASM_V128, .operands = { BV_TYPE(type) }, .run.splat = run_##code),
#define BV_SIMD_EXTRACT(code, name, type, from, count, widen)                                                                  \
    [code] = BV_ENTRY(name, EXTRACT, 1, BV_TYPE(type), BV_VECTOR, .lanes = (count), .run.extract = run_##code),
#define BV_SIMD_REPLACE(code, name, type, to, count)                                                                           \
    [code] = BV_ENTRY(name, REPLACE, 2, BV_WASM_V128, .operands = { BV_WASM_V128, BV_TYPE(type) }, .lanes = (count),           \
                      .run.replace = run_##code),
#define BV_SIMD_LOAD(code, name, size, to, count, value)                                                                       \
    [code] = BV_ENTRY(name, LOAD, 1, BV_WASM_V128, .operands = { BV_WASM_I32 }, BV_ACCESS(size), .run.load = run_##code),
#define BV_SIMD_LOAD_LANE(code, name, size, to, count)                                                                         \
    [code] = BV_ENTRY(name, LOAD_LANE, 2, BV_WASM_V128, BV_ADDRESS, BV_ACCESS(size), .lanes = (count),                         \
                      .run.load_lane = run_##code),
#define BV_SIMD_STORE(code, name) [code] = BV_ENTRY(name, STORE, 2, 0, BV_ADDRESS, BV_ACCESS(16), .run.store = run_##code),
#define BV_SIMD_STORE_LANE(code, name, size, from, count)                                                                      \
    [code] = BV_ENTRY(name, STORE_LANE, 2, 0, BV_ADDRESS, BV_ACCESS(size), .lanes = (count), .run.store_lane = run_##code),
const struct bv_wasm_simd_op bv_wasm_simd_ops[BV_WASM_SIMD_OPS] = {
#include "wasm/simd.def"
};
