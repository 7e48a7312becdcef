/* tests/support/simd_oracle.h - what a vector instruction of WebAssembly does, from its name.
 *
 * The oracle reads the name as the specification does (shape, operation, halves, sign), computes a lane in 128-bit integers or floats,
 * where nothing overflows and nothing rounds twice, and reduces it to its width last. It shares no expression with src/wasm. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef __int128 wide;
struct simd_vec { uint8_t bytes[16]; };
/* i16x8.extmul_high_i8x16_s: kind 'i', width 16, count 8, operation "extmul_high_i8x16_s", sign and high. A v128 is two lanes of kind 'v'. */
struct simd_word { const char *name, *operation; char kind; unsigned width, count; bool sign, high; };

struct simd_word simd_word(const char *name);
bool simd_begins(const char *text, const char *with);
bool simd_is(const struct simd_word *word, const char *operation); /* but for _s and _u */

uint64_t simd_bits(const struct simd_vec *vec, unsigned width, unsigned index);
void simd_put(struct simd_vec *vec, unsigned width, unsigned index, uint64_t bits);
wide simd_lane(const struct simd_vec *vec, unsigned width, unsigned index, bool sign);
wide simd_floor_shift(wide value, unsigned count); /* value / 2^count, downwards */

/* Floats as bits; width 32 or 64. */
uint64_t simd_float_bits(double value, unsigned width);
unsigned simd_mantissa(unsigned width);
bool simd_is_nan(uint64_t bits, unsigned width);
uint64_t simd_canonical(unsigned width); /* the positive canonical NaN */

/* The result of an instruction that has only vectors; false if no such name is known. *ret_nans: its lanes are computed floats, so that any
 * NaN in *ret stands for what the specification allows; else *ret is exact. */
bool simd_oracle(const struct simd_word *word, const struct simd_vec in[3], struct simd_vec *ret, bool *ret_nans);
