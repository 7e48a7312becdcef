/* test_offer.c - every budget dimension has a stated answer on every machine under every policy,
 * with real numbers. */
#include "backend/linux/linux.h"

#include "support/machine.h"
#include "support/tap.h"

static struct bv_offer offer(enum machine machine, const struct bv_intent *intent,
                             enum bv_dimension dimension)
{
    struct bv_offer given;
    memset(&given, 0xaa, sizeof(given));
    linux_offer(NULL, machine_profile(machine), intent, dimension, &given);
    return given;
}

static bool is_stated(const struct bv_offer *given)
{
    if (given->mechanism[0] == '\0' || given->available == 0 ||
        given->available > BV_JSON_MAX_INTEGER) {
        return false;
    }
    if (!given->can_bound) {
        return given->why[0] && given->remedy[0] && given->guarantee == BV_GUARANTEE_MEDIATED &&
               !given->structural;
    }
    if (given->guarantee == BV_GUARANTEE_MEDIATED) {
        return given->sample_interval_micros > 0 && given->max_overshoot <= BV_JSON_MAX_INTEGER &&
               !given->structural;
    }
    return given->sample_interval_micros == 0 && given->max_overshoot == 0;
}

static void test_stated(void)
{
    for (int machine = 0; machine < MACHINE_COUNT; machine++) {
        bool good = true;
        for (int combination = 0; combination < 3 * 3 * 4 * 2; combination++) {
            struct bv_intent intent = machine_intent();
            const struct bv_root root = { .path = "/srv",
                                          .access = combination / 9 % 4 & 1 ? BV_ACCESS_READ_WRITE
                                                                            : BV_ACCESS_READ };
            intent.spawn = (enum bv_spawn_policy)(combination % 3);
            intent.network = (enum bv_network_policy)(combination / 3 % 3);
            intent.roots = &root;
            intent.root_count = 1;
            intent.temp_root = combination / 9 % 4 & 2;
            if (combination >= 36) {
                intent.budgets[BV_HANDLE_COUNT].limit = 1000;
                intent.budgets[BV_PROCESS_COUNT].limit = 20;
            }
            for (int dimension = 0; dimension < BV_DIMENSION_COUNT; dimension++) {
                const struct bv_offer given =
                    offer((enum machine)machine, &intent, (enum bv_dimension)dimension);
                if (!is_stated(&given)) {
                    good = false;
                    tap_note("%s, combination %d, %s: %s", machine_names[machine], combination,
                             bv_dimension_name((enum bv_dimension)dimension), given.mechanism);
                }
            }
        }
        tap_ok(good, "%s: every dimension has a stated offer under every policy",
               machine_names[machine]);
    }
}

static void test_cpu(void)
{
    struct bv_intent intent = machine_intent();
    struct bv_offer given = offer(MACHINE_ROOT_HYBRID, &intent, BV_CPU_MICROS);
    tap_ok(given.can_bound && given.guarantee == BV_GUARANTEE_MEDIATED &&
               given.max_overshoot == 2 * 40000,
           "cpu is sampled; two CPUs overshoot by 80 ms at most");
    given = offer(MACHINE_USER_NONE, &intent, BV_CPU_MICROS);
    tap_ok(given.can_bound && strstr(given.mechanism, "clock"),
           "without an account one process's clock is enough");
    intent.spawn = BV_SPAWN_ALLOW_DESCENDANTS;
    given = offer(MACHINE_USER_NONE, &intent, BV_CPU_MICROS);
    tap_ok(!given.can_bound && given.evidence == 0 && strstr(given.why, "SIGCHLD"),
           "but not for descendants: %s", given.why);
}

static void test_memory(void)
{
    struct bv_intent intent = machine_intent();
    struct bv_offer given = offer(MACHINE_ROOT_HYBRID, &intent, BV_RESIDENT_BYTES);
    tap_ok(given.guarantee == BV_GUARANTEE_ENFORCED && given.floor == LINUX_RESIDENT_FLOOR &&
               strstr(given.mechanism, "memsw") && given.evidence & BV_CLAIM_RESOURCE_USAGE,
           "v1: %s", given.mechanism);
    struct bv_intent open = machine_intent();
    open.network = BV_NETWORK_ALLOW_ALL;
    open.budgets[BV_RESIDENT_BYTES].limit = 64u << 20;
    given = offer(MACHINE_ROOT_HYBRID, &open, BV_RESIDENT_BYTES);
    tap_ok(strstr(given.mechanism, "kmem.tcp") &&
               linux_socket_share(machine_profile(MACHINE_ROOT_HYBRID), &open) == 4u << 20,
           "with a network, v1 counts socket buffers apart: %s", given.mechanism);
    given = offer(MACHINE_ROOT_V2, &open, BV_RESIDENT_BYTES);
    tap_ok(!strstr(given.mechanism, "kmem") &&
               linux_socket_share(machine_profile(MACHINE_ROOT_V2), &open) == 0,
           "v2 counts them with the rest");
    open.network = BV_NETWORK_DENY_ALL;
    tap_ok(linux_socket_share(machine_profile(MACHINE_ROOT_HYBRID), &open) == 0,
           "without a network there are none");
    open.network = BV_NETWORK_ALLOW_ALL;
    open.budgets[BV_RESIDENT_BYTES].limit = BV_UNLIMITED;
    tap_ok(linux_socket_share(machine_profile(MACHINE_ROOT_HYBRID), &open) == 0,
           "and unlimited memory is not divided");
    given = offer(MACHINE_ROOT_V2, &intent, BV_RESIDENT_BYTES);
    tap_ok(strstr(given.mechanism, "memory.max") && strstr(given.mechanism, "swap.max"), "v2: %s",
           given.mechanism);
    given = offer(MACHINE_OLD, &intent, BV_RESIDENT_BYTES);
    tap_ok(given.can_bound && !(given.evidence & BV_CLAIM_RESOURCE_USAGE) && given.note[0],
           "no peak, no usage claimed");
    given = offer(MACHINE_USER_NONE, &intent, BV_RESIDENT_BYTES);
    tap_ok(!given.can_bound && given.evidence == 0 && strstr(given.why, "EACCES"), "none: %s",
           given.why);
}

static void test_processes(void)
{
    struct bv_intent intent = machine_intent();
    struct bv_offer given = offer(MACHINE_USER_NONE, &intent, BV_PROCESS_COUNT);
    tap_ok(given.structural && given.guarantee == BV_GUARANTEE_ENFORCED,
           "deny_new_tasks is one process by construction, without a controller");
    intent.spawn = BV_SPAWN_ALLOW_DESCENDANTS;
    given = offer(MACHINE_ROOT_HYBRID, &intent, BV_PROCESS_COUNT);
    tap_ok(!given.structural && given.guarantee == BV_GUARANTEE_ENFORCED &&
               strstr(given.mechanism, "pids.max"),
           "the pids controller enforces");
    given = offer(MACHINE_USER_NONE, &intent, BV_PROCESS_COUNT);
    tap_ok(given.can_bound && given.guarantee == BV_GUARANTEE_MEDIATED &&
               given.sample_interval_micros == LINUX_SAMPLE_MICROS,
           "RLIMIT_NPROC mediates for a user");
    static struct bv_profile profile;
    profile = *machine_profile(MACHINE_USER_NONE);
    profile.word[LW_NPROC_USERNS] = 0;
    linux_offer(NULL, &profile, &intent, BV_PROCESS_COUNT, &given);
    tap_ok(!given.can_bound && given.why[0], "with neither there is no bound: %s", given.why);
}

/* What each cgroup layout gives a tree of processes, and the true cause where it gives nothing. */
static void test_layouts(void)
{
    static const struct {
        enum machine machine;
        enum bv_dimension dimension;
        const char *gives; /* the mechanism, or NULL: refused */
        const char *why, *remedy;
    } layouts[] = {
        { MACHINE_MIXED, BV_RESIDENT_BYTES, "cgroup_v2 memory.max", "", "" },
        { MACHINE_MIXED, BV_PROCESS_COUNT, "cgroup_v1 pids.max", "", "" },
        { MACHINE_MIXED, BV_CPU_MICROS, "cgroup_v2 cpu.stat", "", "" },
        { MACHINE_USER_V2, BV_RESIDENT_BYTES, "cgroup_v2 memory.max", "", "" },
        { MACHINE_USER_V2, BV_PROCESS_COUNT, "cgroup_v2 pids.max", "", "" },
        { MACHINE_USER_SHARED, BV_RESIDENT_BYTES, NULL, "EBUSY: other processes",
          "systemd-run --user --scope -p Delegate=yes" },
        { MACHINE_USER_SHARED, BV_PROCESS_COUNT, "RLIMIT_NPROC", "", "" },
        { MACHINE_USER_SHARED, BV_CPU_MICROS, "cgroup_v2 cpu.stat", "", "" },
        { MACHINE_USER_NONE, BV_RESIDENT_BYTES, NULL, "v1 EACCES", "run as root" },
        { MACHINE_ROOT_NONE, BV_RESIDENT_BYTES, NULL, "cgroup_memory: absent", "mounted cgroup" },
        { MACHINE_ROOT_NONE, BV_PROCESS_COUNT, NULL, "uid 0 is exempt", "--procs unlimited" },
        { MACHINE_ROOT_NONE, BV_CPU_MICROS, NULL, "cgroup_cpu: absent", "--cpu unlimited" },
        { MACHINE_NO_USERNS, BV_RESIDENT_BYTES, NULL, "EPERM at clone", "user namespaces" },
        { MACHINE_NO_USERNS, BV_WALL_MICROS, NULL, "EPERM at clone", "user namespaces" },
    };
    struct bv_intent intent = machine_intent();
    intent.spawn = BV_SPAWN_ALLOW_DESCENDANTS;
    intent.budgets[BV_PROCESS_COUNT].limit = 8;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        const struct bv_offer given = offer(layouts[i].machine, &intent, layouts[i].dimension);
        const bool right = layouts[i].gives
                               ? given.can_bound && strstr(given.mechanism, layouts[i].gives)
                               : !given.can_bound && strstr(given.why, layouts[i].why) &&
                                     strstr(given.remedy, layouts[i].remedy);
        tap_ok(right, "%s, %s: %s %s (%s)", machine_names[layouts[i].machine],
               bv_dimension_name(layouts[i].dimension), given.mechanism, given.why, given.remedy);
    }
}

static void test_handles(void)
{
    struct bv_intent intent = machine_intent();
    intent.budgets[BV_HANDLE_COUNT].limit = 12;
    struct bv_offer given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.guarantee == BV_GUARANTEE_ENFORCED && linux_nofile(&intent) == 12,
           "one table: the limit itself");
    intent.spawn = BV_SPAWN_ALLOW_THREADS;
    intent.budgets[BV_PROCESS_COUNT].limit = 64;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.guarantee == BV_GUARANTEE_ENFORCED && linux_nofile(&intent) == 12,
           "threads share it");
    intent.spawn = BV_SPAWN_ALLOW_DESCENDANTS;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.guarantee == BV_GUARANTEE_MEDIATED && given.max_overshoot == 63 * 12 &&
               linux_nofile(&intent) == 12,
           "shares too small: sampled");
    intent.budgets[BV_HANDLE_COUNT].limit = 64 * 16;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.guarantee == BV_GUARANTEE_ENFORCED && linux_nofile(&intent) == 16,
           "shares of 16: enforced");
    static const int32_t fds[] = { 3, 100 };
    intent.fds = fds;
    intent.fd_count = 2;
    intent.budgets[BV_HANDLE_COUNT].limit = 64 * 20;
    tap_ok(linux_nofile(&intent) == 19, "a kept descriptor above the limit takes one off");
    intent.budgets[BV_HANDLE_COUNT].limit = 64 * 101;
    tap_ok(linux_nofile(&intent) == 101, "one below it does not");
    intent.budgets[BV_PROCESS_COUNT].limit = BV_UNLIMITED;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(!given.can_bound, "without a process limit there is no bound: %s", given.why);
    intent.budgets[BV_HANDLE_COUNT].limit = BV_UNLIMITED;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.can_bound && given.max_overshoot == 0 && linux_nofile(&intent) == UINT64_MAX,
           "unlimited sets nothing");
    intent.budgets[BV_HANDLE_COUNT].limit = BV_JSON_MAX_INTEGER;
    intent.budgets[BV_PROCESS_COUNT].limit = BV_JSON_MAX_INTEGER;
    given = offer(MACHINE_USER_NONE, &intent, BV_HANDLE_COUNT);
    tap_ok(given.max_overshoot == BV_JSON_MAX_INTEGER,
           "a product beyond 64 bits is the largest number");
}

static void test_places(void)
{
    struct bv_intent intent = machine_intent();
    tap_ok(offer(MACHINE_USER_NONE, &intent, BV_STORAGE_BYTES).structural,
           "no writable place: nothing can grow");
    intent.temp_root = true;
    struct bv_offer given = offer(MACHINE_USER_NONE, &intent, BV_STORAGE_BYTES);
    tap_ok(given.guarantee == BV_GUARANTEE_ENFORCED && !given.structural, "a temp root has a size");
    const struct bv_expose expose = { .source = "/a",
                                      .dest = "/b",
                                      .access = BV_ACCESS_READ_WRITE };
    intent.exposes = &expose;
    intent.expose_count = 1;
    given = offer(MACHINE_USER_NONE, &intent, BV_STORAGE_BYTES);
    tap_ok(!given.can_bound && given.evidence == 0 && strstr(given.remedy, "--tmp"),
           "a writable exposed path has none: %s", given.why);
    intent.staged = true;
    given = offer(MACHINE_USER_NONE, &intent, BV_STORAGE_BYTES);
    tap_ok(!given.can_bound && given.evidence == 0 && strstr(given.why, "staged writes"), "nor has a staged one: %s", given.why);
    intent.staged = false;
    tap_ok(offer(MACHINE_USER_NONE, &intent, BV_NETWORK_BYTES).structural,
           "deny_all is no byte by construction");
    intent.network = BV_NETWORK_ALLOW_ALL;
    tap_ok(!offer(MACHINE_USER_NONE, &intent, BV_NETWORK_BYTES).can_bound,
           "allow_all is not counted");
    tap_ok(offer(MACHINE_USER_NONE, &intent, BV_WALL_MICROS).guarantee == BV_GUARANTEE_ENFORCED,
           "wall is init's timer everywhere");
}

int main(void)
{
    test_stated();
    test_cpu();
    test_memory();
    test_processes();
    test_layouts();
    test_handles();
    test_places();
    return tap_done();
}
