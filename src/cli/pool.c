/* cli/pool.c - a list of blocks. The command makes a few hundred small objects, all of which
 * live until it ends. */
#include "cli/pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_pool_block {
    struct cli_pool_block *next;
    _Alignas(max_align_t) unsigned char data[];
};

void *cli_pool_alloc(struct cli_pool *pool, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    struct cli_pool_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = pool->first;
    pool->first = block;
    return block->data;
}

void *cli_pool_array(struct cli_pool *pool, size_t count, size_t size)
{
    size_t total = 0;
    return __builtin_mul_overflow(count, size, &total) ? NULL : cli_pool_alloc(pool, total);
}

char *cli_pool_span(struct cli_pool *pool, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? cli_pool_alloc(pool, size + 1) : NULL;
    if (copy != NULL && size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}

char *cli_pool_text(struct cli_pool *pool, const char *text)
{
    return cli_pool_span(pool, text, strlen(text));
}

char *cli_pool_format(struct cli_pool *pool, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        return NULL;
    }
    char *copy = cli_pool_span(pool, text, (size_t)length);
    free(text);
    return copy;
}

void cli_pool_done(struct cli_pool *pool)
{
    while (pool->first != NULL) {
        struct cli_pool_block *block = pool->first;
        pool->first = block->next;
        free(block);
    }
}
