/* tests/unit/test_wasi_dir.c - fd_readdir: 10,000 entries through buffers of every size, cookies, and changes on the way. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tap.h"
#include "support/wasi_guest.h"
#include "wasi/abi.h"

#define ENTRIES 10000u

static char host[64];
static uint16_t seen[ENTRIES];
static uint64_t cookies[ENTRIES + 2]; /* behind each entry, in the order of the listing */
enum { DOT = 3, OUT = 1u << 20 };

static const char *at(unsigned number)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/many/f%05u", host, number);
    return path;
}

struct listing {
    uint64_t cookie;
    unsigned entries, dots;
    bool end, wrong;
};

/* Reads one buffer and takes the whole entries in it. */
static void read_on(struct guest *g, uint32_t fd, uint32_t size, struct listing *l)
{
    memset(g->memory + OUT, 0xee, size + 8);
    if (guest_call(g, "fd_readdir", fd, (uint32_t)OUT, size, l->cookie, OUT - 8u) != 0) {
        l->wrong = l->end = true;
        return;
    }
    const uint32_t used = (uint32_t)guest_get(g, OUT - 8u, 4);
    l->wrong = l->wrong || used > size || guest_get(g, OUT + used, 1) != 0xee;
    l->end = used < size;
    for (uint32_t i = 0; i + 24 <= used;) {
        const uint64_t next = guest_get(g, OUT + i, 8), inode = guest_get(g, OUT + i + 8, 8);
        const uint32_t length = (uint32_t)guest_get(g, OUT + i + 16, 4);
        if (i + 24 + length > used) {
            break;
        }
        char name[16] = "";
        memcpy(name, g->memory + OUT + i + 24, length < 15 ? length : 15);
        unsigned number = ENTRIES;
        struct stat st;
        if (sscanf(name, "f%5u", &number) == 1 && number < ENTRIES) {
            seen[number]++;
            l->wrong = l->wrong || guest_get(g, OUT + i + 20, 1) != WASI_TYPE_REGULAR_FILE ||
                       (number % 500 == 0 && (lstat(at(number), &st) != 0 || st.st_ino != inode));
        } else {
            l->dots++;
        }
        /* What telldir() of a 32-bit guest can hold, whatever the file system's own positions are. */
        l->wrong = l->wrong || next != l->cookie + 1;
        if (l->entries < ENTRIES + 2) {
            cookies[l->entries] = next;
        }
        l->entries++;
        l->cookie = next;
        i += 24 + length;
    }
}

static struct listing read_all(struct guest *g, uint32_t fd, uint32_t size)
{
    struct listing l = { 0 };
    memset(seen, 0, sizeof(seen));
    while (!l.end) {
        read_on(g, fd, size, &l);
    }
    return l;
}

static bool each_once(unsigned from, unsigned step)
{
    for (unsigned i = from; i < ENTRIES; i += step) {
        if (seen[i] != 1) {
            return false;
        }
    }
    return true;
}

static void test_sizes(struct guest *g, uint32_t fd)
{
    static const uint32_t sizes[] = { 30, 64, 100, 256, 4096, 65536, 1u << 20 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct listing l = read_all(g, fd, sizes[i]);
        tap_ok(!l.wrong && l.entries == ENTRIES + 2 && l.dots == 2 && each_once(0, 1),
               "all of 10,000 once with %u bytes at a time", sizes[i]);
    }
    tap_ok(g->again > 0, "a large buffer is filled in pieces");
    guest_put(g, OUT - 8u, 1, 4);
    tap_ok(guest_call(g, "fd_readdir", fd, (uint32_t)OUT, 0u, UINT64_C(0), OUT - 8u) == 0 &&
               guest_get(g, OUT - 8u, 4) == 0,
           "no room, no bytes");
    tap_ok(guest_call(g, "fd_readdir", fd, (uint32_t)OUT, 10u, UINT64_C(0), OUT - 8u) == 0 &&
               guest_get(g, OUT - 8u, 4) == 10,
           "an entry that does not fit fills the buffer");
    tap_ok(guest_call(g, "fd_readdir", fd, (uint32_t)OUT, 100u, UINT64_MAX, OUT - 8u) ==
               WASI_EINVAL,
           "a cookie that is none");
}

static void test_cookies(struct guest *g, uint32_t fd)
{
    (void)read_all(g, fd, 4096);
    bool good = true;
    for (int i = 9000; i > 100; i -= 1777) { /* backwards: each must seek */
        struct listing l = { .cookie = cookies[i] };
        static uint64_t saved[3];
        memcpy(saved, &cookies[i + 1], sizeof(saved));
        read_on(g, fd, 200, &l);
        good = good && !l.wrong && l.entries >= 3 && memcmp(cookies, saved, sizeof(saved)) == 0;
        (void)read_all(g, fd, 65536); /* cookies[] again as a whole listing */
    }
    tap_ok(good, "a cookie leads to what followed it, however long ago");
}

/* Others add and remove while the guest reads: what was there all the time is seen once. */
static void test_change(struct guest *g, uint32_t fd, uint32_t size)
{
    struct listing l = { 0 };
    memset(seen, 0, sizeof(seen));
    for (unsigned round = 0; !l.end; round++) {
        read_on(g, fd, size, &l);
        for (unsigned i = 0; i < 4;
             i++) { /* odd ones go, and come, in no order that a listing has */
            const unsigned number = (round * 7919u + i * 104729u) % ENTRIES | 1u;
            if (unlink(at(number)) != 0) {
                (void)close(open(at(number), O_WRONLY | O_CREAT, 0600));
            }
        }
    }
    tap_ok(!l.wrong && each_once(0, 2),
           "%u bytes at a time: all that stayed are seen once while others change", size);
    for (unsigned i = 1; i < ENTRIES; i += 2) {
        (void)close(open(at(i), O_WRONLY | O_CREAT, 0600));
    }
}

/* rm -r: removing what was just listed. */
static void test_removal(struct guest *g, uint32_t fd)
{
    struct listing l = { 0 };
    unsigned removed = 0;
    char path[32];
    while (!l.end && !l.wrong) {
        memset(seen, 0, sizeof(seen));
        read_on(g, fd, 300, &l);
        for (unsigned i = 0; i < ENTRIES; i++) {
            if (seen[i] != 0) {
                (void)snprintf(path, sizeof(path), "many/f%05u", i);
                removed += guest_path(g, "path_unlink_file", DOT, path) == 0;
            }
        }
    }
    tap_ok(removed == ENTRIES && guest_path(g, "path_remove_directory", DOT, "many") == 0,
           "all are removed as they are listed: %u", removed);
}

int main(void)
{
    struct guest g;
    uint32_t fd = 0;
    guest_scratch_dir(host);
    char many[80];
    (void)snprintf(many, sizeof(many), "%s/many", host);
    (void)mkdir(many, 0700);
    for (unsigned i = 0; i < ENTRIES; i++) {
        (void)close(open(at(i), O_WRONLY | O_CREAT, 0600));
    }
    guest_start_at(&g, host, BV_WASI_READ_WRITE);
    tap_ok(guest_open(&g, DOT, "many", WASI_OFLAG_DIRECTORY, WASI_RIGHT_FD_READDIR, &fd) == 0,
           "a directory is opened to be read");
    test_sizes(&g, fd);
    test_cookies(&g, fd);
    test_change(&g, fd, 128);
    test_change(&g, fd, 4096);
    test_removal(&g, fd);
    guest_stop(&g);
    guest_remove_tree(host);
    return tap_done();
}
