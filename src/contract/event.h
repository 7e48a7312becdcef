/* contract/event.h - one event of a journal as text, and what a row of events of one attempt amounts to. docs/format-journal.md. */
#pragma once

#include <bvisor/host.h>

#include "canon/emit.h"

#define BV_EVENT_SCHEMA    "bvisor.event/1"
#define BV_EVENT_MAX_BYTES (4u << 20) /* a recovery lists what it swept; everything else is small */

struct event_facts { /* for writing */
    uint64_t seq;
    enum bv_event_kind kind;
    const char *attempt, *at;
    const char *payload;  /* canonical object */
    const char *document; /* its digest, NULL without one */
    const char *previous; /* digest of the event before; of nothing for the first */
};
/* Appended to buf, which says whether it failed. */
void bv_event_emit(struct bv_buf *buf, const struct event_facts *facts);

struct event { /* read; texts live as long as root */
    json_t *root;
    uint64_t seq;
    enum bv_event_kind kind;
    const char *attempt, *at, *document /* NULL */, *previous;
    const json_t *payload;
};
/* Valid if and only if the text is, byte for byte, what bv_event_emit() writes for what it says, and the payload is of its kind's shape.
 * BV_E_CORRUPT, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_event_read(const char *text, size_t size, struct event *ret_event, struct bv_error *error);
void bv_event_done(struct event *event); /* for BV_AUTO as well */
const char *bv_event_kind_name(enum bv_event_kind kind);
/* Payloads, canonical objects appended to buf. */
void bv_event_payload_report(struct bv_buf *buf, const char *body_hash, int exit_status, const char *outcome);
void bv_event_payload_disposition(struct bv_buf *buf, const char *decided, const char *state, const char *detail);
void bv_event_payload_recovery(struct bv_buf *buf, const char *settled, const char *swept);
void bv_event_payload_retention(struct bv_buf *buf, uint64_t through_seq, const char *through_hash, uint64_t dropped);

/* ---- the events of one attempt, taken together ---- */

enum trail_disposition { TRAIL_UNDECIDED, TRAIL_DECIDED, TRAIL_APPLIED, TRAIL_FAILED };
struct trail {
    bool cut;      /* older events were dropped by retention: the start may be missing */
    bool started, reported, recovered;
    bool contradictory;
    enum trail_disposition disposition;
    bool discard;        /* what was decided */
    char settled[24];    /* of a recovery */
    char outcome[24];    /* of a report */
    char started_at[40];
    char exe[256];       /* cut */
};
/* Takes the next event in. False: it does not follow from those before it; the trail is contradictory from then on. */
bool bv_trail_step(struct trail *trail, const struct event *event);
/* Something is left to do for it: it has no end, or a disposition was decided and not settled. */
bool bv_trail_is_open(const struct trail *trail);

/* contract/reconcile.c. The pure decision of recovery: what the events say and what the machine says, in; the next thing to do, out. It is asked again
 * after each until it answers one that ends. */
enum reconcile_staged { /* the attempt's quarantine */
    RECONCILE_STAGED_NONE,
    RECONCILE_STAGED_LIVE,   /* somebody works on it */
    RECONCILE_STAGED_LOOSE,  /* cut off without a list, or inside a commit or a discard */
    RECONCILE_STAGED_LISTED, /* the run was over; nobody had kept it or decided about it */
    RECONCILE_STAGED_KEPT,
};
enum reconcile_action {
    RECONCILE_NOTHING,       /* settled, or nothing is known of it */
    RECONCILE_WAIT,          /* its supervisor lives, or another recovery is at it */
    RECONCILE_SETTLE_STAGED, /* finish or undo what was decided, drop what has no list; its end is recorded on the way */
    RECONCILE_DROP_STAGED,   /* nobody can come back to it */
    RECONCILE_KEEP_STAGED,   /* its report is recorded: it waits for a decision as if the crash had been a moment later */
    RECONCILE_SAY_APPLIED,   /* a decided discard, and nothing is there any more */
    RECONCILE_SAY_FAILED,    /* decided, and all is as before */
    RECONCILE_ROLL_BACK,     /* started alone: sweep, record rolled_back */
    RECONCILE_REFUSE,        /* contradictory: touch nothing, record canonical_refusal */
};
enum reconcile_action bv_reconcile(const struct trail *trail, bool alive, enum reconcile_staged staged);
