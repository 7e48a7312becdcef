/* backend/linux/backend.c - the ops table of the Linux backend, its instance; nothing else. */
#include "backend/linux/run.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/linux/cgroup.h"
#include "backend/linux/os.h"
#include "base/error.h"

static void linux_close(void *pointer)
{
    struct linux_context *context = pointer;
    if (context == NULL) {
        return;
    }
    while (context->waiting != NULL) {
        struct linux_ready *ready = context->waiting;
        context->waiting = ready->next;
        linux_ready_drop(ready);
    }
    (void)pthread_cond_destroy(&context->idle);
    if (context->divided) {
        linux_cgroup_move_back(); /* after its launchers, which are where it is */
    }
    linux_fd_close(&context->launcher_fd);
    linux_fd_close(&context->canary_tcp);
    linux_fd_close(&context->canary_unix);
    (void)pthread_mutex_destroy(&context->lock);
    free(context);
}

static const struct bv_backend_ops linux_ops = {
    .abi_version = BV_BACKEND_ABI,
    .id = "linux",
    .probe = linux_probe,
    .profile = linux_profile,
    .classify = linux_classify,
    .offer = linux_offer,
    .start = linux_start,
    .poll_fd = linux_poll_fd,
    .dispatch = linux_dispatch,
    .close_run = linux_close_run,
    .close = linux_close,
    .prepare = linux_prepare,
    .owns_fd = linux_owns_fd,
    .release = linux_release,
    .try_staging = linux_try_staging,
    .sweep = linux_sweep,
    .probe_ahead = linux_probe_ahead,
};

enum bv_status bv_backend_linux(struct bv_backend **ret_backend, struct bv_error *error)
{
    struct linux_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return bv_fail_nomem(error);
    }
    context->launcher_fd = context->canary_tcp = context->canary_unix = -EBADF;
    int result = pthread_mutex_init(&context->lock, NULL);
    if (result == 0) {
        result = pthread_cond_init(&context->idle, NULL);
        if (result != 0) {
            (void)pthread_mutex_destroy(&context->lock);
        }
    }
    if (result != 0) {
        free(context);
        return bv_fail_sys(error, "", -result, "making the backend's lock");
    }
    const enum bv_status status = bv_backend_new(&linux_ops, context, ret_backend, error);
    if (status != BV_OK) {
        linux_close(context);
    }
    return status;
}
