/* test_cgroup.c - a real leaf: its limits bind, its figures are those of what ran in it, it
 * kills, and it goes. Needs root. */
#include "backend/linux/linux.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract/contract.h"
#include "run/instance.h"
#include "support/leaf_child.h"
#include "support/tap.h"

#define MIB (UINT64_C(1) << 20)

static struct bv_profile profile;
static const char attempt[] = "00112233445566778899aabbccddeeff";

static bool is_there(const struct linux_leaf *leaf)
{
    for (uint32_t i = 0; i < leaf->parent_count; i++) {
        char path[700];
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", leaf->parents[i], leaf->name);
        if (stat(path, &status) == 0) {
            return true;
        }
    }
    return false;
}

static void burn(uint64_t micros)
{
    struct timespec now;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 < micros);
}

static void touch(uint64_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        memset(memory, 1, bytes);
    }
}

static int wait_for(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static void test_figures(void)
{
    struct linux_leaf leaf;
    uint64_t cpu = 0, memory = 0, peak = 0, count = 77;
    const int made = linux_leaf_make(&leaf, &profile, attempt, UINT64_MAX, UINT64_MAX);
    tap_ok(made == 0 && leaf.parent_count > 0, "a leaf is made: %s, in %u hierarchies", leaf.name,
           leaf.parent_count);
    const struct linux_leaf copy = leaf;
    tap_ok(is_there(&leaf) && !linux_leaf_populated(&leaf), "it is there and empty");
    tap_ok(leaf.memory_max == UINT64_MAX && leaf.pids_max == UINT64_MAX, "and has no limits");
    int go[2];
    if (pipe(go) != 0) {
        return;
    }
    const pid_t pid = leaf_fork(&leaf);
    if (pid == 0) {
        char byte;
        burn(60000);
        touch(20 * MIB);
        for (int i = 0; i < 2; i++) {
            if (fork() == 0) {
                close(go[1]);
                _exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
            }
        }
        usleep(20000);
        close(go[1]);
        while (wait(NULL) > 0) {
        }
        _exit(0);
    }
    usleep(10000);
    tap_ok(linux_leaf_populated(&leaf), "a process is in it");
    close(go[0]);
    close(go[1]);
    tap_ok(wait_for(pid) == 0, "which ends well");
    bool known = linux_leaf_cpu_micros(&leaf, &cpu);
    tap_ok(known && cpu >= 60000 && cpu < 160000, "cpu: %llu us for 60 ms and a fill of 20 MiB",
           (unsigned long long)cpu);
    if (profile.word[LW_MEMORY_PEAK]) {
        known = linux_leaf_memory_peak(&leaf, &memory);
        tap_ok(known && memory >= 20 * MIB && memory < 23 * MIB, "memory: %llu bytes for 20 MiB",
               (unsigned long long)memory);
        tap_ok(linux_leaf_oom_kills(&leaf, &count) && count == 0, "no OOM kill");
        tap_ok(linux_leaf_memory_refused(&leaf, &count) && count == 0, "no allocation was refused");
    }
    if (profile.word[LW_PIDS_PEAK]) {
        known = linux_leaf_pids_peak(&leaf, &peak);
        tap_ok(known && peak == 3, "processes: %llu of 3", (unsigned long long)peak);
        tap_ok(linux_leaf_pids_refused(&leaf, &count) && count == 0, "no fork was refused");
    }
    tap_ok(linux_leaf_remove(&leaf) == 0 && !is_there(&copy), "it is removed");
    tap_ok(linux_leaf_remove(&leaf) == 0 && leaf.core_fd == -EBADF,
           "removing it again does nothing");
}

static void test_limits(void)
{
    struct linux_leaf leaf;
    uint64_t count = 0;
    tap_ok(linux_leaf_make(&leaf, &profile, attempt, 16 * MIB + 1, 3) == 0,
           "a leaf with limits is made");
    tap_ok(!profile.word[LW_MEMORY] || leaf.memory_max == 16 * MIB,
           "memory is rounded down to a page: %llu", (unsigned long long)leaf.memory_max);
    tap_ok(!profile.word[LW_PIDS] || leaf.pids_max == 3, "processes are what was asked");
    pid_t pid = leaf_fork(&leaf);
    if (pid == 0) {
        const pid_t first = fork(), second = first > 0 ? fork() : 0;
        if (first == 0 || (first > 0 && second == 0)) {
            pause();
        }
        const bool refused = fork() < 0 && errno == EAGAIN;
        kill(first, SIGKILL);
        kill(second, SIGKILL);
        while (wait(NULL) > 0) {
        }
        _exit(refused ? 0 : 1);
    }
    tap_ok(!profile.word[LW_PIDS] || wait_for(pid) == 0, "the fourth process is refused");
    tap_ok(!profile.word[LW_PIDS] || (linux_leaf_pids_refused(&leaf, &count) && count == 1),
           "and counted once");
    pid = leaf_fork(&leaf);
    if (pid == 0) {
        touch(64 * MIB);
        _exit(0);
    }
    if (profile.word[LW_MEMORY]) {
        const int status = wait_for(pid);
        tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "64 MiB do not fit in 16");
        tap_ok(linux_leaf_oom_kills(&leaf, &count) && count >= 1, "and the OOM kill is counted");
        tap_ok(linux_leaf_memory_refused(&leaf, &count) && count >= 1, "as is the refusal");
    }
    tap_ok(linux_leaf_remove(&leaf) == 0, "it is removed");
    tap_ok(linux_leaf_make(&leaf, &profile, attempt, (UINT64_C(1) << 53) - 1,
                           (UINT64_C(1) << 53) - 1) == 0,
           "limits beyond the machine's own are taken");
    tap_ok(!profile.word[LW_PIDS] || leaf.pids_max == 4194304,
           "as the most that the kernel counts: %llu", (unsigned long long)leaf.pids_max);
    tap_ok(linux_leaf_remove(&leaf) == 0, "it is removed");
}

static void test_kill(void)
{
    struct linux_leaf leaf, second;
    if (linux_leaf_make(&leaf, &profile, attempt, UINT64_MAX, UINT64_MAX) != 0) {
        tap_ok(false, "a leaf is made");
        return;
    }
    tap_ok(linux_leaf_make(&second, &profile, attempt, UINT64_MAX, UINT64_MAX) == -EEXIST &&
               second.core_fd == -EBADF,
           "the same leaf is not made twice");
    tap_ok(is_there(&leaf), "and the first stays");
    const pid_t pid = leaf_fork(&leaf);
    if (pid == 0) {
        if (fork() == 0) {
            pause();
        }
        pause();
    }
    usleep(5000);
    if (profile.word[LW_CGROUP_KILL]) {
        tap_ok(linux_leaf_kill(&leaf) == 0 && WIFSIGNALED(wait_for(pid)),
               "killing the leaf ends the process");
    } else {
        tap_ok(linux_leaf_kill(&leaf) == -ENOTSUP, "without cgroup.kill it says so");
        kill(pid, SIGKILL);
    }
    tap_ok(linux_leaf_remove(&leaf) == 0, "and the leaf can be removed at once");
}

static void test_none(void)
{
    static struct bv_profile none;
    struct linux_leaf leaf;
    uint64_t value;
    tap_ok(linux_leaf_make(&leaf, &none, attempt, 1, 1) == 0 && leaf.parent_count == 0 &&
               leaf.core_fd == -EBADF,
           "without cgroups there is nothing to make");
    tap_ok(!linux_leaf_cpu_micros(&leaf, &value) && !linux_leaf_memory_peak(&leaf, &value) &&
               !linux_leaf_pids_peak(&leaf, &value) && !linux_leaf_oom_kills(&leaf, &value) &&
               !linux_leaf_pids_refused(&leaf, &value) && !linux_leaf_memory_refused(&leaf, &value),
           "and there are no figures");
    tap_ok(linux_leaf_kill(&leaf) == -ENOTSUP && !linux_leaf_populated(&leaf) &&
               linux_leaf_remove(&leaf) == 0,
           "nor anything to kill or remove");
}

int main(void)
{
    struct bv_snapshot *facts = bv_snapshot_new();
    struct bv_backend *backend;
    if (!facts || bv_backend_linux(&backend, NULL) != BV_OK ||
        linux_probe(backend->context, facts, NULL) != BV_OK) {
        tap_skip_all("the probe failed");
    }
    linux_profile(NULL, facts, &profile);
    bv_backend_free(backend);
    if (!profile.word[LW_CGROUP_CORE]) {
        tap_skip_all("no cgroup that this user may make leaves in");
    }
    test_figures();
    test_limits();
    test_kill();
    test_none();
    bv_snapshot_free(facts);
    return tap_done();
}
