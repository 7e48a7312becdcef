/* wasi/random.c - random_get: the kernel's generator, or bytes that are a function of a seed.
 *
 * The seeded bytes serve repeatable runs and nothing else: splitmix64 (Steele, Lea and Flood 2014) over a counter. */
#include "wasi/state.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t seeded_word(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill_seeded(struct bv_wasi *wasi, uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++, wasi->random_counter++) {
        const uint64_t word = seeded_word(wasi->options.seed, wasi->random_counter / 8);
        at[i] = (uint8_t)(word >> (8 * (wasi->random_counter % 8)));
    }
}

static int fill_random(uint8_t *at, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = getrandom(at + done, size - done, 0);
        if (n < 0 && errno != EINTR) {
            return wasi_errno(errno);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return WASI_SUCCESS;
}

int wasi_random_get(struct wasi_call *call)
{
    struct bv_wasi *wasi = call->wasi;
    const uint32_t size = call->args[1].i32;
    uint8_t *at = wasi_memory(call, call->args[0].i32, size);
    if (!at) {
        return WASI_EFAULT;
    }
    const uint64_t left = size - wasi->pending_done;
    const size_t piece = left < WASI_PIECE_BYTES ? (size_t)left : WASI_PIECE_BYTES;
    int result = WASI_SUCCESS;
    if (wasi->options.seeded) {
        fill_seeded(wasi, at + wasi->pending_done, piece);
    } else {
        result = fill_random(at + wasi->pending_done, piece);
    }
    wasi_charge_bytes(call, piece);
    wasi->pending_done += piece;
    return result == WASI_SUCCESS && wasi->pending_done < size ? wasi_go_on(call) : result;
}
