/* wasi/process.c - what a guest asks about itself and how it ends: arguments, environment, exit, signals, yield; and sockets,
 * of which there are none. */
#include "wasi/state.h"

#include <signal.h>
#include <string.h>

#include "base/check.h"

/* ---- texts ---- */

static int texts_sizes(struct wasi_call *call, const char *const *texts, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(texts[i]) + 1;
    }
    if (count > UINT32_MAX || bytes > UINT32_MAX) {
        return WASI_EOVERFLOW;
    }
    const int result = wasi_store_u32(call, call->args[0].i32, (uint32_t)count);
    return result == WASI_SUCCESS ? wasi_store_u32(call, call->args[1].i32, (uint32_t)bytes)
                                  : result;
}

static int texts_get(struct wasi_call *call, const char *const *texts, size_t count)
{
    const uint32_t list = call->args[0].i32;
    uint64_t at = call->args[1].i32;
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(texts[i]) + 1;
        uint8_t *bytes = wasi_memory(call, at, size);
        uint8_t *pointer = wasi_memory(call, list + (uint64_t)i * 4, 4);
        if (!bytes || !pointer) {
            return WASI_EFAULT;
        }
        memcpy(bytes, texts[i], size);
        wasi_put(pointer, at, 4);
        at += size;
    }
    wasi_charge_bytes(call, at - call->args[1].i32);
    return WASI_SUCCESS;
}

int wasi_args_get(struct wasi_call *call)
{
    return texts_get(call, call->wasi->options.args, call->wasi->options.arg_count);
}

int wasi_args_sizes_get(struct wasi_call *call)
{
    return texts_sizes(call, call->wasi->options.args, call->wasi->options.arg_count);
}

int wasi_environ_get(struct wasi_call *call)
{
    return texts_get(call, call->wasi->options.env, call->wasi->options.env_count);
}

int wasi_environ_sizes_get(struct wasi_call *call)
{
    return texts_sizes(call, call->wasi->options.env, call->wasi->options.env_count);
}

/* ---- the end ---- */

static int end(struct wasi_call *call, bool signalled, uint32_t code)
{
    call->wasi->ended = true;
    call->wasi->ending = (struct bv_wasi_ending){ signalled, code };
    return WASI_HALT;
}

int wasi_proc_exit(struct wasi_call *call)
{
    return end(call, false, call->args[0].i32);
}

/* In WASI's order, from 0 (none) on. What a signal does without a handler, for a guest can have none: 0 nothing; negative:
 * it would stop the process, and nobody could continue it. */
static const int signals[] = { 0,
                               SIGHUP,
                               SIGINT,
                               SIGQUIT,
                               SIGILL,
                               SIGTRAP,
                               SIGABRT,
                               SIGBUS,
                               SIGFPE,
                               SIGKILL,
                               SIGUSR1,
                               SIGSEGV,
                               SIGUSR2,
                               SIGPIPE,
                               SIGALRM,
                               SIGTERM,
                               0 /* CHLD */,
                               0 /* CONT */,
                               -1 /* STOP */,
                               -1 /* TSTP */,
                               -1 /* TTIN */,
                               -1 /* TTOU */,
                               0 /* URG */,
                               SIGXCPU,
                               SIGXFSZ,
                               SIGVTALRM,
                               SIGPROF,
                               0 /* WINCH */,
                               SIGPOLL,
                               SIGPWR,
                               SIGSYS };

int wasi_proc_raise(struct wasi_call *call)
{
    const uint32_t number = call->args[0].i32;
    if (number >= BV_COUNT(signals)) {
        return WASI_EINVAL;
    }
    if (signals[number] < 0) {
        return WASI_ENOTSUP;
    }
    return signals[number] > 0 ? end(call, true, (uint32_t)signals[number]) : WASI_SUCCESS;
}

int wasi_sched_yield(struct wasi_call *call)
{
    return wasi_resumed(call) ? WASI_SUCCESS
                              : wasi_go_on(call); /* the driver has control, then the guest again */
}

int wasi_sock_any(struct wasi_call *call)
{
    struct wasi_descriptor *descriptor;
    const int result = wasi_look(call, call->args[0].i32, &descriptor);
    return result == WASI_SUCCESS ? WASI_ENOTSOCK : result;
}
