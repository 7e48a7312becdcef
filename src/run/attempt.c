/* run/attempt.c - the ids of attempts: 128 random bits each, drawn before the run where something is prepared for it under its name.
 *
 * One id waits for each kind of network at most. Whoever starts a run takes it, and no id is given out twice: the lock is held
 * while a backend prepares, so that nothing is prepared under an id that has a run already. CONTRACT.md 10. */
#include "run/instance.h"

#include <stdio.h>

#include "base/error.h"

#define ATTEMPT_BYTES 16

int bv_attempt_new(const struct bv_sys *sys, char text[BV_ATTEMPT_TEXT_SIZE])
{
    uint8_t bytes[ATTEMPT_BYTES];
    int r = sys->random(bytes, sizeof(bytes));
    for (size_t i = 0; r == 0 && i < sizeof(bytes); i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return r;
}

bool bv_attempts_init(struct bv_attempts *attempts)
{
    attempts->waiting[0][0] = attempts->waiting[1][0] = '\0';
    return pthread_mutex_init(&attempts->lock, NULL) == 0;
}

void bv_attempts_done(struct bv_attempts *attempts)
{
    (void)pthread_mutex_destroy(&attempts->lock);
}

static char *waiting_for(struct bv_attempts *attempts, enum bv_network_policy network)
{
    return attempts->waiting[network == BV_NETWORK_ALLOW_ALL];
}

void bv_backend_prepare(struct bv_backend *backend, enum bv_network_policy network)
{
    if (!backend || !backend->ops->prepare) {
        return;
    }
    struct bv_attempts *attempts = &backend->attempts;
    (void)pthread_mutex_lock(&attempts->lock);
    char *id = waiting_for(attempts, network);
    if (id[0] == '\0' && bv_attempt_new(backend->sys, id) < 0) {
        id[0] = '\0'; /* the run will say so */
    }
    if (id[0] != '\0') {
        backend->ops->prepare(backend->context, network, id);
    }
    (void)pthread_mutex_unlock(&attempts->lock);
}

int bv_attempts_take(struct bv_backend *backend, enum bv_network_policy network, char text[BV_ATTEMPT_TEXT_SIZE])
{
    struct bv_attempts *attempts = &backend->attempts;
    (void)pthread_mutex_lock(&attempts->lock);
    char *id = waiting_for(attempts, network);
    int r = id[0] == '\0' ? bv_attempt_new(backend->sys, id) : 0;
    if (r == 0) {
        bv_copy_text(text, BV_ATTEMPT_TEXT_SIZE, id);
    }
    id[0] = '\0';
    (void)pthread_mutex_unlock(&attempts->lock);
    return r;
}
