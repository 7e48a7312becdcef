/* fs_remount MEANS DIR TEXT - makes a read-only mount writable and appends TEXT to DIR/f. MEANS: remount, setattr, uncover, clone. ATTACKS 17.
 * uncover takes the mount away; clone opens a private copy of the tree and clears its read-only flag. */
#include "../attempt.h"

#include <sys/mount.h>

struct attributes { uint64_t set, clear, propagation, userns; };
#define ATTRIBUTE_RDONLY 1u
#define TREE_CLONE 1u

int main(int argc, char **argv)
{
    const char *means = argument(argc, argv, 1), *directory = argument(argc, argv, 2), *text = argument(argc, argv, 3);
    struct attributes writable = { 0, ATTRIBUTE_RDONLY, 0, 0 };
    char path[4200];
    int at = AT_FDCWD;

    attempt_runs();
    (void)snprintf(path, sizeof path, "%s/f", directory);
    if (strcmp(means, "remount") == 0) {
        note("mount", mount(NULL, directory, NULL, MS_REMOUNT | MS_BIND, NULL));
    } else if (strcmp(means, "setattr") == 0) {
        note("mount_setattr", syscall(442, AT_FDCWD, directory, 0, &writable, sizeof writable));
    } else if (strcmp(means, "uncover") == 0) {
        note("umount2", umount2(directory, MNT_DETACH));
    } else {
        at = (int)syscall(428, AT_FDCWD, directory, TREE_CLONE | O_CLOEXEC);
        note("open_tree", at);
        note("mount_setattr", syscall(442, at, "", AT_EMPTY_PATH, &writable, sizeof writable));
        (void)snprintf(path, sizeof path, "f");
    }
    int fd = openat(at, path, O_WRONLY | O_APPEND | O_CLOEXEC);
    note("open for writing", fd);
    put_bytes(fd, text, strlen(text));
    return 0;
}
