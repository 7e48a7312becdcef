/* tests/unit/test_wasi_access.c - what a root allows, whatever a descriptor holds: read-only and write-only roots, roots in
 * roots, special files, odd names, slashes, and the limit on descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

static char host[64];
enum { DOT = 3, OUT = 1u << 20 };

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *text = path[turn++ % 4];
    (void)snprintf(text, sizeof(path[0]), "%s/%s", host, name);
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

static bool there(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0;
}

static long long size_of(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0 ? (long long)st.st_size : -1;
}

static struct timespec changed(const char *name)
{
    struct stat st = { 0 };
    (void)lstat(at(name), &st);
    return st.st_ctim;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void lay_out(void)
{
    guest_scratch_dir(host);
    (void)mkdir(at("dir"), 0700);
    (void)mkdir(at("empty"), 0700);
    put("file", "0123456789");
    if (symlink("file", at("link")) != 0) {
        printf("Bail out! link\n");
    }
}

static void test_read_only(void)
{
    struct guest g;
    lay_out();
    guest_start_at(&g, host, BV_WASI_READ);
    const struct timespec file = changed("file"), top = changed(""), dir = changed("dir");
    uint32_t fd = 0, size;
    char bytes[16];
    const int wrong[] = {
        guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_WRITE, NULL),
        guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE, NULL),
        guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_ALLOCATE, NULL),
        guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_FILESTAT_SET_SIZE, NULL),
        guest_open(&g, DOT, "file", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_READ, NULL),
        guest_open(&g, DOT, "link", WASI_OFLAG_TRUNC, 0, NULL),
        guest_open(&g, DOT, "new", WASI_OFLAG_CREAT, 0, NULL),
        guest_open(&g, DOT, "new", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHT_FD_WRITE, NULL),
        guest_path(&g, "path_create_directory", DOT, "new"),
        guest_path(&g, "path_unlink_file", DOT, "file"),
        guest_path(&g, "path_remove_directory", DOT, "empty"),
        guest_two_paths(&g, "path_rename", DOT, "file", DOT, "new"),
        guest_two_paths(&g, "path_link", DOT, "file", DOT, "new"),
        guest_symlink(&g, "file", DOT, "new"),
        guest_call(&g, "path_filestat_set_times", 3u, 0u, guest_text(&g, "file"), 4u, UINT64_C(1),
                   UINT64_C(1), 5u),
    };
    bool all = true;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        all = all && wrong[i] == WASI_EROFS;
    }
    tap_ok(all && g.denial_count == sizeof(wrong) / sizeof(wrong[0]),
           "every change in a read-only root is EROFS and recorded");
    tap_ok(guest_open(&g, DOT, "file", WASI_OFLAG_CREAT, WASI_RIGHT_FD_READ, &fd) == 0 &&
               guest_read(&g, fd, bytes, 16, &size) == 0 && size == 10,
           "reading is not, also with CREAT for what exists");
    tap_ok(guest_open(&g, DOT, "file", 0, WASI_RIGHTS_FILE & ~WASI_RIGHTS_WRITING, &fd) == 0 &&
               guest_call(&g, "fd_filestat_set_times", fd, UINT64_C(1), UINT64_C(1), 5u) ==
                   WASI_EROFS,
           "a descriptor for reading does not change times: %s", g.denials[0]);
    tap_ok(guest_call(&g, "fd_filestat_set_times", 3u, UINT64_C(1), UINT64_C(1), 5u) == WASI_EROFS,
           "nor does the preopen itself");
    tap_ok(guest_call(&g, "fd_filestat_set_size", fd, UINT64_C(0)) == WASI_ENOTCAPABLE &&
               guest_call(&g, "fd_allocate", fd, UINT64_C(0), UINT64_C(99)) == WASI_ENOTCAPABLE &&
               guest_write(&g, fd, "x", 1, NULL) == WASI_ENOTCAPABLE,
           "nor its size or contents");
    tap_ok(same_time(file, changed("file")) && same_time(top, changed("")) &&
               same_time(dir, changed("dir")) && size_of("file") == 10,
           "nothing has changed on the host");
    const int host_fd = open(at("file"), O_WRONLY);
    tap_ok(host_fd >= 0, "the host may write there");
    (void)close(host_fd);
    guest_stop(&g);
    guest_remove_tree(host);
}

static void test_write_only(void)
{
    struct guest g;
    lay_out();
    guest_start_at(&g, host, BV_WASI_WRITE);
    uint32_t fd = 0, dir = 0;
    tap_ok(guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_READ, &fd) == WASI_EACCES &&
               g.denial_kinds[0] == BV_WASI_DENIED_READ,
           "a write-only root is not read: %s", g.denials[0]);
    tap_ok(guest_open(&g, DOT, "new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE,
                      &fd) == WASI_EACCES &&
               !there("new"),
           "nor made to be read");
    tap_ok(guest_call(&g, "fd_readdir", 3u, OUT, 100u, UINT64_C(0), OUT - 8u) == WASI_EACCES &&
               guest_open(&g, DOT, "dir", WASI_OFLAG_DIRECTORY, WASI_RIGHT_FD_READDIR, &dir) ==
                   WASI_EACCES &&
               guest_call(&g, "path_readlink", 3u, guest_text(&g, "link"), 4u, OUT, 10u,
                          OUT + 16) == WASI_EACCES,
           "nor are its directories and links");
    tap_ok(guest_open(&g, DOT, "new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) == 0 &&
               guest_write(&g, fd, "abc", 3, NULL) == 0 && size_of("new") == 3,
           "it is written to");
    guest_stop(&g);
    guest_remove_tree(host);
}

/* ---- one root in another: the innermost decides ---- */

static void start_nested(struct guest *g, enum bv_wasi_access outer, enum bv_wasi_access inner)
{
    struct bv_wasi_options options;
    const struct bv_wasi_root roots[] = {
        { open(host, O_PATH), "/srv", outer, BV_WASI_ROOT_DECLARED, UINT64_MAX },
        { open(at("dir"), O_PATH), "/srv/dir", inner, BV_WASI_ROOT_DECLARED, UINT64_MAX }
    };
    guest_defaults(g, &options);
    options.roots = roots;
    options.root_count = 2;
    guest_start(g, &options);
    (void)close(roots[0].fd);
    (void)close(roots[1].fd);
}

static void test_nested(void)
{
    struct guest g;
    uint32_t fd, sub;
    lay_out();
    put("dir/kept", "kept");
    (void)mkdir(at("dir/sub"), 0700);
    if (symlink("dir/kept", at("way_in")) != 0 || symlink("../file", at("dir/way_out")) != 0) {
        printf("Bail out! link\n");
    }
    start_nested(&g, BV_WASI_READ_WRITE, BV_WASI_READ);
    tap_ok(guest_open(&g, DOT, "dir/kept", 0, WASI_RIGHT_FD_WRITE, &fd) == WASI_EROFS,
           "a read-only root in a writable one is read-only");
    tap_ok(guest_open(&g, DOT, "way_in", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE, &fd) ==
                   WASI_EROFS &&
               size_of("dir/kept") == 4,
           "also by a link from outside it");
    tap_ok(guest_open(&g, DOT, "dir/sub/new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) ==
                   WASI_EROFS &&
               !there("dir/sub/new"),
           "also further down");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "dir/kept") == WASI_EROFS &&
               guest_two_paths(&g, "path_rename", DOT, "dir/kept", DOT, "out") == WASI_EROFS &&
               guest_two_paths(&g, "path_link", DOT, "dir/kept", DOT, "out") == WASI_EROFS &&
               there("dir/kept") && !there("out"),
           "by every call");
    tap_ok(guest_open_with(&g, DOT, 0, "dir/sub", WASI_OFLAG_DIRECTORY, WASI_RIGHTS_DIRECTORY,
                           WASI_RIGHTS_ALL, 0, &sub) == 0 &&
               guest_path(&g, "path_create_directory", sub, "x") == WASI_EROFS &&
               guest_call(&g, "fd_filestat_set_times", sub, UINT64_C(1), UINT64_C(1), 5u) ==
                   WASI_EROFS,
           "and through a directory that was opened on the way");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "dir", DOT, "elsewhere") == WASI_EBUSY &&
               guest_path(&g, "path_remove_directory", DOT, "dir") == WASI_EBUSY &&
               there("dir/kept"),
           "the inner root itself stays where it is");
    tap_ok(guest_open(&g, DOT, "dir/way_out", 0, WASI_RIGHT_FD_WRITE, &fd) == 0,
           "a link from it leads to what the outer one allows");
    guest_stop(&g);

    start_nested(&g, BV_WASI_READ, BV_WASI_READ_WRITE);
    tap_ok(guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_WRITE, &fd) == WASI_EROFS &&
               guest_open(&g, DOT, "dir/kept", 0, WASI_RIGHT_FD_WRITE, &fd) == 0 &&
               guest_open(&g, DOT, "dir/new", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) == 0 &&
               there("dir/new") &&
               guest_path(&g, "path_create_directory", DOT, "dir/sub/made") == 0 &&
               there("dir/sub/made"),
           "a writable root in a read-only one is writable, by the outer's paths too");
    tap_ok(guest_open(&g, DOT, "dir/way_out", 0, WASI_RIGHT_FD_WRITE, &fd) == WASI_EROFS,
           "a link from it leads to what the outer one forbids");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "dir/new", DOT, "new") == WASI_EROFS,
           "nothing moves from it to the outer one");
    guest_stop(&g);
    guest_remove_tree(host);
}

/* A directory that is exposed under another name has that access by that name, and the root's by the root's. */
static void test_exposed(void)
{
    struct guest g;
    struct bv_wasi_options options;
    uint32_t fd;
    lay_out();
    put("dir/x", "x");
    (void)mkdir(at("dir/sub"), 0700);
    const struct bv_wasi_root roots[] = {
        { open(host, O_PATH), "/srv", BV_WASI_READ, BV_WASI_ROOT_DECLARED, UINT64_MAX },
        { open(at("dir"), O_PATH), "/in", BV_WASI_READ_WRITE, BV_WASI_ROOT_EXPOSED, UINT64_MAX },
        { open(at("dir/sub"), O_PATH), "/srv/dir/sub", BV_WASI_READ, BV_WASI_ROOT_DECLARED,
          UINT64_MAX }
    };
    guest_defaults(&g, &options);
    options.roots = roots;
    options.root_count = 3;
    guest_start(&g, &options);
    tap_ok(guest_open(&g, DOT, "dir/x", 0, WASI_RIGHT_FD_WRITE, &fd) == WASI_EROFS &&
               guest_open(&g, 5, "x", 0, WASI_RIGHT_FD_WRITE, &fd) == 0,
           "an exposed directory is writable by its own name only");
    tap_ok(guest_open(&g, 5, "sub/new", WASI_OFLAG_CREAT, 0, &fd) == WASI_EROFS &&
               !there("dir/sub/new"),
           "a declared root in it is what it is by every name");
    guest_stop(&g);
    options.dot_root = 0;
    options.dot_path = "dir/sub";
    guest_start(&g, &options);
    tap_ok(guest_call(&g, "fd_filestat_set_times", 3u, UINT64_C(1), UINT64_C(1), 5u) == WASI_EROFS,
           "`.` in an inner root is the inner root's");
    guest_stop(&g);
    for (int i = 0; i < 3; i++) {
        (void)close(roots[i].fd);
    }
    guest_remove_tree(host);
}

/* ---- special files ---- */

static void test_special(void)
{
    struct guest g;
    lay_out();
    uint32_t fd, size;
    char bytes[16];
    (void)mkfifo(at("pipe"), 0600);
    const int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", at("socket"));
    (void)bind(sock, (struct sockaddr *)&name, sizeof(name));
    guest_start_at(&g, host, BV_WASI_READ_WRITE);
    tap_ok(guest_open(&g, DOT, "pipe", 0, WASI_RIGHT_FD_WRITE, &fd) == WASI_ENXIO,
           "a pipe that nobody reads is not waited for");
    tap_ok(guest_open(&g, DOT, "pipe", 0, WASI_RIGHTS_FILE & ~WASI_RIGHTS_WRITING, &fd) == 0,
           "nor one that nobody writes");
    g.impatient = true;
    tap_ok(guest_read(&g, fd, bytes, 16, &size) == GUEST_WAITING,
           "without a writer the guest waits, not the host");
    const int writer = open(at("pipe"), O_WRONLY | O_NONBLOCK);
    tap_ok(guest_read(&g, fd, bytes, 16, &size) == GUEST_WAITING, "with one that is silent, too");
    tap_ok(write(writer, "abc", 3) == 3 && guest_read(&g, fd, bytes, 16, &size) == 0 && size == 3,
           "and reads what comes");
    (void)close(writer);
    tap_ok(guest_open(&g, DOT, "socket", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ENXIO &&
               g.denial_kinds[0] == BV_WASI_DENIED_DEVICE,
           "a socket is not opened: %s", g.denials[0]);
    (void)close(sock);
    if (mknod(at("mem"), S_IFCHR | 0600, makedev(1, 1)) != 0 ||
        mknod(at("disk"), S_IFBLK | 0600, makedev(7, 0)) != 0 ||
        mknod(at("null"), S_IFCHR | 0600, makedev(1, 3)) != 0) {
        tap_skip("device nodes cannot be made here: %s", strerror(errno));
    } else {
        tap_ok(guest_open(&g, DOT, "mem", 0, WASI_RIGHT_FD_READ, &fd) == WASI_EACCES &&
                   guest_open(&g, DOT, "disk", 0, WASI_RIGHT_FD_READ, &fd) == WASI_EACCES,
               "a device node in a root is not opened: %s", g.denials[0]);
        const int null = open(at("null"), O_RDWR);
        if (null < 0) {
            tap_skip("this file system opens no device");
        } else {
            tap_ok(guest_open(&g, DOT, "null", 0, WASI_RIGHT_FD_WRITE, &fd) == 0 &&
                       guest_write(&g, fd, "x", 1, &size) == 0 && size == 1,
                   "the null device is what every program may have");
            (void)close(null);
        }
    }
    guest_stop(&g);
    guest_remove_tree(host);
}

/* ---- names ---- */

static void test_names(void)
{
    struct guest g;
    static char long_path[5000], long_name[300], deep[2100];
    uint64_t size;
    uint8_t type;
    uint32_t fd;
    lay_out();
    guest_start_at(&g, host, BV_WASI_READ_WRITE);
    memset(long_path, 'x', sizeof(long_path) - 1);
    memset(long_name, 'n', 256);
    for (size_t i = 0; i + 2 < sizeof(deep); i += 2) {
        memcpy(deep + i, "d/", 2);
    }
    tap_ok(guest_open(&g, DOT, "", 0, 0, &fd) == WASI_ENOENT &&
               guest_stat(&g, DOT, 0, "", &size, &type) == WASI_ENOENT &&
               guest_path(&g, "path_create_directory", DOT, "") == WASI_ENOENT,
           "an empty path is no file");
    tap_ok(guest_call(&g, "path_unlink_file", 3u, guest_bytes(&g, "file\0", 5), 5u) ==
                   WASI_EINVAL &&
               there("file"),
           "a NUL is no name");
    tap_ok(guest_open(&g, DOT, "fi\xff", WASI_OFLAG_CREAT, 0, &fd) == WASI_EILSEQ &&
               guest_open(&g, DOT, "\xc0\xaf", 0, 0, &fd) == WASI_EILSEQ &&
               guest_symlink(&g, "\xed\xa0\x80", DOT, "l") == WASI_EILSEQ,
           "what is not UTF-8 is no path");
    tap_ok(guest_open(&g, DOT, "d\xc3\xa9j\xc3\xa0 \xf0\x9f\x98\x80", WASI_OFLAG_CREAT, 0, &fd) ==
                   0 &&
               there("d\xc3\xa9j\xc3\xa0 \xf0\x9f\x98\x80"),
           "what is, is");
    tap_ok(guest_stat(&g, DOT, 0, long_path, &size, &type) == WASI_ENAMETOOLONG &&
               guest_path(&g, "path_create_directory", DOT, long_name) == WASI_ENAMETOOLONG,
           "there is an end to paths and names");
    tap_ok(guest_stat(&g, DOT, 0, deep, &size, &type) == WASI_ENOENT,
           "a path of a thousand components is looked up");
    tap_ok(guest_path(&g, "path_unlink_file", 55, "file") == WASI_EBADF &&
               guest_call(&g, "path_unlink_file", 3u, GUEST_MEMORY - 2u, 4u) == WASI_EFAULT,
           "no directory, no memory");
    tap_ok(guest_open(&g, DOT, "file", 0, WASI_RIGHTS_FILE, &fd) == 0 &&
               guest_open(&g, fd, "x", 0, 0, &fd) == WASI_ENOTDIR,
           "a file is no directory");
    guest_stop(&g);
    guest_remove_tree(host);
}

static void test_slashes(void)
{
    struct guest g;
    uint32_t fd;
    lay_out();
    guest_start_at(&g, host, BV_WASI_READ_WRITE);
    tap_ok(guest_open(&g, DOT, "file/", 0, WASI_RIGHT_FD_READ, &fd) == WASI_ENOTDIR &&
               guest_open(&g, DOT, "dir///", 0, 0, &fd) == 0,
           "a slash behind a name means a directory");
    tap_ok(guest_open(&g, DOT, "new/", WASI_OFLAG_CREAT, WASI_RIGHT_FD_WRITE, &fd) == WASI_EISDIR &&
               !there("new"),
           "a file is not made by such a name");
    tap_ok(guest_symlink(&g, "source", DOT, "target/") == WASI_ENOENT &&
               guest_symlink(&g, "source", DOT, "dir/") == WASI_EEXIST,
           "nor a link");
    tap_ok(guest_two_paths(&g, "path_link", DOT, "file", DOT, "hard/") == WASI_ENOENT &&
               guest_two_paths(&g, "path_link", DOT, "file/", DOT, "hard") == WASI_ENOTDIR &&
               !there("hard"),
           "nor a hard one");
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "dir/", DOT, "moved/") == 0 && there("moved") &&
               guest_two_paths(&g, "path_rename", DOT, "file/", DOT, "x") == WASI_ENOTDIR,
           "a directory moves with or without slashes, a file without");
    tap_ok(guest_path(&g, "path_unlink_file", DOT, "moved/") == WASI_EISDIR &&
               guest_path(&g, "path_remove_directory", DOT, "moved//") == 0,
           "and is removed so");
    tap_ok(guest_path(&g, "path_create_directory", DOT, ".") == WASI_EEXIST &&
               guest_path(&g, "path_remove_directory", DOT, "empty/.") == WASI_EINVAL &&
               guest_two_paths(&g, "path_rename", DOT, "empty/.", DOT, "x") == WASI_EBUSY &&
               guest_path(&g, "path_unlink_file", DOT, ".") == WASI_EISDIR &&
               guest_path(&g, "path_remove_directory", DOT, "nothing/.") == WASI_ENOENT &&
               there("empty"),
           "a dot at the end is what POSIX says");
    tap_ok(guest_open(&g, DOT, ".", WASI_OFLAG_DIRECTORY, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE,
                      &fd) == WASI_EISDIR &&
               guest_open(&g, DOT, "dir", WASI_OFLAG_DIRECTORY | WASI_OFLAG_CREAT, 0, &fd) ==
                   WASI_EINVAL &&
               guest_open(&g, DOT, "link", WASI_OFLAG_DIRECTORY, 0, &fd) == WASI_ENOTDIR &&
               guest_open(&g, DOT, "empty", 0, WASI_RIGHT_FD_SEEK, &fd) == 0 &&
               guest_call(&g, "fd_seek", fd, UINT64_C(0), 1u, OUT) == WASI_EISDIR,
           "a directory is opened as one, and not for writing or seeking");
    guest_stop(&g);
    guest_remove_tree(host);
}

/* ---- the limit on descriptors ---- */

static void test_handles(void)
{
    struct guest g;
    struct bv_wasi_options options;
    struct bv_wasi_usage usage;
    struct bv_wasi *none = NULL;
    const char *why = "";
    lay_out();
    const struct bv_wasi_root root = { open(host, O_PATH), "/root", BV_WASI_READ_WRITE,
                                       BV_WASI_ROOT_DECLARED, UINT64_MAX };
    guest_defaults(&g, &options);
    options.roots = &root;
    options.root_count = 1;
    options.handles_max = 4;
    tap_ok(bv_wasi_new(&options, &none, &why) == -EMFILE && !none,
           "a limit below the preopens is refused: %s", why);
    options.handles_max = 8;
    guest_start(&g, &options);
    uint32_t fd = 0, opened = 0;
    while (guest_open(&g, DOT, "file", 0, WASI_RIGHT_FD_READ, &fd) == 0) {
        opened++;
    }
    tap_ok(opened == 3 && fd == 7 && g.denial_kinds[0] == BV_WASI_DENIED_HANDLES,
           "8 descriptors, 5 of them from the start: %s", g.denials[0]);
    tap_ok(guest_open(&g, DOT, "new", WASI_OFLAG_CREAT, 0, &fd) == WASI_EMFILE && !there("new"),
           "beyond it nothing is made");
    tap_ok(guest_open(&g, DOT, "file", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE, &fd) == WASI_EMFILE &&
               size_of("file") == 10,
           "or truncated");
    tap_ok(guest_call(&g, "fd_close", 5u) == 0 && guest_open(&g, DOT, "file", 0, 0, &fd) == 0 &&
               fd == 5,
           "the lowest free number is given again");
    for (unsigned i = 0; i < 100000; i++) {
        (void)guest_open(&g, DOT, "file", 0, 0, &fd);
    }
    bv_wasi_usage(g.wasi, &usage);
    tap_ok(usage.handles_open == 8 && usage.handles_peak == 8 && usage.handles_refused == 100003,
           "peak %llu, refused %llu", (unsigned long long)usage.handles_peak,
           (unsigned long long)usage.handles_refused);
    for (uint32_t number = 0; number < 8; number++) {
        (void)guest_call(&g, "fd_close", number);
    }
    bv_wasi_usage(g.wasi, &usage);
    tap_ok(usage.handles_open == 0 && usage.handles_peak == 8,
           "all closed, preopens and streams too");
    guest_stop(&g);
    (void)close(root.fd);
    guest_remove_tree(host);
}

/* ---- what a guest finds ---- */

static bool preopen_is(struct guest *g, uint32_t fd, const char *name)
{
    memset(g->memory + OUT, 0, 64);
    return guest_call(g, "fd_prestat_get", fd, OUT) == 0 &&
           guest_get(g, OUT + 4, 4) == strlen(name) &&
           guest_call(g, "fd_prestat_dir_name", fd, OUT + 16, 40u) == 0 &&
           memcmp(g->memory + OUT + 16, name, strlen(name)) == 0;
}

static void test_preopens(void)
{
    struct guest g;
    struct bv_wasi_options options;
    uint64_t size;
    uint8_t type;
    lay_out();
    put("dir/in_dir", "x");
    const struct bv_wasi_root roots[] = {
        { open(at("empty"), O_PATH), "/tmp", BV_WASI_READ_WRITE, BV_WASI_ROOT_TEMP, UINT64_MAX },
        { open(host, O_PATH), "/in", BV_WASI_READ, BV_WASI_ROOT_EXPOSED, UINT64_MAX },
        { open(host, O_PATH), "/srv", BV_WASI_READ, BV_WASI_ROOT_DECLARED, UINT64_MAX }
    };
    guest_defaults(&g, &options);
    options.roots = roots;
    options.root_count = 3;
    guest_start(&g, &options);
    tap_ok(preopen_is(&g, 3, ".") && preopen_is(&g, 4, "/tmp") && preopen_is(&g, 5, "/in") &&
               preopen_is(&g, 6, "/srv") && guest_call(&g, "fd_prestat_get", 7u, OUT) == WASI_EBADF,
           "`.` first, then every root by its name");
    tap_ok(guest_stat(&g, 3, 0, "file", &size, &type) == 0, "`.` is the first declared root");
    guest_stop(&g);
    options.root_count = 2;
    guest_start(&g, &options);
    tap_ok(preopen_is(&g, 3, ".") && guest_open(&g, 3, "in_tmp", WASI_OFLAG_CREAT, 0, NULL) == 0 &&
               there("empty/in_tmp"),
           "without one it is the temp root");
    guest_stop(&g);
    options.roots = roots + 1;
    options.root_count = 1;
    guest_start(&g, &options);
    tap_ok(preopen_is(&g, 3, "/in"), "without either there is none");
    guest_stop(&g);
    options.roots = roots;
    options.root_count = 3;
    options.dot_root = 2;
    options.dot_path = "dir";
    guest_start(&g, &options);
    tap_ok(preopen_is(&g, 3, ".") && guest_stat(&g, 3, 0, "in_dir", &size, &type) == 0 &&
               guest_stat(&g, 3, 0, "../file", &size, &type) == WASI_ENOTCAPABLE,
           "a working directory beneath a root is `.`");
    guest_stop(&g);
    struct bv_wasi *none = NULL;
    options.dot_path = "../x";
    tap_ok(bv_wasi_new(&options, &none, NULL) == -EXDEV && !none, "not one above it");
    for (int i = 0; i < 3; i++) {
        (void)close(roots[i].fd);
    }
    guest_remove_tree(host);
}

int main(void)
{
    test_read_only();
    test_write_only();
    test_nested();
    test_exposed();
    test_special();
    test_names();
    test_slashes();
    test_handles();
    test_preopens();
    return tap_done();
}
