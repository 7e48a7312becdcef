/* cli/cmd_docs.c - verbs about documents: verify, spec, probe. */
#include "cli/commands.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/keys.h"
#include "cli/render.h"
#include "cli/state.h"

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
static int verify_one(struct cli *cli, const char *path, const struct bv_key *key)
{
    char *text = NULL;
    size_t size = 0;
    int result = cli_read_file(cli, path, BV_REPORT_MAX_BYTES, &text, &size);
    if (result != CLI_OK) {
        return result;
    }
    struct bv_error error = { 0 };
    enum bv_status status = key != NULL ? bv_report_verify_signed(text, size, key, &error) : bv_report_verify(text, size, &error);
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
    struct bv_key *key = NULL;
    int worst = cli_read_key(cli, args, CLI_O_KEY, false, &key);
    if (worst != CLI_OK) {
        return worst;
    }
    for (size_t i = 0; i < args->operand_count; i++) {
        int result = verify_one(cli, args->operands[i], key);
        worst = result > worst ? result : worst;
    }
    bv_key_free(key);
    int flushed = cli_flush_stdout(cli);
    return flushed > worst ? flushed : worst;
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
    const char *dir = NULL;
    int result = cli_state_dir(cli, args, &dir);
    const bool made = dir != NULL && access(dir, F_OK) != 0;
    if (result == CLI_OK && dir != NULL && bv_store_open(dir, &store, &error) != BV_OK) {
        cli_note("staging is not tried: %s (--journal DIR names another place)", error.text); /* the rest of the machine is as it is */
        error = (struct bv_error){ 0 };
    }
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
