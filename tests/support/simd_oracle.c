/* tests/support/simd_oracle.c - what a vector instruction does, from its name. */
#include "support/simd_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
typedef __float128 real; /* elsewhere long double has its precision: more than twice a double's, so a second rounding is harmless */
#else
typedef long double real;
_Static_assert(__LDBL_MANT_DIG__ == 113, "an oracle for doubles");
#endif
/* ---- the name ---- */

bool simd_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

struct simd_word simd_word(const char *name)
{
    struct simd_word word = { .name = name, .operation = strchr(name, '.') + 1, .kind = name[0], .high = strstr(name, "_high_") != NULL };
    word.width = name[0] == 'v' ? 64 : (unsigned)strtoul(name + 1, NULL, 10);
    word.count = 128 / word.width;
    word.sign = strstr(name, "_s_zero") || strcmp(name + strlen(name) - 2, "_s") == 0;
    return word;
}

bool simd_is(const struct simd_word *word, const char *operation)
{
    size_t size = strlen(operation);
    const char *rest = word->operation + size;
    return simd_begins(word->operation, operation) && (*rest == '\0' || strcmp(rest, "_s") == 0 || strcmp(rest, "_u") == 0);
}

/* ---- lanes ---- */

uint64_t simd_bits(const struct simd_vec *vec, unsigned width, unsigned index)
{
    uint64_t bits = 0;
    for (unsigned byte = width / 8; byte-- > 0;) {
        bits = bits << 8 | vec->bytes[index * width / 8 + byte];
    }
    return bits;
}

void simd_put(struct simd_vec *vec, unsigned width, unsigned index, uint64_t bits)
{
    for (unsigned byte = 0; byte < width / 8; byte++) {
        vec->bytes[index * width / 8 + byte] = (uint8_t)(bits >> 8 * byte);
    }
}

wide simd_lane(const struct simd_vec *vec, unsigned width, unsigned index, bool sign)
{
    wide value = simd_bits(vec, width, index);
    return sign && (value >> (width - 1)) ? value - ((wide)1 << width) : value;
}

static wide clamp(wide value, wide low, wide high)
{
    return value < low ? low : value > high ? high : value;
}

static wide clamp_to(wide value, unsigned width, bool sign)
{
    return sign ? clamp(value, -((wide)1 << (width - 1)), ((wide)1 << (width - 1)) - 1) : clamp(value, 0, ((wide)1 << width) - 1);
}

static double to_double(uint64_t bits, unsigned width)
{
    if (width == 32) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, 4);
        return value;
    }
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static uint64_t from_real(real value, unsigned width)
{
    if (width == 32) {
        float rounded = (float)value;
        uint32_t bits;
        memcpy(&bits, &rounded, 4);
        return bits;
    }
    double rounded = (double)value;
    uint64_t bits;
    memcpy(&bits, &rounded, 8);
    return bits;
}

unsigned simd_mantissa(unsigned width)
{
    return width == 32 ? 23 : 52;
}

bool simd_is_nan(uint64_t bits, unsigned width)
{
    uint64_t infinity = (width == 32 ? UINT64_C(0xff) : UINT64_C(0x7ff)) << simd_mantissa(width);
    return (bits & ~(UINT64_C(1) << (width - 1))) > infinity;
}

uint64_t simd_canonical(unsigned width)
{
    return width == 32 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000);
}

/* ---- the oracle: integers ---- */

wide simd_floor_shift(wide value, unsigned count)
{
    wide divisor = (wide)1 << count, quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

static bool int_compare(const struct simd_word *word, wide x, wide y, bool *ret_holds)
{
    int order = (x > y) - (x < y);
    static const struct { const char *name; bool less, equal, greater; } orders[] = {
        { "eq", false, true, false }, { "ne", true, false, true }, { "lt", true, false, false },
        { "gt", false, false, true }, { "le", true, true, false }, { "ge", false, true, true },
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (simd_is(word, orders[i].name)) {
            *ret_holds = order < 0 ? orders[i].less : order > 0 ? orders[i].greater : orders[i].equal;
            return true;
        }
    }
    return false;
}

static bool int_lane(const struct simd_word *word, wide x, wide y, wide *ret)
{
    bool holds;
    if (int_compare(word, x, y, &holds)) {
        *ret = holds ? -1 : 0;
    } else if (simd_is(word, "add") || simd_is(word, "add_sat")) {
        *ret = x + y;
    } else if (simd_is(word, "sub") || simd_is(word, "sub_sat")) {
        *ret = x - y;
    } else if (simd_is(word, "mul")) {
        *ret = (wide)((unsigned __int128)x * (unsigned __int128)y);
    } else if (simd_is(word, "min")) {
        *ret = clamp(x, x, y);
    } else if (simd_is(word, "max")) {
        *ret = clamp(x, y, x > y ? x : y);
    } else if (simd_is(word, "avgr")) {
        *ret = simd_floor_shift(x + y + 1, 1);
    } else if (simd_is(word, "q15mulr_sat")) {
        *ret = simd_floor_shift(x * y + 0x4000, 15);
    } else if (simd_is(word, "abs")) {
        *ret = x < 0 ? -x : x;
    } else if (simd_is(word, "neg")) {
        *ret = -x;
    } else if (simd_is(word, "popcnt")) {
        *ret = __builtin_popcountll((unsigned long long)x);
    } else {
        return false;
    }
    if (strstr(word->name, "_sat_")) {
        *ret = clamp_to(*ret, word->width, word->sign);
    }
    return true;
}

/* What takes its lanes from other places than its result's. */
static bool int_moving(const struct simd_word *word, const struct simd_vec *x, const struct simd_vec *y, unsigned i, wide *ret)
{
    unsigned half = word->width / 2, from = i + (word->high ? word->count : 0);
    if (simd_begins(word->operation, "narrow")) {
        const struct simd_vec *source = i < word->count / 2 ? x : y;
        *ret = clamp_to(simd_lane(source, 2 * word->width, i % (word->count / 2), true), word->width, word->sign);
    } else if (simd_begins(word->operation, "extend_")) {
        *ret = simd_lane(x, half, from, word->sign);
    } else if (simd_begins(word->operation, "extmul_")) {
        *ret = simd_lane(x, half, from, word->sign) * simd_lane(y, half, from, word->sign);
    } else if (simd_begins(word->operation, "extadd_")) {
        *ret = simd_lane(x, half, 2 * i, word->sign) + simd_lane(x, half, 2 * i + 1, word->sign);
    } else if (simd_begins(word->operation, "dot_")) {
        *ret = simd_lane(x, half, 2 * i, true) * simd_lane(y, half, 2 * i, true) + simd_lane(x, half, 2 * i + 1, true) * simd_lane(y, half, 2 * i + 1, true);
    } else if (simd_is(word, "swizzle")) {
        wide index = simd_lane(y, 8, i, false);
        *ret = index > 15 ? 0 : simd_lane(x, 8, (unsigned)index, false);
    } else if (simd_begins(word->operation, "trunc_sat_")) {
        unsigned width = strstr(word->name, "f64x2") ? 64 : 32;
        double value = i < 128 / width ? to_double(simd_bits(x, width, i), width) : 0.0;
        *ret = isnan(value) ? 0 : clamp_to((wide)fmax(fmin(trunc(value), 0x1p40), -0x1p40), 32, word->sign);
    } else {
        return false;
    }
    return true;
}

/* ---- the oracle: floats, a NaN result is any NaN here ---- */

static real extreme(real x, real y, bool greatest)
{
    if (x == y) { /* of two zeros the one with the sign that is asked for */
        bool negative = signbit((double)x) && signbit((double)y);
        bool some = signbit((double)x) || signbit((double)y);
        return x == 0 ? ((greatest ? negative : some) ? (real)-0.0 : (real)0.0) : x;
    }
    return (x > y) == greatest ? x : y;
}

/* The root is the float whose neighbours' midpoints have squares on both sides of the operand; libm only proposes it. */
static real root(double value, unsigned width)
{
    if (!(value > 0) || isinf(value)) {
        return value == 0 || value > 0 ? (real)value : (real)NAN;
    }
    real guess = width == 32 ? (real)(float)sqrt(value) : (real)sqrt(value);
    real below = width == 32 ? (real)nextafterf((float)guess, 0) : (real)nextafter((double)guess, 0);
    real above = width == 32 ? (real)nextafterf((float)guess, INFINITY) : (real)nextafter((double)guess, INFINITY);
    real low = (below + guess) / 2, high = (above + guess) / 2;
    return low * low <= value && value <= high * high ? guess : (real)NAN;
}

static bool float_compute(const struct simd_word *word, double x, double y, real *ret)
{
    if (simd_is(word, "add")) {
        *ret = (real)x + y;
    } else if (simd_is(word, "sub")) {
        *ret = (real)x - y;
    } else if (simd_is(word, "mul")) {
        *ret = (real)x * y;
    } else if (simd_is(word, "div")) {
        *ret = (real)x / y;
    } else if (simd_is(word, "min") || simd_is(word, "max")) {
        *ret = isnan(x) || isnan(y) ? (real)NAN : extreme(x, y, simd_is(word, "max"));
    } else if (simd_is(word, "sqrt")) {
        *ret = root(x, word->width);
    } else if (simd_is(word, "ceil")) {
        *ret = ceil(x);
    } else if (simd_is(word, "floor")) {
        *ret = floor(x);
    } else if (simd_is(word, "trunc")) {
        *ret = trunc(x);
    } else if (simd_is(word, "nearest")) {
        *ret = nearbyint(x);
    } else {
        return false;
    }
    return true;
}

/* Sets *ret_nans when the lanes are computed, so that any NaN stands for any other. */
static bool float_lane(const struct simd_word *word, const struct simd_vec *x, const struct simd_vec *y, unsigned i, uint64_t *ret, bool *ret_nans)
{
    unsigned width = word->width;
    uint64_t x_bits = simd_bits(x, width, i), y_bits = simd_bits(y, width, i);
    double x_value = to_double(x_bits, width), y_value = to_double(y_bits, width);
    real value;
    *ret_nans = false;
    if (simd_is(word, "abs")) {
        *ret = x_bits << (64 - width) << 1 >> (65 - width);
    } else if (simd_is(word, "neg")) {
        *ret = x_bits ^ (UINT64_C(1) << (width - 1));
    } else if (simd_is(word, "pmin") || simd_is(word, "pmax")) {
        bool take = simd_is(word, "pmin") ? isless(y_value, x_value) : isgreater(y_value, x_value);
        *ret = take ? y_bits : x_bits;
    } else if (simd_is(word, "eq") || simd_is(word, "ne") || simd_is(word, "lt") || simd_is(word, "gt") || simd_is(word, "le") || simd_is(word, "ge")) {
        bool holds = false, unordered = isunordered(x_value, y_value);
        (void)int_compare(word, islessgreater(x_value, y_value) ? (isless(x_value, y_value) ? -1 : 1) : 0, 0, &holds);
        *ret = (unordered ? simd_is(word, "ne") : holds) ? UINT64_MAX : 0;
    } else if (simd_begins(word->operation, "convert_")) {
        *ret = from_real((real)(int64_t)simd_lane(x, 32, i, word->sign), width);
    } else if (simd_begins(word->operation, "demote")) {
        *ret_nans = true;
        *ret = i < 2 ? from_real(to_double(simd_bits(x, 64, i), 64), 32) : 0;
    } else if (simd_begins(word->operation, "promote")) {
        *ret_nans = true;
        *ret = from_real(to_double(simd_bits(x, 32, i), 32), 64);
    } else if (float_compute(word, x_value, y_value, &value)) {
        *ret_nans = true;
        *ret = from_real(value, width);
    } else {
        return false;
    }
    return true;
}

static bool bit_lane(const struct simd_word *word, uint64_t x, uint64_t y, uint64_t z, uint64_t *ret)
{
    *ret = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        bool a = x >> bit & 1, b = y >> bit & 1, c = z >> bit & 1, result;
        if (simd_is(word, "not")) {
            result = !a;
        } else if (simd_is(word, "and")) {
            result = a && b;
        } else if (simd_is(word, "andnot")) {
            result = a && !b;
        } else if (simd_is(word, "or")) {
            result = a || b;
        } else if (simd_is(word, "xor")) {
            result = a != b;
        } else if (simd_is(word, "bitselect")) {
            result = c ? a : b;
        } else {
            return false;
        }
        *ret |= (uint64_t)result << bit;
    }
    return true;
}

/* The result of an instruction on vectors only; false if no such name is known. */
bool simd_oracle(const struct simd_word *word, const struct simd_vec in[3], struct simd_vec *ret, bool *ret_nans)
{
    *ret_nans = false;
    for (unsigned i = 0; i < word->count; i++) {
        uint64_t bits = 0;
        wide value = 0;
        bool known;
        if (word->kind == 'v') {
            known = bit_lane(word, simd_bits(&in[0], 64, i), simd_bits(&in[1], 64, i), simd_bits(&in[2], 64, i), &bits);
        } else if (word->kind == 'f') {
            known = float_lane(word, &in[0], &in[1], i, &bits, ret_nans);
        } else {
            bool sign = word->sign || simd_is(word, "abs");
            known = int_moving(word, &in[0], &in[1], i, &value) ||
                    int_lane(word, simd_lane(&in[0], word->width, i, sign), simd_lane(&in[1], word->width, i, sign), &value);
            bits = (uint64_t)value;
        }
        if (!known) {
            return false;
        }
        simd_put(ret, word->width, i, bits);
    }
    return true;
}

uint64_t simd_float_bits(double value, unsigned width)
{
    return from_real(value, width);
}
