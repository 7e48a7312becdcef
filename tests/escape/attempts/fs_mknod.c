/* fs_mknod DIR - makes the device node of /dev/zero in a writable root and reads from it; the node on the host is the proof. */
#include "../attempt.h"

#include <sys/sysmacros.h>

int main(int argc, char **argv)
{
    char path[4200];

    attempt_runs();
    (void)snprintf(path, sizeof path, "%s/node", argument(argc, argv, 1));
    note("mknod", mknod(path, S_IFCHR | 0600, makedev(1, 5)));
    (void)snprintf(path, sizeof path, "%s/block", argument(argc, argv, 1));
    note("mknod block", mknod(path, S_IFBLK | 0600, makedev(7, 0)));
    return 0;
}
