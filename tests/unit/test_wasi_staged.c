/* tests/unit/test_wasi_staged.c - a staged root: the guest sees its own writes, the lower tree keeps every byte and every time of change, and the upper
 * one holds what overlayfs would. Judged by both trees as the host sees them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

static char world[64];
enum { DOT = 3, OUT = 1u << 20, BIG = 2u << 20 };

static const char *at(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    (void)snprintf(text, sizeof(path[0]), "%s/%s", world, name);
    return text;
}

static void must(bool good, const char *what)
{
    if (!good) {
        printf("Bail out! %s: %s\n", what, strerror(errno));
    }
}

static void put(const char *name, const char *text)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), name);
    (void)close(fd);
}

static bool holds(const char *name, const char *text)
{
    char bytes[256];
    const int fd = open(at(name), O_RDONLY);
    const ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    return n == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)n) == 0;
}

static bool there(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0;
}

static bool whiteout(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static bool opaque(const char *name)
{
    char value[4];
    return getxattr(at(name), "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* ---- the lower tree, which nothing may change ---- */

static const char *const lower_names[] = { "low", "low/file", "low/other", "low/twin", "low/dir", "low/dir/a", "low/dir/b", "low/dir/sub",
                                           "low/dir/sub/deep", "low/link", "low/shut", "low/shut/in", "low/shut/in/f", "out", "out/secret" };
enum { LOWER = sizeof(lower_names) / sizeof(lower_names[0]) };
static struct stat lower_before[LOWER];

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool untouched(void)
{
    bool same = true;
    for (int i = 0; i < LOWER; i++) {
        struct stat st;
        const struct stat *was = &lower_before[i];
        const bool good = lstat(at(lower_names[i]), &st) == 0 && same_time(&st.st_ctim, &was->st_ctim) && same_time(&st.st_mtim, &was->st_mtim) &&
                          st.st_ino == was->st_ino && st.st_size == was->st_size && st.st_nlink == was->st_nlink;
        if (!good) {
            tap_note("changed: %s", lower_names[i]);
        }
        same = same && good;
    }
    return same;
}

static void build(struct guest *g, uint64_t storage)
{
    static const char *const dirs[] = { "low", "low/dir", "low/dir/sub", "low/shut", "low/shut/in", "up", "work", "out" };
    guest_scratch_dir(world);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        must(mkdir(at(dirs[i]), 0755) == 0, dirs[i]);
    }
    put("low/file", "original");
    put("low/other", "other");
    must(link(at("low/other"), at("low/twin")) == 0, "twin");
    put("low/dir/a", "aaa");
    put("low/dir/b", "bbb");
    put("low/dir/sub/deep", "deep");
    put("low/shut/in/f", "f");
    put("out/secret", "SECRET");
    must(symlink("../out/secret", at("low/link")) == 0, "link");
    must(setxattr(at("low/file"), "user.note", "kept", 4, 0) == 0 && chmod(at("low/file"), 0640) == 0 && chmod(at("low/shut"), 0555) == 0, "modes");
    for (int i = 0; i < LOWER; i++) {
        must(lstat(at(lower_names[i]), &lower_before[i]) == 0, lower_names[i]);
    }
    struct bv_wasi_options options;
    const struct bv_wasi_root root = { open(at("low"), O_PATH), "/root", BV_WASI_READ_WRITE, BV_WASI_ROOT_DECLARED, UINT64_MAX };
    const struct bv_wasi_stage stage = { open(at("up"), O_PATH), open(at("work"), O_PATH) };
    guest_defaults(g, &options);
    options.roots = &root;
    options.stages = &stage;
    options.root_count = 1;
    options.storage_max_bytes = storage;
    guest_start(g, &options);
    (void)close(root.fd);
    (void)close(stage.upper_fd);
    (void)close(stage.work_fd);
}

/* Nothing of the work directory outlives the guest, and nothing of the lower tree was changed. */
static void tear_down(struct guest *g, const char *what)
{
    guest_stop(g);
    tap_ok(rmdir(at("work")) == 0 && untouched(), "%s: the lower tree is as it was, and the work directory empty", what);
    must(mkdir(at("work"), 0700) == 0 && chmod(at("low/shut"), 0755) == 0, "work");
    (void)chmod(at("up/shut"), 0755);
    guest_remove_tree(world);
}

static uint32_t opened(struct guest *g, const char *path, uint32_t oflags, uint64_t rights)
{
    uint32_t fd = 9999;
    const int result = guest_open(g, DOT, path, oflags, rights, &fd);
    if (result != 0) {
        tap_note("open %s: %d", path, result);
    }
    return fd;
}

static uint32_t directory(struct guest *g, const char *path)
{
    uint32_t fd = 9999;
    (void)guest_open_with(g, DOT, 0, path, WASI_OFLAG_DIRECTORY, WASI_RIGHTS_DIRECTORY, WASI_RIGHTS_ALL, 0, &fd);
    return fd;
}

static uint64_t used(struct guest *g)
{
    struct bv_wasi_usage usage;
    bv_wasi_usage(g->wasi, &usage);
    return usage.storage_bytes;
}

static bool reads(struct guest *g, uint32_t fd, const char *text)
{
    char bytes[256];
    uint32_t size = 0;
    return guest_call(g, "fd_seek", fd, UINT64_C(0), 0u, (uint32_t)OUT) == 0 && guest_read(g, fd, bytes, sizeof(bytes), &size) == 0 &&
           size == strlen(text) && memcmp(bytes, text, size) == 0;
}

/* The names of a directory, as "+name+name", in a room of this size a call, from the cookie that the call before ended at. */
static const char *names_of(struct guest *g, uint32_t fd, uint32_t room, unsigned *ret_count)
{
    static char text[1024];
    uint64_t cookie = 0;
    text[0] = '\0';
    *ret_count = 0;
    for (;;) {
        if (guest_call(g, "fd_readdir", fd, (uint32_t)BIG, room, cookie, (uint32_t)OUT) != 0) {
            return "failed";
        }
        const uint32_t used_bytes = (uint32_t)guest_get(g, OUT, 4);
        uint32_t pos = 0, whole = 0;
        while (pos + 24 <= used_bytes) {
            const uint32_t size = (uint32_t)guest_get(g, BIG + pos + 16, 4);
            if (pos + 24 + size > used_bytes) {
                break;
            }
            cookie = guest_get(g, BIG + pos, 8);
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "+%.*s", (int)size, (const char *)g->memory + BIG + pos + 24);
            pos += 24 + size;
            whole++;
        }
        *ret_count += whole;
        if (used_bytes < room || whole == 0) {
            return text;
        }
    }
}

/* ---- the tests ---- */

static void test_files(void)
{
    struct guest g;
    uint32_t n;
    uint64_t size;
    uint8_t type;
    struct stat st;
    build(&g, UINT64_MAX);
    const uint32_t reader = opened(&g, "file", 0, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_FILESTAT_SET_TIMES);
    tap_ok(reads(&g, reader, "original") && !there("up/file"), "reading copies nothing");
    const uint32_t writer = opened(&g, "file", 0, WASI_RIGHTS_FILE);
    tap_ok(there("up/file") && holds("up/file", "original") && used(&g) == 8, "opening for writing copies, and the copy counts");
    char note[8];
    tap_ok(lstat(at("up/file"), &st) == 0 && (st.st_mode & 07777) == 0640 && same_time(&st.st_mtim, &lower_before[1].st_mtim) &&
               getxattr(at("up/file"), "user.note", note, sizeof(note)) == 4 && getxattr(at("up/file"), "user.overlay.origin", note, sizeof(note)) == 0,
           "with mode, time and attributes");
    tap_ok(guest_write(&g, writer, "changed!!", 9, &n) == 0 && reads(&g, reader, "changed!!") && used(&g) == 9,
           "who has it open for reading sees what is written");
    tap_ok(guest_call(&g, "fd_filestat_set_times", reader, UINT64_C(0), UINT64_C(5000000000), 4u) == 0 && lstat(at("up/file"), &st) == 0 &&
               st.st_mtim.tv_sec == 5,
           "and sets its times");
    (void)opened(&g, "dir/a", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE);
    tap_ok(holds("up/dir/a", "") && used(&g) == 9, "one that is truncated is not copied first");
    (void)opened(&g, "dir/sub/new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE);
    tap_ok(there("up/dir/sub/new") && lstat(at("up/dir/sub"), &st) == 0 && (st.st_mode & 07777) == 0755 && !opaque("up/dir/sub"),
           "directories above are made, like the lower ones");
    tap_ok(guest_call(&g, "path_filestat_set_times", (uint32_t)DOT, 0u, guest_text(&g, "link"), 4u, UINT64_C(0), UINT64_C(9000000000), 4u) == 0 &&
               lstat(at("up/link"), &st) == 0 && S_ISLNK(st.st_mode) && st.st_mtim.tv_sec == 9,
           "a link's times are set on a copy of the link");
    const uint32_t other = opened(&g, "other", 0, WASI_RIGHTS_FILE);
    (void)guest_write(&g, other, "OTHER", 5, &n);
    tap_ok(holds("up/other", "OTHER") && !there("up/twin") && reads(&g, opened(&g, "twin", 0, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK), "other"),
           "of two names of a lower file one is copied");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "twin") == 0 && whiteout("up/twin") &&
               guest_stat(&g, DOT, 0, "twin", &size, &type) == WASI_ENOENT,
           "what is removed is whited out");
    (void)opened(&g, "twin", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHT_FD_WRITE);
    tap_ok(holds("up/twin", "") && guest_stat(&g, DOT, 0, "twin", &size, &type) == 0 && size == 0, "and can be made anew");
    if (geteuid() == 0) { /* root needs no mode */
        tap_ok(true, "root");
    } else {
        uint32_t fd;
        tap_ok(guest_open(&g, DOT, "shut/new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) == WASI_EACCES &&
                   guest_path(&g, "path_remove_directory", DOT, "shut/in") == WASI_ENOTEMPTY && guest_path(&g, "path_unlink_file", DOT, "shut/in/f") == 0,
               "a directory that may not be written to stays so, what is below it not");
    }
    const uint32_t f = opened(&g, "shut/in/f", WASI_OFLAG_CREAT, WASI_RIGHTS_FILE);
    tap_ok(guest_write(&g, f, "F", 1, &n) == 0 && holds("up/shut/in/f", "F") && lstat(at("up/shut"), &st) == 0 && (st.st_mode & 0777) == 0555,
           "a file below a directory of mode 0555 is copied, and the mode stays");
    tear_down(&g, "files");
}

static void test_names(void)
{
    struct guest g;
    unsigned count;
    uint64_t size;
    uint8_t type;
    build(&g, UINT64_MAX);
    const uint32_t dir = directory(&g, "dir");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "dir", DOT, "moved") == WASI_EXDEV, "a lower directory is not renamed");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "dir/a") == 0 && guest_path(&g, "path_create_directory", DOT, "dir/a") == 0 &&
               opaque("up/dir/a"),
           "a directory in a removed file's place is opaque");
    const char *names = names_of(&g, dir, 4096, &count);
    tap_ok(count == 5 && strstr(names, "+a") && strstr(names, "+b") && strstr(names, "+sub"), "a directory that was open before shows it once: %s", names);
    names = names_of(&g, dir, 40, &count);
    tap_ok(count == 5, "and so in small pieces: %s", names);
    tap_ok(guest_path(&g, "path_remove_directory", DOT, "dir") == WASI_ENOTEMPTY && guest_path(&g, "path_remove_directory", DOT, "dir/a") == 0 &&
               whiteout("up/dir/a"),
           "an emptied name is whited out again");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "dir/b") == 0 && guest_path(&g, "path_unlink_file", DOT, "dir/sub/deep") == 0 &&
               guest_path(&g, "path_remove_directory", DOT, "dir/sub") == 0 && guest_path(&g, "path_remove_directory", DOT, "dir") == 0 &&
               whiteout("up/dir"),
           "a directory of whiteouts is empty, and goes");
    tap_ok(guest_path(&g, "path_create_directory", dir, "x") == WASI_ENOENT && strcmp(names_of(&g, dir, 4096, &count), "") == 0,
           "who has it open can make nothing in it");
    tap_ok(guest_path(&g, "path_create_directory", DOT, "dir") == 0 && opaque("up/dir") &&
               guest_stat(&g, DOT, 0, "dir/b", &size, &type) == WASI_ENOENT && guest_path(&g, "path_create_directory", dir, "x") == WASI_ENOENT,
           "one of the same name shows nothing of it, and is not it");
    tap_ok(guest_path(&g, "path_create_directory", DOT, "mine") == 0 && guest_path(&g, "path_create_directory", DOT, "mine/in") == 0 &&
               guest_two_paths(&g, "path_rename", DOT, "mine", DOT, "dir") == 0 && opaque("up/dir") && there("up/dir/in") && !there("up/mine"),
           "the guest's own directory takes an empty one's place, and hides what is below that");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "dir", DOT, "dir/in/x") == WASI_EINVAL, "not its own");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "file", DOT, "dir/in/file") == 0 && whiteout("up/file") && holds("up/dir/in/file", "original"),
           "a lower file moves as a copy");
    tap_ok(guest_two_paths(&g, "path_link", DOT, "other", DOT, "file") == 0 && holds("up/file", "other"), "a link takes a whiteout's place");
    tap_ok(guest_symlink(&g, "other", DOT, "mine") == 0 && guest_stat(&g, DOT, WASI_LOOKUP_FOLLOW, "mine", &size, &type) == 0 && size == 5,
           "a link leads through both layers");
    tap_ok(guest_symlink(&g, "../../out", DOT, "dir/up") == 0 && guest_stat(&g, DOT, WASI_LOOKUP_FOLLOW, "dir/up/secret", &size, &type) == WASI_ENOTCAPABLE &&
               guest_stat(&g, DOT, WASI_LOOKUP_FOLLOW, "link", &size, &type) == WASI_ENOTCAPABLE,
           "and not outside");
    tear_down(&g, "names");
}

/* A listing that is under way while everything in the directory is written to, and then removed. */
static void test_listing(void)
{
    struct guest g;
    uint32_t n;
    build(&g, UINT64_MAX);
    const uint32_t dir = directory(&g, "dir");
    guest_put(&g, OUT, 0, 4);
    bool good = guest_call(&g, "fd_readdir", dir, (uint32_t)BIG, 60u, UINT64_C(0), (uint32_t)OUT) == 0;
    const uint64_t first = guest_get(&g, BIG, 8);
    static const char *const all[] = { "dir/a", "dir/b", "dir/sub/deep" };
    for (size_t i = 0; i < 3; i++) {
        good = good && guest_write(&g, opened(&g, all[i], 0, WASI_RIGHTS_FILE), "x", 1, &n) == 0;
    }
    (void)opened(&g, "dir/c", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE);
    good = good && guest_call(&g, "fd_readdir", dir, (uint32_t)BIG, 4096u, first, (uint32_t)OUT) == 0;
    const uint32_t size = (uint32_t)guest_get(&g, OUT, 4);
    unsigned entries = 0;
    for (uint32_t pos = 0; pos + 24 <= size; entries++) {
        pos += 24 + (uint32_t)guest_get(&g, BIG + pos + 16, 4);
    }
    tap_ok(good && entries == 5, "a listing goes on over files that were copied up: %u more entries", entries);
    tear_down(&g, "listing");
}

static void test_storage(void)
{
    struct guest g;
    uint32_t fd, n, file;
    uint64_t size;
    uint8_t type;
    build(&g, 12);
    tap_ok(guest_open(&g, DOT, "file", 0, WASI_RIGHTS_FILE, &file) == 0 && used(&g) == 8, "a copy that fits");
    tap_ok(guest_open(&g, DOT, "other", 0, WASI_RIGHTS_FILE, &fd) == WASI_ENOSPC && !there("up/other") && g.denial_kinds[0] == BV_WASI_DENIED_STORAGE,
           "one that does not is not made, and the denial is told");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "other", DOT, "else") == WASI_ENOSPC && guest_stat(&g, DOT, 0, "other", &size, &type) == 0,
           "nor by renaming");
    tap_ok(guest_open(&g, DOT, "other", WASI_OFLAG_TRUNC, WASI_RIGHTS_FILE, &fd) == 0 && guest_write(&g, fd, "12345", 5, &n) == 0 && n == 4 && used(&g) == 12,
           "bytes are counted to the last");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "file") == 0 && used(&g) == 12 && guest_call(&g, "fd_close", file) == 0 && used(&g) == 4,
           "what goes is given back, once nobody holds it");
    tear_down(&g, "storage");
    build(&g, 4096);
    for (int i = 0; i < 3000; i++) { /* 1,024 names at most; a whiteout and what stands in its place are none */
        (void)guest_open(&g, DOT, "file", WASI_OFLAG_CREAT, WASI_RIGHT_FD_READ, &fd);
        (void)guest_call(&g, "fd_close", fd);
        must(guest_path(&g, "path_unlink_file", DOT, "file") == 0, "unlink");
    }
    int made = 0;
    for (char name[16]; made < 2000; made++) {
        (void)snprintf(name, sizeof(name), "n%d", made);
        if (guest_path(&g, "path_create_directory", DOT, name) != 0) {
            break;
        }
    }
    tap_ok(made == 1024, "names are counted: %d", made);
    tear_down(&g, "names under a limit");
}

/* A large file comes up in pieces, between which the driver has control. */
static void test_pieces(void)
{
    struct guest g;
    struct stat st;
    uint32_t fd = 0;
    build(&g, UINT64_MAX);
    const int big = open(at("low/big"), O_RDWR | O_CREAT, 0600);
    must(big >= 0, "big");
    for (int i = 0; i < 3 << 10; i++) {
        char block[1024];
        memset(block, i & 0xff, sizeof(block));
        must(write(big, block, sizeof(block)) == sizeof(block), "big");
    }
    must(ftruncate(big, 64 << 20) == 0 && lstat(at("low"), &lower_before[0]) == 0, "a hole");
    tap_ok(guest_open(&g, DOT, "big", 0, WASI_RIGHTS_FILE, &fd) == 0 && stat(at("up/big"), &st) == 0 && st.st_size == 64 << 20 &&
               st.st_blocks < (8 << 20) / 512 && used(&g) == 64 << 20,
           "64 MiB with a hole: a copy with a hole, and 64 MiB of storage");
    tap_note("resumed %u times", g.again);
    char a[4096], b[4096];
    bool same = true;
    const int copy = open(at("up/big"), O_RDONLY);
    for (off_t pos = 0; pos < 4 << 20; pos += (off_t)sizeof(a)) {
        same = same && pread(big, a, sizeof(a), pos) == sizeof(a) && pread(copy, b, sizeof(b), pos) == sizeof(b) && memcmp(a, b, sizeof(a)) == 0;
    }
    tap_ok(same, "byte for byte");
    (void)close(copy);
    (void)close(big);
    tear_down(&g, "pieces");
}

/* ---- a host that swaps directories for links meanwhile ---- */

static atomic_bool stop;

static void *swap(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        (void)syscall(SYS_renameat2, AT_FDCWD, at("low/dir"), AT_FDCWD, at("trap"), 2 /* RENAME_EXCHANGE */);
    }
    return NULL;
}

static void test_swap(void)
{
    struct guest g;
    pthread_t thread;
    uint64_t size;
    uint8_t type;
    unsigned opens = 0, leaks = 0, made = 0;
    build(&g, UINT64_MAX);
    must(symlink("../out", at("trap")) == 0 && mkdir(at("out/sub"), 0755) == 0, "trap");
    struct stat before[2], after[2];
    must(lstat(at("out"), &before[0]) == 0 && lstat(at("out/secret"), &before[1]) == 0, "outside");
    atomic_store(&stop, false);
    must(pthread_create(&thread, NULL, swap, NULL) == 0, "thread");
    for (int i = 0; i < 4000; i++) {
        uint32_t fd;
        char name[32];
        (void)snprintf(name, sizeof(name), "dir/n%d", i % 50);
        leaks += guest_stat(&g, DOT, 0, "dir/secret", &size, &type) == 0;
        if (guest_open(&g, DOT, "dir/secret", 0, WASI_RIGHT_FD_WRITE, &fd) == 0) {
            leaks++;
            (void)guest_call(&g, "fd_close", fd);
        }
        if (guest_open(&g, DOT, name, WASI_OFLAG_CREAT, WASI_RIGHTS_FILE, &fd) == 0) {
            made++;
            (void)guest_call(&g, "fd_close", fd);
        }
        if (guest_open(&g, DOT, "dir/b", 0, WASI_RIGHT_FD_READ, &fd) == 0) {
            opens++;
            (void)guest_call(&g, "fd_close", fd);
        }
        (void)guest_path(&g, "path_unlink_file", DOT, name);
        (void)guest_path(&g, "path_create_directory", DOT, "dir/sub/made");
        (void)guest_path(&g, "path_remove_directory", DOT, "dir/sub/made");
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    must(lstat(at("out"), &after[0]) == 0 && lstat(at("out/secret"), &after[1]) == 0, "outside");
    tap_ok(opens > 0 && made > 0 && leaks == 0 && same_time(&before[0].st_ctim, &after[0].st_ctim) && same_time(&before[1].st_ctim, &after[1].st_ctim) &&
               !there("out/sub/made"),
           "a directory swapped for a link in a loop: %u opens, %u made, nothing outside seen or changed", opens, made);
    guest_stop(&g);
    (void)chmod(at("low/shut"), 0755);
    guest_remove_tree(world);
}

int main(void)
{
    test_files();
    test_names();
    test_listing();
    test_storage();
    test_pieces();
    test_swap();
    return tap_done();
}
