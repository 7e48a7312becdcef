/* tests/unit/test_policy.c - contradictions in a request: each is found, all are named, nothing else is refused. */
#include "contract/admission.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;

/* Expects invalid_policy with count items, of which the last is about what. */
static void refused(const struct request *request, size_t count, const char *what, const char *name)
{
    struct answer answer = fake_admit(&fake, request);
    bool good = answer.status == BV_E_REFUSED && !answer.plan &&
                bv_refusal_reason(answer.refusal) == BV_REFUSED_INVALID_POLICY;
    tap_ok(good, "%s: invalid_policy (%s)", name, bv_status_name(answer.status));
    if (good) {
        tap_ok(bv_refusal_count(answer.refusal) == count, "%s: %zu items, got %zu", name, count,
               bv_refusal_count(answer.refusal));
        tap_text(bv_refusal_what(answer.refusal, count - 1), what, "%s: names it", name);
        tap_ok(bv_refusal_why(answer.refusal, 0)[0] && bv_refusal_remedy(answer.refusal, 0)[0],
               "%s: why and remedy", name);
    }
    answer_done(&answer);
}

static void admitted(const struct request *request, const char *name)
{
    struct answer answer = fake_admit(&fake, request);
    tap_ok(answer.status == BV_OK, "%s: admitted (%s)", name,
           answer.refusal ? bv_refusal_why(answer.refusal, 0) : answer.error.text);
    answer_done(&answer);
}

static void test_repeated(void)
{
    static struct request request;
    static const char *const usr[] = { "/usr" }, *const srv[] = { "/srv" };
    static const struct bv_capability once[] = {
        { .kind = BV_CAP_NETWORK },
        { .kind = BV_CAP_CHILD_SPAWN },
        { .kind = BV_CAP_ENVIRONMENT },
        { .kind = BV_CAP_INHERITED_FDS },
    };
    static const char *const names[] = { "network_deny_all", "spawn_deny_new_tasks", "environment",
                                         "inherited_fds_none" };
    for (size_t i = 0; i < BV_COUNT(once); i++) {
        request_init(&request);
        request_capability(&request, once[i]);
        admitted(&request, names[i]);
        request_capability(&request, once[i]);
        refused(&request, 1, names[i], "a capability twice");
    }
    request_capability(&request, once[3]);
    request_capability(&request, once[0]);
    request_capability(&request, once[0]);
    refused(&request, 3, "network_deny_all", "every repetition is named");
    request_init(&request);
    request_grant(&request, usr, BV_ACCESS_READ, true);
    request_grant(&request, usr, BV_ACCESS_READ, false);
    request_grant(&request, srv, BV_ACCESS_READ, false);
    admitted(&request, "filesystem grants repeat");
    request_control(&request, (struct bv_control){ .kind = BV_CTL_KILL });
    request_control(&request, (struct bv_control){ .kind = BV_CTL_LAUNCH_WORKLOAD });
    refused(&request, 2, "launch_workload", "controls twice");
}

static void test_contradictions(void)
{
    static struct request request;
    request_init(&request);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT });
    admitted(&request, "commit without a writable root");
    request_control(&request, (struct bv_control){ .kind = BV_CTL_DISCARD_ARTIFACT });
    refused(&request, 1, "discard_artifact", "commit and discard");
    request_init(&request);
    request.spec.budgets[BV_CPU_MICROS] =
        (struct bv_budget_request){ BV_UNLIMITED, BV_GUARANTEE_ENFORCED, 0 };
    request.spec.budgets[BV_STORAGE_BYTES] =
        (struct bv_budget_request){ BV_UNLIMITED, BV_GUARANTEE_ENFORCED, 0 };
    refused(&request, 2, "storage_bytes", "unlimited and enforced");
}

static void expose(const char *dest, const char *other, bool temp_root, bool good, const char *name)
{
    static struct request request;
    static const char *const root[] = { "/srv/job" };
    request_init(&request);
    request_grant(&request, root, BV_ACCESS_READ, false);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                                   .u.expose = { "/data", dest, BV_ACCESS_READ } });
    if (other) {
        request_control(&request,
                        (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                             .u.expose = { "/data", other, BV_ACCESS_READ } });
    }
    if (temp_root) {
        request_control(&request, (struct bv_control){ .kind = BV_CTL_TEMP_ROOT });
    }
    if (good) {
        admitted(&request, name);
    } else {
        refused(&request, 1, "expose_path", name);
    }
}

static void test_places(void)
{
    static struct request request;
    static const char *const tmp[] = { "/tmp" }, *const below[] = { "/tmp/job" };
    expose("/in", NULL, false, true, "a place of its own");
    expose("/srv/job", NULL, false, false, "at a root");
    expose("/srv/job/in", NULL, false, false, "in a root");
    expose("/srv", NULL, false, false, "above a root");
    expose("/srv/job2", NULL, false, true, "beside a root");
    expose("/in", "/in", false, false, "a destination twice");
    expose("/in/deep", "/in", false, false, "one in the other");
    expose("/in", "/in2", false, true, "one beside the other");
    expose("/tmp", NULL, true, false, "at the temp root");
    expose("/tmp/in", NULL, true, true, "in the temp root");
    expose("/tmp", NULL, false, true, "at /tmp without a temp root");
    request_init(&request);
    request_grant(&request, tmp, BV_ACCESS_READ, false);
    admitted(&request, "/tmp granted");
    request_control(&request, (struct bv_control){ .kind = BV_CTL_TEMP_ROOT });
    refused(&request, 1, "temp_root", "/tmp granted and private");
    request_init(&request);
    request_grant(&request, below, BV_ACCESS_READ, false);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_TEMP_ROOT });
    admitted(&request, "a grant below a private /tmp");
}

int main(void)
{
    fake_init(&fake);
    test_repeated();
    test_contradictions();
    test_places();
    return tap_done();
}
