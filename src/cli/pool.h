/* cli/pool.h - memory that lives as long as one invocation of the command and is freed by one
 * call. */
#pragma once

#include <stddef.h>

struct cli_pool_block;
struct cli_pool {
    struct cli_pool_block *first;
};

void *cli_pool_alloc(struct cli_pool *pool, size_t size); /* zeroed; NULL: out of memory */
void *cli_pool_array(struct cli_pool *pool, size_t count,
                     size_t size); /* overflow-checked count*size */
char *cli_pool_text(struct cli_pool *pool, const char *text);
char *cli_pool_span(struct cli_pool *pool, const char *text,
                    size_t size); /* copies size bytes and adds a NUL */
char *cli_pool_format(struct cli_pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_pool_done(struct cli_pool *pool);
