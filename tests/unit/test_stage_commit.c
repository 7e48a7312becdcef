/* tests/unit/test_stage_commit.c - how a commit puts files into the host's tree: by a second name where nobody could tell it from a copy, else by a copy;
 * and when what is new is made durable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/job.h"
#include "support/stage_scene.h"
#include "support/tap.h"

/* Inodes of staged files, noted while they are staged; one of them somebody holds open for writing, one has two names, one has an attribute that a
 * copy would not have. */
static ino_t noted[4];
static int writer = -1;
static const char *const noted_names[] = { "a", "n/o", "k/new", "i/now" };

static void note_inodes(const char *upper)
{
    char path[600], other[600];
    struct stat st;
    for (size_t i = 0; i < BV_COUNT(noted); i++) {
        path_of(path, sizeof path, upper, noted_names[i]);
        must(stat(path, &st) == 0, path);
        noted[i] = st.st_ino;
    }
    path_of(path, sizeof path, upper, "n/o");
    writer = open(path, O_WRONLY);
    path_of(path, sizeof path, upper, "k/new");
    path_of(other, sizeof other, upper, "k/newer");
    must(writer >= 0 && link(path, other) == 0, other);
    path_of(path, sizeof path, upper, "a");
    must(setxattr(path, "user.overlay.origin", "x", 1, 0) == 0 && setxattr(path, "user.own", "y", 1, 0) == 0, path);
    path_of(path, sizeof path, upper, "i/now");
    must(geteuid() != 0 || setxattr(path, "trusted.own", "z", 1, 0) == 0, path);
}

static bool is_committed_as(size_t index, bool name)
{
    char path[600];
    struct stat st;
    path_of(path, sizeof path, root, noted_names[index]);
    return stat(path, &st) == 0 && st.st_nlink == 1 && (st.st_ino == noted[index]) == name;
}

static void test_names(void)
{
    char path[600], value[8];
    struct bv_error error = { 0 };
    struct bv_store *store = stage_all(note_inodes);
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_OK, "commit: %s", error.text);
    tap_ok(is_committed_as(0, true), "a staged file becomes the host's file, without being copied");
    path_of(path, sizeof path, root, "a");
    tap_ok(getxattr(path, "user.overlay.origin", value, sizeof value) < 0 && getxattr(path, "user.own", value, sizeof value) == 1,
           "with its own attributes and none of overlayfs's");
    tap_ok(is_committed_as(1, false), "one that somebody holds open for writing is copied");
    path_of(path, sizeof path, root, "n/o");
    char *before = picture(root);
    must(write(writer, "later", 5) == 5 && close(writer) == 0, "writing later");
    tap_ok(looks_like(root, before), "and writing to it changes nothing of the host's");
    free(before);
    tap_ok(is_committed_as(2, false), "one with two names is copied");
    tap_ok(is_committed_as(3, geteuid() != 0), "one with attributes that a copy would not have is copied");
    bv_store_free(store);
}

/* Many new files: their syncs are one. */
static void add_many(const char *upper)
{
    char name[32];
    for (int i = 0; i < 3 * (int)STAGE_SYNCS_MAX; i++) {
        (void)snprintf(name, sizeof name, "z%d", i);
        put(upper, name, name, 0644);
    }
}

struct syncs { int files, whole; };

static int count_syncs(void *context, const char *name)
{
    struct syncs *syncs = context;
    syncs->files += strcmp(name, "fsync") == 0;
    syncs->whole += strcmp(name, "syncfs") == 0;
    return 0;
}

static int refuse_whole(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "syncfs") == 0 ? -EIO : 0;
}

static void test_batch(const char *before)
{
    struct syncs syncs = { 0 };
    struct bv_error error = { 0 };
    struct bv_store *store = stage_all(add_many);
    store->step = refuse_whole;
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_DURABLE, &error) != BV_OK && looks_like(root, before), "a sync that fails undoes all: %s", error.text);
    store->step = count_syncs;
    store->step_context = &syncs;
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_DURABLE, &error) == BV_OK, "durable, many files: %s", error.text);
    tap_ok(syncs.files <= (int)STAGE_SYNCS_MAX && syncs.whole == 2, "%d files are synced alone, then the file system, before the exchange and after it",
           syncs.files);
    bv_store_free(store);
}

int main(void)
{
    const char *base = getenv("TMPDIR");
    (void)umask(022);
    (void)snprintf(top, sizeof top, "%s/bvisor-commit-%ld", base && base[0] == '/' ? base : "/tmp", (long)getpid());
    (void)snprintf(root, sizeof root, "%s/root", top);
    (void)snprintf(state, sizeof state, "%s/state", top);
    make_host();
    char *before = picture(root);
    test_names();
    test_batch(before);
    free(before);
    wipe(top);
    return tap_done();
}
