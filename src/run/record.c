/* run/record.c - the runner's events: what was started and what came of it. CONTRACT.md 11.
 *
 * Who supervises (pid, start time) is written for a person who reads the record; that it lives is said by the journal's lock alone. */
#include "run/record.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"
#include "contract/event.h"
#include "host/host.h"
#include "run/refuse.h"
#include "sys/sys.h"

static const char *exe_of(const struct bv_spec *spec)
{
    return spec->workload.path ? spec->workload.path : ""; /* a module of bytes has none */
}

static void put_start(struct bv_buf *buf, const struct bv_plan *plan)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "backend", bv_plan_backend(plan));
    bv_emit_text(&emit, "exe", exe_of(bv_plan_spec(plan)));
    bv_emit_text(&emit, "plan_id", bv_plan_id(plan));
    bv_emit_object(&emit, "supervisor");
    bv_emit_number(&emit, "pid", (uint64_t)getpid());
    bv_emit_number(&emit, "uid", bv_sys_host.effective_uid());
    bv_emit_text(&emit, "version", BV_VERSION_STRING);
    bv_emit_end(&emit);
    bv_emit_end(&emit);
}

enum bv_status bv_record_start(struct bv_journal *journal, const struct bv_plan *plan, const char *attempt, struct bv_error *error)
{
    if (!journal) {
        return BV_OK;
    }
    char *document = NULL;
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    put_start(&payload, plan);
    enum bv_status status = payload.failed ? bv_fail_nomem(error) : bv_plan_json(plan, &document, error);
    if (status == BV_OK) {
        struct bv_error why = { 0 };
        status = bv_journal_append(journal, attempt, BV_EVENT_STARTED, payload.data, document, &why);
        if (status != BV_OK) {
            (void)bv_fail(error, status, why.place, "nothing ran: its start cannot be recorded: %.100s", why.text);
        }
    }
    bv_free(document);
    bv_buf_done(&payload);
    return status;
}

enum bv_status bv_record_report(struct bv_journal *journal, const char *attempt, const struct bv_report *report, struct bv_error *error)
{
    if (!journal) {
        return BV_OK;
    }
    char *document = NULL;
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_report(&payload, bv_report_body_hash(report), bv_report_exit_status(report), bv_outcome_name(bv_report_outcome(report)));
    enum bv_status status = payload.failed ? bv_fail_nomem(error) : bv_report_json(report, &document, error);
    if (status == BV_OK) {
        status = bv_journal_append(journal, attempt, BV_EVENT_REPORT, payload.data, document, error);
    }
    bv_free(document);
    bv_buf_done(&payload);
    return status;
}

/* ---- dispositions ---- */

/* An attempt that the journal does not know was run without a record, and its disposition has none either. */
static bool is_known(const struct trail *trail)
{
    return trail->started || trail->cut;
}

static enum bv_status append_disposition(struct bv_journal *journal, const char *attempt, const char *decision, const char *state, const char *detail,
                                         struct bv_error *error)
{
    struct bv_buf payload;
    bv_buf_init(&payload, BV_EVENT_MAX_BYTES);
    bv_event_payload_disposition(&payload, decision, state, detail);
    const enum bv_status status =
        payload.failed ? bv_fail_nomem(error) : bv_journal_append(journal, attempt, BV_EVENT_DISPOSITION, payload.data, NULL, error);
    bv_buf_done(&payload);
    return status;
}

/* Settling a crash asks again for what was decided already. */
static enum bv_status record_decided(void *context, const char *attempt, const char *decision, struct bv_error *error)
{
    struct trail trail;
    const enum bv_status status = bv_journal_trail(context, attempt, &trail, error);
    if (status != BV_OK || !is_known(&trail) || trail.disposition == TRAIL_DECIDED) {
        return status;
    }
    return append_disposition(context, attempt, decision, "decided", "", error);
}

static enum bv_status record_settled(void *context, const char *attempt, const char *decision, bool applied, const char *detail,
                                     struct bv_error *error)
{
    struct trail trail;
    const enum bv_status status = bv_journal_trail(context, attempt, &trail, error);
    if (status != BV_OK || trail.disposition != TRAIL_DECIDED) { /* never recorded as decided, or told already */
        return status;
    }
    const enum bv_status appended = append_disposition(context, attempt, decision, applied ? "applied" : "failed", detail, error);
    if (appended == BV_OK) { /* the next one may be another process's */
        bv_journal_let_go(context, attempt);
    }
    return appended;
}

void bv_record_events(struct bv_journal *journal, struct bv_store_events *ret_events)
{
    *ret_events = (struct bv_store_events){ .context = journal, .decided = record_decided, .settled = record_settled };
}

void bv_store_record_in(struct bv_store *store, struct bv_journal *journal)
{
    struct bv_store_events events;
    bv_record_events(journal, &events);
    bv_store_set_events(store, journal ? &events : NULL);
}

void bv_record_end(struct bv_journal *journal, const char *attempt)
{
    bv_journal_let_go(journal, attempt);
}

/* ---- the workload must not write its own record ---- */

static bool is_inside(const char *outer, const char *inner)
{
    const size_t size = strlen(outer);
    return strncmp(outer, inner, size) == 0 && (inner[size] == '/' || inner[size] == '\0');
}

static enum bv_status check_tree(const struct bv_journal *journal, const char *backend_id, const char *path, const char *what,
                                 struct bv_refusal **refusal, struct bv_error *error)
{
    const char *dir = bv_journal_directory(journal);
    if (!is_inside(path, dir) && !is_inside(dir, path)) {
        return BV_OK;
    }
    char why[400];
    (void)snprintf(why, sizeof(why), "the journal in %.150s would be in the workload's hands: it may write below %.150s", dir, path);
    return bv_refuse_item(refusal, BV_REFUSED_INVALID_POLICY, backend_id, what, NULL, why,
                          "keep the journal elsewhere with --journal DIR, or no record with --no-journal", error);
}

enum bv_status bv_record_check(const struct bv_journal *journal, const char *backend_id, const struct bv_intent *intent,
                               struct bv_refusal **refusal, struct bv_error *error)
{
    enum bv_status status = BV_OK;
    for (size_t i = 0; journal && status == BV_OK && i < intent->root_count; i++) {
        if (intent->roots[i].access != BV_ACCESS_READ) {
            status = check_tree(journal, backend_id, intent->roots[i].path, bv_requirement_name(BV_REQ_FILESYSTEM), refusal, error);
        }
    }
    for (size_t i = 0; journal && status == BV_OK && i < intent->expose_count; i++) {
        if (intent->exposes[i].access != BV_ACCESS_READ) {
            status = check_tree(journal, backend_id, intent->exposes[i].source, bv_requirement_name(BV_REQ_EXPOSE_PATH), refusal, error);
        }
    }
    return status;
}
