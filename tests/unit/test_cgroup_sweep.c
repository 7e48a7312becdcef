/* test_cgroup_sweep.c - what a dead owner left is killed and removed; everything else below the
 * own cgroup is left alone. */
#include "backend/linux/linux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/linux/cgroup.h"
#include "contract/contract.h"
#include "run/instance.h"
#include "support/leaf_child.h"
#include "support/tap.h"

static struct bv_profile profile;

static bool exists(const char *parent, const char *name)
{
    char path[700];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    return stat(path, &status) == 0;
}

static void make(const char *parent, const char *name)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    tap_ok(mkdir(path, 0755) == 0, "made %s", name);
}

static void drop(const char *parent, const char *name)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    (void)rmdir(path);
}

/* A supervisor that dies with a process in its leaf. Gives the leaf's name, its parents and the
 * survivor. */
static pid_t abandon(struct linux_leaf *ret_leaf)
{
    int pipe_fds[2];
    struct {
        struct linux_leaf leaf;
        pid_t survivor;
    } left = { .survivor = -1 };
    if (pipe(pipe_fds) != 0) {
        return -1;
    }
    const pid_t owner = fork();
    if (owner == 0) {
        if (linux_leaf_make(&left.leaf, &profile, "feedface", UINT64_MAX, UINT64_MAX) == 0) {
            left.survivor = leaf_fork(&left.leaf);
            if (left.survivor == 0) {
                close(pipe_fds[1]);
                pause();
                _exit(0);
            }
        }
        usleep(20000); /* the survivor has joined */
        _exit(write(pipe_fds[1], &left, sizeof(left)) == sizeof(left) ? 0 : 1);
    }
    const bool heard = read(pipe_fds[0], &left, sizeof(left)) == sizeof(left);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    waitpid(owner, NULL, 0);
    *ret_leaf = left.leaf;
    return heard ? left.survivor : -1;
}

static void sweep(void)
{
    struct linux_cgroups own;
    if (linux_cgroups_find(&own) == 0) {
        linux_leaf_sweep(&own);
    }
}

static void test_abandoned(void)
{
    struct linux_leaf leaf;
    const pid_t survivor = abandon(&leaf);
    tap_ok(survivor > 0, "an owner died and left %s", leaf.name);
    bool there = true;
    for (uint32_t i = 0; i < leaf.parent_count; i++) {
        there = there && exists(leaf.parents[i], leaf.name);
    }
    tap_ok(there && kill(survivor, 0) == 0, "with a process in it");
    sweep();
    there = false;
    for (uint32_t i = 0; i < leaf.parent_count; i++) {
        there = there || exists(leaf.parents[i], leaf.name);
    }
    tap_ok(!there, "the sweep removes it in every hierarchy");
    bool gone = false;
    for (int i = 0; i < 100 && !gone; i++) { /* it is init's to reap; a zombie is dead as well */
        char path[64], text[256] = "";
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)survivor);
        gone = linux_read_at(AT_FDCWD, path, text, sizeof(text)) <= 0 || strstr(text, ") Z") ||
               strstr(text, ") X");
        usleep(gone ? 0 : 10000);
    }
    tap_ok(gone, "and kills what was in it");
}

/* An owner whose memory cgroup is not ours: its v2 leaf is found here and tells of the other. */
static void test_other_memory_cgroup(void)
{
    struct linux_cgroups cgroups;
    struct linux_leaf leaf;
    char nested[600], path[700];
    tap_ok(linux_cgroups_find(&cgroups) == 0, "the own cgroups are found");
    const struct linux_hierarchy *memory = &cgroups.at[CGROUP_MEMORY];
    if (memory->version != LINUX_CONTROLLER_V1 ||
        cgroups.at[CGROUP_CORE].version != LINUX_CONTROLLER_V2) {
        tap_skip("no v1 memory hierarchy beside v2");
        return;
    }
    snprintf(nested, sizeof(nested), "%s/bvt-sweep-%d", memory->dir, (int)getpid());
    tap_ok(mkdir(nested, 0755) == 0, "a memory cgroup of its own");
    const pid_t mover = fork();
    if (mover == 0) {
        snprintf(path, sizeof(path), "%s/tasks", nested);
        _exit(linux_write_at(AT_FDCWD, path, "0") == 0 && abandon(&leaf) > 0 ? 0 : 1);
    }
    int status = -1;
    tap_ok(waitpid(mover, &status, 0) == mover && status == 0, "an owner there died");
    int left = 0;
    sweep();
    DIR *dir = opendir(nested);
    for (const struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        left += strncmp(entry->d_name, "bvisor-", 7) == 0;
    }
    if (dir) {
        closedir(dir);
    }
    tap_ok(dir && left == 0, "the sweep from here removes its leaf there (%d left)", left);
    for (int i = 0; i < 100 && rmdir(nested) != 0 && errno == EBUSY; i++) {
        usleep(10000);
    }
}

static void test_others(void)
{
    struct linux_leaf live;
    struct linux_cgroups cgroups;
    char dead[64], name[128];
    struct stat ns;
    tap_ok(linux_cgroups_find(&cgroups) == 0 && stat("/proc/self/ns/pid", &ns) == 0,
           "the own cgroup is found");
    const char *parent = cgroups.at[CGROUP_CORE].dir;
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
    tap_ok(linux_leaf_make(&live, &profile, "00ff", UINT64_MAX, UINT64_MAX) == 0,
           "a live owner has a leaf");

    const unsigned long long own_ns = (unsigned long long)ns.st_ino;
    snprintf(dead, sizeof(dead), "%d.1", (int)child);
    static const char *const forms[] = { "bvisor-aa.%llu.%s.x", "bvisor-.%llu.%s",
                                         "bvisor-AA.%llu.%s",   "xbvisor-aa.%llu.%s",
                                         "bvisor-aa.-%llu.%s",  "bvisor-aa.%llu.0%s.1.1" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof(name), forms[i], own_ns, dead);
#pragma GCC diagnostic pop
        make(parent, name);
        sweep();
        tap_ok(exists(parent, name), "%s is not of our form", name);
        drop(parent, name);
    }
    snprintf(name, sizeof(name), "bvisor-aa.%llu.%s", own_ns + 1, dead);
    make(parent, name);
    sweep();
    tap_ok(exists(parent, name), "%s is of another pid namespace", name);
    drop(parent, name);
    tap_ok(exists(live.parents[0], live.name),
           "the live owner's leaf stands after all these sweeps");

    snprintf(name, sizeof(name), "bvisor-aa.%llu.%s", own_ns, dead);
    make(parent, name);
    sweep();
    tap_ok(!exists(parent, name), "%s is swept", name);
    snprintf(name, sizeof(name), "bvisor-aa.%llu.%d.1", own_ns, (int)getpid());
    make(parent, name);
    sweep();
    tap_ok(!exists(parent, name), "so is one whose number has another process now: %s", name);
    tap_ok(linux_leaf_remove(&live) == 0, "the live leaf is removed by its owner");
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
    test_abandoned();
    test_other_memory_cgroup();
    test_others();
    /* A machine without usable hierarchies is not even looked at. */
    static const struct linux_cgroups none;
    linux_leaf_sweep(&none);
    bv_snapshot_free(facts);
    return tap_done();
}
