/* fuzz/fuzz_frame.c - the launch frame: whatever decodes must encode to the very same bytes.
 *
 * A digest stands before everything else, so plain bytes would never pass it: the input is tried
 * once as a frame and once as a payload under a header that fits. */
#include "canon/canon.h"
#include "launchwire/frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 48u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *bytes, size_t size)
{
    static struct bv_frame frame;
    uint8_t *again;

    if (!bv_frame_decode(bytes, size, &frame)) {
        return;
    }
    if (bv_frame_size(&frame) != size || frame.args[frame.arg_count] ||
        frame.env[frame.env_count]) {
        abort();
    }
    again = malloc(size);
    if (again && (!bv_frame_encode(&frame, again, size) || memcmp(again, bytes, size) != 0)) {
        abort();
    }
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t total = size + HEADER;
    struct bv_sha256 ctx;
    uint8_t *wrapped;

    check(data, size);
    if (total > BV_FRAME_MAX_BYTES || !(wrapped = malloc(total))) {
        return 0;
    }
    memcpy(wrapped, "BVFRAME1", 8);
    for (unsigned i = 0; i < 4; i++) {
        wrapped[8 + i] = (uint8_t)(BV_FRAME_VERSION >> (8 * i));
        wrapped[12 + i] = (uint8_t)(total >> (8 * i));
    }
    if (size > 0) {
        memcpy(wrapped + HEADER, data, size);
    }
    bv_sha256_init(&ctx);
    bv_sha256_update(&ctx, wrapped + HEADER, size);
    bv_sha256_final(&ctx, wrapped + 16);
    check(wrapped, total);
    free(wrapped);
    return 0;
}
