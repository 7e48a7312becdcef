/* tests/unit/test_grants.c - run/grants.c: grants that the machine's mounts make impossible are
 * refused when planned and when started, with one reading of the mounts for both. */
#include "run/grants.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "run/instance.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

static const struct sim_op script[] = { { SIM_EXIT, NULL, 0 } };

/* ---- a system whose mounts the test writes ---- */

static const char plain[] = "27 1 254:0 / / rw - ext4 /dev/vda rw\n";
static const char *mounts_text = plain;
static unsigned readings;
static int read_result;
static uint64_t clock_micros;
#define MOUNTS_FD 1000000

static int fake_open(const char *path, int flags)
{
    if (strcmp(path, "/proc/self/mountinfo") != 0) {
        return bv_sys_host.open(path, flags);
    }
    readings++;
    return MOUNTS_FD;
}

static ssize_t fake_pread(int fd, void *buffer, size_t size, uint64_t offset_bytes)
{
    if (fd != MOUNTS_FD) {
        return bv_sys_host.pread(fd, buffer, size, offset_bytes);
    }
    size_t rest = strlen(mounts_text) - (size_t)offset_bytes;
    size = size < 7 ? size : 7; /* in small bites, as a file of the kernel may */
    size = size < rest ? size : rest;
    memcpy(buffer, mounts_text + offset_bytes, size);
    return read_result < 0 ? read_result : (ssize_t)size;
}

static uint64_t fake_clock(void)
{
    return clock_micros;
}

static struct bv_sys fake_sys;

/* ---- */

struct answer {
    enum bv_status status;
    struct bv_plan *plan;
    struct bv_refusal *refusal;
    struct bv_error error;
};

static struct answer plan(struct bv_backend *backend, const struct bv_spec *spec)
{
    struct answer a = { 0 };
    a.status = bv_plan_create(backend, spec, &a.plan, &a.refusal, &a.error);
    return a;
}

static void drop(struct answer *a)
{
    bv_plan_free(a->plan);
    bv_refusal_free(a->refusal);
}

static void refused(struct answer *a, const char *kind, const char *why, size_t count)
{
    bool found = false;
    for (size_t i = 0; a->refusal && i < bv_refusal_count(a->refusal); i++) {
        found = found || (strcmp(bv_refusal_what(a->refusal, i), kind) == 0 &&
                          strstr(bv_refusal_why(a->refusal, i), why) &&
                          bv_refusal_remedy(a->refusal, i)[0] != '\0');
        tap_note("%s: %s", bv_refusal_what(a->refusal, i), bv_refusal_why(a->refusal, i));
    }
    tap_ok(a->status == BV_E_REFUSED && !a->plan && found &&
               bv_refusal_reason(a->refusal) == BV_REFUSED_UNSUPPORTED &&
               bv_refusal_count(a->refusal) == count,
           "refused: %s: %s %s", kind, why, a->error.text);
    drop(a);
}

static void write_mounts(char *buffer, size_t size, const char *place, const char *device,
                         const char *type)
{
    (void)snprintf(buffer, size, "%s90 27 %s / %s rw - %s none rw\n", plain, device, place, type);
    mounts_text = buffer;
}

static void test_planning(struct bv_backend *backend, struct fixture *fixture)
{
    char text[1000];
    struct answer a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_OK, "a machine without them admits: %s", a.error.text);
    drop(&a);

    write_mounts(text, sizeof(text), fixture->out, "0:9", "sysfs");
    a = plan(backend, &fixture->spec);
    refused(&a, "filesystem", "switches of the kernel", 1);
    write_mounts(text, sizeof(text), fixture->out, "0:9", "tmpfs");
    a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_OK, "memory that is mounted there is storage: %s", a.error.text);
    drop(&a);
    write_mounts(text, sizeof(text), fixture->in, "0:9", "cgroup2");
    a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_OK, "to read a cgroup is granted: %s", a.error.text);
    drop(&a);
    write_mounts(text, sizeof(text), fixture->dir, "0:9", "proc");
    a = plan(backend, &fixture->spec);
    refused(&a, "filesystem", "the host's processes", 2);

    char below[FIXTURE_PATH + 8];
    (void)snprintf(below, sizeof(below), "%s/deeper", fixture->in);
    write_mounts(text, sizeof(text), below, "0:9", "proc");
    a = plan(backend, &fixture->spec);
    refused(&a, "filesystem", "the host's processes", 1);
    fixture_add_control(
        fixture, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                      .u.expose = { .source = fixture->in, .dest = "/seen" } });
    a = plan(backend, &fixture->spec);
    refused(&a, "expose_path", "the host's processes", 2);
    fixture->spec.control_count--;
    mounts_text = plain;
}

static void test_order(struct bv_backend *backend, struct fixture *fixture)
{
    char text[1000];
    write_mounts(text, sizeof(text), fixture->out, "0:9", "sysfs");
    const struct bv_budget_request kept = fixture->spec.budgets[BV_HANDLE_COUNT];
    fixture->spec.budgets[BV_HANDLE_COUNT].limit = 1; /* below its minimum */
    struct answer a = plan(backend, &fixture->spec);
    refused(&a, "filesystem", "switches of the kernel", 1);
    tap_note("what the machine cannot hold comes before the budgets");
    fixture->spec.budgets[BV_HANDLE_COUNT] = kept;
    const char *path = fixture->spec.workload.path;
    fixture->spec.workload.path = "/nonexistent/prog";
    a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_E_REFUSED &&
               bv_refusal_reason(a.refusal) == BV_REFUSED_WORKLOAD_INCOMPATIBLE,
           "and after the workload");
    drop(&a);
    fixture->spec.workload.path = path;
    mounts_text = plain;
}

static void test_faults(struct bv_backend *backend, struct fixture *fixture)
{
    mounts_text = "this is no mountinfo\n";
    struct answer a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_E_FAULT && !a.plan && !a.refusal, "an unreadable table is a failure: %s",
           a.error.text);
    mounts_text = plain;
    read_result = -EIO;
    a = plan(backend, &fixture->spec);
    tap_ok(a.status == BV_E_SYS && a.error.os_errno == EIO && !a.plan, "so is one that fails: %s",
           a.error.text);
    read_result = 0;
    struct bv_spec bare = fixture->spec;
    bare.capability_count = 0;
    readings = 0;
    a = plan(backend, &bare);
    tap_ok(a.status == BV_OK && readings == 0, "without a grant nobody looks: %s", a.error.text);
    drop(&a);
}

static struct answer start(struct bv_backend *backend, const struct bv_plan *plan_of, uint64_t age,
                           struct bv_run **ret_run)
{
    struct answer a = { 0 };
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    options.probe_max_age_micros = age;
    a.status = bv_run_start(backend, plan_of, &options, ret_run, &a.refusal, &a.error);
    return a;
}

static void test_start(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture)
{
    char text[1000];
    struct bv_run *run = NULL;
    clock_micros = 5000000;
    readings = 0;
    struct answer planned = plan(backend, &fixture->spec);
    struct answer a = start(backend, planned.plan, 100, &run);
    tap_ok(a.status == BV_OK && readings == 1, "planning and run share one reading: %s",
           a.error.text);
    bv_run_free(run);
    clock_micros += 101;
    a = start(backend, planned.plan, 100, &run);
    tap_ok(a.status == BV_OK && readings == 2, "which grows old");
    bv_run_free(run);
    a = start(backend, planned.plan, 0, &run);
    tap_ok(a.status == BV_OK && readings == 3, "and serves nobody who wants a fresh one");
    bv_run_free(run);

    write_mounts(text, sizeof(text), fixture->out, "0:9", "cgroup2");
    *setup->started = false;
    a = start(backend, planned.plan, 0, &run);
    tap_ok(a.status == BV_E_REFUSED && !*setup->started,
           "a mount that came after the planning refuses the run, and nothing is started");
    drop(&a);
    drop(&planned);
    mounts_text = plain;
}

int main(void)
{
    bool started = false;
    struct sim_setup setup = {
        .lie = SIM_HONEST, .script = script, .script_length = BV_COUNT(script), .started = &started
    };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    fake_sys = bv_sys_host;
    fake_sys.open = fake_open;
    fake_sys.pread = fake_pread;
    fake_sys.boot_micros = fake_clock;
    backend->sys = &fake_sys;
    test_planning(backend, &fixture);
    test_order(backend, &fixture);
    test_faults(backend, &fixture);
    test_start(&setup, backend, &fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
