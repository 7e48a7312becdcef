/* fuzz/fuzz_wasi_path.c - arbitrary sequences of path calls in a small world; nothing outside may change or be read.
 *
 * An input is a list of calls: which, on which descriptor, with paths put together from components that matter (dots, links
 * in and out, slashes, what is no UTF-8), rights and flags. After each input: what lies outside and what is read-only are
 * as they were, no call read the secret, every descriptor can be closed, and the storage that was counted is what a walk
 * over the root finds. Each input is run twice: in a live root, and in a staged one, which itself must then be as it was laid out. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STORAGE_LIMIT (32u << 10)
#define CALLS_MAX     64
enum { IN = 3, OUT = 1u << 20 };

static char world[64];
static const char *const watched[] = { ".",  "out",  "out/secret", "out/dir", "out/dir/x",
                                       "ro", "ro/f", "ro/d",       "ro/d/g",  "ro/l" };
#define WATCHED (sizeof(watched) / sizeof(watched[0]))
static struct stat as_it_was[WATCHED],
    base[2]; /* base: in/f and in/d/g, the files that a guest finds */

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t next(struct input *in)
{
    if (in->size == 0) {
        return 0;
    }
    in->size--;
    return *in->data++;
}

static const char *at(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", world, name);
    return path;
}

static void put(const char *name, const char *text)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

static void lay(const char *target, const char *name)
{
    FUZZ_CHECK(symlink(target, at(name)) == 0);
}

static void leave(void)
{
    guest_remove_tree(world);
}

static void build_world(void)
{
    (void)snprintf(world, sizeof(world),
                   "/dev/shm/bvt-fuzz-XXXXXX"); /* memory is faster; any directory will do */
    if (!mkdtemp(world)) {
        (void)snprintf(world, sizeof(world), "/tmp/bvt-fuzz-XXXXXX");
        FUZZ_CHECK(mkdtemp(world));
    }
    static const char *const dirs[] = { "out", "out/dir", "ro", "ro/d", "in", "up", "work" };
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        FUZZ_CHECK(mkdir(at(dirs[i]), 0700) == 0);
    }
    put("out/secret", "SECRET");
    put("out/dir/x", "SECRET");
    put("ro/f", "read only");
    put("ro/d/g", "read only");
    lay("d", "ro/l");
    for (size_t i = 0; i < WATCHED; i++) {
        FUZZ_CHECK(lstat(at(watched[i]), &as_it_was[i]) == 0);
    }
    (void)atexit(leave);
}

/* The root anew. The directory itself stays, so that the world around it does not change. */
static int clean_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    return walk->level > 0 ? remove(path) : 0;
}

static bool staged;
static const char *const lower[] = { "in", "in/d", "in/f", "in/d/g", "in/l" };
static struct stat lower_was[5];

static void build_root(void)
{
    FUZZ_CHECK(nftw(at("in"), clean_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    FUZZ_CHECK(nftw(at("up"), clean_one, 32, FTW_DEPTH | FTW_PHYS) == 0);
    (void)mkdir(at("in/d"), 0700);
    put("in/f", "0123456789");
    put("in/d/g", "inner");
    lay("d", "in/l");
    lay("../out", "in/o");
    lay("/etc", "in/e");
    lay("new", "in/n");
    FUZZ_CHECK(lstat(at("in/f"), &base[0]) == 0 && lstat(at("in/d/g"), &base[1]) == 0);
    for (int i = 0; i < 5; i++) {
        FUZZ_CHECK(lstat(at(lower[i]), &lower_was[i]) == 0);
    }
}

/* ---- one call ---- */

static void path_of(struct input *in, char path[256])
{
    static const char *const parts[] = {
        "d", "f", "g",   "l",      "o", "e",        "n",    "..",
        ".", "",  "out", "secret", "x", "\xc3\xa9", "\xff", "new"
    };
    size_t size = 0;
    const unsigned shape = next(in);
    for (unsigned i = 0; i < shape % 6; i++) {
        const char *part = parts[next(in) % 16];
        size += (size_t)snprintf(path + size, 256 - size, "%s%s", i > 0 ? "/" : "", part);
    }
    size += (size_t)snprintf(path + size, 256 - size, "%s", (shape & 0x40) != 0 ? "/" : "");
    path[size] = '\0';
    if ((shape & 0x80) != 0) { /* and from the top */
        memmove(path + 1, path, size + 1);
        path[0] = '/';
    }
}

static uint64_t length_of(uint8_t byte)
{
    static const uint64_t lengths[] = { 0,
                                        1,
                                        5,
                                        10,
                                        11,
                                        100,
                                        4096,
                                        70000,
                                        STORAGE_LIMIT - 1,
                                        STORAGE_LIMIT,
                                        STORAGE_LIMIT + 1,
                                        UINT64_C(1) << 40,
                                        INT64_MAX,
                                        UINT64_MAX };
    return lengths[byte % (sizeof(lengths) / sizeof(lengths[0]))];
}

static void on_descriptor(struct guest *g, unsigned call, uint32_t fd, struct input *in)
{
    static const uint64_t rights[] = { 0, WASI_RIGHT_FD_READ, WASI_RIGHTS_FILE,
                                       WASI_RIGHTS_DIRECTORY, WASI_RIGHTS_ALL };
    char bytes[64];
    uint32_t size = 0;
    switch (call) {
    case 0:
        if (guest_read(g, fd, bytes, sizeof(bytes), &size) == 0) {
            FUZZ_CHECK(size < 6 || memcmp(bytes, "SECRET", 6) != 0);
        }
        break;
    case 1: (void)guest_write(g, fd, "wwwwwwwwwwww", next(in) % 13, &size); break;
    case 2: (void)guest_call(g, "fd_close", fd); break;
    case 3: (void)guest_call(g, "fd_renumber", fd, next(in) % 12u); break;
    case 4: (void)guest_call(g, "fd_filestat_set_size", fd, length_of(next(in))); break;
    case 5: (void)guest_call(g, "fd_allocate", fd, length_of(next(in)), length_of(next(in))); break;
    case 6:
        (void)guest_call(g, "fd_pwrite", fd, guest_iovec(g, OUT, next(in)), 1u, length_of(next(in)),
                         (uint32_t)OUT - 8);
        break;
    case 7:
        (void)guest_call(g, "fd_seek", fd, length_of(next(in)), next(in) % 3u, (uint32_t)OUT - 8);
        break;
    case 8:
        (void)guest_call(g, "fd_fdstat_set_rights", fd, rights[next(in) % 5u],
                         rights[next(in) % 5u]);
        break;
    case 9: (void)guest_call(g, "fd_fdstat_set_flags", fd, (uint32_t)next(in)); break;
    case 10:
        (void)guest_call(g, "fd_readdir", fd, (uint32_t)OUT, next(in) * 16u, length_of(next(in)),
                         (uint32_t)OUT - 8);
        break;
    default: (void)guest_call(g, "fd_filestat_set_times", fd, UINT64_C(1), UINT64_C(1), 5u); break;
    }
}

static void on_path(struct guest *g, unsigned call, uint32_t dir, struct input *in)
{
    static const char *const simple[] = { "path_create_directory", "path_unlink_file",
                                          "path_remove_directory" };
    static const uint64_t rights[] = { WASI_RIGHTS_FILE, WASI_RIGHT_FD_READ,
                                       WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE,
                                       WASI_RIGHTS_DIRECTORY };
    char path[260], other[260];
    uint64_t size;
    uint8_t type;
    path_of(in, path);
    const uint32_t length = (uint32_t)strlen(path), lookup = next(in) % 2u;
    switch (call) {
    case 0:
    case 1:
    case 2: {
        const uint8_t how = next(in);
        (void)guest_open_with(g, dir, lookup, path, how & 15u, rights[how >> 6], WASI_RIGHTS_ALL,
                              (how >> 4 & 1u), NULL);
        break;
    }
    case 3:
    case 4:
    case 5: (void)guest_path(g, simple[call - 3], dir, path); break;
    case 6:
    case 7:
        path_of(in, other);
        (void)guest_two_paths(g, call == 6 ? "path_rename" : "path_link", dir, path, next(in) % 12u,
                              other);
        break;
    case 8:
        path_of(in, other);
        (void)guest_symlink(g, other, dir, path);
        break;
    case 9:
        (void)guest_call(g, "path_readlink", dir, guest_text(g, path), length, (uint32_t)OUT,
                         (uint32_t)next(in), (uint32_t)OUT - 8);
        break;
    case 10: (void)guest_stat(g, dir, lookup, path, &size, &type); break;
    default:
        (void)guest_call(g, "path_filestat_set_times", dir, lookup, guest_text(g, path), length,
                         UINT64_C(7), UINT64_C(7), 5u);
        break;
    }
}

/* ---- what must hold ---- */

static uint64_t grown;
static ino_t counted[256];
static size_t counted_count;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)path;
    (void)type;
    (void)walk;
    if (S_ISDIR(st->st_mode)) {
        return 0;
    }
    for (size_t i = 0; i < counted_count; i++) {
        if (counted[i] == st->st_ino) {
            return 0;
        }
    }
    FUZZ_CHECK(counted_count < sizeof(counted) / sizeof(counted[0]));
    counted[counted_count++] = st->st_ino;
    uint64_t before = 0;
    for (int i = 0; i < 2; i++) {
        before = base[i].st_ino == st->st_ino ? (uint64_t)base[i].st_size : before;
    }
    grown += (uint64_t)st->st_size > before ? (uint64_t)st->st_size - before : 0;
    return 0;
}

static ino_t laid[4]; /* the links of build_root(): the host's, not the guest's */

static void note_links(void)
{
    static const char *const names[] = { "in/l", "in/o", "in/e", "in/n" };
    for (int i = 0; i < 4; i++) {
        struct stat st;
        FUZZ_CHECK(lstat(at(names[i]), &st) == 0);
        laid[i] = st.st_ino;
    }
}

static void check_outside(void)
{
    for (size_t i = 0; i < WATCHED; i++) {
        struct stat st;
        FUZZ_CHECK(lstat(at(watched[i]), &st) == 0);
        FUZZ_CHECK(st.st_ino == as_it_was[i].st_ino && st.st_size == as_it_was[i].st_size &&
                   st.st_nlink == as_it_was[i].st_nlink);
        FUZZ_CHECK(st.st_ctim.tv_sec == as_it_was[i].st_ctim.tv_sec &&
                   st.st_ctim.tv_nsec == as_it_was[i].st_ctim.tv_nsec);
    }
}

static void check_lower(void)
{
    for (int i = 0; i < 5; i++) {
        struct stat st;
        FUZZ_CHECK(lstat(at(lower[i]), &st) == 0 && st.st_ino == lower_was[i].st_ino && st.st_ctim.tv_sec == lower_was[i].st_ctim.tv_sec &&
                   st.st_ctim.tv_nsec == lower_was[i].st_ctim.tv_nsec);
    }
}

static void check_storage(struct guest *g)
{
    struct bv_wasi_usage usage;
    bv_wasi_usage(g->wasi, &usage);
    for (uint32_t fd = 0; fd < 128 && usage.handles_open > 0; fd++) {
        (void)guest_call(g, "fd_close", fd);
        bv_wasi_usage(g->wasi, &usage);
    }
    FUZZ_CHECK(usage.handles_open == 0);
    grown = 0;
    memcpy(counted, laid, sizeof(laid));
    counted_count = staged ? 0 : 4;
    FUZZ_CHECK(nftw(at(staged ? "up" : "in"), count_one, 16, FTW_PHYS) == 0);
    FUZZ_CHECK(usage.storage_bytes == grown && grown <= STORAGE_LIMIT);
}

static void start(struct guest *g)
{
    struct bv_wasi_options options;
    const struct bv_wasi_root roots[] = {
        { open(at("in"), O_PATH), "/in", BV_WASI_READ_WRITE, BV_WASI_ROOT_DECLARED, UINT64_MAX },
        { open(at("ro"), O_PATH), "/ro", BV_WASI_READ, BV_WASI_ROOT_DECLARED, UINT64_MAX }
    };
    guest_defaults(g, &options);
    options.roots = roots;
    options.root_count = 2;
    options.handles_max = 64;
    options.storage_max_bytes = STORAGE_LIMIT;
    const struct bv_wasi_stage stages[] = { { staged ? open(at("up"), O_PATH) : -1, staged ? open(at("work"), O_PATH) : -1 }, { -1, -1 } };
    options.stages = stages;
    guest_start(g, &options);
    (void)close(roots[0].fd);
    (void)close(roots[1].fd);
    if (staged) {
        (void)close(stages[0].upper_fd);
        (void)close(stages[0].work_fd);
    }
}

static void play(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct guest g;
    build_root();
    note_links();
    start(&g);
    for (int calls = 0; in.size > 0 && calls < CALLS_MAX; calls++) {
        const uint8_t call = next(&in), fd = next(&in) % 12u;
        if (call % 3 == 0) {
            on_descriptor(&g, call / 3 % 12u, fd, &in);
        } else {
            on_path(&g, call / 3 % 12u, fd < IN ? (uint32_t)IN : fd, &in);
        }
    }
    check_outside();
    check_storage(&g);
    guest_stop(&g);
    if (staged) {
        check_lower();
        FUZZ_CHECK(rmdir(at("work")) == 0 && mkdir(at("work"), 0700) == 0); /* nothing is left in it */
        FUZZ_CHECK(lstat(at("."), &as_it_was[0]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world[0] == '\0') {
        build_world();
    }
    for (int turn = 0; turn < 2; turn++) {
        staged = turn > 0;
        play(data, size);
    }
    return 0;
}
