/* bench/wasm/ackermann.c - calls: doubly recursive, hardly any work in between. */
#include <stdio.h>

__attribute__((noinline)) static unsigned ackermann(unsigned m, unsigned n)
{
    return m == 0 ? n + 1 : ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 60; i++) {
        sum += ackermann(2, 700 + i) + ackermann(3, 6);
    }
    printf("%u\n", sum);
    return 0;
}
