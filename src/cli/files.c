/* cli/files.c - see files.h. Report files replace their target by rename(2), so that a crash or
 * a full disk leaves either the old file or the new one. */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define FIRST_NUMBER    512 /* as screen.c; a directory and O_PATH are never kept anyway */
#define TEMPORARY_BYTES 40

int cli_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        if (n == 0) { /* only devices do this; looping on them would never end */
            return EIO;
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Reads to the end of fd, at most max_bytes. Returns 0, a positive errno, EFBIG past the
 * maximum. */
static int read_all(int fd, size_t max_bytes, char **ret_text, size_t *ret_size)
{
    size_t capacity = 16384, size = 0;
    char *text = malloc(capacity + 1);
    int error = text == NULL ? ENOMEM : 0;
    while (error == 0) {
        if (size == capacity) {
            char *grown = realloc(text, capacity * 2 + 1);
            if (grown == NULL) {
                error = ENOMEM;
                break;
            }
            text = grown;
            capacity *= 2;
        }
        ssize_t n = read(fd, text + size, capacity - size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            error = errno;
        } else if (n == 0) {
            break;
        } else {
            size += (size_t)n;
            error = size > max_bytes ? EFBIG : 0;
        }
    }
    if (error != 0) {
        free(text);
        return error;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return 0;
}

int cli_read_file(struct cli *cli, const char *path, size_t max_bytes, char **ret_text,
                  size_t *ret_size)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const char *name = standard ? "standard input" : path;
    if (fd < 0) {
        return cli_fail(cli, name, NULL, "cannot be opened: %s", strerror(errno));
    }
    char *text = NULL;
    int error = read_all(fd, max_bytes, &text, ret_size);
    if (!standard) {
        (void)close(fd);
    }
    if (error == EFBIG) {
        return cli_fail(cli, name, NULL, "is larger than the %zu MiB that such a document may have",
                        max_bytes >> 20);
    }
    if (error != 0) {
        return cli_fail(cli, name, NULL, "cannot be read: %s", strerror(error));
    }
    *ret_text = cli_pool_span(&cli->pool, text, *ret_size);
    free(text);
    return *ret_text == NULL ? cli_fail_nomem(cli) : CLI_OK;
}

/* The name to replace: an existing symlink's target, else path itself. Freed by the caller; NULL
 * with errno. */
static char *replaced_name(const char *path)
{
    char *target = realpath(path, NULL);
    return target != NULL || errno != ENOENT ? target : strdup(path);
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* The mode that a file made by creat(path, 0666) would get. */
static mode_t fresh_mode(void)
{
    mode_t mask = umask(0);
    (void)umask(mask);
    return 0666 & ~mask;
}

static int out_of_the_way(int fd)
{
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_NUMBER);
    if (moved < 0) {
        return fd; /* so few are allowed that none is out of the way */
    }
    (void)close(fd);
    return moved;
}

static int open_special(struct cli_target *target, const char *path)
{
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0) {
        return errno;
    }
    target->fd = out_of_the_way(open(path, O_PATH | O_CLOEXEC));
    return target->fd < 0 ? errno : 0;
}

static int open_directory(struct cli_target *target, const char *path)
{
    char *resolved = replaced_name(path), *directory = NULL;
    int error = resolved == NULL ? errno : 0;
    if (error == 0) {
        const char *slash = strrchr(resolved, '/');
        const char *name = slash == NULL ? resolved : slash + 1;
        directory = directory_of(resolved);
        error = directory == NULL                                              ? ENOMEM
                : name[0] == '\0'                                              ? EISDIR
                : strlen(name) >= sizeof(target->name)                         ? ENAMETOOLONG
                : faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0 ? errno
                                                                               : 0;
        if (error == 0) {
            memcpy(target->name, name, strlen(name) + 1);
            target->fd = out_of_the_way(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
            error = target->fd < 0 ? errno : 0;
        }
    }
    free(directory);
    free(resolved);
    return error;
}

int cli_target_open(struct cli_target *target, const char *path)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (target->open) {
        return 0;
    }
    if (exists && S_ISDIR(st.st_mode)) {
        return EISDIR;
    }
    target->special = exists && !S_ISREG(st.st_mode);
    target->mode = exists ? st.st_mode & 0777 : fresh_mode();
    int error = target->special ? open_special(target, path) : open_directory(target, path);
    target->open = error == 0;
    return error;
}

static int write_special(const struct cli_target *target, const char *bytes, size_t size)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", target->fd);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno;
    }
    int error = cli_write_all(fd, bytes, size);
    return close(fd) != 0 && error == 0 ? errno : error;
}

/* A file of our own beside the target; its name is of no use to who guesses it. -1 with errno. */
static int make_temporary(const struct cli_target *target, char name[TEMPORARY_BYTES])
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        return -1;
    }
    (void)snprintf(name, TEMPORARY_BYTES, ".bvisor-report-%016" PRIx64, number);
    return openat(target->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int replace(const struct cli_target *target, const char *bytes, size_t size)
{
    char temporary[TEMPORARY_BYTES];
    int fd = make_temporary(target, temporary);
    if (fd < 0) {
        return errno;
    }
    int error = cli_write_all(fd, bytes, size);
    if (error == 0 && (fchmod(fd, target->mode) != 0 || fsync(fd) != 0)) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && renameat(target->fd, temporary, target->fd, target->name) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlinkat(target->fd, temporary, 0);
    }
    return error;
}

/* The directory was the right one when it was opened; where its name leads now is another question. */
static bool is_at(const struct cli_target *target, const char *path)
{
    struct stat written, named;
    return fstatat(target->fd, target->name, &written, AT_SYMLINK_NOFOLLOW) == 0 &&
           stat(path, &named) == 0 && written.st_dev == named.st_dev &&
           written.st_ino == named.st_ino;
}

int cli_target_write(const struct cli_target *target, const char *path, const char *bytes,
                     size_t size)
{
    if (target->special) {
        return write_special(target, bytes, size);
    }
    int error = replace(target, bytes, size);
    return error == 0 && !is_at(target, path) ? ESTALE : error;
}

void cli_target_close(struct cli_target *target)
{
    if (target->open) {
        (void)close(target->fd);
        target->open = false;
    }
}
