/* wasi/poll.c - poll_oneoff: several clocks and descriptors, of which one at least shall be ready.
 *
 * It never waits itself: without an event it says what it waits for and is called again. Both clocks are read when the call
 * begins, so that what is relative does not move. With frozen clocks the earliest deadline is reached at once, and moves
 * them. */
#include "wasi/state.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define REALTIME_LOOK_NS                                                                           \
    UINT64_C(1000000000) /* the host's clock may be set while a guest waits for a time of day */

struct wasi_subscription {
    uint64_t userdata, deadline; /* deadline: of its clock */
    uint64_t bytes;
    uint32_t clock, fd;
    uint16_t error, flags;
    uint8_t type;
    bool ready;
};

void wasi_subscriptions_free(struct bv_wasi *wasi)
{
    wasi_release_memory(wasi, wasi->subscription_room * sizeof(*wasi->subscriptions));
    free(wasi->subscriptions);
}

static bool make_room(struct bv_wasi *wasi, size_t count)
{
    if (count <= wasi->subscription_room) {
        return true;
    }
    const size_t more = (count - wasi->subscription_room) * sizeof(*wasi->subscriptions);
    if (!wasi_charge_memory(wasi, more)) {
        return false;
    }
    struct wasi_subscription *larger = realloc(wasi->subscriptions, count * sizeof(*larger));
    if (!larger) {
        wasi_release_memory(wasi, more);
        return false;
    }
    wasi->subscriptions = larger;
    wasi->subscription_room = count;
    return true;
}

static void fire(struct wasi_subscription *s, int error)
{
    s->ready = true;
    s->error = (uint16_t)error;
}

/* ---- clocks ---- */

static void read_clock(struct wasi_call *call, const uint8_t *at, struct wasi_subscription *s)
{
    const uint64_t timeout = wasi_get(at + 24, 8);
    const uint32_t flags = (uint32_t)wasi_get(at + 40, 2);
    s->clock = (uint32_t)wasi_get(at + 16, 4);
    if (s->clock > WASI_CLOCK_THREAD_CPU || (flags & ~WASI_SUBCLOCK_ABSTIME) != 0) {
        fire(s, WASI_EINVAL);
        return;
    }
    if (s->clock > WASI_CLOCK_MONOTONIC) {
        fire(s, WASI_ENOTSUP); /* a guest that waits uses no CPU time: it would wait for ever */
        return;
    }
    s->deadline = timeout;
    if ((flags & WASI_SUBCLOCK_ABSTIME) == 0 &&
        bv_ckd_add(&s->deadline, call->wasi->pending_begin[s->clock], timeout)) {
        s->deadline = UINT64_MAX;
    }
    if (wasi_now_ns(call->wasi, (enum wasi_clock)s->clock) >= s->deadline) {
        fire(s, WASI_SUCCESS);
    }
}

/* ---- descriptors ---- */

static void look_at_stream(struct wasi_subscription *s, const struct wasi_descriptor *descriptor)
{
    const bool reading = s->type == WASI_EVENT_FD_READ;
    struct pollfd ready = { .fd = descriptor->fd, .events = reading ? POLLIN : POLLOUT };
    int bytes = 0;
    if (poll(&ready, 1, 0) <= 0) {
        return;
    }
    if (reading && ioctl(descriptor->fd, FIONREAD, &bytes) == 0 && bytes > 0) {
        s->bytes = (uint64_t)bytes;
    }
    s->flags = (ready.revents & (POLLHUP | POLLERR)) != 0 ? WASI_EVENT_HANGUP : 0;
    fire(s, WASI_SUCCESS);
}

static void look_at_file(struct wasi_subscription *s, const struct wasi_descriptor *descriptor)
{
    struct stat st;
    const off_t at = lseek(descriptor->fd, 0, SEEK_CUR);
    if (s->type == WASI_EVENT_FD_READ && at >= 0 && fstat(descriptor->fd, &st) == 0 &&
        st.st_size > at) {
        s->bytes = (uint64_t)(st.st_size - at);
    }
    fire(s, WASI_SUCCESS);
}

static void read_descriptor(struct wasi_call *call, const uint8_t *at, struct wasi_subscription *s)
{
    const bool reading = s->type == WASI_EVENT_FD_READ;
    struct wasi_descriptor *descriptor;
    s->fd = (uint32_t)wasi_get(at + 16, 4);
    int result = wasi_look(call, s->fd, &descriptor);
    if (result == WASI_SUCCESS && descriptor->kind == WASI_DIRECTORY) {
        result = WASI_EISDIR;
    }
    if (result == WASI_SUCCESS) {
        result = wasi_hold(call, descriptor,
                           WASI_RIGHT_POLL_FD_READWRITE |
                               (reading ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE));
    }
    if (result != WASI_SUCCESS) {
        fire(s, result);
        return;
    }
    const struct bv_wasi_sink *sink = &call->wasi->options.sink;
    int wait_fd = -1;
    switch (descriptor->kind) {
    case WASI_FILE: look_at_file(s, descriptor); return;
    case WASI_STREAM: look_at_stream(s, descriptor); return;
    case WASI_EMPTY:
        s->flags = WASI_EVENT_HANGUP;
        fire(s, WASI_SUCCESS);
        return;
    case WASI_SINK:
        if (sink->ready(sink->context, descriptor->fd, &wait_fd)) {
            fire(s, WASI_SUCCESS);
        }
        return;
    case WASI_FREE:
    case WASI_DIRECTORY: break;
    }
    BV_UNREACHABLE();
}

/* ---- the call ---- */

/* The answer for a descriptor without an event; WASI_WAIT once it is in the list. */
static int wait_for_descriptor(struct wasi_call *call, const struct wasi_subscription *s)
{
    const struct wasi_descriptor *descriptor = &call->wasi->table[s->fd];
    const short events = s->type == WASI_EVENT_FD_READ ? POLLIN : POLLOUT;
    int fd = descriptor->fd;
    if (descriptor->kind == WASI_SINK) {
        const struct bv_wasi_sink *sink = &call->wasi->options.sink;
        fd = -1;
        (void)sink->ready(sink->context, descriptor->fd, &fd);
    }
    return wasi_wait_for(call, fd, events);
}

static void note_deadline(struct bv_wasi *wasi, const struct wasi_subscription *s)
{
    if (s->deadline == UINT64_MAX) {
        return;
    }
    const uint64_t now = wasi_now_ns(wasi, (enum wasi_clock)s->clock);
    uint64_t left = s->deadline > now ? s->deadline - now : 0;
    if (s->clock == WASI_CLOCK_REALTIME && left > REALTIME_LOOK_NS) {
        left = REALTIME_LOOK_NS;
    }
    uint64_t until;
    if (!bv_ckd_add(&until, wasi_host_ns(CLOCK_MONOTONIC), left) &&
        until < wasi->wait_deadline_ns) {
        wasi->wait_deadline_ns = until;
    }
}

static int wait_for_all(struct wasi_call *call, uint32_t count)
{
    struct bv_wasi *wasi = call->wasi;
    for (uint32_t i = 0; i < count; i++) {
        const struct wasi_subscription *s = &wasi->subscriptions[i];
        if (s->type == WASI_EVENT_CLOCK) {
            note_deadline(wasi, s);
        } else {
            const int answer = wait_for_descriptor(call, s);
            if (answer != WASI_WAIT) {
                return answer;
            }
        }
    }
    return WASI_WAIT;
}

/* With frozen clocks: the time until the earliest deadline passes now. False if there is none. */
static bool pass_time(struct bv_wasi *wasi, uint32_t count)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct wasi_subscription *s = &wasi->subscriptions[i];
        if (s->type == WASI_EVENT_CLOCK && s->deadline != UINT64_MAX) {
            const uint64_t left = s->deadline - wasi_now_ns(wasi, (enum wasi_clock)s->clock);
            least = left < least ? left : least;
        }
    }
    if (!wasi->options.frozen || least == UINT64_MAX ||
        bv_ckd_add(&wasi->slept_ns, wasi->slept_ns, least)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct wasi_subscription *s = &wasi->subscriptions[i];
        if (s->type == WASI_EVENT_CLOCK &&
            wasi_now_ns(wasi, (enum wasi_clock)s->clock) >= s->deadline) {
            fire(s, WASI_SUCCESS);
        }
    }
    return true;
}

static uint32_t put_events(const struct bv_wasi *wasi, uint32_t count, uint8_t *at)
{
    uint32_t events = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct wasi_subscription *s = &wasi->subscriptions[i];
        if (!s->ready) {
            continue;
        }
        uint8_t *event = at + (size_t)events++ * WASI_EVENT_BYTES;
        wasi_put(event, s->userdata, 8);
        wasi_put(event + 8, s->error, 2);
        wasi_put(event + 10, s->type, 1);
        wasi_put(event + 11, 0, 5);
        wasi_put(event + 16, s->bytes, 8);
        wasi_put(event + 24, s->flags, 8); /* and padding */
    }
    return events;
}

/* Reads the guest's list and looks at each. False: one is of no known type. */
static bool look_at_all(struct wasi_call *call, const uint8_t *in, uint32_t count, bool *ret_any)
{
    *ret_any = false;
    for (uint32_t i = 0; i < count; i++, in += WASI_SUBSCRIPTION_BYTES) {
        struct wasi_subscription *s = &call->wasi->subscriptions[i];
        *s = (struct wasi_subscription){ .userdata = wasi_get(in, 8), .type = in[8] };
        if (s->type > WASI_EVENT_FD_WRITE) {
            return false;
        }
        if (s->type == WASI_EVENT_CLOCK) {
            read_clock(call, in, s);
        } else {
            read_descriptor(call, in, s);
        }
        *ret_any = *ret_any || s->ready;
    }
    return true;
}

int wasi_poll_oneoff(struct wasi_call *call)
{
    struct bv_wasi *wasi = call->wasi;
    const uint32_t count = call->args[2].i32;
    bool any;
    if (count == 0 || count > WASI_SUBSCRIPTIONS_MAX) {
        return WASI_EINVAL;
    }
    const uint8_t *in =
        wasi_memory(call, call->args[0].i32, (uint64_t)count * WASI_SUBSCRIPTION_BYTES);
    uint8_t *out = wasi_memory(call, call->args[1].i32, (uint64_t)count * WASI_EVENT_BYTES);
    if (!in || !out || !wasi_memory(call, call->args[3].i32, 4)) {
        return WASI_EFAULT;
    }
    if (!make_room(wasi, count)) {
        return WASI_ENOMEM;
    }
    if (!wasi_resumed(call)) {
        wasi->pending_begin[WASI_CLOCK_REALTIME] = wasi_now_ns(wasi, WASI_CLOCK_REALTIME);
        wasi->pending_begin[WASI_CLOCK_MONOTONIC] = wasi_now_ns(wasi, WASI_CLOCK_MONOTONIC);
        bv_wasm_caller_charge(call->caller, count);
    }
    if (!look_at_all(call, in, count, &any)) {
        return WASI_EINVAL;
    }
    if (!any && !pass_time(wasi, count)) {
        return wait_for_all(call, count);
    }
    return wasi_store_u32(call, call->args[3].i32, put_events(wasi, count, out));
}
