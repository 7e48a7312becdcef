/* examples/own_backend.c - a backend of one's own: it counts the bytes of its workload's file instead of running it.
 *
 * cc own_backend.c $(pkg-config --cflags --libs bvisor) && ./a.out
 * It shows the three duties of a backend: answer every requirement truthfully (what is withheld because nothing runs is held by
 * construction; what it cannot do is unsupported, and the planner refuses it), say what it gives for every budget, and report
 * only what it saw. The program runs a spec that is admitted and one that must be refused. */
#include <bvisor/bvisor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct count_run {
    struct bv_observation *observation;
    int file; /* the runner's */
    int pipe[2];
    bool done;
};

static enum bv_status count_probe(void *context, struct bv_snapshot *facts, struct bv_error *error)
{
    (void)context;
    return bv_snapshot_set(facts, "counter", "read", error);
}

static void judge(enum bv_requirement_kind kind, struct bv_verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict); /* zero is unsupported */
    switch (kind) {
    case BV_REQ_FILESYSTEM:
    case BV_REQ_NETWORK_DENY_ALL:
    case BV_REQ_SPAWN_DENY_NEW_TASKS:
    case BV_REQ_ENVIRONMENT:
    case BV_REQ_INHERITED_FDS_NONE:
    case BV_REQ_LAUNCH_WORKLOAD:
        verdict->enforcement = BV_ENFORCED;
        verdict->evidence = BV_CLAIM_TERMINAL_OUTCOME;
        (void)snprintf(verdict->mechanism, sizeof verdict->mechanism, "count:nothing_executes");
        break;
    case BV_REQ_NETWORK_ALLOW_LIST:
    case BV_REQ_NETWORK_ALLOW_ALL:
    case BV_REQ_SPAWN_ALLOW_THREADS:
    case BV_REQ_SPAWN_ALLOW_DESCENDANTS:
    case BV_REQ_INHERITED_FDS_ONLY:
    case BV_REQ_CAPTURE_STREAMS:
    case BV_REQ_TEMP_ROOT:
    case BV_REQ_EXPOSE_PATH:
    case BV_REQ_COMMIT_ARTIFACT:
    case BV_REQ_DISCARD_ARTIFACT:
    case BV_REQ_KILL:
    case BV_REQ_LIST_OUTPUTS:
        (void)snprintf(verdict->why, sizeof verdict->why, "this backend only counts bytes");
        (void)snprintf(verdict->remedy, sizeof verdict->remedy, "use another backend");
        break;
    }
}

static void count_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    (void)context;
    profile->facts = facts;
    for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        judge((enum bv_requirement_kind)kind, &profile->ceiling[kind]);
    }
}

static void count_classify(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                           const struct bv_requirement *requirement, struct bv_verdict *ret_verdict)
{
    (void)context, (void)profile, (void)intent;
    judge(requirement->kind, ret_verdict);
}

static void count_offer(void *context, const struct bv_profile *profile, const struct bv_intent *intent, enum bv_dimension dimension,
                        struct bv_offer *ret_offer)
{
    (void)context, (void)profile, (void)intent, (void)dimension;
    memset(ret_offer, 0, sizeof *ret_offer); /* no finite limit can be held: only "unlimited" is admitted */
    (void)snprintf(ret_offer->mechanism, sizeof ret_offer->mechanism, "count:none");
    (void)snprintf(ret_offer->why, sizeof ret_offer->why, "this backend limits nothing");
}

static void count_close_run(void *argument)
{
    struct count_run *run = argument;
    if (run) {
        (void)close(run->pipe[0]);
        (void)close(run->pipe[1]);
        free(run);
    }
}

static enum bv_status count_start(void *context, const struct bv_execution *execution, void **ret_run, struct bv_error *error)
{
    struct count_run *run = calloc(1, sizeof *run);
    (void)context, (void)error;
    if (!run) {
        return BV_E_NOMEM;
    }
    if (pipe(run->pipe) != 0) {
        free(run);
        return BV_E_SYS;
    }
    run->observation = execution->observation;
    run->file = execution->workload_fd;
    if (write(run->pipe[1], "x", 1) != 1) { /* there is something to do at once */
        count_close_run(run);
        return BV_E_SYS;
    }
    *ret_run = run;
    return BV_OK;
}

static int count_poll_fd(void *run)
{
    return ((struct count_run *)run)->pipe[0];
}

static enum bv_status count_dispatch(void *argument, bool *ret_done, struct bv_error *error)
{
    struct count_run *run = argument;
    const struct bv_exit exit = { .kind = BV_EXIT_CODE, .value = 0 };
    char block[65536];
    long long total = 0;
    ssize_t got;
    bool fine = true;
    (void)error;
    while (!run->done && (got = pread(run->file, block, sizeof block, (off_t)total)) > 0) {
        total += got;
    }
    if (!run->done) {
        fine = bv_observe_fact(run->observation, "bytes_counted", "%lld", total) &&
               bv_observe_outcome(run->observation, BV_OUTCOME_COMPLETED, exit, -1, "counted");
        for (int d = 0; d < BV_DIMENSION_COUNT; d++) {
            /* Never a made-up figure: not measured is NULL, with the reason. */
            fine = bv_observe_usage(run->observation, (enum bv_dimension)d, NULL, false, "count: nothing ran") && fine;
        }
    }
    run->done = true;
    *ret_done = true;
    return fine ? BV_OK : BV_E_NOMEM;
}

static void count_close(void *context)
{
    (void)context;
}

static const struct bv_backend_ops count_ops = {
    .abi_version = BV_BACKEND_ABI, .id = "count", .probe = count_probe, .profile = count_profile, .classify = count_classify,
    .offer = count_offer, .start = count_start, .poll_fd = count_poll_fd, .dispatch = count_dispatch,
    .close_run = count_close_run, .close = count_close,
};

/* Runs /usr/bin/true with a network policy; the status of the call, and on BV_OK the report's text to be freed by the caller. */
static enum bv_status count(struct bv_backend *backend, enum bv_network_policy policy, char **ret_text, struct bv_error *error)
{
    static const char *const usr[] = { "/usr" }; /* the workload's interpreter must be inside a root */
    const struct bv_capability capabilities[] = {
        { .kind = BV_CAP_FILESYSTEM, .u.filesystem = { .execute = true, .recursive = true, .roots = usr, .root_count = 1 } },
        { .kind = BV_CAP_NETWORK, .u.network = { .policy = policy } },
    };
    const struct bv_control launch = { .kind = BV_CTL_LAUNCH_WORKLOAD };
    struct bv_spec spec = { .workload = { .path = "/usr/bin/true" }, .capabilities = capabilities, .capability_count = 2,
                            .controls = &launch, .control_count = 1 };
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    for (int d = 0; d < BV_DIMENSION_COUNT; d++) {
        spec.budgets[d].limit = BV_UNLIMITED;
    }
    enum bv_status status = bv_run_confined(&spec, backend, &options, &report, &refusal, error);
    for (size_t i = 0; status == BV_E_REFUSED && i < bv_refusal_count(refusal); i++) {
        printf("refused: %s: %s\n", bv_refusal_what(refusal, i), bv_refusal_why(refusal, i));
    }
    if (status == BV_OK) {
        status = bv_report_json(report, ret_text, error);
    }
    bv_report_free(report);
    bv_refusal_free(refusal);
    return status;
}

int main(void)
{
    struct bv_error error = { 0 };
    struct bv_backend *backend = NULL;
    char *text = NULL;
    if (bv_backend_new(&count_ops, NULL, &backend, &error) != BV_OK ||
        count(backend, BV_NETWORK_DENY_ALL, &text, &error) != BV_OK) {
        printf("%s: %s\n", error.place, error.text);
        bv_backend_free(backend);
        return 1;
    }
    printf("%s\n", text);
    bool counted = strstr(text, "bytes_counted") && bv_report_verify(text, strlen(text), &error) == BV_OK;
    bv_free(text);
    bool refused = count(backend, BV_NETWORK_ALLOW_ALL, &text, &error) == BV_E_REFUSED;
    bv_backend_free(backend);
    return counted && refused ? 0 : 1;
}
