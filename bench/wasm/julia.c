/* bench/wasm/julia.c - doubles in registers: an escape-time loop. */
#include <stdio.h>

int main(void)
{
    unsigned sum = 0;
    for (int row = 0; row < 1500; row++) {
        for (int column = 0; column < 1500; column++) {
            double x = column / 375.0 - 2, y = row / 375.0 - 2;
            unsigned steps = 0;
            while (x * x + y * y < 4 && steps < 250) {
                double next = x * x - y * y - 0.4;
                y = 2 * x * y + 0.6;
                x = next;
                steps++;
            }
            sum = sum * 33 + steps;
        }
    }
    printf("%u\n", sum);
    return 0;
}
