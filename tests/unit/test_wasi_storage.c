/* tests/unit/test_wasi_storage.c - the bytes by which a guest's calls made its roots larger: counted exactly, held at the
 * limit, given back when it takes them away. Judged by the sizes that the host sees. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

static char host[64];
enum { DOT = 3, OUT = 1u << 20, BIG = 2u << 20 };

static const char *at(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", host, name);
    return path;
}

static long long size_of(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0 ? (long long)st.st_size : -1;
}

static uint64_t used(struct guest *g)
{
    struct bv_wasi_usage usage;
    bv_wasi_usage(g->wasi, &usage);
    return usage.storage_bytes;
}

static void put(const char *name, unsigned size)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, size) != 0) {
        printf("Bail out! %s: %s\n", name, strerror(errno));
    }
    (void)close(fd);
}

static void start(struct guest *g, uint64_t limit, uint64_t root_limit)
{
    struct bv_wasi_options options;
    guest_scratch_dir(host);
    put("old", 1000);
    const struct bv_wasi_root root = { open(host, O_PATH), "/root", BV_WASI_READ_WRITE,
                                       BV_WASI_ROOT_DECLARED, root_limit };
    guest_defaults(g, &options);
    options.roots = &root;
    options.root_count = 1;
    options.storage_max_bytes = limit;
    guest_start(g, &options);
    (void)close(root.fd);
}

static void stop(struct guest *g)
{
    guest_stop(g);
    guest_remove_tree(host);
}

static uint32_t made(struct guest *g, const char *name)
{
    uint32_t fd = 99;
    (void)guest_open(g, DOT, name, WASI_OFLAG_CREAT, WASI_RIGHTS_FILE, &fd);
    return fd;
}

static int write_big(struct guest *g, uint32_t fd, uint32_t size, uint32_t *ret_size)
{
    guest_put(g, OUT, 0, 4);
    const int result = guest_call(g, "fd_write", fd, guest_iovec(g, BIG, size), 1u, (uint32_t)OUT);
    *ret_size = (uint32_t)guest_get(g, OUT, 4);
    return result;
}

static void test_counting(void)
{
    struct guest g;
    uint32_t size;
    start(&g, UINT64_MAX, UINT64_MAX);
    const uint32_t new_file = made(&g, "new"), old = made(&g, "old");
    tap_ok(used(&g) == 0, "empty files have no bytes");
    (void)write_big(&g, new_file, 700000, &size);
    tap_ok(size == 700000 && g.again >= 2 && size_of("new") == 700000 && used(&g) == 700000,
           "a long write is whole, in pieces");
    (void)guest_call(&g, "fd_seek", new_file, UINT64_C(0), 0u, OUT);
    (void)write_big(&g, new_file, 1000, &size);
    tap_ok(used(&g) == 700000, "writing over what is there adds nothing");
    (void)write_big(&g, old, 1000, &size);
    tap_ok(used(&g) == 700000, "also in a file of the host's");
    (void)write_big(&g, old, 500, &size);
    tap_ok(size_of("old") == 1500 && used(&g) == 700500, "growing it does");
    (void)guest_call(&g, "fd_filestat_set_size", old, UINT64_C(200));
    tap_ok(used(&g) == 700000,
           "making it smaller gives back what the guest added, not what was the host's");
    (void)guest_call(&g, "fd_filestat_set_size", old, UINT64_C(1000));
    tap_ok(used(&g) == 700000, "back to its size is no growth");
    (void)guest_call(&g, "fd_filestat_set_size", old, UINT64_C(1100));
    tap_ok(used(&g) == 700100, "beyond it is");
    (void)guest_call(&g, "fd_pwrite", old, guest_iovec(&g, BIG, 1), 1u, UINT64_C(9999), OUT);
    tap_ok(size_of("old") == 10000 && used(&g) == 709000, "a hole counts like data");
    (void)guest_call(&g, "fd_allocate", old, UINT64_C(0), UINT64_C(20000));
    tap_ok(size_of("old") == 20000 && used(&g) == 719000, "so does what is allocated");
    (void)guest_symlink(&g, "12345", DOT, "link");
    tap_ok(used(&g) == 719005, "and the text of a link");
    (void)guest_path(&g, "path_unlink_file", DOT, "link");
    (void)guest_call(&g, "fd_close", old);
    (void)guest_path(&g, "path_unlink_file", DOT, "old");
    tap_ok(used(&g) == 700000, "removing files gives back");
    (void)guest_two_paths(&g, "path_link", DOT, "new", DOT, "second");
    (void)guest_path(&g, "path_unlink_file", DOT, "new");
    tap_ok(used(&g) == 700000, "not while there is another name");
    (void)guest_path(&g, "path_unlink_file", DOT, "second");
    tap_ok(used(&g) == 700000, "nor while the file is open");
    (void)guest_call(&g, "fd_close", new_file);
    tap_ok(used(&g) == 0, "the last of both does");
    stop(&g);
}

static void test_replacing(void)
{
    struct guest g;
    uint32_t size, fd;
    start(&g, UINT64_MAX, UINT64_MAX);
    fd = made(&g, "a");
    (void)write_big(&g, fd, 100, &size);
    (void)guest_call(&g, "fd_close", fd);
    fd = made(&g, "b");
    (void)write_big(&g, fd, 30, &size);
    tap_ok(guest_two_paths(&g, "path_rename", DOT, "b", DOT, "a") == 0 && used(&g) == 30 &&
               size_of("a") == 30,
           "a file that is replaced gives back");
    tap_ok(guest_open(&g, DOT, "a", WASI_OFLAG_TRUNC, WASI_RIGHT_FD_WRITE, NULL) == 0 &&
               used(&g) == 0,
           "one that is truncated, too");
    (void)write_big(&g, fd, 10, &size);
    tap_ok(size_of("a") == 40 && used(&g) == 40, "a descriptor that is still behind makes a hole");
    fd = made(&g, "append");
    (void)guest_call(&g, "fd_fdstat_set_flags", fd, WASI_FDFLAG_APPEND);
    (void)write_big(&g, fd, 10, &size);
    (void)guest_call(&g, "fd_seek", fd, UINT64_C(0), 0u, OUT);
    (void)write_big(&g, fd, 10, &size);
    tap_ok(size_of("append") == 20 && used(&g) == 60, "appending adds, wherever the position is");
    if (unlink(at("a")) != 0 ||
        unlink(at("append")) != 0) { /* by the host: its numbers may come back with other files */
        printf("Bail out! unlink\n");
    }
    for (int i = 0; i < 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        fd = made(&g, name);
        (void)write_big(&g, fd, 3, &size);
        (void)guest_call(&g, "fd_close", fd);
    }
    uint64_t sum = 0;
    for (int i = 0; i < 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        sum += (uint64_t)size_of(name);
        if (i % 2 == 0) {
            (void)guest_path(&g, "path_unlink_file", DOT, name);
        }
    }
    tap_ok(sum == 6000 && used(&g) >= 3000 && used(&g) <= 3060, "2,000 files, 1,000 removed: %llu",
           (unsigned long long)used(&g));
    stop(&g);
}

static void test_limit(uint64_t limit, uint64_t root_limit, const char *which)
{
    struct guest g;
    struct bv_wasi_usage usage;
    uint32_t size, total = 0;
    start(&g, limit, root_limit);
    const uint32_t fd = made(&g, "big");
    int result;
    while ((result = write_big(&g, fd, 300000, &size)) == 0 && total < 8000000) {
        total += size;
    }
    tap_ok(result == WASI_ENOSPC && total == 1048576 && size_of("big") == 1048576,
           "%s: writing ends with ENOSPC at the very byte", which);
    bv_wasi_usage(g.wasi, &usage);
    tap_ok(usage.storage_bytes == 1048576 && usage.storage_refused >= 1 &&
               g.denial_kinds[0] == BV_WASI_DENIED_STORAGE,
           "and says so: %s", g.denials[0]);
    (void)guest_call(&g, "fd_seek", fd, UINT64_C(0), 0u, OUT);
    tap_ok(write_big(&g, fd, 300000, &size) == 0 && size == 300000,
           "what is there may be written over");
    tap_ok(guest_call(&g, "fd_filestat_set_size", fd, UINT64_C(1048577)) == WASI_ENOSPC &&
               size_of("big") == 1048576,
           "no byte more by set_size");
    tap_ok(guest_call(&g, "fd_allocate", fd, UINT64_C(1048000), UINT64_C(1000)) == WASI_ENOSPC &&
               size_of("big") == 1048576,
           "or allocate");
    tap_ok(guest_call(&g, "fd_pwrite", fd, guest_iovec(&g, BIG, 1), 1u, UINT64_C(10) << 30, OUT) ==
                   WASI_ENOSPC &&
               size_of("big") == 1048576,
           "or a far hole");
    tap_ok(guest_symlink(&g, "x", DOT, "link") == WASI_ENOSPC && size_of("link") == -1,
           "or a link");
    const uint32_t old = made(&g, "old");
    tap_ok(guest_call(&g, "fd_filestat_set_size", old, UINT64_C(1001)) == WASI_ENOSPC &&
               guest_call(&g, "fd_filestat_set_size", old, UINT64_C(0)) == 0 &&
               guest_call(&g, "fd_filestat_set_size", old, UINT64_C(1001)) == WASI_ENOSPC &&
               guest_call(&g, "fd_filestat_set_size", old, UINT64_C(1000)) == 0,
           "another file may have the size that it had");
    tap_ok(guest_call(&g, "fd_filestat_set_size", fd, UINT64_C(1000000)) == 0 &&
               guest_call(&g, "fd_filestat_set_size", old, UINT64_C(49576)) == 0 &&
               guest_call(&g, "fd_filestat_set_size", old, UINT64_C(49577)) == WASI_ENOSPC,
           "what one gives back another may take, to the byte");
    stop(&g);
}

static void test_names(void)
{
    struct guest g;
    start(&g, 4096, UINT64_MAX);
    char name[16];
    int count = 0;
    for (; count < 3000; count++) {
        (void)snprintf(name, sizeof(name), "%d", count);
        if (guest_path(&g, "path_create_directory", DOT, name) != 0) {
            break;
        }
    }
    tap_ok(count == 1024 && guest_path(&g, "path_create_directory", DOT, "more") == WASI_ENOSPC,
           "empty names, too, come to an end: %d", count);
    tap_ok(guest_open(&g, DOT, "more", WASI_OFLAG_CREAT, 0, NULL) == WASI_ENOSPC &&
               guest_two_paths(&g, "path_link", DOT, "old", DOT, "more") == WASI_ENOSPC &&
               size_of("more") == -1,
           "of every kind");
    tap_ok(guest_path(&g, "path_remove_directory", DOT, "7") == 0 &&
               guest_path(&g, "path_create_directory", DOT, "more") == 0,
           "one for one");
    stop(&g);
}

/* What the guest makes the host remember is paid for. */
static void test_budget(void)
{
    struct guest g;
    struct bv_wasi_options options;
    struct bv_wasm_budget budget = { .limit_bytes = 20000 };
    uint32_t size = 0;
    char name[16];
    guest_scratch_dir(host);
    const struct bv_wasi_root root = { open(host, O_PATH), "/root", BV_WASI_READ_WRITE,
                                       BV_WASI_ROOT_DECLARED, UINT64_MAX };
    guest_defaults(&g, &options);
    options.roots = &root;
    options.root_count = 1;
    options.budget = &budget;
    guest_start(&g, &options);
    (void)close(root.fd);
    int result = 0, count = 0;
    for (; count < 2000 && result == 0; count++) {
        (void)snprintf(name, sizeof(name), "%d", count);
        const uint32_t fd = made(&g, name);
        result = write_big(&g, fd, 1, &size);
        (void)guest_call(&g, "fd_close", fd);
    }
    tap_ok(result == WASI_ENOMEM && budget.refused && budget.used_bytes <= 20000 &&
               size_of(name) == 0,
           "a ledger beyond the budget is ENOMEM, before the write");
    guest_stop(&g);
    tap_ok(budget.used_bytes == 0 && budget.peak_bytes > 0, "and all of it is given back");
    guest_remove_tree(host);
}

int main(void)
{
    test_counting();
    test_replacing();
    test_limit(1048576, UINT64_MAX, "the common limit");
    test_limit(UINT64_MAX, 1048576, "a root's own");
    test_names();
    test_budget();
    return tap_done();
}
