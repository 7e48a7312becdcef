/* bench/wasm/gauss.c - doubles in arrays: elimination with row pivots. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N 280

static double a[N][N + 1];

int main(void)
{
    double sum = 0;
    for (int round = 0; round < 4; round++) {
        unsigned seed = 7u + (unsigned)round;
        for (int i = 0; i < N; i++) {
            for (int j = 0; j <= N; j++) {
                seed = seed * 1103515245u + 12345u;
                a[i][j] = (seed >> 16 & 1023) / 512.0 - 1;
            }
        }
        for (int k = 0; k < N; k++) {
            int best = k;
            for (int i = k + 1; i < N; i++) {
                best = fabs(a[i][k]) > fabs(a[best][k]) ? i : best;
            }
            for (int j = k; j <= N; j++) {
                double kept = a[k][j];
                a[k][j] = a[best][j];
                a[best][j] = kept;
            }
            for (int i = k + 1; i < N; i++) {
                double factor = a[i][k] / a[k][k];
                for (int j = k; j <= N; j++) {
                    a[i][j] -= factor * a[k][j];
                }
            }
        }
        sum += a[N - 1][N] / a[N - 1][N - 1];
    }
    printf("%.6f\n", sum);
    return 0;
}
