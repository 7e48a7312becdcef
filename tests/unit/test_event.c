/* test_event.c - events written and read back, what is refused, and what a row of them amounts to. */
#include "contract/event.h"

#include <string.h>

#include "support/tap.h"

#define ATTEMPT "0123456789abcdef0123456789abcdef"
#define HASH    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STARTED "{\"backend\":\"linux\",\"exe\":\"/bin/x\",\"plan_id\":\"p\",\"supervisor\":{}}"
#define REPORT  "{\"body_hash\":\"h\",\"exit_status\":0,\"outcome\":\"completed\"}"

static bool step(struct trail *trail, enum bv_event_kind kind, const char *payload)
{
    struct event event = { .kind = kind, .attempt = ATTEMPT, .at = "now" };
    event.root = json_loads(payload, 0, NULL);
    event.payload = event.root;
    bool good = bv_trail_step(trail, &event);
    bv_event_done(&event);
    return good;
}

static bool dispose(struct trail *trail, const char *decided, const char *state)
{
    struct bv_buf payload;
    bv_buf_init(&payload, 4096);
    bv_event_payload_disposition(&payload, decided, state, "");
    bool good = step(trail, BV_EVENT_DISPOSITION, payload.data);
    bv_buf_done(&payload);
    return good;
}

static void round_trip(void)
{
    const struct event_facts facts = { .seq = 7, .kind = BV_EVENT_STARTED, .attempt = ATTEMPT, .at = "2026-01-01T00:00:00.000000Z",
                                       .payload = STARTED, .document = HASH, .previous = HASH };
    struct bv_buf text;
    struct event event;
    bv_buf_init(&text, BV_EVENT_MAX_BYTES);
    bv_event_emit(&text, &facts);
    tap_ok(!text.failed && bv_event_read(text.data, text.size, &event, NULL) == BV_OK, "an event is read back");
    tap_ok(event.seq == 7 && event.kind == BV_EVENT_STARTED && strcmp(event.attempt, ATTEMPT) == 0 && strcmp(event.document, HASH) == 0,
           "as it was written");
    bv_event_done(&event);
    size_t taken = 0;
    for (size_t at = 0; at < text.size; at++) { /* whatever is still an event says something else: its hash is another */
        text.data[at] = (char)(text.data[at] ^ 1);
        struct bv_error error = { 0 };
        enum bv_status status = bv_event_read(text.data, text.size, &event, &error);
        if (status == BV_OK) {
            taken++;
            bv_event_done(&event);
        } else if (status != BV_E_CORRUPT) {
            tap_ok(false, "byte %zu: %s", at, error.text);
        }
        text.data[at] = (char)(text.data[at] ^ 1);
    }
    tap_ok(taken < text.size, "most changed bytes make no event at all: %zu of %zu do", taken, text.size);
    text.data[text.size - 1] = ' ';
    tap_ok(bv_event_read(text.data, text.size, &event, NULL) == BV_E_CORRUPT, "a torn one is none");
    bv_buf_done(&text);
}

static void refused(void)
{
    static const char *const texts[] = {
        "", "{}", "[]", "null", "{\"seq\":1}",
        "{\"at\":\"t\",\"attempt\":\"" ATTEMPT "\",\"document\":null,\"kind\":\"report\",\"payload\":{},\"previous\":\"" HASH
        "\",\"schema\":\"bvisor.event/1\",\"seq\":1}",
        "{\"at\":\"t\",\"attempt\":\"\",\"document\":null,\"kind\":\"report\",\"payload\":" REPORT ",\"previous\":\"" HASH
        "\",\"schema\":\"bvisor.event/1\",\"seq\":1}",
        "{\"at\":\"t\",\"attempt\":\"" ATTEMPT "\",\"document\":null,\"kind\":\"report\",\"payload\":" REPORT ",\"previous\":\"" HASH
        "\",\"schema\":\"bvisor.event/2\",\"seq\":1}",
        "{ \"at\":\"t\",\"attempt\":\"" ATTEMPT "\",\"document\":null,\"kind\":\"report\",\"payload\":" REPORT ",\"previous\":\"" HASH
        "\",\"schema\":\"bvisor.event/1\",\"seq\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct event event;
        tap_ok(bv_event_read(texts[i], strlen(texts[i]), &event, NULL) == BV_E_CORRUPT, "no event: %.40s", texts[i]);
    }
}

static void trails(void)
{
    struct trail trail = { 0 };
    tap_ok(!step(&trail, BV_EVENT_REPORT, REPORT), "a report without a start");
    trail = (struct trail){ .cut = true };
    tap_ok(step(&trail, BV_EVENT_REPORT, REPORT), "may be where older events were dropped");
    trail = (struct trail){ 0 };
    tap_ok(step(&trail, BV_EVENT_STARTED, STARTED) && bv_trail_is_open(&trail), "a start is open");
    tap_ok(!dispose(&trail, "commit", "decided"), "nothing is decided before the report");
    trail = (struct trail){ 0 };
    tap_ok(step(&trail, BV_EVENT_STARTED, STARTED) && !step(&trail, BV_EVENT_STARTED, STARTED), "a second start");
    trail = (struct trail){ 0 };
    tap_ok(step(&trail, BV_EVENT_STARTED, STARTED) && step(&trail, BV_EVENT_REPORT, REPORT) && !bv_trail_is_open(&trail), "a report ends it");
    tap_ok(dispose(&trail, "commit", "decided") && bv_trail_is_open(&trail), "a decision opens it again");
    tap_ok(dispose(&trail, "commit", "failed") && !bv_trail_is_open(&trail), "until it is settled");
    tap_ok(dispose(&trail, "discard", "decided") && dispose(&trail, "discard", "applied"), "a failed one may be decided anew");
    tap_ok(dispose(&trail, "commit", "decided") && dispose(&trail, "commit", "applied"), "and so may the rest, after some of its paths were applied");
    trail = (struct trail){ 0 };
    tap_ok(step(&trail, BV_EVENT_STARTED, STARTED) && step(&trail, BV_EVENT_RECOVERY, "{\"settled\":\"rolled_back\",\"swept\":[]}") &&
               !bv_trail_is_open(&trail),
           "a recovery ends it");
    tap_ok(!step(&trail, BV_EVENT_REPORT, REPORT), "and nothing comes after");
}

int main(void)
{
    round_trip();
    refused();
    trails();
    return tap_done();
}
