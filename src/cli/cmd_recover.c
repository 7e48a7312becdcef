/* cli/cmd_recover.c - settles what a crash cut off: runs that the journal counts as open, and what is staged and nobody can come back to. */
#include "cli/commands.h"

#include "cli/render.h"
#include "cli/state.h"
#include "cli/text.h"

static bool put_recovered(void *context, const struct bv_recovered *recovered)
{
    const struct cli_page *page = context;
    cli_put_padded(page, recovered->attempt, 33);
    cli_put_padded(page, recovered->settled, 18);
    cli_put_text(page->out, recovered->swept);
    (void)fputc('\n', page->out);
    return true;
}

int cli_cmd_recover(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count > 0) {
        return cli_fail(cli, "recover", "write bvisor recover [--dry-run]", "takes no arguments");
    }
    struct bv_journal *journal = NULL;
    struct bv_store *store = NULL;
    struct bv_registry *registry = NULL;
    struct bv_backend *backend = NULL;
    int result = cli_open_state(cli, args, &journal, &store);
    if (result == CLI_OK && journal != NULL) { /* only what was recorded is known by name */
        result = cli_open_backend(cli, "linux", &registry, &backend);
    }
    if (result == CLI_OK) {
        struct cli_page page = cli_page_for(stdout);
        struct bv_error error = { 0 };
        if (bv_recover(journal, store, backend, cli_given(args, CLI_O_DRY_RUN), put_recovered, &page, &error) != BV_OK) {
            result = cli_tell_error(cli, "recover", NULL, &error);
        }
    }
    bv_store_free(store);
    bv_journal_free(journal);
    bv_registry_free(registry);
    int flushed = cli_flush_stdout(cli);
    return flushed > result ? flushed : result;
}
