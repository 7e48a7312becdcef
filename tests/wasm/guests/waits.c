/* tests/wasm/guests/waits.c - clocks and waiting: sleep, poll and select with and without something to read. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

static long long now(clockid_t clock)
{
    struct timespec time_of;
    (void)clock_gettime(clock, &time_of);
    return (long long)time_of.tv_sec * 1000000000 + time_of.tv_nsec;
}

int main(void)
{
    struct timespec step, nap = { 0, 50000000 };
    const long long begin = now(CLOCK_MONOTONIC), day = now(CLOCK_REALTIME);
    printf("the time is after 2020: %d\n", day > 1577836800000000000);
    SAY(clock_getres(CLOCK_MONOTONIC, &step));
    printf("resolution %d\n", step.tv_sec == 0 && step.tv_nsec >= 1);
    int steady = 1;
    for (long long last = begin, i = 0; i < 1000; i++) {
        const long long time_of = now(CLOCK_MONOTONIC);
        steady = steady && time_of >= last;
        last = time_of;
    }
    printf("monotonic %d\n", steady);
    SAY(nanosleep(&nap, NULL));
    printf("slept %d\n",
           now(CLOCK_MONOTONIC) - begin >= 50000000 && now(CLOCK_REALTIME) - day >= 40000000);
    SAY(usleep(1000));
    nap = (struct timespec){ 0, 1000 };
    SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL));
    struct pollfd in = { .fd = 0,
                         .events = POLLIN }; /* the test writes to it after a quarter of a second */
    const long long before = now(CLOCK_MONOTONIC);
    SAY(poll(&in, 1, 20));
    printf("waited %d\n", now(CLOCK_MONOTONIC) - before >= 20000000);
    SAY(poll(&in, 1, 10000));
    printf("readable %d\n", (in.revents & POLLIN) != 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    struct timeval limit = { 10, 0 };
    SAY(select(1, &set, NULL, NULL, &limit));
    char text[32] = "";
    SAY(read(0, text, sizeof(text) - 1));
    printf("[%s]\n", text);
    struct pollfd out = { .fd = 1, .events = POLLOUT };
    SAY(poll(&out, 1, 1000));
    const int file = open("file", O_RDWR | O_CREAT, 0644);
    struct pollfd both[2] = { { .fd = file, .events = POLLIN }, { .fd = file, .events = POLLOUT } };
    SAY(poll(both, 2, 1000));
    SAY(read(0, text, 1)); /* blocks until the test closes it */
    SAY(poll(NULL, 0, 5));
    return 0;
}
