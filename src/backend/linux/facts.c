/* backend/linux/facts.c - looks at every granted path once, without following a link, and remembers which inode it is.
 *
 * The launcher opens the path again inside the new mount namespace and compares: a path that was exchanged in between is
 * refused there, so a grant never comes to mean another tree (attack fs.grant_swap). Also finds the distribution's top-level
 * links that lead into a grant, and a host path outside all of them for the canaries. */
#include "backend/linux/facts.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "sys/sys.h"

static bool lies_in(const char *path, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool is_own(const char *path)
{
    return strcmp(path, "/proc") == 0 || strcmp(path, "/dev") == 0;
}

static enum bv_status look(const char *what, const char *path, struct linux_path_fact *ret_fact,
                           struct bv_error *error)
{
    struct stat st;
    const int fd = bv_sys_host.open_resolved(path);
    if (fd == -ELOOP) {
        return bv_fail(error, BV_E_INVALID, path, "%s %.160s: is or passes through a symbolic link",
                       what, path);
    }
    if (fd == -ENOENT || fd == -ENOTDIR) {
        return bv_fail(error, BV_E_INVALID, path, "%s %.160s: does not exist", what, path);
    }
    if (fd < 0) {
        return bv_fail_sys(error, path, fd, "%s %.120s", what, path);
    }
    const int result = bv_sys_host.fstat(fd, &st);
    bv_sys_host.close(fd);
    if (result < 0) {
        return bv_fail_sys(error, path, result, "%s %.120s", what, path);
    }
    *ret_fact = (struct linux_path_fact){ .dev = st.st_dev, .ino = st.st_ino, .mode = st.st_mode };
    return BV_OK;
}

/* As planning found it a moment ago; a path that it did not look at, or not for this run, is looked at now. */
static enum bv_status look_once(const char *what, const struct bv_execution *execution,
                                const char *path, struct linux_path_fact *ret_fact,
                                struct bv_error *error)
{
    for (size_t i = 0; i < execution->path_count; i++) {
        const struct bv_path_fact *known = &execution->paths[i];
        if (strcmp(known->path, path) == 0) {
            *ret_fact = (struct linux_path_fact){ .dev = known->dev, .ino = known->ino, .mode = known->mode };
            return BV_OK;
        }
    }
    return look(what, path, ret_fact, error);
}

static enum bv_status look_at_all(const struct bv_execution *execution, struct linux_facts *facts,
                                  struct bv_error *error)
{
    const struct bv_intent *intent = execution->intent;
    if (intent->root_count > BV_ROOTS_MAX || intent->expose_count > BV_EXPOSES_MAX) {
        return bv_fail(error, BV_E_LIMIT, "/capabilities", "too many roots or exposed paths");
    }
    for (size_t i = 0; i < intent->root_count; i++) {
        if (is_own(intent->roots[i].path)) {
            continue; /* the boundary's own; nothing of the host is bound */
        }
        const enum bv_status status = look_once("root", execution, intent->roots[i].path, &facts->roots[i], error);
        if (status != BV_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        const enum bv_status status =
            look_once("exposed path", execution, intent->exposes[i].source, &facts->exposes[i], error);
        if (status != BV_OK) {
            return status;
        }
    }
    return BV_OK;
}

static enum bv_status look_at_program(const char *what, const char *path,
                                      struct linux_path_fact *ret_fact, struct bv_error *error)
{
    return path[0] != '\0' ? look(what, path, ret_fact, error) : BV_OK;
}

/* True when the text of a link in "/" names, without "." or "..", something inside a root or a directory above one. */
static bool leads_into_root(const struct bv_intent *intent, const char *target)
{
    char path[260];
    size_t at = 0;
    path[at++] = '/';
    while (*target == '/') {
        target++;
    }
    const size_t length = strlen(target);
    if (length == 0 || length >= sizeof path - 1 || target[0] == '.' || strstr(target, "/.") ||
        strstr(target, "//")) {
        return false;
    }
    memcpy(path + at, target, length + 1);
    for (size_t i = 0; i < intent->root_count; i++) {
        if (lies_in(path, intent->roots[i].path) || lies_in(intent->roots[i].path, path)) {
            return true;
        }
    }
    return false;
}

static void find_links(const struct bv_intent *intent, struct linux_facts *facts)
{
    DIR *directory = intent->root_count > 0 ? opendir("/") : NULL;
    if (directory == NULL) {
        return; /* no link is made: less is visible, never more */
    }
    for (struct dirent *entry;
         facts->link_count < LINUX_LINKS_MAX && (entry = readdir(directory)) != NULL;) {
        if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
            continue;
        }
        const size_t length = strlen(entry->d_name);
        char(*link)[256] = facts->links[facts->link_count];
        const ssize_t n = readlinkat(dirfd(directory), entry->d_name, link[1], sizeof link[1]);
        if (n <= 0 || (size_t)n >= sizeof link[1] || length + 2 > sizeof link[0]) {
            continue;
        }
        link[1][n] = '\0';
        if (leads_into_root(intent, link[1])) {
            link[0][0] = '/';
            memcpy(link[0] + 1, entry->d_name, length + 1);
            facts->link_count++;
        }
    }
    (void)closedir(directory);
}

/* True when path is visible inside in any form: granted, in a grant, or an empty directory above one. */
static bool visible(const struct bv_intent *intent, const struct bv_workload_identity *identity,
                    const char *path)
{
    const char *cwd = intent->workload->cwd;
    for (size_t i = 0; i < intent->root_count; i++) {
        if (lies_in(path, intent->roots[i].path) || lies_in(intent->roots[i].path, path)) {
            return true;
        }
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        if (lies_in(path, intent->exposes[i].dest) || lies_in(intent->exposes[i].dest, path)) {
            return true;
        }
    }
    return lies_in(identity->path, path) || (cwd != NULL && lies_in(cwd, path));
}

static const char *find_canary_path(const struct bv_intent *intent,
                                    const struct bv_workload_identity *identity)
{
    static const char *const candidates[] = {
        "/etc/shadow", "/etc/passwd", "/root", "/home", "/boot",
        "/var/lib",    "/sys/kernel", "/etc",  "/usr",
    };
    struct stat st;
    for (size_t i = 0; i < BV_COUNT(candidates); i++) {
        if (!visible(intent, identity, candidates[i]) && lstat(candidates[i], &st) == 0 &&
            !S_ISLNK(st.st_mode)) {
            return candidates[i];
        }
    }
    return "";
}

enum bv_status linux_facts_gather(const struct bv_execution *execution,
                                  struct linux_facts *ret_facts, struct bv_error *error)
{
    const struct bv_intent *intent = execution->intent;
    const struct bv_workload_identity *identity = execution->identity;
    const enum bv_status status = look_at_all(execution, ret_facts, error);
    if (status != BV_OK) {
        return status;
    }
    enum bv_status loaded =
        look_at_program("interpreter", identity->interpreter_path, &ret_facts->interpreter, error);
    if (loaded == BV_OK) {
        loaded = look_at_program("loader", identity->loader_path, &ret_facts->loader, error);
    }
    if (loaded != BV_OK) {
        return loaded;
    }
    find_links(intent, ret_facts);
    ret_facts->canary_path = find_canary_path(intent, identity);
    return BV_OK;
}
