/* tests/unit/test_wasi_escape.c - attempts to get out of a root, judged by what lies outside of it.
 *
 * The world is W/in (the root), W/other (another root) and W/out, which the guest must neither see nor change. Every attempt
 * is one that works on the host, with the same rights: the test makes sure of that, too. All of it is done twice: in live roots,
 * and in roots that are staged, where what a guest did inside is looked for in their upper layer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

static char world[64];
enum { DOT = 3, IN = 4, OTHER = 5, READONLY = 6, OUT = 1u << 20 };

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *text = path[turn++ % 4];
    (void)snprintf(text, sizeof(path[0]), "%s/%s", world, name);
    return text;
}

static void put(const char *name, const char *text)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        printf("Bail out! %s: %s\n", name, strerror(errno));
    }
    (void)close(fd);
}

static void lay_link(const char *target, const char *name)
{
    if (symlink(target, at(name)) != 0) {
        printf("Bail out! %s: %s\n", name, strerror(errno));
    }
}

static bool staged;

/* What the guest has there: in a staged root its upper layer says so, if it has the name, else the lower. */
static bool there(const char *name)
{
    struct stat st;
    char upper[128];
    (void)snprintf(upper, sizeof(upper), "up_%s", name);
    if (staged && lstat(at(upper), &st) == 0) {
        return !S_ISCHR(st.st_mode);
    }
    return lstat(at(name), &st) == 0;
}

/* Is what lies outside as it was laid out? Names, contents, and times of change. */
static struct timespec out_ctime[3];
static const char *const out_names[] = { "out", "out/secret", "out/victim" };

static void remember_outside(void)
{
    for (int i = 0; i < 3; i++) {
        struct stat st;
        (void)lstat(at(out_names[i]), &st);
        out_ctime[i] = st.st_ctim;
    }
}

static bool outside_untouched(void)
{
    bool same = true;
    for (int i = 0; i < 3; i++) {
        struct stat st;
        same = same && lstat(at(out_names[i]), &st) == 0 &&
               st.st_ctim.tv_sec == out_ctime[i].tv_sec &&
               st.st_ctim.tv_nsec == out_ctime[i].tv_nsec;
    }
    return same;
}

static void build(struct guest *g)
{
    static const char *const dirs[] = { "in", "in/a", "in/a/b", "other", "readonly", "out" };
    guest_scratch_dir(world);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        (void)mkdir(at(dirs[i]), 0700);
    }
    put("out/secret", "SECRET");
    put("out/victim", "VICTIM");
    put("in/file", "inside");
    put("in/a/b/deep", "deep");
    put("readonly/kept", "kept");
    lay_link("/etc/passwd", "in/abs");
    lay_link("../out", "in/rel");
    lay_link("../out/missing", "in/dangling");
    lay_link("rel", "in/chain");
    lay_link("chain", "in/chain2");
    lay_link("a/../../out", "in/dotted");
    lay_link(".", "in/self");
    lay_link("loop", "in/loop");
    lay_link("newfile", "in/tonew");
    char inside[128];
    (void)snprintf(inside, sizeof(inside), "%s/in/file", world);
    lay_link(inside, "in/abs_inside");
    lay_link("/proc/self/root", "in/magic");
    struct bv_wasi_options options;
    const struct bv_wasi_root roots[] = {
        { open(at("in"), O_PATH | O_DIRECTORY), "/in", BV_WASI_READ_WRITE, BV_WASI_ROOT_DECLARED,
          UINT64_MAX },
        { open(at("other"), O_PATH | O_DIRECTORY), "/other", BV_WASI_READ_WRITE,
          BV_WASI_ROOT_DECLARED, UINT64_MAX },
        { open(at("readonly"), O_PATH | O_DIRECTORY), "/readonly", BV_WASI_READ,
          BV_WASI_ROOT_DECLARED, UINT64_MAX },
    };
    struct bv_wasi_stage stages[3] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
    guest_defaults(g, &options);
    options.roots = roots;
    options.root_count = 3;
    for (int i = 0; staged && i < 2; i++) {
        static const char *const layers[2][2] = { { "up_in", "work_in" }, { "up_other", "work_other" } };
        (void)mkdir(at(layers[i][0]), 0700);
        (void)mkdir(at(layers[i][1]), 0700);
        stages[i] = (struct bv_wasi_stage){ open(at(layers[i][0]), O_PATH | O_DIRECTORY), open(at(layers[i][1]), O_PATH | O_DIRECTORY) };
    }
    options.stages = stages;
    guest_start(g, &options);
    for (int i = 0; i < 3; i++) {
        (void)close(roots[i].fd);
        if (stages[i].upper_fd >= 0) {
            (void)close(stages[i].upper_fd);
            (void)close(stages[i].work_fd);
        }
    }
    remember_outside();
}

static void tear_down(struct guest *g)
{
    guest_stop(g);
    guest_remove_tree(world);
}

/* Every path call on a path that leads out. Each must say the same, record it, and change nothing. */
static void every_call(struct guest *g, const char *path, int wanted, bool follows_only)
{
    const uint32_t size = (uint32_t)strlen(path), before = g->denial_count;
    uint64_t file_size;
    uint8_t type;
    int got[16];
    size_t n = 0;
    got[n++] = guest_open(g, DOT, path, 0, WASI_RIGHT_FD_READ, NULL);
    got[n++] = guest_open(g, DOT, path, 0, WASI_RIGHT_FD_WRITE, NULL);
    got[n++] = guest_open(g, DOT, path, WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE, NULL);
    got[n++] = guest_open(g, DOT, path, WASI_OFLAG_DIRECTORY, WASI_RIGHT_FD_READDIR, NULL);
    got[n++] = guest_stat(g, DOT, WASI_LOOKUP_FOLLOW, path, &file_size, &type);
    got[n++] = guest_call(g, "path_filestat_set_times", (uint32_t)DOT, 1u, guest_text(g, path),
                          size, UINT64_C(1), UINT64_C(1), 5u);
    if (!follows_only) { /* calls that act on the last component itself */
        got[n++] = guest_open(g, DOT, path, WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, NULL);
        got[n++] = guest_path(g, "path_create_directory", DOT, path);
        got[n++] = guest_path(g, "path_unlink_file", DOT, path);
        got[n++] = guest_path(g, "path_remove_directory", DOT, path);
        got[n++] = guest_two_paths(g, "path_rename", DOT, path, DOT, "got");
        got[n++] = guest_two_paths(g, "path_rename", DOT, "file", DOT, path);
        got[n++] = guest_two_paths(g, "path_link", DOT, path, DOT, "got");
        got[n++] = guest_two_paths(g, "path_link", DOT, "file", DOT, path);
        got[n++] = guest_symlink(g, "x", DOT, path);
        got[n++] = guest_call(g, "path_readlink", (uint32_t)DOT, guest_text(g, path), size, OUT,
                              64u, OUT + 64);
    }
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        good = good && got[i] == wanted;
        if (got[i] != wanted) {
            tap_note("%s, call %zu: %d", path, i, got[i]);
        }
    }
    tap_ok(good, "all %zu calls on %s answer %d", n, path, wanted);
    tap_ok(wanted != WASI_ENOTCAPABLE || g->denial_count - before == n, "each is recorded: %s",
           g->denials[0]);
    tap_ok(outside_untouched() && there("in/file") && !there("in/got"), "and nothing has changed");
}

static void test_paths_up(void)
{
    struct guest g;
    build(&g);
    static const char *const paths[] = {
        "../out/secret",     "a/../../out/secret",  "a/b/../../../out/secret",
        "./.././out/secret", "../in/../out/victim", "/etc/passwd",
        "//etc/passwd",      "..//out/secret",      "a/../..//out/./secret"
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        every_call(&g, paths[i], WASI_ENOTCAPABLE, false);
    }
    /* The same attempt outside: it would work. */
    const int in = open(at("in"), O_PATH | O_DIRECTORY),
              fd = openat(in, "a/../../out/secret", O_RDWR);
    tap_ok(fd >= 0, "the host itself opens a/../../out/secret from there");
    (void)close(fd);
    (void)close(in);
    uint32_t sub, up;
    tap_ok(guest_open_with(&g, DOT, 0, "a/b", WASI_OFLAG_DIRECTORY, WASI_RIGHTS_DIRECTORY,
                           WASI_RIGHTS_ALL, 0, &sub) == 0 &&
               guest_open(&g, sub, "..", WASI_OFLAG_DIRECTORY, 0, &up) == WASI_ENOTCAPABLE,
           "a directory that was opened is a root of its own: no .. above it");
    uint64_t size;
    uint8_t type;
    tap_ok(guest_stat(&g, DOT, 0, "a/.//b/../../a/b///./deep", &size, &type) == 0 && size == 4,
           ".. inside is no matter");
    tear_down(&g);
}

static void test_links(void)
{
    struct guest g;
    build(&g);
    static const char *const out[] = {
        "abs",           "rel",           "rel/secret",      "chain/secret",
        "chain2/secret", "dotted/secret", "self/rel/secret", "abs_inside"
    };
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        every_call(&g, out[i], WASI_ENOTCAPABLE, strchr(out[i], '/') == NULL);
    }
    struct stat st;
    tap_ok(stat(at("in/chain2/secret"), &st) == 0, "the host itself follows them");
    every_call(&g, "loop", WASI_ELOOP, true);
    /* What is there and what is not must look the same from inside. */
    static const char *const twins[] = { "rel/secret", "rel/missing", "rel/secret/", "rel/missing/",
                                         "dangling",   "dangling/",   "rel/",        "abs/" };
    bool same = true;
    for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
        const uint32_t size = (uint32_t)strlen(twins[i]);
        uint64_t file_size;
        uint8_t type;
        same = same && guest_stat(&g, DOT, WASI_LOOKUP_FOLLOW, twins[i], &file_size, &type) ==
                           WASI_ENOTCAPABLE;
        if (twins[i][size - 1] == '/') { /* a slash behind a link has the kernel follow it */
            const int linked = guest_two_paths(&g, "path_link", DOT, twins[i], DOT, "got");
            same = same && (linked == WASI_ENOTDIR || linked == WASI_ENOTCAPABLE);
            same = same && guest_call(&g, "path_readlink", (uint32_t)DOT, guest_text(&g, twins[i]),
                                      size, OUT, 64u, OUT + 64) == WASI_ENOTCAPABLE;
        }
    }
    tap_ok(same && !there("in/got"), "no call tells an outside file from a missing one");
    tap_ok(guest_path(&g, "path_remove_directory", DOT, "rel/") == WASI_ENOTDIR &&
               guest_path(&g, "path_create_directory", DOT, "rel/") == WASI_EEXIST &&
               guest_two_paths(&g, "path_rename", DOT, "rel/", DOT, "got") == WASI_ENOTDIR &&
               there("in/rel") && outside_untouched(),
           "what acts on a name does not follow a link behind a slash");
    uint32_t fd;
    tap_ok(guest_open(&g, DOT, "magic/etc/passwd", 0, WASI_RIGHT_FD_READ, &fd) != 0,
           "a magic link leads nowhere");
    tap_ok(guest_open(&g, DOT, "dangling", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) ==
                   WASI_ENOTCAPABLE &&
               !there("out/missing"),
           "creating through a dangling link makes nothing outside");
    tap_ok(guest_open(&g, DOT, "tonew", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) == 0 &&
               there("in/newfile"),
           "one that stays inside makes its target");
    tap_ok(guest_open_with(&g, DOT, 0, "tonew", 0, WASI_RIGHT_FD_READ, 0, 0, &fd) == WASI_ELOOP,
           "without FOLLOW a link is not opened");
    tap_ok(guest_symlink(&g, "../../../../etc", DOT, "farm") == 0 &&
               guest_open(&g, DOT, "farm/passwd", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ENOTCAPABLE,
           "a link that the guest lays itself does not help it");
    for (int i = 0; i < 45; i++) { /* a chain longer than the kernel follows */
        char from[16], to[16];
        (void)snprintf(from, sizeof(from), "c%d", i);
        (void)snprintf(to, sizeof(to), "c%d", i + 1);
        (void)guest_symlink(&g, to, DOT, from);
    }
    tap_ok(guest_open(&g, DOT, "c0", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ELOOP,
           "a chain of 45 links is a loop");
    tap_ok(guest_two_paths(&g, "path_link", DOT, "rel", DOT, "rel2") == 0 && outside_untouched(),
           "a hard link of a link is a link");
    tear_down(&g);
}

static void test_roots(void)
{
    struct guest g;
    build(&g);
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "file", OTHER, "file") == WASI_EXDEV &&
               there("in/file") && !there("other/file"),
           "a rename from root to root is one from file system to file system");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "file", IN, "moved") == 0 && there("in/moved"),
           "`.` and the root's name are one root");
    tap_ok(guest_two_paths(&g, "path_rename", READONLY, "kept", DOT, "kept") == WASI_EROFS &&
               there("readonly/kept"),
           "nothing is moved out of a read-only root: %s", g.denials[0]);
    tap_ok(guest_two_paths(&g, "path_link", READONLY, "kept", DOT, "kept") == WASI_EROFS &&
               !there("in/kept"),
           "nor linked out of it, which would open it for writing");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "moved", READONLY, "new") == WASI_EROFS &&
               there("in/moved"),
           "nor moved into it");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "a", DOT, "a/b/c") == WASI_EINVAL,
           "a directory does not go into itself");
    /* The number changes hands, what it stands for does not. */
    uint32_t sub, fd;
    (void)guest_open_with(&g, DOT, 0, "a", WASI_OFLAG_DIRECTORY,
                          WASI_RIGHTS_DIRECTORY & ~WASI_RIGHT_PATH_UNLINK_FILE, WASI_RIGHT_FD_READ,
                          0, &sub);
    tap_ok(guest_call(&g, "fd_renumber", sub, (uint32_t)READONLY) == 0,
           "fd_renumber over a preopen");
    tap_ok(guest_call(&g, "fd_prestat_get", (uint32_t)READONLY, OUT) == WASI_EBADF,
           "the number is no preopen any more");
    tap_ok(guest_open(&g, READONLY, "../file", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ENOTCAPABLE &&
               guest_open(&g, READONLY, "b/deep", 0, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE,
                          &fd) == WASI_ENOTCAPABLE &&
               guest_path(&g, "path_unlink_file", READONLY, "b/deep") == WASI_ENOTCAPABLE &&
               there("in/a/b/deep"),
           "and has the rights of what was moved there, no more");
    tap_ok(guest_open(&g, READONLY, "kept", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ENOENT,
           "the read-only root is gone from it");
    tap_ok(guest_open(&g, OTHER, "x", WASI_OFLAG_CREAT, WASI_RIGHTS_FILE, &fd) == 0 &&
               guest_call(&g, "fd_renumber", fd, (uint32_t)OTHER) == 0 &&
               guest_open(&g, OTHER, "x", 0, 0, &fd) == WASI_ENOTDIR,
           "a file over a preopen is a file");
    tear_down(&g);
}

static void test_rights(void)
{
    struct guest g;
    build(&g);
    uint32_t dir, fd, sub;
    const uint64_t base = WASI_RIGHT_PATH_OPEN | WASI_RIGHT_FD_READDIR,
                   inherit = base | WASI_RIGHT_FD_READ;
    tap_ok(guest_open_with(&g, DOT, 0, "a", WASI_OFLAG_DIRECTORY, base, inherit, 0, &dir) == 0,
           "a directory with few rights");
    tap_ok(guest_open(&g, dir, "b/deep", 0, WASI_RIGHT_FD_READ, &fd) == 0, "hands on what it may");
    tap_ok(guest_open(&g, dir, "b/deep", 0, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE, &fd) ==
                   WASI_ENOTCAPABLE &&
               g.denial_kinds[0] == BV_WASI_DENIED_RIGHT,
           "and no more: %s", g.denials[0]);
    tap_ok(guest_open_with(&g, dir, 0, "b", WASI_OFLAG_DIRECTORY, base, WASI_RIGHTS_ALL, 0, &sub) ==
               WASI_ENOTCAPABLE,
           "not by way of a directory below it either");
    tap_ok(guest_open_with(&g, dir, 0, ".", WASI_OFLAG_DIRECTORY, WASI_RIGHT_PATH_CREATE_FILE, 0, 0,
                           &sub) == WASI_ENOTCAPABLE,
           "nor by opening itself again");
    tap_ok(guest_open(&g, dir, "new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_READ, &fd) ==
                   WASI_ENOTCAPABLE &&
               !there("in/a/new"),
           "no creating");
    tap_ok(guest_open(&g, dir, "b/deep", WASI_OFLAG_TRUNC, 0, &fd) == WASI_ENOTCAPABLE,
           "no truncating");
    tap_ok(guest_path(&g, "path_unlink_file", dir, "b/deep") == WASI_ENOTCAPABLE &&
               there("in/a/b/deep"),
           "no removing");
    tap_ok(guest_call(&g, "fd_fdstat_set_rights", dir, base, inherit | WASI_RIGHT_FD_WRITE) ==
               WASI_ENOTCAPABLE,
           "no getting it back");
    tap_ok(guest_open(&g, DOT, "file", 0, UINT64_MAX & ~WASI_RIGHTS_WRITING, &fd) == 0,
           "bits that WASI does not define do no harm");
    (void)guest_call(&g, "fd_fdstat_get", fd, OUT);
    tap_ok((guest_get(&g, OUT + 8, 8) & ~WASI_RIGHTS_FILE) == 0 && guest_get(&g, OUT + 16, 8) == 0,
           "and a file has the rights that a file can have");
    tear_down(&g);
}

/* ---- the race: a host thread exchanges a directory and a link to the outside as fast as it can ---- */

static atomic_bool stop;

static void *exchange(void *count)
{
    const int in = open(at("in"), O_PATH | O_DIRECTORY);
    while (!atomic_load(&stop)) {
        if (syscall(SYS_renameat2, in, "swap", in, "evil", 2 /* RENAME_EXCHANGE */) == 0) {
            (*(unsigned *)count)++;
        }
    }
    (void)close(in);
    return NULL;
}

static void test_race(void)
{
    struct guest g;
    build(&g);
    unsigned exchanges = 0, reached = 0, denied = 0, leaked = 0;
    pthread_t thread;
    (void)mkdir(at("in/swap"), 0700);
    put("in/swap/secret", "public");
    lay_link("../out", "in/evil");
    atomic_store(&stop, false);
    if (pthread_create(&thread, NULL, exchange, &exchanges) != 0) {
        printf("Bail out! no thread\n");
        return;
    }
    for (unsigned i = 0; i < 20000 || (exchanges < 1000 && i < 2000000); i++) {
        uint32_t fd, size = 0;
        char bytes[16] = "";
        const int result = guest_open(&g, DOT, "swap/secret", 0, WASI_RIGHT_FD_READ, &fd);
        denied += result == WASI_ENOTCAPABLE;
        if (result == 0) {
            (void)guest_read(&g, fd, bytes, 16, &size);
            reached += memcmp(bytes, "public", 6) == 0;
            leaked += memcmp(bytes, "SECRET", 6) == 0;
            (void)guest_call(&g, "fd_close", fd);
        }
        /* What would leave a mark outside. In a staged root it also brings the directory into the upper layer, for good, so that the host's
         * link is only not merged any more: that comes second. */
        if (i % 8 == 0 && (!staged || i >= 10000)) {
            (void)guest_path(&g, "path_create_directory", DOT, "swap/mark");
            (void)guest_path(&g, "path_remove_directory", DOT, "swap/mark");
            (void)guest_path(&g, "path_unlink_file", DOT, "swap/victim");
            (void)guest_open(&g, DOT, "swap/victim", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE, NULL);
            (void)guest_two_paths(&g, "path_link", DOT, "file", DOT, "swap/mark");
            (void)guest_path(&g, "path_unlink_file", DOT, "swap/mark");
            (void)guest_call(&g, "path_filestat_set_times", (uint32_t)DOT, 1u,
                             guest_text(&g, "swap/victim"), 11u, UINT64_C(1), UINT64_C(1), 5u);
        }
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    tap_note("%u exchanges, %u opens inside, %u denied", exchanges, reached, denied);
    tap_ok(exchanges >= 1000 && reached > 0 && denied > 0,
           "the race was on, and both faces were seen");
    tap_ok(leaked == 0, "no open ended outside");
    tap_ok(outside_untouched() && !there("out/mark"), "no call left a mark outside");
    tear_down(&g);
}

int main(void)
{
    for (int turn = 0; turn < 2; turn++) {
        staged = turn > 0;
        tap_note("roots that are %s", staged ? "staged" : "live");
        test_paths_up();
        test_links();
        test_roots();
        test_rights();
        test_race();
    }
    return tap_done();
}
