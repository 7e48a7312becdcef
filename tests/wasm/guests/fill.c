/* tests/wasm/guests/fill.c - as a guest only: writes until there is no room, and opens until there are no descriptors. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static char block[100000];

int main(void)
{
    long long total = 0;
    ssize_t n;
    const int fd = open("big", O_WRONLY | O_CREAT, 0644);
    while ((n = write(fd, block, sizeof(block))) > 0) {
        total += n;
        if (total > 100000000) {
            break;
        }
    }
    printf("%lld bytes, then %zd %s\n", total, n, errno_name(errno));
    SAY(ftruncate(fd, 10));
    SAY(write(fd, "x", 1));
    SAY(unlink("big"));
    close(fd);
    SAY(mkdir("still", 0755));
    int opened = 0, last;
    while ((last = open("still", O_RDONLY | O_DIRECTORY)) >= 0 && opened < 100000) {
        opened++;
    }
    printf("%d opened, then %s\n", opened, errno_name(errno));
    return 0;
}
