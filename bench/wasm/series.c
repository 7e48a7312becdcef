/* bench/wasm/series.c - divisions and conversions: partial sums of slowly converging series. */
#include <stdio.h>

static double term(int i, int j)
{
    return 1.0 / (double)((i + j + 1) * (i + j + 2) / 2 + j + 1);
}

int main(void)
{
    double total = 0;
    for (int i = 0; i < 6000; i++) {
        double sum = 0;
        for (int j = 0; j < 3000; j++) {
            sum += (i & 1 ? -1 : 1) * term(i, j);
        }
        total += sum;
    }
    printf("%.12f\n", total);
    return 0;
}
