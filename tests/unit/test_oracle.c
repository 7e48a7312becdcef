/* tests/unit/test_oracle.c - the oracle over the simulated backend: an honest run has no violation,
 * each lie has exactly its own.
 *
 * Every lie is run beside an honest run of the same script and spec. So an oracle that always
 * cries, or never, fails this test. */
#include "support/oracle.h"

#include <bvisor/run.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

struct scene {
    struct fixture fixture;
    struct sim_op script[16];
    size_t length;
    char in_file[FIXTURE_PATH + 8], out_file[FIXTURE_PATH + 8];
};

/* What the simulated machine can enforce: everything but the capture of streams. */
#define CAN_ENFORCE (((1u << BV_REQUIREMENT_KIND_COUNT) - 1) & ~(1u << BV_REQ_CAPTURE_STREAMS))

static void add(struct scene *scene, enum sim_op_kind kind, const char *subject, uint64_t amount)
{
    BV_ASSERT(scene->length < BV_COUNT(scene->script));
    scene->script[scene->length++] = (struct sim_op){ kind, subject, amount };
}

/* A workload that does what it may and tries what it must not. */
static void set_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    fixture_init(&scene->fixture);
    (void)snprintf(scene->in_file, sizeof(scene->in_file), "%s/data", scene->fixture.in);
    (void)snprintf(scene->out_file, sizeof(scene->out_file), "%s/result", scene->fixture.out);
    add(scene, SIM_READ, scene->in_file, 0);
    add(scene, SIM_WRITE, scene->out_file, 1000);
    add(scene, SIM_BURN, NULL, 2500);
    add(scene, SIM_PRINT, "working", 0);
    add(scene, SIM_READ, "/etc/shadow", 0);
    add(scene, SIM_WRITE, scene->in_file, 10);
    add(scene, SIM_CONNECT, "192.0.2.1:443", 77);
    add(scene, SIM_SPAWN, NULL, 0);
    add(scene, SIM_USE_FD, NULL, 9);
    add(scene, SIM_EXIT, NULL, 0);
}

struct graded {
    uint32_t violations;
    enum bv_outcome outcome;
    char *report;
};

static struct graded grade(const struct scene *scene, enum sim_lie lie)
{
    struct sim_world world = { .can_enforce = CAN_ENFORCE };
    const struct sim_setup setup = {
        .lie = lie, .script = scene->script, .script_length = scene->length, .world = &world
    };
    struct graded graded = { .violations = UINT32_MAX };
    struct bv_backend *backend = NULL;
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    struct bv_store *store = NULL;
    char state[FIXTURE_PATH + 8];
    (void)snprintf(state, sizeof(state), "%s/state", scene->fixture.dir);
    if (bv_store_open(state, &store, &error) == BV_OK &&
        sim_backend_new(&setup, &backend, &error) == BV_OK &&
        (bv_backend_stage_in(backend, store), true) &&
        bv_run_confined(&scene->fixture.spec, backend, NULL, &report, &refusal, &error) == BV_OK &&
        bv_report_json(report, &graded.report, &error) == BV_OK) {
        graded.outcome = bv_report_outcome(report);
        graded.violations =
            oracle_judge(&scene->fixture.spec, &world, graded.report, strlen(graded.report));
    } else {
        tap_note("%s: %s %s %s", sim_lie_name(lie), error.place, error.text,
                 refusal ? bv_refusal_why(refusal, 0) : "");
    }
    bv_report_free(report);
    bv_refusal_free(refusal);
    bv_backend_free(backend);
    bv_store_free(store);
    return graded;
}

static void check(const struct scene *scene, enum sim_lie lie, uint32_t wanted)
{
    char found[200], names[200];
    struct graded honest = grade(scene, SIM_HONEST), lying = grade(scene, lie);
    oracle_text(honest.violations, found, sizeof(found));
    tap_ok(honest.violations == 0 && honest.outcome == BV_OUTCOME_COMPLETED,
           "%s: an honest run of it has no violation (%s)", sim_lie_name(lie), found);
    oracle_text(lying.violations, found, sizeof(found));
    oracle_text(wanted, names, sizeof(names));
    tap_text(found, names, "a backend that %s is found out", sim_lie_name(lie));
    bool fault = wanted == ORACLE_FAULT_REPORTED;
    tap_ok((lying.outcome == BV_OUTCOME_SUPERVISOR_FAULT) == fault, "%s: %s", sim_lie_name(lie),
           fault ? "the runner itself makes it a supervisor_fault" : "only the oracle sees it");
    if (fault) {
        tap_note("%s", lying.report ? lying.report : "no report");
    }
    bv_free(honest.report);
    bv_free(lying.report);
}

/* The oracle on things that no backend did: it must see each by itself. */
static void test_oracle_alone(const struct scene *scene)
{
    struct graded honest = grade(scene, SIM_HONEST);
    const struct bv_spec *spec = &scene->fixture.spec;
    struct sim_world world = { .can_enforce = CAN_ENFORCE,
                               .ended = true,
                               .tasks_peak = 1,
                               .cpu_micros = 2500,
                               .storage_bytes = 1000 };
    size_t size = honest.report ? strlen(honest.report) : 0;
    tap_ok(size > 0 && oracle_judge(spec, &world, honest.report, size) == 0,
           "a world without events agrees with the report");
    world.exit_code = 1;
    tap_ok(oracle_judge(spec, &world, honest.report, size) == ORACLE_OUTCOME_UNTRUE,
           "another exit is an untrue outcome");
    world.exit_code = 0;
    world.ended = false;
    tap_ok(oracle_judge(spec, &world, honest.report, size) == ORACLE_OUTCOME_UNTRUE,
           "so is no exit at all");
    world.ended = true;
    world.cpu_micros++;
    tap_ok(oracle_judge(spec, &world, honest.report, size) == ORACLE_USAGE_UNTRUE,
           "another figure is an untrue usage");
    world.cpu_micros--;
    sim_world_attempt(&world, &(struct sim_op){ SIM_READ, "/etc/shadow", 0 }, false);
    sim_world_attempt(&world, &(struct sim_op){ SIM_READ, "/etc/shadow", 0 }, false);
    sim_world_attempt(&world, &(struct sim_op){ SIM_READ, "/etc/shadow", 0 }, false);
    tap_ok(oracle_judge(spec, &world, honest.report, size) == ORACLE_DENIAL_DROPPED,
           "more refusals than the report counts are dropped denials");
    char *seal = size ? strstr(honest.report, "\"outcome\":\"completed\"") : NULL;
    tap_ok(seal != NULL, "the report says completed");
    if (seal) {
        world.log_count = 0;
        memcpy(seal, "\"outcome\":\"Completed\"", 21);
        tap_ok(oracle_judge(spec, &world, honest.report, size) & ORACLE_SEAL_BROKEN,
               "a changed byte breaks the seal");
    }
    tap_ok(oracle_judge(spec, &world, "{", 1) & ORACLE_REPORT_UNREADABLE,
           "half a document is unreadable");
    bv_free(honest.report);
}

int main(void)
{
    static struct scene scene;
    set_scene(&scene);
    check(&scene, SIM_ALLOWS_READ, ORACLE_READ_OUTSIDE);
    check(&scene, SIM_ALLOWS_NETWORK, ORACLE_NETWORK_REACHED);
    check(&scene, SIM_ALLOWS_WRITE, ORACLE_WROTE_OUTSIDE);
    check(&scene, SIM_ALLOWS_SPAWN, ORACLE_SPAWNED);
    check(&scene, SIM_LEAKS_FD, ORACLE_FD_LEAKED);
    check(&scene, SIM_NO_OUTCOME, ORACLE_FAULT_REPORTED);
    check(&scene, SIM_DROPS_DENIAL, ORACLE_DENIAL_DROPPED);
    check(&scene, SIM_OVERCLAIMS, ORACLE_OVERCLAIMED);
    check(&scene, SIM_CRASHES, ORACLE_FAULT_REPORTED);
    check(&scene, SIM_INVENTS_USAGE, ORACLE_FAULT_REPORTED);
    test_oracle_alone(&scene);

    /* An orphan needs a contract that lets tasks be made; a commit one with staged roots that
     * are to be dropped. */
    fixture_add_capability(&scene.fixture,
                           (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                                   .u.child_spawn = BV_SPAWN_ALLOW_DESCENDANTS });
    check(&scene, SIM_HIDES_ORPHAN, ORACLE_ORPHAN_HIDDEN);
    scene.fixture.spec.capability_count--;
    fixture_add_control(&scene.fixture, (struct bv_control){ .kind = BV_CTL_DISCARD_ARTIFACT });
    check(&scene, SIM_COMMITS_ANYWAY, ORACLE_COMMITTED);
    fixture_done(&scene.fixture);
    return tap_done();
}
