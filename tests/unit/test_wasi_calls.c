/* tests/unit/test_wasi_calls.c - each of the 46 functions once with success and once with an error, judged on the host where
 * there is something to see. The table must name every function of the import table, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

/* The world of a case: a root with `file` (0123456789), `dir`, `dir/inner`, `link` -> file; DOT is `.`. */
static char host[64];
enum { DOT = 3, ROOT = 4, BAD = 99, OUT = 1u << 20, NOWHERE = GUEST_MEMORY - 1 };

static const char *on_host(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", host, name);
    return path;
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(on_host(name), &st) == 0;
}

static bool holds(const char *name, const char *text)
{
    char bytes[256] = "";
    const int fd = open(on_host(name), O_RDONLY);
    const ssize_t size = fd >= 0 ? read(fd, bytes, sizeof(bytes) - 1) : -1;
    (void)close(fd);
    return size == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

static uint32_t opened(struct guest *g, const char *path, uint32_t oflags, uint64_t rights)
{
    uint32_t fd = BAD;
    (void)guest_open(g, DOT, path, oflags, rights, &fd);
    return fd;
}

static uint32_t file(struct guest *g)
{
    return opened(g, "file", 0, WASI_RIGHTS_FILE);
}

static uint64_t mtime_of(const char *name)
{
    struct stat st;
    return lstat(on_host(name), &st) == 0
               ? (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec
               : 0;
}

/* A case that is one line stays one. */
/* clang-format off */
#define OK(name)  static bool name##_good(struct guest *g)
#define ERR(name) static bool name##_bad(struct guest *g)

OK(args_sizes_get)
{
    return guest_call(g, "args_sizes_get", OUT, OUT + 4) == 0 && guest_get(g, OUT, 4) == 2 &&
           guest_get(g, OUT + 4, 4) == 14;
}
ERR(args_sizes_get) { return guest_call(g, "args_sizes_get", NOWHERE, OUT) == WASI_EFAULT; }

OK(args_get)
{
    const bool done = guest_call(g, "args_get", OUT, OUT + 100) == 0;
    return done && guest_get(g, OUT, 4) == OUT + 100 && guest_get(g, OUT + 4, 4) == OUT + 111 &&
           memcmp(g->memory + OUT + 100, "guest.wasm\0-x", 14) == 0;
}
ERR(args_get) { return guest_call(g, "args_get", OUT, GUEST_MEMORY - 12u) == WASI_EFAULT; }

OK(environ_sizes_get)
{
    return guest_call(g, "environ_sizes_get", OUT, OUT + 4) == 0 && guest_get(g, OUT, 4) == 1 &&
           guest_get(g, OUT + 4, 4) == 4;
}
ERR(environ_sizes_get) { return guest_call(g, "environ_sizes_get", OUT, NOWHERE) == WASI_EFAULT; }
OK(environ_get) { return guest_call(g, "environ_get", OUT, OUT + 9) == 0 && memcmp(g->memory + OUT + 9, "A=b", 4) == 0; }
ERR(environ_get) { return guest_call(g, "environ_get", NOWHERE, OUT) == WASI_EFAULT; }

OK(clock_res_get) { return guest_call(g, "clock_res_get", 1u, OUT) == 0 && guest_get(g, OUT, 8) >= 1; }
ERR(clock_res_get) { return guest_call(g, "clock_res_get", 4u, OUT) == WASI_EINVAL; }
OK(clock_time_get)
{
    g->fuel_used = 5000;
    const bool cpu =
        guest_call(g, "clock_time_get", 2u, UINT64_C(0), OUT) == 0 && guest_get(g, OUT, 8) == 5000;
    return cpu && guest_call(g, "clock_time_get", 0u, UINT64_C(1), OUT) == 0 &&
           guest_get(g, OUT, 8) / 1000000000u - (uint64_t)time(NULL) + 2 <= 4;
}
ERR(clock_time_get) { return guest_call(g, "clock_time_get", 77u, UINT64_C(1), OUT) == WASI_EINVAL; }

OK(fd_advise) { return guest_call(g, "fd_advise", file(g), UINT64_C(0), UINT64_C(10), 2u) == 0; }
ERR(fd_advise) { return guest_call(g, "fd_advise", file(g), UINT64_C(0), UINT64_C(10), 6u) == WASI_EINVAL; }
OK(fd_allocate)
{
    struct stat st;
    return guest_call(g, "fd_allocate", file(g), UINT64_C(5), UINT64_C(100)) == 0 &&
           stat(on_host("file"), &st) == 0 && st.st_size == 105;
}
ERR(fd_allocate) { return guest_call(g, "fd_allocate", (uint32_t)DOT, UINT64_C(0), UINT64_C(1)) == WASI_EISDIR; }
OK(fd_close)
{
    const uint32_t fd = file(g);
    return guest_call(g, "fd_close", fd) == 0 && guest_call(g, "fd_tell", fd, OUT) == WASI_EBADF;
}
ERR(fd_close) { return guest_call(g, "fd_close", (uint32_t)BAD) == WASI_EBADF; }
OK(fd_datasync) { return guest_call(g, "fd_datasync", file(g)) == 0; }
ERR(fd_datasync) { return guest_call(g, "fd_datasync", opened(g, "file", 0, WASI_RIGHT_FD_READ)) == WASI_ENOTCAPABLE; }
OK(fd_sync) { return guest_call(g, "fd_sync", file(g)) == 0; }
ERR(fd_sync) { return guest_call(g, "fd_sync", 1u) == WASI_EINVAL; }

OK(fd_fdstat_get)
{
    return guest_call(g, "fd_fdstat_get", (uint32_t)DOT, OUT) == 0 &&
           guest_get(g, OUT, 1) == WASI_TYPE_DIRECTORY &&
           guest_get(g, OUT + 8, 8) == WASI_RIGHTS_DIRECTORY &&
           guest_get(g, OUT + 16, 8) == WASI_RIGHTS_ALL;
}
ERR(fd_fdstat_get) { return guest_call(g, "fd_fdstat_get", (uint32_t)BAD, OUT) == WASI_EBADF; }
OK(fd_fdstat_set_flags)
{
    const uint32_t fd = file(g);
    return guest_call(g, "fd_fdstat_set_flags", fd, WASI_FDFLAG_APPEND) == 0 &&
           guest_write(g, fd, "x", 1, NULL) == 0 && holds("file", "0123456789x");
}
ERR(fd_fdstat_set_flags) { return guest_call(g, "fd_fdstat_set_flags", file(g), WASI_FDFLAG_SYNC) == WASI_ENOTSUP; }
OK(fd_fdstat_set_rights)
{
    const uint32_t fd = file(g);
    return guest_call(g, "fd_fdstat_set_rights", fd, WASI_RIGHT_FD_READ, UINT64_C(0)) == 0 &&
           guest_write(g, fd, "x", 1, NULL) == WASI_ENOTCAPABLE && holds("file", "0123456789");
}
ERR(fd_fdstat_set_rights)
{
    const uint32_t fd = opened(g, "file", 0, WASI_RIGHT_FD_READ);
    return guest_call(g, "fd_fdstat_set_rights", fd, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE,
                      UINT64_C(0)) == WASI_ENOTCAPABLE &&
           g->denial_kinds[0] == BV_WASI_DENIED_RIGHT;
}
OK(fd_filestat_get)
{
    struct stat st;
    return guest_call(g, "fd_filestat_get", file(g), OUT) == 0 && stat(on_host("file"), &st) == 0 &&
           guest_get(g, OUT, 8) == st.st_dev && guest_get(g, OUT + 8, 8) == st.st_ino &&
           guest_get(g, OUT + 32, 8) == 10 && guest_get(g, OUT + 16, 1) == WASI_TYPE_REGULAR_FILE &&
           guest_get(g, OUT + 24, 8) == 1 && guest_get(g, OUT + 48, 8) == mtime_of("file");
}
ERR(fd_filestat_get) { return guest_call(g, "fd_filestat_get", file(g), NOWHERE) == WASI_EFAULT; }
OK(fd_filestat_set_size) { return guest_call(g, "fd_filestat_set_size", file(g), UINT64_C(3)) == 0 && holds("file", "012"); }
ERR(fd_filestat_set_size)
{
    return guest_call(g, "fd_filestat_set_size", file(g), UINT64_MAX) == WASI_EFBIG &&
           holds("file", "0123456789");
}
OK(fd_filestat_set_times)
{
    return guest_call(g, "fd_filestat_set_times", file(g), UINT64_C(1),
                      UINT64_C(1500000000000000007), WASI_FST_MTIM) == 0 &&
           mtime_of("file") == 1500000000000000007;
}
ERR(fd_filestat_set_times)
{
    const uint64_t before = mtime_of("file");
    return guest_call(g, "fd_filestat_set_times", file(g), UINT64_C(1), UINT64_C(2),
                      WASI_FST_MTIM | WASI_FST_MTIM_NOW) == WASI_EINVAL &&
           mtime_of("file") == before;
}
OK(fd_pread)
{
    return guest_call(g, "fd_pread", file(g), guest_iovec(g, OUT, 4), 1u, UINT64_C(3), OUT + 100) ==
               0 &&
           guest_get(g, OUT + 100, 4) == 4 && memcmp(g->memory + OUT, "3456", 4) == 0;
}
ERR(fd_pread) { return guest_call(g, "fd_pread", 0u, guest_iovec(g, OUT, 4), 1u, UINT64_C(3), OUT + 100) == WASI_ESPIPE; }
OK(fd_pwrite)
{
    memcpy(g->memory + OUT, "ab", 2);
    return guest_call(g, "fd_pwrite", file(g), guest_iovec(g, OUT, 2), 1u, UINT64_C(9),
                      OUT + 100) == 0 &&
           holds("file", "012345678ab");
}
ERR(fd_pwrite) { return guest_call(g, "fd_pwrite", file(g), guest_iovec(g, OUT, 2), 1u, (uint64_t)INT64_MAX, OUT + 100) == WASI_EINVAL; }
OK(fd_prestat_get) { return guest_call(g, "fd_prestat_get", (uint32_t)ROOT, OUT) == 0 && guest_get(g, OUT, 8) == (UINT64_C(5) << 32); }
ERR(fd_prestat_get) { return guest_call(g, "fd_prestat_get", file(g), OUT) == WASI_EBADF; }
OK(fd_prestat_dir_name)
{
    return guest_call(g, "fd_prestat_dir_name", (uint32_t)ROOT, OUT, 6u) == 0 &&
           memcmp(g->memory + OUT, "/root\0", 6) == 0;
}
ERR(fd_prestat_dir_name) { return guest_call(g, "fd_prestat_dir_name", (uint32_t)ROOT, OUT, 4u) == WASI_ENAMETOOLONG; }
OK(fd_read)
{
    char bytes[16];
    uint32_t size = 0;
    return guest_read(g, file(g), bytes, 16, &size) == 0 && size == 10 &&
           memcmp(bytes, "0123456789", 10) == 0;
}
ERR(fd_read) { return guest_call(g, "fd_read", file(g), guest_iovec(g, GUEST_MEMORY - 2u, 3), 1u, OUT) == WASI_EFAULT; }
OK(fd_readdir)
{
    return guest_call(g, "fd_readdir",
                      opened(g, "dir", WASI_OFLAG_DIRECTORY, WASI_RIGHT_FD_READDIR), OUT, 4096u,
                      UINT64_C(0), OUT - 8u) == 0 &&
           guest_get(g, OUT - 8u, 4) == 3 * 24 + 1 + 2 + 5; /* . .. inner */
}
ERR(fd_readdir) { return guest_call(g, "fd_readdir", file(g), OUT, 4096u, UINT64_C(0), OUT - 8u) == WASI_ENOTDIR; }
OK(fd_renumber)
{
    const uint32_t a = file(g), b = opened(g, "dir/inner", 0, WASI_RIGHTS_FILE);
    char bytes[4];
    uint32_t size = 0;
    return guest_call(g, "fd_renumber", a, b) == 0 && guest_read(g, b, bytes, 4, &size) == 0 &&
           memcmp(bytes, "0123", 4) == 0 && guest_call(g, "fd_close", a) == WASI_EBADF;
}
ERR(fd_renumber) { return guest_call(g, "fd_renumber", file(g), (uint32_t)BAD) == WASI_EBADF; }
OK(fd_seek) { return guest_call(g, "fd_seek", file(g), (uint64_t)-3, 2u, OUT) == 0 && guest_get(g, OUT, 8) == 7; }
ERR(fd_seek) { return guest_call(g, "fd_seek", file(g), (uint64_t)-3, 0u, OUT) == WASI_EINVAL; }
OK(fd_tell)
{
    const uint32_t fd = file(g);
    (void)guest_write(g, fd, "abc", 3, NULL);
    return guest_call(g, "fd_tell", fd, OUT) == 0 && guest_get(g, OUT, 8) == 3;
}
ERR(fd_tell) { return guest_call(g, "fd_tell", 1u, OUT) == WASI_ESPIPE; }
OK(fd_write)
{
    return guest_write(g, 1, "hello", 5, NULL) == 0 && g->output_size[0] == 5 &&
           memcmp(g->output[0], "hello", 5) == 0 &&
           guest_write(g, file(g), "hello", 5, NULL) == 0 && holds("file", "hello56789");
}
ERR(fd_write) { return guest_write(g, DOT, "x", 1, NULL) == WASI_EISDIR; }

OK(path_create_directory) { return guest_path(g, "path_create_directory", DOT, "dir/new/") == 0 && exists("dir/new"); }
ERR(path_create_directory) { return guest_path(g, "path_create_directory", DOT, "dir") == WASI_EEXIST; }
OK(path_filestat_get)
{
    uint64_t size = 0;
    uint8_t type = 0;
    return guest_stat(g, DOT, WASI_LOOKUP_FOLLOW, "link", &size, &type) == 0 && size == 10 &&
           type == WASI_TYPE_REGULAR_FILE && guest_stat(g, DOT, 0, "link", &size, &type) == 0 &&
           size == 4 && type == WASI_TYPE_SYMBOLIC_LINK;
}
ERR(path_filestat_get)
{
    uint64_t size;
    uint8_t type;
    return guest_stat(g, DOT, 0, "nothing", &size, &type) == WASI_ENOENT &&
           guest_stat(g, DOT, 2, "file", &size, &type) == WASI_EINVAL;
}
OK(path_filestat_set_times)
{
    const uint64_t before = mtime_of("file");
    return guest_call(g, "path_filestat_set_times", (uint32_t)DOT, 0u, guest_text(g, "link"), 4u,
                      UINT64_C(5), UINT64_C(7), WASI_FST_ATIM | WASI_FST_MTIM) == 0 &&
           mtime_of("link") == 7 && mtime_of("file") == before &&
           guest_call(g, "path_filestat_set_times", (uint32_t)DOT, 0u, guest_text(g, "link"), 4u, UINT64_C(5), UINT64_C(9),
                      WASI_FST_MTIM_NOW) == 0 &&
           mtime_of("link") >= before;
}
ERR(path_filestat_set_times)
{
    return guest_call(g, "path_filestat_set_times", (uint32_t)DOT, 0u, guest_text(g, "file"), 4u,
                      UINT64_C(5), UINT64_C(7), 16u) == WASI_EINVAL;
}
OK(path_link)
{
    struct stat st;
    return guest_two_paths(g, "path_link", DOT, "file", DOT, "dir/hard") == 0 &&
           stat(on_host("dir/hard"), &st) == 0 && st.st_nlink == 2;
}
ERR(path_link)
{
    return guest_two_paths(g, "path_link", DOT, "file", DOT, "link") == WASI_EEXIST &&
           guest_two_paths(g, "path_link", DOT, "dir", DOT, "new") == WASI_EPERM && !exists("new");
}
OK(path_open)
{
    uint32_t fd;
    return guest_open(g, DOT, "made", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHTS_FILE, &fd) ==
               0 &&
           fd > 4 && exists("made");
}
ERR(path_open)
{
    return guest_open(g, DOT, "file", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHTS_FILE, NULL) ==
               WASI_EEXIST &&
           guest_open(g, DOT, "nothing", 0, WASI_RIGHTS_FILE, NULL) == WASI_ENOENT;
}
OK(path_readlink)
{
    memset(g->memory + OUT, 'z', 8);
    return guest_call(g, "path_readlink", (uint32_t)DOT, guest_text(g, "link"), 4u, OUT, 8u,
                      OUT + 100) == 0 &&
           guest_get(g, OUT + 100, 4) == 4 && memcmp(g->memory + OUT, "filezzzz", 8) == 0;
}
ERR(path_readlink) { return guest_call(g, "path_readlink", (uint32_t)DOT, guest_text(g, "file"), 4u, OUT, 8u, OUT + 100) == WASI_EINVAL; }
OK(path_remove_directory)
{
    return guest_path(g, "path_unlink_file", DOT, "dir/inner") == 0 &&
           guest_path(g, "path_remove_directory", DOT, "dir/") == 0 && !exists("dir");
}
ERR(path_remove_directory)
{
    return guest_path(g, "path_remove_directory", DOT, "dir") == WASI_ENOTEMPTY &&
           guest_path(g, "path_remove_directory", DOT, "file") == WASI_ENOTDIR && exists("dir");
}
OK(path_rename)
{
    return guest_two_paths(g, "path_rename", DOT, "file", ROOT, "dir/inner") == 0 &&
           !exists("file") && holds("dir/inner", "0123456789");
}
ERR(path_rename)
{
    return guest_two_paths(g, "path_rename", DOT, "file", DOT, "dir") == WASI_EISDIR &&
           guest_two_paths(g, "path_rename", DOT, "nothing", DOT, "x") == WASI_ENOENT &&
           exists("file");
}
OK(path_symlink)
{
    char target[16] = "";
    return guest_symlink(g, "../none", DOT, "dir/dangling") == 0 &&
           readlink(on_host("dir/dangling"), target, 15) == 7 && strcmp(target, "../none") == 0;
}
ERR(path_symlink)
{
    return guest_symlink(g, "x", DOT, "file") == WASI_EEXIST &&
           guest_symlink(g, "/etc/passwd", DOT, "abs") == WASI_ENOTCAPABLE && !exists("abs");
}
OK(path_unlink_file) { return guest_path(g, "path_unlink_file", DOT, "link") == 0 && !exists("link") && exists("file"); }
ERR(path_unlink_file)
{
    return guest_path(g, "path_unlink_file", DOT, "dir") == WASI_EISDIR &&
           guest_path(g, "path_unlink_file", DOT, "file/") == WASI_ENOTDIR && exists("file");
}

OK(poll_oneoff)
{
    memset(g->memory + OUT, 0, 48);
    guest_put(g, OUT, 0x1122334455667788, 8);
    guest_put(g, OUT + 16, 1, 4);        /* monotonic */
    guest_put(g, OUT + 24, 20000000, 8); /* 20 ms */
    return guest_call(g, "poll_oneoff", OUT, OUT + 100, 1u, OUT + 200) == 0 &&
           guest_get(g, OUT + 200, 4) == 1 && g->again >= 1 &&
           guest_get(g, OUT + 100, 8) == 0x1122334455667788 && guest_get(g, OUT + 108, 4) == 0;
}
ERR(poll_oneoff)
{
    return guest_call(g, "poll_oneoff", OUT, OUT + 100, 0u, OUT + 200) == WASI_EINVAL &&
           guest_call(g, "poll_oneoff", OUT, OUT + 100, 4097u, OUT + 200) == WASI_EINVAL;
}
OK(proc_exit)
{
    struct bv_wasi_ending ending = { true, 0 };
    return !bv_wasi_ended(g->wasi, &ending) && guest_call(g, "proc_exit", 7u) == GUEST_HALTED &&
           bv_wasi_ended(g->wasi, &ending) && !ending.signalled && ending.code == 7;
}
ERR(proc_exit) /* it has no errno: a code beyond 125 is passed on as it is, for whoever reports it */
{
    struct bv_wasi_ending ending = { true, 0 };
    return guest_call(g, "proc_exit", UINT32_MAX) == GUEST_HALTED &&
           bv_wasi_ended(g->wasi, &ending) && ending.code == UINT32_MAX;
}
OK(proc_raise)
{
    struct bv_wasi_ending ending = { false, 0 };
    return guest_call(g, "proc_raise", 16u) == 0 &&
           guest_call(g, "proc_raise", 6u) == GUEST_HALTED && bv_wasi_ended(g->wasi, &ending) &&
           ending.signalled && ending.code == SIGABRT;
}
ERR(proc_raise) { return guest_call(g, "proc_raise", 31u) == WASI_EINVAL && guest_call(g, "proc_raise", 18u) == WASI_ENOTSUP; }
OK(random_get)
{
    static const uint8_t zeros[64];
    memset(g->memory + OUT, 0, 128);
    return guest_call(g, "random_get", OUT, 64u) == 0 && memcmp(g->memory + OUT, zeros, 64) != 0 &&
           memcmp(g->memory + OUT + 64, zeros, 64) == 0;
}
ERR(random_get) { return guest_call(g, "random_get", NOWHERE, 2u) == WASI_EFAULT; }
OK(sched_yield) { return guest_call(g, "sched_yield") == 0 && g->again == 1; }
ERR(sched_yield) { return guest_call(g, "sched_yield") == 0; } /* it cannot fail: a second call is like the first */
OK(sock_accept) { return guest_call(g, "sock_accept", 1u, 0u, OUT) == WASI_ENOTSOCK; } /* no socket exists: its right answer */
ERR(sock_accept) { return guest_call(g, "sock_accept", (uint32_t)BAD, 0u, OUT) == WASI_EBADF; }
OK(sock_recv) { return guest_call(g, "sock_recv", 0u, OUT, 1u, 0u, OUT, OUT) == WASI_ENOTSOCK; }
ERR(sock_recv) { return guest_call(g, "sock_recv", (uint32_t)BAD, OUT, 1u, 0u, OUT, OUT) == WASI_EBADF; }
OK(sock_send) { return guest_call(g, "sock_send", file(g), OUT, 1u, 0u, OUT) == WASI_ENOTSOCK; }
ERR(sock_send) { return guest_call(g, "sock_send", (uint32_t)BAD, OUT, 1u, 0u, OUT) == WASI_EBADF; }
OK(sock_shutdown) { return guest_call(g, "sock_shutdown", 2u, 3u) == WASI_ENOTSOCK; }
ERR(sock_shutdown) { return guest_call(g, "sock_shutdown", (uint32_t)BAD, 3u) == WASI_EBADF; }

/* clang-format on */

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name##_good, name##_bad                                                             \
    }
static const struct {
    const char *name;
    bool (*good)(struct guest *g), (*bad)(struct guest *g);
} cases[] = {
    CASE(args_get),
    CASE(args_sizes_get),
    CASE(clock_res_get),
    CASE(clock_time_get),
    CASE(environ_get),
    CASE(environ_sizes_get),
    CASE(fd_advise),
    CASE(fd_allocate),
    CASE(fd_close),
    CASE(fd_datasync),
    CASE(fd_fdstat_get),
    CASE(fd_fdstat_set_flags),
    CASE(fd_fdstat_set_rights),
    CASE(fd_filestat_get),
    CASE(fd_filestat_set_size),
    CASE(fd_filestat_set_times),
    CASE(fd_pread),
    CASE(fd_prestat_dir_name),
    CASE(fd_prestat_get),
    CASE(fd_pwrite),
    CASE(fd_read),
    CASE(fd_readdir),
    CASE(fd_renumber),
    CASE(fd_seek),
    CASE(fd_sync),
    CASE(fd_tell),
    CASE(fd_write),
    CASE(path_create_directory),
    CASE(path_filestat_get),
    CASE(path_filestat_set_times),
    CASE(path_link),
    CASE(path_open),
    CASE(path_readlink),
    CASE(path_remove_directory),
    CASE(path_rename),
    CASE(path_symlink),
    CASE(path_unlink_file),
    CASE(poll_oneoff),
    CASE(proc_exit),
    CASE(proc_raise),
    CASE(random_get),
    CASE(sched_yield),
    CASE(sock_accept),
    CASE(sock_recv),
    CASE(sock_send),
    CASE(sock_shutdown),
};

static void put_file(const char *name, const char *text)
{
    const int fd = open(on_host(name), O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        printf("Bail out! %s\n", name);
    }
    (void)close(fd);
}

static bool in_a_world(bool (*test)(struct guest *g))
{
    static const char *const args[] = { "guest.wasm", "-x" }, *const env[] = { "A=b" };
    struct guest g;
    struct bv_wasi_options options;
    guest_scratch_dir(host);
    put_file("file", "0123456789");
    (void)mkdir(on_host("dir"), 0700);
    put_file("dir/inner", "inner");
    if (symlink("file", on_host("link")) != 0) {
        printf("Bail out! link\n");
    }
    const int fd = open(host, O_PATH | O_DIRECTORY);
    const struct bv_wasi_root root = { fd, "/root", BV_WASI_READ_WRITE, BV_WASI_ROOT_DECLARED,
                                       UINT64_MAX };
    guest_defaults(&g, &options);
    options.args = args;
    options.arg_count = 2;
    options.env = env;
    options.env_count = 1;
    options.roots = &root;
    options.root_count = 1;
    guest_start(&g, &options);
    (void)close(fd);
    const bool good = test(&g);
    guest_stop(&g);
    guest_remove_tree(host);
    return good;
}

static void test_linking(void)
{
    struct guest g;
    guest_scratch_dir(host);
    guest_start_at(&g, host, BV_WASI_READ);
    const struct bv_wasi_function *row = bv_wasi_function_at(0);
    struct bv_wasm_import import = { { BV_WASI_MODULE, (uint32_t)strlen(BV_WASI_MODULE) },
                                     { "args_get", 8 },
                                     BV_WASM_FUNC,
                                     row->type };
    const char *why = "";
    import.function.param_count = 1;
    tap_ok(!bv_wasi_link(g.wasi, NULL, &import, &why),
           "a function of another type does not link: %s", why);
    import.function = row->type;
    import.kind = BV_WASM_MEMORY;
    tap_ok(!bv_wasi_link(g.wasi, NULL, &import, &why), "nor does what is no function: %s", why);
    import.kind = BV_WASM_FUNC;
    import.name = (struct bv_wasm_name){ "args_got", 8 };
    tap_ok(!bv_wasi_link(g.wasi, NULL, &import, &why), "nor an unknown name: %s", why);
    import.name = (struct bv_wasm_name){ "args_get", 8 };
    import.module = (struct bv_wasm_name){ "env", 3 };
    tap_ok(!bv_wasi_link(g.wasi, NULL, &import, &why), "nor another module: %s", why);
    guest_stop(&g);
    guest_remove_tree(host);
}

int main(void)
{
    size_t count = 0;
    for (; bv_wasi_function_at(count); count++) {
        const char *name = bv_wasi_function_at(count)->name;
        tap_ok(count < sizeof(cases) / sizeof(cases[0]) && strcmp(name, cases[count].name) == 0,
               "%s has its two cases", name);
    }
    tap_ok(count == 46 && sizeof(cases) / sizeof(cases[0]) == 46, "there are 46 functions");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(in_a_world(cases[i].good), "%s succeeds", cases[i].name);
        tap_ok(in_a_world(cases[i].bad), "%s fails as it should", cases[i].name);
    }
    test_linking();
    return tap_done();
}
