/* fuzz/fuzz_journal.c - any bytes as an event of a journal: what is taken is, byte for byte, what would be written for it. */
#include "contract/event.h"

#include "check.h"

#include <bvisor/sign.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event event;
    struct bv_error error = { 0 };
    struct bv_journal_head head;
    enum bv_status status = bv_event_read((const char *)data, size, &event, &error);
    FUZZ_CHECK(status == BV_OK || (status == BV_E_CORRUPT && error.text[0] && !strchr(error.text, '\n')));
    if (status == BV_OK) {
        char *payload = bv_json_text(event.payload, BV_EVENT_MAX_BYTES);
        FUZZ_CHECK(payload);
        const struct event_facts facts = { .seq = event.seq, .kind = event.kind, .attempt = event.attempt, .at = event.at, .payload = payload,
                                           .document = event.document, .previous = event.previous };
        struct bv_buf text;
        bv_buf_init(&text, BV_EVENT_MAX_BYTES);
        bv_event_emit(&text, &facts);
        FUZZ_CHECK(!text.failed && text.size == size && memcmp(text.data, data, size) == 0);
        struct trail trail = { .cut = size % 2 };
        (void)bv_trail_step(&trail, &event);
        (void)bv_trail_step(&trail, &event);
        for (int staged = RECONCILE_STAGED_NONE; staged <= RECONCILE_STAGED_KEPT; staged++) {
            (void)bv_reconcile(&trail, false, (enum reconcile_staged)staged);
        }
        bv_buf_done(&text);
        bv_free(payload);
        bv_event_done(&event);
    }
    (void)!bv_head_read((const char *)data, size, NULL, &head, NULL);
    return 0;
}
