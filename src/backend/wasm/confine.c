/* backend/wasm/confine.c - the second wall: the process that interprets a guest gives up, for good, what the guest's plan does
 * not need, before the guest's first instruction. So a fault of the engine would still meet the kernel.
 *
 * The masks and the filter are the Linux backend's own (landlock.c, seccomp.c) under the strictest policy: no new task, no
 * socket. Then this process tries what it may not do any more. Only a host that asked for it is confined, because it cannot be
 * taken back; it may name descriptors below which it still writes itself, as the command does with its report. Landlock
 * confines the calling thread, so a process with more threads is not confined and the report says so. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/linux/linux.h"
#include "base/check.h"
#include "sys/uapi_landlock.h"

_Static_assert(sizeof(struct bv_frame_insn) == sizeof(struct sock_filter),
               "an instruction of the table is the kernel's");

static void BV_PRINTF(2, 3) say(struct guest_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->confinement.state, sizeof run->confinement.state, format, arguments);
    va_end(arguments);
}

static int result_of(long result)
{
    return result < 0 ? -errno : (int)result;
}

static int add_rule(struct guest_run *run, int ruleset, int fd, uint64_t access)
{
    const struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
    run->confinement.rules++;
    return result_of(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
}

/* What a directory of the guest's may be used for; an access of wasi.h. */
static enum bv_access plain_access(enum bv_wasi_access access)
{
    switch (access) {
    case BV_WASI_READ: return BV_ACCESS_READ;
    case BV_WASI_WRITE: return BV_ACCESS_WRITE;
    case BV_WASI_READ_WRITE: return BV_ACCESS_READ_WRITE;
    }
    BV_UNREACHABLE();
}

static int add_rules(struct guest_run *run, int ruleset, uint64_t abi)
{
    const uint64_t handled = linux_landlock_handled_fs(abi);
    int result = 0;
    for (size_t i = 0; result == 0 && i < run->world.place_count; i++) {
        const enum bv_access access = plain_access(run->world.places[i].root.access);
        result = add_rule(run, ruleset, run->root_fds[i],
                          linux_landlock_access(abi, access, false, true));
    }
    if (result == 0 && run->temp.fd >= 0) { /* to remove the empty directory itself */
        result = add_rule(run, ruleset, run->temp.parent_fd, LANDLOCK_ACCESS_FS_REMOVE_DIR);
    }
    for (size_t i = 0; result == 0 && i < run->context->own_fd_count; i++) {
        const int fd = run->context->own_fds[i];
        struct stat st;
        if (fstat(fd, &st) != 0) {
            return -errno;
        }
        const uint64_t access = S_ISDIR(st.st_mode)
                                    ? LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                          LANDLOCK_ACCESS_FS_REMOVE_FILE
                                    : LANDLOCK_ACCESS_FS_WRITE_FILE;
        result = add_rule(run, ruleset, fd, access & handled);
    }
    return result;
}

static int restrict_files(struct guest_run *run, uint64_t abi)
{
    const struct landlock_ruleset_attr attributes = {
        .handled_access_fs = linux_landlock_handled_fs(abi),
        .handled_access_net = linux_landlock_handled_net(abi, BV_NETWORK_DENY_ALL),
        .scoped = linux_landlock_scoped(abi, BV_NETWORK_DENY_ALL),
    };
    const int ruleset =
        result_of(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
    if (ruleset < 0) {
        return ruleset;
    }
    int result = add_rules(run, ruleset, abi);
    if (result == 0) {
        result = result_of(
            syscall(SYS_landlock_restrict_self, ruleset, linux_landlock_restrict_flags(abi)));
    }
    (void)close(ruleset);
    return result;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    const struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };
    return result_of(syscall(SYS_capset, &header, none));
}

static int restrict_calls(void)
{
    const struct linux_filter filter =
        linux_seccomp_filter(BV_SPAWN_DENY_NEW_TASKS, BV_NETWORK_DENY_ALL, false);
    BV_ASSERT(filter.count > 0 && filter.count <= UINT16_MAX);
    const struct sock_fprog program = { .len = (unsigned short)filter.count,
                                        .filter = (struct sock_filter *)(uintptr_t)filter.insns };
    return result_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* What must fail now. Each would fail for another reason, or do nothing, in a process that is not confined. */
static void try_canaries(struct guest_confinement *confinement)
{
    const int results[] = {
        result_of(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        result_of(syscall(SYS_clone, CLONE_THREAD, NULL, NULL, NULL,
                          NULL)),           /* EINVAL: it shares no signal handlers */
        result_of(syscall(SYS_unshare, 0)), /* 0: nothing is asked for */
    };
    for (size_t i = 0; i < BV_COUNT(results); i++) {
        confinement->tried++;
        confinement->denied +=
            results[i] == -EACCES || results[i] == -EPERM || results[i] == -ENOSYS;
    }
    for (size_t i = 0; i < 2; i++) {
        if (results[i] >= 0) {
            (void)close(results[i]);
        }
    }
}

static unsigned thread_count(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) == 0 && st.st_nlink > 2 ? (unsigned)st.st_nlink - 2 : 0;
}

int guest_confine(struct guest_run *run)
{
    const struct bv_profile *profile = run->execution->profile;
    const uint64_t abi = profile->word[GUEST_LANDLOCK_ABI];
    if (!run->context->confine_process) {
        say(run, "no: the host did not ask for it");
        return 0;
    }
    if (abi == 0) {
        say(run, "no: landlock_abi %.40s, seccomp %.40s",
            bv_snapshot_get(profile->facts, GUEST_FACT_LANDLOCK),
            bv_snapshot_get(profile->facts, GUEST_FACT_SECCOMP));
        return 0;
    }
    const unsigned threads = thread_count();
    if (threads != 1) {
        say(run, threads == 0 ? "no: without /proc the threads cannot be counted"
                              : "no: the process has more than one thread");
        return 0;
    }
    say(run, "not finished");
    int result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
    result = result == 0 ? restrict_files(run, abi) : result;
    result = result == 0 ? drop_capabilities() : result;
    result = result == 0 ? restrict_calls() : result;
    if (result < 0) {
        return result;
    }
    try_canaries(&run->confinement);
    if (run->confinement.denied != run->confinement.tried) {
        return -EPERM;
    }
    say(run, "yes: Landlock ABI %u with %zu rules, seccomp, no capabilities", (unsigned)abi,
        run->confinement.rules);
    return 0;
}
