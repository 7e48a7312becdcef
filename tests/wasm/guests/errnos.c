/* tests/wasm/guests/errnos.c - what goes wrong goes wrong by the same name as on Linux. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static char long_name[400], long_path[6000];

int main(void)
{
    char byte = 0;
    struct stat st;
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (size_t i = 0; i + 1 < sizeof(long_path); i++) {
        long_path[i] = i % 50 == 49 ? '/' : 'p';
    }
    mkdir("dir", 0755);
    mkdir("dir/sub", 0755);
    close(open("file", O_WRONLY | O_CREAT, 0644));
    SAY(open("missing", O_RDONLY));
    SAY(open("missing/file", O_RDONLY | O_CREAT, 0644));
    SAY(open("file/x", O_RDONLY));
    SAY(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
    SAY(open("file", O_RDONLY | O_DIRECTORY));
    SAY(open("file/", O_RDONLY));
    SAY(open("dir", O_WRONLY));
    SAY(open("dir", O_RDWR));
    SAY(open(long_name, O_RDONLY));
    SAY(open(long_path, O_RDONLY));
    SAY(stat("missing", &st));
    SAY(stat("file/", &st));
    SAY(mkdir("dir", 0755));
    SAY(mkdir("file", 0755));
    SAY(mkdir(long_name, 0755));
    SAY(rmdir("dir"));
    SAY(rmdir("file"));
    SAY(rmdir("missing"));
    SAY(rmdir("dir/."));
    SAY(unlink("dir"));
    SAY(unlink("missing"));
    SAY(unlink("file/x"));
    SAY(rename("file", "dir"));
    SAY(rename("dir", "file"));
    SAY(rename("dir", "dir/sub/x"));
    SAY(symlink("x", "file"));
    SAY(symlink("", "empty"));
    SAY(link("file", "dir"));
    SAY(readlink("file", &byte, 1));
    SAY(close(1234));
    SAY(read(1234, &byte, 1));
    SAY(write(1234, &byte, 1));
    SAY(lseek(1234, 0, SEEK_SET));
    SAY(fstat(1234, &st));
    const int fd = open("file", O_RDWR);
    SAY(lseek(fd, -1, SEEK_SET));
    SAY(lseek(fd, 0, 99));
    SAY(ftruncate(fd, -1));
    SAY(pread(fd, &byte, 1, -1));
    const int dir = open("dir", O_RDONLY | O_DIRECTORY);
    SAY(read(dir, &byte, 1));
    SAY(lseek(0, 0, SEEK_CUR));
    SAY(access("file", R_OK));
    SAY(access("file", R_OK | W_OK));
    SAY(access("missing", F_OK));
    SAY(unlinkat(dir, "sub", AT_REMOVEDIR));
    SAY(unlinkat(dir, "sub", AT_REMOVEDIR));
    SAY(openat(fd, "x", O_RDONLY));
    return 0;
}
