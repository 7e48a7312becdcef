/* cli/state.c - see state.h. The environment's directories are the XDG base directory specification's: relative ones are ignored. */
#include "cli/state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/request.h"

/* Links in what exists of the path are resolved once; what does not exist yet is taken as written. */
static int resolve(struct cli *cli, const char *path, const char **ret_dir)
{
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (path[0] != '/' && cwd == NULL) {
        return cli_fail(cli, "--journal", "give an absolute path", "the working directory is gone");
    }
    char *clean = cwd == NULL ? cli_clean_path(cli, path) : cli_clean_path(cli, cli_pool_format(&cli->pool, "%s/%s", cwd, path));
    free(cwd);
    if (clean == NULL) {
        return cli_fail(cli, path, NULL, "is no path for a state directory: it must hold no .. component");
    }
    *ret_dir = clean;
    for (size_t size = strlen(clean); size > 0; size--) {
        if (clean[size] != '/' && clean[size] != '\0') {
            continue;
        }
        const char saved = clean[size];
        clean[size] = '\0';
        char *real = realpath(clean, NULL);
        clean[size] = saved;
        if (real != NULL) {
            *ret_dir = cli_pool_format(&cli->pool, "%s%s", strcmp(real, "/") == 0 ? "" : real, clean + size);
            free(real);
            break;
        }
    }
    return *ret_dir == NULL ? cli_fail_nomem(cli) : CLI_OK;
}

int cli_state_dir(struct cli *cli, const struct cli_args *args, const char **ret_dir)
{
    const struct cli_setting *given = cli_setting_of(args, CLI_O_JOURNAL);
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *dir = NULL;
    *ret_dir = NULL;
    if (given != NULL && given->value[0] == '\0') {
        return cli_fail(cli, "--journal", "name a directory", "is empty");
    }
    if (given != NULL) {
        return resolve(cli, given->value, ret_dir);
    }
    if (state != NULL && state[0] == '/') {
        dir = cli_pool_format(&cli->pool, "%s/bvisor", state);
    } else if (geteuid() == 0) {
        dir = "/var/lib/bvisor";
    } else if (home != NULL && home[0] == '/') {
        dir = cli_pool_format(&cli->pool, "%s/.local/state/bvisor", home);
    } else {
        return CLI_OK;
    }
    return dir == NULL ? cli_fail_nomem(cli) : resolve(cli, dir, ret_dir);
}

int cli_open_journal(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal)
{
    const char *dir = NULL;
    *ret_journal = NULL;
    if (cli_given(args, CLI_O_NO_JOURNAL)) {
        return CLI_OK;
    }
    int result = cli_state_dir(cli, args, &dir);
    if (result == CLI_OK && dir == NULL && !cli->quiet) {
        cli_note("no record is kept: neither XDG_STATE_HOME nor HOME is set (--journal DIR keeps one, --no-journal is content without)");
    }
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

static int open_store(struct cli *cli, const char *dir, struct bv_store **ret_store)
{
    struct bv_error error = { 0 };
    return bv_store_open(dir, ret_store, &error) == BV_OK ? CLI_OK : cli_tell_error(cli, dir, NULL, &error);
}

int cli_open_state(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal, struct bv_store **ret_store)
{
    const char *dir = NULL;
    struct bv_error error = { 0 };
    *ret_journal = NULL;
    *ret_store = NULL;
    int result = cli_state_dir(cli, args, &dir);
    if (result == CLI_OK && dir == NULL) {
        return cli_fail(cli, "state directory", "name it with --journal DIR", "neither XDG_STATE_HOME nor HOME is set");
    }
    if (result == CLI_OK && bv_journal_open_existing(dir, ret_journal, &error) != BV_OK) {
        return cli_tell_error(cli, dir, NULL, &error);
    }
    const char *quarantine = result == CLI_OK ? cli_pool_format(&cli->pool, "%s/quarantine", dir) : NULL;
    if (result == CLI_OK && quarantine == NULL) {
        return cli_fail_nomem(cli);
    }
    return result == CLI_OK && access(quarantine, F_OK) == 0 ? open_store(cli, dir, ret_store) : result;
}

int cli_open_store(struct cli *cli, const struct cli_args *args, struct bv_store **ret_store)
{
    const char *dir = NULL;
    *ret_store = NULL;
    const int result = cli_state_dir(cli, args, &dir);
    return result == CLI_OK && dir != NULL ? open_store(cli, dir, ret_store) : result;
}
