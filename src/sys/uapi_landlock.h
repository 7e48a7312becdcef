/* sys/uapi_landlock.h - our copy of the kernel's Landlock interface, up to ABI 11.
 *
 * Distribution headers stop at the ABI of the kernel they were made for (Debian 12: 2), while
 * the running kernel decides what holds. Names and values are those of
 * include/uapi/linux/landlock.h, so this header is never included together with
 * <linux/landlock.h>. Which right belongs to which ABI is said here in comments;
 * linux/landlock.c acts on it. */
#pragma once

#include <stdint.h>

#define LANDLOCK_CREATE_RULESET_VERSION (1u << 0)
#define LANDLOCK_CREATE_RULESET_ERRATA  (1u << 1) /* ABI 7 */

/* A larger struct than the kernel knows is accepted while the surplus is zero
 * (copy_min_struct_from_user). */
struct landlock_ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
    uint64_t quiet_access_fs;    /* ABI 10, as the next two: denials that are not logged */
    uint64_t quiet_access_net;
    uint64_t quiet_scoped;
};

#define LANDLOCK_ADD_RULE_QUIET (1u << 0) /* ABI 10: the rule's object is one of the quiet ones */

enum landlock_rule_type { LANDLOCK_RULE_PATH_BENEATH = 1, LANDLOCK_RULE_NET_PORT = 2 /* ABI 4 */ };

struct landlock_path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct landlock_net_port_attr {
    uint64_t allowed_access;
    uint64_t port; /* host byte order */
};

#define LANDLOCK_ACCESS_FS_EXECUTE      (UINT64_C(1) << 0) /* ABI 1 down to MAKE_SYM */
#define LANDLOCK_ACCESS_FS_WRITE_FILE   (UINT64_C(1) << 1)
#define LANDLOCK_ACCESS_FS_READ_FILE    (UINT64_C(1) << 2)
#define LANDLOCK_ACCESS_FS_READ_DIR     (UINT64_C(1) << 3)
#define LANDLOCK_ACCESS_FS_REMOVE_DIR   (UINT64_C(1) << 4)
#define LANDLOCK_ACCESS_FS_REMOVE_FILE  (UINT64_C(1) << 5)
#define LANDLOCK_ACCESS_FS_MAKE_CHAR    (UINT64_C(1) << 6)
#define LANDLOCK_ACCESS_FS_MAKE_DIR     (UINT64_C(1) << 7)
#define LANDLOCK_ACCESS_FS_MAKE_REG     (UINT64_C(1) << 8)
#define LANDLOCK_ACCESS_FS_MAKE_SOCK    (UINT64_C(1) << 9)
#define LANDLOCK_ACCESS_FS_MAKE_FIFO    (UINT64_C(1) << 10)
#define LANDLOCK_ACCESS_FS_MAKE_BLOCK   (UINT64_C(1) << 11)
#define LANDLOCK_ACCESS_FS_MAKE_SYM     (UINT64_C(1) << 12)
#define LANDLOCK_ACCESS_FS_REFER        (UINT64_C(1) << 13) /* ABI 2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE     (UINT64_C(1) << 14) /* ABI 3 */
#define LANDLOCK_ACCESS_FS_IOCTL_DEV    (UINT64_C(1) << 15) /* ABI 5 */
#define LANDLOCK_ACCESS_FS_RESOLVE_UNIX (UINT64_C(1) << 16) /* ABI 9 */

#define LANDLOCK_ACCESS_NET_BIND_TCP    (UINT64_C(1) << 0) /* ABI 4 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define LANDLOCK_ACCESS_NET_BIND_UDP    (UINT64_C(1) << 2) /* ABI 10 */
#define LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP (UINT64_C(1) << 3)

#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0) /* ABI 6 */
#define LANDLOCK_SCOPE_SIGNAL               (UINT64_C(1) << 1)

#define LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF  (1u << 0) /* ABI 7 */
#define LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON    (1u << 1)
#define LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF (1u << 2)
#define LANDLOCK_RESTRICT_SELF_TSYNC              (1u << 3) /* ABI 8 */
#define LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS       (1u << 4) /* ABI 11 */
