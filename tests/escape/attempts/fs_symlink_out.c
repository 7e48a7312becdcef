/* fs_symlink_out RW PATH - makes links in a writable root that lead outside (absolute, relative, a chain) and reads through them.
 * ATTACKS 11. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *root = argument(argc, argv, 1), *path = argument(argc, argv, 2);
    char relative[4400], first[2200], second[2200], third[2200];

    attempt_runs();
    (void)snprintf(first, sizeof first, "%s/first", root);
    (void)snprintf(second, sizeof second, "%s/second", root);
    (void)snprintf(third, sizeof third, "%s/third", root);
    (void)snprintf(relative, sizeof relative, "../../../../../../../../../../..%s", path);
    note("absolute link", symlink(path, first));
    spill("read it", open(first, O_RDONLY));
    note("relative link", symlink(relative, second));
    spill("read it", open(second, O_RDONLY));
    note("chain", symlink("first", third));
    spill("read it", open(third, O_RDONLY));
    return 0;
}
