/* backend/wasm/temp.c - the temp root: a directory of its own in the host's temporary directory, gone with the run.
 *
 * It is made with mode 0700 under the attempt's random name and only ever reached by its descriptor, so nobody can put
 * another in its place. A guest can nest directories without end, so removing recurses nowhere: what is deep is moved up to
 * the top first. It is removed in small parts, between which the host has its thread. */
#include "backend/wasm/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -EBADF;
}

int guest_temp_make(struct guest_temp *temp, const char *attempt)
{
    struct stat st;
    const char *home = secure_getenv("TMPDIR");
    (void)snprintf(temp->name, sizeof temp->name, "bvisor-%.32s", attempt);
    temp->parent_fd = bv_fd_above_stdio(
        open(home && home[0] == '/' ? home : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (temp->parent_fd < 0) {
        return temp->parent_fd;
    }
    int result = mkdirat(temp->parent_fd, temp->name, 0700) == 0 ? 0 : -errno;
    if (result == 0) {
        temp->fd = bv_fd_above_stdio(
            openat(temp->parent_fd, temp->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        /* A umask could have taken from the mode; whoever could replace it in a directory of everybody's is not this user. */
        result = temp->fd < 0                                               ? temp->fd
                 : fstat(temp->fd, &st) != 0 || fchmod(temp->fd, 0700) != 0 ? -errno
                 : st.st_uid != geteuid()                                   ? -EPERM
                                                                            : 0;
        if (result < 0) {
            (void)unlinkat(temp->parent_fd, temp->name, AT_REMOVEDIR);
        }
    }
    if (result < 0) {
        close_fd(&temp->fd);
        close_fd(&temp->parent_fd);
    }
    return result;
}

/* The entries of a directory, from its beginning; NULL with errno. */
static DIR *list(int fd, const char *name)
{
    const int own = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = own >= 0 ? fdopendir(own) : NULL;
    if (own >= 0 && !directory) {
        const int error = errno;
        (void)close(own);
        errno = error;
    }
    return directory;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties one directory of the top: files go, directories move up to the top, to be emptied in their turn. */
static int empty_one(struct guest_temp *temp, const char *name, unsigned *left)
{
    DIR *directory = list(temp->fd, name);
    int result = 0;
    if (!directory && errno == EACCES && fchmodat(temp->fd, name, 0700, 0) == 0) {
        directory = list(temp->fd, name);
    }
    if (!directory) {
        return -errno;
    }
    const int fd = dirfd(directory);
    struct dirent *entry;
    while (result == 0 && *left > 0 && (entry = readdir(directory)) != NULL) {
        if (is_dots(entry->d_name)) {
            continue;
        }
        (*left)--;
        if (unlinkat(fd, entry->d_name, 0) == 0) {
            continue;
        }
        char up[40];
        (void)snprintf(up, sizeof up, "bvisor-%llu", (unsigned long long)temp->moved++);
        if (unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0 &&
            renameat2(fd, entry->d_name, temp->fd, up, RENAME_NOREPLACE) != 0 && errno != EEXIST) {
            result =
                -errno; /* a name that the guest took already: the next number is tried the next time */
        }
    }
    (void)closedir(directory);
    return result;
}

int guest_temp_remove(struct guest_temp *temp, unsigned most)
{
    if (temp->fd < 0) {
        return 0;
    }
    unsigned left = most;
    DIR *top = list(temp->fd, ".");
    int result = top ? 0 : -errno;
    bool any = false;
    struct dirent *entry;
    while (top && result == 0 && left > 0 && (entry = readdir(top)) != NULL) {
        if (is_dots(entry->d_name)) {
            continue;
        }
        any = true;
        left--;
        if (unlinkat(temp->fd, entry->d_name, 0) != 0 &&
            unlinkat(temp->fd, entry->d_name, AT_REMOVEDIR) != 0) {
            result = empty_one(temp, entry->d_name, &left);
        }
    }
    if (top) {
        (void)closedir(top);
    }
    if (result == 0 && any) {
        return 1; /* looked at again: entries that were moved up may have been missed */
    }
    if (result == 0 && unlinkat(temp->parent_fd, temp->name, AT_REMOVEDIR) != 0) {
        result = -errno;
    }
    close_fd(&temp->fd);
    close_fd(&temp->parent_fd);
    return result;
}
