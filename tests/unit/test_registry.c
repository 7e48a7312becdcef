/* tests/unit/test_registry.c - backends and the table of them: what is taken, what is refused,
 * who frees. */
#include <bvisor/run.h>

#include <string.h>

#include "support/sim_backend.h"
#include "support/tap.h"

static int closed;

static enum bv_status no_probe(void *context, struct bv_snapshot *facts, struct bv_error *error)
{
    (void)context, (void)facts, (void)error;
    return BV_OK;
}
static void no_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    (void)context, (void)facts, (void)profile;
}
static void no_classify(void *context, const struct bv_profile *profile,
                        const struct bv_intent *intent, const struct bv_requirement *requirement,
                        struct bv_verdict *verdict)
{
    (void)context, (void)profile, (void)intent, (void)requirement, (void)verdict;
}
static void no_offer(void *context, const struct bv_profile *profile,
                     const struct bv_intent *intent, enum bv_dimension dimension,
                     struct bv_offer *offer)
{
    (void)context, (void)profile, (void)intent, (void)dimension, (void)offer;
}
static enum bv_status no_start(void *context, const struct bv_execution *execution, void **run,
                               struct bv_error *error)
{
    (void)context, (void)execution, (void)run, (void)error;
    return BV_E_FAULT;
}
static int no_fd(void *run)
{
    (void)run;
    return -1;
}
static enum bv_status no_dispatch(void *run, bool *done, struct bv_error *error)
{
    (void)run, (void)done, (void)error;
    return BV_E_FAULT;
}
static void no_close_run(void *run)
{
    (void)run;
}
static void count_close(void *context)
{
    (void)context;
    closed++;
}

static const struct bv_backend_ops whole = {
    .abi_version = BV_BACKEND_ABI,
    .id = "one",
    .probe = no_probe,
    .profile = no_profile,
    .classify = no_classify,
    .offer = no_offer,
    .start = no_start,
    .poll_fd = no_fd,
    .dispatch = no_dispatch,
    .close_run = no_close_run,
    .close = count_close,
};

static void test_new(void)
{
    struct bv_error error = { 0 };
    struct bv_backend *backend = NULL;
    static const char *const bad_ids[] = { "", "One", "a-b", "seventeen_letters", "a b", NULL };
    for (size_t i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++) {
        struct bv_backend_ops ops = whole;
        ops.id = bad_ids[i];
        tap_ok(bv_backend_new(&ops, NULL, &backend, NULL) == BV_E_INVALID && !backend,
               "id '%s' is refused", bad_ids[i] ? bad_ids[i] : "(none)");
    }
    struct bv_backend_ops ops = whole;
    ops.abi_version = BV_BACKEND_ABI + 1;
    tap_ok(bv_backend_new(&ops, NULL, &backend, &error) == BV_E_INVALID && error.text[0],
           "another interface version is refused: %s", error.text);
    ops = whole;
    ops.dispatch = NULL;
    tap_ok(bv_backend_new(&ops, NULL, &backend, NULL) == BV_E_INVALID,
           "a table with a hole is refused");
    tap_ok(bv_backend_new(NULL, NULL, &backend, NULL) == BV_E_INVALID &&
               bv_backend_new(&whole, NULL, NULL, NULL) == BV_E_INVALID,
           "nothing is refused as well");
    tap_ok(closed == 0, "a context that was not taken over is not closed");
    tap_ok(bv_backend_new(&whole, NULL, &backend, NULL) == BV_OK, "a whole table is taken");
    tap_text(bv_backend_id(backend), "one", "its id");
    bv_backend_free(backend);
    tap_ok(closed == 1, "freeing closes the context once");
    bv_backend_free(NULL);
}

static void test_registry(void)
{
    struct bv_registry *registry = NULL;
    struct bv_backend *one = NULL, *again = NULL, *two = NULL;
    struct bv_backend_ops other = whole;
    other.id = "two";
    struct bv_error error = { 0 };
    closed = 0;
    tap_ok(bv_registry_new(&registry, NULL) == BV_OK && bv_registry_find(registry, "one") == NULL,
           "an empty registry");
    tap_ok(bv_backend_new(&whole, NULL, &one, NULL) == BV_OK &&
               bv_backend_new(&whole, NULL, &again, NULL) == BV_OK &&
               bv_backend_new(&other, NULL, &two, NULL) == BV_OK,
           "three backends");
    tap_ok(bv_registry_add(registry, one, NULL) == BV_OK &&
               bv_registry_add(registry, two, NULL) == BV_OK,
           "two are added");
    tap_ok(bv_registry_add(registry, again, &error) == BV_E_INVALID,
           "an id that is taken is refused: %s", error.text);
    tap_ok(bv_registry_find(registry, "one") == one && bv_registry_find(registry, "two") == two,
           "both are found");
    tap_ok(!bv_registry_find(registry, "three") && !bv_registry_find(registry, "") &&
               !bv_registry_find(registry, NULL),
           "no other is");
    tap_ok(bv_registry_add(NULL, one, NULL) == BV_E_INVALID &&
               bv_registry_add(registry, NULL, NULL) == BV_E_INVALID &&
               bv_registry_new(NULL, NULL) == BV_E_INVALID,
           "missing arguments are refused");
    bv_backend_free(again);
    bv_registry_free(registry);
    tap_ok(closed == 3, "each is closed once");
    bv_registry_free(NULL);
}

int main(void)
{
    test_new();
    test_registry();
    return tap_done();
}
