/* cli/request.h - what the boundary options of run and plan ask for, and the spec that it makes.
 *
 * Path rule of INTERFACE.md 1: a path on the command line is made absolute and its symlinks are
 * resolved once, here; a spec holds only what came out of that. */
#pragma once

#include <bvisor/spec.h>

#include "cli/options.h"

struct cli_grant {
    const char *path; /* absolute, resolved */
    enum bv_access access;
    bool execute;
};

struct cli_request {
    struct cli_grant *grants; /* in the order given; --system's last */
    size_t grant_count;
    struct bv_expose *exposes;
    size_t expose_count;
    struct bv_env_entry *env;
    size_t env_count;
    int32_t *fds;
    size_t fd_count;
    struct bv_network network;
    enum bv_spawn_policy spawn;
    bool system, tmp, stage, commit, discard, feed; /* feed: --stdin gives bytes */
    struct bv_temp_root temp;
    enum bv_durability durability;
    struct bv_budget_request budgets[BV_DIMENSION_COUNT];
    uint32_t require;
    const char *cwd; /* as given; NULL = not given */
};

/* Reads the boundary options. 0 or CLI_FAULT. */
int cli_request_read(struct cli *cli, const struct cli_args *args, struct cli_request *ret_request);
/* Turns a request and the workload's words (EXE, arguments) into a spec whose parts live in the
 * pool, checked by the library's rules. *ret_backend: "linux" or "wasm", what the workload's
 * bytes ask for. 0, CLI_FAULT or CLI_REFUSED. */
int cli_request_spec(struct cli *cli, const struct cli_request *request, char **words,
                     size_t word_count, struct bv_spec *ret_spec, const char **ret_backend);

/* ---- request's parts, each in its own file ---- */

/* True when path is root or below it. */
bool cli_inside(const char *root, const char *path);
/* The grant that decides about path: the most specific; NULL if none covers it. With equal
 * roots, one that executes wins. */
const struct cli_grant *cli_deciding_grant(const struct cli_request *request, const char *path);
/* Resolves path for option; refuses "/". 0 or CLI_FAULT. */
int cli_resolve(struct cli *cli, const char *option, const char *path, const char **ret_path);
/* Cleans an absolute path of "//" , "/./" and a trailing slash without asking the file system;
 * NULL when it has ".." or is relative. Lives in the pool. */
char *cli_clean_path(struct cli *cli, const char *path);

#define CLI_SYSTEM_MAX 64 /* grants and exposes that --system can add, each */
/* Adds the roots of --system; request->grants and ->exposes have room. 0 or CLI_FAULT. */
int cli_system_add(struct cli *cli, struct cli_request *request);

/* True for a regular file that begins with the Wasm magic. */
bool cli_is_wasm(const char *path);

/* Finds the program or module that EXE names and fills kind and path. 0, CLI_FAULT or
 * CLI_REFUSED. */
int cli_find_workload(struct cli *cli, const struct cli_request *request, const char *exe,
                      struct bv_workload *workload);
