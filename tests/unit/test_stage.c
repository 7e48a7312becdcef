/* tests/unit/test_stage.c - quarantine, list, commit and recovery on real directories, without a boundary: what overlayfs would have left is made by hand.
 *
 * The crash matrix ends a committing process at every step that changes the disk (struct bv_store's hook), lets recovery settle, and demands that the
 * host's tree is wholly as before or wholly as after, that nothing else is left, and that settling again changes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/job.h"
#include "stage/tree.h"
#include "support/stage_scene.h"
#include "support/tap.h"

/* ---- the list ---- */

static bool collect(void *context, const struct bv_artifact *artifact)
{
    char *text = context;
    const size_t at = strlen(text);
    (void)snprintf(text + at, 4000 - at, "%s %s %s\n", bv_change_name(artifact->change), bv_artifact_kind_name(artifact->kind), artifact->path);
    return true;
}

static void add_special(const char *upper)
{
    char path[600];
    path_of(path, sizeof path, upper, "p");
    must(mkfifo(path, 0644) == 0, path);
}

static void test_list(void)
{
    char text[4000] = "";
    bool complete = false;
    struct bv_error error = { 0 };
    struct bv_store *store = stage_all(add_special);
    tap_ok(bv_artifacts_list(store, attempt, NULL, collect, text, &complete, &error) == BV_OK && complete, "the list is complete: %s", error.text);
    tap_text(text,
             "modified file a\nremoved file b\nremoved directory c\nremoved file c/x\nremoved directory c/y\nremoved file c/y/z\nadded file d/e\n"
             "modified file d/f\nmodified file g\nmodified symlink h\nmodified directory i\nadded file i/now\nmodified file j\nremoved file j/in\n"
             "modified file k/both\nadded file k/new\nremoved file k/old\nadded directory n\nadded directory n/m\nadded file n/o\nadded special p\n"
             "modified directory q\n",
             "added, modified, removed, mode, link, directory, special; what was only touched is none");
    const char *const paths[] = { "d", "n/o" };
    const struct bv_selection selection = { paths, 2 };
    text[0] = '\0';
    tap_ok(bv_artifacts_list(store, attempt, &selection, collect, text, NULL, &error) == BV_OK, "by path: %s", error.text);
    tap_text(text, "added file d/e\nmodified file d/f\nadded file n/o\n", "a directory means all below it");
    bv_store_free(store);
}

/* ---- commit ---- */

static void test_commit(const char *before, const char *after)
{
    struct bv_error error;
    struct bv_store *store = stage_all(add_special);
    tap_ok(looks_like(root, before), "staging changes nothing of the host's");
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_OK, "commit: %s", error.text);
    tap_ok(looks_like(root, after), "after it the tree is what the run made of it, without set-id bits and special files");
    tap_ok(nothing_is_kept(store), "and the quarantine is gone");
    bv_store_free(store);
    store = stage_all(NULL);
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_DURABLE, &error) == BV_OK && looks_like(root, after), "durable: the same: %s", error.text);
    bv_store_free(store);
    store = stage_all(NULL);
    tap_ok(bv_artifacts_discard(store, attempt, NULL, &error) == BV_OK && looks_like(root, before) && nothing_is_kept(store), "discard leaves the tree");
    bv_store_free(store);
}

static void test_parts(const char *after)
{
    static const char *const parts[][2] = { { "a", "n/o" }, { "c/y", "k" }, { "i/now", "j" }, { "d", "h" } };
    struct bv_error error = { 0 };
    struct bv_store *store = stage_all(NULL);
    for (size_t i = 0; i < BV_COUNT(parts); i++) {
        tap_ok(commit(store, parts[i], 2, false, BV_DURABILITY_ATOMIC, &error) == BV_OK, "commit of %s and %s: %s", parts[i][0], parts[i][1], error.text);
    }
    tap_ok(commit(store, parts[0], 1, false, BV_DURABILITY_ATOMIC, &error) == BV_E_INVALID, "what is committed is not there to be committed again");
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_OK, "and the rest: %s", error.text);
    tap_ok(looks_like(root, after), "part by part makes the whole");
    tap_ok(nothing_is_kept(store), "with nothing left the quarantine goes");
    bv_store_free(store);
}

/* ---- the host's own changes ---- */

struct meddling { const char *name, *path; void (*meddle)(void); };

static void change_a(void) { put(root, "a", "host", 0644); }
static void change_a_same_size(void) { put(root, "a", "OLD A", 0644); }
static void remove_a(void)
{
    char path[600];
    path_of(path, sizeof path, root, "a");
    must(unlink(path) == 0, path);
}
static void change_b(void) { put(root, "b", "kept by the host", 0644); }
static void add_in_c(void) { put(root, "c/y/own", "own", 0644); }
static void change_in_c(void) { put(root, "c/y/z", "Z", 0644); }
static void make_n(void) { put(root, "n", "the host's own", 0644); }
static void change_h(void)
{
    char path[600];
    path_of(path, sizeof path, root, "h");
    must(unlink(path) == 0, path);
    point(root, "h", "elsewhere");
}
static void make_e(void) { put(root, "d/e", "the host's own", 0644); }
static void change_old(void) { put(root, "k/old", "changed", 0644); }

static void test_conflicts(const char *after)
{
    static const struct meddling meddlings[] = {
        { "a changed file", "a", change_a },           { "the same size, other bytes", "a", change_a_same_size },
        { "a file that is gone", "a", remove_a },      { "a file to be removed", "b", change_b },
        { "a file made in a directory to be removed", "c", add_in_c },
        { "a file changed in one", "c/y/z", change_in_c }, { "a name that the run made too", "n", make_n },
        { "a link", "h", change_h },                   { "a new file in an old directory", "d/e", make_e },
        { "a file that an opaque directory hides", "k/old", change_old },
    };
    for (size_t i = 0; i < BV_COUNT(meddlings); i++) {
        char place[300];
        struct bv_error error;
        struct bv_store *store = stage_all(NULL);
        meddlings[i].meddle();
        char *before = picture(root);
        path_of(place, sizeof place, root, meddlings[i].path);
        const enum bv_status status = commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error);
        tap_ok(status == BV_E_STATE && strcmp(error.place, place) == 0, "%s: refused, naming it (%s: %s)", meddlings[i].name, error.place, error.text);
        tap_ok(looks_like(root, before), "%s: and nothing is changed", meddlings[i].name);
        tap_ok(commit(store, NULL, 0, true, BV_DURABILITY_ATOMIC, &error) == BV_OK, "%s: unless told to overwrite: %s", meddlings[i].name, error.text);
        tap_ok(looks_like(root, after), "%s: then the staged one stands", meddlings[i].name);
        free(before);
        bv_store_free(store);
    }
}

/* The host puts a link in a directory's place: nothing behind it may be written. */
static void test_swapped(void)
{
    char path[600], aside[600], outside[600];
    struct bv_error error;
    struct bv_store *store = stage_all(NULL);
    path_of(outside, sizeof outside, top, "outside");
    must(mkdir(outside, 0755) == 0, outside);
    put(outside, "f", "old f", 0600);
    put(outside, "same", "same", 0600);
    path_of(path, sizeof path, root, "d");
    path_of(aside, sizeof aside, root, "d.aside");
    must(rename(path, aside) == 0 && symlink(outside, path) == 0, path);
    char *before = picture(top);
    tap_ok(commit(store, NULL, 0, true, BV_DURABILITY_ATOMIC, &error) != BV_OK, "a directory swapped for a link out of the root: %s", error.text);
    char *after = picture(outside);
    tap_ok(strstr(after, "old f") && !strstr(after, "new"), "nothing is written behind the link");
    free(before);
    free(after);
    must(unlink(path) == 0 && rename(aside, path) == 0, path);
    /* The root itself. */
    path_of(aside, sizeof aside, top, "root.aside");
    must(rename(root, aside) == 0 && symlink(outside, root) == 0, root);
    tap_ok(commit(store, NULL, 0, true, BV_DURABILITY_ATOMIC, &error) != BV_OK, "the root swapped for a link: %s", error.text);
    must(unlink(root) == 0 && mkdir(root, 0755) == 0, root);
    tap_ok(commit(store, NULL, 0, true, BV_DURABILITY_ATOMIC, &error) == BV_E_STATE && strstr(error.text, "not the directory"), "or for another directory: %s",
           error.text);
    bv_store_free(store);
}

/* ---- crashes ---- */

struct fault { long at, seen; int result; bool sticky; };

/* result 0: the process ends, as by SIGKILL at that moment. */
static int fault_step(void *context, const char *name)
{
    struct fault *fault = context;
    (void)name;
    const long seen = fault->seen++;
    if (seen != fault->at && !(fault->sticky && seen > fault->at)) {
        return 0;
    }
    if (fault->result == 0) {
        (void)raise(SIGKILL);
    }
    return fault->result;
}

enum work { COMMIT, COMMIT_DURABLE, COMMIT_PART, DISCARD };

static enum bv_status do_work(struct bv_store *store, enum work work)
{
    static const char *const part[] = { "d", "c", "i", "n/o" };
    struct bv_error error;
    switch (work) {
    case COMMIT: return commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error);
    case COMMIT_DURABLE: return commit(store, NULL, 0, false, BV_DURABILITY_DURABLE, &error);
    case COMMIT_PART: return commit(store, part, 4, false, BV_DURABILITY_ATOMIC, &error);
    case DISCARD: return bv_artifacts_discard(store, attempt, NULL, &error);
    }
    BV_UNREACHABLE();
}

/* How many steps there are. */
static long count_steps(enum work work)
{
    struct fault fault = { .at = -1 };
    struct bv_store *store = stage_all(NULL);
    store->step = fault_step;
    store->step_context = &fault;
    must(do_work(store, work) == BV_OK, "the work without a fault");
    bv_store_free(store);
    return fault.seen;
}

static bool is_one_of(const char *found, const char *before, const char *after)
{
    return strcmp(found, before) == 0 || strcmp(found, after) == 0;
}

/* Settles twice; true when the tree is wholly one of the two, nothing is left in it, and the second time changes nothing. */
static bool settles(const char *before, const char *after, enum work work, long index)
{
    enum bv_settled settled, again;
    struct bv_error error = { 0 };
    struct bv_store *store = open_store();
    const enum bv_status status = bv_store_settle(store, attempt, &settled, &error);
    char *first = picture(root);
    const enum bv_status second = bv_store_settle(store, attempt, &again, &error);
    char *last = picture(root);
    const bool ok = status == BV_OK && second == BV_OK && again == BV_SETTLED_NOTHING && strcmp(first, last) == 0 && is_one_of(first, before, after);
    if (!ok) {
        tap_note("work %d step %ld: status %d, %d (%s), settled %d, then %d", work, index, status, second, error.text, settled, again);
        tap_note("%s", last);
    }
    free(first);
    free(last);
    bv_store_free(store);
    return ok;
}

static void test_crashes(enum work work, const char *name, const char *before, const char *after)
{
    const long steps = count_steps(work);
    long good = 0, crashed = 0;
    for (long i = 0; i < steps; i++) {
        struct bv_store *store = stage_all(NULL);
        const pid_t child = fork();
        if (child == 0) {
            struct fault fault = { .at = i };
            store->step = fault_step;
            store->step_context = &fault;
            (void)do_work(store, work);
            _exit(0);
        }
        int status = 0;
        must(child > 0 && waitpid(child, &status, 0) == child, "a committing child");
        crashed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        bv_store_free(store);
        good += settles(before, after, work, i);
    }
    tap_ok(steps > 5 && crashed == steps, "%s: %ld steps = %ld crashes", name, steps, crashed);
    tap_ok(good == steps, "%s: after each the tree is wholly before or wholly after", name);
}

/* An error at each step, once and for ever: the call says so or has done it, and what it could not undo recovery can. */
static void test_errors(enum work work, const char *name, int result, const char *before, const char *after)
{
    const long steps = count_steps(work);
    long good = 0;
    for (long i = 0; i < 2 * steps; i++) {
        struct fault fault = { .at = i / 2, .result = result, .sticky = i % 2 != 0 };
        struct bv_store *store = stage_all(NULL);
        store->step = fault_step;
        store->step_context = &fault;
        const enum bv_status status = do_work(store, work);
        char *found = picture(root);
        const bool told = fault.sticky || strcmp(found, status == BV_OK ? after : before) == 0;
        bv_store_free(store);
        const bool settled = settles(before, after, work, i);
        char *end = picture(root);
        good += told && settled && (status != BV_OK || strcmp(end, after) == 0);
        if (!told) {
            tap_note("step %ld: status %d and\n%s", i / 2, status, found);
        }
        free(found);
        free(end);
    }
    tap_ok(good == 2 * steps, "%s at each of %ld steps of a %s: nothing, or all, and the answer says which", strerrorname_np(-result), steps, name);
}

/* ---- records ---- */

static void test_damage(void)
{
    char *text = NULL;
    size_t size = 0, bad = 0;
    struct bv_store *store = stage_all(NULL);
    char name[120];
    (void)snprintf(name, sizeof name, "bvisor-%s/delta", attempt);
    must(tree_read_file(store->fd, name, 1 << 20, &text, &size) == 0, "reading the list");
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct stage_text source = { text, size, 0 };
            struct stage_reader reader = { .line = stage_text_line, .source = &source };
            struct stage_entry entry;
            text[i] = (char)(text[i] ^ (1 << bit));
            int result = stage_reader_begin(&reader);
            while (result == 0) {
                const int got = stage_reader_next(&reader, &entry);
                result = got < 0 ? got : got == 0 ? 1 : 0;
            }
            bad += result < 0;
            text[i] = (char)(text[i] ^ (1 << bit));
            stage_reader_done(&reader);
        }
    }
    tap_ok(bad == size * 8, "every flipped bit of a list is found: %zu of %zu", bad, size * 8);
    /* One that is damaged on disk is not committed. */
    struct bv_error error;
    text[size / 2] ^= 1;
    must(tree_write_file(store->fd, "scratch", text, size, false) == 0 && renameat(store->fd, "scratch", store->fd, name) == 0, "damaging the list");
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_E_CORRUPT, "a damaged list commits nothing: %s", error.text);
    free(text);
    bv_store_free(store);
    store = stage_all(NULL);
    char upper[600];
    (void)snprintf(upper, sizeof upper, "%s/bvisor-%s/r0/upper", store->path, attempt);
    char *before = picture(root);
    put(upper, "a", "swapped after", 0644);
    tap_ok(commit(store, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_E_CORRUPT && looks_like(root, before),
           "what is staged must still be what was listed: %s", error.text);
    free(before);
    bv_store_free(store);
}

static bool note_state(void *context, const char *id, enum bv_store_state found)
{
    (void)id;
    *(enum bv_store_state *)context = found;
    return true;
}

static void test_locks(void)
{
    struct bv_error error = { 0 };
    enum bv_settled settled;
    enum bv_store_state found = BV_STORE_APPLIED;
    struct stage_quarantine *quarantine;
    struct bv_store *store = stage_all(NULL), *other = open_store();
    must(stage_open(store, attempt, &quarantine, &error) == BV_OK, error.text);
    tap_ok(bv_store_each(other, note_state, &found, &error) == BV_OK && found == BV_STORE_LIVE, "one that is worked on is live");
    tap_ok(bv_store_settle(other, attempt, &settled, &error) == BV_OK && settled == BV_SETTLED_LIVE, "and recovery leaves it alone");
    error = (struct bv_error){ 0 };
    tap_ok(commit(other, NULL, 0, false, BV_DURABILITY_ATOMIC, &error) == BV_E_STATE, "so does everybody else: %s", error.text);
    stage_close(quarantine);
    tap_ok(bv_store_each(other, note_state, &found, &error) == BV_OK && found == BV_STORE_KEPT, "then it is kept");
    tap_ok(bv_store_settle(other, attempt, &settled, &error) == BV_OK && settled == BV_SETTLED_NOTHING, "and waits for a decision");
    bv_store_free(store);
    bv_store_free(other);
}

int main(void)
{
    const char *base = getenv("TMPDIR");
    (void)umask(022);
    (void)snprintf(top, sizeof top, "%s/bvisor-stage-%ld", base && base[0] == '/' ? base : "/tmp", (long)getpid());
    (void)snprintf(root, sizeof root, "%s/root", top);
    (void)snprintf(state, sizeof state, "%s/state", top);
    char *after = expected();
    make_host();
    char *before = picture(root);
    test_list();
    test_commit(before, after);
    test_parts(after);
    test_conflicts(after);
    test_swapped();
    test_damage();
    test_locks();
    test_crashes(COMMIT, "commit", before, after);
    test_crashes(COMMIT_DURABLE, "durable commit", before, after);
    test_crashes(DISCARD, "discard", before, before);
    test_errors(COMMIT, "commit", -ENOSPC, before, after);
    test_errors(COMMIT_DURABLE, "durable commit", -EIO, before, after);
    free(before);
    free(after);
    wipe(top);
    return tap_done();
}
