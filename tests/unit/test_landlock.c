/* test_landlock.c - the masks of every ABI, written out as numbers and compared with what the
 * pure half makes. */
#include "backend/linux/linux.h"

#include "support/tap.h"

/* Linux: ABI 1 5.13, 2 5.19, 3 6.2, 4 6.7, 5 6.10, 6 6.12, 7 6.15; 8 7.0, 9 7.1 adds
 * RESOLVE_UNIX, 10 7.2 the UDP rights, 11 7.3. Beyond: what is known. */
static const struct {
    uint64_t abi, fs, net, scoped;
    /* read dir, read file, read+execute dir, read+execute file, write dir, write file,
     * read+write dir, read+write file */
    uint64_t access[8];
} golden[] = {
    { 0, 0, 0, 0, { 0 } },
    { 1, 0x1fff, 0, 0, { 0x000c, 0x0004, 0x000d, 0x0005, 0x17b2, 0x0002, 0x17be, 0x0006 } },
    { 2, 0x3fff, 0, 0, { 0x000c, 0x0004, 0x000d, 0x0005, 0x37b2, 0x0002, 0x37be, 0x0006 } },
    { 3, 0x7fff, 0, 0, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 4, 0x7fff, 3, 0, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 5, 0xffff, 3, 0, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 6, 0xffff, 3, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 7, 0xffff, 3, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 8, 0xffff, 3, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x77b2, 0x4002, 0x77be, 0x4006 } },
    { 9, 0x1ffff, 3, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x75b2, 0x4002, 0x75be, 0x4006 } },
    { 10, 0x1ffff, 15, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x75b2, 0x4002, 0x75be, 0x4006 } },
    { 11, 0x1ffff, 15, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x75b2, 0x4002, 0x75be, 0x4006 } },
    { 14, 0x1ffff, 15, 3, { 0x000c, 0x0004, 0x000d, 0x0005, 0x75b2, 0x4002, 0x75be, 0x4006 } },
};

static void test_sockets(void)
{
    struct bv_intent intent = { .network = BV_NETWORK_DENY_ALL };
    tap_ok(!linux_unix_sockets(0, &intent) && !linux_unix_sockets(8, &intent) &&
               linux_unix_sockets(9, &intent) && linux_unix_sockets(11, &intent),
           "AF_UNIX sockets from ABI 9 on");
    intent.fd_count = 1;
    tap_ok(!linux_unix_sockets(11, &intent), "not beside a kept descriptor, which may be a socket");
    intent = (struct bv_intent){ .network = BV_NETWORK_ALLOW_ALL };
    tap_ok(!linux_unix_sockets(11, &intent), "nor with the host's abstract names");
    tap_ok(linux_landlock_private_sockets(8) == 0 &&
               linux_landlock_private_sockets(9) == UINT64_C(1) << 9,
           "MAKE_SOCK is for the private temp root, where sockets can be made at all");
    tap_ok(linux_landlock_restrict_flags(6) == 0 && linux_landlock_restrict_flags(7) == 5 &&
               linux_landlock_restrict_flags(11) == 5,
           "neither the canaries nor a domain of the workload's own writes to the audit log");
}

int main(void)
{
    static const struct {
        enum bv_access access;
        bool execute, is_dir;
    } grants[8] = {
        { BV_ACCESS_READ, false, true },       { BV_ACCESS_READ, false, false },
        { BV_ACCESS_READ, true, true },        { BV_ACCESS_READ, true, false },
        { BV_ACCESS_WRITE, false, true },      { BV_ACCESS_WRITE, false, false },
        { BV_ACCESS_READ_WRITE, false, true }, { BV_ACCESS_READ_WRITE, false, false },
    };
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        const uint64_t abi = golden[i].abi;
        tap_ok(linux_landlock_handled_fs(abi) == golden[i].fs, "ABI %u handles 0x%llx",
               (unsigned)abi, (unsigned long long)golden[i].fs);
        tap_ok(linux_landlock_handled_net(abi, BV_NETWORK_DENY_ALL) == golden[i].net &&
                   linux_landlock_handled_net(abi, BV_NETWORK_ALLOW_LIST) == golden[i].net,
               "ABI %u handles ports under deny_all and allow_list", (unsigned)abi);
        tap_ok(linux_landlock_handled_net(abi, BV_NETWORK_ALLOW_ALL) == 0,
               "ABI %u leaves ports alone under allow_all", (unsigned)abi);
        tap_ok(linux_landlock_scoped(abi, BV_NETWORK_DENY_ALL) == golden[i].scoped &&
                   linux_landlock_scoped(abi, BV_NETWORK_ALLOW_ALL) == golden[i].scoped,
               "ABI %u scopes in every policy", (unsigned)abi);
        for (size_t g = 0; g < 8; g++) {
            const uint64_t got =
                linux_landlock_access(abi, grants[g].access, grants[g].execute, grants[g].is_dir);
            tap_ok(got == golden[i].access[g], "ABI %u, grant %u: 0x%llx", (unsigned)abi,
                   (unsigned)g, (unsigned long long)got);
            tap_ok((got & ~golden[i].fs) == 0, "and nothing beyond what is handled");
        }
        const uint64_t all = linux_landlock_access(abi, BV_ACCESS_READ_WRITE, true, true);
        tap_ok((all & (UINT64_C(1) << 6 | UINT64_C(1) << 11 | UINT64_C(1) << 15 |
                       UINT64_C(1) << 16)) == 0,
               "ABI %u: nobody makes device nodes, controls devices or reaches named sockets",
               (unsigned)abi);
    }
    test_sockets();
    return tap_done();
}
