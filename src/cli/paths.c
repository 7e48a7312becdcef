/* cli/paths.c - path questions of a request. Resolution happens once, here; the library opens
 * what came out of it without following symlinks, so a swap in between is refused and not
 * followed. */
#include "cli/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool cli_inside(const char *root, const char *path)
{
    size_t size = strlen(root);
    return strncmp(root, path, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

const struct cli_grant *cli_deciding_grant(const struct cli_request *request, const char *path)
{
    const struct cli_grant *best = NULL;
    for (size_t i = 0; i < request->grant_count; i++) {
        const struct cli_grant *grant = &request->grants[i];
        if (!cli_inside(grant->path, path)) {
            continue;
        }
        size_t size = strlen(grant->path), best_size = best == NULL ? 0 : strlen(best->path);
        if (size > best_size || (size == best_size && grant->execute)) {
            best = grant;
        }
    }
    return best;
}

int cli_resolve(struct cli *cli, const char *option, const char *path, const char **ret_path)
{
    char *resolved = realpath(path, NULL);
    if (resolved == NULL) {
        int error = errno;
        char *place = cli_pool_format(&cli->pool, "%s %s", option, path);
        return cli_fail(cli, place == NULL ? option : place, NULL, "%s",
                        error == ENOENT ? "there is no such file or directory" : strerror(error));
    }
    bool whole = strcmp(resolved, "/") == 0;
    char *copy = cli_pool_text(&cli->pool, resolved);
    free(resolved);
    if (copy == NULL) {
        return cli_fail_nomem(cli);
    }
    if (whole) {
        char *place = cli_pool_format(&cli->pool, "%s %s", option, path);
        return cli_fail(cli, place == NULL ? option : place,
                        "name the directories it needs, or use --system",
                        "the whole file system cannot be granted");
    }
    *ret_path = copy;
    return CLI_OK;
}

char *cli_clean_path(struct cli *cli, const char *path)
{
    if (path[0] != '/') {
        return NULL;
    }
    char *clean = cli_pool_alloc(&cli->pool, strlen(path) + 2);
    if (clean == NULL) {
        return NULL;
    }
    size_t size = 0;
    for (const char *at = path; *at != '\0';) {
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            return NULL;
        }
        if (length > 0 && !(length == 1 && at[0] == '.')) {
            clean[size++] = '/';
            memcpy(clean + size, at, length);
            size += length;
        }
        at += length;
    }
    if (size == 0) {
        clean[size++] = '/';
    }
    clean[size] = '\0';
    return clean;
}
