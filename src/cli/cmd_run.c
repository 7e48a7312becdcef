/* cli/cmd_run.c - run, plan and exec up to the admitted plan. What is malformed ends in 125
 * before anything is looked at, what this version lacks in 126 before anything is opened, and
 * only then is the machine asked. */
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/keys.h"
#include "cli/render.h"
#include "cli/request.h"
#include "cli/screen.h"
#include "cli/state.h"
#include "cli/values.h"

/* Options that contradict each other, whatever their values are. */
static int check_combinations(struct cli *cli, const struct cli_args *args)
{
    if (cli->quiet && cli->verbose) {
        return cli_fail(cli, "-q", "choose one", "cannot be combined with -v");
    }
    if (cli_given(args, CLI_O_JOURNAL) && cli_given(args, CLI_O_NO_JOURNAL)) {
        return cli_fail(cli, "--journal", "choose one", "cannot be combined with --no-journal");
    }
    for (size_t i = 0; cli_given(args, CLI_O_SPEC) && i < args->setting_count; i++) {
        const struct cli_option *option = args->settings[i].option;
        if (option->boundary) {
            char *place = cli_pool_format(&cli->pool, "--%s", option->name);
            return cli_fail(cli, place == NULL ? option->name : place, "write it into the spec",
                            "cannot be combined with --spec");
        }
    }
    return CLI_OK;
}

/* Values of run options, without opening anything. */
static int read_run_options(struct cli *cli, const struct cli_args *args,
                            struct bv_run_options *options)
{
    const struct cli_setting *capture = cli_setting_of(args, CLI_O_CAPTURE);
    const char *why =
        capture == NULL ? NULL : cli_parse_size(capture->value, &options->capture_bytes);
    if (why == NULL && options->capture_bytes > BV_CAPTURE_MAX_BYTES) {
        why = "too much; a report keeps at most 64M of each stream";
    }
    if (why != NULL) {
        char *place = cli_pool_format(&cli->pool, "--capture %s", capture->value);
        return cli_fail(cli, place == NULL ? "--capture" : place, NULL, "%s", why);
    }
    options->stdout_fd = cli->json || cli->closed[STDOUT_FILENO] ? -1 : STDOUT_FILENO;
    options->stderr_fd = cli->closed[STDERR_FILENO] ? -1 : STDERR_FILENO;
    return check_combinations(cli, args);
}

/* Puts the source of --stdin on descriptor 0, which nothing else here reads: so the command
 * holds no number above 2 that a closed --keep-fd could be mistaken for. */
static int open_stdin(struct cli *cli, const struct cli_args *args, struct bv_run_options *options)
{
    const struct cli_setting *setting = cli_setting_of(args, CLI_O_STDIN);
    if (setting == NULL || strcmp(setting->value, "none") == 0) {
        return CLI_OK;
    }
    char *place = cli_pool_format(&cli->pool, "--stdin %s", setting->value);
    if (place == NULL) {
        return cli_fail_nomem(cli);
    }
    if (strcmp(setting->value, "-") != 0) {
        int fd = open(setting->value, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || (fd != STDIN_FILENO && dup3(fd, STDIN_FILENO, O_CLOEXEC) < 0)) {
            return cli_fail(cli, place, NULL, "cannot be opened: %s", strerror(errno));
        }
        if (fd != STDIN_FILENO) {
            (void)close(fd);
        }
        cli->closed[STDIN_FILENO] = false;
    }
    struct stat st;
    if (cli->closed[STDIN_FILENO]) {
        return cli_fail(cli, place, "open it, or leave the option away",
                        "standard input is closed");
    }
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISDIR(st.st_mode)) {
        return cli_fail(cli, place, NULL, "is a directory");
    }
    options->stdin_fd = STDIN_FILENO;
    return CLI_OK;
}

static int open_secrets(struct cli *cli, const struct cli_args *args, struct cli_secrets *secrets)
{
    const struct cli_setting *setting = cli_setting_of(args, CLI_O_SECRETS);
    return setting == NULL ? CLI_OK : cli_secrets_load(cli, setting->value, secrets);
}

/* One standard input serves one purpose. */
static int check_stdin_use(struct cli *cli, const struct cli_args *args, const char *document)
{
    const struct cli_setting *input = cli_setting_of(args, CLI_O_STDIN);
    if (document != NULL && strcmp(document, "-") == 0 && input != NULL &&
        strcmp(input->value, "-") == 0) {
        return cli_fail(cli, "--stdin -", "give one of them a file",
                        "standard input is read for the document already");
    }
    return CLI_OK;
}

static int refuse_feed(struct cli *cli)
{
    return cli_fail(cli, "--stdin", "set stdin to true in its capture_streams control",
                    "the spec gives the workload no input");
}

/* ---- the spec ---- */

struct asked {
    const struct bv_spec *spec;
    struct bv_spec own;     /* made from options */
    struct bv_spec *parsed; /* read from a file; freed with the command */
    const char *source;     /* the file's name, for messages */
    const char *backend;
};

static bool feeds_stdin(const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_CAPTURE_STREAMS) {
            return spec->controls[i].u.capture.in;
        }
    }
    return false;
}

static int parse_spec(struct cli *cli, const struct cli_args *args, const char *path,
                      struct asked *asked)
{
    if (args->operand_count > 0) {
        return cli_fail(cli, args->operands[0], "the spec names the workload",
                        "cannot be combined with --spec");
    }
    int result = check_stdin_use(cli, args, path);
    char *text = NULL;
    size_t size = 0;
    if (result == CLI_OK) {
        result = cli_read_file(cli, path, BV_SPEC_MAX_BYTES, &text, &size);
    }
    if (result != CLI_OK) {
        return result;
    }
    struct bv_error error = { 0 };
    asked->source = strcmp(path, "-") == 0 ? "standard input" : path;
    if (bv_spec_parse(text, size, &asked->parsed, &error) != BV_OK) {
        return cli_tell_error(cli, "spec", asked->source, &error);
    }
    const struct cli_setting *input = cli_setting_of(args, CLI_O_STDIN);
    if (input != NULL && strcmp(input->value, "none") != 0 && !feeds_stdin(asked->parsed)) {
        return refuse_feed(cli);
    }
    asked->spec = asked->parsed;
    asked->backend = asked->parsed->workload.kind == BV_WORKLOAD_WASM ? "wasm" : "linux";
    return CLI_OK;
}

static int make_spec(struct cli *cli, const struct cli_args *args, struct asked *asked)
{
    const struct cli_setting *spec = cli_setting_of(args, CLI_O_SPEC);
    const struct cli_setting *backend = cli_setting_of(args, CLI_O_BACKEND);
    int result = CLI_OK;
    if (spec != NULL) {
        result = parse_spec(cli, args, spec->value, asked);
    } else if (args->operand_count == 0) {
        return cli_fail(cli, "EXE", "write bvisor run [OPTIONS] EXE [ARG...]; see: bvisor help run",
                        "no program is named");
    } else {
        struct cli_request request = { 0 };
        result = cli_request_read(cli, args, &request);
        if (result == CLI_OK) {
            result = cli_request_spec(cli, &request, args->operands, args->operand_count,
                                      &asked->own, &asked->backend);
        }
        asked->spec = &asked->own;
    }
    if (result == CLI_OK && backend != NULL) {
        asked->backend = backend->value;
    }
    return result;
}

/* --print-spec: indented for a person; with --json or --report it is the one document. */
static int print_spec(struct cli *cli, const struct bv_spec *spec)
{
    struct bv_error error = { 0 };
    char *text = NULL;
    if (bv_spec_json(spec, &text, &error) != BV_OK) {
        return cli_tell_error(cli, "spec", NULL, &error);
    }
    if (cli_wants_document(cli)) {
        int result = cli_document(cli, text);
        bv_free(text);
        return result;
    }
    json_t *tree = json_loads(text, 0, NULL);
    char *pretty = tree == NULL ? NULL : json_dumps(tree, JSON_INDENT(2));
    json_decref(tree);
    bv_free(text);
    if (pretty == NULL) {
        return cli_fail_nomem(cli);
    }
    (void)puts(pretty);
    free(pretty);
    return cli_flush_stdout(cli);
}

/* ---- plan ---- */

static int tell_plan(struct cli *cli, const struct bv_plan *plan)
{
    struct bv_error error = { 0 };
    char *text = NULL;
    if (bv_plan_json(plan, &text, &error) != BV_OK) {
        return cli_tell_error(cli, "plan", NULL, &error);
    }
    int result = cli_document(cli, text);
    json_t *tree = result == CLI_OK && !cli->json && !cli->quiet ? json_loads(text, 0, NULL) : NULL;
    if (tree != NULL) {
        const struct cli_page page = cli_page_for(stdout);
        cli_put_plan(&page, tree);
        json_decref(tree);
        result = cli_flush_stdout(cli);
    }
    bv_free(text);
    return result;
}

static int plan_only(struct cli *cli, const struct asked *asked, struct bv_backend *backend)
{
    struct bv_error error = { 0 };
    struct bv_refusal *refusal = NULL;
    struct bv_plan *plan = NULL;
    enum bv_status status = bv_plan_create(backend, asked->spec, &plan, &refusal, &error);
    if (status == BV_E_REFUSED) {
        return cli_tell_refusal(cli, refusal);
    }
    int result = status == BV_OK ? tell_plan(cli, plan)
                                 : cli_tell_error(cli, "plan", asked->source, &error);
    bv_plan_free(plan);
    return result;
}

/* Namespaces take longest to make: they are begun before the rest of the command line is read. Whatever goes
 * wrong is told when the backend is opened for good. */
static void begin_early(struct cli *cli, const struct cli_args *args,
                        struct bv_registry **ret_registry, struct bv_backend **ret_backend)
{
    const struct cli_setting *net = cli_setting_of(args, CLI_O_NET);
    if (args->operand_count == 0 || cli_given(args, CLI_O_SPEC) ||
        cli_given(args, CLI_O_BACKEND) || cli_given(args, CLI_O_PRINT_SPEC) ||
        cli_is_wasm(args->operands[0]) || /* a guest needs none of it */
        cli_open_backend(cli, "linux", ret_registry, ret_backend) != CLI_OK) {
        return;
    }
    bv_backend_prepare(*ret_backend, net != NULL && strcmp(net->value, "all") == 0
                                         ? BV_NETWORK_ALLOW_ALL
                                         : BV_NETWORK_DENY_ALL);
}

static bool spec_stages(const struct bv_spec *spec)
{
    bool stages = false;
    for (size_t i = 0; i < spec->control_count; i++) {
        const enum bv_control_kind kind = spec->controls[i].kind;
        stages = stages || kind == BV_CTL_COMMIT_ARTIFACT || kind == BV_CTL_DISCARD_ARTIFACT ||
                 kind == BV_CTL_LIST_OUTPUTS;
    }
    return stages;
}

/* A spec that stages needs the state directory. Without one the planner refuses, and says what would give it. */
static int open_store(struct cli *cli, const struct cli_args *args, bool stages, struct bv_backend *backend,
                      struct bv_store **ret_store)
{
    const int result = stages ? cli_open_store(cli, args, ret_store) : CLI_OK;
    if (result == CLI_OK && *ret_store != NULL) {
        bv_backend_stage_in(backend, *ret_store);
    }
    return result;
}

/* The run itself, with its journal and its key. What earlier runs left open is settled first, quietly: a run is no place to tell about others. */
static int run_recorded(struct cli *cli, const struct cli_args *args, struct bv_backend *backend, struct cli_job *job, const char *source,
                        struct bv_run_options *options, struct cli_secrets *secrets)
{
    struct bv_key *key = NULL;
    int result = cli_read_key(cli, args, CLI_O_SIGN, true, &key);
    if (result == CLI_OK) {
        result = cli_open_journal(cli, args, &options->journal);
    }
    if (result == CLI_OK && options->journal != NULL) {
        struct bv_error error = { 0 };
        if (bv_recover(options->journal, NULL, backend, false, NULL, NULL, &error) != BV_OK) {
            cli_note("journal: earlier runs could not be settled: %s (see: bvisor recover)", error.text);
        }
    }
    job->keep = !cli_given(args, CLI_O_NO_JOURNAL);
    if (result == CLI_OK) {
        result = cli_run_job(cli, backend, job, source, options, key, secrets);
    }
    bv_journal_free(options->journal);
    bv_key_free(key);
    return result;
}

static int run_or_plan(struct cli *cli, const struct cli_args *args, bool run)
{
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct cli_secrets secrets = { 0 };
    struct asked asked = { 0 };
    struct bv_registry *registry = NULL;
    struct bv_backend *backend = NULL;
    struct bv_store *store = NULL;
    int result = read_run_options(cli, args, &options);
    if (result == CLI_OK && run) {
        begin_early(cli, args, &registry, &backend);
    }
    if (result == CLI_OK) {
        result = make_spec(cli, args, &asked);
    }
    if (result == CLI_OK && cli_given(args, CLI_O_PRINT_SPEC)) {
        result = print_spec(cli, asked.spec);
        bv_spec_free(asked.parsed);
        return result;
    }
    result = result == CLI_OK ? cli_check_report_path(cli) : result;
    result = result == CLI_OK ? open_stdin(cli, args, &options) : result;
    result = result == CLI_OK ? open_secrets(cli, args, &secrets) : result;
    if (result == CLI_OK && (backend == NULL || strcmp(bv_backend_id(backend), asked.backend) != 0)) {
        bv_registry_free(registry);
        registry = NULL;
        result = cli_open_backend(cli, asked.backend, &registry, &backend);
    }
    if (result == CLI_OK) {
        result = open_store(cli, args, spec_stages(asked.spec), backend, &store);
    }
    if (result == CLI_OK && run) {
        struct cli_job job = { .spec = asked.spec };
        result = run_recorded(cli, args, backend, &job, asked.source, &options, &secrets);
    } else if (result == CLI_OK) {
        result = plan_only(cli, &asked, backend);
    }
    cli_secrets_wipe(&secrets);
    bv_registry_free(registry);
    bv_store_free(store);
    bv_spec_free(asked.parsed);
    return result;
}

int cli_cmd_run(struct cli *cli, const struct cli_args *args)
{
    return run_or_plan(cli, args, true);
}

int cli_cmd_plan(struct cli *cli, const struct cli_args *args)
{
    return run_or_plan(cli, args, false);
}

/* ---- exec ---- */

/* Whether the saved plan feeds the workload's standard input. */
static bool plan_feeds_stdin(const char *text, size_t size)
{
    json_t *plan = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *admitted = cli_at(plan, "admitted");
    bool feeds = false;
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const json_t *requirement = cli_at(json_array_get(admitted, i), "requirement");
        feeds = feeds || json_is_true(cli_at(cli_at(requirement, "capture_streams"), "stdin"));
    }
    json_decref(plan);
    return feeds;
}

/* Whether the saved plan stages what the workload writes. */
static bool plan_stages(const char *text, size_t size)
{
    json_t *plan = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *admitted = cli_at(plan, "admitted");
    bool stages = false;
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const char *kind = cli_text_at(json_array_get(admitted, i), "kind");
        stages = stages || strcmp(kind, "commit_artifact") == 0 || strcmp(kind, "discard_artifact") == 0 ||
                 strcmp(kind, "list_outputs") == 0;
    }
    json_decref(plan);
    return stages;
}

static int reload(struct cli *cli, const struct cli_args *args, const char *path, const char *text, size_t size,
                  struct bv_registry **ret_registry, struct bv_backend **ret_backend,
                  struct bv_store **ret_store, struct bv_plan **ret_plan)
{
    char id[24] = "";
    struct bv_error error = { 0 };
    if (bv_plan_peek_backend(text, size, id, &error) != BV_OK) {
        return cli_tell_error(cli, "plan", path, &error);
    }
    int result = cli_open_backend(cli, id, ret_registry, ret_backend);
    if (result == CLI_OK) {
        result = open_store(cli, args, plan_stages(text, size), *ret_backend, ret_store);
    }
    if (result != CLI_OK) {
        return result;
    }
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_plan_reload(*ret_backend, text, size, ret_plan, &refusal, &error);
    if (status == BV_E_REFUSED) {
        return cli_tell_refusal(cli, refusal);
    }
    return status == BV_OK ? CLI_OK : cli_tell_error(cli, "plan", path, &error);
}

int cli_cmd_exec(struct cli *cli, const struct cli_args *args)
{
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct cli_secrets secrets = { 0 };
    struct bv_registry *registry = NULL;
    struct bv_backend *backend = NULL;
    struct bv_plan *plan = NULL;
    struct bv_store *store = NULL;
    if (args->operand_count != 1) {
        return cli_fail(cli, "exec", "write bvisor exec PLAN.json [OPTIONS]",
                        "takes exactly one plan");
    }
    const char *path = args->operands[0];
    char *text = NULL;
    size_t size = 0;
    int result = read_run_options(cli, args, &options);
    result = result == CLI_OK ? check_stdin_use(cli, args, path) : result;
    result = result == CLI_OK ? cli_check_report_path(cli) : result;
    result = result == CLI_OK ? cli_read_file(cli, path, BV_PLAN_MAX_BYTES, &text, &size) : result;
    result = result == CLI_OK ? open_stdin(cli, args, &options) : result;
    result = result == CLI_OK ? open_secrets(cli, args, &secrets) : result;
    result = result == CLI_OK ? reload(cli, args, path, text, size, &registry, &backend, &store, &plan) : result;
    if (result == CLI_OK && options.stdin_fd >= 0 && !plan_feeds_stdin(text, size)) {
        result = refuse_feed(cli);
    }
    struct cli_job job = { .plan = plan };
    result = result == CLI_OK ? run_recorded(cli, args, backend, &job, path, &options, &secrets) : result;
    cli_secrets_wipe(&secrets);
    bv_plan_free(plan);
    bv_registry_free(registry);
    bv_store_free(store);
    return result;
}
