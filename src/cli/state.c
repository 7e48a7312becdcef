/* cli/state.c - see state.h. The environment's directories are the XDG base directory specification's: relative ones are ignored. */
#include "cli/state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

static int absolute(struct cli *cli, const char *path, const char **ret_path)
{
    if (path[0] == '\0') {
        return cli_fail(cli, "--journal", "name a directory", "is empty");
    }
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (path[0] != '/' && cwd == NULL) {
        return cli_fail(cli, "--journal", "give an absolute path", "the working directory is gone");
    }
    *ret_path = cwd == NULL ? cli_pool_text(&cli->pool, path) : cli_pool_format(&cli->pool, "%s/%s", cwd, path);
    free(cwd);
    return *ret_path == NULL ? cli_fail_nomem(cli) : CLI_OK;
}

int cli_state_dir(struct cli *cli, const struct cli_args *args, const char **ret_dir)
{
    const struct cli_setting *given = cli_setting_of(args, CLI_O_JOURNAL);
    if (given != NULL) {
        return absolute(cli, given->value, ret_dir);
    }
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    *ret_dir = NULL;
    if (state != NULL && state[0] == '/') {
        *ret_dir = cli_pool_format(&cli->pool, "%s/bvisor", state);
    } else if (geteuid() == 0) {
        *ret_dir = "/var/lib/bvisor";
    } else if (home != NULL && home[0] == '/') {
        *ret_dir = cli_pool_format(&cli->pool, "%s/.local/state/bvisor", home);
    } else {
        return CLI_OK;
    }
    return *ret_dir == NULL ? cli_fail_nomem(cli) : CLI_OK;
}

int cli_open_journal(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal)
{
    const char *dir = NULL;
    *ret_journal = NULL;
    if (cli_given(args, CLI_O_NO_JOURNAL)) {
        return CLI_OK;
    }
    int result = cli_state_dir(cli, args, &dir);
    if (result != CLI_OK || dir == NULL) {
        return result;
    }
    struct bv_error error = { 0 };
    if (bv_journal_open(dir, ret_journal, &error) == BV_OK) {
        return CLI_OK;
    }
    return cli_fail(cli, error.place[0] == '\0' ? dir : error.place, "nothing ran; name another with --journal DIR, or keep no record with --no-journal",
                    "%s", error.text[0] == '\0' ? bv_status_name(error.status) : error.text);
}
