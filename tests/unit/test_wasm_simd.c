/* tests/unit/test_wasm_simd.c - every vector instruction against an oracle that knows it by its name only (support/simd_oracle.h).
 *
 * The list of names in the order of their opcodes is the specification's index of instructions; `-` is an opcode that has none. Operands
 * are random and edge values of every lane width; results are tried in a place of their own and over each operand, at odd addresses. */
#include "wasm/simd.h"

#include "support/simd_oracle.h"
#include "support/tap.h"

#include <math.h>

static const char names[] =
    "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u v128.load8_splat "
    "v128.load16_splat v128.load32_splat v128.load64_splat v128.store v128.const i8x16.shuffle i8x16.swizzle i8x16.splat "
    "i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane "
    "i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane "
    "i64x2.replace_lane f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane "
    "i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u "
    "i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u "
    "i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u "
    "f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge "
    "v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true v128.load8_lane v128.load16_lane v128.load32_lane "
    "v128.load64_lane v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane v128.load32_zero v128.load64_zero "
    "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 "
    "i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u f32x4.ceil f32x4.floor "
    "f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub "
    "i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u "
    "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u "
    "i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u "
    "i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u i16x8.shl i16x8.shr_s "
    "i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u f64x2.nearest i16x8.mul "
    "i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u - i16x8.avgr_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s "
    "i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u "
    "i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - - i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s "
    "i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul "
    "i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s - i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s "
    "i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u "
    "i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - - i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s "
    "i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul "
    "i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s "
    "i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u "
    "f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax "
    "f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax "
    "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u i32x4.trunc_sat_f64x2_s_zero "
    "i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u ";

enum { ROUNDS = 3000 };

/* ---- operands ---- */

static uint64_t random_bits(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static uint64_t edge_int(unsigned width)
{
    uint64_t top = UINT64_C(1) << (width - 1), pick[] = { 0, 1, 2, UINT64_MAX, UINT64_MAX - 1, top, top + 1, top - 1, top - 2, top >> 1,
        (top >> 1) - 1, ~(top >> 1), top >> (width / 2 - 1), ~(top >> (width / 2)), 0x5555555555555555, 0x8000800080008000, 0x7f807f807f807f80 };
    return pick[random_bits() % (sizeof pick / sizeof *pick)];
}

static uint64_t edge_float(unsigned width)
{
    static const double values[] = { 0.0, 0x1p-149, 0x1p-1074, 0x1.fffffcp-127, 0x1p-126, 0x1p-1022, 0.25, 0.49999997, 0x1.fffffffffffffp-2,
        0.5, 0x1.0000000000001p-1, 0.75, 1.0, 0x1.fffffffffffffp-1, 1.5, 2.0, 2.5, 3.0, 3.5, 0x1p22, 0x1.000002p22, 0x1.fffffcp22,
        0x1.fffffep22, 0x1p23, 0x1.000002p23, 0x1p24, 0x1.fffffep30, 0x1p31, 2147483647.0, 2147483647.5, 2147483648.5, 2147483649.0,
        0x1.fffffep31, 4294967295.0, 4294967295.5, 0x1p32, 0x1p33, 0x1.0000000000001p51, 0x1.fffffffffffffp51, 0x1p52, 0x1p53,
        0x1.0000008p0, 0x1.000001p0, 0x1.0000010000001p0, 0x1.fffffefp127, 0x1.fffffeffffffp127, 0x1.ffffffp127, 0x1p128, 0x1.8p-150,
        0x1p-150, 0x1.fffffep127, 0x1.fffffffffffffp1023, 0x1p64, 1e10, 3.14159265358979, HUGE_VAL };
    uint64_t sign = random_bits() << 63 >> (64 - width);
    unsigned special = (unsigned)(random_bits() % 8);
    if (special == 0) {
        return sign;
    }
    if (special == 1) { /* quiet, canonical, signalling, all bits */
        uint64_t quiet = UINT64_C(1) << (simd_mantissa(width) - 1), infinity = simd_canonical(width) & ~quiet;
        uint64_t payloads[] = { quiet, quiet, quiet + 1, quiet / 2, 1, 2 * quiet - 1, quiet - 1 };
        return sign ^ (infinity | payloads[random_bits() % (sizeof payloads / sizeof *payloads)]);
    }
    return sign ^ simd_float_bits(values[random_bits() % (sizeof values / sizeof *values)], width);
}

/* Half of them in lanes of this width, the others in lanes of any. */
static struct simd_vec random_vec(unsigned preferred)
{
    unsigned width = random_bits() % 2 ? preferred : 8u << random_bits() % 4, style = (unsigned)(random_bits() % 4);
    struct simd_vec vec;
    for (unsigned i = 0; i < 128 / width; i++) {
        bool edge = style != 0 && random_bits() % 8 != 0;
        simd_put(&vec, width, i, !edge ? random_bits() : width < 32 || style == 1 ? edge_int(width) : edge_float(width));
    }
    return vec;
}

/* ---- one instruction, its result in every place that it may take ---- */

static bool same(const struct simd_word *word, const struct simd_vec in[3], const struct simd_vec *got, const struct simd_vec *wanted, bool nans)
{
    if (!nans) {
        return memcmp(got, wanted, 16) == 0;
    }
    bool canonical_in = true; /* no operand has another NaN than the canonical one, of either sign */
    unsigned from = strstr(word->name, "f64x2") ? 64 : 32;
    from = simd_begins(word->operation, "promote") ? 32 : from;
    for (unsigned i = 0; i < 128 / from; i++) {
        for (unsigned k = 0; k < 2; k++) {
            uint64_t bits = simd_bits(&in[k], from, i);
            canonical_in = canonical_in && (!simd_is_nan(bits, from) || (bits & ~(UINT64_C(1) << (from - 1))) == simd_canonical(from));
        }
    }
    for (unsigned i = 0; i < word->count; i++) {
        uint64_t bits = simd_bits(got, word->width, i), other = simd_bits(wanted, word->width, i), positive = simd_canonical(word->width);
        uint64_t magnitude = bits & ~(UINT64_C(1) << (word->width - 1));
        bool good = simd_is_nan(other, word->width) ? (canonical_in ? magnitude == positive : (magnitude & positive) == positive) : bits == other;
        if (!good) {
            return false;
        }
    }
    return true;
}

static void run(const struct bv_wasm_simd_op *op, void *ret, const void *x, const void *y, const void *z)
{
    switch (op->operand_count) {
    case 1: op->run.unary(ret, x); break;
    case 2: op->run.binary(ret, x, y); break;
    default: op->run.ternary(ret, x, y, z); break;
    }
}

static bool check_vectors(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct simd_vec in[3] = { random_vec(word->width), random_vec(word->width), random_vec(word->width) }, wanted;
        if (round % 8 == 0) { /* equal but for some signs: both zeros in a lane */
            in[1] = in[0];
            for (unsigned i = 0; i < word->count; i++) {
                in[1].bytes[(i + 1) * word->width / 8 - 1] ^= (uint8_t)(random_bits() << 7);
            }
        }
        bool nans;
        if (!simd_oracle(word, in, &wanted, &nans) || nans != (op->nan_shape != BV_WASM_NAN_NONE)) {
            return false;
        }
        uint8_t place[4][17]; /* at an odd address; the result in a place of its own, then over each operand */
        for (int over = 0; over < 4; over++) {
            for (int i = 0; i < 3; i++) {
                memcpy(place[i] + 1, &in[i], 16);
            }
            uint8_t *ret = place[over] + 1;
            run(op, ret, place[0] + 1, place[1] + 1, place[2] + 1);
            struct simd_vec got;
            memcpy(&got, ret, 16);
            if (!same(word, in, &got, &wanted, nans)) {
                return false;
            }
            bv_wasm_simd_canonicalise(ret, op->nan_shape);
            for (unsigned i = 0; nans && i < word->count; i++) {
                if (simd_is_nan(simd_bits(&wanted, word->width, i), word->width)) {
                    simd_put(&wanted, word->width, i, simd_canonical(word->width));
                }
            }
            if (memcmp(ret, nans ? &wanted : &got, 16) != 0) {
                return false;
            }
        }
    }
    return true;
}

static bool check_shift(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct simd_vec in = random_vec(word->width), wanted, got;
        uint32_t count = round < 300 ? (uint32_t)round : (uint32_t)random_bits();
        unsigned by = count % word->width;
        for (unsigned i = 0; i < word->count; i++) {
            wide value = simd_lane(&in, word->width, i, word->sign);
            simd_put(&wanted, word->width, i, (uint64_t)(simd_is(word, "shl") ? value * ((wide)1 << by) : simd_floor_shift(value, by)));
        }
        op->run.shift(&got, &in, count);
        op->run.shift(&in, &in, count);
        if (memcmp(&got, &wanted, 16) != 0 || memcmp(&in, &wanted, 16) != 0) {
            return false;
        }
    }
    return true;
}

static bool check_test(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct simd_vec in = random_vec(word->width);
        for (int rest = round % 16; rest < 16 && round % 3 == 0; rest++) {
            in.bytes[rest] = 0;
        }
        uint32_t mask = 0, zeros = 0;
        for (unsigned i = 0; i < word->count; i++) {
            mask += simd_lane(&in, word->width, i, true) < 0 ? UINT32_C(1) << i : 0;
            zeros += simd_lane(&in, word->width, i, true) == 0;
        }
        uint32_t wanted = simd_is(word, "bitmask") ? mask : simd_is(word, "all_true") ? zeros == 0 : zeros < word->count;
        if (op->run.test(&in) != wanted) {
            return false;
        }
    }
    struct simd_vec zero = { { 0 } };
    return op->run.test(&zero) == 0;
}

static bool check_shuffle(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct simd_vec in[3] = { random_vec(word->width), random_vec(word->width), random_vec(word->width) }, wanted, got;
        for (int i = 0; i < 16; i++) {
            unsigned from = in[2].bytes[i] %= 32;
            wanted.bytes[i] = from < 16 ? in[0].bytes[from] : in[1].bytes[from - 16];
        }
        op->run.shuffle(&got, &in[0], &in[1], &in[2]);
        op->run.shuffle(&in[1], &in[0], &in[1], &in[2]);
        if (memcmp(&got, &wanted, 16) != 0 || memcmp(&in[1], &wanted, 16) != 0) {
            return false;
        }
    }
    return true;
}

static bool check_lanes(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct simd_vec in = random_vec(word->width), wanted = in, got;
        unsigned at = (unsigned)random_bits() % word->count;
        uint64_t scalar = random_bits();
        bool narrow = op->operands[op->operand_count - 1] == BV_WASM_I32 || op->operands[op->operand_count - 1] == BV_WASM_F32;
        scalar = narrow ? scalar & UINT32_MAX : scalar;
        if (simd_begins(word->operation, "extract_lane")) {
            wide value = simd_lane(&in, word->width, at, word->sign);
            uint64_t bits = word->width < 64 ? (uint32_t)value : (uint64_t)value;
            if (op->run.extract(&in, at) != bits) {
                return false;
            }
            continue;
        }
        if (simd_is(word, "splat")) {
            for (unsigned i = 0; i < word->count; i++) {
                simd_put(&wanted, word->width, i, scalar);
            }
            op->run.splat(&got, scalar);
        } else {
            simd_put(&wanted, word->width, at, scalar);
            op->run.replace(&got, &in, at, scalar);
            op->run.replace(&in, &in, at, scalar);
        }
        if (memcmp(&got, &wanted, 16) != 0 || (op->shape == BV_WASM_SIMD_REPLACE && memcmp(&in, &wanted, 16) != 0)) {
            return false;
        }
    }
    return true;
}

/* ---- memory: the bytes are alone in their allocation, so that a sanitizer sees one too many ---- */

static struct simd_vec loaded(const char *how, unsigned width, const uint8_t *memory)
{
    struct simd_vec raw = { { 0 } }, result = { { 0 } };
    if (simd_begins(how, "x")) { /* extension of width-bit lanes */
        memcpy(&raw, memory, 8);
        for (unsigned i = 0; i < 64 / width; i++) {
            simd_put(&result, 2 * width, i, (uint64_t)simd_lane(&raw, width, i, how[strlen(how) - 1] == 's'));
        }
        return result;
    }
    for (unsigned i = 0; i < 16; i++) {
        bool there = i < width / 8 || strcmp(how, "_splat") == 0;
        result.bytes[i] = there ? memory[i % (width / 8)] : 0;
    }
    return result;
}

static bool check_memory(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    bool store = simd_begins(word->operation, "store");
    char *how;
    unsigned width = (unsigned)strtoul(word->operation + (store ? 5 : 4), &how, 10), whole = width ? width : 128;
    unsigned bytes = how[0] == 'x' ? 8 : whole / 8;
    bool of_lane = strcmp(how, "_lane") == 0, good = op->bytes == bytes && 1u << op->align_log2 == bytes;
    good = good && op->lanes == (of_lane ? 128 / whole : 0) && op->result == (store ? 0 : BV_WASM_V128);
    for (int round = 0; round < ROUNDS && good; round++) {
        uint8_t *memory = malloc(bytes);
        struct simd_vec in = random_vec(word->width), filling = random_vec(word->width), got = in, wanted = in;
        unsigned at = (unsigned)random_bits() % (128 / whole);
        memcpy(memory, &filling, bytes);
        if (of_lane && store) {
            op->run.store_lane(memory, &in, at);
            good = memcmp(memory, in.bytes + at * bytes, bytes) == 0;
        } else if (store) {
            op->run.store(memory, &in);
            good = memcmp(memory, &in, 16) == 0;
        } else if (of_lane) {
            memcpy(wanted.bytes + at * bytes, memory, bytes);
            op->run.load_lane(&got, &in, at, memory);
            op->run.load_lane(&in, &in, at, memory);
            good = memcmp(&got, &wanted, 16) == 0 && memcmp(&in, &wanted, 16) == 0;
        } else {
            wanted = loaded(how, whole, memory);
            op->run.load(&got, memory);
            good = memcmp(&got, &wanted, 16) == 0;
        }
        free(memory);
    }
    return good;
}

/* ---- the table ---- */

static uint8_t scalar_type(const struct simd_word *word)
{
    return word->width < 64 ? (word->kind == 'f' ? BV_WASM_F32 : BV_WASM_I32) : (word->kind == 'f' ? BV_WASM_F64 : BV_WASM_I64);
}

/* The types that the specification gives to an instruction of this name, as text: v128, address, scalar, i32. */
static bool types_hold(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    static const char *const unary[] = { "not", "abs", "neg", "sqrt", "ceil", "floor", "trunc", "nearest", "popcnt", "extend_low", "extend_high",
        "extadd", "demote", "promote", "convert", "trunc_sat", "any_true", "all_true", "bitmask", "extract_lane" };
    const char *name = word->operation, *types = "vv";
    bool gives_scalar = simd_begins(name, "extract"), gives_i32 = simd_is(word, "any_true") || simd_is(word, "all_true") || simd_is(word, "bitmask");
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
        types = simd_begins(name, unary[i]) ? "v" : types;
    }
    types = simd_begins(name, "load") ? (strstr(name, "_lane") ? "iv" : "i") : simd_begins(name, "store") ? "iv" : types;
    types = simd_is(word, "const") ? "" : simd_is(word, "splat") ? "s" : simd_is(word, "bitselect") ? "vvv" : types;
    types = simd_begins(name, "replace") ? "vs" : simd_is(word, "shl") || simd_is(word, "shr") ? "vi" : types;
    bool good = op->operand_count == strlen(types);
    for (size_t i = 0; i < 3; i++) {
        char type = i < strlen(types) ? types[i] : '-';
        uint8_t wanted = type == 'v' ? BV_WASM_V128 : type == 'i' ? BV_WASM_I32 : type == 's' ? scalar_type(word) : 0;
        good = good && op->operands[i] == wanted;
    }
    uint8_t result = gives_scalar ? scalar_type(word) : gives_i32 ? BV_WASM_I32 : simd_begins(name, "store") ? 0 : BV_WASM_V128;
    bool memory = simd_begins(name, "load") || simd_begins(name, "store");
    unsigned lanes = simd_is(word, "shuffle") ? 32 : strstr(name, "ct_lane") || strstr(name, "ace_lane") ? word->count : 0;
    uint8_t nans = op->nan_shape;
    good = good && (nans == BV_WASM_NAN_NONE || (word->kind == 'f' && nans == (word->width == 32 ? BV_WASM_NAN_F32X4 : BV_WASM_NAN_F64X2)));
    return good && op->result == result && (memory || (op->bytes == 0 && op->align_log2 == 0 && op->lanes == lanes));
}

static bool check(const struct bv_wasm_simd_op *op, const struct simd_word *word)
{
    switch ((enum bv_wasm_simd_shape)op->shape) {
    case BV_WASM_SIMD_NONE: return false;
    case BV_WASM_SIMD_CONST: return simd_is(word, "const");
    case BV_WASM_SIMD_UNARY:
    case BV_WASM_SIMD_BINARY:
    case BV_WASM_SIMD_TERNARY: return op->shape - BV_WASM_SIMD_UNARY + 1 == op->operand_count && check_vectors(op, word);
    case BV_WASM_SIMD_SHIFT: return (simd_is(word, "shl") || simd_is(word, "shr")) && check_shift(op, word);
    case BV_WASM_SIMD_TEST: return check_test(op, word);
    case BV_WASM_SIMD_SHUFFLE: return simd_is(word, "shuffle") && check_shuffle(op, word);
    case BV_WASM_SIMD_SPLAT: return simd_is(word, "splat") && check_lanes(op, word);
    case BV_WASM_SIMD_EXTRACT: return simd_begins(word->operation, "extract_lane") && check_lanes(op, word);
    case BV_WASM_SIMD_REPLACE: return simd_is(word, "replace_lane") && check_lanes(op, word);
    case BV_WASM_SIMD_LOAD:
    case BV_WASM_SIMD_LOAD_LANE:
    case BV_WASM_SIMD_STORE:
    case BV_WASM_SIMD_STORE_LANE: return word->kind == 'v' && check_memory(op, word);
    }
    return false;
}

int main(void)
{
    const char *at = names;
    unsigned holes = 0;
    for (unsigned code = 0; code < BV_WASM_SIMD_OPS; code++) {
        const struct bv_wasm_simd_op *op = &bv_wasm_simd_ops[code];
        char name[40];
        size_t size = strcspn(at, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)size, at);
        at += size + 1;
        if (strcmp(name, "-") == 0) {
            static const struct bv_wasm_simd_op nothing;
            holes++;
            tap_ok(memcmp(op, &nothing, sizeof nothing) == 0, "0x%02x is no instruction", code);
            continue;
        }
        struct simd_word word = simd_word(name);
        if (tap_ok(op->name && strcmp(op->name, name) == 0, "0x%02x is %s", code, name)) {
            tap_ok(types_hold(op, &word), "%s has its types", name);
            tap_ok(check(op, &word), "%s computes what its name says", name);
        }
    }
    tap_ok(*at == '\0' && holes == 20, "236 instructions and 20 holes");
    return tap_done();
}
