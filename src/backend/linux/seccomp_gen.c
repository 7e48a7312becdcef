/* backend/linux/seccomp_gen.c - build-time program: the policy table -> classic BPF, as C source
 * on stdout.
 *
 * It runs on the build machine and makes programs for the architecture that its argument names,
 * so that the library needs no libseccomp at run time and a launch compiles nothing. Programs
 * come from seccomp_ranges.c; with "reference" as a second argument the same table is compiled
 * by libseccomp instead, and tests/unit/test_seccomp.c runs both in an interpreter and compares
 * what they decide. The output depends on the table alone. */
#include "backend/linux/seccomp_gen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define INT32 0xffffffffu
#define CLONE_NEW_ANY                                                                              \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)
#define CLONE_AS_THREAD (CLONE_THREAD | CLONE_FILES)
#define SET_ID          (S_ISUID | S_ISGID)
#define O_MAKES_A_FILE  (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) /* what makes open read its mode */
_Static_assert((S_IFBLK & S_IFCHR) == S_IFCHR && !((S_IFREG | S_IFIFO | S_IFSOCK) & S_IFCHR), "mknod");
_Static_assert((AF_INET ^ AF_INET6) == 8, "one bit tells the internet families apart");

#define ALWAYS                                                                                     \
    {                                                                                              \
        COND_NONE, 0, 0, { 0 }, 0                                                                  \
    }
#define IS(arg, mask, value)                                                                       \
    {                                                                                              \
        COND_IS, (arg), (mask), { (value) }, 1                                                     \
    }
#define NOT_IN(arg, mask, ...)                                                                     \
    {                                                                                              \
        COND_NOT_IN, (arg), (mask), { __VA_ARGS__ },                                               \
            sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)                                 \
    }
#define HAS_ANY(arg, mask)                                                                         \
    {                                                                                              \
        COND_HAS_ANY, (arg), (mask), { 0 }, 0                                                      \
    }
#define INET IS(0, INT32 & ~(uint32_t)(AF_INET ^ AF_INET6), AF_INET)

#define PERMIT(name, spawns, networks, why, ...)                                                   \
    { #name, (spawns), (networks), ACTION_ALLOW, 0, TASK, why, { __VA_ARGS__ } },
#define FAIL(name, spawns, networks, err, why, ...)                                                \
    { #name, (spawns), (networks), ACTION_FAIL, (err), TASK, why, { __VA_ARGS__ } },
#define RECORD(name, spawns, networks, err, class, why, ...)                                       \
    { #name, (spawns), (networks), ACTION_RECORD, (err), class, why, { __VA_ARGS__ } },
#define ALLOW(name)                   PERMIT(name, SPAWN_EVERY, NET_EVERY, "", ALWAYS)
#define REFUSE(name, err, why)        FAIL(name, SPAWN_EVERY, NET_EVERY, err, why, ALWAYS)
#define NOTIFY(name, err, class, why) RECORD(name, SPAWN_EVERY, NET_EVERY, err, class, why, ALWAYS)

const struct row policy_rows[] = {
#include "backend/linux/seccomp_policy.def"
};
const size_t policy_row_count = sizeof(policy_rows) / sizeof(policy_rows[0]);

_Noreturn void give_up(const char *what, const char *name, int error)
{
    fprintf(stderr, "seccomp_gen: %s %s: %s\n", what, name, strerror(error < 0 ? -error : error));
    exit(1);
}

/* Calls of kernels that this libseccomp does not know yet. From 424 on, numbers are the same on all
 * architectures (Documentation/process/adding-syscalls.rst). */
int number_of(uint32_t arch, const char *name)
{
    static const struct {
        const char *name;
        int number;
    } newer[] = {
        { "fchmodat2", 452 },  { "map_shadow_stack", 453 }, { "futex_wake", 454 },
        { "futex_wait", 455 }, { "futex_requeue", 456 },
    };
    int number = seccomp_syscall_resolve_name_arch(arch, name);
    for (size_t i = 0; number == __NR_SCMP_ERROR && i < sizeof(newer) / sizeof(newer[0]); i++) {
        if (strcmp(newer[i].name, name) == 0) {
            number = newer[i].number;
        }
    }
    if (number == __NR_SCMP_ERROR) {
        give_up("unknown system call", name, EINVAL);
    }
    return number;
}

static void print_program(const char *name, const struct bv_frame_insn *insns, size_t count)
{
    printf("static const struct bv_frame_insn program_%s[] = {\n", name);
    for (size_t i = 0; i < count; i++) {
        printf("%s{ 0x%02x, %u, %u, 0x%08x },%s", i % 4 == 0 ? "    " : " ", insns[i].code,
               insns[i].jt, insns[i].jf, insns[i].k, i % 4 == 3 || i + 1 == count ? "\n" : "");
    }
    printf("};\n\n");
}

/* One row a call that is denied in some form: what the listener answers and how it names the
 * call. */
static void print_denied(uint32_t arch)
{
    static const char *const class_names[] = { "TASK", "SOCKET", "MOUNT" };
    printf("static const struct denied_call denied_calls[] = {\n");
    for (size_t i = 0; i < policy_row_count; i++) {
        const struct row *row = &policy_rows[i];
        bool seen = row->action == ACTION_ALLOW;
        for (size_t j = 0; j < i; j++) {
            seen = seen || (policy_rows[j].action != ACTION_ALLOW &&
                            strcmp(row->name, policy_rows[j].name) == 0);
        }
        const int number = number_of(arch, row->name);
        if (!seen && number >= 0) {
            printf("    { %d, %d, %s, CLASS_%s, \"%s\" },\n", number, row->err,
                   row->action == ACTION_RECORD ? "true" : "false", class_names[row->class],
                   row->name);
        }
    }
    printf("};\n\n");
}

int main(int argc, char **argv)
{
    static const struct {
        int policy;
        const char *name;
    } spawns[] = {
        { SPAWN_NONE, "deny_new_tasks" },
        { SPAWN_THREADS, "allow_threads" },
        { SPAWN_ANY, "allow_descendants" },
    }, networks[] = { { NET_NONE, "deny_all" }, { NET_ALL, "allow_all" },
                 { NET_UNIX, "unix_only" } };
    static struct bv_frame_insn insns[BV_FRAME_BPF_MAX_INSNS];
    const bool reference = argc == 3 && strcmp(argv[2], "reference") == 0;
    const uint32_t arch = argc == 2 || reference ? seccomp_arch_resolve_name(argv[1]) : 0;
    if (arch == 0) {
        give_up("unknown architecture", argc >= 2 ? argv[1] : "(none)", EINVAL);
    }
    printf("/* Made by seccomp_gen from seccomp_policy.def for %s. */\n\n", argv[1]);
    for (size_t s = 0; s < 3; s++) {
        for (size_t n = 0; n < 3; n++) {
            const struct policy policy = { arch, spawns[s].policy, networks[n].policy };
            char name[80];
            snprintf(name, sizeof(name), "%s%s_%s", reference ? "reference_" : "", spawns[s].name,
                     networks[n].name);
            print_program(name, insns,
                          reference ? compile_reference(&policy, insns)
                                    : compile_ranges(&policy, insns));
        }
    }
    if (!reference) {
        printf("#define PROGRAMS_AUDIT_ARCH 0x%08xu\n\n", arch);
        print_denied(arch);
    }
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
