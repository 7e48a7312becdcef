/* wasi/layers.c - what a descriptor holds of two layers, and how it keeps up with them.
 *
 * A descriptor is open on what it was opened on. What happens to that by another name or descriptor of the guest's shows here: its
 * directory comes into the upper layer, or its name is removed. A directory is looked at again when the layers have changed. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wasi_layers *wasi_layers_new(struct bv_wasi *wasi, int upper, int lower, const char *where)
{
    const size_t size = lower >= 0 ? strlen(where) : 0;
    if (!wasi_charge_memory(wasi, sizeof(struct wasi_layers) + size + 1)) {
        return NULL;
    }
    struct wasi_layers *layers = malloc(sizeof(*layers) + size + 1);
    if (!layers) {
        wasi_release_memory(wasi, sizeof(*layers) + size + 1);
        return NULL;
    }
    char *kept = (char *)(layers + 1);
    memcpy(kept, where, size);
    kept[size] = '\0';
    *layers = (struct wasi_layers){ .upper = upper, .lower = lower, .epoch = wasi->epoch, .where = kept };
    return layers;
}

void wasi_layers_free(struct bv_wasi *wasi, struct wasi_layers *layers)
{
    if (!layers) {
        return;
    }
    if (layers->upper >= 0) {
        (void)close(layers->upper);
    }
    if (layers->lower >= 0) {
        (void)close(layers->lower);
    }
    wasi_release_memory(wasi, sizeof(*layers) + strlen(layers->where) + 1);
    free(layers);
}

/* Where a directory of the lower layer stands in the upper one. A descriptor for reading it; -ENOENT: not there yet; -ESTALE:
 * something else hides it. */
static int find_upper(const struct bv_wasi *wasi, size_t root, const char *where)
{
    struct wasi_node node = { .upper = wasi_fd_copy(wasi->roots[root].upper),
                              .lower = wasi_fd_copy(wasi->roots[root].fd) };
    char name[NAME_MAX + 1];
    int result = node.upper < 0 ? node.upper : node.lower < 0 ? node.lower : 0;
    for (const char *at = where; result == 0 && *at != '\0';) {
        struct wasi_entry entry;
        const size_t size = strcspn(at, "/");
        memcpy(name, at, size);
        name[size] = '\0';
        at += size + (at[size] == '/');
        result = wasi_layer_look(&node, name, &entry);
        if (result == -ENOENT) {
            result = -ESTALE;
        } else if (result == 0 && !entry.upper) {
            result = -ENOENT;
        } else if (result == 0 && entry.below < 0) {
            result = -ESTALE;
        }
        if (result == 0) {
            wasi_node_done(&node);
            node.upper = entry.fd;
            node.lower = entry.below;
        } else {
            wasi_entry_done(&entry);
        }
    }
    if (result == 0) {
        result = wasi_within(node.upper, ".", O_RDONLY | O_DIRECTORY, 0);
    }
    wasi_node_done(&node);
    return result;
}

int wasi_layers_refresh(struct bv_wasi *wasi, struct wasi_descriptor *descriptor)
{
    struct wasi_layers *layers = descriptor->layers;
    struct stat st;
    if (!layers || descriptor->kind != WASI_DIRECTORY || layers->gone || layers->epoch == wasi->epoch) {
        return 0;
    }
    layers->epoch = wasi->epoch;
    if (layers->upper >= 0) {
        layers->gone = fstat(layers->upper, &st) != 0 || st.st_nlink == 0;
        return 0;
    }
    const int upper = find_upper(wasi, descriptor->root, layers->where);
    if (upper >= 0) {
        layers->upper = descriptor->fd = upper;
        return 0;
    }
    layers->gone = upper == -ESTALE;
    return upper == -ENOENT || upper == -ESTALE ? 0 : upper;
}

void wasi_layers_gone(struct bv_wasi *wasi, const struct wasi_node *node, const char *name)
{
    if (node->lower < 0) {
        return;
    }
    const size_t size = strlen(node->where);
    for (size_t i = 0; i < wasi->table_size; i++) {
        const struct wasi_descriptor *open = &wasi->table[i];
        if (open->kind != WASI_FILE || !open->layers || open->root != node->root ||
            strncmp(open->layers->where, node->where, size) != 0) {
            continue;
        }
        const char *rest = open->layers->where + size;
        if (size > 0 && *rest++ != '/') {
            continue; /* another name that begins alike */
        }
        open->layers->gone = open->layers->gone || strcmp(rest, name) == 0;
    }
}
