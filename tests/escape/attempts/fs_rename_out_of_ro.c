/* fs_rename_out_of_ro RO RW - moves RO/f out, moves RW/g in, exchanges the two. ATTACKS 8. */
#include "../attempt.h"

#include <linux/fs.h>

int main(int argc, char **argv)
{
    char inner[4096], outer[4096], other[4096];

    (void)snprintf(inner, sizeof inner, "%s/f", argument(argc, argv, 1));
    (void)snprintf(outer, sizeof outer, "%s/g", argument(argc, argv, 2));
    (void)snprintf(other, sizeof other, "%s/in", argument(argc, argv, 1));
    attempt_runs();
    note("exchange", syscall(SYS_renameat2, AT_FDCWD, inner, AT_FDCWD, outer, RENAME_EXCHANGE));
    note("move in", rename(outer, other));
    note("move out", rename(inner, outer));
    return 0;
}
