/* bench/spew.c - writes the given number of mebibytes to stdout in 64 KiB blocks: the output figure's workload. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char block[65536];
    unsigned long left = argc > 1 ? strtoul(argv[1], NULL, 10) * 16 : 0;

    memset(block, 'x', sizeof block);
    while (left > 0) {
        ssize_t done = write(STDOUT_FILENO, block, sizeof block);
        if (done != (ssize_t)sizeof block) {
            return 1;
        }
        left--;
    }
    return 0;
}
