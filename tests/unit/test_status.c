/* tests/unit/test_status.c - status messages: round trip, exact bytes, refusal of what is not one;
 * names of stages. */
#include "launchwire/status.h"

#include "support/tap.h"

static void test_round_trip(void)
{
    const struct bv_status_message message = {
        .type = BV_MSG_FAILED,
        .stage = BV_STAGE_MOUNT_DEST,
        .error = 2,
        .values = { 1, 2, 3, 4, 5, 6, 7, UINT64_MAX },
    };
    struct bv_status_message got;
    uint8_t bytes[BV_STATUS_BYTES + 1] = { 0 };

    bv_status_encode(&message, bytes);
    tap_ok(memcmp(bytes, "BVS1\x01\0\0\0\x0a\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0", 24) == 0,
           "the bytes are as specified");
    tap_ok(bv_status_decode(bytes, BV_STATUS_BYTES, &got) &&
               memcmp(&got, &message, sizeof(got)) == 0,
           "a message decodes to itself");
    tap_ok(!bv_status_decode(bytes, BV_STATUS_BYTES - 1, &got) &&
               !bv_status_decode(bytes, BV_STATUS_BYTES + 1, &got) &&
               !bv_status_decode(bytes, 0, &got),
           "any other length is refused");
    bytes[0] ^= 1;
    tap_ok(!bv_status_decode(bytes, BV_STATUS_BYTES, &got), "a wrong magic is refused");
}

static void test_types(void)
{
    struct bv_status_message message = { .error = -1 }, got = { .type = 77 };
    uint8_t bytes[BV_STATUS_BYTES];
    unsigned good = 0;

    for (uint32_t type = 0; type < 300; type++) {
        message.type = type;
        bv_status_encode(&message, bytes);
        good += bv_status_decode(bytes, sizeof(bytes), &got);
    }
    tap_ok(good == 17 && got.type == BV_MSG_STAGE_TRIED && got.error == -1,
           "the seventeen types are accepted and no other");
}

static void test_stages(void)
{
    tap_text(bv_stage_name(BV_STAGE_FRAME), "reading the launch frame", "a stage has a name");
    tap_text(bv_stage_name(0), "unknown stage", "0 is none");
    tap_text(bv_stage_name(UINT32_MAX), "unknown stage", "nor is a number of the future");
}

int main(void)
{
    test_round_trip();
    test_types();
    test_stages();
    return tap_done();
}
