/* wasi/walk.c - a path through the layers of a staged root: the walk that the kernel does for one tree, for two.
 *
 * One component is opened at a time, in a directory that is held and without following anything, so whoever exchanges names
 * meanwhile changes what is found and never where it is looked for. `..` goes back over the names that were walked: above the directory
 * that the path is relative to there is nothing to go to. Texts of links are walked from where the link lies. Since links are never followed by the
 * kernel, what was walked is a list of plain names, and is opened anew from its beginning when the walk goes back.
 *
 * A directory that is another declared root's is that root, whichever way leads to it. */
#include "wasi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define LINKS_MAX 40 /* as many as the kernel follows */
#define DEPTH_MAX (PATH_MAX / 2 + 1)

struct level { /* a directory on the way; the first is where the walk began */
    uint16_t end; /* of its name in the trail */
    bool upper, lower;
    bool enters; /* it is the root of that number, by itself */
    size_t root;
};

struct walk {
    struct wasi_call *call;
    const struct wasi_descriptor *dir;
    const char *given; /* the whole path, for a denial */
    enum wasi_links last_link;
    int links;
    const char *start_where;
    int start_upper, start_lower; /* borrowed */
    struct level levels[DEPTH_MAX + 1];
    size_t depth;
    char trail[PATH_MAX]; /* names of the levels, with slashes */
    char rest[PATH_MAX];  /* of the path */
    struct wasi_spot *spot;
};

/* ---- levels ---- */

static int deny(const struct walk *walk)
{
    wasi_deny_path(walk->call, BV_WASI_DENIED_PATH, walk->dir, walk->given);
    return WASI_ENOTCAPABLE;
}

static int add_where(char where[PATH_MAX], const char *name)
{
    const size_t before = strlen(where), size = strlen(name);
    if (before + 1 + size >= PATH_MAX) {
        return WASI_ENAMETOOLONG; /* a lower tree that deep is only read from a directory further down */
    }
    if (before > 0) {
        where[before] = '/';
    }
    memcpy(where + before + (before > 0), name, size + 1);
    return WASI_SUCCESS;
}

static int begin(struct walk *walk)
{
    const struct wasi_layers *layers = walk->dir->layers;
    struct wasi_node *node = &walk->spot->node;
    if (layers && layers->gone) {
        return WASI_ENOENT;
    }
    walk->start_upper = layers ? layers->upper : -1;
    walk->start_lower = layers ? layers->lower : walk->dir->fd;
    walk->start_where = layers ? layers->where : "";
    if (walk->call->wasi->roots[walk->dir->root].staged && !layers) { /* of the upper layer alone */
        walk->start_upper = walk->dir->fd;
        walk->start_lower = -1;
    }
    node->upper = wasi_fd_copy(walk->start_upper);
    node->lower = wasi_fd_copy(walk->start_lower);
    node->root = walk->dir->root;
    memcpy(node->where, walk->start_where, strlen(walk->start_where) + 1);
    walk->levels[0] = (struct level){ .upper = node->upper >= 0, .lower = node->lower >= 0, .root = node->root };
    return node->upper < -1 ? wasi_errno(-node->upper) : node->lower < -1 ? wasi_errno(-node->lower) : WASI_SUCCESS;
}

/* The declared root that a directory is, if it is another than the one that the walk is in. */
static size_t other_root(const struct walk *walk, const struct wasi_entry *entry)
{
    const struct bv_wasi *wasi = walk->call->wasi;
    for (size_t i = 0; wasi->nested && i < wasi->root_count; i++) {
        const struct wasi_root *root = &wasi->roots[i];
        if (i != walk->spot->node.root && root->kind == BV_WASI_ROOT_DECLARED &&
            root->ino == entry->stat.st_ino && root->dev == entry->stat.st_dev) {
            return i;
        }
    }
    return walk->spot->node.root;
}

/* Puts the layers of an entry that is a directory into the node. */
static int take_layers(struct walk *walk, struct wasi_entry *entry, const char *name, size_t root)
{
    const struct bv_wasi *wasi = walk->call->wasi;
    struct wasi_node *node = &walk->spot->node;
    wasi_node_done(node);
    if (root != node->root) {
        const struct wasi_root *inner = &wasi->roots[root];
        wasi_entry_done(entry);
        node->root = root;
        node->where[0] = '\0';
        node->upper = inner->staged ? wasi_fd_copy(inner->upper) : -1;
        node->lower = wasi_fd_copy(inner->fd);
        return node->upper < -1 ? wasi_errno(-node->upper) : node->lower < 0 ? wasi_errno(-node->lower) : WASI_SUCCESS;
    }
    node->upper = entry->upper ? entry->fd : -1;
    node->lower = entry->upper ? entry->below : entry->fd;
    entry->fd = entry->below = -1;
    return wasi->roots[root].staged && node->lower >= 0 ? add_where(node->where, name) : WASI_SUCCESS;
}

static int push(struct walk *walk, struct wasi_entry *entry, const char *name)
{
    struct wasi_node *node = &walk->spot->node;
    const size_t root = other_root(walk, entry), size = strlen(name), end = walk->levels[walk->depth].end;
    if (walk->depth == DEPTH_MAX || end + 1 + size >= sizeof(walk->trail)) {
        wasi_entry_done(entry);
        return WASI_ENAMETOOLONG;
    }
    const bool enters = root != node->root;
    const int result = take_layers(walk, entry, name, root);
    walk->trail[end] = '/';
    memcpy(walk->trail + end + 1, name, size + 1);
    walk->levels[++walk->depth] = (struct level){ .end = (uint16_t)(end + 1 + size),
                                                  .upper = node->upper >= 0,
                                                  .lower = node->lower >= 0,
                                                  .enters = enters,
                                                  .root = root };
    return result;
}

static int reopen(int base, const char *path)
{
    return *path == '\0' ? wasi_fd_copy(base) : wasi_within(base, path, O_PATH | O_DIRECTORY, 0);
}

/* Back to the directory above. */
static int pop(struct walk *walk)
{
    const struct bv_wasi *wasi = walk->call->wasi;
    struct wasi_node *node = &walk->spot->node;
    if (walk->depth == 0) {
        return deny(walk);
    }
    const struct level *level = &walk->levels[--walk->depth];
    size_t from = walk->depth;
    while (from > 0 && !walk->levels[from].enters) {
        from--;
    }
    const struct wasi_root *root = &wasi->roots[level->root];
    const int upper = from > 0 ? (root->staged ? root->upper : -1) : walk->start_upper;
    const int lower = from > 0 ? root->fd : walk->start_lower;
    const char *where = from > 0 ? "" : walk->start_where;
    const char *path = walk->trail + walk->levels[from].end;
    walk->trail[level->end] = '\0';
    path += *path == '/';
    wasi_node_done(node);
    node->root = level->root;
    node->upper = level->upper ? reopen(upper, path) : -1;
    node->lower = level->lower ? reopen(lower, path) : -1;
    memcpy(node->where, where, strlen(where) + 1);
    if ((level->upper && node->upper < 0) || (level->lower && node->lower < 0)) {
        return WASI_ENOENT; /* the host took it away */
    }
    return *path != '\0' && root->staged && node->lower >= 0 ? add_where(node->where, path) : WASI_SUCCESS;
}

/* ---- components ---- */

/* The rest of the path becomes the link's text and what stood behind it. */
static int expand(struct walk *walk, int link, const char *behind)
{
    char text[PATH_MAX];
    const size_t more = strlen(behind);
    const ssize_t size = readlinkat(link, "", text, sizeof(text));
    if (size < 0) {
        return wasi_errno(errno);
    }
    if (++walk->links > LINKS_MAX) {
        return WASI_ELOOP;
    }
    if ((size_t)size + more >= sizeof(walk->rest)) {
        return WASI_ENAMETOOLONG;
    }
    if (size == 0) {
        return WASI_ENOENT;
    }
    if (text[0] == '/') {
        return deny(walk);
    }
    memmove(walk->rest + size, behind, more + 1);
    memcpy(walk->rest, text, (size_t)size);
    return WASI_SUCCESS;
}

/* The path ends in the directory itself. */
static int end_here(struct walk *walk)
{
    struct wasi_spot *spot = walk->spot;
    const struct wasi_node *node = &spot->node;
    struct stat st;
    spot->dots = true;
    spot->name[0] = '\0';
    spot->found.upper = node->upper >= 0;
    spot->found.fd = wasi_fd_copy(spot->found.upper ? node->upper : node->lower);
    spot->found.below = spot->found.upper ? wasi_fd_copy(node->lower) : -1;
    spot->root = node->root;
    if (spot->found.fd < 0 || fstat(spot->found.fd, &spot->found.stat) != 0) {
        return spot->found.fd < -1 ? wasi_errno(-spot->found.fd) : WASI_ENOENT;
    }
    if (spot->found.below >= 0 && fstat(spot->found.below, &st) == 0) {
        spot->found.stat.st_dev = st.st_dev;
        spot->found.stat.st_ino = st.st_ino;
    }
    return WASI_SUCCESS;
}

enum { GO_ON = -2 }; /* what a step answers besides an errno */

/* The name of walk->spot is looked up; behind: the rest of the path, which begins with a slash or is empty. */
static int take_name(struct walk *walk, const char *behind)
{
    struct wasi_spot *spot = walk->spot;
    const bool last = behind[strspn(behind, "/")] == '\0', slash = *behind != '\0';
    struct wasi_entry entry;
    const int found = wasi_layer_look(&spot->node, spot->name, &entry);
    if (found == -ENOENT && last) {
        spot->slash = slash;
        spot->root = spot->node.root;
        return WASI_SUCCESS;
    }
    if (found < 0) {
        return wasi_errno(-found);
    }
    int result = GO_ON;
    if (S_ISLNK(entry.stat.st_mode) && (!last || walk->last_link == WASI_LINKS_FOLLOW || (slash && walk->last_link == WASI_LINKS_STAY))) {
        result = expand(walk, entry.fd, behind);
        wasi_entry_done(&entry);
        return result == WASI_SUCCESS ? GO_ON : result;
    }
    if (last) {
        spot->slash = slash;
        spot->found = entry;
        spot->root = S_ISDIR(entry.stat.st_mode) ? other_root(walk, &entry) : spot->node.root;
        return WASI_SUCCESS;
    }
    if (!S_ISDIR(entry.stat.st_mode)) {
        wasi_entry_done(&entry);
        return WASI_ENOTDIR;
    }
    result = push(walk, &entry, spot->name);
    memmove(walk->rest, behind, strlen(behind) + 1);
    return result == WASI_SUCCESS ? GO_ON : result;
}

static int step(struct walk *walk)
{
    struct wasi_spot *spot = walk->spot;
    const char *at = walk->rest + strspn(walk->rest, "/");
    const size_t size = strcspn(at, "/");
    bv_wasm_caller_charge(walk->call->caller, 1);
    if (size == 0) {
        return end_here(walk);
    }
    if (size > NAME_MAX) {
        return WASI_ENAMETOOLONG;
    }
    memcpy(spot->name, at, size);
    spot->name[size] = '\0';
    if (strcmp(spot->name, ".") != 0 && strcmp(spot->name, "..") != 0) {
        return take_name(walk, at + size);
    }
    const int result = spot->name[1] == '.' ? pop(walk) : WASI_SUCCESS;
    memmove(walk->rest, at + size, strlen(at + size) + 1);
    return result == WASI_SUCCESS ? GO_ON : result;
}

void wasi_spot_done(struct wasi_spot *spot)
{
    wasi_entry_done(&spot->found);
    wasi_node_done(&spot->node);
}

int wasi_walk(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path, enum wasi_links links,
              struct wasi_spot *ret_spot)
{
    struct walk walk = { .call = call, .dir = dir, .given = path, .last_link = links, .spot = ret_spot };
    ret_spot->node.upper = ret_spot->node.lower = -1;
    ret_spot->found = (struct wasi_entry){ .fd = -1, .below = -1 };
    ret_spot->slash = ret_spot->dots = false;
    if (*path == '\0') {
        return WASI_ENOENT;
    }
    if (*path == '/') {
        return deny(&walk);
    }
    memcpy(walk.rest, path, strlen(path) + 1); /* wasi_path_text() saw that it fits */
    int result = begin(&walk);
    if (result == WASI_SUCCESS) {
        do {
            result = step(&walk);
        } while (result == GO_ON);
    }
    if (result != WASI_SUCCESS) {
        wasi_spot_done(ret_spot);
    }
    return result;
}
