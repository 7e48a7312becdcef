/* cli/state.c - the state directory: where it is, and the store of staged writes in it. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/request.h"

/* A variable that holds an absolute path; NULL otherwise, as the XDG base directory specification wants it. */
static const char *absolute(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] == '/' ? value : NULL;
}

const char *cli_state_dir(struct cli *cli, const struct cli_args *args)
{
    const struct cli_setting *setting = cli_setting_of(args, CLI_O_JOURNAL);
    if (setting != NULL) {
        return setting->value;
    }
    const char *state = absolute("XDG_STATE_HOME"), *home = absolute("HOME");
    if (state != NULL) {
        return cli_pool_format(&cli->pool, "%s/bvisor", state);
    }
    if (geteuid() == 0) {
        return "/var/lib/bvisor";
    }
    return home != NULL ? cli_pool_format(&cli->pool, "%s/.local/state/bvisor", home) : NULL;
}

/* Links in what exists of the path are resolved once; what does not exist yet is taken as written. NULL: no memory, or no such path. */
static char *resolve(struct cli *cli, const char *dir)
{
    char *cwd = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    char *clean = dir[0] == '/' ? cli_clean_path(cli, dir) : cwd == NULL ? NULL : cli_clean_path(cli, cli_pool_format(&cli->pool, "%s/%s", cwd, dir));
    free(cwd);
    for (size_t size = clean == NULL ? 0 : strlen(clean); size > 0; size--) {
        if (clean[size] != '/' && clean[size] != '\0') {
            continue;
        }
        const char saved = clean[size];
        clean[size] = '\0';
        char *real = realpath(clean, NULL);
        clean[size] = saved;
        if (real != NULL) {
            char *whole = cli_pool_format(&cli->pool, "%s%s", strcmp(real, "/") == 0 ? "" : real, clean + size);
            free(real);
            return whole;
        }
    }
    return clean;
}

int cli_open_store(struct cli *cli, const struct cli_args *args, struct bv_store **ret_store)
{
    struct bv_error error = { 0 };
    const char *dir = cli_state_dir(cli, args);
    if (dir == NULL) {
        return cli_fail(cli, "state directory", "set HOME or XDG_STATE_HOME, or give --journal DIR", "nobody says where it is");
    }
    const char *resolved = resolve(cli, dir);
    if (resolved == NULL) {
        return cli_fail(cli, dir, NULL, "is no path for a state directory: it must hold no .. component");
    }
    return bv_store_open(resolved, ret_store, &error) == BV_OK ? CLI_OK : cli_tell_error(cli, dir, NULL, &error);
}
