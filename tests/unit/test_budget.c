/* tests/unit/test_budget.c - the table of derived minimums, and each failure of one dimension in its order. */
#include "contract/budget.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;

static const struct bv_root readable[] = { { "/a", BV_ACCESS_READ, false, true } },
                            writable[] = { { "/a", BV_ACCESS_WRITE, false, true } };
static const struct bv_expose exposed[] = { { "/a", "/b", BV_ACCESS_READ } },
                              exposed_rw[] = { { "/a", "/b", BV_ACCESS_READ_WRITE } };
static const int32_t fds[] = { 3, 4 };

/* CONTRACT.md 5: launch => 1 process, 3 handles, > 0 wall, cpu and resident; the rest by what is asked. */
static const struct {
    const char *name;
    struct bv_intent intent;
    uint64_t minimum[BV_DIMENSION_COUNT];
} minimums[] = {
    { "nothing launched",
      { .launch = false,
        .temp_root = true,
        .network = BV_NETWORK_ALLOW_ALL,
        .fds = fds,
        .fd_count = 2 },
      { 0 } },
    { "a bare launch", { .launch = true }, { 1, 1, 1, 1, 3, 0, 0 } },
    { "stdout captured",
      { .launch = true, .capture = { true, false, false } },
      { 1, 1, 1, 1, 4, 0, 0 } },
    { "three streams captured",
      { .launch = true, .capture = { true, true, true } },
      { 1, 1, 1, 1, 6, 0, 0 } },
    { "two kept descriptors",
      { .launch = true, .fds = fds, .fd_count = 2 },
      { 1, 1, 1, 1, 5, 0, 0 } },
    { "a temp root", { .launch = true, .temp_root = true }, { 1, 1, 1, 1, 3, 1, 0 } },
    { "a read-only root",
      { .launch = true, .roots = readable, .root_count = 1 },
      { 1, 1, 1, 1, 3, 0, 0 } },
    { "a writable root",
      { .launch = true, .roots = writable, .root_count = 1 },
      { 1, 1, 1, 1, 3, 1, 0 } },
    { "staging", { .launch = true, .staged = true }, { 1, 1, 1, 1, 3, 1, 0 } },
    { "an exposed path",
      { .launch = true, .exposes = exposed, .expose_count = 1 },
      { 1, 1, 1, 1, 3, 0, 0 } },
    { "a writable exposed path",
      { .launch = true, .exposes = exposed_rw, .expose_count = 1 },
      { 1, 1, 1, 1, 3, 1, 0 } },
    { "threads", { .launch = true, .spawn = BV_SPAWN_ALLOW_THREADS }, { 1, 1, 1, 2, 3, 0, 0 } },
    { "descendants",
      { .launch = true, .spawn = BV_SPAWN_ALLOW_DESCENDANTS },
      { 1, 1, 1, 2, 3, 0, 0 } },
    { "an allow list",
      { .launch = true, .network = BV_NETWORK_ALLOW_LIST },
      { 1, 1, 1, 1, 3, 0, 1 } },
    { "any network", { .launch = true, .network = BV_NETWORK_ALLOW_ALL }, { 1, 1, 1, 1, 3, 0, 1 } },
};

static void test_minimums(void)
{
    for (size_t i = 0; i < BV_COUNT(minimums); i++) {
        bool good = true;
        for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
            char reason[160];
            uint64_t minimum = bv_budget_minimum(&minimums[i].intent, (enum bv_dimension)d, reason,
                                                 sizeof(reason));
            good = good && minimum == minimums[i].minimum[d] && (minimum == 0 || reason[0]) &&
                   minimum == bv_budget_minimum(&minimums[i].intent, (enum bv_dimension)d, NULL, 0);
        }
        tap_ok(good, "minimums of %s", minimums[i].name);
    }
}

/* Expects budget_refused with count items, the first about a dimension and with a text in its why. why NULL: admitted. */
static void check(const struct request *request, size_t count, enum bv_dimension first,
                  const char *why, const char *name)
{
    struct answer answer = fake_admit(&fake, request);
    if (!why) {
        tap_ok(answer.status == BV_OK, "%s: admitted (%s)", name,
               answer.refusal ? bv_refusal_why(answer.refusal, 0) : answer.error.text);
        answer_done(&answer);
        return;
    }
    bool good = answer.status == BV_E_REFUSED &&
                bv_refusal_reason(answer.refusal) == BV_REFUSED_BUDGET_REFUSED;
    tap_ok(good, "%s: budget_refused", name);
    if (good) {
        tap_ok(bv_refusal_count(answer.refusal) == count, "%s: %zu items, got %zu", name, count,
               bv_refusal_count(answer.refusal));
        tap_text(bv_refusal_what(answer.refusal, 0), bv_dimension_name(first),
                 "%s: first in canonical order", name);
        tap_ok(strstr(bv_refusal_why(answer.refusal, 0), why) != NULL, "%s: why: %s", name,
               bv_refusal_why(answer.refusal, 0));
        tap_ok(bv_refusal_remedy(answer.refusal, 0)[0], "%s: remedy: %s", name,
               bv_refusal_remedy(answer.refusal, 0));
    }
    answer_done(&answer);
}

static void test_minimum_step(void)
{
    static struct request request;
    fake_init(&fake);
    request_init(&request);
    request.spec.budgets[BV_HANDLE_COUNT].limit = 5; /* 3 + 2 captured */
    check(&request, 0, BV_HANDLE_COUNT, NULL, "exactly the minimum");
    request.spec.budgets[BV_HANDLE_COUNT].limit = 4;
    check(&request, 1, BV_HANDLE_COUNT,
          "the limit 4 is below the 5 that 3 standard streams, 2 captured streams", "one too few");
    request.spec.budgets[BV_WALL_MICROS].limit = 0;
    request.spec.budgets[BV_RESIDENT_BYTES].limit = 0;
    fake.best[BV_REQ_LAUNCH_WORKLOAD].enforcement = BV_UNSUPPORTED;
    fake.profiled = fake.classified = fake.offered = 0;
    check(&request, 3, BV_WALL_MICROS,
          "the limit 0 is below the 1 that launching the workload needs",
          "every dimension is named");
    tap_ok(fake.profiled + fake.classified + fake.offered == 0, "and no machine was asked");
}

/* The failures of one dimension in the order in which they are named: mending one shows the next. */
static void test_order(void)
{
    static struct request request;
    struct bv_offer *offer = &fake.offer[BV_STORAGE_BYTES];
    struct bv_budget_request *storage = &request.spec.budgets[BV_STORAGE_BYTES];
    fake_init(&fake);
    request_init(&request);
    *offer = (struct bv_offer){ .can_bound = false,
                                .why = "a live root without quota",
                                .remedy = "--stage",
                                .floor = 4096,
                                .available = 1u << 30,
                                .mechanism = "fake:storage",
                                .max_overshoot = 1 };
    *storage = (struct bv_budget_request){ 1, BV_GUARANTEE_ENFORCED, BV_CLAIM_RESOURCE_USAGE };
    check(&request, 1, BV_STORAGE_BYTES, "a live root without quota", "cannot be bound");
    offer->can_bound = true;
    check(&request, 1, BV_STORAGE_BYTES, "below the floor of 4096", "below the floor");
    storage->limit = 2u << 30;
    check(&request, 1, BV_STORAGE_BYTES, "above the 1073741824 that fake:storage can count to",
          "above what is counted");
    storage->limit = 4096;
    check(&request, 1, BV_STORAGE_BYTES,
          "enforced is required, fake:storage gives mediated: a live root", "the guarantee");
    offer->guarantee = BV_GUARANTEE_ENFORCED;
    check(&request, 1, BV_STORAGE_BYTES, "would not carry resource_usage", "the evidence");
    offer->evidence = BV_CLAIM_RESOURCE_USAGE;
    check(&request, 0, BV_STORAGE_BYTES, NULL, "all mended");
    offer->evidence = 0;
    storage->evidence = BV_CLAIM_TERMINAL_OUTCOME;
    check(&request, 0, BV_STORAGE_BYTES, NULL, "a claim of the whole report will do");
}

static void test_special(void)
{
    static struct request request;
    fake_init(&fake);
    request_init(&request);
    fake.offer[BV_CPU_MICROS].can_bound = false;
    request.spec.budgets[BV_CPU_MICROS].limit = BV_UNLIMITED;
    check(&request, 0, BV_CPU_MICROS, NULL, "unlimited needs no bound");
    request.spec.budgets[BV_CPU_MICROS].evidence = BV_CLAIM_RESOURCE_USAGE;
    check(&request, 0, BV_CPU_MICROS, NULL, "and may ask for evidence");
    fake.offer[BV_CPU_MICROS].evidence = 0;
    check(&request, 1, BV_CPU_MICROS, "would not carry resource_usage", "which it may not get");
    fake_init(&fake);
    request_init(&request);
    fake.offer[BV_NETWORK_BYTES] =
        (struct bv_offer){ .structural = true, .mechanism = "no network at all" };
    request.spec.budgets[BV_NETWORK_BYTES] =
        (struct bv_budget_request){ 0, BV_GUARANTEE_ENFORCED, 0 };
    check(&request, 0, BV_NETWORK_BYTES, NULL, "a structural figure holds any limit, enforced");
    fake_init(&fake);
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        fake.offer[d] = (struct bv_offer){ .why = "no controller" };
    }
    request_init(&request);
    check(&request, 7, BV_WALL_MICROS, "no controller", "all seven in canonical order");
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    request.spec.require_evidence = 0;
    fake_init(&fake);
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        request.spec.budgets[d].limit = 0;
    }
    request.spec.budgets[BV_RESIDENT_BYTES].limit = BV_UNLIMITED;
    check(&request, 0, BV_WALL_MICROS, NULL, "nothing launched needs nothing");
}

int main(void)
{
    test_minimums();
    test_minimum_step();
    test_order();
    test_special();
    return tap_done();
}
