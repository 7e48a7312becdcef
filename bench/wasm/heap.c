/* bench/wasm/heap.c - integers in an array, branches that cannot be foreseen: a heap sort. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 900000

static void sift(int32_t *a, int root, int end)
{
    for (int child; (child = 2 * root + 1) < end; root = child) {
        if (child + 1 < end && a[child] < a[child + 1]) {
            child++;
        }
        if (a[root] >= a[child]) {
            return;
        }
        int32_t kept = a[root];
        a[root] = a[child];
        a[child] = kept;
    }
}

int main(void)
{
    int32_t *a = malloc(N * sizeof(*a));
    uint32_t seed = 99, hash = 0;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        a[i] = (int32_t)seed;
    }
    for (int i = N / 2; i-- > 0;) {
        sift(a, i, N);
    }
    for (int end = N - 1; end > 0; end--) {
        int32_t kept = a[0];
        a[0] = a[end];
        a[end] = kept;
        sift(a, 0, end);
    }
    for (int i = 0; i < N; i += 101) {
        hash = hash * 31 + (uint32_t)a[i];
    }
    printf("%u\n", hash);
    return 0;
}
