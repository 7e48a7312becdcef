/* run/probe_memo.c - the last probe of a backend: its profile hash and its time. No system call: the caller brings the clock. */
#include "run/probe_memo.h"

#include <string.h>

#include "base/error.h"

bool bv_probe_memo_init(struct bv_probe_memo *memo)
{
    memo->hash[0] = '\0';
    memo->at_micros = 0;
    return pthread_mutex_init(&memo->lock, NULL) == 0;
}

void bv_probe_memo_done(struct bv_probe_memo *memo)
{
    (void)pthread_mutex_destroy(&memo->lock);
}

void bv_probe_memo_store(struct bv_probe_memo *memo, const char *hash, uint64_t now_micros)
{
    (void)pthread_mutex_lock(&memo->lock);
    bv_copy_text(memo->hash, sizeof(memo->hash), hash);
    memo->at_micros = now_micros;
    (void)pthread_mutex_unlock(&memo->lock);
}

bool bv_probe_memo_holds(struct bv_probe_memo *memo, const char *hash, uint64_t now_micros,
                         uint64_t max_age_micros)
{
    (void)pthread_mutex_lock(&memo->lock);
    bool holds = memo->hash[0] != '\0' && strcmp(memo->hash, hash) == 0 &&
                 now_micros >= memo->at_micros && now_micros - memo->at_micros <= max_age_micros;
    (void)pthread_mutex_unlock(&memo->lock);
    return holds;
}
