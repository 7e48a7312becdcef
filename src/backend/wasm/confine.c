/* backend/wasm/confine.c - the second wall: the process that interprets a guest gives up, for good, what the guest's plan does
 * not need, before the guest's first instruction. So a fault of the engine would still meet the kernel.
 *
 * The Landlock masks are the Linux backend's own (landlock.c). The filter is not: that one allows what programs of any kind do
 * and takes the kernel a third of a millisecond to load, this one allows what the engine, WASI and a host that ends after the
 * run do, and nothing that starts, signals or becomes anything. Then this process tries what it may not do any more. Only a
 * host that asked for it is confined, because it cannot be taken back; it may name descriptors below which it still writes
 * itself, as the command does with its report. Landlock confines the calling thread, so a process with more threads is not
 * confined and the report says so. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/linux/linux.h"
#include "base/check.h"
#include "base/error.h"
#include "sys/uapi_landlock.h"

/* What is left, by whom it is used. Arguments are judged for two: nothing becomes executable. */
static const uint16_t calls[] = {
    /* WASI: files, beneath what Landlock leaves */
    SYS_read,
    SYS_write,
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_close,
    SYS_openat,
    SYS_openat2,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_getdents64,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_readlinkat,
    SYS_utimensat,
    SYS_fcntl,
    SYS_ioctl,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_clock_getres,
    /* the engine and the allocator below it */
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    SYS_madvise,
    SYS_munlock,
    SYS_futex,
    /* what waits for a guest, and the caller's streams */
    SYS_poll,
    SYS_ppoll,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_sendto,
    SYS_recvfrom,
    SYS_rt_sigprocmask,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigaction,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    /* the host, until it ends: cancels by signal, the report, its text */
    SYS_signalfd4,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_readlink,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_renameat,
    SYS_rename,
    SYS_unlink,
    SYS_uname,
    SYS_geteuid,
    SYS_getuid,
    SYS_getpid,
    SYS_gettid,
    SYS_sysinfo,
    SYS_exit,
    SYS_exit_group,
};
/* Only when the run is staged: copies and whiteouts, and what this process does with them once the guest is gone (src/stage). */
static const uint16_t staging_calls[] = {
    SYS_copy_file_range,
    SYS_mknodat,
    SYS_getxattr,
    SYS_setxattr,
    SYS_flistxattr,
    SYS_fgetxattr,
    SYS_fsetxattr,
    SYS_fremovexattr,
    SYS_chmod,
    SYS_fchown,
    SYS_flock,
    SYS_syncfs,
};
static const uint16_t mapping_calls[] = { SYS_mmap,
                                          SYS_mprotect }; /* the third argument is the protection */

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

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

/* What a directory of the guest's may be used for; an access of wasi.h. The host's tree below a staged one is only read, unless this process
 * commits to it when the guest is gone. */
static enum bv_access plain_access(const struct guest_run *run, size_t index)
{
    if (run->upper_fds[index] >= 0) {
        return run->execution->intent->commit ? BV_ACCESS_READ_WRITE : BV_ACCESS_READ;
    }
    switch (run->world.places[index].root.access) {
    case BV_WASI_READ: return BV_ACCESS_READ;
    case BV_WASI_WRITE: return BV_ACCESS_WRITE;
    case BV_WASI_READ_WRITE: return BV_ACCESS_READ_WRITE;
    }
    BV_UNREACHABLE();
}

/* The attempt's quarantine, in which whiteouts are devices, and to remove it itself. */
static int add_quarantine(struct guest_run *run, int ruleset, uint64_t abi)
{
    const struct bv_execution *execution = run->execution;
    if (execution->staged_count == 0) {
        return 0;
    }
    char path[BV_PATH_MAX_BYTES + 1];
    bv_copy_text(path, sizeof path, execution->staged[0].dir);
    int result = 0;
    for (int level = 0; result == 0 && level < 2; level++) { /* DIR/quarantine/bvisor-ATTEMPT/rN */
        char *slash = strrchr(path, '/');
        BV_ASSERT(slash && slash > path);
        *slash = '\0';
        const int fd = result_of(open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (fd < 0) {
            return fd;
        }
        result = add_rule(run, ruleset, fd, level > 0 ? LANDLOCK_ACCESS_FS_REMOVE_DIR
                                                      : linux_landlock_access(abi, BV_ACCESS_READ_WRITE, false, true) |
                                                            LANDLOCK_ACCESS_FS_MAKE_CHAR);
        (void)close(fd);
    }
    return result;
}

static int add_rules(struct guest_run *run, int ruleset, uint64_t abi)
{
    const uint64_t handled = linux_landlock_handled_fs(abi);
    int result = 0;
    for (size_t i = 0; result == 0 && i < run->world.place_count; i++) {
        const enum bv_access access = plain_access(run, i);
        result = add_rule(run, ruleset, run->root_fds[i],
                          linux_landlock_access(abi, access, false, true));
    }
    if (result == 0) {
        result = add_quarantine(run, ruleset, abi);
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

/* ---- the filter: a search tree over runs of call numbers of one verdict ---- */

enum verdict {
    VERDICT_REFUSE,
    VERDICT_ALLOW,
    VERDICT_JUDGE
};                  /* of a call: the last looks at the protection */
#define NUMBERS 512 /* from here on, x32's included, all are refused */

struct runs {
    uint16_t first[NUMBERS];
    uint8_t verdict[NUMBERS];
    size_t count;
};
struct program {
    struct sock_filter code[4 * (BV_COUNT(calls) + BV_COUNT(staging_calls) + BV_COUNT(mapping_calls)) + 16];
    size_t count;
};

static void add(struct program *program, struct sock_filter instruction)
{
    BV_ASSERT(program->count < BV_COUNT(program->code));
    program->code[program->count++] = instruction;
}

static void find_runs(struct runs *runs, bool stages)
{
    uint8_t verdict[NUMBERS] = { 0 };
    for (size_t i = 0; i < BV_COUNT(calls); i++) {
        BV_ASSERT(calls[i] < NUMBERS);
        verdict[calls[i]] = VERDICT_ALLOW;
    }
    for (size_t i = 0; stages && i < BV_COUNT(staging_calls); i++) {
        verdict[staging_calls[i]] = VERDICT_ALLOW;
    }
    for (size_t i = 0; i < BV_COUNT(mapping_calls); i++) {
        verdict[mapping_calls[i]] = VERDICT_JUDGE;
    }
    runs->count = 0;
    for (size_t nr = 0; nr <= NUMBERS; nr++) {
        const uint8_t here = nr < NUMBERS ? verdict[nr] : VERDICT_REFUSE;
        if (runs->count == 0 || here != runs->verdict[runs->count - 1]) {
            BV_ASSERT(runs->count < NUMBERS);
            runs->first[runs->count] = (uint16_t)nr;
            runs->verdict[runs->count++] = here;
        }
    }
}

static void add_leaf(struct program *program, uint8_t verdict)
{
    if (verdict == VERDICT_JUDGE) {
        add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                  offsetof(struct seccomp_data, args[2])));
        add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
        add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    add(program, (struct sock_filter)BPF_STMT(
                     BPF_RET | BPF_K, verdict == VERDICT_ALLOW ? SECCOMP_RET_ALLOW : REFUSED));
}

/* The kernel walks the program once for every call number when it is loaded: in a list that takes longer than all the rest. */
static void add_tree(struct program *program, const struct runs *runs, size_t low, size_t high)
{
    if (low == high) {
        add_leaf(program, runs->verdict[low]);
        return;
    }
    const size_t middle = (low + high + 1) / 2, node = program->count;
    add(program,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, runs->first[middle], 0, 0));
    add_tree(program, runs, low, middle - 1);
    BV_ASSERT(program->count - node - 1 <= UINT8_MAX); /* a jump's reach */
    program->code[node].jt = (uint8_t)(program->count - node - 1);
    add_tree(program, runs, middle, high);
}

static int restrict_calls(bool stages)
{
    struct runs runs;
    struct program program = { .count = 0 };
    find_runs(&runs, stages);
    add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                               offsetof(struct seccomp_data, arch)));
    add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, REFUSED));
    add(&program,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    add_tree(&program, &runs, 0, runs.count - 1);
    const struct sock_fprog loaded = { .len = (unsigned short)program.count,
                                       .filter = program.code };
    return result_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded));
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
        confinement->denied += results[i] == -EACCES || results[i] == -EPERM;
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
    result = result == 0 ? restrict_calls(run->execution->staged_count > 0) : result;
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
