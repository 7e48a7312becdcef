/* test_profile.c - every row of the matrix has a stated ceiling on every kind of machine, and
 * every missing part is named. */
#include "backend/linux/linux.h"

#include "support/machine.h"
#include "support/tap.h"

static void test_stated(enum machine machine)
{
    const struct bv_profile *profile = machine_profile(machine);
    for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        const struct bv_verdict *verdict = &profile->ceiling[kind];
        const bool stated =
            verdict->enforcement == BV_UNSUPPORTED
                ? verdict->why[0] && !verdict->mechanism[0] && verdict->evidence == 0
                : verdict->mechanism[0] && strncmp(verdict->mechanism, "linux:", 6) == 0 &&
                      verdict->evidence != 0;
        tap_ok(stated, "%s: %s is %s: %s%s", machine_names[machine],
               bv_requirement_name((enum bv_requirement_kind)kind),
               bv_enforcement_name(verdict->enforcement), verdict->mechanism, verdict->why);
    }
}

/* Linux 5.10 has no mount_setattr(); what it has instead is tried, and only then taken. */
static void test_old(void)
{
    const struct bv_profile *old = machine_profile(MACHINE_OLD);
    tap_ok(old->ceiling[BV_REQ_FILESYSTEM].enforcement == BV_ENFORCED &&
               old->word[LW_MOUNT_SETATTR] && !old->word[LW_CGROUP_KILL] &&
               old->word[LW_CGROUP_CORE],
           "remounting stands in for mount_setattr");
    tap_ok(strcmp(old->ceiling[BV_REQ_KILL].mechanism, "linux:pid_ns_init") == 0,
           "and without cgroup.kill init kills");
    struct bv_snapshot *facts = machine_facts(MACHINE_OLD);
    static struct bv_profile profile;
    if (bv_snapshot_set(facts, "bind_remount", "EPERM", NULL) != BV_OK) {
        abort();
    }
    linux_profile(NULL, facts, &profile);
    const struct bv_verdict *refused = &profile.ceiling[BV_REQ_FILESYSTEM];
    tap_ok(refused->enforcement == BV_UNSUPPORTED && strstr(refused->why, "mount_setattr") &&
               strstr(refused->why, "ENOSYS"),
           "without either everything is refused: %s", refused->why);
    bv_snapshot_free(facts);
    const struct bv_profile *new = machine_profile(MACHINE_NEW);
    tap_ok(strcmp(new->ceiling[BV_REQ_NETWORK_DENY_ALL].mechanism,
                  "linux:net_ns+seccomp+landlock_tcp_udp+landlock_scope+landlock_unix") == 0,
           "the newest layers are named: %s", new->ceiling[BV_REQ_NETWORK_DENY_ALL].mechanism);
}

static void test_base(void)
{
    static const struct {
        const char *key, *value, *names;
    } missing[] = {
        { "userns", "EPERM at clone", "user, mount and pid namespaces" },
        { "netns", "user.max_net_namespaces is 0", "network namespaces" },
        { "tmpfs_mount", "EPERM", "tmpfs" },
        { "proc_mount", "EPERM", "procfs" },
        { "seccomp", "ENOSYS", "seccomp filters" },
        { "seccomp_notify", "EBUSY", "seccomp listeners" },
        { "clone3", "ENOSYS", "clone3" },
        { "open_tree", "ENOSYS", "open_tree" },
        { "mount_setattr", "ENOSYS", "mount_setattr" },
        { "openat2", "ENOSYS", "openat2" },
        { "pidfd", "ENOSYS", "pid descriptors" },
        { "close_range", "ENOSYS", "close_range" },
    };
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        struct bv_snapshot *facts = machine_facts(MACHINE_ROOT_HYBRID);
        static struct bv_profile profile;
        if (bv_snapshot_set(facts, missing[i].key, missing[i].value, NULL) != BV_OK) {
            abort();
        }
        linux_profile(NULL, facts, &profile);
        bool refused = true;
        for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
            refused = refused && profile.ceiling[kind].enforcement == BV_UNSUPPORTED;
        }
        const struct bv_verdict *verdict = &profile.ceiling[BV_REQ_FILESYSTEM];
        tap_ok(refused, "without %s nothing is granted", missing[i].key);
        tap_ok(strstr(verdict->why, missing[i].names) && strstr(verdict->why, missing[i].value) &&
                   verdict->remedy[0],
               "and the reason says so: %s (%s)", verdict->why, verdict->remedy);
        bv_snapshot_free(facts);
    }
}

static void test_words(void)
{
    const struct bv_profile *root = machine_profile(MACHINE_ROOT_HYBRID),
                            *user = machine_profile(MACHINE_USER_NONE);
    const struct bv_profile *v2 = machine_profile(MACHINE_ROOT_V2),
                            *bare = machine_profile(MACHINE_BARE);
    tap_ok(root->word[LW_MEMORY] == LINUX_CONTROLLER_V1 &&
               root->word[LW_PIDS] == LINUX_CONTROLLER_V1 &&
               root->word[LW_CPUACCT] == LINUX_CONTROLLER_V2,
           "each controller has its own version");
    tap_ok(v2->word[LW_MEMORY] == LINUX_CONTROLLER_V2 && v2->word[LW_PIDS] == LINUX_CONTROLLER_V2,
           "also in v2");
    tap_ok(user->word[LW_MEMORY] == LINUX_CONTROLLER_NONE && !user->word[LW_CGROUP_CORE] &&
               !user->word[LW_CGROUP_KILL] && !user->word[LW_PIDS_PEAK] &&
               user->word[LW_NPROC_USERNS] && user->word[LW_UID] == 1000,
           "what a user may not use is none");
    tap_ok(root->word[LW_LANDLOCK_ABI] == 7 &&
               machine_profile(MACHINE_NO_LANDLOCK)->word[LW_LANDLOCK_ABI] == 0,
           "the ABI is a number");
    tap_ok(bare->word[LW_CPUS] == 1 && !bare->word[LW_USERNS], "without facts nothing is assumed");
    tap_ok(strcmp(root->ceiling[BV_REQ_FILESYSTEM].mechanism, "linux:mount_ns+landlock_abi7") == 0,
           "the layers are named");
    const struct bv_verdict *alone =
        &machine_profile(MACHINE_NO_LANDLOCK)->ceiling[BV_REQ_FILESYSTEM];
    tap_ok(
        alone->enforcement == BV_ENFORCED && strcmp(alone->mechanism, "linux:mount_ns") == 0 &&
            strstr(alone->note, "EOPNOTSUPP"),
        "without Landlock the mount namespace holds alone, and the note says what is missing: %s",
        alone->note);
    tap_ok(strcmp(user->ceiling[BV_REQ_KILL].mechanism, "linux:pid_ns_init") == 0 &&
               user->ceiling[BV_REQ_KILL].enforcement == BV_ENFORCED,
           "a user's kill is the namespace's");
}

int main(void)
{
    for (int machine = 0; machine < MACHINE_COUNT; machine++) {
        test_stated((enum machine)machine);
    }
    test_base();
    test_old();
    test_words();
    return tap_done();
}
