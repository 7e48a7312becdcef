/* base/check.c - what stands behind the macros of check.h.
 *
 * A failed assertion means that bvisor itself is wrong, so nothing it holds can be trusted any more: it stops at the
 * faulty instruction, writes nothing and runs no handler. A core file or debugger shows the arguments. */
#include "base/check.h"

#include <stdlib.h>

void bv_assert_failed(const char *expression, const char *file, int line)
{
    (void)expression;
    (void)file;
    (void)line;
    __builtin_trap();
}

void bv_cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
