/* tests/support/stage_scene.c - see stage_scene.h. */
#include "support/stage_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/job.h"
#include "support/tap.h"

char top[200], root[240], state[240];
const char attempt[33] = "0123456789abcdef0123456789abcdef";

void must(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* ---- trees ---- */

void path_of(char *path, size_t size, const char *dir, const char *name)
{
    must(snprintf(path, size, "%s/%s", dir, name) < (int)size, "path");
}

void put(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[600];
    path_of(path, sizeof path, dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0, path);
    /* An old time, so that nobody takes it for a change of the moment. */
    const struct timespec times[2] = { { 1000, 5 }, { 1000, 5 } };
    must(futimens(fd, times) == 0 && close(fd) == 0, path);
}

void make(const char *dir, const char *name, mode_t mode)
{
    char path[600];
    path_of(path, sizeof path, dir, name);
    must(mkdir(path, 0700) == 0 && chmod(path, mode) == 0, path);
}

void point(const char *dir, const char *name, const char *target)
{
    char path[600];
    path_of(path, sizeof path, dir, name);
    must(symlink(target, path) == 0, path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_DNR) {
        return chmod(path, 0700);
    }
    return remove(path);
}

void wipe(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    must(access(path, F_OK) != 0, "removing a tree");
}

static char lines[4000][400];
static size_t line_count, prefix_size;

static int note_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    char text[200] = "";
    (void)type;
    if (ftw->level == 0) {
        return 0;
    }
    if (S_ISREG(st->st_mode)) {
        const int fd = open(path, O_RDONLY);
        must(fd >= 0 && read(fd, text, sizeof text - 1) >= 0 && close(fd) == 0, path);
    } else if (S_ISLNK(st->st_mode)) {
        must(readlink(path, text, sizeof text - 1) >= 0, path);
    }
    must(line_count < BV_COUNT(lines), "room for a tree");
    (void)snprintf(lines[line_count++], sizeof lines[0], "%s %o %s\n", path + prefix_size, st->st_mode, text);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Everything below a directory as one text. */
char *picture(const char *dir)
{
    line_count = 0;
    prefix_size = strlen(dir) + 1;
    must(nftw(dir, note_one, 16, FTW_PHYS) == 0, "looking at a tree");
    qsort(lines, line_count, sizeof lines[0], compare_lines);
    char *text = calloc(line_count + 1, sizeof lines[0]);
    must(text != NULL, "memory");
    for (size_t i = 0, at = 0; i < line_count; i++) {
        at += (size_t)snprintf(text + at, sizeof lines[0], "%s", lines[i]);
    }
    return text;
}

bool looks_like(const char *dir, const char *wanted)
{
    char *found = picture(dir);
    const bool same = strcmp(found, wanted) == 0;
    if (!same) {
        tap_note("wanted:\n%s# found:\n%s", wanted, found);
    }
    free(found);
    return same;
}

/* ---- a scene ---- */

void make_host(void)
{
    wipe(top);
    must(mkdir(top, 0755) == 0 && mkdir(root, 0755) == 0, "a directory for the test");
    put(root, "a", "old a", 0644);
    put(root, "b", "old b", 0644);
    make(root, "c", 0755);
    put(root, "c/x", "x", 0644);
    make(root, "c/y", 0755);
    put(root, "c/y/z", "z", 0644);
    make(root, "d", 0755);
    put(root, "d/f", "old f", 0600);
    put(root, "d/same", "same", 0600);
    put(root, "g", "g", 0644);
    point(root, "h", "old");
    put(root, "i", "a file", 0644);
    make(root, "j", 0755);
    put(root, "j/in", "in", 0644);
    make(root, "k", 0755);
    put(root, "k/old", "old", 0644);
    put(root, "k/both", "one", 0644);
    make(root, "q", 0755);
}

static void whiteout(const char *dir, const char *name)
{
    char path[600];
    path_of(path, sizeof path, dir, name);
    must(mknod(path, S_IFCHR, makedev(0, 0)) == 0, path);
}

/* What a run would leave that did everything there is to do. */
static void write_upper(const char *upper)
{
    char path[600];
    put(upper, "a", "new a, longer", 0644);
    whiteout(upper, "b");
    whiteout(upper, "c");
    make(upper, "d", 0755);
    put(upper, "d/e", "new e", 04755);
    put(upper, "d/f", "new f", 0640);
    put(upper, "d/same", "same", 0600); /* copied up and not changed */
    put(upper, "g", "g", 0600);
    point(upper, "h", "new");
    make(upper, "i", 0755);
    put(upper, "i/now", "a directory", 0644);
    put(upper, "j", "a file now", 0644);
    make(upper, "k", 0755);
    path_of(path, sizeof path, upper, "k");
    must(setxattr(path, "user.overlay.opaque", "y", 1, 0) == 0, "an opaque directory");
    put(upper, "k/both", "two", 0644);
    put(upper, "k/new", "new", 0644);
    make(upper, "n", 0750);
    make(upper, "n/m", 0555);
    put(upper, "n/o", "o", 0444);
    make(upper, "q", 0700);
}

/* The same done to a plain tree. */
char *expected(void)
{
    char path[600];
    make_host();
    put(root, "a", "new a, longer", 0644);
    path_of(path, sizeof path, root, "b");
    must(unlink(path) == 0, path);
    path_of(path, sizeof path, root, "c");
    wipe(path);
    put(root, "d/e", "new e", 0755);
    put(root, "d/f", "new f", 0640);
    put(root, "g", "g", 0600);
    path_of(path, sizeof path, root, "h");
    must(unlink(path) == 0, path);
    point(root, "h", "new");
    path_of(path, sizeof path, root, "i");
    must(unlink(path) == 0, path);
    make(root, "i", 0755);
    put(root, "i/now", "a directory", 0644);
    path_of(path, sizeof path, root, "j");
    wipe(path);
    put(root, "j", "a file now", 0644);
    path_of(path, sizeof path, root, "k/old");
    must(unlink(path) == 0, path);
    put(root, "k/both", "two", 0644);
    put(root, "k/new", "new", 0644);
    make(root, "n", 0750);
    make(root, "n/m", 0555);
    put(root, "n/o", "o", 0444);
    path_of(path, sizeof path, root, "q");
    must(chmod(path, 0700) == 0, path);
    return picture(root);
}

struct bv_store *open_store(void)
{
    struct bv_store *store = NULL;
    struct bv_error error = { 0 };
    must(bv_store_open(state, &store, &error) == BV_OK, error.text);
    return store;
}

/* A kept attempt over a fresh host tree. */
struct bv_store *stage_all(void (*more)(const char *upper))
{
    char upper[600];
    struct stage_summary summary;
    struct stage_quarantine *quarantine = NULL;
    struct bv_error error = { 0 };
    const char *roots[] = { root };
    make_host();
    struct bv_store *store = open_store();
    must(stage_create(store, attempt, roots, 1, &quarantine, &error) == BV_OK, error.text);
    (void)snprintf(upper, sizeof upper, "%s/bvisor-%s/r0/upper", store->path, attempt);
    write_upper(upper);
    if (more) {
        more(upper);
    }
    must(stage_delta(quarantine, &summary) == 0 && summary.complete, summary.missing);
    must(stage_keep(quarantine, false) == 0, "keeping");
    stage_close(quarantine);
    return store;
}

enum bv_status commit(struct bv_store *store, const char *const *paths, size_t count, bool overwrite, enum bv_durability durability,
                             struct bv_error *error)
{
    const struct bv_selection selection = { paths, count };
    const struct bv_commit_options options = { durability, overwrite };
    *error = (struct bv_error){ 0 };
    return bv_artifacts_commit(store, attempt, &selection, &options, NULL, error);
}

bool nothing_is_kept(struct bv_store *store)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/bvisor-%s", store->path, attempt);
    return access(path, F_OK) != 0;
}
