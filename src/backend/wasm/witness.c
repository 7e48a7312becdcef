/* backend/wasm/witness.c - says what a guest's run showed: facts, captured totals, seven figures, one outcome.
 *
 * Called once, when the interpreter has stopped and everything of the guest is given back. Every figure is a count of the
 * engine's or of its outside, so each is exact; a fact is stated only of a guest that was started. */
#include "backend/wasm/guest.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"

static const struct bv_intent *intent_of(const struct guest_run *run)
{
    return run->execution->intent;
}

/* ---- the seven figures ---- */

static bool caused(const struct guest_run *run, enum bv_dimension dimension)
{
    return run->verdict.cause == (int)dimension;
}

static void tell(const struct guest_run *run, enum bv_dimension dimension, uint64_t value,
                 bool refused, const char *source)
{
    if (value >
        BV_JSON_MAX_INTEGER) { /* no such figure fits in a document; none is reached in a life time */
        value = BV_JSON_MAX_INTEGER;
    }
    (void)bv_observe_usage(run->execution->observation, dimension, &value,
                           refused || caused(run, dimension), "%s", source);
}

static void observe_usage(struct guest_run *run)
{
    const uint64_t per_micro = run->execution->profile->word[GUEST_FUEL_PER_MICRO];
    char text[200];
    tell(run, BV_WALL_MICROS, (run->end_ns - run->begin_ns + 999) / 1000, false,
         "CLOCK_MONOTONIC, first instruction to the last, exact");
    (void)snprintf(text, sizeof text, "fuel, exact: %llu units, %llu of them a microsecond",
                   (unsigned long long)run->fuel, (unsigned long long)per_micro);
    tell(run, BV_CPU_MICROS, run->fuel / per_micro + (run->fuel % per_micro != 0), false, text);
    (void)snprintf(text, sizeof text,
                   "engine's allocator, exact peak: memories, tables, stack and state, with %llu "
                   "bytes of translated code",
                   (unsigned long long)run->module_bytes);
    tell(run, BV_RESIDENT_BYTES, run->budget.peak_bytes, run->budget.refused > 0, text);
    tell(run, BV_PROCESS_COUNT, 1, false, "structural: no instruction makes a task");
    (void)snprintf(text, sizeof text, "WASI descriptor table, exact peak; it holds %u at most",
                   BV_WASI_HANDLES_CAP);
    tell(run, BV_HANDLE_COUNT, run->usage.handles_peak, run->usage.handles_refused > 0, text);
    tell(run, BV_STORAGE_BYTES, run->usage.storage_peak_bytes, run->usage.storage_refused > 0,
         intent_of(run)->staged && guest_writes(intent_of(run))
             ? "growth of files and links in the quarantine, copies of what was changed included, exact peak"
         : guest_writes(intent_of(run))
             ? "growth of files and links by the guest's own calls, exact peak"
             : "structural: nothing is writable");
    tell(run, BV_NETWORK_BYTES, 0, false, "structural: a guest has no socket");
    (void)bv_observe_fact(run->execution->observation, "budget_witnessed", "%d of %d measured",
                          BV_DIMENSION_COUNT, BV_DIMENSION_COUNT);
}

static void observe_no_usage(struct guest_run *run)
{
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        (void)bv_observe_usage(run->execution->observation, (enum bv_dimension)i, NULL,
                               caused(run, (enum bv_dimension)i), "the guest never ran");
    }
}

/* ---- facts ---- */

static void observe_places(struct guest_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    const struct bv_intent *intent = intent_of(run);
    (void)bv_observe_fact(observation, "filesystem_confined",
                          "%zu roots, WASI preopens resolved beneath open directories",
                          intent->root_count);
    if (intent->staged) {
        (void)bv_observe_fact(observation, "artifact_staged", "%zu writable trees, copy on write below WASI",
                              run->execution->staged_count);
    }
    if (intent->temp_root) {
        (void)bv_observe_fact(observation, "temp_root_created", GUEST_TEMP_NAME " size=%llu",
                              (unsigned long long)intent->temp_bytes);
    }
    if (run->temp_removed) {
        (void)bv_observe_fact(observation, "temp_root_removed",
                              GUEST_TEMP_NAME " with its directory %s", run->temp.name);
    } else if (run->temp_error < 0) {
        (void)bv_observe_finding(observation, "temp_root_not_removed", "%s: %s", run->temp.name,
                                 strerror(-run->temp_error));
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        const struct bv_expose *expose = &intent->exposes[i];
        (void)bv_observe_fact(observation, "path_exposed", "%.180s at %.180s %s", expose->source,
                              expose->dest,
                              expose->access == BV_ACCESS_READ ? "read" : "read_write");
    }
}

static void observe_descriptors(struct guest_run *run)
{
    const struct bv_intent *intent = intent_of(run);
    struct bv_buf list;
    if (intent->fd_count == 0) {
        (void)bv_observe_fact(run->execution->observation, "inherited_fds_none",
                              "0, 1 and 2 are streams of the supervisor");
        return;
    }
    bv_buf_init(&list, 1024);
    for (size_t i = 0; i < intent->fd_count; i++) {
        (void)bv_buf_format(&list, "%s%d", i == 0 ? "" : ",", intent->fds[i]);
    }
    (void)bv_observe_fact(run->execution->observation, "inherited_fds_only", "%s",
                          list.data ? list.data : "");
    bv_buf_done(&list);
}

/* One fact a function that was called: with the denials these are all that the guest did to its outside. */
static void observe_calls(struct guest_run *run)
{
    char *next = run->calls;
    while (next && *next) {
        char *line = next;
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        (void)bv_observe_fact(run->execution->observation, "host_calls", "%s", line);
    }
}

static void observe_boundary(struct guest_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    (void)bv_observe_fact(observation, "workload_launched", "%.300s",
                          run->execution->identity->path[0] ? run->execution->identity->path
                                                            : "(module bytes)");
    observe_places(run);
    (void)bv_observe_fact(observation, "network_deny_all",
                          "no socket exists, and none was handed in");
    (void)bv_observe_fact(observation, "spawn_confined", "no thread, no process");
    (void)bv_observe_fact(observation, "environment_lowered", "entries=%zu",
                          intent_of(run)->env_count);
    observe_descriptors(run);
    observe_calls(run);
}

static void observe_confinement(struct guest_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    const struct guest_confinement *confinement = &run->confinement;
    if (confinement->state[0]) {
        (void)bv_observe_fact(observation, "process_confined", "%s", confinement->state);
    }
    if (confinement->tried > 0) {
        (void)bv_observe_fact(observation, "canaries", "%u of %u denied", confinement->denied,
                              confinement->tried);
    }
}

static void observe_streams(struct guest_run *run)
{
    static const char *const names[2] = { "stdout", "stderr" };
    struct bv_observation *observation = run->execution->observation;
    for (int i = 0; i < 2; i++) {
        const struct guest_stream *stream = &run->streams.out[i];
        if (stream->capture) {
            (void)bv_observe_stream(observation, i + 1, NULL, 0, stream->total,
                                    stream->total > stream->captured);
            (void)bv_observe_fact(observation, "stream_captured", "%llu %s",
                                  (unsigned long long)stream->captured, names[i]);
        }
        if (stream->target_lost) {
            (void)bv_observe_finding(observation, "stream_target_lost",
                                     "%s: the caller's descriptor took no more bytes: %s", names[i],
                                     strerror(stream->target_errno));
        }
    }
    if (intent_of(run)->capture.in) {
        (void)bv_observe_fact(observation, "stream_captured", "%llu stdin",
                              (unsigned long long)run->usage.stdin_bytes);
    }
}

void guest_witness(struct guest_run *run)
{
    struct bv_observation *observation = run->execution->observation;
    const struct guest_verdict *verdict = &run->verdict;
    if (run->begin_ns == 0) { /* it ended while it was made */
        run->begin_ns = run->end_ns;
    }
    (void)bv_observe_fact(observation, "engine_identity", "%s",
                          bv_snapshot_get(run->execution->profile->facts, GUEST_FACT_ENGINE));
    observe_confinement(run);
    if (run->launched) {
        observe_boundary(run);
        observe_streams(run);
        observe_usage(run);
        (void)bv_observe_fact(observation, "tree_empty",
                              "the interpreter stopped; nothing of a guest is outside it");
    } else {
        observe_no_usage(run);
    }
    if (run->budget.refused > 0) {
        (void)bv_observe_denied(observation, BV_REQ_LAUNCH_WORKLOAD, "growth beyond resident_bytes",
                                run->budget.refused);
    }
    if (verdict->exit.kind == BV_EXIT_TRAP) {
        (void)bv_observe_fact(observation, "workload_exited", "trap %s", verdict->exit.trap);
    } else if (verdict->exit.kind != BV_EXIT_NONE) {
        (void)bv_observe_fact(observation, "workload_exited", "%s %d",
                              verdict->exit.kind == BV_EXIT_CODE ? "code" : "signal",
                              verdict->exit.value);
    }
    (void)bv_observe_outcome(observation, verdict->outcome, verdict->exit, verdict->cause,
                             verdict->detail);
}
