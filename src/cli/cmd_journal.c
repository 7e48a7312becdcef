/* cli/cmd_journal.c - the record of the host for a person and for tools: journal list, show, verify, export, head, prune. */
#include "cli/commands.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/keys.h"
#include "cli/render.h"
#include "cli/state.h"
#include "cli/text.h"
#include "cli/values.h"

#define LIST_DEFAULT 50

/* ---- list ---- */

static bool put_attempt(void *context, const struct bv_attempt_view *view)
{
    const struct cli_page *page = context;
    cli_put_padded(page, view->attempt, 33);
    char when[20] = ""; /* whole seconds; the rest is in the events */
    (void)snprintf(when, sizeof when, "%.19s", view->started_at);
    cli_put_padded(page, when, 20);
    cli_put_toned(page, cli_tone_of(view->state), view->state, 17);
    cli_put_padded(page, view->disposition, view->disposition[0] == '\0' ? 0 : 17);
    cli_put_text(page->out, view->exe);
    (void)fputc('\n', page->out);
    return true;
}

static int list(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    const struct cli_setting *last = cli_setting_of(args, CLI_O_LAST);
    uint64_t limit = LIST_DEFAULT;
    const char *why = last == NULL || strcmp(last->value, "all") == 0 ? NULL : cli_parse_count(last->value, &limit);
    if (why != NULL) {
        return cli_fail(cli, "--last", "give a number, or all", "%s", why);
    }
    limit = last != NULL && strcmp(last->value, "all") == 0 ? 0 : limit;
    struct cli_page page = cli_page_for(stdout);
    struct bv_error error = { 0 };
    if (journal != NULL && (limit > 0 || last == NULL || strcmp(last->value, "all") == 0) &&
        bv_journal_list(journal, limit, put_attempt, &page, &error) != BV_OK) {
        return cli_tell_error(cli, "journal", NULL, &error);
    }
    return CLI_OK;
}

/* ---- show ---- */

struct showing {
    struct cli_page page;
    const char *document; /* the report, or the plan while there is none */
    bool is_report;
    bool failed;
    char *kept;
};

static void put_payload(const struct cli_page *page, const json_t *payload)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)payload, key, value) { /* the macro wants no const and changes nothing */
        (void)fputs("  ", page->out);
        cli_put_text(page->out, key);
        (void)fputc('=', page->out);
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        cli_put_text(page->out, json_is_string(value) ? json_string_value(value) : text == NULL ? "?" : text);
        free(text);
    }
}

static bool show_event(void *context, const struct bv_event *event)
{
    struct showing *showing = context;
    const struct cli_page *page = &showing->page;
    json_t *text = json_loads(event->text, 0, NULL);
    (void)fprintf(page->out, "%8" PRIu64 "  ", event->seq);
    cli_put_padded(page, event->at, 29);
    cli_put_padded(page, cli_text_at(text, "kind"), 12);
    put_payload(page, cli_at(text, "payload"));
    (void)fputc('\n', page->out);
    json_decref(text);
    if (event->document != NULL) {
        free(showing->kept);
        showing->kept = strdup(event->document);
        showing->failed = showing->failed || showing->kept == NULL;
        showing->is_report = event->kind == BV_EVENT_REPORT;
    }
    return !showing->failed;
}

static int show(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    const char *id = args->operands[1];
    if (journal == NULL) {
        return cli_fail(cli, id, NULL, "there is no journal");
    }
    struct showing showing = { .page = cli_page_for(stdout) };
    struct bv_error error = { 0 };
    int result = CLI_OK;
    if (bv_journal_show(journal, id, show_event, &showing, &error) != BV_OK) {
        result = cli_tell_error(cli, id, NULL, &error);
    } else if (showing.failed) {
        result = cli_fail_nomem(cli);
    }
    json_t *document = result == CLI_OK && showing.kept != NULL ? json_loads(showing.kept, 0, NULL) : NULL;
    if (document != NULL) {
        (void)fputc('\n', stdout);
        if (showing.is_report) {
            cli_put_report(&showing.page, cli_at(document, "body"), true);
        } else {
            cli_put_plan(&showing.page, document);
        }
    }
    json_decref(document);
    free(showing.kept);
    return result;
}

/* ---- verify, export, head ---- */

static int verify(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    const struct cli_setting *signed_head = cli_setting_of(args, CLI_O_HEAD);
    if (journal == NULL) {
        (void)puts("no journal: nothing was recorded");
        return signed_head == NULL ? CLI_OK : cli_fail(cli, "--head", NULL, "there is no journal it could be of");
    }
    struct bv_journal_head head;
    struct bv_error error = { 0 };
    enum bv_status status = bv_journal_verify(journal, &head, &error);
    if (status == BV_E_CORRUPT) {
        cli_note("journal: %s: %s", error.place, error.text);
        return CLI_MISMATCH;
    }
    if (status != BV_OK) {
        return cli_tell_error(cli, "journal", NULL, &error);
    }
    if (signed_head != NULL) {
        int result = cli_check_head(cli, args, journal, signed_head->value);
        if (result != CLI_OK) {
            return result;
        }
    }
    (void)printf("ok: %" PRIu64 " events, %" PRIu64 " to %" PRIu64 ", head %s\n", head.first_seq == 0 ? 0 : head.seq - head.first_seq + 1,
                 head.first_seq, head.seq, head.hash);
    return CLI_OK;
}

static bool put_line(void *context, const struct bv_event *event)
{
    FILE *out = context;
    (void)fprintf(out, "{\"document\":%s,\"event\":%s,\"hash\":\"%s\"}\n", event->document == NULL ? "null" : event->document, event->text,
                  event->hash);
    return ferror(out) == 0;
}

static int export(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    (void)args;
    struct bv_error error = { 0 };
    if (journal != NULL && bv_journal_export(journal, put_line, stdout, &error) != BV_OK) {
        return cli_tell_error(cli, "journal", NULL, &error);
    }
    return CLI_OK;
}

static int head(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    if (journal == NULL) {
        return cli_fail(cli, "journal", NULL, "there is no journal");
    }
    return cli_put_head(cli, args, journal);
}

/* ---- prune ---- */

static const char *before_of(uint64_t micros, char text[40])
{
    const time_t at = time(NULL) - (time_t)(micros / 1000000);
    struct tm tm;
    if (micros / 1000000 > INT32_MAX || gmtime_r(&at, &tm) == NULL || strftime(text, 40, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        return "is too long";
    }
    return NULL;
}

static int prune(struct cli *cli, const struct cli_args *args, struct bv_journal *journal)
{
    const struct cli_setting *older = cli_setting_of(args, CLI_O_OLDER), *keep = cli_setting_of(args, CLI_O_KEEP);
    char before[40];
    uint64_t micros = 0, bytes = UINT64_MAX, dropped = 0;
    if (older == NULL && keep == NULL) {
        return cli_fail(cli, "journal prune", "say --older DUR, --keep SIZE or both", "nothing says what may go");
    }
    const char *why = older == NULL ? NULL : cli_parse_duration(older->value, &micros);
    why = older == NULL || why != NULL ? why : before_of(micros, before);
    if (why != NULL) {
        return cli_fail(cli, "--older", NULL, "%s", why);
    }
    why = keep == NULL ? NULL : cli_parse_size(keep->value, &bytes);
    if (why != NULL) {
        return cli_fail(cli, "--keep", NULL, "%s", why);
    }
    struct bv_error error = { 0 };
    if (journal != NULL && bv_journal_retain(journal, older == NULL ? NULL : before, bytes, &dropped, &error) != BV_OK) {
        return cli_tell_error(cli, "journal", NULL, &error);
    }
    (void)printf("%" PRIu64 " events dropped\n", dropped);
    return CLI_OK;
}

static const struct {
    const char *name;
    size_t operands; /* behind the name */
    int (*action)(struct cli *cli, const struct cli_args *args, struct bv_journal *journal);
} actions[] = {
    { "list", 0, list }, { "show", 1, show }, { "verify", 0, verify }, { "export", 0, export }, { "head", 0, head }, { "prune", 0, prune },
};

int cli_cmd_journal(struct cli *cli, const struct cli_args *args)
{
    const char *name = args->operand_count > 0 ? args->operands[0] : "";
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, name) != 0) {
            continue;
        }
        const size_t given = args->operand_count - 1;
        if (given != actions[i].operands) {
            return cli_fail(cli, cli_pool_format(&cli->pool, "journal %s", name), "see: bvisor help journal",
                            given < actions[i].operands ? "needs an attempt" : "takes no more arguments");
        }
        struct bv_journal *journal = NULL;
        struct bv_store *store = NULL;
        int result = cli_open_state(cli, args, &journal, &store);
        bv_store_free(store);
        result = result == CLI_OK ? actions[i].action(cli, args, journal) : result;
        bv_journal_free(journal);
        int flushed = cli_flush_stdout(cli);
        return flushed > result ? flushed : result;
    }
    return cli_fail(cli, "journal", "see: bvisor help journal", "needs one of: list show verify export head prune");
}
