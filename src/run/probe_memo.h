/* run/probe_memo.h - when this backend last saw which machine: lets a run that follows its planning at once do without a second
 * probe (about 1 ms). Remembers one profile hash and its time; thread-safe behind its lock. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "canon/canon.h"

struct bv_probe_memo {
    pthread_mutex_t lock;
    char hash[BV_DIGEST_TEXT_SIZE]; /* "" until the first probe */
    uint64_t at_micros;             /* CLOCK_BOOTTIME: a suspended machine ages, too */
};

bool bv_probe_memo_init(struct bv_probe_memo *memo);
void bv_probe_memo_done(struct bv_probe_memo *memo);
void bv_probe_memo_store(struct bv_probe_memo *memo, const char *hash, uint64_t now_micros);
/* True when the machine was seen with this very profile at most max_age_micros ago. */
bool bv_probe_memo_holds(struct bv_probe_memo *memo, const char *hash, uint64_t now_micros,
                         uint64_t max_age_micros);
