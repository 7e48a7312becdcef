/* cli/html.c - see html.h. Nothing of the report is trusted: every text passes put_text(), which leaves no character that could be markup or steer
 * the reader; figures are printed from integers; classes come from the tables here. The page forbids itself scripts and requests
 * (Content-Security-Policy), so that even a mistake here would have no effect. */
#include "cli/html.h"

#include <bvisor/report.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "cli/stream_text.h"
#include "cli/text.h"
#include "cli/values.h"

#define SHOWN_STREAM_BYTES 262144 /* of each stream; the report holds the rest */

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>bvisor report</title>\n<style>\n"
    ":root{color-scheme:light dark;--fg:#1c2024;--dim:#667080;--bg:#fbfbfa;--card:#fff;--line:#dfe2e6;--good:#1a7f4b;--warn:#a86400;--bad:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6e8ea;--dim:#98a2ae;--bg:#14171a;--card:#1c2024;--line:#323840;--good:#4cc38a;--warn:#f0b44a;"
    "--bad:#ff8a80}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:0 auto;max-width:62rem;padding:1.5rem}\n"
    "h1{font-size:1.7rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}\n"
    "code,pre,td.m{font-family:ui-monospace,monospace;font-size:.86em;overflow-wrap:anywhere}\n"
    "section,header{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem 1.2rem;margin:0 0 1rem}\n"
    "section h2{margin-top:0}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;"
    "border-top:1px solid var(--line)}th{border:0;color:var(--dim);font-weight:500;font-size:.85em}\n"
    ".good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.dim{color:var(--dim)}\n"
    ".bar{height:.7rem;background:var(--line);border-radius:4px;overflow:hidden;min-width:9rem}.bar i{display:block;height:100%;"
    "background:var(--good)}.bar i.w{background:var(--warn)}.bar i.b{background:var(--bad)}\n"
    ".open{background:repeating-linear-gradient(90deg,var(--line) 0 6px,transparent 6px 10px)}\n"
    "pre{background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:.7rem;max-height:30rem;overflow:auto;white-space:pre-wrap}\n"
    ".alarm{border:2px solid var(--bad);color:var(--bad);font-weight:600}\n"
    "</style></head><body>\n";

/* Text between tags or in a double-quoted attribute. What steers a reader becomes U+FFFD; line ends are kept where `lines`. */
static void put_bytes(FILE *out, const char *bytes, size_t size, bool lines)
{
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = cli_utf8_next(bytes + at, size - at, &point);
        const char *entity = NULL;
        switch (length == 0 ? 0 : point) {
        case '&': entity = "&amp;"; break;
        case '<': entity = "&lt;"; break;
        case '>': entity = "&gt;"; break;
        case '"': entity = "&quot;"; break;
        case '\'': entity = "&#39;"; break;
        default: break;
        }
        if (entity != NULL) {
            (void)fputs(entity, out);
        } else if (length == 0 || (cli_is_steering(point) && !(lines && (point == '\n' || point == '\t')))) {
            (void)fputs("\xef\xbf\xbd", out);
        } else {
            (void)fwrite(bytes + at, 1, length, out);
        }
        at += length == 0 ? 1 : length;
    }
}

static void put_text(FILE *out, const char *text)
{
    put_bytes(out, text, strlen(text), false);
}

/* The class of a word's tone; static. */
static const char *tone_class(const char *word)
{
    switch (cli_tone_of(word)) {
    case CLI_TONE_GOOD: return "good";
    case CLI_TONE_WARN: return "warn";
    case CLI_TONE_BAD: return "bad";
    case CLI_TONE_PLAIN:
    case CLI_TONE_HEAD: return "dim";
    }
    return "dim";
}

static void put_toned(FILE *out, const char *word)
{
    (void)fprintf(out, "<span class=\"%s\">", tone_class(word));
    put_text(out, word);
    (void)fputs("</span>", out);
}

/* What render.c writes for a terminal, taken as text and escaped here. */
static void put_rendered(FILE *out, void (*put)(const struct cli_page *page, const json_t *value), const json_t *value)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return; /* out of memory: the page says less, and its end is missed below */
    }
    const struct cli_page page = { memory, false };
    put(&page, value);
    if (fclose(memory) == 0) {
        put_bytes(out, text, size, true);
    }
    free(text);
}

static void put_one_requirement(const struct cli_page *page, const json_t *requirement)
{
    cli_put_requirement(page, 0, requirement);
}

/* ---- sections ---- */

static void put_verdict(FILE *out, const json_t *report, const char *broken)
{
    const json_t *body = cli_at(report, "body"), *end = cli_at(body, "exit");
    if (broken != NULL) {
        (void)fputs("<section class=\"alarm\">The seal does not match: ", out);
        put_text(out, broken);
        (void)fputs(". Do not rely on anything on this page.</section>\n", out);
    }
    (void)fputs("<header><h1>", out);
    put_toned(out, cli_text_at(body, "outcome"));
    (void)fputs("</h1><p>", out);
    if (json_is_integer(cli_at(end, "code"))) {
        (void)fprintf(out, "exit status %" JSON_INTEGER_FORMAT, json_integer_value(cli_at(end, "code")));
    } else if (json_is_integer(cli_at(end, "signal"))) {
        (void)fprintf(out, "ended by signal %" JSON_INTEGER_FORMAT, json_integer_value(cli_at(end, "signal")));
    } else if (json_is_string(cli_at(end, "trap"))) {
        (void)fputs("trap: ", out);
        put_text(out, cli_text_at(end, "trap"));
    } else {
        (void)fputs("no exit status", out);
    }
    (void)fputs(" on backend ", out);
    put_text(out, cli_text_at(body, "backend"));
    (void)fputs("</p><pre>", out);
    put_rendered(out, cli_put_workload, cli_at(body, "workload"));
    (void)fputs("</pre><p class=\"dim\">attempt <code>", out);
    put_text(out, cli_text_at(body, "attempt"));
    (void)fputs("</code><br>", out);
    put_text(out, cli_text_at(body, "started_at"));
    (void)fputs(" to ", out);
    put_text(out, cli_text_at(body, "finished_at"));
    (void)fputs("<br>seal <code>", out);
    put_text(out, cli_text_at(report, "body_hash"));
    (void)fputs(broken == NULL ? "</code> matches" : "</code>", out);
    const char *key_id = cli_text_at(cli_at(report, "signature"), "key_id");
    if (key_id[0] != '\0') {
        (void)fputs("<br>says it is signed by <code>", out);
        put_text(out, key_id);
        (void)fputs("</code> (not checked here: bvisor verify --key)", out);
    }
    (void)fputs("</p></header>\n", out);
}

static void put_admitted(FILE *out, const json_t *admitted)
{
    (void)fputs("<section><h2>Asked for, and what holds it</h2><table><tr><th>requirement<th>held<th>mechanism</tr>\n", out);
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const json_t *item = json_array_get(admitted, i);
        (void)fputs("<tr><td>", out);
        put_text(out, cli_text_at(item, "kind"));
        (void)fputs(json_is_true(cli_at(item, "implied")) ? " <span class=\"dim\">(implied)</span>" : "", out);
        (void)fputs("<br><span class=\"dim\">", out);
        put_rendered(out, put_one_requirement, cli_at(item, "requirement"));
        (void)fputs("</span><td>", out);
        put_toned(out, cli_text_at(item, "enforcement"));
        (void)fputs("<td class=\"m\">", out);
        put_text(out, cli_text_at(item, "mechanism"));
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_denied(FILE *out, const json_t *denied)
{
    (void)fputs("<section><h2>Denied</h2>", out);
    if (json_array_size(denied) == 0) {
        (void)fputs("<p class=\"dim\">Nothing was recorded.</p></section>\n", out);
        return;
    }
    (void)fputs("<table><tr><th>times<th>kind<th>attempt<th>would be allowed by</tr>\n", out);
    for (size_t i = 0; i < json_array_size(denied); i++) {
        const json_t *item = json_array_get(denied, i);
        const char *kind = cli_text_at(item, "kind"), *detail = cli_text_at(item, "detail");
        (void)fprintf(out, "<tr><td>%" JSON_INTEGER_FORMAT "<td>", json_integer_value(cli_at(item, "count")));
        put_text(out, kind);
        (void)fputs("<td class=\"m\">", out);
        put_text(out, detail);
        (void)fputs("<td class=\"m\">", out);
        put_text(out, cli_grant_for(kind, detail));
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_figure(FILE *out, const char *dimension, const json_t *value)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return;
    }
    const struct cli_page page = { memory, false };
    cli_put_figure(&page, dimension, value, 0);
    if (fclose(memory) == 0) {
        put_bytes(out, text, size, false);
    }
    free(text);
}

/* A bar only where there is something to compare: a number used against a number allowed. */
static void put_bar(FILE *out, const json_t *limit, const json_t *observed)
{
    if (!json_is_integer(observed) || !json_is_integer(limit)) {
        (void)fputs(json_is_integer(observed) ? "<div class=\"bar open\" title=\"no limit\"></div>" : "<span class=\"dim\">not measured</span>", out);
        return;
    }
    const double used = (double)json_integer_value(observed), most = (double)json_integer_value(limit);
    double percent = most > 0 ? 100 * used / most : used > 0 ? 100 : 0;
    const char *class = percent > 100 ? "b" : percent >= 90 ? "w" : "";
    percent = percent > 100 ? 100 : percent < 0 ? 0 : percent;
    (void)fprintf(out, "<div class=\"bar\" title=\"%.1f %%\"><i class=\"%s\" style=\"width:%.1f%%\"></i></div>", percent, class, percent);
}

static void put_budgets(FILE *out, const json_t *budget)
{
    (void)fputs("<section><h2>Budgets</h2><table><tr><th>budget<th>used<th>limit<th><th>held<th>finding</tr>\n", out);
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const char *name = bv_dimension_name((enum bv_dimension)i);
        const json_t *row = cli_at(budget, name);
        (void)fputs("<tr><td>", out);
        put_text(out, cli_dimension_option((enum bv_dimension)i));
        (void)fputs("<td>", out);
        put_figure(out, name, cli_at(row, "observed"));
        (void)fputs("<td>", out);
        put_figure(out, name, cli_at(row, "limit"));
        (void)fputs("<td>", out);
        put_bar(out, cli_at(row, "limit"), cli_at(row, "observed"));
        (void)fputs("<td>", out);
        put_toned(out, cli_text_at(cli_at(row, "supplied"), "guarantee"));
        (void)fputs("<td>", out);
        put_toned(out, cli_text_at(row, "finding"));
        (void)fputs("<br><span class=\"dim\">", out);
        put_text(out, cli_text_at(row, "mechanism"));
        (void)fputs("; ", out);
        put_text(out, cli_text_at(row, "source"));
        (void)fputs("</span></tr>\n", out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_artifacts(FILE *out, const json_t *artifacts)
{
    if (json_array_size(artifacts) == 0) {
        return;
    }
    (void)fputs("<section><h2>Artifacts</h2><table><tr><th>change<th>kind<th>path<th>size<th>content</tr>\n", out);
    for (size_t i = 0; i < json_array_size(artifacts); i++) {
        const json_t *item = json_array_get(artifacts, i);
        const char *path = cli_text_at(item, "path");
        (void)fputs("<tr><td>", out);
        put_text(out, cli_text_at(item, "change"));
        (void)fputs("<td>", out);
        put_text(out, cli_text_at(item, "kind"));
        (void)fputs("<td class=\"m\">", out);
        put_text(out, cli_text_at(item, "root"));
        (void)fputc('/', out);
        put_text(out, path[0] != '\0' ? path : cli_text_at(item, "path_base64"));
        (void)fputs("<td>", out);
        put_figure(out, "size_bytes", cli_at(item, "size"));
        (void)fputs("<td class=\"m\">", out);
        put_text(out, cli_text_at(item, "content_hash"));
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_findings(FILE *out, const json_t *findings)
{
    if (json_array_size(findings) == 0) {
        return;
    }
    (void)fputs("<section><h2>To know</h2><table>\n", out);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *item = json_array_get(findings, i);
        (void)fputs("<tr><td>", out);
        put_text(out, cli_text_at(item, "kind"));
        (void)fputs("<td>", out);
        put_text(out, cli_text_at(item, "detail"));
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table></section>\n", out);
}

static void put_streams(FILE *out, const json_t *captured)
{
    static const char *const names[] = { "stdout", "stderr" };
    for (size_t i = 0; i < 2; i++) {
        const json_t *stream = cli_at(captured, names[i]);
        size_t size = 0;
        char *bytes = cli_stream_bytes(stream, &size);
        if (bytes == NULL) {
            continue;
        }
        const size_t shown = size < SHOWN_STREAM_BYTES ? size : SHOWN_STREAM_BYTES;
        (void)fprintf(out, "<section><h2>%s, ", names[i]);
        put_figure(out, "total_bytes", cli_at(stream, "bytes"));
        (void)fputs(json_is_true(cli_at(stream, "truncated")) ? ", truncated" : "", out);
        (void)fputs("</h2><pre>", out);
        put_bytes(out, bytes, shown, true);
        (void)fputs("</pre>", out);
        if (shown < size) {
            (void)fprintf(out, "<p class=\"dim\">%zu more bytes are in the report.</p>", size - shown);
        }
        (void)fputs("</section>\n", out);
        free(bytes);
    }
}

static char *page_of(const json_t *report, const char *broken, size_t *ret_size)
{
    char *page = NULL;
    FILE *out = open_memstream(&page, ret_size);
    if (out == NULL) {
        return NULL;
    }
    const json_t *body = cli_at(report, "body");
    (void)fputs(head, out);
    put_verdict(out, report, broken);
    put_admitted(out, cli_at(body, "admitted"));
    put_denied(out, cli_at(body, "denied"));
    put_budgets(out, cli_at(body, "budget"));
    put_artifacts(out, cli_at(body, "artifacts"));
    put_findings(out, cli_at(body, "findings"));
    put_streams(out, cli_at(body, "captured"));
    (void)fputs("</body></html>\n", out);
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(page);
        return NULL;
    }
    return page;
}

int cli_write_html(struct cli *cli, const char *target, const char *path, const char *text, size_t size, const json_t *report)
{
    struct bv_error error = { 0 };
    enum bv_status status = bv_report_verify(text, size, &error);
    if (status == BV_E_NOMEM) {
        return cli_fail_nomem(cli);
    }
    size_t page_size = 0;
    char *page = page_of(report, status == BV_OK ? NULL : error.text, &page_size);
    if (page == NULL) {
        return cli_fail_nomem(cli);
    }
    struct cli_target file = { 0 };
    int failed = cli_target_open(&file, target);
    failed = failed == 0 ? cli_target_write(&file, target, page, page_size) : failed;
    cli_target_close(&file);
    free(page);
    if (failed != 0) {
        return cli_fail(cli, "--html", NULL, "%s cannot be written: %s", target, strerror(failed));
    }
    if (status != BV_OK) {
        cli_note("%s: %s", path, error.text);
    }
    return status == BV_OK ? CLI_OK : CLI_MISMATCH;
}
