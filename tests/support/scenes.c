/* tests/support/scenes.c - the few requests that golden files and seeds are made of; see scenes.h. */
#include "scenes.h"

#include <string.h>

#include "base/check.h"

static const char *const code_roots[] = { "/usr", "/opt/app" }, *const data_roots[] = {
    "/srv/job"
};
static const struct bv_destination destinations[] = { { "example.org", 443 }, { "192.0.2.1", 53 } };
static const struct bv_env_entry env[] = { { "LANG", "C.UTF-8", NULL },
                                           { "TOKEN", NULL, "ci/token" } };
static const int32_t fds[] = { 5, 3 };

void scene_full(struct fake *fake, struct request *request)
{
    fake_init(fake);
    fake->best[BV_REQ_NETWORK_ALLOW_LIST].enforcement = BV_MEDIATED;
    memcpy(fake->best[BV_REQ_NETWORK_ALLOW_LIST].why, "a relay copies every byte", 26);
    memcpy(fake->best[BV_REQ_NETWORK_ALLOW_LIST].remedy, "an address family of its own", 29);
    memcpy(fake->best[BV_REQ_FILESYSTEM].note, "locks on read-only roots are not covered", 41);
    memcpy(fake->offer[BV_STORAGE_BYTES].note, "charged to memory, too", 23);
    request_init(request);
    request_capability(request, (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                                        .u.filesystem = { BV_ACCESS_READ, true,
                                                                          true, code_roots, 2 } });
    request_capability(request,
                       (struct bv_capability){
                           .kind = BV_CAP_FILESYSTEM,
                           .u.filesystem = { BV_ACCESS_READ_WRITE, false, true, data_roots, 1 } });
    request_capability(
        request, (struct bv_capability){ .kind = BV_CAP_NETWORK,
                                         .u.network = { BV_NETWORK_ALLOW_LIST, destinations, 2 } });
    request_capability(request,
                       (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                               .u.child_spawn = BV_SPAWN_ALLOW_DESCENDANTS });
    request_capability(
        request, (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT, .u.environment = { env, 2 } });
    request_capability(request, (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                                        .u.inherited_fds = { fds, 2 } });
    request_control(request, (struct bv_control){ .kind = BV_CTL_TEMP_ROOT,
                                                  .u.temp_root = { true, 64u << 20 } });
    request_control(request, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                                  .u.expose = { "/data", "/in", BV_ACCESS_READ } });
    request_control(request, (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT,
                                                  .u.commit = BV_DURABILITY_DURABLE });
    request_control(request, (struct bv_control){ .kind = BV_CTL_LIST_OUTPUTS });
    request->spec.budgets[BV_PROCESS_COUNT] =
        (struct bv_budget_request){ 8, BV_GUARANTEE_ENFORCED, BV_CLAIM_RESOURCE_USAGE };
    request->spec.budgets[BV_NETWORK_BYTES] =
        (struct bv_budget_request){ BV_UNLIMITED, BV_GUARANTEE_MEDIATED, 0 };
    request->spec.require_evidence |= BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_PROCESS_TREE;
}

struct bv_observation *scene_full_run(void)
{
    static const unsigned char binary[] = { 0x00, 0xff, 0x7f, 'x' };
    const uint64_t wall = 10000050, cpu = 700, processes = 8, storage = 2048;
    struct bv_exit exit = { .kind = BV_EXIT_SIGNAL, .value = 9 };
    struct bv_observation *o = bv_observation_new();
    bool ok = o && bv_observe_fact(o, "workload_launched", "%s", "/opt/app/bin/tool-1.2") &&
              bv_observe_fact(o, "artifact_staged", "1 writable trees, overlayfs") &&
              bv_observe_fact(o, "network_allow_list", "%d destinations", 2) &&
              bv_observe_fact(o, "inherited_fds_only", "3,5") &&
              bv_observe_denied(o, BV_REQ_NETWORK_ALLOW_LIST, "connect 10.0.0.1:80", 2) &&
              bv_observe_denied(o, BV_REQ_FILESYSTEM, "open /etc/shadow \n\377", 1) &&
              bv_observe_denied(o, BV_REQ_NETWORK_ALLOW_LIST, "connect 10.0.0.1:80", 1) &&
              bv_observe_denied(o, BV_REQ_KILL, "signal to the supervisor", 1) &&
              bv_observe_stream(o, 1, "gr\303\274\303\237e\n\"\\\001", 11, 5000, true) &&
              bv_observe_stream(o, 2, binary, sizeof(binary), 4, false) &&
              bv_observe_usage(o, BV_WALL_MICROS, &wall, true, "timerfd, exact") &&
              bv_observe_usage(o, BV_CPU_MICROS, &cpu, false, "cpu.stat, exact") &&
              bv_observe_usage(o, BV_RESIDENT_BYTES, NULL, false, "no memory controller") &&
              bv_observe_usage(o, BV_PROCESS_COUNT, &processes, true, "pids.peak, exact") &&
              bv_observe_usage(o, BV_STORAGE_BYTES, &storage, false, "statfs, exact") &&
              bv_observe_finding(o, "survivors_killed", "%d processes outlived the workload", 2) &&
              bv_observe_launcher(o, FAKE_LAUNCHER) &&
              bv_observe_fact(o, "canaries", "31 of 31 denied") &&
              bv_observe_fact(o, "tree_empty", "cgroup.procs is empty") &&
              bv_observe_outcome(o, BV_OUTCOME_TIMEOUT, exit, BV_WALL_MICROS, "wall limit");
    if (!ok) {
        bv_observation_free(o);
        return NULL;
    }
    return o;
}
