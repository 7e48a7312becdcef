/* cli/spec.c - a request becomes a spec. Everything is written down, defaults too, so that
 * --print-spec shows the whole boundary and not only what differs from a default. */
#include "cli/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Unites grants of equal rights into one capability each, in the order in which they first
 * appear. */
static size_t make_filesystems(struct cli *cli, const struct cli_request *request,
                               struct bv_capability *capabilities)
{
    size_t count = 0;
    for (size_t i = 0; i < request->grant_count; i++) {
        const struct cli_grant *grant = &request->grants[i];
        struct bv_filesystem *filesystem = NULL;
        for (size_t j = 0; j < count && filesystem == NULL; j++) {
            struct bv_filesystem *made = &capabilities[j].u.filesystem;
            filesystem =
                made->access == grant->access && made->execute == grant->execute ? made : NULL;
        }
        if (filesystem == NULL) {
            const char **roots = cli_pool_array(&cli->pool, request->grant_count, sizeof *roots);
            if (roots == NULL) {
                return SIZE_MAX;
            }
            capabilities[count] = (struct bv_capability){ .kind = BV_CAP_FILESYSTEM };
            filesystem = &capabilities[count++].u.filesystem;
            *filesystem = (struct bv_filesystem){ grant->access, grant->execute, true, roots, 0 };
        }
        bool known = false;
        for (size_t j = 0; j < filesystem->root_count && !known; j++) {
            known = strcmp(filesystem->roots[j], grant->path) == 0;
        }
        if (!known) {
            ((const char **)(uintptr_t)filesystem->roots)[filesystem->root_count++] = grant->path;
        }
    }
    return count;
}

static int make_capabilities(struct cli *cli, const struct cli_request *request,
                             struct bv_spec *spec)
{
    struct bv_capability *list = cli_pool_array(&cli->pool, 6 + 4, sizeof *list);
    size_t count = list == NULL ? SIZE_MAX : make_filesystems(cli, request, list);
    if (count == SIZE_MAX) {
        return cli_fail_nomem(cli);
    }
    list[count++] = (struct bv_capability){ .kind = BV_CAP_NETWORK, .u.network = request->network };
    list[count++] =
        (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN, .u.child_spawn = request->spawn };
    list[count++] = (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT,
                                            .u.environment = { request->env, request->env_count } };
    list[count++] =
        (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                .u.inherited_fds = { request->fds, request->fd_count } };
    spec->capabilities = list;
    spec->capability_count = count;
    return CLI_OK;
}

static int make_controls(struct cli *cli, const struct cli_request *request, struct bv_spec *spec)
{
    struct bv_control *list = cli_pool_array(&cli->pool, request->expose_count + 8, sizeof *list);
    if (list == NULL) {
        return cli_fail_nomem(cli);
    }
    size_t count = 0;
    list[count++] = (struct bv_control){ .kind = BV_CTL_LAUNCH_WORKLOAD };
    list[count++] = (struct bv_control){ .kind = BV_CTL_CAPTURE_STREAMS,
                                         .u.capture = { true, true, request->feed } };
    if (request->tmp) {
        list[count++] =
            (struct bv_control){ .kind = BV_CTL_TEMP_ROOT, .u.temp_root = request->temp };
    }
    for (size_t i = 0; i < request->expose_count; i++) {
        list[count++] =
            (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH, .u.expose = request->exposes[i] };
    }
    if (request->stage) {
        list[count++] = (struct bv_control){ .kind = BV_CTL_LIST_OUTPUTS };
    }
    if (request->commit) {
        list[count++] =
            (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT, .u.commit = request->durability };
    }
    if (request->discard) {
        list[count++] = (struct bv_control){ .kind = BV_CTL_DISCARD_ARTIFACT };
    }
    spec->controls = list;
    spec->control_count = count;
    return CLI_OK;
}

/* True when the boundary itself has this path: the private /tmp, or a DEST of --expose, which
 * need not exist on the host. */
static bool is_made_inside(const struct cli_request *request, const char *path)
{
    bool made = request->tmp && cli_inside("/tmp", path);
    for (size_t i = 0; i < request->expose_count && !made; i++) {
        made = cli_inside(request->exposes[i].dest, path);
    }
    return made;
}

/* --cwd, else the caller's working directory if it is inside a root, else "/". */
static int choose_cwd(struct cli *cli, const struct cli_request *request, const char **ret_cwd)
{
    if (request->cwd != NULL) {
        char *clean = cli_clean_path(cli, request->cwd);
        if (clean != NULL && (strcmp(clean, "/") == 0 || is_made_inside(request, clean))) {
            *ret_cwd = clean;
            return CLI_OK;
        }
        return cli_resolve(cli, "--cwd", request->cwd, ret_cwd);
    }
    *ret_cwd = "/";
    char *cwd = getcwd(NULL, 0);
    if (cwd == NULL) { /* removed, or out of reach: then it is inside no root either */
        return errno == ENOMEM ? cli_fail_nomem(cli) : CLI_OK;
    }
    if (cwd[0] == '/' && cli_deciding_grant(request, cwd) != NULL) {
        *ret_cwd = cli_pool_text(&cli->pool, cwd);
    }
    free(cwd);
    return *ret_cwd == NULL ? cli_fail_nomem(cli) : CLI_OK;
}

int cli_request_spec(struct cli *cli, const struct cli_request *request, char **words,
                     size_t word_count, struct bv_spec *ret_spec, const char **ret_backend)
{
    struct bv_spec spec = { .require_evidence = request->require };
    memcpy(spec.budgets, request->budgets, sizeof spec.budgets);
    int result = cli_find_workload(cli, request, words[0], &spec.workload);
    if (result == CLI_OK) {
        result = choose_cwd(cli, request, &spec.workload.cwd);
    }
    if (result == CLI_OK) {
        result = make_capabilities(cli, request, &spec);
    }
    if (result == CLI_OK) {
        result = make_controls(cli, request, &spec);
    }
    if (result != CLI_OK) {
        return result;
    }
    spec.workload.args = (const char *const *)(words + 1);
    spec.workload.arg_count = word_count - 1;
    struct bv_error error = { 0 };
    if (bv_spec_check(&spec, &error) != BV_OK) {
        return cli_fail(cli, error.place[0] == '\0' ? "spec" : error.place, NULL, "%s", error.text);
    }
    *ret_backend = spec.workload.kind == BV_WORKLOAD_WASM ? "wasm" : "linux";
    *ret_spec = spec;
    return CLI_OK;
}
