/* backend/inert/inert.c - the backend that confines nothing and says so.
 *
 * It starts no process, so it can hold no denial, no grant and no limit: every requirement that
 * withholds or provides something is unsupported with that reason. What asks for nothing to be
 * withheld (network_allow_all, spawn_allow_descendants) holds by construction. A spec that
 * launches nothing is admitted and completes without effect: this shows that the whole loop
 * works without an operating system below it. Owns nothing; makes no system call but for one
 * descriptor that is readable at once. */
#include <bvisor/backend.h>

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "sys/sys.h"

#define NOTHING        "the inert backend confines nothing"
#define NOTHING_REMEDY "use a backend that does: linux"

struct inert_run {
    struct bv_observation *observation;
    int event_fd;
    bool done;
};

static enum bv_status inert_probe(void *context, struct bv_snapshot *facts, struct bv_error *error)
{
    (void)context;
    return bv_snapshot_set(facts, "confinement", "none", error);
}

/* Whether a kind of requirement asks for nothing to be withheld or provided. */
static bool asks_for_nothing(enum bv_requirement_kind kind)
{
    switch (kind) {
    case BV_REQ_NETWORK_ALLOW_ALL:
    case BV_REQ_SPAWN_ALLOW_DESCENDANTS: return true;
    case BV_REQ_FILESYSTEM:
    case BV_REQ_NETWORK_DENY_ALL:
    case BV_REQ_NETWORK_ALLOW_LIST:
    case BV_REQ_SPAWN_DENY_NEW_TASKS:
    case BV_REQ_SPAWN_ALLOW_THREADS:
    case BV_REQ_ENVIRONMENT:
    case BV_REQ_INHERITED_FDS_NONE:
    case BV_REQ_INHERITED_FDS_ONLY:
    case BV_REQ_LAUNCH_WORKLOAD:
    case BV_REQ_CAPTURE_STREAMS:
    case BV_REQ_TEMP_ROOT:
    case BV_REQ_EXPOSE_PATH:
    case BV_REQ_COMMIT_ARTIFACT:
    case BV_REQ_DISCARD_ARTIFACT:
    case BV_REQ_KILL:
    case BV_REQ_LIST_OUTPUTS: return false;
    }
    BV_UNREACHABLE();
}

static void judge(enum bv_requirement_kind kind, struct bv_verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    if (asks_for_nothing(kind)) {
        verdict->enforcement = BV_ENFORCED;
        verdict->evidence = BV_CLAIM_TERMINAL_OUTCOME;
        bv_copy_text(verdict->mechanism, sizeof(verdict->mechanism), "inert:nothing_withheld");
        return;
    }
    verdict->enforcement = BV_UNSUPPORTED;
    bv_copy_text(verdict->why, sizeof(verdict->why), NOTHING);
    bv_copy_text(verdict->remedy, sizeof(verdict->remedy), NOTHING_REMEDY);
}

static void inert_profile(void *context, const struct bv_snapshot *facts,
                          struct bv_profile *profile)
{
    (void)context;
    profile->facts = facts;
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        judge((enum bv_requirement_kind)kind, &profile->ceiling[kind]);
    }
}

static void inert_classify(void *context, const struct bv_profile *profile,
                           const struct bv_intent *intent, const struct bv_requirement *requirement,
                           struct bv_verdict *ret_verdict)
{
    (void)context;
    (void)profile;
    (void)intent;
    judge(requirement->kind, ret_verdict);
}

static void inert_offer(void *context, const struct bv_profile *profile,
                        const struct bv_intent *intent, enum bv_dimension dimension,
                        struct bv_offer *ret_offer)
{
    (void)context;
    (void)profile;
    (void)intent;
    (void)dimension;
    memset(ret_offer, 0, sizeof(*ret_offer));
    ret_offer->can_bound = false;
    ret_offer->guarantee = BV_GUARANTEE_MEDIATED;
    bv_copy_text(ret_offer->mechanism, sizeof(ret_offer->mechanism), "inert:none");
    bv_copy_text(ret_offer->why, sizeof(ret_offer->why), NOTHING);
    bv_copy_text(ret_offer->remedy, sizeof(ret_offer->remedy),
                 "ask for \"unlimited\", or " NOTHING_REMEDY);
}

static void inert_close_run(void *run)
{
    struct inert_run *inert = run;
    if (inert) {
        bv_cleanup_fd(&inert->event_fd);
        free(inert);
    }
}

static enum bv_status inert_start(void *context, const struct bv_execution *execution,
                                  void **ret_run, struct bv_error *error)
{
    (void)context;
    BV_ASSERT(
        !execution->intent->launch); /* launch_workload is unsupported: no such plan can exist */
    struct inert_run *run = calloc(1, sizeof(*run));
    if (!run) {
        return bv_fail_nomem(error);
    }
    run->observation = execution->observation;
    run->event_fd = bv_sys_host.event_new();
    if (run->event_fd < 0) {
        enum bv_status status = bv_fail_sys(error, "start", run->event_fd, "making an event");
        inert_close_run(run);
        return status;
    }
    bv_sys_host.event_raise(
        run->event_fd); /* there is something to do at once: to say that it is over */
    *ret_run = run;
    return BV_OK;
}

static int inert_poll_fd(void *run)
{
    const struct inert_run *inert = run;
    return inert->event_fd;
}

static enum bv_status inert_dispatch(void *run, bool *ret_done, struct bv_error *error)
{
    struct inert_run *inert = run;
    const struct bv_exit nothing = { .kind = BV_EXIT_NONE };
    bool ok = inert->done || bv_observe_outcome(inert->observation, BV_OUTCOME_COMPLETED, nothing,
                                                -1, "nothing was asked to run");
    for (unsigned d = 0; d < BV_DIMENSION_COUNT && !inert->done; d++) {
        ok = bv_observe_usage(inert->observation, (enum bv_dimension)d, NULL, false, "%s",
                              "inert: nothing ran, nothing was measured") &&
             ok;
    }
    inert->done = true;
    if (!ok) {
        return bv_fail_nomem(error);
    }
    *ret_done = true;
    return BV_OK;
}

static void inert_close(void *context)
{
    (void)context;
}

static const struct bv_backend_ops inert_ops = {
    .abi_version = BV_BACKEND_ABI,
    .id = "inert",
    .probe = inert_probe,
    .profile = inert_profile,
    .classify = inert_classify,
    .offer = inert_offer,
    .start = inert_start,
    .poll_fd = inert_poll_fd,
    .dispatch = inert_dispatch,
    .close_run = inert_close_run,
    .close = inert_close,
};

enum bv_status bv_backend_inert(struct bv_backend **ret_backend, struct bv_error *error)
{
    return bv_backend_new(&inert_ops, NULL, ret_backend, error);
}
