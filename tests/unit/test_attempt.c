/* tests/unit/test_attempt.c - ids of attempts: what is prepared under one is for the run that takes it, and none is given out twice. */
#include "run/instance.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support/tap.h"

#define THREADS 4
#define ROUNDS  200

static struct bv_backend backend;
static char taken[THREADS][ROUNDS][BV_ATTEMPT_TEXT_SIZE];
static char prepared[BV_ATTEMPT_TEXT_SIZE];
static int calls;

static int no_random(void *buffer, size_t size)
{
    (void)buffer;
    (void)size;
    return -EIO;
}

static void note(void *context, enum bv_network_policy network, const char *attempt)
{
    (void)context;
    (void)network;
    (void)snprintf(prepared, sizeof(prepared), "%s", attempt);
    calls++;
}

static int take(char text[BV_ATTEMPT_TEXT_SIZE])
{
    return bv_attempts_take(&backend, BV_NETWORK_DENY_ALL, text);
}

static void *take_many(void *pointer)
{
    char (*mine)[BV_ATTEMPT_TEXT_SIZE] = pointer;
    for (int i = 0; i < ROUNDS; i++) {
        bv_backend_prepare(&backend, BV_NETWORK_DENY_ALL);
        if (take(mine[i]) != 0) {
            mine[i][0] = '\0';
        }
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    bool unique = true;
    for (int i = 0; i < THREADS; i++) {
        unique = unique && pthread_create(&threads[i], NULL, take_many, taken[i]) == 0;
    }
    for (int i = 0; i < THREADS; i++) {
        unique = pthread_join(threads[i], NULL) == 0 && unique;
    }
    const char (*all)[BV_ATTEMPT_TEXT_SIZE] = taken[0];
    for (int i = 0; i < THREADS * ROUNDS; i++) {
        unique = unique && all[i][0] != '\0';
        for (int k = 0; k < i; k++) {
            unique = unique && strcmp(all[i], all[k]) != 0;
        }
    }
    tap_ok(unique, "threads that prepare and take at once never get the same");
}

int main(void)
{
    static const struct bv_backend_ops ops = { .abi_version = BV_BACKEND_ABI, .id = "test", .prepare = note };
    static const struct bv_backend_ops without = { .abi_version = BV_BACKEND_ABI, .id = "test" };
    char first[BV_ATTEMPT_TEXT_SIZE], again[BV_ATTEMPT_TEXT_SIZE], next[BV_ATTEMPT_TEXT_SIZE];
    backend.sys = &bv_sys_host;
    backend.ops = &ops;
    tap_ok(bv_attempts_init(&backend.attempts), "ids can be made");
    tap_ok(take(first) == 0 && strlen(first) == 32 && strspn(first, "0123456789abcdef") == 32,
           "an id is 32 lower-case hex digits");
    tap_ok(take(next) == 0 && strcmp(first, next) != 0, "the next one is another");
    bv_backend_prepare(&backend, BV_NETWORK_DENY_ALL);
    (void)snprintf(first, sizeof(first), "%s", prepared);
    bv_backend_prepare(&backend, BV_NETWORK_DENY_ALL);
    tap_ok(calls == 2 && strcmp(first, prepared) == 0, "until it is taken, an id is prepared for again");
    tap_ok(bv_attempts_take(&backend, BV_NETWORK_ALLOW_ALL, next) == 0 && strcmp(first, next) != 0,
           "a run of the other kind of network does not get it");
    tap_ok(take(again) == 0 && strcmp(first, again) == 0, "the run that it was prepared for does");
    backend.ops = &without;
    bv_backend_prepare(&backend, BV_NETWORK_DENY_ALL);
    bv_backend_prepare(NULL, BV_NETWORK_DENY_ALL);
    tap_ok(calls == 2, "a backend that prepares nothing is not asked");
    struct bv_sys broken = bv_sys_host;
    broken.random = no_random;
    backend.sys = &broken;
    backend.ops = &ops;
    bv_backend_prepare(&backend, BV_NETWORK_DENY_ALL);
    tap_ok(calls == 2 && take(next) == -EIO, "without random numbers there is none");
    backend.sys = &bv_sys_host;
    tap_ok(take(next) == 0 && strlen(next) == 32, "and the failure leaves nothing half made");
    test_threads();
    bv_attempts_done(&backend.attempts);
    return tap_done();
}
