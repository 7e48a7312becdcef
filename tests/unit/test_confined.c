/* tests/unit/test_confined.c - the whole loop in one call; and the same with the n-th allocation
 * failing, for every n.
 *
 * The linker wraps malloc and its kin (see meson.build), so that every allocation of the library
 * and of jansson in it is counted and one of them can be made to fail. Whatever fails:
 * BV_E_NOMEM or a report that says supervisor_fault, and nothing leaks. */
#include <bvisor/run.h>

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"
#include "sys/sys.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *old);

static long allocations, fail_at, alive;

static bool fails(void)
{
    allocations++;
    return allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    void *p = fails() ? NULL : __real_malloc(size);
    alive += p != NULL;
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = fails() ? NULL : __real_calloc(count, size);
    alive += p != NULL;
    return p;
}

void *__wrap_realloc(void *old, size_t size)
{
    void *p = fails() ? NULL : __real_realloc(old, size);
    alive += p != NULL && !old;
    return p;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    void *p = fails() ? NULL : __real_reallocarray(old, count, size);
    alive += p != NULL && !old;
    return p;
}

char *__wrap_strdup(const char *text)
{
    char *p = fails() ? NULL : __real_strdup(text);
    alive += p != NULL;
    return p;
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

static ptrdiff_t resolve(void *context, const char *reference, char *buffer, size_t capacity)
{
    (void)context, (void)reference;
    if (capacity < 6) {
        return -1;
    }
    memcpy(buffer, "secret", 6);
    return 6;
}

static const struct sim_op script[] = {
    { SIM_READ, "/etc/shadow", 0 },
    { SIM_CONNECT, "example.org:80", 1 },
    { SIM_PRINT, "hello", 0 },
    { SIM_EXIT, NULL, 0 },
};

struct ended {
    enum bv_status status;
    enum bv_outcome outcome;
    char *text;
};

static struct ended run_once(const struct bv_spec *spec, struct bv_backend *backend)
{
    struct ended ended = { 0 };
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    options.secret = resolve;
    ended.status = bv_run_confined(spec, backend, &options, &report, &refusal, &error);
    if (ended.status == BV_OK) {
        ended.outcome = bv_report_outcome(report);
        ended.status = bv_report_json(report, &ended.text, NULL);
    } else if (error.status != ended.status && ended.status != BV_E_REFUSED) {
        tap_ok(false, "the error record says %s, the call %s", bv_status_name(error.status),
               bv_status_name(ended.status));
    }
    bv_report_free(report);
    bv_refusal_free(refusal);
    return ended;
}

/* Fails allocation 1, 2, 3 ... until one run needs fewer than that. False at the first thing
 * that is not as it must be. */
static bool fail_each(const struct bv_spec *spec, struct bv_backend *backend, enum bv_status wanted,
                      long *ret_count)
{
    for (long n = 1; n < 100000; n++) {
        long alive_before = alive;
        allocations = 0;
        fail_at = n;
        struct ended ended = run_once(spec, backend);
        fail_at = 0;
        bool reached = allocations >= n;
        bool fine =
            ended.status == BV_E_NOMEM ||
            (ended.status == BV_OK && ended.outcome == BV_OUTCOME_SUPERVISOR_FAULT && ended.text) ||
            (!reached && ended.status == wanted);
        /* A fault that is reported must be reported by a document that verifies. */
        fine = fine &&
               (!ended.text || bv_report_verify(ended.text, strlen(ended.text), NULL) == BV_OK);
        bv_free(ended.text);
        if (!fine || alive != alive_before) {
            tap_ok(false, "allocation %ld: %s, outcome %d, %ld blocks left", n,
                   bv_status_name(ended.status), (int)ended.outcome, alive - alive_before);
            return false;
        }
        if (!reached) {
            *ret_count = n - 1;
            return true;
        }
    }
    return false;
}

int main(void)
{
    static const struct bv_env_entry env[] = { { .name = "TOKEN", .secret = "ref" } };
    const struct sim_setup setup = { .lie = SIM_HONEST,
                                     .script = script,
                                     .script_length = BV_COUNT(script) };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    long count = 0;
    fixture_init(&fixture);
    fixture_add_capability(&fixture, (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT,
                                                             .u.environment = { env, 1 } });
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");

    struct ended ended = run_once(&fixture.spec, backend);
    tap_ok(ended.status == BV_OK && ended.outcome == BV_OUTCOME_COMPLETED,
           "the whole loop in one call: %s", bv_status_name(ended.status));
    tap_ok(ended.text && strstr(ended.text, "\"hello\"") && strstr(ended.text, "example.org:80") &&
               bv_report_verify(ended.text, strlen(ended.text), NULL) == BV_OK,
           "gives a report that verifies");
    bv_free(ended.text);
    bool good = fail_each(&fixture.spec, backend, BV_OK, &count);
    tap_ok(good && count > 20, "every one of its %ld allocations may fail", count);

    fixture.spec.workload.path = "/nonexistent/prog";
    ended = run_once(&fixture.spec, backend);
    tap_ok(ended.status == BV_E_REFUSED && !ended.text, "a refusal sets no report");
    good = fail_each(&fixture.spec, backend, BV_E_REFUSED, &count);
    tap_ok(good && count > 10, "every one of a refusal's %ld allocations may fail", count);
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    tap_ok(bv_run_confined(NULL, backend, NULL, &report, &refusal, NULL) == BV_E_INVALID &&
               !report && !refusal,
           "missing arguments are an error");
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
