/* bench/wasm/hello.c - what starting costs: one line. */
#include <stdio.h>

int main(void)
{
    puts("hello, world");
    return 0;
}
