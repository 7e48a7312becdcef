/* wasm/numeric.h - WebAssembly's arithmetic where C's differs: division, shifts, rounding, minima, conversions. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float bv_wasm_f32_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline double bv_wasm_f64_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* A NaN of any kind becomes the canonical one. The empty statement keeps a branch, which is predicted, from becoming a conditional
 * move, which the next operation would wait for. */
static inline float bv_wasm_canonical_f32(float x)
{
    if (__builtin_expect(x != x, 0)) {
        __asm__ volatile("");
        return bv_wasm_f32_of(UINT32_C(0x7fc00000));
    }
    return x;
}

static inline double bv_wasm_canonical_f64(double x)
{
    if (__builtin_expect(x != x, 0)) {
        __asm__ volatile("");
        return bv_wasm_f64_of(UINT64_C(0x7ff8000000000000));
    }
    return x;
}

/* If either is NaN the sum is, quiet and with a payload of theirs; of two zeros the sign decides. */
static inline float bv_wasm_f32_min(float x, float y)
{
    return x != x || y != y ? x + y : x == y ? (signbit(x) ? x : y) : x < y ? x : y;
}

static inline float bv_wasm_f32_max(float x, float y)
{
    return x != x || y != y ? x + y : x == y ? (signbit(x) ? y : x) : x > y ? x : y;
}

static inline double bv_wasm_f64_min(double x, double y)
{
    return x != x || y != y ? x + y : x == y ? (signbit(x) ? x : y) : x < y ? x : y;
}

static inline double bv_wasm_f64_max(double x, double y)
{
    return x != x || y != y ? x + y : x == y ? (signbit(x) ? y : x) : x > y ? x : y;
}

static inline uint32_t bv_wasm_rotl32(uint32_t x, uint32_t by) { return x << (by & 31) | x >> (-by & 31); }
static inline uint32_t bv_wasm_rotr32(uint32_t x, uint32_t by) { return x >> (by & 31) | x << (-by & 31); }
static inline uint64_t bv_wasm_rotl64(uint64_t x, uint64_t by) { return x << (by & 63) | x >> (-by & 63); }
static inline uint64_t bv_wasm_rotr64(uint64_t x, uint64_t by) { return x >> (by & 63) | x << (-by & 63); }
/* The divisor is not 0; for the remainder of the least number by -1 C has no word. */
static inline int32_t bv_wasm_rem32(int32_t x, int32_t y) { return y == -1 ? 0 : x % y; }
static inline int64_t bv_wasm_rem64(int64_t x, int64_t y) { return y == -1 ? 0 : x % y; }
/* Two's complement by way of unsigned: shifts right of negative numbers are arithmetic in gcc and clang. */
static inline uint32_t bv_wasm_sar32(uint32_t x, uint32_t by) { return (uint32_t)((int32_t)x >> (by & 31)); }
static inline uint64_t bv_wasm_sar64(uint64_t x, uint64_t by) { return (uint64_t)((int64_t)x >> (by & 63)); }
static inline uint32_t bv_wasm_popcount64(uint64_t x) { return (uint32_t)__builtin_popcountll(x); }
