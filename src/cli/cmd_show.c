/* cli/cmd_show.c - the verb show: a document for a person, as text or as a page, or a report as an attestation. */
#include "cli/commands.h"

#include <jansson.h>
#include <string.h>

#include "cli/files.h"
#include "cli/html.h"
#include "cli/keys.h"
#include "cli/render.h"

static int show_report(struct cli *cli, const struct cli_page *page, const char *path,
                       const char *text, size_t size, const json_t *report)
{
    struct bv_error error = { 0 };
    enum bv_status status = bv_report_verify(text, size, &error);
    if (status == BV_E_NOMEM) {
        return cli_fail_nomem(cli);
    }
    cli_put_report(page, cli_at(report, "body"), true);
    cli_put_heading(page, "seal");
    (void)fputs("  ", page->out);
    cli_put_padded(page, cli_text_at(report, "body_hash"), 0);
    if (status == BV_OK) {
        (void)fputs(" matches\n", page->out);
        return CLI_OK;
    }
    cli_put_toned(page, CLI_TONE_BAD, " DOES NOT MATCH", 0);
    (void)fputs(": do not rely on anything above\n", page->out);
    cli_note("%s: %s", path, error.text);
    return CLI_MISMATCH;
}

int cli_cmd_show(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count != 1) {
        return cli_fail(cli, "show", "write bvisor show REPORT.json [--html FILE | --dsse]", "takes exactly one document");
    }
    const struct cli_setting *html = cli_setting_of(args, CLI_O_HTML);
    if (html != NULL && cli_given(args, CLI_O_DSSE)) {
        return cli_fail(cli, "--html", "choose one", "cannot be combined with --dsse");
    }
    const char *path = args->operands[0];
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, BV_REPORT_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    json_error_t where;
    json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (document == NULL) {
        return cli_fail(cli, path, NULL, "line %d column %d: %s", where.line, where.column,
                        where.text);
    }
    const char *schema = cli_text_at(document, "schema");
    const struct cli_page page = cli_page_for(stdout);
    const bool is_report = strcmp(schema, "bvisor.report/1") == 0;
    if ((html != NULL || cli_given(args, CLI_O_DSSE)) && !is_report) {
        result = cli_fail(cli, path, NULL, "--html and --dsse take a report");
    } else if (html != NULL) {
        result = cli_write_html(cli, html->value, path, text, size, document);
    } else if (cli_given(args, CLI_O_DSSE)) {
        result = cli_put_dsse(cli, args, path, text, size);
    } else if (is_report) {
        result = show_report(cli, &page, path, text, size, document);
    } else if (strcmp(schema, "bvisor.plan/1") == 0) {
        cli_put_plan(&page, document);
    } else if (strcmp(schema, "bvisor.refusal/1") == 0) {
        cli_put_refusal(&page, document);
    } else if (strcmp(schema, "bvisor.probe/1") == 0) {
        cli_put_probe(&page, document);
    } else {
        result = cli_fail(cli, path, "show takes a report, a plan, a refusal or a probe",
                          "is no such document of bvisor");
    }
    json_decref(document);
    int flushed = cli_flush_stdout(cli);
    return flushed > result ? flushed : result;
}
