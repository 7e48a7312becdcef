/* launcher/canaries.c - tries what the plan forbids, after the last step and before the exec; every
 * attempt must fail for the right reason.
 *
 * A row that fails by its own bad arguments would prove nothing, so each is judged by errno: with
 * no boundary in place it would succeed or fail otherwise (EINVAL, EFAULT, EBADF, ESRCH), which
 * counts as not denied. The arguments are such that even a success harms nobody: flags that the
 * kernel refuses after the point where a filter or a permission check would have, files that do not
 * exist, remounts of what is so already. All happens in this process. The table of names is
 * launchwire/canary.def; specified by LINUX.md 3. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "launchwire/canary.h"

#include "base/check.h"

#include <linux/capability.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#if defined(__x86_64__)
#include <ucontext.h>
#endif

#define NOWHERE              ".bvisor-canary"
#define PTRACE_SEIZE_REQUEST 0x4206
#define MPTCP                262 /* IPPROTO_MPTCP */
#define NOT_TRIED            1   /* no errno: the attempt makes no sense here */

/* Errnos that mean "denied", by kind of attempt. ENOSYS is the filter's answer to what it does not
 * know. */
static const int REFUSED[] = { EPERM, EACCES, ENOSYS, 0 };
static const int HIDDEN[] = { ENOENT, EACCES, EPERM, ENOTDIR, EROFS, ENXIO, 0 };
static const int FIXED[] = { EROFS, EACCES, EPERM, ENOSYS, 0 };
static const int UNKNOWN[] = { ENOSYS, 0 };
static const int UNREACHED[] = { EPERM, ESRCH, 0 };
static const int UNSOCKETED[] = { EPERM, EACCES, ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT, 0 };
/* A socket was made, so the network itself must have refused: no route with lo down, nobody there,
 * Landlock. */
static const int UNCONNECTED[] = { EPERM,         EACCES,       ENOSYS,
                                   EAFNOSUPPORT,  ENETUNREACH,  ENETDOWN,
                                   EADDRNOTAVAIL, ECONNREFUSED, 0 };

static const struct __user_cap_header_struct CAP_HEADER = { .version =
                                                                _LINUX_CAPABILITY_VERSION_3 };
static const struct __user_cap_data_struct ALL_CAPS[2] = {
    { .effective = UINT32_MAX, .permitted = UINT32_MAX },
    { .effective = 0x1ff, .permitted = 0x1ff },
};
static const int REALTIME_PRIORITY = 99;

/* ---- attempts that are more than one call; each answers a result or -errno, or NOT_TRIED ---- */

static long open_outside(const struct bv_frame *frame)
{
    return raw_call(SYS_openat, AT_FDCWD, frame->canary_path,
                    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
}

static long stat_outside(const struct bv_frame *frame)
{
    struct stat st;

    return raw_stat(AT_FDCWD, frame->canary_path, &st);
}

static long create_in_root(const struct bv_frame *frame)
{
    long fd =
        raw_call(SYS_openat, AT_FDCWD, "/" NOWHERE, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    (void)frame;
    if (fd >= 0) {
        (void)raw_call(SYS_unlinkat, AT_FDCWD, "/" NOWHERE, 0);
    }
    return fd;
}

static long mknod_device(const struct bv_frame *frame)
{
    long result = raw_call(SYS_mknodat, AT_FDCWD, NOWHERE, S_IFCHR | 0600u, raw_memory_device(3));

    (void)frame;
    if (result == 0) {
        (void)raw_call(SYS_unlinkat, AT_FDCWD, NOWHERE, 0);
    }
    return result;
}

static long ptrace_supervisor(const struct bv_frame *frame)
{
    return raw_call(SYS_ptrace, (long)PTRACE_SEIZE_REQUEST, (long)frame->supervisor_pid, NULL,
                    NULL);
}

/* In here 1 is init and the next is this process: a supervisor with such a number in the host has
 * no namesake that could be tried. */
static long signal_supervisor(const struct bv_frame *frame)
{
    long self = raw_call(SYS_getpid);

    if (frame->supervisor_pid <= 1 || frame->supervisor_pid == self) {
        return NOT_TRIED;
    }
    return raw_call(SYS_kill, frame->supervisor_pid, 0);
}

/* getpriority of the kernel answers 20 - nice. */
static long lower_nice(const struct bv_frame *frame)
{
    long answer = raw_call(SYS_getpriority, PRIO_PROCESS, 0);

    (void)frame;
    if (answer < 0 || 20 - answer <= -20) {
        return answer < 0 ? answer : NOT_TRIED;
    }
    return raw_call(SYS_setpriority, PRIO_PROCESS, 0, (int)(20 - answer - 1));
}

static long connect_and_close(int fd, const void *address, size_t size)
{
    long result = raw_call(SYS_connect, fd, address, (unsigned)size);

    raw_close(fd);
    return result;
}

static long connect_tcp(const struct bv_frame *frame)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = __builtin_bswap16(frame->canary_port),
        .sin_addr = { .s_addr = __builtin_bswap32(INADDR_LOOPBACK) },
    };
    long fd = raw_call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? fd : connect_and_close((int)fd, &address, sizeof(address));
}

static long connect_abstract(const struct bv_frame *frame)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(frame->canary_socket);
    long fd;

    if (length == 0 || length >= sizeof(address.sun_path)) {
        return NOT_TRIED;
    }
    memcpy(address.sun_path + 1, frame->canary_socket,
           length); /* the first byte, NUL, makes it abstract */
    fd = raw_call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? fd
                  : connect_and_close((int)fd, &address,
                                      offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

#if defined(__x86_64__)
/* On a kernel without 32-bit emulation the instruction faults. That is a denial too: step over its
 * two bytes. */
static void skip_int80(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)signal;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

/* struct sigaction of the kernel; libc's has its members in another order. */
struct kernel_action {
    void (*handler)(int signal, siginfo_t *info, void *context);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
#define SA_HAS_RESTORER 0x04000000UL

/* What a handler returns to: rt_sigreturn, with the stack exactly as the kernel left it. */
void bv_canary_restorer(void);
__asm__(".pushsection .text\n.globl bv_canary_restorer\n.hidden bv_canary_restorer\n.type "
        "bv_canary_restorer, @function\n"
        "bv_canary_restorer:\n\tmovl $15, %eax\n\tsyscall\n.size bv_canary_restorer, . - "
        "bv_canary_restorer\n.popsection");

static long call_int80(const struct bv_frame *frame)
{
    const struct kernel_action action = {
        .handler = skip_int80,
        .flags = SA_SIGINFO | SA_HAS_RESTORER,
        .restorer = bv_canary_restorer,
    };
    struct kernel_action old;
    long result, failed = raw_call(SYS_rt_sigaction, SIGSEGV, &action, &old, sizeof(action.mask));

    (void)frame;
    if (failed < 0) {
        return failed;
    }
    result = 20; /* getpid of i386 */
    /* The kernel's i386 entry clears r8 to r11. */
    __asm__ volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory", "cc");
    failed = raw_call(SYS_rt_sigaction, SIGSEGV, &old, NULL, sizeof(old.mask));
    return failed < 0 ? failed : (int32_t)result;
}
#endif

/* ---- the table: one attempt a canary, either a function or one call ---- */

struct attempt {
    const int *denied_by;
    long (*run)(const struct bv_frame *frame); /* NULL: the call */
    long number;
    uintptr_t args[5];
};

static const struct attempt ATTEMPTS[BV_CANARY_COUNT] = {
    [BV_CANARY_OPEN_OUTSIDE] = { HIDDEN, open_outside, 0, { 0 } },
    [BV_CANARY_STAT_OUTSIDE] = { HIDDEN, stat_outside, 0, { 0 } },
    [BV_CANARY_CREATE_IN_ROOT] = { FIXED, create_in_root, 0, { 0 } },
    [BV_CANARY_CHMOD_ROOT] = { FIXED,
                               NULL,
                               SYS_fchmodat,
                               { (uintptr_t)AT_FDCWD, (uintptr_t) "/", 0755 } },
    [BV_CANARY_MKNOD_DEVICE] = { FIXED, mknod_device, 0, { 0 } },
    [BV_CANARY_OPEN_TTY] = { HIDDEN,
                             NULL,
                             SYS_openat,
                             { (uintptr_t)AT_FDCWD, (uintptr_t) "/dev/tty",
                               O_RDWR | O_NOCTTY | O_CLOEXEC } },
    [BV_CANARY_WRITE_SYSCTL] = { HIDDEN,
                                 NULL,
                                 SYS_openat,
                                 { (uintptr_t)AT_FDCWD, (uintptr_t) "/proc/sys/kernel/core_pattern",
                                   O_WRONLY | O_CLOEXEC } },
    [BV_CANARY_WRITE_SYSRQ] = { HIDDEN,
                                NULL,
                                SYS_openat,
                                { (uintptr_t)AT_FDCWD, (uintptr_t) "/proc/sysrq-trigger",
                                  O_WRONLY | O_CLOEXEC } },
    [BV_CANARY_READ_INIT_ENVIRON] = { HIDDEN,
                                      NULL,
                                      SYS_openat,
                                      { (uintptr_t)AT_FDCWD, (uintptr_t) "/proc/1/environ",
                                        O_RDONLY | O_CLOEXEC } },
    [BV_CANARY_OPEN_BY_HANDLE] = { REFUSED, NULL, SYS_open_by_handle_at, { (uintptr_t)-1, 0, 0 } },
    [BV_CANARY_NAME_TO_HANDLE] = { REFUSED,
                                   NULL,
                                   SYS_name_to_handle_at,
                                   { (uintptr_t)AT_FDCWD, (uintptr_t) "/", 0, 0, 0 } },
    [BV_CANARY_FANOTIFY] = { REFUSED, NULL, SYS_fanotify_init, { UINT32_MAX, 0 } },
    [BV_CANARY_FILE_LEASE] = { REFUSED, NULL, SYS_fcntl, { 0, F_SETLEASE, F_UNLCK } },
    [BV_CANARY_DIR_NOTIFY] = { REFUSED, NULL, SYS_fcntl, { 0, F_NOTIFY, 0 } },
    [BV_CANARY_EXEC_MEMFD] = { REFUSED,
                               NULL,
                               SYS_memfd_create,
                               { (uintptr_t)NOWHERE, MFD_CLOEXEC } },
    [BV_CANARY_MOUNT] = { REFUSED,
                          NULL,
                          SYS_mount,
                          { 0, (uintptr_t) "/", 0,
                            MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                            0 } },
    /* Filters judge the scalar flags; the kernel then refuses the combinations with EINVAL before
     * it makes a task (copy_process()). */
    [BV_CANARY_CLONE_PROCESS] = { REFUSED,
                                  NULL,
                                  SYS_clone,
                                  { CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0 } },
    [BV_CANARY_CLONE_USERNS] = { REFUSED,
                                 NULL,
                                 SYS_clone,
                                 { CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0 } },
    [BV_CANARY_CLONE3] = { REFUSED, NULL, SYS_clone3, { 0, 0 } },
    [BV_CANARY_PTRACE_SUPERVISOR] = { REFUSED, ptrace_supervisor, 0, { 0 } },
    [BV_CANARY_SIGNAL_SUPERVISOR] = { UNREACHED, signal_supervisor, 0, { 0 } },
    [BV_CANARY_SIGNAL_INIT] = { REFUSED, NULL, SYS_kill, { 1, 0 } },
    [BV_CANARY_PROCESS_MADVISE] = { REFUSED,
                                    NULL,
                                    SYS_process_madvise,
                                    { (uintptr_t)-1, 0, 0, 0, 0 } },
    [BV_CANARY_CAPSET] = { REFUSED,
                           NULL,
                           SYS_capset,
                           { (uintptr_t)&CAP_HEADER, (uintptr_t)ALL_CAPS } },
    [BV_CANARY_SECUREBITS] = { REFUSED, NULL, SYS_prctl, { PR_SET_SECUREBITS, 0, 0, 0, 0 } },
    [BV_CANARY_SCHED_FIFO] = { REFUSED,
                               NULL,
                               SYS_sched_setscheduler,
                               { 0, SCHED_FIFO, (uintptr_t)&REALTIME_PRIORITY } },
    [BV_CANARY_NICE] = { REFUSED, lower_nice, 0, { 0 } },
    [BV_CANARY_SETHOSTNAME] = { REFUSED, NULL, SYS_sethostname, { (uintptr_t) "bvisor", 6 } },
    [BV_CANARY_CLOCK_SETTIME] = { REFUSED, NULL, SYS_clock_settime, { CLOCK_REALTIME, 0 } },
    [BV_CANARY_SECCOMP_LISTENER] = { REFUSED,
                                     NULL,
                                     SYS_seccomp,
                                     { SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                                       0 } },
    /* The kernel reads the command as 32 bits, so bits above must not hide it from a filter. */
    [BV_CANARY_TIOCSTI] = { REFUSED, NULL, SYS_ioctl, { 0, (uintptr_t)1 << 32 | TIOCSTI, 0 } },
    [BV_CANARY_TIOCLINUX] = { REFUSED, NULL, SYS_ioctl, { 0, (uintptr_t)1 << 32 | TIOCLINUX, 0 } },
    [BV_CANARY_CONNECT_TCP] = { UNCONNECTED, connect_tcp, 0, { 0 } },
    [BV_CANARY_SOCKET_MPTCP] = { UNSOCKETED,
                                 NULL,
                                 SYS_socket,
                                 { AF_INET, SOCK_STREAM | SOCK_CLOEXEC, MPTCP } },
    [BV_CANARY_CONNECT_ABSTRACT] = { UNCONNECTED, connect_abstract, 0, { 0 } },
    [BV_CANARY_IO_URING] = { REFUSED, NULL, SYS_io_uring_setup, { 0, 0 } },
    [BV_CANARY_BPF] = { REFUSED, NULL, SYS_bpf, { INT32_MAX, 0, 0 } },
    [BV_CANARY_PERF_EVENT] = { REFUSED,
                               NULL,
                               SYS_perf_event_open,
                               { 0, 0, (uintptr_t)-1, (uintptr_t)-1, 0 } },
    [BV_CANARY_USERFAULTFD] = { REFUSED, NULL, SYS_userfaultfd, { UINT32_MAX } },
    [BV_CANARY_KEYCTL] = { REFUSED, NULL, SYS_keyctl, { INT32_MAX, 0, 0, 0, 0 } },
    [BV_CANARY_ADD_KEY] = { REFUSED, NULL, SYS_add_key, { 0, 0, 0, 0, 0 } },
    [BV_CANARY_KEXEC_LOAD] = { REFUSED, NULL, SYS_kexec_load, { 0, 0, 0, UINT32_MAX } },
    [BV_CANARY_INIT_MODULE] = { REFUSED, NULL, SYS_init_module, { 0, 0, 0 } },
    [BV_CANARY_ACCT] = { REFUSED, NULL, SYS_acct, { (uintptr_t) "/" NOWHERE } },
    [BV_CANARY_SWAPON] = { REFUSED, NULL, SYS_swapon, { (uintptr_t) "/" NOWHERE, 0 } },
    [BV_CANARY_REBOOT] = { REFUSED,
                           NULL,
                           SYS_reboot,
                           { 0, 0, 0, 0 } }, /* no magic: EINVAL after the permission check */
    [BV_CANARY_SYSLOG] = { REFUSED,
                           NULL,
                           SYS_syslog,
                           { 10, 0, 0 } }, /* SYSLOG_ACTION_SIZE_BUFFER */
    [BV_CANARY_PERSONALITY] = { REFUSED,
                                NULL,
                                SYS_personality,
                                { 0x0040000 } }, /* ADDR_NO_RANDOMIZE */
#if defined(__x86_64__)
    [BV_CANARY_MODIFY_LDT] = { REFUSED, NULL, SYS_modify_ldt, { 0, 0, 0 } },
    [BV_CANARY_INT80] = { UNKNOWN, call_int80, 0, { 0 } },
    [BV_CANARY_X32] = { UNKNOWN, NULL, 0x40000000 | 39, { 0 } }, /* getpid with __X32_SYSCALL_BIT */
#endif
    [BV_CANARY_UNKNOWN_CALL] = { UNKNOWN, NULL, 700, { 0 } },
};

static bool lists(const int *errnos, long result)
{
    for (; *errnos; errnos++) {
        if (result == -(long)*errnos) {
            return true;
        }
    }
    return false;
}

static long attempt(const struct bv_frame *frame, const struct attempt *row)
{
    if (row->run) {
        return row->run(frame);
    }
    BV_ASSERT(row->denied_by !=
              NULL); /* else the frame asks for a canary of another architecture */
    return raw_call(row->number, row->args[0], row->args[1], row->args[2], row->args[3],
                    row->args[4]);
}

/* A descriptor that an attempt should not have got may stay: the launch ends here. */
int bv_step_canaries(struct launch *launch)
{
    struct bv_status_message message = { .type = BV_MSG_CANARIES };
    int result;

    if (!(launch->frame.flags & BV_FRAME_CANARIES)) {
        return 0;
    }
    for (unsigned i = 0; i < BV_CANARY_COUNT; i++) {
        long answer;

        if (!(launch->frame.canaries >> i & 1)) {
            continue;
        }
        launch->at->index = i;
        answer = attempt(&launch->frame, &ATTEMPTS[i]);
        if (answer == NOT_TRIED && ATTEMPTS[i].run) {
            continue;
        }
        message.values[0] |= UINT64_C(1) << i;
        if (!lists(ATTEMPTS[i].denied_by, answer)) {
            message.values[1] |= UINT64_C(1) << i;
        }
    }
    result = bv_tell(launch, &message, -1);
    if (result == 0 && message.values[1] != 0) {
        launch->at->index =
            (uint64_t)__builtin_ctzll(message.values[1]); /* the first that was not denied */
        result = -EPERM;
    }
    return result;
}
