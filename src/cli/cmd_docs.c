/* cli/cmd_docs.c - verbs about documents: verify, show, spec, probe; and the one whose
 * subject this version does not have. */
#include "cli/commands.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/render.h"

/* The seal's own text, for the line that says ok. */
static void put_seal(const char *path, const char *text, size_t size)
{
    json_t *report = json_loadb(text, size, 0, NULL);
    const struct cli_page page = { stdout, false };
    cli_put_padded(&page, path, 0);
    (void)fputs(": ok ", stdout);
    cli_put_padded(&page, cli_text_at(report, "body_hash"), 0);
    (void)fputc('\n', stdout);
    json_decref(report);
}

/* One report: CLI_OK, CLI_MISMATCH, or CLI_FAULT when it cannot be read at all. */
static int verify_one(struct cli *cli, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, BV_REPORT_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    struct bv_error error = { 0 };
    enum bv_status status = bv_report_verify(text, size, &error);
    if (status == BV_OK) {
        put_seal(path, text, size);
        return CLI_OK;
    }
    if (status == BV_E_NOMEM) {
        return cli_fail_nomem(cli);
    }
    cli_note(error.place[0] == '\0' ? "%s: %s%s" : "%s: %s: %s", path, error.place, error.text);
    return CLI_MISMATCH;
}

int cli_cmd_verify(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count == 0) {
        return cli_fail(cli, "verify", "write bvisor verify REPORT.json...", "no report is named");
    }
    if (cli_given(args, CLI_O_KEY)) {
        return cli_lacks(cli, "--key", "this version checks no signatures",
                         "leave it away to check the seal alone");
    }
    int worst = CLI_OK;
    for (size_t i = 0; i < args->operand_count; i++) {
        int result = verify_one(cli, args->operands[i]);
        worst = result > worst ? result : worst;
    }
    int flushed = cli_flush_stdout(cli);
    return flushed > worst ? flushed : worst;
}

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
        return cli_fail(cli, "show", "write bvisor show REPORT.json", "takes exactly one document");
    }
    if (cli_given(args, CLI_O_HTML)) {
        return cli_lacks(cli, "--html", "this version writes no pages", "leave it away for text");
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
    if (strcmp(schema, "bvisor.report/1") == 0) {
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

static int check_spec(struct cli *cli, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, BV_SPEC_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    struct bv_spec *spec = NULL;
    struct bv_error error = { 0 };
    if (bv_spec_parse(text, size, &spec, &error) != BV_OK) {
        cli_note(error.place[0] == '\0' ? "%s: %s%s" : "%s: %s: %s", path, error.place, error.text);
        return CLI_FAULT;
    }
    bv_spec_free(spec);
    const struct cli_page page = { stdout, false };
    cli_put_padded(&page, path, 0);
    (void)fputs(": ok\n", stdout);
    return CLI_OK;
}

int cli_cmd_spec(struct cli *cli, const struct cli_args *args)
{
    const char *action = args->operand_count > 0 ? args->operands[0] : "";
    int result = CLI_OK;
    if (strcmp(action, "schema") == 0 && args->operand_count == 1) {
        (void)fputs(bv_spec_schema(), stdout);
    } else if (strcmp(action, "check") == 0 && args->operand_count > 1) {
        for (size_t i = 1; i < args->operand_count; i++) {
            int one = check_spec(cli, args->operands[i]);
            result = one > result ? one : result;
        }
    } else {
        return cli_fail(cli, "spec", "write bvisor spec check FILE... or bvisor spec schema",
                        "needs check or schema");
    }
    int flushed = cli_flush_stdout(cli);
    return flushed > result ? flushed : result;
}

/* Tries staging where runs would be staged; a state directory that was made for the look goes again. */
static int probe_json(struct cli *cli, const struct cli_args *args, struct bv_backend *backend, char **ret_text)
{
    struct bv_store *store = NULL;
    struct bv_error error = { 0 };
    const char *dir = cli_state_dir(cli, args);
    const bool made = dir != NULL && access(dir, F_OK) != 0;
    int result = dir == NULL ? CLI_OK : cli_open_store(cli, args, &store);
    if (result == CLI_OK) {
        bv_backend_stage_in(backend, store);
        result = bv_probe_json(backend, ret_text, &error) == BV_OK ? CLI_OK : cli_tell_error(cli, "probe", NULL, &error);
        bv_backend_stage_in(backend, NULL);
    }
    bv_store_free(store);
    char *quarantine = made ? cli_pool_format(&cli->pool, "%s/quarantine", dir) : NULL;
    if (quarantine != NULL && rmdir(quarantine) == 0) {
        (void)rmdir(dir);
    }
    return result;
}

int cli_cmd_probe(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count > 0) {
        return cli_fail(cli, "probe", "name a backend with --backend", "takes no arguments");
    }
    const struct cli_setting *id = cli_setting_of(args, CLI_O_BACKEND);
    struct bv_registry *registry = NULL;
    struct bv_backend *backend = NULL;
    int result = cli_open_backend(cli, id == NULL ? "linux" : id->value, &registry, &backend);
    char *text = NULL;
    if (result == CLI_OK) {
        result = probe_json(cli, args, backend, &text);
    }
    if (result != CLI_OK) {
        bv_registry_free(registry);
        return result;
    }
    if (cli->json) {
        result = cli_document(cli, text);
    } else {
        json_t *document = json_loads(text, 0, NULL);
        const struct cli_page page = cli_page_for(stdout);
        cli_put_probe(&page, document);
        json_decref(document);
        result = cli_flush_stdout(cli);
    }
    bv_free(text);
    bv_registry_free(registry);
    return result;
}

/* ---- not in this version ---- */

static int check_action(struct cli *cli, const char *verb, const char *actions,
                        const struct cli_args *args, size_t least, size_t most)
{
    const char *action = args->operand_count > 0 ? args->operands[0] : "";
    size_t size = strlen(action);
    const char *found = size == 0 || strchr(action, ' ') != NULL ? NULL : strstr(actions, action);
    bool whole = found != NULL && (found == actions || found[-1] == ' ') &&
                 (found[size] == ' ' || found[size] == '\0');
    if (!whole) {
        return cli_fail(cli, verb, cli_pool_format(&cli->pool, "see: bvisor help %s", verb),
                        "needs one of: %s", actions);
    }
    size_t given = args->operand_count - 1;
    if (given < least || given > most) {
        return cli_fail(cli, cli_pool_format(&cli->pool, "%s %s", verb, action),
                        cli_pool_format(&cli->pool, "see: bvisor help %s", verb),
                        given < least ? "needs an argument" : "takes no more arguments");
    }
    return CLI_OK;
}

int cli_cmd_journal(struct cli *cli, const struct cli_args *args)
{
    bool show = args->operand_count > 0 && strcmp(args->operands[0], "show") == 0;
    int result = check_action(cli, "journal", "list show verify export", args, show, show);
    return result != CLI_OK ? result
                            : cli_lacks(cli, "journal", "this version keeps no journal",
                                        "keep reports with run --report FILE");
}
