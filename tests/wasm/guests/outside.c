/* tests/wasm/guests/outside.c - as a guest only: what a library's paths can reach, and what they cannot.
 *
 * Roots: `.` and /srv/data (both one, read-write), /srv/ro (read-only), /tmp. argv[1] is a path of the host outside of them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

int main(int count, char **arguments)
{
    char path[512];
    struct stat st;
    const char *outside = count > 1 ? arguments[1] : "/etc/passwd";
    SAY(open(outside, O_RDONLY));
    snprintf(path, sizeof(path), "../%s", "secret");
    SAY(open(path, O_RDONLY));
    SAY(open("sub/../../secret", O_RDONLY));
    SAY(open("/srv/data/../secret", O_RDONLY));
    SAY(symlink("../secret", "link"));
    SAY(open("link", O_RDONLY));
    SAY(open("planted", O_RDONLY));
    SAY(stat("planted", &st));
    SAY(open("../new", O_WRONLY | O_CREAT, 0644));
    SAY(unlink("../secret"));
    SAY(rename("../secret", "got"));
    SAY(link("planted", "hard"));
    SAY(open("hard", O_RDONLY));
    SAY(open("/srv/ro/file", O_RDONLY) >= 0 ? 0 : -1);
    SAY(open("/srv/ro/file", O_WRONLY));
    SAY(open("/srv/ro/file", O_RDWR));
    SAY(open("/srv/ro/file", O_RDONLY | O_TRUNC));
    SAY(open("/srv/ro/new", O_WRONLY | O_CREAT, 0644));
    SAY(unlink("/srv/ro/file"));
    SAY(mkdir("/srv/ro/dir", 0755));
    SAY(rename("/srv/ro/file", "/srv/data/file"));
    SAY(rename("mine", "/srv/ro/mine"));
    SAY(link("/srv/ro/file", "/srv/data/file"));
    SAY(truncate("/srv/ro/file", 0));
    SAY(utimensat(AT_FDCWD, "/srv/ro/file", NULL, 0));
    SAY(mkdir("/tmp/dir", 0755));
    SAY(rename("/tmp/dir", "/srv/data/dir"));
    SAY(mkdir("/srv/data/sub2", 0755));
    SAY(stat("sub2", &st));
    return 0;
}
