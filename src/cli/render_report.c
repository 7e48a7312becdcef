/* cli/render_report.c - a report for a person: the verdict first, then what was asked and what
 * held it, what was denied, what was used, what was said. Everything the workload could
 * influence is cleaned on the way out. */
#include "cli/render.h"

#include <bvisor/spec.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/stream_text.h"
#include "cli/text.h"
#include "cli/values.h"

#define SHOWN_STREAM_BYTES 65536 /* what a person scrolls through; the report holds the rest */

static void put_verdict(const struct cli_page *page, const json_t *body)
{
    const char *outcome = cli_text_at(body, "outcome");
    cli_put_toned(page, cli_tone_of(outcome), outcome, 0);
    const json_t *end = cli_at(body, "exit");
    const json_t *code = cli_at(end, "code"), *signal = cli_at(end, "signal");
    if (json_is_integer(code)) {
        (void)fprintf(page->out, ", exit status %" JSON_INTEGER_FORMAT, json_integer_value(code));
    } else if (json_is_integer(signal)) {
        const char *name = sigabbrev_np((int)json_integer_value(signal));
        (void)fprintf(page->out, ", signal %" JSON_INTEGER_FORMAT "%s%s",
                      json_integer_value(signal), name == NULL ? "" : " SIG",
                      name == NULL ? "" : name);
    } else if (json_is_string(cli_at(end, "trap"))) {
        (void)fputs(", trap: ", page->out);
        cli_put_text(page->out, cli_text_at(end, "trap"));
    }
    (void)fputs("  on backend ", page->out);
    cli_put_text(page->out, cli_text_at(body, "backend"));
    (void)fputs("\nattempt   ", page->out);
    cli_put_text(page->out, cli_text_at(body, "attempt"));
    (void)fputs("\n          ", page->out);
    cli_put_text(page->out, cli_text_at(body, "started_at"));
    (void)fputs(" to ", page->out);
    cli_put_text(page->out, cli_text_at(body, "finished_at"));
    (void)fputc('\n', page->out);
    cli_put_workload(page, cli_at(body, "workload"));
}

static void put_denied(const struct cli_page *page, const json_t *denied)
{
    cli_put_heading(page, "denied");
    if (json_array_size(denied) == 0) {
        (void)fputs("  nothing was recorded\n", page->out);
    }
    for (size_t i = 0; i < json_array_size(denied); i++) {
        const json_t *item = json_array_get(denied, i);
        const char *kind = cli_text_at(item, "kind"), *detail = cli_text_at(item, "detail");
        (void)fputs("  ", page->out);
        cli_put_padded(page, kind, 25);
        (void)fprintf(page->out, "%6" JSON_INTEGER_FORMAT " x ",
                      json_integer_value(cli_at(item, "count")));
        cli_put_text(page->out, detail);
        const char *grant = cli_grant_for(kind, detail);
        (void)fprintf(page->out, grant[0] == '\0' ? "\n" : "   (%s would allow it)\n", grant);
    }
}

static void put_budget_used(const struct cli_page *page, const json_t *budget)
{
    cli_put_heading(page, "budgets");
    (void)fputs("  ", page->out);
    cli_put_padded(page, "", 11);
    cli_put_padded(page, "limit", 12);
    cli_put_padded(page, "used", 12);
    cli_put_padded(page, "held", 10);
    (void)fputs("finding\n", page->out);
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const char *name = bv_dimension_name((enum bv_dimension)i);
        const json_t *row = cli_at(budget, name);
        const json_t *supplied = cli_at(row, "supplied");
        const char *guarantee = json_is_string(supplied) ? json_string_value(supplied)
                                                         : cli_text_at(supplied, "guarantee");
        const char *finding = cli_text_at(row, "finding");
        (void)fputs("  ", page->out);
        cli_put_padded(page, cli_dimension_option((enum bv_dimension)i), 11);
        cli_put_figure(page, name, cli_at(row, "limit"), 12);
        cli_put_figure(page, name, cli_at(row, "observed"), 12);
        cli_put_toned(page, cli_tone_of(guarantee), guarantee, 10);
        cli_put_toned(page, cli_tone_of(finding), finding, 0);
        (void)fputc('\n', page->out);
        char *text = NULL;
        if (asprintf(&text, "%s; %s", cli_text_at(row, "mechanism"), cli_text_at(row, "source")) >=
            0) {
            cli_put_wrapped(page, text, 6);
            free(text);
        }
    }
}

/* Prints content with "  | " before every line. */
static void put_lines(const struct cli_page *page, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        size_t length = end == NULL ? size - at : (size_t)(end - (bytes + at));
        (void)fputs("  | ", page->out);
        cli_put_clean(page->out, bytes + at, length, true);
        (void)fputc('\n', page->out);
        at += length + (end == NULL ? 0 : 1);
    }
}

static void put_content(const struct cli_page *page, const json_t *stream)
{
    size_t size = 0;
    char *bytes = cli_stream_bytes(stream, &size);
    if (bytes != NULL) {
        size_t shown = size < SHOWN_STREAM_BYTES ? size : SHOWN_STREAM_BYTES;
        put_lines(page, bytes, shown);
        if (shown < size) {
            (void)fprintf(page->out, "  (%zu more bytes are in the report)\n", size - shown);
        }
    }
    free(bytes);
}

static void put_streams(const struct cli_page *page, const json_t *captured)
{
    static const char *const names[] = { "stdout", "stderr" };
    for (size_t i = 0; i < 2; i++) {
        const json_t *stream = cli_at(captured, names[i]);
        if (stream == NULL || json_is_null(stream)) {
            continue;
        }
        char figure[CLI_FIGURE_BYTES] = "?";
        if (json_is_integer(cli_at(stream, "bytes"))) {
            cli_format_size((uint64_t)json_integer_value(cli_at(stream, "bytes")), figure);
        }
        char title[64];
        (void)snprintf(title, sizeof title, "%s, %s%s", names[i], figure,
                       json_is_true(cli_at(stream, "truncated")) ? ", truncated" : "");
        cli_put_heading(page, title);
        put_content(page, stream);
    }
}

void cli_put_report(const struct cli_page *page, const json_t *body, bool streams)
{
    put_verdict(page, body);
    cli_put_admitted(page, cli_at(body, "admitted"));
    put_denied(page, cli_at(body, "denied"));
    put_budget_used(page, cli_at(body, "budget"));
    cli_put_findings(page, cli_at(body, "findings"));
    if (streams) {
        put_streams(page, cli_at(body, "captured"));
    }
}
