/* cli/files.c - see files.h. Report files replace their target by rename(2), so that a crash or
 * a full disk leaves either the old file or the new one. */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Writes bytes to a temporary file in directory and renames it to target. */
static int replace_file(const char *directory, const char *target, mode_t mode, const char *bytes,
                        size_t size)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s/.bvisor-report-XXXXXX", directory);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return ENAMETOOLONG;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int error = cli_write_all(fd, bytes, size);
    if (error == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(temporary, target) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(temporary);
    }
    return error;
}

int cli_write_file(const char *path, const char *bytes, size_t size)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
            return errno;
        }
        int error = cli_write_all(fd, bytes, size);
        return close(fd) != 0 && error == 0 ? errno : error;
    }
    char *target = replaced_name(path);
    if (target == NULL) {
        return errno;
    }
    char *directory = directory_of(target);
    int error = ENOMEM;
    if (directory != NULL) {
        error = replace_file(directory, target, exists ? st.st_mode & 07777 : fresh_mode(), bytes,
                             size);
    }
    free(directory);
    free(target);
    return error;
}

int cli_probe_file(const char *path)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        return EISDIR;
    }
    if (exists && !S_ISREG(st.st_mode)) {
        return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : errno;
    }
    char *target = replaced_name(path);
    if (target == NULL) {
        return errno;
    }
    char *directory = directory_of(target);
    int error = directory == NULL ? ENOMEM : 0;
    if (error == 0 && faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0) {
        error = errno;
    }
    free(directory);
    free(target);
    return error;
}
