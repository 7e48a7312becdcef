/* launchwire/status.c - the codec of the messages between launcher, init, workload stub and
 * supervisor.
 *
 * One record, BV_STATUS_BYTES long, specified in status.h. A record is valid if and only if its
 * length, magic and type are known; the stage is evidence for a person and is not checked, so that
 * a newer launcher's stage is still printable. */
#include "launchwire/status.h"

#include "base/bytes.h"
#include "base/check.h"

_Static_assert(BV_STATUS_BYTES == 4 * 4 + 8 * 8, "a record is four words and eight values");

const char *bv_stage_name(uint32_t stage)
{
    switch (stage) {
#define BV_STAGE_CASE(number, name, text)                                                          \
    case number: return text;
        BV_STAGE_TABLE(BV_STAGE_CASE)
#undef BV_STAGE_CASE
    }
    return "unknown stage";
}

void bv_status_encode(const struct bv_status_message *message, uint8_t bytes[BV_STATUS_BYTES])
{
    struct bv_writer w = { .data = bytes, .size = BV_STATUS_BYTES };

    bv_write_u32(&w, BV_STATUS_MAGIC);
    bv_write_u32(&w, message->type);
    bv_write_u32(&w, message->stage);
    bv_write_u32(&w, (uint32_t)message->error);
    for (size_t i = 0; i < BV_COUNT(message->values); i++) {
        bv_write_u64(&w, message->values[i]);
    }
    BV_ASSERT(!w.bad);
    BV_ASSERT(w.at == BV_STATUS_BYTES);
}

bool bv_status_decode(const uint8_t *bytes, size_t size, struct bv_status_message *ret_message)
{
    struct bv_reader r = { .data = bytes, .size = size };
    struct bv_status_message message;

    if (size != BV_STATUS_BYTES || bv_read_u32(&r) != BV_STATUS_MAGIC) {
        return false;
    }
    message.type = bv_read_u32(&r);
    message.stage = bv_read_u32(&r);
    message.error = (int32_t)bv_read_u32(&r);
    for (size_t i = 0; i < BV_COUNT(message.values); i++) {
        message.values[i] = bv_read_u64(&r);
    }
    BV_ASSERT(!r.bad);
    if (message.type < BV_MSG_FAILED || message.type > BV_MSG_STAGE_TRIED) {
        return false;
    }
    *ret_message = message;
    return true;
}
