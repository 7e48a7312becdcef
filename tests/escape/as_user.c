/* tests/escape/as_user.c - starts a program as an ordinary user, as setpriv does, but static: it is started before almost every program
 * of a harness, and in a virtual machine without hardware support a dynamic loader costs more than all else that happens there.
 *
 * usage: as_user ID PROGRAM [ARGUMENT...]      ID is both uid and gid; no supplementary groups, no capabilities */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long id = argc > 2 ? strtoul(argv[1], &end, 10) : 0;

    if (id == 0 || id > 65533 || *end != '\0') {
        (void)fprintf(stderr, "usage: as_user ID PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    if (setgroups(0, NULL) < 0 || setresgid((gid_t)id, (gid_t)id, (gid_t)id) < 0 || setresuid((uid_t)id, (uid_t)id, (uid_t)id) < 0) {
        (void)fprintf(stderr, "as_user: %s\n", strerror(errno));
        return 125;
    }
    (void)execvp(argv[2], argv + 2);
    (void)fprintf(stderr, "as_user: %s: %s\n", argv[2], strerror(errno));
    return 127;
}
