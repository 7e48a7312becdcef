/* bench/wasm/text.c - the C library's string functions, as a guest brings them: copying, searching, comparing, formatting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)1 << 19)

int main(void)
{
    char *from = malloc(SIZE), *to = malloc(SIZE);
    unsigned sum = 0;
    for (size_t i = 0; i + 1 < SIZE; i++) {
        from[i] = (char)('a' + i * 7 % 25);
    }
    from[SIZE - 1] = 0;
    for (int round = 0; round < 120; round++) {
        memcpy(to, from, SIZE);
        sum += (unsigned)strlen(to);
        from[(size_t)round * 4001 % (SIZE - 1)] = '!';
        sum += (unsigned)(memcmp(from, to, SIZE) != 0);
        char *found = memchr(to, '!', SIZE);
        sum += found ? (unsigned)(found - to) : 1;
        for (int i = 0; i < 300; i++) {
            char line[64];
            int length = snprintf(line, sizeof(line), "%d:%s:%x", i, "field", (unsigned)i * 2654435761u);
            sum = sum * 31 + (unsigned)length + (unsigned char)line[length - 1];
        }
    }
    printf("%u\n", sum);
    return 0;
}
