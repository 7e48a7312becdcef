/* stage/tree.c - file trees by descriptor; see tree.h. */
#include "stage/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/sys.h"

/* What one openat2() is given of a path: PATH_MAX holds the NUL too. */
#define PIECE_BYTES 3840u
#define BUFFER_BYTES (128u << 10)

static int open_piece(int dir, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: a rename elsewhere raced */
    return fd < 0 ? -errno : (int)fd;
}

/* Opens all directories of a path that is too long for one call but the last piece. */
static int approach(int root, const char **path, int *ret_dir)
{
    char piece[PIECE_BYTES + 1];
    int dir = root;
    while (strlen(*path) > PIECE_BYTES) {
        size_t cut = PIECE_BYTES;
        while (cut > 0 && (*path)[cut] != '/') {
            cut--;
        }
        if (cut == 0) {
            if (dir != root) {
                (void)close(dir);
            }
            return -ENAMETOOLONG;
        }
        memcpy(piece, *path, cut);
        piece[cut] = '\0';
        const int next = open_piece(dir, piece, O_PATH | O_DIRECTORY, 0);
        if (dir != root) {
            (void)close(dir);
        }
        if (next < 0) {
            return next;
        }
        dir = next;
        *path += cut + 1;
    }
    *ret_dir = dir;
    return 0;
}

int tree_open(int root, const char *path, int flags, mode_t mode)
{
    int dir;
    const int result = approach(root, &path, &dir);
    if (result < 0) {
        return result;
    }
    const int fd = open_piece(dir, *path ? path : ".", flags, mode);
    if (dir != root) {
        (void)close(dir);
    }
    return fd;
}

int tree_open_parent(int root, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    if (*path == '\0') {
        return -EINVAL;
    }
    *ret_name = slash ? slash + 1 : path;
    if (!slash) {
        return tree_open(root, "", O_PATH | O_DIRECTORY, 0);
    }
    char *parent = strndup(path, (size_t)(slash - path));
    if (!parent) {
        return -ENOMEM;
    }
    const int fd = tree_open(root, parent, O_PATH | O_DIRECTORY, 0);
    free(parent);
    return fd;
}

/* ---- names ---- */

void tree_names_done(struct tree_names *names)
{
    free(names->bytes);
    free(names->at);
    *names = (struct tree_names){ 0 };
}

static int compare_names(const void *left, const void *right, void *bytes)
{
    const char *text = bytes;
    return strcmp(text + *(const uint32_t *)left, text + *(const uint32_t *)right);
}

static int add_name(struct tree_names *names, const char *name, size_t max_bytes,
                    size_t *byte_room, size_t *place_room)
{
    const size_t size = strlen(name) + 1;
    if (names->size + size > max_bytes || names->size + size > UINT32_MAX) {
        return -E2BIG;
    }
    if (names->size + size > *byte_room) {
        const size_t room = *byte_room ? *byte_room * 2 : 4096;
        char *bytes = realloc(names->bytes, room);
        if (!bytes) {
            return -ENOMEM;
        }
        names->bytes = bytes;
        *byte_room = room;
    }
    if (names->count == *place_room) {
        const size_t room = *place_room ? *place_room * 2 : 256;
        uint32_t *at = realloc(names->at, room * sizeof *at);
        if (!at) {
            return -ENOMEM;
        }
        names->at = at;
        *place_room = room;
    }
    names->at[names->count++] = (uint32_t)names->size;
    memcpy(names->bytes + names->size, name, size);
    names->size += size;
    return 0;
}

int tree_names_read(int dir, size_t max_bytes, struct tree_names *ret_names)
{
    struct tree_names names = { 0 };
    size_t byte_room = 0, place_room = 0;
    /* A description of its own: the position in it is nobody else's. */
    const int fd = open_piece(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int result = fd < 0 ? fd : stream ? 0 : -errno;
    if (fd >= 0 && !stream) {
        (void)close(fd);
    }
    while (result == 0) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            result = add_name(&names, entry->d_name, max_bytes, &byte_room, &place_room);
        }
    }
    if (stream) {
        (void)closedir(stream);
    }
    if (result < 0) {
        tree_names_done(&names);
        return result;
    }
    if (names.count > 1) {
        qsort_r(names.at, names.count, sizeof names.at[0], compare_names, names.bytes);
    }
    *ret_names = names;
    return 0;
}

/* ---- contents ---- */

static ssize_t read_some(int fd, void *buffer, size_t size, off_t at)
{
    ssize_t n;
    do {
        n = pread(fd, buffer, size, at);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int finish_digest(struct bv_sha256 *ctx, char digest[BV_DIGEST_TEXT_SIZE])
{
    uint8_t bytes[BV_SHA256_BYTES];
    bv_sha256_final(ctx, bytes);
    bv_digest_text(bytes, digest);
    return 0;
}

int tree_hash(int fd, uint64_t max_bytes, uint64_t *ret_size, char digest[BV_DIGEST_TEXT_SIZE])
{
    struct bv_sha256 ctx;
    BV_AUTO(bv_cleanup_free) char *buffer = malloc(BUFFER_BYTES);
    uint64_t at = 0;
    if (!buffer) {
        return -ENOMEM;
    }
    bv_sha256_init(&ctx);
    for (;;) {
        const ssize_t n = read_some(fd, buffer, BUFFER_BYTES, (off_t)at);
        if (n < 0) {
            return (int)n;
        }
        if (n == 0) {
            break;
        }
        at += (uint64_t)n;
        if (at > max_bytes) {
            return -EFBIG;
        }
        bv_sha256_update(&ctx, buffer, (size_t)n);
    }
    *ret_size = at;
    return finish_digest(&ctx, digest);
}

int tree_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static bool is_zero(const char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Blocks of zeros stay holes: a sparse file must not fill the disk when it is copied. */
static int write_block(int to, const char *bytes, size_t size, off_t at)
{
    if (size == BUFFER_BYTES && is_zero(bytes, size)) {
        return 0;
    }
    while (size > 0) {
        const ssize_t n = pwrite(to, bytes, size, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        bytes += n;
        size -= (size_t)n;
        at += n;
    }
    return 0;
}

int tree_copy(int from, int to, uint64_t max_bytes, char digest[BV_DIGEST_TEXT_SIZE])
{
    uint64_t size;
    if (ioctl(to, FICLONE, from) == 0) {
        return tree_hash(to, max_bytes, &size, digest);
    }
    struct bv_sha256 ctx;
    BV_AUTO(bv_cleanup_free) char *buffer = malloc(BUFFER_BYTES);
    uint64_t at = 0;
    int result = buffer ? 0 : -ENOMEM;
    bv_sha256_init(&ctx);
    while (result == 0) {
        const ssize_t n = read_some(from, buffer, BUFFER_BYTES, (off_t)at);
        if (n <= 0) {
            result = (int)n;
            break;
        }
        if (at + (uint64_t)n > max_bytes) {
            return -EFBIG;
        }
        bv_sha256_update(&ctx, buffer, (size_t)n);
        result = write_block(to, buffer, (size_t)n, (off_t)at);
        at += (uint64_t)n;
    }
    if (result == 0 && ftruncate(to, (off_t)at) != 0) { /* a hole at the end */
        result = -errno;
    }
    return result < 0 ? result : finish_digest(&ctx, digest);
}

int tree_read_link(int dir, const char *name, char *text, size_t size)
{
    const ssize_t n = readlinkat(dir, name, text, size);
    if (n < 0) {
        return -errno;
    }
    if ((size_t)n >= size) {
        return -ENAMETOOLONG;
    }
    text[n] = '\0';
    return 0;
}

/* ---- removing ---- */

/* One level of a removal: names still to go, and how long the path to them is. */
struct level {
    struct tree_names names;
    size_t next, path_size;
};

struct removal {
    struct level *levels;
    size_t depth, room;
    char *path;
    size_t path_size, path_room;
    int top; /* the directory in which it all lies */
    bool only_count;
    uint64_t count;
};

static int push_name(struct removal *removal, const char *name)
{
    const size_t size = strlen(name), need = removal->path_size + size + 2;
    if (need > removal->path_room) {
        char *path = realloc(removal->path, need * 2);
        if (!path) {
            return -ENOMEM;
        }
        removal->path = path;
        removal->path_room = need * 2;
    }
    if (removal->path_size > 0) {
        removal->path[removal->path_size++] = '/';
    }
    memcpy(removal->path + removal->path_size, name, size + 1);
    removal->path_size += size;
    return 0;
}

static void cut_path(struct removal *removal, size_t size)
{
    removal->path_size = size;
    removal->path[size] = '\0';
}

/* Opens what the path says as a directory; one that its owner has closed to himself (overlayfs makes such) is opened up. */
static int open_up(const struct removal *removal)
{
    int fd = tree_open(removal->top, removal->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd != -EACCES || removal->only_count) {
        return fd;
    }
    const int path_fd = tree_open(removal->top, removal->path, O_PATH | O_DIRECTORY, 0);
    char link[40];
    if (path_fd < 0) {
        return path_fd;
    }
    /* fchmod() takes no O_PATH descriptor; this names the same inode whatever becomes of its name. */
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
    if (chmod(link, 0700) == 0) {
        fd = tree_open(removal->top, removal->path, O_RDONLY | O_DIRECTORY, 0);
    }
    (void)close(path_fd);
    return fd;
}

static int descend(struct removal *removal, size_t parent_size)
{
    if (removal->depth == removal->room) {
        const size_t room = removal->room ? removal->room * 2 : 16;
        struct level *levels = realloc(removal->levels, room * sizeof *levels);
        if (!levels) {
            return -ENOMEM;
        }
        removal->levels = levels;
        removal->room = room;
    }
    const int fd = open_up(removal);
    if (fd < 0) {
        return fd;
    }
    struct level *level = &removal->levels[removal->depth];
    *level = (struct level){ .path_size = parent_size };
    const int result = tree_names_read(fd, SIZE_MAX, &level->names);
    struct stat st;
    if (result == 0 && !removal->only_count && fstat(fd, &st) == 0 && (st.st_mode & 0300) != 0300) {
        (void)fchmod(fd, 0700); /* else the removal in it says what is wrong */
    }
    (void)close(fd);
    removal->depth += result == 0;
    return result;
}

static int unlink_path(struct removal *removal, int flags)
{
    if (removal->only_count) {
        removal->count += (flags & AT_REMOVEDIR) == 0;
        const int fd = (flags & AT_REMOVEDIR) == 0 ? tree_open(removal->top, removal->path, O_PATH | O_DIRECTORY, 0) : -ENOTDIR;
        bv_cleanup_fd(&fd);
        return fd >= 0 ? -EISDIR : 0;
    }
    const char *name;
    const int parent = tree_open_parent(removal->top, removal->path, &name);
    if (parent < 0) {
        return parent == -ENOENT ? 0 : parent;
    }
    const int result = unlinkat(parent, name, flags) == 0 || errno == ENOENT ? 0 : -errno;
    (void)close(parent);
    return result;
}

/* One name: removed, or entered if it is a directory. */
static int remove_next(struct removal *removal, const char *name)
{
    const size_t before = removal->path_size;
    int result = push_name(removal, name);
    if (result < 0) {
        return result;
    }
    result = unlink_path(removal, 0);
    if (result == -EISDIR) {
        return descend(removal, before);
    }
    cut_path(removal, before);
    return result;
}

static int run_removal(struct removal *removal, const char *name)
{
    int result = remove_next(removal, name);
    while (result == 0 && removal->depth > 0) {
        struct level *level = &removal->levels[removal->depth - 1];
        if (level->next < level->names.count) {
            const size_t index = level->next++;
            result = remove_next(removal, tree_name(&level->names, index));
            continue;
        }
        result = unlink_path(removal, AT_REMOVEDIR);
        cut_path(removal, level->path_size);
        tree_names_done(&level->names);
        removal->depth--;
    }
    while (removal->depth > 0) {
        tree_names_done(&removal->levels[--removal->depth].names);
    }
    free(removal->levels);
    free(removal->path);
    return result;
}

int tree_remove(int dir, const char *name)
{
    struct removal removal = { .top = dir };
    return run_removal(&removal, name);
}

int tree_count(int dir, const char *name, uint64_t *ret_count)
{
    struct removal removal = { .top = dir, .only_count = true };
    const int result = run_removal(&removal, name);
    *ret_count = removal.count;
    return result;
}

/* ---- small files ---- */

int tree_read_file(int dir, const char *name, size_t max_bytes, char **ret_text, size_t *ret_size)
{
    const int fd = tree_open(dir, name, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0) {
        return fd;
    }
    int result = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    char *text = NULL;
    size_t size = 0;
    if (result == 0 && (uint64_t)st.st_size > max_bytes) {
        result = -EFBIG;
    }
    if (result == 0) {
        text = malloc((size_t)st.st_size + 1);
        result = text ? 0 : -ENOMEM;
    }
    while (result == 0 && size < (size_t)st.st_size) {
        const ssize_t n = read_some(fd, text + size, (size_t)st.st_size - size, (off_t)size);
        if (n <= 0) {
            result = n < 0 ? (int)n : -EIO; /* it was cut while being read */
            break;
        }
        size += (size_t)n;
    }
    (void)close(fd);
    if (result < 0) {
        free(text);
        return result;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return 0;
}

int tree_write_file(int dir, const char *name, const void *bytes, size_t size, bool durable)
{
    char temporary[64];
    const size_t length = strlen(name);
    BV_ASSERT(length + sizeof ".new" <= sizeof temporary);
    memcpy(temporary, name, length);
    memcpy(temporary + length, ".new", sizeof ".new");
    const int fd = tree_open(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        return fd;
    }
    int result = tree_write_all(fd, bytes, size);
    if (result == 0 && durable && fsync(fd) != 0) {
        result = -errno;
    }
    if (close(fd) != 0 && result == 0) {
        result = -errno;
    }
    if (result == 0 && renameat(dir, temporary, dir, name) != 0) {
        result = -errno;
    }
    if (result == 0 && durable && fsync(dir) != 0) {
        result = -errno;
    }
    if (result < 0) {
        (void)unlinkat(dir, temporary, 0);
    }
    return result;
}
