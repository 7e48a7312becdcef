/* cli/cmd_artifacts.c - what staged runs wrote: list, diff, commit, discard, export. */
#include "cli/commands.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/state.h"
#include "cli/text.h"

struct asked {
    struct bv_store *store;
    const char *action, *attempt;
    struct bv_selection selection;
};

static const char *const durabilities[] = { "atomic", "durable", "best-effort" }; /* in the order of the enum */

static int check_usage(struct cli *cli, const struct cli_args *args, struct asked *asked)
{
    static const char *const actions[] = { "list", "diff", "commit", "discard", "export" };
    asked->action = args->operand_count > 0 ? args->operands[0] : "";
    bool known = false;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        known = known || strcmp(actions[i], asked->action) == 0;
    }
    if (!known) {
        return cli_fail(cli, "artifacts", "see: bvisor help artifacts", "needs one of: list diff commit discard export");
    }
    if (args->operand_count < 2 && strcmp(asked->action, "list") != 0) {
        return cli_fail(cli, cli_pool_format(&cli->pool, "artifacts %s", asked->action), "bvisor artifacts list names them", "needs an ATTEMPT");
    }
    const bool commits = strcmp(asked->action, "commit") == 0;
    if (!commits && (cli_given(args, CLI_O_OVERWRITE) || cli_given(args, CLI_O_DURABILITY))) {
        return cli_fail(cli, cli_given(args, CLI_O_OVERWRITE) ? "--overwrite" : "--durability", NULL, "goes with artifacts commit only");
    }
    const struct cli_setting *durability = cli_setting_of(args, CLI_O_DURABILITY);
    bool durable = durability == NULL;
    for (size_t i = 0; i < sizeof durabilities / sizeof durabilities[0]; i++) {
        durable = durable || strcmp(durabilities[i], durability->value) == 0;
    }
    if (!durable) {
        return cli_fail(cli, cli_pool_format(&cli->pool, "--durability %s", durability->value), NULL, "must be atomic, durable or best-effort");
    }
    if (cli->json && strcmp(asked->action, "list") != 0) {
        return cli_fail(cli, "--json", NULL, "goes with artifacts list only");
    }
    asked->attempt = args->operand_count > 1 ? args->operands[1] : NULL;
    if (args->operand_count > 2) {
        asked->selection = (struct bv_selection){ (const char *const *)args->operands + 2, args->operand_count - 2 };
    }
    return CLI_OK;
}

/* ---- list ---- */

static const char *const states[] = { "live", "unsealed", "kept", "decided", "prepared", "applied", "listed", "discarding" };

struct listing {
    struct cli_page page;
    json_t *items; /* NULL: for a person */
    bool failed;
};

static bool put_attempt(void *context, const char *attempt, enum bv_store_state state)
{
    struct listing *listing = context;
    if (listing->items != NULL) {
        listing->failed = listing->failed ||
                          json_array_append_new(listing->items, json_pack("{s:s, s:s}", "attempt", attempt, "state", states[state])) != 0;
    } else {
        (void)fprintf(listing->page.out, "%s  %s\n", attempt, states[state]);
    }
    return true;
}

static void put_size(const struct bv_artifact *artifact, FILE *out)
{
    char size[CLI_FIGURE_BYTES] = "-";
    if (artifact->kind == BV_ARTIFACT_FILE && artifact->change != BV_CHANGE_REMOVED) {
        cli_format_size(artifact->size, size);
    }
    (void)fprintf(out, "%-8s  %-9s  %04o  %10s  ", bv_change_name(artifact->change), bv_artifact_kind_name(artifact->kind), artifact->mode, size);
}

/* Paths are bytes: what is no UTF-8 is told in base64's stead as Latin-1 escapes by cli_put_text(), and in a document as hexadecimal. */
static json_t *path_json(const char *path)
{
    json_t *text = json_string(path);
    if (text != NULL) {
        return text;
    }
    const size_t size = strlen(path);
    char *hex = malloc(size * 2 + 1);
    for (size_t i = 0; hex != NULL && i < size; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)path[i]);
    }
    text = hex == NULL ? NULL : json_pack("{s:s}", "bytes_hex", hex);
    free(hex);
    return text;
}

static json_t *artifact_json(const struct bv_artifact *artifact)
{
    return json_pack("{s:s, s:s, s:s?, s:s, s:i, s:o, s:s, s:I}", "artifact_id", artifact->artifact_id, "change", bv_change_name(artifact->change),
                     "content_hash", artifact->content_hash, "kind", bv_artifact_kind_name(artifact->kind), "mode", (int)artifact->mode, "path",
                     path_json(artifact->path), "root", artifact->root, "size", (json_int_t)artifact->size);
}

static bool put_artifact(void *context, const struct bv_artifact *artifact)
{
    struct listing *listing = context;
    if (listing->items != NULL) {
        listing->failed = listing->failed || json_array_append_new(listing->items, artifact_json(artifact)) != 0;
        return true;
    }
    put_size(artifact, listing->page.out);
    cli_put_text(listing->page.out, artifact->root);
    (void)fputc('/', listing->page.out);
    cli_put_text(listing->page.out, artifact->path);
    (void)fputc('\n', listing->page.out);
    return true;
}

static int finish_list(struct cli *cli, struct listing *listing, const char *schema, const char *name, bool complete)
{
    if (listing->items == NULL) {
        return cli_flush_stdout(cli);
    }
    json_t *document = json_pack("{s:s, s:b, s:O}", "schema", schema, "complete", complete, name, listing->items);
    char *text = document == NULL || listing->failed ? NULL : json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(document);
    const int result = text == NULL ? cli_fail_nomem(cli) : cli_document(cli, text);
    free(text);
    return result;
}

static int list(struct cli *cli, const struct asked *asked)
{
    struct bv_error error = { 0 };
    bool complete = true;
    struct listing listing = { .page = cli_page_for(stdout), .items = cli->json ? json_array() : NULL };
    if (cli->json && listing.items == NULL) {
        return cli_fail_nomem(cli);
    }
    const enum bv_status status =
        asked->attempt == NULL ? bv_store_each(asked->store, put_attempt, &listing, &error)
                               : bv_artifacts_list(asked->store, asked->attempt, &asked->selection, put_artifact, &listing, &complete, &error);
    int result = status == BV_OK ? CLI_OK : cli_tell_error(cli, "artifacts", NULL, &error);
    if (result == CLI_OK) {
        result = asked->attempt == NULL ? finish_list(cli, &listing, "bvisor.attempts/1", "attempts", true)
                                        : finish_list(cli, &listing, "bvisor.artifacts/1", "artifacts", complete);
    }
    if (result == CLI_OK && !complete && !cli->json) {
        cli_note("artifacts: the run changed more than is listed (name the paths that are to be committed)");
    }
    json_decref(listing.items);
    return result;
}

/* ---- diff, export ---- */

/* Diffs hold what the workload wrote: on a terminal it is cleaned. */
static int show_clean(struct cli *cli, int fd)
{
    static char bytes[1 << 16];
    size_t held = 0;
    ssize_t n = 1;
    if (lseek(fd, 0, SEEK_SET) < 0) {
        return cli_fail(cli, "diff", NULL, "cannot be read back: %s", strerror(errno));
    }
    while (n > 0) {
        n = read(fd, bytes + held, sizeof bytes - held);
        held += n > 0 ? (size_t)n : 0;
        const char *last = memrchr(bytes, '\n', held);
        const size_t whole = last != NULL && n > 0 && held < sizeof bytes ? (size_t)(last - bytes) + 1 : held;
        cli_put_clean(stdout, bytes, whole, true);
        memmove(bytes, bytes + whole, held - whole);
        held -= whole;
    }
    return n < 0 ? cli_fail(cli, "diff", NULL, "cannot be read back: %s", strerror(errno)) : cli_flush_stdout(cli);
}

static int diff(struct cli *cli, const struct asked *asked)
{
    struct bv_error error = { 0 };
    const bool terminal = isatty(STDOUT_FILENO) == 1;
    const int fd = terminal ? memfd_create("bvisor-diff", MFD_CLOEXEC) : STDOUT_FILENO;
    if (fd < 0) {
        return cli_fail(cli, "diff", NULL, "no memory file can be made for it: %s", strerror(errno));
    }
    int result = bv_artifacts_diff(asked->store, asked->attempt, &asked->selection, fd, &error) == BV_OK
                     ? CLI_OK
                     : cli_tell_error(cli, "artifacts", NULL, &error);
    if (terminal) {
        result = result == CLI_OK ? show_clean(cli, fd) : result;
        (void)close(fd);
    }
    return result;
}

static int export(struct cli *cli, const struct asked *asked)
{
    struct bv_error error = { 0 };
    if (isatty(STDOUT_FILENO) == 1) {
        return cli_fail(cli, "artifacts export", "send it to a file: bvisor artifacts export ATTEMPT > FILE.tar", "a tar archive is not for a terminal");
    }
    return bv_artifacts_export(asked->store, asked->attempt, &asked->selection, STDOUT_FILENO, &error) == BV_OK
               ? CLI_OK
               : cli_tell_error(cli, "artifacts", NULL, &error);
}

/* ---- commit, discard ---- */

static int commit(const struct cli_args *args, const struct asked *asked)
{
    struct bv_error error = { 0 };
    struct bv_committed committed = { 0 };
    struct bv_commit_options options = { .overwrite = cli_given(args, CLI_O_OVERWRITE) };
    const struct cli_setting *durability = cli_setting_of(args, CLI_O_DURABILITY);
    for (size_t i = 0; durability != NULL && i < sizeof durabilities / sizeof durabilities[0]; i++) {
        options.durability = strcmp(durabilities[i], durability->value) == 0 ? (enum bv_durability)i : options.durability;
    }
    if (bv_artifacts_commit(asked->store, asked->attempt, &asked->selection, &options, &committed, &error) != BV_OK) {
        const bool conflict = error.status == BV_E_STATE && error.place[0] == '/' && !options.overwrite;
        cli_note("%s%s", error.text, conflict ? " (nothing was committed; --overwrite takes the staged one all the same)" : "");
        return CLI_FAULT;
    }
    if (committed.skipped > 0) {
        cli_note("artifacts: %llu special files were not promoted", (unsigned long long)committed.skipped);
    }
    return CLI_OK;
}

static int discard(struct cli *cli, const struct asked *asked)
{
    struct bv_error error = { 0 };
    return bv_artifacts_discard(asked->store, asked->attempt, &asked->selection, &error) == BV_OK ? CLI_OK
                                                                                                 : cli_tell_error(cli, "artifacts", NULL, &error);
}

static int act(struct cli *cli, const struct cli_args *args, const struct asked *asked)
{
    return strcmp(asked->action, "list") == 0      ? list(cli, asked)
           : strcmp(asked->action, "diff") == 0    ? diff(cli, asked)
           : strcmp(asked->action, "export") == 0  ? export(cli, asked)
           : strcmp(asked->action, "discard") == 0 ? discard(cli, asked)
                                                   : commit(args, asked);
}

/* Nothing was ever staged there: an empty list, and every attempt is unknown. */
static int act_on_nothing(struct cli *cli, const struct asked *asked)
{
    if (asked->attempt != NULL && strlen(asked->attempt) == 32 && strspn(asked->attempt, "0123456789abcdef") == 32) {
        return cli_fail(cli, asked->attempt, "bvisor artifacts list names what there is", "nothing is staged under attempt %s", asked->attempt);
    }
    if (asked->attempt != NULL) {
        return cli_fail(cli, asked->attempt, NULL, "an attempt id has 32 lower-case hexadecimal digits");
    }
    struct listing listing = { .page = cli_page_for(stdout), .items = cli->json ? json_array() : NULL };
    const int result = cli->json && listing.items == NULL ? cli_fail_nomem(cli) : finish_list(cli, &listing, "bvisor.attempts/1", "attempts", true);
    json_decref(listing.items);
    return result;
}

int cli_cmd_artifacts(struct cli *cli, const struct cli_args *args)
{
    struct asked asked = { 0 };
    struct bv_journal *journal = NULL;
    int result = check_usage(cli, args, &asked);
    if (result == CLI_OK) {
        result = cli_open_state(cli, args, &journal, &asked.store);
    }
    if (result == CLI_OK && asked.store != NULL) {
        bv_store_record_in(asked.store, journal);
        result = act(cli, args, &asked);
    } else if (result == CLI_OK) {
        result = act_on_nothing(cli, &asked);
    }
    bv_store_free(asked.store);
    bv_journal_free(journal);
    return result;
}
