/* tests/stage/ops.c - random sequences of file operations on small trees, the same in any place for the same seed.
 *
 * usage: ops make DIR FIRST COUNT        makes COUNT trees DIR/sN, each a function of its number
 *        ops run DIR FIRST COUNT SEED    a sequence on each; every operation and its answer go to standard output
 *        ops model DIR FIRST COUNT SEED  the same on a plain file system, answering as overlayfs documents where it differs
 *        ops guest-model ...             the same for what a WASI guest can do (below), beside `ops run` compiled for wasm32-wasi
 *
 * What overlayfs documents (overlayfs.rst, "Renaming directories" and "Non-standard behavior"): renaming a directory that the lower layer has gives
 * EXDEV; of a file with several names in the lower layer one name alone is copied up, so that the others keep the old content. The model keeps the
 * inodes of the tree as it was made, and acts so. Hard links to symbolic links are left out. Renaming one name of a file to another of its names does
 * nothing anywhere, for which overlayfs may say ESTALE once it has forgotten that the two are one. Everything else must come out the same, errno for
 * errno and byte for byte.
 *
 * WASI has no mode, mapping or umask. A guest sets times where a program changes a mode, and where a program writes through a mapping it looks: at what
 * is there, its size, a file's bytes, a directory's entries. What it makes has the modes that WASI gives it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef __wasi__
#include <sys/mman.h>
#endif
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPERATIONS 24
#define LOWER_MAX  64

static bool models, guest;
static uint64_t state;
static unsigned long seen; /* what the newest operation saw besides its answer */
static struct { ino_t ino; bool directory; } lower[LOWER_MAX];
static size_t lower_count;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned below(unsigned limit)
{
    return (unsigned)(next() >> 33) % limit;
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ops: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

/* ---- the trees ---- */

static void put(const char *path, unsigned size)
{
    char bytes[9000];
    for (unsigned i = 0; i < size; i++) {
        bytes[i] = (char)('a' + (i + size) % 26);
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0, path);
}

static void make_tree(const char *dir, long number)
{
    must(mkdir(dir, 0755) == 0 && chdir(dir) == 0, dir);
    put("f0", (unsigned)(number * 37) % 9000);
    put("f1", 100);
    must(mkdir("d0", 0755) == 0 && mkdir("d1", 0755) == 0 && mkdir("d1/d0", 0750) == 0 && mkdir("d2", 0755) == 0, "directories");
    put("d0/f0", 0);
    put("d0/f1", 4096);
    put("d1/f0", 10);
    put("d1/d0/f0", 20);
    must(link("f1", "d2/f1") == 0 && symlink("f0", "l0") == 0 && symlink("nowhere", "d0/l0") == 0, "links");
    must(chdir("..") == 0, "..");
}

/* ---- what the model knows of the lower layer ---- */

static void note_lower(const char *path)
{
    static const char *const names[] = { "f0", "f1", "d0", "d1", "d2", "d0/f0", "d0/f1", "d1/f0", "d1/d0", "d1/d0/f0", "d2/f1" };
    struct stat st;
    (void)path;
    lower_count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        must(lstat(names[i], &st) == 0 && lower_count < LOWER_MAX, names[i]);
        lower[lower_count].ino = st.st_ino;
        lower[lower_count++].directory = S_ISDIR(st.st_mode);
    }
}

static bool is_lower(const struct stat *st)
{
    for (size_t i = 0; i < lower_count; i++) {
        if (lower[i].ino == st->st_ino && lower[i].directory == S_ISDIR(st->st_mode)) {
            return true;
        }
    }
    return false;
}

/* What goes for good when this name does: nothing (ino 0) of a file with more names. */
static struct stat last_name(const char *path)
{
    struct stat st = { 0 };
    if (lstat(path, &st) != 0 || (!S_ISDIR(st.st_mode) && st.st_nlink > 1)) {
        st.st_ino = 0;
    }
    return st;
}

/* Its number may come again for something new. */
static void forget(const struct stat *gone)
{
    for (size_t i = 0; i < lower_count && gone->st_ino != 0;) {
        const bool it = lower[i].ino == gone->st_ino && lower[i].directory == S_ISDIR(gone->st_mode);
        if (it) { /* once for each name that it had */
            lower[i] = lower[--lower_count];
        }
        i += !it;
    }
}

/* Before a name of a lower file with several names is changed: it becomes a file of its own. */
static void copy_up(const char *path)
{
    struct stat st;
    char bytes[65536];
    if (!models || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || !is_lower(&st)) {
        return;
    }
    if (st.st_nlink < 2) {
        forget(&st); /* from here on it is the upper layer's, and so are the names that it gets */
        return;
    }
    const int from = open(path, O_RDONLY | O_NOFOLLOW);
#ifndef __wasi__
    if (from < 0) { /* what may not be read cannot be copied up by us; the trees are made so that it can */
        must(chmod(path, st.st_mode | 0400) == 0, path);
        copy_up(path);
        must(chmod(path, st.st_mode & 07777) == 0, path);
        return;
    }
#endif
    const int to = open("copy-up.tmp", O_WRONLY | O_CREAT | O_EXCL, 0600);
    must(to >= 0, "copying up");
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) != 0;) {
        must(n > 0 && write(to, bytes, (size_t)n) == n, "copying up");
    }
#ifndef __wasi__
    must(fchmod(to, st.st_mode & 07777) == 0, "copying up");
#endif
    must(close(from) == 0 && close(to) == 0 && rename("copy-up.tmp", path) == 0, "copying up");
}

static bool starts(const char *path, const char *prefix)
{
    const size_t size = strlen(prefix);
    return strncmp(path, prefix, size) == 0 && path[size] == '/';
}

/* True when the rename would come as far as the file system: what the kernel says before is the same for both. */
static bool reaches_file_system(const char *from, const char *to)
{
    struct stat st;
    char parent[64];
    (void)snprintf(parent, sizeof parent, "%s", to);
    char *slash = strrchr(parent, '/');
    if (slash) {
        *slash = '\0';
    }
    return strcmp(from, to) != 0 && !starts(to, from) && !starts(from, to) && (!slash || (lstat(parent, &st) == 0 && S_ISDIR(st.st_mode))) &&
           (lstat(to, &st) != 0 || S_ISDIR(st.st_mode));
}

/* ---- operations ---- */

static void choose(char path[64])
{
    static const char *const names[] = { "f0", "f1", "f2", "d0", "d1", "d2", "l0" };
    const unsigned depth = 1 + below(3);
    path[0] = '\0';
    for (unsigned i = 0; i < depth; i++) {
        const char *name = i + 1 < depth ? names[3 + below(3)] : names[below(7)];
        (void)snprintf(path + strlen(path), 64 - strlen(path), "%s%s", i ? "/" : "", name);
    }
}

/* A link on the way would make a path mean something else than its text. */
static bool is_straight(const char *path)
{
    struct stat st;
    char prefix[64];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)(slash - path), path);
        if (lstat(prefix, &st) == 0 && S_ISLNK(st.st_mode)) {
            return false;
        }
    }
    return true;
}

static int done(long result)
{
    return result < 0 ? errno : 0;
}

static int op_write(const char *path, int flags)
{
    char bytes[5000];
    const unsigned size = below(sizeof bytes), at = below(6000);
    memset(bytes, 'A' + (int)below(26), sizeof bytes);
    copy_up(path);
    const mode_t mode = 0600 | below(0100);
    const int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | flags, guest ? 0666 : mode);
    if (fd < 0) {
        return errno;
    }
    const int result = done(flags & O_APPEND ? write(fd, bytes, size) : pwrite(fd, bytes, size, at));
    (void)close(fd);
    return result;
}

#ifndef __wasi__
static int op_mmap(const char *path)
{
    struct stat st;
    const unsigned at = below(200);
    copy_up(path);
    const int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    must(fstat(fd, &st) == 0, path);
    if (st.st_size > (off_t)at) {
        char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        must(bytes != MAP_FAILED, "mmap");
        bytes[at] = '#';
        must(munmap(bytes, (size_t)st.st_size) == 0, "munmap");
    }
    (void)close(fd);
    return 0;
}
#endif

static int op_truncate(const char *path)
{
    struct stat st;
    const off_t size = below(9000);
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return ELOOP;
    }
    copy_up(path);
    if (!guest) {
        return done(truncate(path, size));
    }
    const int fd = open(path, O_WRONLY | O_NOFOLLOW);
    if (fd < 0) {
        return errno;
    }
    const int result = done(ftruncate(fd, size));
    (void)close(fd);
    return result;
}

#ifndef __wasi__
static int op_chmod(const char *path)
{
    struct stat st;
    const mode_t mode = 0600 | below(0200);
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return ELOOP;
    }
    copy_up(path);
    return done(chmod(path, lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? mode | 0700 : mode));
}
#endif

/* ---- what a guest does instead ---- */

static unsigned long mix(unsigned long sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        sum = (sum * 31 + at[i]) & 0xffffffful;
    }
    return sum;
}

static int op_times(const char *path)
{
    struct stat st;
    const struct timespec times[2] = { { 1000000000 + (time_t)below(1000), 0 }, { 1000000000 + (time_t)below(1000), 5 } };
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return ELOOP;
    }
    copy_up(path);
    const int result = done(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
    if (result == 0 && lstat(path, &st) == 0) {
        seen = mix(0, &st.st_mtim.tv_sec, 4);
    }
    return result;
}

/* The sum of all names does not depend on their order, and would show one that comes twice or is hidden. */
static int look_in(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        return errno;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const unsigned kind = entry->d_type == DT_DIR ? 'd' : entry->d_type == DT_LNK ? 'l' : 'f';
        seen += mix(kind, entry->d_name, strlen(entry->d_name));
    }
    (void)closedir(dir);
    return 0;
}

static int op_look(const char *path)
{
    struct stat st;
    char bytes[16384];
    if (lstat(path, &st) != 0) {
        return errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return look_in(path);
    }
    ssize_t size = S_ISLNK(st.st_mode) ? readlink(path, bytes, sizeof bytes) : 0;
    const int fd = S_ISLNK(st.st_mode) ? -1 : open(path, O_RDONLY | O_NOFOLLOW);
    if (fd >= 0) {
        size = read(fd, bytes, sizeof bytes);
        must(close(fd) == 0 && size == (ssize_t)(st.st_size < (off_t)sizeof bytes ? st.st_size : (off_t)sizeof bytes), path);
    }
    seen = size < 0 ? 0 : mix((unsigned long)size, bytes, (size_t)size);
    return size < 0 || (fd < 0 && !S_ISLNK(st.st_mode)) ? errno : 0;
}

/* ---- the rest of both ---- */

static int op_rename(const char *from, const char *to)
{
    struct stat st, other;
    if (models && lstat(from, &st) == 0 && S_ISDIR(st.st_mode) && is_lower(&st) && reaches_file_system(from, to)) {
        return EXDEV;
    }
    struct stat gone = { 0 };
    const bool same = lstat(from, &st) == 0 && lstat(to, &other) == 0 && st.st_ino == other.st_ino;
    if (!same || (models && is_lower(&st) && S_ISREG(st.st_mode) && strcmp(from, to) != 0)) {
        copy_up(from); /* two names of one lower file are two files then, and the rename is one */
        gone = last_name(to);
    }
    const int result = done(rename(from, to));
    if (result == 0) {
        forget(&gone);
    }
    return result == ESTALE ? 0 : result; /* two names of one file: nothing happens either way, but overlayfs (6.18) may say so */
}

static int op_link(const char *from, const char *to)
{
    struct stat st;
    if (lstat(from, &st) == 0 && S_ISLNK(st.st_mode)) {
        return ELOOP;
    }
    if (lstat(to, &st) != 0) {
        copy_up(from);
    }
    return done(link(from, to));
}

static int op_unlink(const char *path)
{
    const struct stat gone = last_name(path);
    const int result = done(unlink(path));
    if (result == 0) {
        forget(&gone);
    }
    return result;
}

static int op_rmdir(const char *path)
{
    const struct stat gone = last_name(path);
    const int result = done(rmdir(path));
    if (result == 0) { /* made again it is a directory of the run's */
        forget(&gone);
    }
    return result;
}

/* rm -r and a directory, or a file, in its place. */
static int op_replace(const char *path, bool by_directory)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno;
    }
    if (S_ISDIR(st.st_mode)) {
        static const char *const names[] = { "f0", "f1", "f2", "l0" };
        char inner[80];
        for (size_t i = 0; i < 4; i++) {
            (void)snprintf(inner, sizeof inner, "%s/%s", path, names[i]);
            (void)op_unlink(inner);
        }
    }
    const int result = S_ISDIR(st.st_mode) ? op_rmdir(path) : op_unlink(path);
    if (result != 0) {
        return result;
    }
    return by_directory ? done(mkdir(path, guest ? 0777 : 0711)) : op_write(path, O_CREAT | O_EXCL);
}

/* The same number for the same errno wherever it was compiled. */
static int plain(int error)
{
    static const int known[] = { 0, EPERM, ENOENT, EIO, EACCES, EBUSY, EEXIST, EXDEV, ENOTDIR, EISDIR, EINVAL, EMFILE, EFBIG, ENOSPC, EROFS, EMLINK,
                                 ENAMETOOLONG, ENOTEMPTY, ELOOP };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == error) {
            return (int)i;
        }
    }
    return 1000 + error;
}

static int set_mode_or_times(const char *path)
{
#ifndef __wasi__
    if (!guest) {
        return op_chmod(path);
    }
#endif
    return op_times(path);
}

static int map_or_look(const char *path)
{
#ifndef __wasi__
    if (!guest) {
        return op_mmap(path);
    }
#endif
    return op_look(path);
}

static void operate(long number, unsigned index)
{
    char a[64], b[64];
    choose(a);
    choose(b);
    const unsigned which = below(15);
    int result = -1;
    seen = 0;
    if (is_straight(a) && is_straight(b)) {
        switch (which) {
        case 0: result = op_write(a, O_CREAT | O_EXCL); break;
        case 1: result = op_write(a, 0); break;
        case 2: result = op_write(a, O_CREAT | O_TRUNC); break;
        case 3: result = op_write(a, O_APPEND); break;
        case 4: result = op_truncate(a); break;
        case 5:
        case 6: result = op_rename(a, b); break;
        case 7: result = op_link(a, b); break;
        case 8: result = done(symlink(b, a)); break;
        case 9: result = op_unlink(a); break;
        case 10: result = op_rmdir(a); break;
        case 11: result = set_mode_or_times(a); break;
        case 12: result = done(mkdir(a, (0700 | below(0100)) | (guest ? 0777 : 0))); break;
        case 13: result = op_replace(a, below(2) != 0); break;
        case 14: result = map_or_look(a); break;
        default: break;
        }
    }
    printf("%ld.%u: %u %s %s: %d %lu\n", number, index, which, a, b, plain(result), seen);
}

int main(int argc, char **argv)
{
    char dir[32];
#ifdef __wasi__
    guest = true;
#else
    (void)umask(022);
    guest = argc > 1 && strcmp(argv[1], "guest-model") == 0;
#endif
    if (argc < 5) {
        return 2;
    }
    must(chdir(argv[2]) == 0, argv[2]);
    models = strcmp(argv[1], "model") == 0 || strcmp(argv[1], "guest-model") == 0;
    const long first = strtol(argv[3], NULL, 10), count = strtol(argv[4], NULL, 10);
    for (long i = first; i < first + count; i++) {
        (void)snprintf(dir, sizeof dir, "s%ld", i);
        if (strcmp(argv[1], "make") == 0) {
            make_tree(dir, i);
            continue;
        }
        must(argc == 6 && chdir(dir) == 0, dir);
        state = (uint64_t)strtoull(argv[5], NULL, 10) * 1000003u + (uint64_t)i * 2654435761u + 88172645463325252u;
        if (models) {
            note_lower(dir);
        }
        for (unsigned k = 0; k < OPERATIONS; k++) {
            operate(i, k);
        }
        must(chdir(argv[2]) == 0, argv[2]); /* a guest's ".." would stay in its text */
    }
    return 0;
}
