/* backend/linux/landlock.c - rights of a grant -> Landlock masks of the live ABI. Pure.
 *
 * What the ABI knows is handled, all of it, whatever the policy: a right that is handled and not
 * granted is denied everywhere. RESOLVE_UNIX is never granted: it is for sockets that the
 * workload did not make (landlock.rst: servers outside of the domain). Never granted either: device nodes (MAKE_CHAR, MAKE_BLOCK:
 * overlay whiteouts need no privilege since 5.8) and IOCTL_DEV, since the devices of the
 * boundary need none. Documentation/userspace-api/landlock.rst; LINUX.md 4. */
#include "backend/linux/linux.h"

#include "base/check.h"
#include "sys/uapi_landlock.h"

/* New rights by ABI; the rights of an ABI are all of those up to it. */
static const struct {
    uint64_t abi, fs;
} fs_added[] = {
    { 1, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
             LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
             LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM },
    { 2, LANDLOCK_ACCESS_FS_REFER },
    { 3, LANDLOCK_ACCESS_FS_TRUNCATE },
    { 5, LANDLOCK_ACCESS_FS_IOCTL_DEV },
    { 9, LANDLOCK_ACCESS_FS_RESOLVE_UNIX },
};

#define FILE_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     LANDLOCK_ACCESS_FS_TRUNCATE)
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS                                                                               \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM |   \
     LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)

uint64_t linux_landlock_handled_fs(uint64_t abi)
{
    uint64_t rights = 0;
    for (size_t i = 0; i < BV_COUNT(fs_added); i++) {
        rights |= abi >= fs_added[i].abi ? fs_added[i].fs : 0;
    }
    return rights;
}

uint64_t linux_landlock_handled_net(uint64_t abi, enum bv_network_policy network)
{
    if (network == BV_NETWORK_ALLOW_ALL) {
        return 0;
    }
    return (abi >= 4 ? LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP : 0) |
           (abi >= 10 ? LANDLOCK_ACCESS_NET_BIND_UDP | LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP : 0);
}

uint64_t linux_landlock_scoped(uint64_t abi, enum bv_network_policy network)
{
    /* allow_all shares the host's network namespace and with it its abstract sockets, so there
     * the scope matters most. */
    (void)network;
    return abi >= 6 ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL : 0;
}

uint64_t linux_landlock_access(uint64_t abi, enum bv_access access, bool execute, bool is_dir)
{
    uint64_t rights = execute ? LANDLOCK_ACCESS_FS_EXECUTE : 0;
    switch (access) {
    case BV_ACCESS_READ: rights |= READ_RIGHTS; break;
    case BV_ACCESS_WRITE: rights |= WRITE_RIGHTS; break;
    case BV_ACCESS_READ_WRITE: rights |= READ_RIGHTS | WRITE_RIGHTS; break;
    }
    if (!is_dir) {
        rights &= FILE_RIGHTS;
    }
    rights &= linux_landlock_handled_fs(abi);
    return rights & ~linux_landlock_private_sockets(abi);
}

uint64_t linux_landlock_private_sockets(uint64_t abi)
{
    return abi >= 9 ? LANDLOCK_ACCESS_FS_MAKE_SOCK : 0;
}

bool linux_unix_sockets(uint64_t abi, const struct bv_intent *intent)
{
    /* A kept descriptor may be a socket of any family, and the filter cannot tell what connect()
     * is called on. */
    return abi >= 9 && intent->network == BV_NETWORK_DENY_ALL && intent->fd_count == 0;
}

uint32_t linux_landlock_restrict_flags(uint64_t abi)
{
    /* What the canaries are refused before the exec is attestation; after it nothing is logged by
     * default. A domain that the workload makes below ours would log as it likes: muted too. With
     * both, the quiet masks of ABI 10 have nothing left to suppress. */
    return abi >= 7 ? LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF |
                          LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF
                    : 0;
}
