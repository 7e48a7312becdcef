/* cli/workload.c - which file EXE names. A name with a slash is that file; one without is the
 * first PATH match inside an execute root, because a program that may not be executed inside is
 * no match. Magic bytes, not the name, tell a Wasm module. */
#include "cli/request.h"

#include <bvisor/plan.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True for a regular file that begins with the Wasm magic (core specification 5.5.16). Whatever
 * else is wrong with the file, the library says when it opens it. */
bool cli_is_wasm(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    struct stat st;
    char magic[4] = { 0 };
    bool found = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                 read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
                 memcmp(magic, "\0asm", 4) == 0;
    (void)close(fd);
    return found;
}

/* Makes the name absolute. The last component stays as given, so that a program that looks at
 * its own name keeps it; ".." cannot be taken out by text alone when symlinks are about, so then
 * the directory is resolved. */
static int absolute_exe(struct cli *cli, const char *exe, const char **ret_path)
{
    char *path = NULL;
    if (exe[0] == '/') {
        path = cli_pool_text(&cli->pool, exe);
    } else {
        char *cwd = getcwd(NULL, 0);
        if (cwd == NULL) {
            return cli_fail(cli, exe, "write an absolute path", "the working directory is gone: %s",
                            strerror(errno));
        }
        path = cli_pool_format(&cli->pool, "%s/%s", cwd, exe);
        free(cwd);
    }
    if (path == NULL) {
        return cli_fail_nomem(cli);
    }
    char *clean = cli_clean_path(cli, path);
    if (clean == NULL) {
        char *slash = strrchr(path, '/');
        *slash = '\0';
        char *directory = realpath(path[0] == '\0' ? "/" : path, NULL);
        if (directory == NULL) {
            return cli_fail(cli, exe, NULL, "%s", strerror(errno));
        }
        clean = cli_pool_format(&cli->pool, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory,
                                slash + 1);
        free(directory);
        if (clean != NULL && strcmp(slash + 1, "..") == 0) {
            return cli_fail(cli, exe, "name the program", "is a directory");
        }
    }
    if (clean == NULL) {
        return cli_fail_nomem(cli);
    }
    *ret_path = clean;
    return CLI_OK;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

struct search {
    const char *found;   /* the first match inside an execute root */
    char matches[512];   /* those outside, for the message */
    char directory[512]; /* the --rx that would do for the first of them */
    char
        last[PATH_MAX]; /* where the last of them really is: PATH often names one directory twice */
};

/* Judges one candidate by where its bytes really are. */
static void consider(const struct cli_request *request, const char *candidate,
                     struct search *search)
{
    char resolved[PATH_MAX];
    if (!is_program(candidate) || realpath(candidate, resolved) == NULL) {
        return;
    }
    const struct cli_grant *grant = cli_deciding_grant(request, resolved);
    if (grant != NULL && grant->execute) {
        search->found = candidate;
        return;
    }
    if (strcmp(search->last, resolved) == 0) {
        return;
    }
    memcpy(search->last, resolved, strlen(resolved) + 1);
    size_t used = strlen(search->matches);
    (void)snprintf(search->matches + used, sizeof search->matches - used, "%s%s",
                   used > 0 ? ", " : "", candidate);
    if (search->directory[0] == '\0') {
        char *slash = strrchr(resolved, '/');
        (void)snprintf(search->directory, sizeof search->directory, "%.*s", (int)(slash - resolved),
                       resolved);
    }
}

static int search_path(struct cli *cli, const struct cli_request *request, const char *exe,
                       struct search *search)
{
    const char *list = getenv("PATH");
    if (list == NULL) {
        list = "/usr/bin:/bin"; /* what confstr(_CS_PATH) means here */
    }
    for (const char *at = list; search->found == NULL;) {
        size_t size = strcspn(at, ":");
        /* Empty and relative entries mean the working directory, where a hostile file may lie:
         * they are not searched. */
        if (size > 0 && at[0] == '/') {
            char *candidate = cli_pool_format(&cli->pool, "%.*s/%s", (int)size, at, exe);
            char *clean = candidate == NULL ? NULL : cli_clean_path(cli, candidate);
            if (candidate == NULL) {
                return cli_fail_nomem(cli);
            }
            if (clean != NULL) {
                consider(request, clean, search);
            }
        }
        if (at[size] == '\0') {
            break;
        }
        at += size + 1;
    }
    return CLI_OK;
}

/* EXE without a slash. */
static int find_by_name(struct cli *cli, const struct cli_request *request, const char *exe,
                        const char **ret_path)
{
    struct search search = { 0 };
    int result = search_path(cli, request, exe, &search);
    if (result != CLI_OK) {
        return result;
    }
    if (search.found != NULL) {
        *ret_path = search.found;
        return CLI_OK;
    }
    if (cli_is_wasm(exe)) { /* `bvisor run guest.wasm`: modules are not looked for in PATH */
        return absolute_exe(cli, exe, ret_path);
    }
    struct cli_refusal refusal = { .reason =
                                       bv_refusal_reason_name(BV_REFUSED_WORKLOAD_INCOMPATIBLE),
                                   .backend = "linux",
                                   .place = exe,
                                   .workload = true };
    if (search.matches[0] == '\0') {
        refusal.why = "there is no such program in PATH";
        refusal.remedy = "write its path, with a slash";
    } else {
        bool system = cli_inside("/usr", search.directory);
        refusal.why =
            cli_pool_format(&cli->pool, "is outside every execute root: %s", search.matches);
        refusal.remedy = cli_pool_format(&cli->pool, "add --rx %s%s", search.directory,
                                         system ? ", or --system" : "");
    }
    return refusal.why == NULL || refusal.remedy == NULL ? cli_fail_nomem(cli)
                                                         : cli_refuse(cli, &refusal);
}

int cli_find_workload(struct cli *cli, const struct cli_request *request, const char *exe,
                      struct bv_workload *workload)
{
    if (exe[0] == '\0') {
        return cli_fail(cli, "EXE", "name the program", "is empty");
    }
    const char *path = "";
    int result = strchr(exe, '/') != NULL ? absolute_exe(cli, exe, &path)
                                          : find_by_name(cli, request, exe, &path);
    if (result != CLI_OK) {
        return result;
    }
    workload->kind = cli_is_wasm(path) ? BV_WORKLOAD_WASM : BV_WORKLOAD_PROCESS;
    workload->path = path;
    return CLI_OK;
}
