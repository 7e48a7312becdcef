/* wasi/clock.c - the four clocks: two of time, two of the guest's own work.
 *
 * Monotonic time begins with the guest, so it says nothing of the host's. Frozen clocks stand still but for sleeps, which
 * take no time (poll.c). CPU time is the fuel that was used: exact, the same on every machine, and what the witness counts. */
#include "wasi/state.h"

#include <time.h>

#include "base/check.h"

uint64_t wasi_host_ns(int host_clock)
{
    struct timespec now;
    const int result = clock_gettime(host_clock, &now);
    BV_ASSERT(result == 0);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t wasi_now_ns(const struct bv_wasi *wasi, enum wasi_clock clock)
{
    const bool realtime = clock == WASI_CLOCK_REALTIME;
    if (wasi->options.frozen) {
        return (realtime ? wasi->options.frozen_ns : 0) + wasi->slept_ns;
    }
    return realtime ? wasi_host_ns(CLOCK_REALTIME)
                    : wasi_host_ns(CLOCK_MONOTONIC) - wasi->monotonic_begin_ns;
}

static uint64_t cpu_ns(struct wasi_call *call)
{
    const uint64_t fuel = bv_wasm_fuel_used(bv_wasm_caller_store(call->caller)),
                   rate = call->wasi->options.fuel_per_micro;
    return fuel / rate * 1000 + fuel % rate * 1000 / rate;
}

static uint64_t resolution_ns(const struct bv_wasi *wasi, uint32_t clock)
{
    if (clock == WASI_CLOCK_PROCESS_CPU || clock == WASI_CLOCK_THREAD_CPU) {
        const uint64_t step = 1000 / wasi->options.fuel_per_micro;
        return step != 0 ? step : 1;
    }
    struct timespec step;
    const int result =
        clock_getres(clock == WASI_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &step);
    BV_ASSERT(result == 0);
    return (uint64_t)step.tv_sec * 1000000000u + (uint64_t)step.tv_nsec;
}

int wasi_clock_res_get(struct wasi_call *call)
{
    const uint32_t clock = call->args[0].i32;
    if (clock > WASI_CLOCK_THREAD_CPU) {
        return WASI_EINVAL;
    }
    return wasi_store_u64(call, call->args[1].i32, resolution_ns(call->wasi, clock));
}

int wasi_clock_time_get(struct wasi_call *call)
{
    const uint32_t clock = call->args[0].i32;
    if (clock > WASI_CLOCK_THREAD_CPU) {
        return WASI_EINVAL;
    }
    const bool cpu = clock == WASI_CLOCK_PROCESS_CPU || clock == WASI_CLOCK_THREAD_CPU;
    return wasi_store_u64(call, call->args[2].i32,
                          cpu ? cpu_ns(call) : wasi_now_ns(call->wasi, (enum wasi_clock)clock));
}
