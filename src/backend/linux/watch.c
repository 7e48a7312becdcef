/* backend/linux/watch.c - the one descriptor that a run is polled by: an epoll set and, in it, a timer.
 *
 * A registration is removed before its descriptor is closed. Closing alone would not do: another thread of the host may have
 * forked, and the kernel keeps an entry for as long as any process holds the description. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "backend/linux/run.h"
#include "base/check.h"

#define SECOND_NS 1000000000u

int linux_watch(struct linux_run *run, enum linux_watch which, int fd, uint32_t events)
{
    struct linux_watched *watched = &run->watched[which];
    struct epoll_event event = { .events = events, .data.u32 = (uint32_t)which };
    BV_ASSERT(which < WATCH_COUNT);
    if (watched->added && (events == 0 || watched->fd != fd)) {
        (void)epoll_ctl(run->epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL);
        *watched = (struct linux_watched){ .fd = -EBADF };
    }
    if (events == 0 || (watched->added && watched->events == events)) {
        return 0;
    }
    if (epoll_ctl(run->epoll_fd, watched->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
        return -errno;
    }
    *watched = (struct linux_watched){ .fd = fd, .events = events, .added = true };
    return 0;
}

int linux_arm(struct linux_run *run)
{
    uint64_t nearest = UINT64_MAX;
    for (size_t i = 0; i < BV_COUNT(run->deadline); i++) {
        nearest = run->deadline[i] < nearest ? run->deadline[i] : nearest;
    }
    if (nearest == run->armed_ns) {
        return 0;
    }
    struct itimerspec when = { 0 }; /* all zero disarms; a point in the past fires at once */
    if (nearest != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(nearest / SECOND_NS);
        when.it_value.tv_nsec = (long)(nearest % SECOND_NS) + (nearest == 0);
    }
    if (timerfd_settime(run->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0) {
        return -errno;
    }
    run->armed_ns = nearest;
    return 0;
}
