/* bench/wasm/chacha.c - 32-bit integers in registers: additions, xors and rotations without a branch. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

#define QUARTER(a, b, c, d)                                                                        \
    a += b, d = rotate(d ^ a, 16), c += d, b = rotate(b ^ c, 12), a += b, d = rotate(d ^ a, 8),    \
        c += d, b = rotate(b ^ c, 7)

int main(void)
{
    uint32_t state[16], x[16], sum = 0;
    for (uint32_t i = 0; i < 16; i++) {
        state[i] = 0x9e3779b9u * (i + 1);
    }
    for (int block = 0; block < 400000; block++) {
        memcpy(x, state, sizeof(x));
        for (int round = 0; round < 10; round++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        for (int i = 0; i < 16; i++) {
            sum ^= x[i] + state[i];
        }
        state[12]++;
    }
    printf("%08x\n", sum);
    return 0;
}
