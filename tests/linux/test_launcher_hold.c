/* tests/linux/test_launcher_hold.c - what the launcher holds on the real kernel: limits, figures,
 * lifeline, cgroups, Landlock, seccomp, canaries. */
#include "launch_world.h"

#include "backend/linux/linux.h"
#include "launchwire/canary.h"
#include "sys/uapi_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- limits and figures ---- */

static void test_wall_and_kill(const struct world *w)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "sleep", "10000", NULL);
    d.frame->wall_micros = 100000;
    drive_run(&d);
    tap_ok(limited(&d, 0) && d.seconds >= 0.1 && d.seconds < 2,
           "%s: the wall limit ends the tree (%.3f s)", w->who, d.seconds);
    tap_ok(drive_message(&d, BV_MSG_LIMIT) && drive_message(&d, BV_MSG_LIMIT)->values[1] >= 100000,
           "%s: and says when", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "hold", NULL);
    d.kill_at_exec = true;
    drive_run(&d);
    tap_ok(ended(&d, SIGKILL) && !drive_message(&d, BV_MSG_LIMIT),
           "%s: KILL ends the tree and is no limit", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "daemon", "3", NULL);
    drive_run(&d);
    tap_ok(ended(&d, code(7)) && drive_message(&d, BV_MSG_EXITED)->values[2] == 3,
           "%s: daemons die with the run and are counted", w->who);
    drive_done(&d);
}

static void test_sampled_limits(const struct world *w)
{
    struct drive d;
    uint64_t used, peak;

    drive_init(&d, w->launcher, w->payload, "burn", "10000", "2", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_CPU;
    d.frame->cpu_micros = 150000;
    drive_run(&d);
    used = figure(&d, BV_FIGURE_CPU_MICROS);
    tap_ok(limited(&d, 1) && used >= 150000 && used < 250000,
           "%s: two busy children reach the CPU limit of 150 ms at %llu us", w->who,
           (unsigned long long)used);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "burn", "50", "4", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_CPU;
    drive_run(&d);
    used = figure(&d, BV_FIGURE_CPU_MICROS);
    tap_ok(ended(&d, 0) && used >= 200000 && used < 260000,
           "%s: 4 x 50 ms of CPU are measured as %llu us", w->who, (unsigned long long)used);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "tree", "4", "300", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_TASKS;
    drive_run(&d);
    peak = figure(&d, BV_FIGURE_TASKS_PEAK);
    tap_ok(ended(&d, 0) && peak == 5, "%s: 5 tasks are counted as %llu", w->who,
           (unsigned long long)peak);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "tree", "4", "10000", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_TASKS;
    d.frame->process_limit = 3;
    drive_run(&d);
    tap_ok(limited(&d, 3), "%s: more tasks than allowed end the tree", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "handles", "9", "200", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_HANDLES;
    drive_run(&d);
    peak = figure(&d, BV_FIGURE_HANDLES_PEAK);
    tap_ok(ended(&d, 0) && peak == 12, "%s: 12 descriptors are counted as %llu", w->who,
           (unsigned long long)peak);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "handles", "9", "10000", NULL);
    d.frame->flags |= BV_FRAME_SAMPLE_HANDLES;
    d.frame->handle_limit = 11;
    drive_run(&d);
    tap_ok(limited(&d, 4), "%s: more descriptors than allowed end the tree", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "touch", "40", NULL);
    drive_run(&d);
    peak = figure(&d, BV_FIGURE_RSS_PEAK);
    tap_ok(ended(&d, 0) && peak >= 40u << 20 && peak < 44u << 20,
           "%s: 40 MiB touched are measured as %llu bytes", w->who, (unsigned long long)peak);
    drive_done(&d);
}

static void test_rlimits(const struct world *w)
{
    struct drive d;
    char wanted[64];
    struct rlimit now;

    drive_init(&d, w->launcher, w->payload, "limit", "7", NULL); /* RLIMIT_NOFILE */
    d.frame->rlimits[d.frame->rlimit_count++] =
        (struct bv_frame_rlimit){ .resource = RLIMIT_NOFILE, .soft = 3, .hard = 3 };
    d.frame->flags |= BV_FRAME_LANDLOCK;
    d.frame->landlock_fs = LANDLOCK_ACCESS_FS_WRITE_FILE;
    drive_run(&d);
    tap_text(d.output, "3 3\n", "%s: as few as three descriptors", w->who);
    drive_done(&d);

    getrlimit(RLIMIT_NOFILE, &now);
    snprintf(wanted, sizeof(wanted), "%lld %lld\n", (long long)now.rlim_cur,
             (long long)now.rlim_max);
    drive_init(&d, w->launcher, w->payload, "limit", "7", NULL);
    d.frame->rlimits[d.frame->rlimit_count++] = (struct bv_frame_rlimit){ .resource = RLIMIT_NOFILE,
                                                                          .soft = now.rlim_cur,
                                                                          .hard = UINT64_MAX };
    drive_run(&d);
    tap_text(d.output, wanted, "%s: a limit above the inherited one is cut down to it", w->who);
    drive_done(&d);
}

/* Only its two children, the launcher and init, know it: both are zombies when the boundary has
 * ended. */
static bool children_ended(pid_t supervisor)
{
    char path[64], text[256] = { 0 };
    const char *at = text;
    bool ended_all = true;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", supervisor, supervisor);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0, path);
    close(fd);
    while (*at) {
        char state = '?', *end;
        long pid = strtol(at, &end, 10);
        FILE *file;

        at = *end ? end + 1 : end;
        snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
        file = fopen(path, "re");
        ended_all =
            ended_all && (!file || (fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'Z'));
        if (file) {
            fclose(file);
        }
    }
    return ended_all;
}

/* Launches, says so on the pipe, and does to itself what the test wants. The workload keeps the
 * pipe open. */
static _Noreturn void be_supervisor(const struct world *w, int alive, uint64_t wall_micros,
                                    int signal)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "hold", NULL);
    d.frame->wall_micros = wall_micros;
    d.frame->keep[d.frame->keep_count++].number = fcntl(alive, F_DUPFD_CLOEXEC, 60);
    drive_start(&d);
    for (;;) {
        uint8_t bytes[BV_STATUS_BYTES];
        struct bv_status_message message;

        if (recv(d.control, bytes, sizeof(bytes), 0) != sizeof(bytes) ||
            !bv_status_decode(bytes, sizeof(bytes), &message)) {
            _exit(1);
        }
        if (message.type == BV_MSG_EXECED) {
            must(write(alive, "x", 1) == 1, "telling");
            kill(getpid(), signal);
        }
    }
}

/* A supervisor in a process of its own, which ends up stopped or dead: true when the boundary ends
 * within the time. */
static bool outlived(const struct world *w, uint64_t wall_micros, int signal, int millis)
{
    int alive[2];
    pid_t supervisor;
    char byte;
    bool closed = false;

    must(pipe2(alive, O_CLOEXEC) == 0, "pipe");
    supervisor = fork();
    must(supervisor >= 0, "fork");
    if (supervisor == 0) {
        be_supervisor(w, alive[1], wall_micros, signal);
    }
    close(alive[1]);
    must(read(alive[0], &byte, 1) == 1, "a launch under a supervisor of its own");
    if (signal == SIGKILL) { /* the workload's end of the pipe is the last one */
        struct pollfd wait = { .fd = alive[0], .events = POLLIN };

        closed = poll(&wait, 1, millis) == 1 && read(alive[0], &byte, 1) == 0;
    }
    for (int waited = 0; signal == SIGSTOP && !closed && waited < millis; waited += 10) {
        closed = children_ended(supervisor);
        usleep(10000);
    }
    kill(supervisor, SIGKILL);
    waitpid(supervisor, NULL, 0);
    close(alive[0]);
    return closed;
}

static void test_supervisor(const struct world *w)
{
    tap_ok(outlived(w, 300000, SIGSTOP, 3000),
           "%s: the wall limit holds while the supervisor is stopped", w->who);
    tap_ok(outlived(w, UINT64_MAX, SIGKILL, 2000), "%s: the tree dies with its supervisor", w->who);
}

/* ---- cgroups: leaves of the test's own, below the test's own cgroup ---- */

#define CGROUPS "/sys/fs/cgroup/"

/* Makes a leaf in one hierarchy ("0::" and "unified" for v2); false: there is none, or it may not
 * be written. */
static bool make_leaf(const char *hierarchy, const char *mark, char path[512])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[400];
    bool made = false;

    while (file && !made && fgets(line, sizeof(line), file)) {
        char *at = strstr(line, mark);

        if (at) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(path, 512, CGROUPS "%s%s/bvisor-test-%d", hierarchy, at + strlen(mark),
                     getpid());
            made = mkdir(path, 0755) == 0;
        }
    }
    if (file) {
        fclose(file);
    }
    return made;
}

static int open_in(const char *leaf, const char *name, int flags)
{
    char path[600];

    snprintf(path, sizeof(path), "%s/%s", leaf, name);
    return open(path, flags | O_CLOEXEC);
}

static void remove_leaf(const char *leaf)
{
    for (int i = 0; i < 200 && rmdir(leaf) < 0 && errno == EBUSY; i++) {
        usleep(10000);
    }
}

static void test_v1_account(const struct world *w)
{
    char leaf[512];
    uint64_t used;
    struct drive d;

    if (!make_leaf("cpuacct", ":cpuacct:", leaf)) {
        tap_skip("%s: no v1 cpuacct leaf can be made", w->who);
        return;
    }
    drive_init(&d, w->launcher, w->payload, "burn", "50", "4", NULL);
    d.frame->cpu_account = BV_CPU_ACCOUNT_V1_USAGE;
    d.frame->cpu_fd = open_in(leaf, "cpuacct.usage", O_RDONLY);
    d.frame->task_fds[d.frame->task_fd_count++] = open_in(leaf, "tasks", O_WRONLY);
    drive_run(&d);
    used = figure(&d, BV_FIGURE_CPU_MICROS);
    tap_ok(ended(&d, 0) && used >= 200000 && used < 240000,
           "%s: the v1 account of 4 x 50 ms says %llu us", w->who, (unsigned long long)used);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "burn", "10000", "2", NULL);
    d.frame->cpu_account = BV_CPU_ACCOUNT_V1_USAGE;
    d.frame->cpu_micros = 500000;
    d.frame->cpu_fd = open_in(leaf, "cpuacct.usage", O_RDONLY);
    d.frame->task_fds[d.frame->task_fd_count++] = open_in(leaf, "tasks", O_WRONLY);
    drive_run(&d);
    tap_ok(limited(&d, 1), "%s: and the limit holds on it", w->who);
    drive_done(&d);
    remove_leaf(leaf);
}

static void test_v1_memory(const struct world *w)
{
    char leaf[512];
    struct drive d;
    int limit;

    if (!make_leaf("memory", ":memory:", leaf)) {
        tap_skip("%s: no v1 memory leaf can be made", w->who);
        return;
    }
    limit = open_in(leaf, "memory.limit_in_bytes", O_WRONLY);
    must(limit >= 0 && write(limit, "16777216", 8) == 8, "limiting memory");
    close(limit);
    drive_init(&d, w->launcher, w->payload, "touch", "40", NULL);
    d.frame->oom_account = BV_OOM_ACCOUNT_V1_CONTROL;
    d.frame->oom_fd = open_in(leaf, "memory.oom_control", O_RDONLY);
    d.frame->task_fds[d.frame->task_fd_count++] = open_in(leaf, "tasks", O_WRONLY);
    drive_run(&d);
    tap_ok(limited(&d, 2), "%s: an OOM kill is the cause of the end", w->who);
    drive_done(&d);
    remove_leaf(leaf);
}

/* Born in the v2 leaf: init is not, and the kill of the leaf leaves init alive to tell. */
static void test_v2_leaf(const struct world *w)
{
    char leaf[512];
    struct drive d;
    int kill_fd;

    if (!make_leaf("unified", "0::", leaf)) {
        tap_skip("%s: no v2 leaf can be made", w->who);
        return;
    }
    drive_init(&d, w->launcher, w->payload, "daemon", "2", NULL);
    d.leaf_fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    drive_run(&d);
    tap_ok(ended(&d, code(7)), "%s: a workload is born in a v2 leaf", w->who);
    drive_done(&d);
    kill_fd = open_in(leaf, "cgroup.kill", O_WRONLY);
    if (kill_fd >= 0) {
        drive_init(&d, w->launcher, w->payload, "hold", NULL);
        d.leaf_fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d.kill_leaf = kill_fd;
        drive_run(&d);
        tap_ok(ended(&d, SIGKILL), "%s: killing the leaf ends the workload, and init tells",
               w->who);
        drive_done(&d);
        close(kill_fd);
    }
    remove_leaf(leaf);
}

static void test_cgroups(const struct world *w)
{
    if (geteuid() != 0) {
        return; /* without delegation a user has no leaves */
    }
    test_v1_account(w);
    test_v1_memory(w);
    test_v2_leaf(w);
}

/* ---- confinement ---- */

static void test_network(const struct world *w)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "net", "9", NULL);
    drive_run(&d);
    tap_text(d.output, "ENETUNREACH\n",
             "%s: in a fresh network namespace not even loopback is there", w->who);
    drive_done(&d);
}

static void test_landlock(const struct world *w)
{
    struct drive d;
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1) {
        tap_skip("%s: no Landlock here", w->who);
        return;
    }
    drive_init(&d, w->launcher, w->payload, "open", "/ro/file", "r", "/rw/file", "r", "/rw/file",
               "w", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY);
    drive_mount(&d, BV_MOUNT_BIND, w->rw, "/rw", 0);
    d.frame->flags |= BV_FRAME_LANDLOCK;
    d.frame->landlock_fs =
        LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    d.frame->rules[d.frame->rule_count++] =
        (struct bv_frame_rule){ .access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE,
                                .path = "/payload" };
    d.frame->rules[d.frame->rule_count++] =
        (struct bv_frame_rule){ .access = LANDLOCK_ACCESS_FS_WRITE_FILE, .path = "/rw" };
    drive_run(&d);
    tap_ok(says(&d, "/ro/file EACCES\n/rw/file EACCES\n/rw/file ok\n"),
           "%s: Landlock withholds what no rule gives (write-only grant)", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->flags |= BV_FRAME_LANDLOCK;
    d.frame->landlock_fs = LANDLOCK_ACCESS_FS_READ_FILE;
    d.frame->rules[d.frame->rule_count++] =
        (struct bv_frame_rule){ .access = LANDLOCK_ACCESS_FS_READ_FILE, .path = "/missing" };
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_LANDLOCK, ENOENT),
           "%s: a rule whose path is not there is fatal", w->who);
    drive_done(&d);
}

static void add_insn(struct bv_frame *frame, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
    frame->bpf[frame->bpf_count++] =
        (struct bv_frame_insn){ .code = op, .jt = jt, .jf = jf, .k = k };
}

/* One call is notified, the rest allowed. */
static void add_filter(struct bv_frame *frame, uint32_t number)
{
    add_insn(frame, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    add_insn(frame, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    add_insn(frame, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF);
    add_insn(frame, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    frame->flags |= BV_FRAME_LISTENER;
}

static void test_seccomp(const struct world *w)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "net", "9", NULL);
    add_filter(d.frame, SYS_socket);
    drive_run(&d);
    tap_ok(drive_message(&d, BV_MSG_LISTENER) && d.notified == 1,
           "%s: the listener hears of a call", w->who);
    tap_text(d.output, "EPERM\n", "%s: and its answer is what the workload gets", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    add_insn(d.frame, 0xffff, 0, 0, 0);
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_SECCOMP, EINVAL),
           "%s: a filter that the kernel refuses is fatal", w->who);
    drive_done(&d);
}

/* What holds without any filter: mounts and capabilities. And the whole set without a filter must
 * be caught. */
static void test_canaries(const struct world *w)
{
    static const struct bv_canary_policy policy = { .deny_network = true,
                                                    .deny_processes = true,
                                                    .outside_path = true };
    static const enum bv_canary mounts_alone[] = {
        BV_CANARY_OPEN_OUTSIDE,
        BV_CANARY_STAT_OUTSIDE,
        BV_CANARY_CREATE_IN_ROOT,
        BV_CANARY_CHMOD_ROOT,
        BV_CANARY_MKNOD_DEVICE,
        BV_CANARY_OPEN_TTY,
        BV_CANARY_WRITE_SYSCTL,
        BV_CANARY_WRITE_SYSRQ,
        BV_CANARY_READ_INIT_ENVIRON,
        BV_CANARY_MOUNT,
        BV_CANARY_CAPSET,
        BV_CANARY_SECUREBITS,
        BV_CANARY_SCHED_FIFO,
        BV_CANARY_NICE,
        BV_CANARY_SETHOSTNAME,
        BV_CANARY_CONNECT_TCP,
        BV_CANARY_SIGNAL_SUPERVISOR,
    };
    const struct bv_status_message *message;
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_mount(&d, BV_MOUNT_PROC, "", "/proc", 0);
    d.frame->flags |= BV_FRAME_CANARIES;
    d.frame->canary_path = w->dir;
    for (size_t i = 0; i < sizeof(mounts_alone) / sizeof(mounts_alone[0]); i++) {
        d.frame->canaries |= UINT64_C(1) << mounts_alone[i];
    }
    drive_run(&d);
    message = drive_message(&d, BV_MSG_CANARIES);
    tap_ok(ended(&d, 0) && message && message->values[0] == d.frame->canaries &&
               message->values[1] == 0,
           "%s: canaries of the lower layers all hold (not denied: %llx)", w->who,
           message ? (unsigned long long)message->values[1] : 0);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->flags |= BV_FRAME_CANARIES;
    d.frame->canary_path = w->dir;
    d.frame->canaries = bv_canary_set(&policy) & ~(UINT64_C(1) << BV_CANARY_MOUNT);
    drive_run(&d);
    message = drive_message(&d, BV_MSG_CANARIES);
    tap_ok(message && (message->values[1] >> BV_CANARY_IO_URING & 1) &&
               (message->values[1] >> BV_CANARY_CLONE_PROCESS & 1) &&
               (message->values[1] >> BV_CANARY_EXEC_MEMFD & 1) &&
               (message->values[1] >> BV_CANARY_PTRACE_SUPERVISOR & 1),
           "%s: without a filter the canaries say so (%llx)", w->who,
           message ? (unsigned long long)message->values[1] : 0);
    tap_ok(drive_failed(&d, BV_STAGE_CANARY, EPERM) && drive_status(&d) == DRIVE_NO_STATUS,
           "%s: and the workload never starts", w->who);
    drive_done(&d);

    /* Init is of the same user: only a Landlock scope keeps its signals away. */
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->flags = (d.frame->flags | BV_FRAME_CANARIES) & ~BV_FRAME_NEW_NET;
    d.frame->canaries = UINT64_C(1) << BV_CANARY_SIGNAL_INIT;
    drive_run(&d);
    message = drive_message(&d, BV_MSG_CANARIES);
    tap_ok(message && message->values[1] == d.frame->canaries,
           "%s: a signal to init without a Landlock scope is noticed", w->who);
    drive_done(&d);
}

/* The whole set under the real filters: every canary holds, no more than five are heard, and the
 * workload starts. */
static void test_all_canaries(const struct world *w)
{
    static const enum bv_spawn_policy spawns[] = { BV_SPAWN_DENY_NEW_TASKS, BV_SPAWN_ALLOW_THREADS,
                                                   BV_SPAWN_ALLOW_DESCENDANTS };
    static const enum bv_network_policy networks[] = { BV_NETWORK_DENY_ALL, BV_NETWORK_ALLOW_ALL };
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    for (size_t i = 0; i < 6; i++) {
        const enum bv_spawn_policy spawn = spawns[i / 2];
        const enum bv_network_policy network = networks[i % 2];
        const struct linux_filter filter = linux_seccomp_filter(spawn, network, false);
        const struct bv_canary_policy policy = {
            .deny_network = network == BV_NETWORK_DENY_ALL,
            .deny_tasks = spawn == BV_SPAWN_DENY_NEW_TASKS,
            .deny_processes = spawn != BV_SPAWN_ALLOW_DESCENDANTS,
            .outside_path = true,
            .listener_socket = true,
            .signal_scope = abi >= 6,
        };
        const struct bv_status_message *message;
        struct drive d;

        drive_init(&d, w->launcher, w->payload, "exit", "5", NULL);
        memcpy(d.frame->bpf, filter.insns, filter.count * sizeof(filter.insns[0]));
        d.frame->bpf_count = filter.count;
        d.frame->flags |=
            BV_FRAME_LISTENER | BV_FRAME_CANARIES | (abi > 0 ? BV_FRAME_LANDLOCK : 0u);
        d.frame->landlock_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR;
        d.frame->landlock_scoped =
            abi >= 6 ? LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL : 0;
        d.frame->canary_path = w->dir;
        d.frame->canary_socket = "bvisor-nobody-listens";
        d.frame->canaries = bv_canary_set(&policy);
        drive_run(&d);
        message = drive_message(&d, BV_MSG_CANARIES);
        tap_ok(ended(&d, code(5)) && message && message->values[0] == d.frame->canaries &&
                   message->values[1] == 0,
               "%s: spawn %u, network %u: all %d canaries hold (not denied: %llx)", w->who, spawn,
               network, __builtin_popcountll(d.frame->canaries),
               message ? (unsigned long long)message->values[1] : 0);
        tap_ok(d.notified == 5, "%s: and five of them were heard (%u)", w->who, d.notified);
        drive_done(&d);
    }
}

int main(int argc, char **argv)
{
    static void (*const tests[])(const struct world *) = {
        test_wall_and_kill, test_sampled_limits, test_rlimits, test_supervisor, test_cgroups,
        test_network,       test_landlock,       test_seccomp, test_canaries,   test_all_canaries,
    };

    return world_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
