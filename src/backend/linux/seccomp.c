/* backend/linux/seccomp.c - the filter of a policy, and what a call that it denied means.
 *
 * The programs and the table of denied calls are made from seccomp_policy.def at build time
 * (seccomp_gen.c); they are constant data here, so a launch compiles nothing and links no
 * libseccomp. Everything is pure: a notified call is described from its numbers only, memory of
 * the workload is never read. LINUX.md 1 and 4. */
#include "backend/linux/linux.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum denied_class { CLASS_TASK, CLASS_SOCKET, CLASS_MOUNT };

struct denied_call {
    int nr;
    int err;
    bool recorded; /* some form of it goes to the listener */
    enum denied_class class;
    const char *name;
};

#include "backend/linux/seccomp_programs.h"

#define FILTER(name)                                                                               \
    {                                                                                              \
        program_##name, (uint32_t)BV_COUNT(program_##name)                                         \
    }

struct linux_filter linux_seccomp_filter(enum bv_spawn_policy spawn, enum bv_network_policy network,
                                         bool unix_sockets)
{
    static const struct linux_filter deny_all[] = {
        [BV_SPAWN_DENY_NEW_TASKS] = FILTER(deny_new_tasks_deny_all),
        [BV_SPAWN_ALLOW_THREADS] = FILTER(allow_threads_deny_all),
        [BV_SPAWN_ALLOW_DESCENDANTS] = FILTER(allow_descendants_deny_all),
    };
    static const struct linux_filter allow_all[] = {
        [BV_SPAWN_DENY_NEW_TASKS] = FILTER(deny_new_tasks_allow_all),
        [BV_SPAWN_ALLOW_THREADS] = FILTER(allow_threads_allow_all),
        [BV_SPAWN_ALLOW_DESCENDANTS] = FILTER(allow_descendants_allow_all),
    };
    static const struct linux_filter unix_only[] = {
        [BV_SPAWN_DENY_NEW_TASKS] = FILTER(deny_new_tasks_unix_only),
        [BV_SPAWN_ALLOW_THREADS] = FILTER(allow_threads_unix_only),
        [BV_SPAWN_ALLOW_DESCENDANTS] = FILTER(allow_descendants_unix_only),
    };
    static const struct linux_filter none = { NULL, 0 };

    if ((unsigned)spawn >= BV_COUNT(deny_all)) {
        return none;
    }
    switch (network) {
    case BV_NETWORK_DENY_ALL: return unix_sockets ? unix_only[spawn] : deny_all[spawn];
    case BV_NETWORK_ALLOW_ALL: return allow_all[spawn];
    case BV_NETWORK_ALLOW_LIST: return none;
    }
    return none;
}

static const struct denied_call *find(int nr)
{
    for (size_t i = 0; i < BV_COUNT(denied_calls); i++) {
        if (denied_calls[i].nr == nr) {
            return &denied_calls[i];
        }
    }
    return NULL;
}

static enum bv_requirement_kind task_kind(enum bv_spawn_policy spawn)
{
    switch (spawn) {
    case BV_SPAWN_DENY_NEW_TASKS: return BV_REQ_SPAWN_DENY_NEW_TASKS;
    case BV_SPAWN_ALLOW_THREADS: return BV_REQ_SPAWN_ALLOW_THREADS;
    case BV_SPAWN_ALLOW_DESCENDANTS: return BV_REQ_SPAWN_ALLOW_DESCENDANTS;
    }
    BV_UNREACHABLE();
}

static enum bv_requirement_kind network_kind(enum bv_network_policy network)
{
    switch (network) {
    case BV_NETWORK_DENY_ALL: return BV_REQ_NETWORK_DENY_ALL;
    case BV_NETWORK_ALLOW_LIST: return BV_REQ_NETWORK_ALLOW_LIST;
    case BV_NETWORK_ALLOW_ALL: return BV_REQ_NETWORK_ALLOW_ALL;
    }
    BV_UNREACHABLE();
}

struct number_name {
    uint32_t number;
    const char *name;
};

/* Writes "NAME", or "PREFIX NUMBER" for a number without a name here. */
static void name_number(char *text, size_t size, const struct number_name *names, size_t count,
                        const char *prefix, uint32_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].number == number) {
            snprintf(text, size, "%s", names[i].name);
            return;
        }
    }
    snprintf(text, size, "%s %u", prefix, number);
}

/* "socket AF_INET SOCK_STREAM", and the protocol when it is not 0. The kernel reads all three as
 * int. */
static void describe_socket(const char *call, const uint64_t args[6], char text[96])
{
    static const struct number_name families[] = {
        { AF_UNSPEC, "AF_UNSPEC" },
        { AF_UNIX, "AF_UNIX" },
        { AF_INET, "AF_INET" },
        { AF_INET6, "AF_INET6" },
        { AF_NETLINK, "AF_NETLINK" },
        { AF_PACKET, "AF_PACKET" },
        { AF_ALG, "AF_ALG" },
        { AF_VSOCK, "AF_VSOCK" },
        { AF_BLUETOOTH, "AF_BLUETOOTH" },
        { AF_TIPC, "AF_TIPC" },
        { AF_CAN, "AF_CAN" },
        { AF_RDS, "AF_RDS" },
        { 43, "AF_SMC" },
        { 44, "AF_XDP" },
    };
    static const struct number_name types[] = {
        { SOCK_STREAM, "SOCK_STREAM" },
        { SOCK_DGRAM, "SOCK_DGRAM" },
        { SOCK_RAW, "SOCK_RAW" },
        { SOCK_RDM, "SOCK_RDM" },
        { SOCK_SEQPACKET, "SOCK_SEQPACKET" },
        { SOCK_DCCP, "SOCK_DCCP" },
        { SOCK_PACKET, "SOCK_PACKET" },
    };
    char family[24], type[24];
    name_number(family, sizeof(family), families, BV_COUNT(families), "family", (uint32_t)args[0]);
    /* The flags SOCK_NONBLOCK and SOCK_CLOEXEC lie above the low four bits (SOCK_TYPE_MASK of
     * the kernel). */
    name_number(type, sizeof(type), types, BV_COUNT(types), "type", (uint32_t)args[1] & 0xf);
    int used = snprintf(text, 96, "%s %s %s", call, family, type);
    if ((uint32_t)args[2] != 0 && used > 0 && used < 96) {
        snprintf(text + used, 96 - (size_t)used, " protocol %u", (uint32_t)args[2]);
    }
}

bool linux_seccomp_describe(uint32_t arch, int nr, const uint64_t args[6],
                            const struct bv_intent *intent, enum bv_requirement_kind *ret_kind,
                            char text[96])
{
    const struct denied_call *call = find(nr);
    if (arch != PROGRAMS_AUDIT_ARCH || !call || !call->recorded) {
        return false;
    }
    switch (call->class) {
    case CLASS_TASK:
        *ret_kind = task_kind(intent->spawn);
        snprintf(text, 96, "%s", call->name);
        return true;
    case CLASS_SOCKET:
        *ret_kind = network_kind(intent->network);
        describe_socket(call->name, args, text);
        return true;
    case CLASS_MOUNT:
        *ret_kind = BV_REQ_FILESYSTEM;
        snprintf(text, 96, "%s", call->name);
        return true;
    }
    BV_UNREACHABLE();
}

int linux_seccomp_errno(int nr)
{
    const struct denied_call *call = find(nr);
    return call ? call->err : ENOSYS;
}
