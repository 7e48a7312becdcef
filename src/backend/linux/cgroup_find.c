/* backend/linux/cgroup_find.c - the caller's own cgroup in every hierarchy, and how leaves below
 * it are named.
 *
 * Each controller is looked up on its own: it may be in a v1 hierarchy, in v2, or nowhere,
 * whatever the others are (LINUX.md 2 and 3). Nothing is written here. Formats: cgroups(7)
 * /proc/PID/cgroup, proc(5) mountinfo. */
#include "backend/linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

/* The v1 controller whose hierarchy serves each use; CORE has none. */
static const char *const v1_controllers[CGROUP_COUNT] = {
    [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids",
    [CGROUP_CPU] = "cpuacct",
};

int linux_read_at(int dir_fd, const char *name, char *text, size_t size)
{
    BV_ASSERT(size > 1 && size <= INT_MAX);
    const int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t n;
    do {
        n = read(fd, text, size - 1);
    } while (n < 0 && errno == EINTR);
    const int result = n < 0 ? -errno : (int)n;
    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return result;
}

int linux_write_at(int dir_fd, const char *name, const char *text)
{
    const int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const size_t size = strlen(text);
    ssize_t n;
    do {
        n = write(fd, text, size);
    } while (n < 0 && errno == EINTR);
    const int result = n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
    close(fd);
    return result;
}

/* True when word is an item of a list separated by `separator`, spaces or line ends. */
static bool has_word(const char *list, char separator, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += size) {
        const bool starts = at == list || at[-1] == separator || at[-1] == ' ';
        const char next = at[size];
        if (starts && (next == '\0' || next == separator || next == ' ' || next == '\n')) {
            return true;
        }
    }
    return false;
}

/* Undoes the octal escapes of mountinfo (space, tab, newline, backslash) in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
            from[3] != '\0') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

struct own_paths {
    char at[CGROUP_COUNT][400];
    bool v2_known, known[CGROUP_COUNT];
    char v2[400];
};

/* One line: "ID:controller,controller:PATH", v2: "0::PATH". A path outside the cgroup namespace
 * begins with "/..". */
static void read_own_line(char *line, struct own_paths *own)
{
    char *controllers = strchr(line, ':'),
         *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) {
        return;
    }
    *controllers++ = '\0';
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (strncmp(path, "/..", 3) == 0 || strlen(path) >= sizeof(own->v2)) {
        return;
    }
    if (controllers[0] == '\0') {
        own->v2_known = true;
        snprintf(own->v2, sizeof(own->v2), "%s", path);
    }
    for (int use = 0; use < CGROUP_COUNT; use++) {
        if (v1_controllers[use] && has_word(controllers, ',', v1_controllers[use])) {
            own->known[use] = true;
            snprintf(own->at[use], sizeof(own->at[use]), "%s", path);
        }
    }
}

/* Read in large pieces: the kernel walks the table anew for each. */
static int for_lines(const char *file, void (*visit)(char *line, void *context), void *context)
{
    char piece[16384];
    FILE *stream = fopen(file, "re");
    if (!stream) {
        return -errno;
    }
    (void)setvbuf(stream, piece, _IOFBF, sizeof(piece));
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stream) > 0) {
        visit(line, context);
    }
    const int result = ferror(stream) ? -EIO : 0;
    free(line);
    fclose(stream);
    return result;
}

static void visit_own(char *line, void *context)
{
    read_own_line(line, context);
}

struct finding {
    const struct own_paths *own;
    struct linux_cgroups *cgroups;
};

/* The own cgroup as a path below a mount that shows the hierarchy from `root` on. False: it is
 * not below that. */
static bool own_dir(const char *mount, const char *root, const char *own, char *dir, size_t size)
{
    const size_t root_size = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(own, root, root_size) != 0 || (own[root_size] != '\0' && own[root_size] != '/')) {
        return false;
    }
    const char *rest = own + root_size;
    const int n = snprintf(dir, size, "%s%s", mount, strcmp(rest, "/") == 0 ? "" : rest);
    return n > 0 && (size_t)n < size;
}

/* "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS" */
static void visit_mount(char *line, void *context)
{
    const struct finding *finding = context;
    char *fields[5], *save = NULL;
    char *tail = strstr(line, " - cgroup");
    if (!tail) {
        return;
    }
    *tail = '\0';
    for (size_t i = 0; i < BV_COUNT(fields); i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (!fields[i]) {
            return;
        }
    }
    const char *type = strtok_r(tail + 3, " ", &save), *source = strtok_r(NULL, " ", &save);
    const char *options = strtok_r(NULL, " \n", &save);
    if (!type || !source || !options) {
        return;
    }
    unescape(fields[3]);
    unescape(fields[4]);
    const bool v2 = strcmp(type, "cgroup2") == 0;
    for (int use = 0; use < CGROUP_COUNT; use++) {
        struct linux_hierarchy *hierarchy = &finding->cgroups->at[use];
        const char *own = v2 ? finding->own->v2 : finding->own->at[use];
        const bool known = v2 ? finding->own->v2_known : finding->own->known[use];
        /* A controller that is bound to a v1 hierarchy is not in v2. The first mount that shows
         * the cgroup wins. */
        const bool serves = v2 ? use == CGROUP_CORE || !finding->own->known[use]
                               : use != CGROUP_CORE && has_word(options, ',', v1_controllers[use]);
        if (!known || !serves || hierarchy->version != LINUX_CONTROLLER_NONE) {
            continue;
        }
        char dir[sizeof(hierarchy->dir)];
        if (own_dir(fields[4], fields[3], own, dir, sizeof(dir))) {
            hierarchy->version = v2 ? LINUX_CONTROLLER_V2 : LINUX_CONTROLLER_V1;
            memcpy(hierarchy->dir, dir, sizeof(dir));
        }
    }
}

int linux_cgroups_find(struct linux_cgroups *ret_cgroups)
{
    const int result = linux_cgroups_find_raw(ret_cgroups);
    for (int use = 0; result == 0 && use < CGROUP_COUNT; use++) {
        if (ret_cgroups->at[use].version == LINUX_CONTROLLER_V2) {
            ret_cgroups->moved |= linux_cgroup_home_of(ret_cgroups->at[use].dir);
        }
    }
    return result;
}

int linux_cgroups_find_raw(struct linux_cgroups *ret_cgroups)
{
    struct own_paths own;
    memset(&own, 0, sizeof(own));
    memset(ret_cgroups, 0, sizeof(*ret_cgroups));
    int result = for_lines("/proc/self/cgroup", visit_own, &own);
    if (result < 0) {
        return result;
    }
    struct finding finding = { &own, ret_cgroups };
    return for_lines("/proc/self/mountinfo", visit_mount, &finding);
}

bool linux_cgroup_v2_serves(void)
{
    struct own_paths own;
    memset(&own, 0, sizeof(own));
    return for_lines("/proc/self/cgroup", visit_own, &own) == 0 && own.v2_known &&
           !(own.known[CGROUP_MEMORY] && own.known[CGROUP_PIDS]);
}

int linux_cgroup_v2_controller(const char *dir, const char *controller)
{
    char text[512];
    const int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int result = linux_read_at(fd, "cgroup.subtree_control", text, sizeof(text));
    if (result >= 0 && has_word(text, ' ', controller)) {
        result = 0;
    } else if (result >= 0) {
        result = linux_read_at(fd, "cgroup.controllers", text, sizeof(text));
        if (result >= 0 && !has_word(text, ' ', controller)) {
            result = -ENOENT;
        } else if (result >= 0) {
            /* Only the root cgroup of the hierarchy has no cgroup.type. */
            const bool is_root = faccessat(fd, "cgroup.type", F_OK, 0) != 0 && errno == ENOENT;
            result = is_root ? 1 : -EBUSY;
        }
    }
    close(fd);
    return result;
}

/* Field 22 of /proc/PID/stat. The command name may hold anything, so fields are counted from the
 * last ')'. */
int linux_process_start(pid_t pid, unsigned long long *ret_start)
{
    char path[32], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const int result = linux_read_at(AT_FDCWD, path, text, sizeof(text));
    if (result < 0) {
        return result;
    }
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    char *end;
    if (!at) {
        return -EIO;
    }
    *ret_start = strtoull(at + 1, &end, 10);
    return end == at + 1 ? -EIO : 0;
}

int linux_leaf_name(const char *tag, char *name, size_t size)
{
    struct stat ns;
    unsigned long long start = 0;
    if (stat("/proc/self/ns/pid", &ns) != 0) {
        return -errno;
    }
    const int result = linux_process_start(getpid(), &start);
    if (result < 0) {
        return result;
    }
    const int n = snprintf(name, size, "bvisor-%s.%llu.%d.%llu", tag, (unsigned long long)ns.st_ino,
                           (int)getpid(), start);
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}
