/* cli/notes.c - the few lines after a run that did not complete: which budget ended it, what was
 * denied, which grant would have allowed it. INTERFACE.md 1. */
#include "cli/render.h"

#include <bvisor/plan.h>
#include <bvisor/spec.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "cli/values.h"

#define NOTED_DENIALS 8 /* a screen is for people; the report has all of them */

/* A detail begins with the name of the refused call where one is known, and then says with what. */
static bool begins(const char *detail, const char *word)
{
    size_t size = strlen(word);
    return strncmp(detail, word, size) == 0 && (detail[size] == '\0' || detail[size] == ' ');
}

/* Making tasks can be granted; controlling others, entering or making namespaces cannot. */
static bool is_new_task(const char *detail)
{
    return begins(detail, "clone") || begins(detail, "clone3") || begins(detail, "fork") ||
           begins(detail, "vfork");
}

/* Every network policy but none has the ordinary internet sockets, and no policy any other. */
static bool is_grantable_network(const char *detail)
{
    if (!begins(detail, "socket") && !begins(detail, "socketpair")) {
        return true;
    }
    return strstr(detail, " AF_INET") != NULL && strstr(detail, "SOCK_RAW") == NULL;
}

const char *cli_grant_for(const char *kind, const char *detail)
{
    static const struct {
        enum bv_requirement_kind kind;
        const char *grant;
    } rows[] = {
        { BV_REQ_FILESYSTEM, "--ro, --rw or --rx of that path" },
        { BV_REQ_NETWORK_DENY_ALL, "--net all" },
        { BV_REQ_NETWORK_ALLOW_LIST, "--net HOST:PORT" },
        { BV_REQ_SPAWN_DENY_NEW_TASKS, "--spawn any" },
        { BV_REQ_SPAWN_ALLOW_THREADS, "--spawn any" },
        { BV_REQ_INHERITED_FDS_NONE, "--keep-fd N" },
        { BV_REQ_INHERITED_FDS_ONLY, "--keep-fd N" },
    };
    size_t row = 0;
    while (row < sizeof rows / sizeof rows[0] &&
           strcmp(kind, bv_requirement_name(rows[row].kind)) != 0) {
        row++;
    }
    if (row == sizeof rows / sizeof rows[0]) {
        return "";
    }
    bool spawn = strncmp(kind, "spawn_", 6) == 0, network = strncmp(kind, "network_", 8) == 0;
    bool files = rows[row].kind == BV_REQ_FILESYSTEM; /* without a path it is about mounts */
    bool grantable = spawn     ? is_new_task(detail)
                     : network ? is_grantable_network(detail)
                     : files   ? strchr(detail, '/') != NULL
                               : true;
    return grantable ? rows[row].grant : "";
}

static bool is_reached(const json_t *budget, enum bv_dimension dimension)
{
    const char *finding = cli_text_at(cli_at(budget, bv_dimension_name(dimension)), "finding");
    return strcmp(finding, "limit_reached_enforced") == 0 ||
           strcmp(finding, "exceeded_within_mediated_overshoot") == 0 ||
           strcmp(finding, "enforcement_fault") == 0;
}

static void note_limit(const json_t *budget, const char *outcome, enum bv_dimension dimension)
{
    const char *name = bv_dimension_name(dimension);
    char text[128] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    if (out != NULL) {
        const struct cli_page page = { out, false };
        cli_put_figure(&page, name, cli_at(cli_at(budget, name), "limit"), 0);
        (void)fclose(out);
    }
    cli_note("%s: the %s limit of %s was reached (raise it with --%s)", outcome, name, text,
             cli_dimension_option(dimension));
}

/* Budgets that were reached: the clocks end a run as timeout and the others as killed, and a run
 * that failed may have done so because a limit refused it something. */
static void note_limits(const json_t *body, const char *outcome)
{
    const json_t *budget = cli_at(body, "budget");
    bool timeout = strcmp(outcome, "timeout") == 0, killed = strcmp(outcome, "killed") == 0;
    bool noted = false;
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        bool clock = i == BV_WALL_MICROS || i == BV_CPU_MICROS;
        bool fits = timeout ? clock : !killed || !clock;
        if (fits && is_reached(budget, (enum bv_dimension)i)) {
            note_limit(budget, outcome, (enum bv_dimension)i);
            noted = true;
        }
    }
    if (!noted && timeout) {
        cli_note("timeout: the time limit was reached");
    } else if (!noted && killed) {
        cli_note("killed: the run was cancelled");
    }
}

static void note_denied(const json_t *denied)
{
    size_t count = json_array_size(denied);
    for (size_t i = 0; i < count && i < NOTED_DENIALS; i++) {
        const json_t *item = json_array_get(denied, i);
        const char *kind = cli_text_at(item, "kind"), *detail = cli_text_at(item, "detail");
        const char *grant = cli_grant_for(kind, detail);
        json_int_t times = json_integer_value(cli_at(item, "count"));
        char often[40] = "";
        if (times > 1) {
            (void)snprintf(often, sizeof often, ", %" JSON_INTEGER_FORMAT " times", times);
        }
        cli_note(grant[0] == '\0' ? "denied: %s: %s%s (nothing grants this)"
                                  : "denied: %s: %s%s (%s would allow it)",
                 kind, detail, often, grant);
    }
    if (count > NOTED_DENIALS) {
        cli_note("denied: %zu more are in the report (see them with --report FILE and bvisor show)",
                 count - NOTED_DENIALS);
    }
}

static bool has_kind(const json_t *items, enum bv_requirement_kind kind)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        if (strcmp(cli_text_at(json_array_get(items, i), "kind"), bv_requirement_name(kind)) == 0) {
            return true;
        }
    }
    return false;
}

/* Was a new task refused, or may it have been because nobody could listen? A program that failed for
 * reasons of its own must not be sent after a grant. */
static bool may_lack_tasks(const json_t *body)
{
    const json_t *supplied = cli_at(cli_at(body, "evidence"), "supplied");
    bool listened = false;
    for (size_t i = 0; i < json_array_size(supplied); i++) {
        const char *claim = json_string_value(json_array_get(supplied, i));
        listened = listened || (claim && strcmp(claim, "denied_attempts") == 0);
    }
    return has_kind(cli_at(body, "denied"), BV_REQ_SPAWN_DENY_NEW_TASKS) ||
           (!listened && has_kind(cli_at(body, "admitted"), BV_REQ_SPAWN_DENY_NEW_TASKS));
}

/* What the report says about a fault of bvisor's own; other findings are limits of what is known. */
static void note_fault(const json_t *body, const char *outcome)
{
    const json_t *findings = cli_at(body, "findings");
    bool noted = false;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *item = json_array_get(findings, i);
        if (strcmp(cli_text_at(item, "kind"), outcome) == 0) {
            cli_note("%s: %s", outcome, cli_text_at(item, "detail"));
            noted = true;
        }
    }
    if (!noted) {
        cli_note("%s: bvisor could not do what was planned (the report says more)", outcome);
    }
}

static void note_failure(const json_t *body)
{
    const json_t *signal = cli_at(cli_at(body, "exit"), "signal");
    if (json_is_integer(signal)) {
        const char *name = sigabbrev_np((int)json_integer_value(signal));
        cli_note("failed: the workload died of signal %" JSON_INTEGER_FORMAT "%s%s",
                 json_integer_value(signal), name == NULL ? "" : ", SIG", name == NULL ? "" : name);
    }
}

void cli_put_notes(const json_t *body)
{
    const char *outcome = cli_text_at(body, "outcome");
    if (strcmp(outcome, "completed") == 0) {
        return;
    }
    bool failed = strcmp(outcome, "failed") == 0;
    if (failed) {
        note_failure(body);
    }
    if (failed || strcmp(outcome, "timeout") == 0 || strcmp(outcome, "killed") == 0) {
        note_limits(body, outcome);
    } else if (strcmp(outcome, "denied") == 0) {
        cli_note("denied: the workload was ended by a system call that the boundary forbids");
    } else {
        note_fault(body, outcome);
    }
    note_denied(cli_at(body, "denied"));
    if (failed && may_lack_tasks(body)) {
        cli_note(
            "failed: new threads and processes were not granted (shells and pipes need --spawn "
            "any)");
    }
}
