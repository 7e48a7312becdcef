/* tests/unit/test_planning.c - plan, save, reload: admission in order, drift by name, and
 * documents that are not ours. */
#include "run/planning.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

struct planned {
    enum bv_status status;
    struct bv_plan *plan;
    struct bv_refusal *refusal;
    struct bv_error error;
};

static struct planned create(struct bv_backend *backend, const struct bv_spec *spec)
{
    struct planned p = { 0 };
    p.status = bv_plan_create(backend, spec, &p.plan, &p.refusal, &p.error);
    tap_ok((p.plan != NULL) == (p.status == BV_OK) &&
               (p.refusal != NULL) == (p.status == BV_E_REFUSED),
           "exactly what the status says is set");
    return p;
}

static struct planned reload(struct bv_backend *backend, const char *text)
{
    struct planned p = { 0 };
    p.status = bv_plan_reload(backend, text, strlen(text), &p.plan, &p.refusal, &p.error);
    tap_ok((p.plan != NULL) == (p.status == BV_OK) &&
               (p.refusal != NULL) == (p.status == BV_E_REFUSED),
           "exactly what the status says is set");
    return p;
}

static void drop(struct planned *p)
{
    bv_plan_free(p->plan);
    bv_refusal_free(p->refusal);
}

/* The refusal has this reason and an item whose `what` and `why` contain these texts. */
static void refused(struct planned *p, enum bv_refusal_reason reason, const char *what,
                    const char *why)
{
    bool found = false;
    for (size_t i = 0; p->refusal && i < bv_refusal_count(p->refusal); i++) {
        found = found || (strstr(bv_refusal_what(p->refusal, i), what) &&
                          strstr(bv_refusal_why(p->refusal, i), why));
        tap_note("%s: %s (%s)", bv_refusal_what(p->refusal, i), bv_refusal_why(p->refusal, i),
                 bv_refusal_remedy(p->refusal, i));
    }
    tap_ok(p->status == BV_E_REFUSED && bv_refusal_reason(p->refusal) == reason && found,
           "refused, %s: %s, %s", bv_refusal_reason_name(reason), what, why);
    drop(p);
}

static void test_create(struct bv_backend *backend, struct fixture *fixture)
{
    struct planned p = create(backend, &fixture->spec);
    tap_ok(p.status == BV_OK && strcmp(bv_plan_backend(p.plan), "sim") == 0,
           "a spec is admitted: %s", p.error.text);
    tap_ok(strncmp(bv_plan_id(p.plan), "sha256:", 7) == 0, "and has an id");
    tap_ok(bv_plan_identity(p.plan)->known &&
               strcmp(bv_plan_identity(p.plan)->path, fixture->exe) == 0,
           "and knows its workload");
    struct planned again = create(backend, &fixture->spec);
    tap_text(bv_plan_id(again.plan), bv_plan_id(p.plan),
             "the same spec on the same machine is the same plan");
    drop(&p);
    drop(&again);

    fixture->spec.workload.path = "/nonexistent/prog";
    p = create(backend, &fixture->spec);
    refused(&p, BV_REFUSED_WORKLOAD_INCOMPATIBLE, "launch_workload",
            "/nonexistent/prog: no such file");
    fixture_add_control(fixture, (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT });
    fixture_add_control(fixture, (struct bv_control){ .kind = BV_CTL_DISCARD_ARTIFACT });
    p = create(backend, &fixture->spec);
    refused(&p, BV_REFUSED_INVALID_POLICY, "",
            ""); /* a contradiction comes before the missing file */
    fixture->spec.control_count -= 2;
    fixture->spec.workload.path = fixture->exe;

    fixture->out_root[0] = "/nonexistent/root";
    p = create(backend, &fixture->spec);
    tap_ok(p.status == BV_E_INVALID &&
               strcmp(p.error.place, "/capabilities/1/filesystem/roots/0") == 0,
           "a missing root is an error at its place");
    fixture->out_root[0] = "relative";
    p = create(backend, &fixture->spec);
    tap_ok(p.status == BV_E_INVALID, "a malformed spec is an error: %s: %s", p.error.place,
           p.error.text);
    fixture->out_root[0] = fixture->out;
    p = create(NULL, &fixture->spec);
    tap_ok(p.status == BV_E_INVALID, "a missing argument is an error");
}

static void test_no_launch(struct bv_backend *backend, struct fixture *fixture)
{
    struct bv_spec spec = fixture->spec;
    spec.controls = NULL;
    spec.control_count = 0;
    spec.workload.path = "/nonexistent/prog";
    struct planned p = create(backend, &spec);
    tap_ok(p.status == BV_OK && !bv_plan_identity(p.plan)->known,
           "a spec that launches nothing needs no file: %s %s", p.error.place, p.error.text);
    drop(&p);
}

static void test_reload(struct sim_setup *setup, struct bv_backend *backend,
                        struct fixture *fixture)
{
    char *text = NULL, name[24];
    unsigned char elf[512];
    char path[FIXTURE_PATH];
    struct planned p = create(backend, &fixture->spec);
    tap_ok(bv_plan_json(p.plan, &text, NULL) == BV_OK, "a plan is saved");
    struct planned again = reload(backend, text);
    tap_ok(again.status == BV_OK && strcmp(bv_plan_id(again.plan), bv_plan_id(p.plan)) == 0,
           "and loaded again: %s", again.error.text);
    drop(&again);
    drop(&p);
    tap_ok(bv_plan_peek_backend(text, strlen(text), name, NULL) == BV_OK &&
               strcmp(name, "sim") == 0,
           "its backend can be read");
    tap_ok(bv_plan_peek_backend("{}", 2, name, NULL) == BV_E_INVALID,
           "that of something else cannot");

    setup->machine = "another";
    again = reload(backend, text);
    refused(&again, BV_REFUSED_PROFILE_DRIFT, "machine",
            "was sim when it was planned, is another now");
    setup->machine = NULL;

    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    elf[size] = 1; /* one byte more: another digest */
    fixture_file(fixture, "prog", elf, size + 1, 0755, path);
    again = reload(backend, text);
    refused(&again, BV_REFUSED_PROFILE_DRIFT, "workload digest", "when it was planned");
    tap_ok(unlink(path) == 0, "the workload is removed");
    again = reload(backend, text);
    refused(&again, BV_REFUSED_PROFILE_DRIFT, "launch_workload", "no such file");
    fixture_file(fixture, "prog", elf, size, 0755, path);
    again = reload(backend, text);
    tap_ok(again.status == BV_OK, "the same bytes in a new file are the same workload: %s",
           again.error.text);
    drop(&again);

    char *digest = strstr(text, "\"plan_id\":\"sha256:");
    tap_ok(digest != NULL, "the document shows its id");
    if (digest) {
        char *hex = digest + strlen("\"plan_id\":\"sha256:");
        *hex = *hex == '0' ? '1' : '0';
        again = reload(backend, text);
        tap_ok(again.status == BV_E_CORRUPT, "a document with another id is corrupt: %s",
               again.error.text);
    }
    again = reload(backend, "[]");
    tap_ok(again.status == BV_E_INVALID, "something else is no plan: %s", again.error.text);
    bv_free(text);
}

static void test_other_backend(struct bv_backend *backend, struct fixture *fixture)
{
    struct bv_backend *inert = NULL;
    char *text = NULL;
    struct planned p = create(backend, &fixture->spec);
    tap_ok(bv_plan_json(p.plan, &text, NULL) == BV_OK, "a plan is saved");
    tap_ok(bv_backend_inert(&inert, NULL) == BV_OK, "another backend");
    struct planned other = reload(inert, text);
    tap_ok(other.status == BV_E_INVALID && strcmp(other.error.place, "/backend") == 0,
           "does not take the plan: %s", other.error.text);
    bv_backend_free(inert);
    bv_free(text);
    drop(&p);
}

static void test_probe(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture)
{
    char *text = NULL;
    struct bv_error error = { 0 };
    tap_ok(bv_probe_json(backend, &text, NULL) == BV_OK && strstr(text, "\"bvisor.probe/1\"") &&
               strstr(text, "\"machine\":\"sim\""),
           "the probe document shows the facts");
    bv_free(text);
    setup->fails_to_probe = true;
    text = NULL;
    tap_ok(bv_probe_json(backend, &text, &error) == BV_E_SYS && !text && error.os_errno == EIO,
           "a probe that fails is an error: %s", error.text);
    struct planned p = create(backend, &fixture->spec);
    tap_ok(p.status == BV_E_SYS, "and so is planning then");
    setup->fails_to_probe = false;

    struct bv_refusal *refusal = NULL;
    tap_ok(bv_refusal_unknown_backend("xen", &refusal, NULL) == BV_OK &&
               bv_refusal_reason(refusal) == BV_REFUSED_UNKNOWN_BACKEND,
           "a name that no backend has is a refusal");
    tap_ok(bv_refusal_json(refusal, &text, NULL) == BV_OK && strstr(text, "\"unknown_backend\"") &&
               strstr(text, "xen"),
           "which names it: %s", text);
    bv_free(text);
    bv_refusal_free(refusal);
}

int main(void)
{
    struct sim_setup setup = { .lie = SIM_HONEST };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    test_create(backend, &fixture);
    test_no_launch(backend, &fixture);
    test_reload(&setup, backend, &fixture);
    test_other_backend(backend, &fixture);
    test_probe(&setup, backend, &fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
