/* backend/wasm/launch.c - from an admitted execution to an instance that is ready to run its first instruction.
 *
 * Order: the module (compiled already, as a rule), the directories by descriptor, the texts, the caller's streams, the guest's
 * world, the instance; last this process confines itself. What the caller's files make impossible ends the run as unsupported
 * when it is dispatched; what this machine does, as an error or a fault. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "sys/sys.h"

void guest_end(struct guest_run *run, enum bv_outcome outcome, int cause, const char *format, ...)
{
    if (run->ended) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->verdict.detail, sizeof run->verdict.detail, format, arguments);
    va_end(arguments);
    run->ended = true;
    run->verdict.outcome = outcome;
    run->verdict.cause = cause;
}

/* ---- directories ---- */

/* The quarantine's directory for what is written to this tree; NULL: nothing was prepared. */
static const char *stage_of(const struct bv_execution *execution, const char *source)
{
    for (size_t i = 0; i < execution->staged_count; i++) {
        if (strcmp(execution->staged[i].root, source) == 0) {
            return execution->staged[i].dir;
        }
    }
    return NULL;
}

/* A writable tree of a staged run: what is written goes to its quarantine. The root of that belongs to this process from here on: once it is
 * confined it can use no other's, and what may be changed is asked of the host's directory each time. */
static void open_stage(struct guest_run *run, size_t index)
{
    const struct guest_place *place = &run->world.places[index];
    const char *dir = stage_of(run->execution, place->source);
    const int stage = dir ? bv_sys_host.open_resolved(dir) : -ENOENT;
    int result = stage;
    if (stage >= 0) {
        run->upper_fds[index] = bv_fd_above_stdio(openat(stage, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC));
        run->work_fds[index] = bv_fd_above_stdio(openat(stage, "work", O_PATH | O_DIRECTORY | O_CLOEXEC));
        result = run->upper_fds[index] < 0 ? run->upper_fds[index] : run->work_fds[index];
        (void)close(stage);
    }
    if (result >= 0 && fchownat(run->upper_fds[index], "", geteuid(), (gid_t)-1, AT_EMPTY_PATH) != 0) {
        result = -errno;
    }
    if (result < 0) {
        guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "%.180s: is to be staged, and its quarantine cannot be opened: %s", place->source,
                  strerror(-result));
    }
}

static void open_places(struct guest_run *run)
{
    struct guest_world *world = &run->world;
    for (size_t i = 0; i < world->place_count && !run->ended; i++) {
        struct guest_place *place = &world->places[i];
        if (!place->source) {
            const int result = guest_temp_make(&run->temp, run->execution->attempt);
            if (result < 0) {
                guest_end(run, BV_OUTCOME_UNSUPPORTED, -1, "the temp root cannot be made: %s",
                          strerror(-result));
                return;
            }
            run->root_fds[i] = fcntl(run->temp.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        } else {
            run->root_fds[i] = bv_sys_host.open_resolved(place->source);
        }
        if (run->root_fds[i] < 0) {
            guest_end(run, BV_OUTCOME_UNSUPPORTED, -1, "%.180s: %s",
                      place->source ? place->source : GUEST_TEMP_NAME,
                      strerror(place->source ? -run->root_fds[i] : errno));
        }
        place->root.fd = run->root_fds[i];
        if (!run->ended && place->source && run->execution->intent->staged && (place->root.access & BV_WASI_WRITE) != 0) {
            open_stage(run, i);
        }
    }
}

/* ---- arguments and environment ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Bytes of all texts but the secrets' own; *ret_secret_bytes are those, names included. */
static size_t text_bytes(const struct bv_execution *execution, size_t *ret_secret_bytes)
{
    const struct bv_intent *intent = execution->intent;
    size_t bytes = 1;
    *ret_secret_bytes = 0;
    for (size_t i = 0; i < intent->env_count; i++) {
        const struct bv_env_entry *entry = &intent->env[i];
        const size_t name = strlen(entry->name) + 2; /* '=' and NUL */
        if (entry->literal) {
            bytes += name + strlen(entry->literal);
        } else {
            *ret_secret_bytes += name + strlen(execution->secret_values[i]);
        }
    }
    return bytes;
}

/* NAME=VALUE in locked memory: the guest may ask for its environment as long as it lives. NULL: it does not fit. */
static const char *keep_secret(struct guest_run *run, const char *name, const char *value)
{
    size_t room = 0;
    const size_t name_size = strlen(name), value_size = strlen(value),
                 size = name_size + 1 + value_size;
    char *tail = bv_secret_store_tail(&run->secrets, &room);
    if (!tail || size > room) {
        return NULL;
    }
    memcpy(tail, name, name_size);
    tail[name_size] = '=';
    memcpy(tail + name_size + 1, value, value_size);
    return bv_secret_store_keep(&run->secrets, size);
}

static enum bv_status fill_env(struct guest_run *run, struct bv_error *error)
{
    const struct bv_execution *execution = run->execution;
    const struct bv_intent *intent = execution->intent;
    size_t secret_bytes;
    const size_t bytes = text_bytes(execution, &secret_bytes);
    char *at = run->texts = malloc(bytes);
    run->env = calloc(intent->env_count + 1, sizeof *run->env);
    if (!run->texts || !run->env) {
        return bv_fail_nomem(error);
    }
    const int opened = secret_bytes > 0 ? bv_secret_store_open(&run->secrets, secret_bytes) : 0;
    if (opened < 0) {
        return bv_fail_sys(error, "environment", opened,
                           "memory for secrets cannot be locked (raise RLIMIT_MEMLOCK)");
    }
    for (size_t i = 0; i < intent->env_count; i++) {
        const struct bv_env_entry *entry = &intent->env[i];
        if (!entry->literal) {
            run->env[i] = keep_secret(run, entry->name, execution->secret_values[i]);
            if (!run->env[i]) {
                return bv_fail(error, BV_E_LIMIT, "environment",
                               "its secrets do not fit in locked memory (raise RLIMIT_MEMLOCK)");
            }
            continue;
        }
        const size_t room = bytes - (size_t)(at - run->texts);
        const int size = snprintf(at, room, "%s=%s", entry->name, entry->literal);
        BV_ASSERT(size > 0 && (size_t)size < room);
        run->env[i] = at;
        at += size + 1;
    }
    return BV_OK;
}

static enum bv_status fill_args(struct guest_run *run, struct bv_error *error)
{
    const struct bv_workload *workload = run->execution->intent->workload;
    run->args = calloc(workload->arg_count + 1, sizeof *run->args);
    if (!run->args) {
        return bv_fail_nomem(error);
    }
    run->args[0] = workload->path ? base_name(workload->path) : "module.wasm";
    for (size_t i = 0; i < workload->arg_count; i++) {
        run->args[i + 1] = workload->args[i];
    }
    return BV_OK;
}

/* ---- streams ---- */

static enum bv_status open_streams(struct guest_run *run, struct bv_error *error)
{
    const struct bv_execution *execution = run->execution;
    const int targets[2] = { execution->stdout_fd, execution->stderr_fd };
    const bool captured[2] = { execution->intent->capture.out, execution->intent->capture.err };
    int result = bv_end_open(&run->input, execution->stdin_fd, false);
    for (int i = 0; i < 2 && result == 0; i++) {
        struct guest_stream *stream = &run->streams.out[i];
        result = bv_end_open(&stream->target, targets[i], true);
        stream->capture = captured[i];
        stream->capture_max = execution->capture_bytes;
    }
    return result < 0 ? bv_fail_sys(error, "streams", result, "taking the caller's streams")
                      : BV_OK;
}

/* ---- the guest's world ---- */

static void denied(void *context, enum bv_wasi_denial kind, const char *text)
{
    const struct guest_run *run = context;
    static const char *const suffix[] = {
        [BV_WASI_DENIED_PATH] = ": leads outside",
        [BV_WASI_DENIED_RIGHT] = "",
        [BV_WASI_DENIED_WRITE] = ": read-only",
        [BV_WASI_DENIED_READ] = ": write-only",
        [BV_WASI_DENIED_DEVICE] = ": a device or socket",
        [BV_WASI_DENIED_HANDLES] = " (handle_count)",
        [BV_WASI_DENIED_STORAGE] = " (storage_bytes)",
    };
    char detail[320];
    (void)snprintf(detail, sizeof detail, "%s%s", text, suffix[kind]);
    /* What cannot be kept marks the observation as incomplete: the report then says so. */
    (void)bv_observe_denied(run->execution->observation, BV_REQ_FILESYSTEM, detail, 1);
}

static void keep_descriptors(struct guest_run *run)
{
    const struct bv_intent *intent = run->execution->intent;
    for (size_t i = 0; i < intent->fd_count && !run->ended; i++) {
        const int result = bv_wasi_keep(run->wasi, intent->fds[i], intent->fds[i]);
        if (result < 0) {
            guest_end(run, BV_OUTCOME_UNSUPPORTED, -1,
                      "descriptor %d cannot be given to a guest: %s", intent->fds[i],
                      result == -ENOTSUP ? "it is a socket" : strerror(-result));
        }
    }
}

static void make_world(struct guest_run *run)
{
    const struct bv_execution *execution = run->execution;
    struct guest_world *world = &run->world;
    struct bv_wasi_root roots[GUEST_ROOTS_MAX];
    struct bv_wasi_stage stages[GUEST_ROOTS_MAX];
    const char *why = NULL;
    if (world->cwd_outside) {
        guest_end(run, BV_OUTCOME_UNSUPPORTED, -1, "the working directory %.200s lies in no root",
                  execution->intent->workload->cwd);
        return;
    }
    for (size_t i = 0; i < world->place_count; i++) {
        roots[i] = world->places[i].root;
        stages[i] = (struct bv_wasi_stage){ run->upper_fds[i], run->work_fds[i] };
    }
    const struct bv_wasi_options options = {
        .args = run->args,
        .arg_count = execution->intent->workload->arg_count + 1,
        .env = run->env,
        .env_count = execution->intent->env_count,
        .roots = roots,
        .root_count = world->place_count,
        .stages = stages,
        .dot_root = world->dot_root,
        .dot_path = world->dot_path,
        .stdin_fd = run->input.kind == BV_END_NONE ? -1 : run->input.fd,
        .sink = guest_sink(&run->streams),
        .denied = denied,
        .denied_context = run,
        .handles_max = world->handles,
        .storage_max_bytes = world->storage_bytes,
        .seeded = run->context->deterministic,
        .seed = run->context->seed,
        .frozen = run->context->deterministic,
        .frozen_ns = run->context->clock_ns,
        .fuel_per_micro = execution->profile->word[GUEST_FUEL_PER_MICRO],
        .budget = &run->budget,
    };
    const int result = bv_wasi_new(&options, &run->wasi, &why);
    if (result < 0) {
        guest_end(run, run->budget.refused > 0 ? BV_OUTCOME_KILLED : BV_OUTCOME_UNSUPPORTED,
                  run->budget.refused > 0 ? BV_RESIDENT_BYTES : -1, "%s: %s",
                  why ? why : "the guest's world cannot be made", strerror(-result));
        return;
    }
    keep_descriptors(run);
}

/* ---- the instance ---- */

/* The engine has no memory for what it needs itself: the budget's doing, or the machine's. */
static void end_for_memory(struct guest_run *run)
{
    if (run->budget.refused > 0) {
        guest_end(run, BV_OUTCOME_KILLED, BV_RESIDENT_BYTES,
                  "resident_bytes: the module's own state does not fit");
    } else {
        guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "out of memory");
    }
}

static bool link_imports(struct guest_run *run, struct bv_wasm_extern **imports, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bv_wasm_import import;
        const char *why = NULL;
        bv_wasm_import_at(run->module, i, &import);
        imports[i] = bv_wasi_link(run->wasi, run->store, &import, &why);
        if (!imports[i]) { /* examine saw that all are known: only memory can be short */
            end_for_memory(run);
            return false;
        }
    }
    return true;
}

static void make_instance(struct guest_run *run)
{
    const uint32_t count = bv_wasm_import_count(run->module);
    struct bv_wasm_error fault = { .offset = UINT64_MAX };
    struct bv_wasm_extern **imports = calloc(count + 1, sizeof *imports);
    run->store = bv_wasm_store_new(&run->budget, NULL);
    if (!imports || !run->store) {
        end_for_memory(run);
    } else if (link_imports(run, imports, count)) {
        const enum bv_wasm_status status = bv_wasm_instantiate(run->store, run->module, imports,
                                                               &run->instance, &run->start, &fault);
        if (status ==
            BV_WASM_TRAPPED) { /* an active segment does not fit: the guest's own doing, and its end */
            run->launched = true;
            run->verdict.exit.kind = BV_EXIT_TRAP;
            bv_copy_text(run->verdict.exit.trap, sizeof run->verdict.exit.trap, fault.text);
            guest_end(run, BV_OUTCOME_FAILED, -1, "trap: %s", fault.text);
        } else if (status == BV_WASM_NOMEM) {
            end_for_memory(run);
        } else if (status != BV_WASM_OK) {
            guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "the module cannot be linked: %s",
                      fault.text);
        }
    }
    free(imports);
    if (!run->ended) {
        bv_wasm_fuel_limit(run->store, run->world.fuel_limit);
    }
}

static enum bv_status take_module(struct guest_run *run, struct bv_error *error)
{
    const struct bv_execution *execution = run->execution;
    struct bv_workload_problem problem;
    const enum bv_status status =
        guest_module(run->context, execution->identity, execution->workload_fd,
                     run->world.resident_bytes, &run->module, &problem, error);
    if (status == BV_E_REFUSED) { /* it was fine when it was planned */
        guest_end(run, BV_OUTCOME_UNSUPPORTED, -1, "%.120s %.180s", problem.subject, problem.why);
        return BV_OK;
    }
    if (status != BV_OK) {
        return status;
    }
    run->budget.limit_bytes = run->world.resident_bytes;
    run->module_bytes = bv_wasm_module_bytes(run->module);
    if (run->module_bytes > run->budget.limit_bytes) {
        run->budget.refused++;
        end_for_memory(run);
        run->module_bytes = 0;
    } else {
        run->budget.used_bytes = run->budget.peak_bytes = run->module_bytes;
    }
    return BV_OK;
}

/* ---- the run ---- */

static enum bv_status open_watch(struct guest_run *run, struct bv_error *error)
{
    struct epoll_event go = { .events = EPOLLIN }, cancel = { .events = EPOLLIN };
    go.data.fd = run->ready_fd =
        bv_fd_above_stdio(eventfd(1, EFD_CLOEXEC)); /* never read: always readable */
    run->epoll_fd =
        run->ready_fd < 0 ? run->ready_fd : bv_fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
    if (run->epoll_fd < 0) {
        return bv_fail_sys(error, "start", run->epoll_fd, "making what the run is waited for with");
    }
    cancel.data.fd = run->execution->cancel_fd;
    if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->ready_fd, &go) != 0 ||
        epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->execution->cancel_fd, &cancel) != 0) {
        return bv_fail_sys(error, "start", -errno, "watching the run");
    }
    return BV_OK;
}

static struct guest_run *run_new(struct guest_context *context,
                                 const struct bv_execution *execution)
{
    struct guest_run *run = malloc(sizeof *run);
    if (!run) {
        return NULL;
    }
    memset(run, 0, offsetof(struct guest_run, world.places)); /* the places are many pages */
    run->execution = execution;
    run->context = context;
    run->epoll_fd = run->ready_fd = run->timer_fd = run->wait_fd = -EBADF;
    run->temp.fd = run->temp.parent_fd = -EBADF;
    run->input.fd = run->streams.out[0].target.fd = run->streams.out[1].target.fd = -EBADF;
    run->streams.observation = execution->observation;
    run->secrets = (struct bv_secret_store)BV_SECRET_STORE_INIT;
    run->verdict.exit.kind = BV_EXIT_NONE;
    run->verdict.cause = -1;
    guest_lower(execution->intent, execution->profile->word[GUEST_FUEL_PER_MICRO], &run->world);
    for (size_t i = 0; i < BV_COUNT(run->root_fds); i++) {
        run->root_fds[i] = run->upper_fds[i] = run->work_fds[i] = -EBADF;
    }
    return run;
}

static void confine(struct guest_run *run)
{
    const int result = guest_confine(run);
    if (result < 0) {
        guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1,
                  "this process could not confine itself: %s (%u of %u canaries denied)",
                  strerror(-result), run->confinement.denied, run->confinement.tried);
    }
}

static enum bv_status build(struct guest_run *run, struct bv_error *error)
{
    enum bv_status status = open_watch(run, error);
    status = status == BV_OK ? take_module(run, error) : status;
    if (status != BV_OK || run->ended) {
        return status;
    }
    open_places(run);
    if (run->ended) {
        return BV_OK;
    }
    status = fill_env(run, error);
    status = status == BV_OK ? fill_args(run, error) : status;
    status = status == BV_OK ? open_streams(run, error) : status;
    if (status != BV_OK) {
        return status;
    }
    make_world(run);
    if (!run->ended) {
        make_instance(run);
    }
    if (!run->ended) {
        confine(run);
    }
    return BV_OK;
}

enum bv_status guest_start(void *context, const struct bv_execution *execution, void **ret_run,
                           struct bv_error *error)
{
    struct guest_run *run = run_new(context, execution);
    if (!run) {
        return bv_fail_nomem(error);
    }
    const enum bv_status status = build(run, error);
    if (status != BV_OK) {
        guest_run_free(run);
        return status;
    }
    *ret_run = run;
    return BV_OK;
}
