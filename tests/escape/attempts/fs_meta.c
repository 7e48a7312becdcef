/* fs_meta PATH - changes a file's metadata by every call that needs no write permission on the file itself: mode, times, owner,
 * extended attributes, inode flags, through the path and through a read-only descriptor. ATTACKS 5 and 6. */
#include "../attempt.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

int main(int argc, char **argv)
{
    const char *path = argument(argc, argv, 1);
    const struct timespec then[2] = { { 1000000, 0 }, { 1000000, 0 } };
    struct stat status = { 0 };
    int flags = FS_NOATIME_FL;

    attempt_runs();
    (void)stat(path, &status);
    note("chmod", chmod(path, 0777));
    note("fchmodat", fchmodat(AT_FDCWD, path, 0777, 0));
    note("fchmodat2", syscall(452, AT_FDCWD, path, 0777, 0));
    note("utimensat", utimensat(AT_FDCWD, path, then, 0));
    note("lchown", lchown(path, status.st_uid, status.st_gid));
    note("setxattr", setxattr(path, "user.bvisor", "1", 1, 0));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    note("open", fd);
    note("fchmod", fchmod(fd, 0777));
    note("futimens", futimens(fd, then));
    note("fsetxattr", fsetxattr(fd, "user.bvisor", "1", 1, 0));
    note("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
    return 0;
}
