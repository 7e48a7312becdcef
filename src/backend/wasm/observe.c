/* backend/wasm/observe.c - drives a guest: slices of the interpreter, waits, limits, the end.
 *
 * Theory of operation. One dispatch runs the guest for about a millisecond in slices of fuel; between two slices the clock is
 * looked at, between two dispatches whether the caller cancelled. The run's descriptor is an epoll descriptor: while the guest
 * can go on it holds one that is always readable; while a host call waits it holds what that call waits for and a timer for
 * the nearer of the call's deadline and the wall limit. So no thread and no signal is needed, and a guest that sleeps costs
 * nothing. After the end everything of the guest is given back, the temp root is removed in parts, and witness.c tells. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "backend/wasm/guest.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

#define SLICE_UNITS    200000u  /* 0.1 to 0.5 ms of interpreted instructions */
#define TURN_NS        1000000u /* of one dispatch */
#define REMOVE_AT_ONCE 256u     /* entries of the temp root */
#define CALLS_BYTES    4096u    /* 46 names with counts of 20 digits */

uint64_t guest_now_ns(void)
{
    struct timespec now;
    const int result = clock_gettime(CLOCK_MONOTONIC, &now);
    BV_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -EBADF;
}

/* ---- endings ---- */

static void end_by_trap(struct guest_run *run, enum bv_wasm_trap trap)
{
    struct bv_wasi_ending ending;
    struct bv_exit *exit = &run->verdict.exit;
    if (trap == BV_WASM_TRAP_HOST && bv_wasi_ended(run->wasi, &ending)) {
        exit->kind = ending.signalled ? BV_EXIT_SIGNAL : BV_EXIT_CODE;
        exit->value =
            (int)(ending.signalled ? ending.code
                                   : ending.code & 0xff); /* as a process's status is cut */
        guest_end(run,
                  exit->kind == BV_EXIT_CODE && exit->value == 0 ? BV_OUTCOME_COMPLETED
                                                                 : BV_OUTCOME_FAILED,
                  -1, ending.signalled ? "signal %d" : "exit code %d", exit->value);
        return;
    }
    if (trap == BV_WASM_TRAP_FUEL) {
        guest_end(run, BV_OUTCOME_TIMEOUT, BV_CPU_MICROS, "cpu_micros limit: the fuel is used up");
        return;
    }
    if (trap == BV_WASM_TRAP_NOMEM) {
        guest_end(run, run->budget.refused > 0 ? BV_OUTCOME_KILLED : BV_OUTCOME_SUPERVISOR_FAULT,
                  run->budget.refused > 0 ? BV_RESIDENT_BYTES : -1,
                  run->budget.refused > 0 ? "resident_bytes limit: the guest's stack does not fit"
                                          : "out of memory");
        return;
    }
    exit->kind = BV_EXIT_TRAP;
    (void)snprintf(exit->trap, sizeof exit->trap, "%s", bv_wasm_trap_text(trap));
    guest_end(run, BV_OUTCOME_FAILED, -1, "trap: %s", exit->trap);
}

static void take_calls(struct guest_run *run)
{
    struct bv_buf text;
    bv_buf_init(&text, CALLS_BYTES);
    for (size_t i = 0; bv_wasi_function_at(i); i++) {
        const uint64_t count = bv_wasi_calls(run->wasi, i);
        if (count > 0) {
            (void)bv_buf_format(&text, "%s%s %llu", text.size > 0 ? "\n" : "",
                                bv_wasi_function_at(i)->name, (unsigned long long)count);
        }
    }
    if (text.failed) { /* a list that is claimed to be whole must be */
        run->verdict.outcome = BV_OUTCOME_SUPERVISOR_FAULT;
        run->verdict.cause = -1;
        bv_copy_text(run->verdict.detail, sizeof run->verdict.detail, "out of memory");
    }
    run->calls = bv_buf_take(&text);
}

void guest_release(struct guest_run *run)
{
    run->end_ns = guest_now_ns();
    if (run->store) {
        run->fuel = bv_wasm_fuel_used(run->store);
    }
    if (run->wasi) {
        bv_wasi_usage(run->wasi, &run->usage);
        take_calls(run);
    }
    bv_wasm_store_free(BV_TAKE(run->store));
    bv_wasi_free(BV_TAKE(run->wasi));
    bv_wasm_module_free(BV_TAKE(run->module));
    for (size_t i = 0; i < run->world.place_count; i++) {
        close_fd(&run->root_fds[i]);
        close_fd(&run->upper_fds[i]);
        close_fd(&run->work_fds[i]);
    }
    bv_end_close(&run->input);
    bv_end_close(&run->streams.out[0].target);
    bv_end_close(&run->streams.out[1].target);
    bv_secret_store_done(&run->secrets);
    close_fd(&run->wait_fd);
}

void guest_run_free(struct guest_run *run)
{
    if (!run) {
        return;
    }
    if (run->phase == GUEST_RUNS) {
        guest_release(run);
    }
    while (guest_temp_remove(&run->temp, REMOVE_AT_ONCE) > 0) {
    }
    close_fd(&run->timer_fd);
    close_fd(&run->ready_fd);
    close_fd(&run->epoll_fd);
    free(run->texts);
    free(run->args);
    free(run->env);
    free(run->calls);
    free(run);
}

/* ---- waiting ---- */

static uint64_t wall_deadline(const struct guest_run *run)
{
    uint64_t at;
    return bv_ckd_add(&at, run->begin_ns, run->world.wall_ns) ? UINT64_MAX : at;
}

static void watch_ready(struct guest_run *run, bool on)
{
    struct epoll_event event = { .events = on ? EPOLLIN : 0 };
    event.data.fd = run->ready_fd;
    const int result = epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, run->ready_fd, &event);
    BV_ASSERT(result == 0); /* it was added at the start */
}

static uint32_t events_of(const struct bv_wasi_wait *wait, size_t index)
{
    uint32_t events = 0;
    for (size_t i = 0; i <= index; i++) {
        if (wait->items[i].fd == wait->items[index].fd) {
            events |= (wait->items[i].events & POLLIN ? EPOLLIN : 0u) |
                      (wait->items[i].events & POLLOUT ? EPOLLOUT : 0u);
        }
    }
    return events;
}

/* What the call waits for, in an epoll descriptor of its own: one close forgets it all. 0 or -errno. */
static int watch_items(struct guest_run *run, const struct bv_wasi_wait *wait)
{
    run->wait_fd = bv_fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
    if (run->wait_fd < 0) {
        return run->wait_fd;
    }
    for (size_t i = 0; i < wait->count; i++) {
        struct epoll_event event = { .events = events_of(wait, i) };
        if (epoll_ctl(run->wait_fd, EPOLL_CTL_ADD, wait->items[i].fd, &event) != 0 &&
            (errno != EEXIST ||
             epoll_ctl(run->wait_fd, EPOLL_CTL_MOD, wait->items[i].fd, &event) != 0)) {
            return -errno;
        }
    }
    struct epoll_event all = { .events = EPOLLIN };
    all.data.fd = run->wait_fd;
    return epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->wait_fd, &all) == 0 ? 0 : -errno;
}

static int arm(struct guest_run *run, uint64_t at_ns)
{
    struct itimerspec spec = { 0 };
    if (run->timer_fd < 0) {
        struct epoll_event event = { .events = EPOLLIN };
        event.data.fd = run->timer_fd =
            bv_fd_above_stdio(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
        if (run->timer_fd < 0 ||
            epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->timer_fd, &event) != 0) {
            return run->timer_fd < 0 ? run->timer_fd : -errno;
        }
    }
    if (at_ns != UINT64_MAX) { /* 0 would disarm */
        spec.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
        spec.it_value.tv_nsec = (long)(at_ns % 1000000000u) + (at_ns == 0);
    }
    return timerfd_settime(run->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : -errno;
}

/* The guest is in a host call that cannot go on now. */
static void begin_wait(struct guest_run *run, const struct bv_wasi_wait *wait)
{
    const uint64_t wall = wall_deadline(run);
    run->wake_ns = wait->deadline_ns < wall ? wait->deadline_ns : wall;
    int result = wait->count > 0 ? watch_items(run, wait) : 0;
    if (result == 0 && (run->wake_ns != UINT64_MAX || run->timer_fd >= 0)) {
        result = arm(run, run->wake_ns);
    }
    if (result < 0) {
        guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "waiting for a host call of the guest: %s",
                  strerror(-result));
        return;
    }
    watch_ready(run, false);
    run->waiting = true;
}

static void end_wait(struct guest_run *run)
{
    if (run->waiting) {
        run->waiting = false;
        close_fd(&run->wait_fd);
        if (run->timer_fd >= 0) {
            (void)arm(run, UINT64_MAX);
        }
        watch_ready(run, true);
    }
}

/* ---- running ---- */

static bool fuel_is_gone(const struct guest_run *run)
{
    return run->world.fuel_limit != UINT64_MAX &&
           bv_wasm_fuel_used(run->store) >= run->world.fuel_limit;
}

/* Begins what comes next: the start function, then _start. False: there is nothing more. */
static bool call_next(struct guest_run *run, bool *started)
{
    struct bv_wasm_extern *function = BV_TAKE(run->start);
    if (!function && !*started) {
        *started = true;
        function = bv_wasm_instance_export(run->instance, "_start", strlen("_start"), NULL);
    }
    return function && bv_wasm_call(run->store, function, NULL, 0);
}

static void after_step(struct guest_run *run, enum bv_wasm_step step)
{
    struct bv_wasi_wait wait;
    switch (step) {
    case BV_WASM_STEP_SLICE: return;
    case BV_WASM_STEP_DONE:
        if (!call_next(run, &run->command_started)) {
            run->verdict.exit.kind = BV_EXIT_CODE;
            guest_end(run, BV_OUTCOME_COMPLETED, -1, "exit code 0");
        }
        return;
    case BV_WASM_STEP_TRAPPED: end_by_trap(run, bv_wasm_trapped(run->store)); return;
    case BV_WASM_STEP_WAIT:
        if (fuel_is_gone(
                run)) { /* one long host call: its parts are charged, but no instruction comes between them */
            end_by_trap(run, BV_WASM_TRAP_FUEL);
            return;
        }
        bv_wasi_wait(run->wasi, &wait);
        if (wait.deadline_ns != 0) {
            begin_wait(run, &wait);
        }
        return;
    }
    BV_UNREACHABLE();
}

static void run_turn(struct guest_run *run)
{
    const uint64_t wall = wall_deadline(run), begin = guest_now_ns();
    uint64_t now = begin;
    while (!run->ended && !run->waiting && now - begin < TURN_NS) {
        if (now >= wall) {
            guest_end(run, BV_OUTCOME_TIMEOUT, BV_WALL_MICROS, "wall_micros limit");
            return;
        }
        after_step(run, bv_wasm_resume(run->store, SLICE_UNITS));
        now = guest_now_ns();
    }
}

/* True: nothing happened that the waiting guest would care for. */
static bool still_waits(struct guest_run *run, uint64_t now)
{
    struct pollfd ready = { .fd = run->wait_fd, .events = POLLIN };
    return run->waiting && now < run->wake_ns && (run->wait_fd < 0 || poll(&ready, 1, 0) == 0);
}

static bool cancelled(const struct guest_run *run)
{
    struct pollfd ready = { .fd = run->execution->cancel_fd, .events = POLLIN };
    return poll(&ready, 1, 0) == 1;
}

static void step_guest(struct guest_run *run)
{
    if (cancelled(run)) {
        guest_end(run, BV_OUTCOME_KILLED, -1, "cancelled by the caller");
        return;
    }
    if (!run->launched) {
        run->launched = true;
        run->begin_ns = guest_now_ns();
        if (!call_next(run, &run->command_started)) {
            guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "the guest could not be called");
            return;
        }
    }
    const uint64_t now = guest_now_ns();
    if (still_waits(run, now)) {
        return;
    }
    end_wait(run);
    if (now >= wall_deadline(run)) {
        guest_end(run, BV_OUTCOME_TIMEOUT, BV_WALL_MICROS, "wall_micros limit");
        return;
    }
    run_turn(run);
}

/* ---- the vtable's functions ---- */

int guest_poll_fd(void *pointer)
{
    const struct guest_run *run = pointer;
    return run->epoll_fd;
}

enum bv_status guest_dispatch(void *pointer, bool *ret_done, struct bv_error *error)
{
    struct guest_run *run = pointer;
    (void)error; /* what goes wrong from here on is part of the run: it ends as supervisor_fault */
    if (run->phase == GUEST_RUNS) {
        if (!run->ended) {
            step_guest(run);
        }
        if (run->streams.out[0].failed || run->streams.out[1].failed) {
            guest_end(run, BV_OUTCOME_SUPERVISOR_FAULT, -1, "captured bytes could not be kept");
        }
        if (run->ended) {
            end_wait(run);
            guest_release(run);
            run->phase = GUEST_CLEANS;
        }
    }
    if (run->phase == GUEST_CLEANS) {
        const bool had = run->temp.fd >= 0;
        const int left = guest_temp_remove(&run->temp, REMOVE_AT_ONCE);
        if (left <= 0) {
            run->temp_removed = had && left == 0;
            run->temp_error = left;
            guest_witness(run);
            run->phase = GUEST_OVER;
        }
    }
    *ret_done = run->phase == GUEST_OVER;
    return BV_OK;
}

void guest_close_run(void *pointer)
{
    guest_run_free(pointer);
}
