/* test_seccomp.c - what every filter program decides, call by call, in an interpreter, and that
 * the kernel takes it.
 *
 * The expectations are written here by hand and by number, apart from the policy table that the
 * programs are made from. The list of numbers that each program allows with zero arguments is a
 * golden file: a change of it is a change of the boundary. Beside that, every decision is
 * compared with that of the program which libseccomp makes from the same table.
 * BV_GOLDEN_UPDATE=1 writes it anew. */
#include "backend/linux/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/linux/seccomp_reference.h"
#include "support/bpf_interp.h"
#include "support/tap.h"

#define HIGH        (UINT64_C(0xdeadbeef) << 32)
#define ERRNO_OF(e) (SECCOMP_RET_ERRNO | (uint32_t)(e))

/* Short names for seccomp_expected.def. */
#define ALLOWED SECCOMP_RET_ALLOW
#define NOTIFIED SECCOMP_RET_USER_NOTIF
#define FAILS(e) ERRNO_OF(e)
enum {
    ANY = -1,
    NONE = BV_SPAWN_DENY_NEW_TASKS,
    THREADS = BV_SPAWN_ALLOW_THREADS,
    DESCENDANTS = BV_SPAWN_ALLOW_DESCENDANTS,
    DENY_ALL = BV_NETWORK_DENY_ALL,
    ALLOW_ALL = BV_NETWORK_ALLOW_ALL,
    UNIX_ONLY = 100, /* deny_all where AF_UNIX sockets may be made */
};

static const struct policy {
    enum bv_spawn_policy spawn;
    enum bv_network_policy network;
    bool unix_sockets;
    const char *name;
} policies[] = {
    { BV_SPAWN_DENY_NEW_TASKS, BV_NETWORK_DENY_ALL, false, "deny_new_tasks deny_all" },
    { BV_SPAWN_DENY_NEW_TASKS, BV_NETWORK_ALLOW_ALL, false, "deny_new_tasks allow_all" },
    { BV_SPAWN_DENY_NEW_TASKS, BV_NETWORK_DENY_ALL, true, "deny_new_tasks unix_only" },
    { BV_SPAWN_ALLOW_THREADS, BV_NETWORK_DENY_ALL, false, "allow_threads deny_all" },
    { BV_SPAWN_ALLOW_THREADS, BV_NETWORK_ALLOW_ALL, false, "allow_threads allow_all" },
    { BV_SPAWN_ALLOW_THREADS, BV_NETWORK_DENY_ALL, true, "allow_threads unix_only" },
    { BV_SPAWN_ALLOW_DESCENDANTS, BV_NETWORK_DENY_ALL, false, "allow_descendants deny_all" },
    { BV_SPAWN_ALLOW_DESCENDANTS, BV_NETWORK_ALLOW_ALL, false, "allow_descendants allow_all" },
    { BV_SPAWN_ALLOW_DESCENDANTS, BV_NETWORK_DENY_ALL, true, "allow_descendants unix_only" },
};
#define POLICY_COUNT (sizeof(policies) / sizeof(policies[0]))

static uint32_t decide_on(const struct policy *policy, uint32_t arch, int nr,
                          const uint64_t args[6])
{
    const struct linux_filter filter = linux_seccomp_filter(policy->spawn, policy->network, policy->unix_sockets);
    struct bpf_call call = { .nr = nr, .arch = arch };
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    memcpy(call.args, args, sizeof(call.args));
    if (!bpf_run(filter.insns, filter.count, &call, &action, NULL)) {
        return 0x12345678; /* no decision of ours */
    }
    return action;
}

static uint32_t decide(const struct policy *policy, int nr, const uint64_t args[6])
{
    return decide_on(policy, AUDIT_ARCH_X86_64, nr, args);
}

#define ARGS(...) ((const uint64_t[6]){ __VA_ARGS__ })

/* ---- calls that no argument makes allowed ---- */

static const struct {
    int nr;
    const char *name;
    uint32_t action;
} never[] = {
#define NEVER(nr, name, action) { nr, name, action },
#include "golden/seccomp_expected.def"
#undef NEVER
};

static void test_never(void)
{
    static const uint64_t words[] = {
        0, 1, 2, 0x80, CLONE_VM, CLONE_THREAD, CLONE_NEWUSER, UINT32_MAX, HIGH, UINT64_MAX
    };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        bool same = true;
        for (size_t p = 0; p < POLICY_COUNT; p++) {
            for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
                same = same && decide(&policies[p], never[i].nr,
                                      ARGS(words[w], words[w], words[w], words[w], words[w],
                                           words[w])) == never[i].action;
            }
        }
        tap_ok(same, "%s is 0x%08x whatever its arguments", never[i].name, never[i].action);
    }
}

/* ---- calls judged by their arguments; checked as written and with garbage in the high halves
 * of int arguments ---- */

static const struct {
    int nr, spawn, network;
    uint32_t int_args; /* bit n: the kernel reads argument n as 32 bits */
    uint32_t action;
    const char *what;
    uint64_t args[6];
} judged[] = {
#define CASE(nr, spawn, network, int_args, action, what, ...)                                      \
    { nr, spawn, network, int_args, action, what, { __VA_ARGS__ } },
#include "golden/seccomp_expected.def"
#undef CASE
};

static void test_judged(void)
{
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        for (size_t p = 0; p < POLICY_COUNT; p++) {
            const int network = policies[p].unix_sockets ? UNIX_ONLY : (int)policies[p].network;
            if ((judged[i].spawn != ANY && judged[i].spawn != (int)policies[p].spawn) ||
                (judged[i].network != ANY && judged[i].network != network)) {
                continue;
            }
            uint64_t dirty[6];
            for (int a = 0; a < 6; a++) {
                dirty[a] = judged[i].args[a] | (judged[i].int_args >> a & 1 ? HIGH : 0);
            }
            const uint32_t clean = decide(&policies[p], judged[i].nr, judged[i].args);
            const uint32_t garbage = decide(&policies[p], judged[i].nr, dirty);
            tap_ok(clean == judged[i].action && garbage == judged[i].action,
                   "%s: %s is 0x%08x (0x%08x, with high bits 0x%08x)", policies[p].name,
                   judged[i].what, judged[i].action, clean, garbage);
        }
    }
}

/* Every family, type and protocol: what is allowed is exactly the short list. */
static void test_socket_space(void)
{
    bool good = true;
    for (uint32_t family = 0; family < 128; family++) {
        for (uint32_t type = 0; type < 16; type++) {
            for (uint32_t protocol = 0; protocol < 600; protocol++) {
                const bool inet = family == 2 || family == 10;
                const bool wanted = (inet && type == 1 && (protocol == 0 || protocol == 6)) ||
                                    (inet && type == 2 && (protocol == 0 || protocol == 17)) ||
                                    (family == 16 && (type == 2 || type == 3) && protocol == 0);
                good = good && (decide(&policies[7], SYS_socket, ARGS(family, type, protocol)) ==
                                SECCOMP_RET_ALLOW) == wanted;
            }
        }
    }
    tap_ok(good, "allow_all: of 1.2 million kinds of socket exactly TCP, UDP and routing netlink "
                 "are allowed");
    good = true;
    for (uint32_t family = 0; family < 128; family++) {
        for (uint32_t type = 0; type < 16; type++) {
            const bool wanted = family == 1 && (type == 1 || type == 2 || type == 5);
            good = good && (decide(&policies[8], SYS_socket, ARGS(family, type)) ==
                            SECCOMP_RET_ALLOW) == wanted;
        }
    }
    tap_ok(good, "unix_only: AF_UNIX streams, datagrams and packets, and no other socket");
}

/* All ioctl numbers of 16 bits, and clone with each flag. */
static void test_spaces(void)
{
    bool good = true;
    for (uint32_t cmd = 0; cmd < 0x10000; cmd++) {
        const bool wanted = cmd != 0x5412 && cmd != 0x541c;
        good =
            good && (decide(&policies[0], SYS_ioctl, ARGS(0, cmd)) == SECCOMP_RET_ALLOW) == wanted;
    }
    tap_ok(good, "of the ioctl numbers only TIOCSTI and TIOCLINUX are refused");
    const uint64_t forbidden = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                               CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    good = true;
    for (int bit = 0; bit < 64; bit++) {
        const uint64_t flags = UINT64_C(1) << bit;
        const uint32_t wanted = flags & forbidden ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
        good =
            good && decide(&policies[6], SYS_clone, ARGS(flags)) == wanted &&
            decide(&policies[6], SYS_clone, ARGS(flags | 17)) == wanted &&
            decide(&policies[0], SYS_clone, ARGS(flags)) == SECCOMP_RET_USER_NOTIF &&
            decide(&policies[3], SYS_clone, ARGS(flags)) == SECCOMP_RET_USER_NOTIF &&
            decide(&policies[3], SYS_clone,
                   ARGS(flags | CLONE_THREAD | CLONE_FILES | CLONE_VM | CLONE_SIGHAND)) == wanted;
    }
    tap_ok(good, "clone: each flag alone and with others gets its verdict");
}

static void test_foreign(void)
{
    static const struct {
        uint32_t arch;
        int base;
        const char *name;
    } abis[] = {
        { AUDIT_ARCH_I386, 0, "i386" },
        { AUDIT_ARCH_X86_64, 0x40000000, "x32" },
        { AUDIT_ARCH_AARCH64, 0, "aarch64" },
        { 0, 0, "none" },
    };
    for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
        bool good = true;
        for (size_t p = 0; p < POLICY_COUNT; p++) {
            for (int nr = 0; nr < 1024; nr++) {
                good = good && decide_on(&policies[p], abis[i].arch, abis[i].base + nr, ARGS(0)) ==
                                   ERRNO_OF(ENOSYS);
            }
        }
        tap_ok(good, "every call of %s is answered ENOSYS", abis[i].name);
    }
    tap_ok(decide(&policies[6], -1, ARGS(0)) == ERRNO_OF(ENOSYS) &&
               decide(&policies[6], INT32_MAX, ARGS(0)) == ERRNO_OF(ENOSYS) &&
               decide(&policies[6], INT32_MIN, ARGS(0)) == ERRNO_OF(ENOSYS),
           "numbers that are none are answered ENOSYS");
}

/* ---- the second compiler ---- */

#define REFERENCE(name)                                                                            \
    {                                                                                              \
        program_reference_##name,                                                                  \
            sizeof(program_reference_##name) / sizeof(program_reference_##name[0])                 \
    }
static const struct linux_filter references[POLICY_COUNT] = {
    REFERENCE(deny_new_tasks_deny_all),     REFERENCE(deny_new_tasks_allow_all),
    REFERENCE(deny_new_tasks_unix_only),    REFERENCE(allow_threads_deny_all),
    REFERENCE(allow_threads_allow_all),     REFERENCE(allow_threads_unix_only),
    REFERENCE(allow_descendants_deny_all),  REFERENCE(allow_descendants_allow_all),
    REFERENCE(allow_descendants_unix_only),
};

/* Words that stand near what the rows compare, and noise; fixed seed. */
static uint64_t some_word(uint64_t *state)
{
    static const uint64_t near[] = {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        10,
        16,
        17,
        0x5412,
        0x541c,
        1024,
        1026,
        36,
        38,
        1030,
        0x3d0f00,
        CLONE_FILES,
        CLONE_THREAD,
        CLONE_NEWUSER,
        CLONE_NEWNET,
        0020000,
        0104755,
        0100644,
        0xffffffff,
        UINT64_MAX,
        SOCK_CLOEXEC | 1,
        SOCK_NONBLOCK | 2,
        02000,
        0101,
    };
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    const uint64_t word = near[*state >> 8 & 31];
    switch (*state & 3) {
    case 0: return word;
    case 1: return word | HIGH;
    case 2: return word ^ UINT64_C(1) << (*state >> 40 & 63);
    default: return *state;
    }
}

static void test_reference(void)
{
    uint64_t state = 0x9e3779b97f4a7c15;
    for (size_t p = 0; p < POLICY_COUNT; p++) {
        const struct linux_filter filter =
            linux_seccomp_filter(policies[p].spawn, policies[p].network, policies[p].unix_sockets);
        uint32_t differing = 0, tried = 0;
        for (int nr = -2; nr < 1100; nr++) {
            for (int round = 0; round < 300; round++) {
                struct bpf_call call = { .nr = round == 0 ? nr + 0x40000000 : nr,
                                         .arch = round == 1 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64 };
                uint32_t ours = 1, theirs = 2;
                for (int a = 0; a < 6; a++) {
                    call.args[a] = some_word(&state);
                }
                const bool ran =
                    bpf_run(filter.insns, filter.count, &call, &ours, NULL) &&
                    bpf_run(references[p].insns, references[p].count, &call, &theirs, NULL);
                differing += !ran || ours != theirs;
                tried++;
            }
        }
        tap_ok(differing == 0, "%s: decides %u calls as libseccomp's %u instructions do",
               policies[p].name, tried, references[p].count);
    }
}

/* ---- golden list ---- */

static const char *action_word(uint32_t action)
{
    return action == SECCOMP_RET_ALLOW        ? "allow"
           : action == SECCOMP_RET_USER_NOTIF ? "notify"
                                              : "errno";
}

static void write_golden(FILE *file)
{
    for (size_t p = 0; p < POLICY_COUNT; p++) {
        fprintf(file, "%s\n", policies[p].name);
        for (int nr = 0; nr < 1024; nr++) {
            const uint32_t action = decide(&policies[p], nr, ARGS(0));
            if (action != ERRNO_OF(ENOSYS)) {
                fprintf(file, "%d %s %u\n", nr, action_word(action), action & 0xffff);
            }
        }
    }
}

static void test_golden(const char *path)
{
    char *text = NULL, golden[200000];
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    write_golden(memory);
    fclose(memory);
    if (getenv("BV_GOLDEN_UPDATE")) {
        FILE *out = fopen(path, "w");
        fputs(text, out);
        fclose(out);
    }
    FILE *file = fopen(path, "r");
    golden[file ? fread(golden, 1, sizeof(golden) - 1, file) : 0] = '\0';
    if (file) {
        fclose(file);
    }
    tap_ok(strcmp(text, golden) == 0,
           "decisions on numbers 0 to 1023 without arguments are those of %s", path);
    free(text);
}

/* ---- the rest ---- */

static void test_programs(void)
{
    for (size_t p = 0; p < POLICY_COUNT; p++) {
        const struct linux_filter filter =
            linux_seccomp_filter(policies[p].spawn, policies[p].network, policies[p].unix_sockets);
        uint32_t most = 0, action, steps;
        for (int nr = 0; nr < 512; nr++) {
            const struct bpf_call call = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
            if (bpf_run(filter.insns, filter.count, &call, &action, &steps) && steps > most) {
                most = steps;
            }
        }
        tap_ok(filter.count > 0 && filter.count <= BV_FRAME_BPF_MAX_INSNS,
               "%s: %u instructions, at most %u run", policies[p].name, filter.count, most);
    }
    const struct linux_filter none =
        linux_seccomp_filter(BV_SPAWN_ALLOW_THREADS, BV_NETWORK_ALLOW_LIST, true);
    tap_ok(none.count == 0 && none.insns == NULL, "there is no program for an allow-list");
}

static int install_in_child(const struct linux_filter *filter)
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct sock_filter copy[BV_FRAME_BPF_MAX_INSNS];
        for (uint32_t i = 0; i < filter->count; i++) {
            copy[i] = (struct sock_filter){ filter->insns[i].code, filter->insns[i].jt,
                                            filter->insns[i].jf, filter->insns[i].k };
        }
        const struct sock_fprog program = { (unsigned short)filter->count, copy };
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
            _exit(2);
        }
        const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                      SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        if (listener < 0) {
            _exit(errno == EBUSY ? 77 : 3);
        }
        /* The rows that need no answer from a listener. */
        const bool holds = syscall(SYS_getpid) > 0 && syscall(SYS_clone3, NULL, 0) == -1 &&
                           errno == ENOSYS && syscall(SYS_bpf, 0, NULL, 0) == -1 &&
                           errno == EPERM && syscall(SYS_keyctl, 0, 0, 0) == -1 && errno == EPERM &&
                           syscall(SYS_memfd_create, "x", 1) == -1 && errno == EACCES &&
                           syscall(600) == -1 && errno == ENOSYS;
        _exit(holds ? 0 : 4);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 1;
}

static void test_kernel(void)
{
    for (size_t p = 0; p < POLICY_COUNT; p++) {
        const struct linux_filter filter =
            linux_seccomp_filter(policies[p].spawn, policies[p].network, policies[p].unix_sockets);
        const int status = install_in_child(&filter);
        if (status == 77) {
            tap_skip("%s: this test is below another seccomp listener", policies[p].name);
        } else {
            tap_ok(status == 0, "%s: the kernel takes the program and holds to it (%d)",
                   policies[p].name, status);
        }
    }
}

static void test_describe(void)
{
    struct bv_intent intent = { .spawn = BV_SPAWN_ALLOW_THREADS, .network = BV_NETWORK_ALLOW_ALL };
    enum bv_requirement_kind kind = BV_REQ_KILL;
    char text[96];
    tap_ok(linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_socket,
                                  ARGS(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1), &intent, &kind,
                                  text) &&
               kind == BV_REQ_NETWORK_ALLOW_ALL,
           "a socket is the network row's");
    tap_text(text, "socket AF_INET SOCK_RAW protocol 1",
             "and is told by family, type and protocol");
    tap_ok(linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_socketpair, ARGS(HIGH | 77, 9, 0), &intent,
                                  &kind, text),
           "an unknown socket is described");
    tap_text(text, "socketpair family 77 type 9", "by its numbers, without the high halves");
    tap_ok(linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_clone, ARGS(17), &intent, &kind, text) &&
               kind == BV_REQ_SPAWN_ALLOW_THREADS,
           "clone is the spawn row's");
    tap_text(text, "clone", "and is told by its name");
    intent.spawn = BV_SPAWN_DENY_NEW_TASKS;
    tap_ok(linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_ptrace, ARGS(0), &intent, &kind, text) &&
               kind == BV_REQ_SPAWN_DENY_NEW_TASKS,
           "ptrace is the spawn row's");
    tap_ok(linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_mount, ARGS(0), &intent, &kind, text) &&
               kind == BV_REQ_FILESYSTEM,
           "mount is the filesystem row's");
    tap_ok(!linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_read, ARGS(0), &intent, &kind, text),
           "read is not one of ours");
    tap_ok(!linux_seccomp_describe(AUDIT_ARCH_X86_64, SYS_bpf, ARGS(0), &intent, &kind, text),
           "bpf is denied without being recorded");
    tap_ok(!linux_seccomp_describe(AUDIT_ARCH_I386, SYS_socket, ARGS(0), &intent, &kind, text),
           "another architecture is not one of ours");
    tap_ok(linux_seccomp_errno(SYS_socket) == EACCES && linux_seccomp_errno(SYS_clone) == EPERM &&
               linux_seccomp_errno(SYS_mount) == EPERM && linux_seccomp_errno(SYS_read) == ENOSYS,
           "each notified call has its errno");
    bool all = true;
    for (int nr = 0; nr < 512; nr++) {
        for (size_t p = 0; p < POLICY_COUNT; p++) {
            if (decide(&policies[p], nr, ARGS(0)) == SECCOMP_RET_USER_NOTIF) {
                all =
                    all &&
                    linux_seccomp_describe(AUDIT_ARCH_X86_64, nr, ARGS(0), &intent, &kind, text) &&
                    linux_seccomp_errno(nr) > 0;
            }
        }
    }
    tap_ok(all, "every call that is notified can be described");
}

int main(int argc, char **argv)
{
    test_programs();
    test_never();
    test_judged();
    test_socket_space();
    test_spaces();
    test_foreign();
    test_reference();
    test_golden(argc > 1 ? argv[1] : "tests/golden/seccomp_x86_64.txt");
    test_describe();
    test_kernel();
    return tap_done();
}
