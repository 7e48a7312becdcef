/* wasi/wasi.c - a guest's world: made from options, preopens first, and given back whole. */
#include "wasi/wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/end.h"
#include "wasi/state.h"

/* A directory to read and to resolve from: openable, or at least to be passed through. */
static int open_directory(int dir, const char *path)
{
    const int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 && errno == EACCES ? openat(dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
}

static int add_root(struct bv_wasi *wasi, const struct bv_wasi_root *given, const struct bv_wasi_stage *stage)
{
    struct wasi_root *root = &wasi->roots[wasi->root_count];
    struct stat st;
    root->fd = root->upper = root->work = -1;
    root->name = strdup(given->name);
    if (!root->name) {
        return -ENOMEM;
    }
    wasi->root_count++;
    root->fd = bv_fd_above_stdio(open_directory(given->fd, "."));
    if (root->fd < 0) {
        return root->fd;
    }
    if (fstat(root->fd, &st) != 0) {
        return -errno;
    }
    if (stage && stage->upper_fd >= 0) {
        root->staged = true;
        root->upper = bv_fd_above_stdio(open_directory(stage->upper_fd, "."));
        root->work = bv_fd_above_stdio(open_directory(stage->work_fd, "."));
        if (root->upper < 0 || root->work < 0) {
            return root->upper < 0 ? root->upper : root->work;
        }
        wasi->layered = true;
    }
    root->access = given->access;
    root->kind = given->kind;
    root->limit_bytes = given->limit_bytes;
    root->dev = st.st_dev;
    root->ino = st.st_ino;
    return 0;
}

/* A staged root's, or a directory's in it; nothing of the guest's is in the upper layer yet but the root itself. */
static int open_staged(struct bv_wasi *wasi, size_t number, const char *path, struct wasi_layers **ret_layers)
{
    const struct wasi_root *root = &wasi->roots[number];
    const bool top = !path || strcmp(path, ".") == 0;
    const int upper = top ? bv_fd_above_stdio(open_directory(root->upper, ".")) : -1;
    const int lower = top ? bv_fd_above_stdio(open_directory(root->fd, "."))
                          : wasi_within(root->fd, path, O_RDONLY | O_DIRECTORY, 0);
    int result = top && upper < 0 ? upper : lower;
    if (result >= 0) {
        *ret_layers = wasi_layers_new(wasi, upper, lower, top ? "" : path);
        result = !*ret_layers ? -ENOMEM : upper >= 0 ? upper : lower;
    }
    if (result < 0 && upper >= 0) {
        (void)close(upper);
    }
    if (result < 0 && lower >= 0) {
        (void)close(lower);
    }
    return result;
}

static int add_preopen(struct bv_wasi *wasi, size_t root, const char *path, const char *name)
{
    struct stat st;
    struct wasi_layers *layers = NULL;
    int fd;
    if (wasi->roots[root].staged) {
        fd = open_staged(wasi, root, path, &layers);
    } else if (path) {
        fd = wasi_beneath(wasi->roots[root].fd, path, O_RDONLY | O_DIRECTORY, 0);
    } else {
        fd = bv_fd_above_stdio(open_directory(wasi->roots[root].fd, "."));
    }
    if (fd < 0 || fstat(layers ? layers->lower : fd, &st) != 0) {
        const int result = fd < 0 ? fd : -errno;
        if (layers) {
            wasi_layers_free(wasi, layers);
        } else if (fd >= 0) {
            (void)close(fd);
        }
        return result;
    }
    if (path && !layers && wasi->nested && wasi_path_innermost(NULL, wasi, fd, root, &root) != WASI_SUCCESS) {
        (void)close(fd);
        return -ENOENT;
    }
    const struct wasi_descriptor made = { .kind = WASI_DIRECTORY,
                                          .type = WASI_TYPE_DIRECTORY,
                                          .fd = fd,
                                          .base = WASI_RIGHTS_DIRECTORY,
                                          .inheriting = WASI_RIGHTS_ALL,
                                          .root = root,
                                          .dev = st.st_dev,
                                          .ino = st.st_ino,
                                          .layers = layers,
                                          .preopen = name };
    const int number = wasi_table_add(wasi, &made, -1);
    if (number < 0 && layers) {
        wasi_layers_free(wasi, layers);
    } else if (number < 0) {
        (void)close(fd);
    }
    return number;
}

static int add_preopens(struct bv_wasi *wasi)
{
    const struct bv_wasi_options *options = &wasi->options;
    size_t dot = options->dot_path ? options->dot_root : SIZE_MAX;
    for (size_t i = 0; i < options->root_count && dot == SIZE_MAX; i++) {
        dot = options->roots[i].kind == BV_WASI_ROOT_DECLARED ? i : dot;
    }
    for (size_t i = 0; i < options->root_count && dot == SIZE_MAX; i++) {
        dot = options->roots[i].kind == BV_WASI_ROOT_TEMP ? i : dot;
    }
    int result = dot != SIZE_MAX ? add_preopen(wasi, dot, options->dot_path, ".") : 0;
    for (size_t i = 0; i < wasi->root_count && result >= 0; i++) {
        result = add_preopen(wasi, i, NULL, wasi->roots[i].name);
    }
    return result < 0 ? result : 0;
}

static int add_streams(struct bv_wasi *wasi)
{
    const struct wasi_descriptor empty = { .kind = WASI_EMPTY,
                                           .fd = -1,
                                           .root = WASI_NO_ROOT,
                                           .borrowed = true,
                                           .base = WASI_RIGHTS_STREAM & ~WASI_RIGHT_FD_WRITE };
    int result = wasi->options.stdin_fd < 0 ? wasi_table_add(wasi, &empty, 0)
                                            : bv_wasi_keep(wasi, wasi->options.stdin_fd, 0);
    for (int stream = 1; stream <= 2 && result >= 0; stream++) {
        const struct wasi_descriptor sink = { .kind = WASI_SINK,
                                              .fd = stream,
                                              .root = WASI_NO_ROOT,
                                              .borrowed = true,
                                              .base = WASI_RIGHTS_STREAM & ~WASI_RIGHT_FD_READ };
        result = wasi_table_add(wasi, &sink, stream);
    }
    if (result >= 0) { /* stdin is for reading, however it was opened */
        wasi->table[0].base &= ~(WASI_RIGHTS_WRITING | WASI_RIGHT_FD_FILESTAT_SET_TIMES);
    }
    return result < 0 ? result : 0;
}

static const char *contradiction(const struct bv_wasi_options *options)
{
    if (!options->sink.write || !options->sink.ready) {
        return "no sink for the guest's output";
    }
    if (options->dot_path && options->dot_root >= options->root_count) {
        return "`.` lies in no root";
    }
    for (size_t i = 0; i < options->root_count; i++) {
        if (options->roots[i].name[0] != '/' ||
            (options->roots[i].access & BV_WASI_READ_WRITE) == 0) {
            return "a root without an absolute name or without access";
        }
    }
    return NULL;
}

static int fill(struct bv_wasi *wasi, const struct bv_wasi_options *options, const char **why)
{
    wasi->bindings = wasi_bindings_new(wasi);
    wasi->roots = calloc(options->root_count + 1, sizeof(*wasi->roots));
    *why = "out of memory";
    if (!wasi->bindings || !wasi->roots) {
        return -ENOMEM;
    }
    *why = "a root cannot be opened as a directory";
    for (size_t i = 0; i < options->root_count; i++) {
        const int result = add_root(wasi, &options->roots[i], options->stages ? &options->stages[i] : NULL);
        if (result < 0) {
            return result;
        }
    }
    wasi->nested = wasi_path_nested(wasi);
    *why = "stdin, stdout and stderr cannot be set up";
    int result = add_streams(wasi);
    if (result == 0) {
        *why = "a preopen cannot be set up";
        result = add_preopens(wasi);
    }
    if (result == -EMFILE) {
        *why = "the handle limit is below the descriptors that a guest starts with";
    }
    return result;
}

int bv_wasi_new(const struct bv_wasi_options *options, struct bv_wasi **ret_wasi,
                const char **ret_why)
{
    const char *unused;
    const char **why = ret_why ? ret_why : &unused;
    *why = contradiction(options);
    if (*why) {
        return -EINVAL;
    }
    struct bv_wasi *wasi = calloc(1, sizeof(*wasi));
    if (!wasi) {
        *why = "out of memory";
        return -ENOMEM;
    }
    wasi->options = *options;
    if (wasi->options.handles_max > BV_WASI_HANDLES_CAP) {
        wasi->options.handles_max = BV_WASI_HANDLES_CAP;
    }
    if (wasi->options.fuel_per_micro == 0) {
        wasi->options.fuel_per_micro = 1000;
    }
    const uint64_t names = options->storage_max_bytes / 4096;
    wasi->names_max = options->storage_max_bytes == UINT64_MAX ? UINT64_MAX
                      : names < 1024                           ? 1024
                                                               : names;
    wasi->wait_deadline_ns = UINT64_MAX;
    wasi->monotonic_begin_ns = wasi_host_ns(CLOCK_MONOTONIC);
    const int result = fill(wasi, options, why);
    if (result < 0) {
        bv_wasi_free(wasi);
        return result;
    }
    wasi->options.roots = NULL; /* the caller's, and copied */
    wasi->options.stages = NULL;
    wasi->usage = (struct bv_wasi_usage){ .handles_open = wasi->usage.handles_open,
                                          .handles_peak = wasi->usage.handles_open };
    *why = NULL;
    *ret_wasi = wasi;
    return 0;
}

void bv_wasi_free(struct bv_wasi *wasi)
{
    if (!wasi) {
        return;
    }
    wasi_copy_drop(wasi);
    wasi_table_free(wasi);
    for (size_t i = 0; i < wasi->root_count; i++) {
        const int held[] = { wasi->roots[i].fd, wasi->roots[i].upper, wasi->roots[i].work };
        for (size_t k = 0; k < BV_COUNT(held); k++) {
            if (held[k] >= 0) {
                (void)close(held[k]);
            }
        }
        free(wasi->roots[i].name);
    }
    wasi_ledger_free(wasi);
    wasi_release_memory(wasi, wasi->wait_room * sizeof(*wasi->waits));
    wasi_subscriptions_free(wasi);
    free(wasi->waits);
    free(wasi->roots);
    free(wasi->bindings);
    free(wasi);
}

bool bv_wasi_ended(const struct bv_wasi *wasi, struct bv_wasi_ending *ret_ending)
{
    if (wasi->ended) {
        *ret_ending = wasi->ending;
    }
    return wasi->ended;
}

void bv_wasi_usage(const struct bv_wasi *wasi, struct bv_wasi_usage *ret_usage)
{
    *ret_usage = wasi->usage;
}
