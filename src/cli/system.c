/* cli/system.c - what --system means: the installed system's programs and libraries, and by name
 * the few files of /etc that ordinary programs fail without. Whatever is not in the table stays
 * out: shadow, keys, ssh, sudoers and all the rest. */
#include "cli/request.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* INTERFACE.md 1. A final '*' matches any rest of a name in that directory. */
static const char *const etc_entries[] = {
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.*",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/perl",
    "/etc/protocols",
    "/etc/python3*",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
};

/* Where a distribution did not merge them into /usr, these are directories of their own; where
 * it did, the backend makes the links again for whatever is granted below /usr. */
static const char *const top_directories[] = { "/bin",   "/sbin",  "/lib",
                                               "/lib32", "/lib64", "/libx32" };

static bool is_directory_itself(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_grant(struct cli *cli, struct cli_request *request, size_t limit, const char *path,
                     bool execute)
{
    if (request->grant_count == limit) {
        return cli_fail(cli, "--system", "grant what is needed by name",
                        "finds more than %d entries", CLI_SYSTEM_MAX);
    }
    request->grants[request->grant_count++] = (struct cli_grant){ path, BV_ACCESS_READ, execute };
    return CLI_OK;
}

/* One existing entry of /etc. A symlink is shown under its own name by exposing what it points
 * to: a root must be resolved, and programs open the name. An entry inside a root that the
 * caller granted is there already, on the caller's terms. */
static int add_entry(struct cli *cli, struct cli_request *request, size_t own_grants,
                     size_t own_exposes, const char *path)
{
    for (size_t i = 0; i < own_grants; i++) {
        if (cli_inside(request->grants[i].path, path)) {
            return CLI_OK;
        }
    }
    for (size_t i = 0; i < own_exposes; i++) {
        if (cli_inside(request->exposes[i].dest, path)) {
            return CLI_OK;
        }
    }
    struct stat st;
    char resolved[PATH_MAX];
    if (realpath(path, resolved) == NULL || stat(resolved, &st) != 0 ||
        (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        return CLI_OK; /* not on this machine, or a dangling link: there is nothing to grant */
    }
    char *name = cli_pool_text(&cli->pool, path);
    char *target = cli_pool_text(&cli->pool, resolved);
    if (name == NULL || target == NULL) {
        return cli_fail_nomem(cli);
    }
    if (strcmp(name, target) == 0) {
        return add_grant(cli, request, own_grants + CLI_SYSTEM_MAX, name, false);
    }
    if (request->expose_count == own_exposes + CLI_SYSTEM_MAX) {
        return cli_fail(cli, "--system", "grant what is needed by name",
                        "finds more than %d symlinks", CLI_SYSTEM_MAX);
    }
    request->exposes[request->expose_count++] = (struct bv_expose){ target, name, BV_ACCESS_READ };
    return CLI_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Expands "DIR/PREFIX*" into the names that exist, sorted, so that equal machines make equal
 * specs. */
static int add_matches(struct cli *cli, struct cli_request *request, size_t own_grants,
                       size_t own_exposes, const char *pattern)
{
    const char *slash = strrchr(pattern, '/');
    char *directory = cli_pool_span(&cli->pool, pattern, (size_t)(slash - pattern));
    size_t prefix_size = strlen(slash + 1) - 1;
    DIR *stream = directory == NULL ? NULL : opendir(directory);
    if (stream == NULL) {
        return directory == NULL ? cli_fail_nomem(cli) : CLI_OK;
    }
    const char *names[CLI_SYSTEM_MAX] = { NULL };
    size_t count = 0;
    int result = CLI_OK;
    for (struct dirent *entry = readdir(stream); entry != NULL && count < CLI_SYSTEM_MAX;
         entry = readdir(stream)) {
        size_t size = strlen(entry->d_name);
        if (strncmp(entry->d_name, slash + 1, prefix_size) != 0 || entry->d_name[size - 1] == '~') {
            continue;
        }
        names[count] = cli_pool_format(&cli->pool, "%s/%s", directory, entry->d_name);
        if (names[count++] == NULL) {
            result = cli_fail_nomem(cli);
            break;
        }
    }
    (void)closedir(stream);
    if (result == CLI_OK) {
        qsort(names, count, sizeof names[0], compare_names);
    }
    for (size_t i = 0; i < count && result == CLI_OK; i++) {
        result = add_entry(cli, request, own_grants, own_exposes, names[i]);
    }
    return result;
}

int cli_system_add(struct cli *cli, struct cli_request *request)
{
    size_t own_grants = request->grant_count, own_exposes = request->expose_count;
    size_t limit = own_grants + CLI_SYSTEM_MAX;
    int result =
        is_directory_itself("/usr") ? add_grant(cli, request, limit, "/usr", true) : CLI_OK;
    for (size_t i = 0; i < sizeof top_directories / sizeof top_directories[0] && result == CLI_OK;
         i++) {
        if (is_directory_itself(top_directories[i])) {
            result = add_grant(cli, request, limit, top_directories[i], true);
        }
    }
    if (result == CLI_OK) {
        result = add_grant(cli, request, limit, "/proc", false);
    }
    if (result == CLI_OK) {
        /* Read is enough: the boundary's /dev is its own, and its null, zero, full and tty nodes
         * take writes anyway. Asking for write would make it a writable root, which the storage
         * budget would have to watch. */
        result = add_grant(cli, request, limit, "/dev", false);
    }
    for (size_t i = 0; i < sizeof etc_entries / sizeof etc_entries[0] && result == CLI_OK; i++) {
        const char *entry = etc_entries[i];
        bool pattern = entry[strlen(entry) - 1] == '*';
        result = pattern ? add_matches(cli, request, own_grants, own_exposes, entry)
                         : add_entry(cli, request, own_grants, own_exposes, entry);
    }
    return result;
}
