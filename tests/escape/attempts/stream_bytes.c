/* stream_bytes SEED COUNT - an allowed thing: writes COUNT bytes of a generator to stdout and the complement of each to stderr. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    uint32_t state = (uint32_t)strtoul(argument(argc, argv, 1), NULL, 10);
    long left = strtol(argument(argc, argv, 2), NULL, 10);
    unsigned char out[1024], err[1024];

    while (left > 0) {
        size_t part = left > 1024 ? 1024 : (size_t)left;
        for (size_t i = 0; i < part; i++) {
            state = state * 1664525u + 1013904223u;
            out[i] = (unsigned char)(state >> 24);
            err[i] = (unsigned char)~out[i];
        }
        put_bytes(STDOUT_FILENO, out, part);
        put_bytes(STDERR_FILENO, err, part);
        left -= (long)part;
    }
    return 0;
}
