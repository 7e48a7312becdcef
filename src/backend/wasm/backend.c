/* backend/wasm/backend.c - the ops table of the Wasm backend, its instance; nothing else. */
#include "backend/wasm/guest.h"

#include <stdlib.h>

#include "base/error.h"

static void close_context(void *pointer)
{
    struct guest_context *context = pointer;
    if (context) {
        bv_wasm_cache_free(context->cache);
        free(context);
    }
}

static const struct bv_backend_ops guest_ops = {
    .abi_version = BV_BACKEND_ABI,
    .id = "wasm",
    .probe = guest_probe,
    .profile = guest_profile,
    .classify = guest_classify,
    .offer = guest_offer,
    .start = guest_start,
    .poll_fd = guest_poll_fd,
    .dispatch = guest_dispatch,
    .close_run = guest_close_run,
    .close = close_context,
    .examine = guest_examine,
    .try_staging = guest_try_staging,
};

static enum bv_status check_options(const struct bv_wasm_backend_options *options,
                                    struct bv_error *error)
{
    if (options->fuel_per_micro > GUEST_FUEL_PER_MICRO_MAX) {
        return bv_fail(error, BV_E_INVALID, "fuel_per_micro", "at most %u units are a microsecond",
                       GUEST_FUEL_PER_MICRO_MAX);
    }
    if (options->own_fd_count > GUEST_OWN_FDS_MAX ||
        (options->own_fd_count > 0 && !options->own_fds)) {
        return bv_fail(error, BV_E_INVALID, "own_fds", "at most %u descriptors of the host's own",
                       GUEST_OWN_FDS_MAX);
    }
    return BV_OK;
}

enum bv_status bv_backend_wasm(const struct bv_wasm_backend_options *options,
                               struct bv_backend **ret_backend, struct bv_error *error)
{
    static const struct bv_wasm_backend_options defaults = { 0 };
    options = options ? options : &defaults;
    enum bv_status status = check_options(options, error);
    if (status != BV_OK) {
        return status;
    }
    struct guest_context *context = calloc(1, sizeof *context);
    if (context) {
        context->cache = bv_wasm_cache_new(GUEST_CACHE_BYTES, GUEST_CACHE_MODULES);
    }
    if (!context || !context->cache) {
        close_context(context);
        return bv_fail_nomem(error);
    }
    context->fuel_per_micro =
        options->fuel_per_micro > 0 ? options->fuel_per_micro : GUEST_FUEL_PER_MICRO_DEFAULT;
    context->confine_process = options->confine_process;
    context->deterministic = options->deterministic;
    context->seed = options->seed;
    context->clock_ns = options->clock_ns;
    context->own_fd_count = options->own_fd_count;
    for (size_t i = 0; i < options->own_fd_count; i++) {
        context->own_fds[i] = options->own_fds[i];
    }
    status = bv_backend_new(&guest_ops, context, ret_backend, error);
    if (status != BV_OK) {
        close_context(context);
    }
    return status;
}
