/* contract/seal.c - canonicalise, hash, and answer for a sealed report.
 *
 * The body's canonical text is written once, hashed, and kept; the document is that same text between fixed bytes. So
 * what is printed is what was hashed, whatever a later writer would make of the tree. The observation is judged before
 * (audit.c); here nothing is decided any more. Specified by CONTRACT.md 10, exit statuses by INTERFACE.md 1. */
#include "contract/report.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/shape.h"
#include "contract/text.h"

#include <stdlib.h>
#include <string.h>

/* The report and its findings: of the plan, of the run and of the audit, each cut at 512 bytes. */
#define REPORT_ARENA_BYTES (BV_PLAN_MAX_BYTES + BV_FACTS_MAX * 640)

/* The canonical document: keys sorted, no space. */
#define DOCUMENT_HEAD   "{\"body\":"
#define DOCUMENT_MIDDLE ",\"body_hash\":\""
#define DOCUMENT_DISPOSITION ",\"disposition\":"
#define DOCUMENT_SCHEMA ",\"schema\":\"" BV_REPORT_SCHEMA "\""
#define DOCUMENT_SIGNED ",\"signature\":"
#define DOCUMENT_TAIL   "}"

static enum bv_status check_facts(const struct bv_seal_facts *facts, struct bv_error *error)
{
    if (!bv_shape_hex(facts->attempt, 32)) {
        return bv_fail(error, BV_E_INVALID, "attempt",
                       "an attempt id has 32 lower-case hex digits");
    }
    const char *times[] = { facts->started_at, facts->finished_at };
    for (size_t i = 0; i < BV_COUNT(times); i++) {
        if (!times[i] || !times[i][0] || strlen(times[i]) > 64 ||
            !bv_text_is_plain(times[i], strlen(times[i]))) {
            return bv_fail(error, BV_E_INVALID, "started_at",
                           "started_at and finished_at must be RFC 3339 times");
        }
    }
    return BV_OK;
}

static struct bv_report *report_new(void)
{
    struct bv_arena *arena = bv_arena_new(REPORT_ARENA_BYTES);
    struct bv_report *report = arena ? bv_arena_alloc(arena, sizeof(*report)) : NULL;
    if (!report) {
        bv_arena_free(arena);
        return NULL;
    }
    report->arena = arena;
    bv_buf_init(&report->body, BV_REPORT_MAX_BYTES - 768); /* the rest of the document */
    return report;
}

/* The plan's findings, then those of the run; the audit adds its own behind them. False: out of memory. */
static bool collect_findings(const struct bv_plan *plan, const struct bv_observation *observation,
                             struct finding_list *findings)
{
    bool ok = bv_finding_add_all(findings, &plan->findings);
    for (const struct observed_item *item = observation->findings.first; ok && item;
         item = item->next) {
        ok = bv_finding_add(findings, item->kind, item->detail);
    }
    return ok;
}

static bool seal(struct bv_report *report, const struct bv_plan *plan,
                 const struct bv_observation *observation, const struct bv_seal_facts *facts)
{
    struct finding_list findings = { .arena = report->arena };
    if (!collect_findings(plan, observation, &findings) ||
        !bv_audit(plan, observation, facts, &findings, &report->ending)) {
        return false;
    }
    bv_report_body(&report->body, plan, observation, facts, &report->ending, &findings);
    return bv_emit_digest(&report->body, report->body_hash);
}

enum bv_status bv_report_seal(const struct bv_plan *plan, const struct bv_observation *observation,
                              const struct bv_seal_facts *facts, struct bv_report **ret_report,
                              struct bv_error *error)
{
    if (!plan || !observation || !facts || !ret_report) {
        return bv_fail(error, BV_E_INVALID, "", "bv_report_seal: NULL argument");
    }
    enum bv_status status = check_facts(facts, error);
    if (status != BV_OK) {
        return status;
    }
    struct bv_report *report = report_new();
    if (!report || !seal(report, plan, observation, facts)) {
        bv_report_free(report);
        return bv_fail_nomem(error);
    }
    BV_ASSERT(bv_shape_digest(report->body_hash));
    *ret_report = report;
    return BV_OK;
}

void bv_report_free(struct bv_report *report)
{
    if (report) {
        bv_buf_done(&report->body);
        free(report->disposition);
        bv_arena_free(report->arena);
    }
}

bool bv_report_dispose(struct bv_report *report, const char *decided, bool applied, const char *detail)
{
    struct bv_buf buf;
    struct bv_emit emit;
    char clean[256];
    bv_buf_init(&buf, 4096);
    bv_emit_init(&emit, &buf);
    bv_emit_array(&emit, NULL);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "decided", decided);
    if (detail[0]) {
        bv_text_clean(clean, sizeof(clean), detail);
        bv_emit_text(&emit, "detail", clean);
    }
    bv_emit_text(&emit, "state", applied ? "applied" : "failed");
    bv_emit_end(&emit);
    bv_emit_end(&emit);
    char *text = bv_buf_take(&buf);
    if (text) {
        free(report->disposition);
        report->disposition = text;
    }
    return text != NULL;
}

enum bv_outcome bv_report_outcome(const struct bv_report *report)
{
    return report->ending.outcome;
}

struct bv_exit bv_report_exit(const struct bv_report *report)
{
    return report->ending.exit;
}

const char *bv_report_body_hash(const struct bv_report *report)
{
    return report->body_hash;
}

static int own_status(const struct bv_exit *exit)
{
    switch (exit->kind) {
    case BV_EXIT_NONE: return 0;
    case BV_EXIT_CODE: return exit->value & 0xff;
    case BV_EXIT_SIGNAL: return 128 + exit->value; /* 1 to 64: the audit saw to it */
    case BV_EXIT_TRAP: return 134;
    }
    BV_UNREACHABLE();
}

int bv_report_exit_status(const struct bv_report *report)
{
    switch (report->ending.outcome) {
    case BV_OUTCOME_COMPLETED:
    case BV_OUTCOME_FAILED: return own_status(&report->ending.exit);
    case BV_OUTCOME_DENIED: return 159;
    case BV_OUTCOME_TIMEOUT: return 124;
    case BV_OUTCOME_KILLED: return 137;
    case BV_OUTCOME_UNSUPPORTED: return 126;
    case BV_OUTCOME_SUPERVISOR_FAULT: return 125;
    }
    BV_UNREACHABLE();
}

enum bv_status bv_report_json(const struct bv_report *report, char **ret_text,
                              struct bv_error *error)
{
    if (!report || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "bv_report_json: NULL argument");
    }
    struct bv_buf text;
    bv_buf_init(&text, BV_REPORT_MAX_BYTES);
    (void)bv_buf_reserve(&text, report->body.size + sizeof(DOCUMENT_HEAD DOCUMENT_MIDDLE DOCUMENT_TAIL) + BV_DIGEST_TEXT_SIZE);
    (void)bv_buf_text(&text, DOCUMENT_HEAD);
    (void)bv_buf_add(&text, report->body.data, report->body.size);
    (void)bv_buf_text(&text, DOCUMENT_MIDDLE);
    (void)bv_buf_text(&text, report->body_hash);
    (void)bv_buf_text(&text, "\"");
    if (report->disposition) {
        (void)bv_buf_text(&text, DOCUMENT_DISPOSITION);
        (void)bv_buf_text(&text, report->disposition);
    }
    (void)bv_buf_text(&text, DOCUMENT_SCHEMA);
    if (report->signature[0]) {
        (void)bv_buf_text(&text, DOCUMENT_SIGNED);
        (void)bv_buf_text(&text, report->signature);
    }
    (void)bv_buf_text(&text, DOCUMENT_TAIL);
    char *document = bv_buf_take(&text); /* NULL if any of these failed */
    if (!document) {
        return bv_fail_nomem(error);
    }
    *ret_text = document;
    return BV_OK;
}
