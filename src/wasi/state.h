/* wasi/state.h - what the files of this directory share: a guest's world, its descriptors, and one call under way.
 *
 * Functions answer a WASI errno (0: success) unless they say otherwise; host errnos are translated where they arise. */
#pragma once

#include "wasi/wasi.h"

#include <limits.h>
#include <sys/stat.h>

#include "wasi/abi.h"

#define WASI_PIECE_BYTES                                                                           \
    (256u << 10) /* the most that one entry into a host function moves: well below 1 ms */
#define WASI_IOVECS_MAX         1024u /* IOV_MAX; more are EINVAL, as for readv(2) */
#define WASI_SUBSCRIPTIONS_MAX  4096u /* of one poll_oneoff; more are EINVAL */
#define WASI_STREAM_WRITE_BYTES 4096u /* PIPE_BUF: what a polled pipe takes without blocking */
#define WASI_RESOLVE_TRIES                                                                         \
    64 /* openat2 says EAGAIN while somebody renames; then the guest hears it */
#define WASI_NO_ROOT SIZE_MAX
#define WASI_FUNCTIONS 46 /* of preview 1 */

/* What a handler answers besides an errno. */
enum { WASI_WAIT = -1, WASI_HALT = -2 };

struct wasi_root {
    int fd;
    char *name;
    enum bv_wasi_access access;
    enum bv_wasi_root_kind kind;
    uint64_t limit_bytes, used_bytes;
    dev_t dev;
    ino_t ino;
    bool staged; /* fd is then the lower layer, which is only ever read */
    int upper, work;
};

enum wasi_kind {
    WASI_FREE,
    WASI_FILE, /* regular: seekable, never waits */
    WASI_DIRECTORY,
    WASI_STREAM, /* a host descriptor of any other type */
    WASI_SINK,   /* fd is 1 or 2: the sink's stream */
    WASI_EMPTY,  /* stdin at its end */
};

struct wasi_listing; /* of dir.c: where a directory is read */

/* What a descriptor of a staged root is open on, while the lower layer has a part in it: both layers of a directory, or a
 * file of the lower one. A thing of the lower layer keeps its path for good: it is never renamed, only hidden. */
struct wasi_layers {
    int upper, lower; /* -1: that layer has none (yet) */
    bool gone;        /* its name was removed, and is another thing's if it is there again */
    uint64_t epoch;   /* of the layers when it was looked at last */
    const char *where; /* path below the root, "" itself; of no meaning without a lower part */
};

struct wasi_descriptor {
    enum wasi_kind kind;
    uint8_t type;   /* enum wasi_filetype */
    uint16_t flags; /* WASI_FDFLAG_* */
    int fd;
    bool borrowed; /* fd is the host's: never closed, its status flags never changed */
    uint64_t base, inheriting;
    size_t root; /* WASI_NO_ROOT for streams and kept descriptors */
    dev_t dev;
    ino_t ino;
    const char *preopen; /* its name, else NULL; owned by the root or constant */
    struct wasi_layers *layers; /* owns the descriptors then, and fd is one of them; NULL: of one layer alone */
    struct wasi_listing *listing;
};

struct wasi_ledger_entry {
    dev_t dev;
    ino_t ino;
    size_t root;
    int64_t delta;
};
struct wasi_ledger {
    struct wasi_ledger_entry *slots;
    size_t capacity, count;
};

/* A file on its way into the upper layer, a piece each time that the call is resumed. */
struct wasi_copy {
    bool active;
    size_t root;
    int from, to;
    dev_t dev;
    ino_t ino;
    uint64_t at_bytes, size_bytes;
};

struct wasi_row;

struct bv_wasi {
    struct bv_wasi_options options; /* its roots pointer is not used after bv_wasi_new() */
    struct wasi_root *roots;
    size_t root_count;
    bool nested; /* one root lies beneath another: the innermost decides */
    bool layered; /* a root is staged: every path is walked by walk.c */
    uint64_t epoch; /* goes up whenever a directory comes into an upper layer or leaves it */
    struct wasi_copy copy;

    struct wasi_descriptor *table;
    size_t table_size;  /* slots in use or once used */
    size_t table_room;  /* slots allocated */
    size_t lowest_free; /* no slot below it is free */
    struct bv_wasi_usage usage;
    uint64_t calls[WASI_FUNCTIONS];

    struct wasi_ledger ledger;
    uint64_t names_added, names_max;

    /* The call that answered AGAIN last; another call forgets it. */
    const struct wasi_row *pending;
    uint64_t pending_done;     /* bytes moved by it so far */
    uint64_t pending_cookie;   /* fd_readdir: where it goes on */
    uint64_t pending_begin[2]; /* poll_oneoff: both clocks when it began */

    struct bv_wasi_wait_item *waits;
    size_t wait_count, wait_room;
    uint64_t wait_deadline_ns;
    struct wasi_subscription *subscriptions;
    size_t subscription_room;

    bool ended;
    struct bv_wasi_ending ending;
    uint64_t monotonic_begin_ns, slept_ns, random_counter;
    struct wasi_binding *bindings; /* one per row */
};

struct wasi_call {
    struct bv_wasi *wasi;
    struct bv_wasm_caller *caller;
    const union bv_wasm_value *args;
    const struct wasi_row *row;
};

struct wasi_row {
    struct bv_wasi_function function;
    int (*run)(struct wasi_call *call); /* a WASI errno, WASI_WAIT or WASI_HALT */
    uint32_t
        cost; /* fuel units of a call: about its time in the kernel at 1,000 units a microsecond */
};
struct wasi_binding {
    struct bv_wasi *wasi;
    const struct wasi_row *row;
};

/* errno.c */
int wasi_errno(int host_errno); /* of a positive errno */
/* The result of a libc call: success, or errno's translation. */
int wasi_result(long result);

/* guest memory; call.c */
uint8_t *wasi_memory(struct wasi_call *call, uint64_t offset,
                     uint64_t length); /* NULL: not inside */
static inline void wasi_put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}
static inline uint64_t wasi_get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}
int wasi_store_u32(struct wasi_call *call, uint32_t offset, uint32_t value);
int wasi_store_u64(struct wasi_call *call, uint32_t offset, uint64_t value);
/* Fuel for bytes that were moved. */
void wasi_charge_bytes(struct wasi_call *call, uint64_t bytes);
/* The call goes on at once when it is resumed; what was done so far is in pending_*. */
int wasi_go_on(struct wasi_call *call);
/* The call waits for a host descriptor (-1: the sink's owner knows). */
int wasi_wait_for(struct wasi_call *call, int fd, short events);
bool wasi_resumed(const struct wasi_call *call);
bool wasi_charge_memory(struct bv_wasi *wasi, size_t bytes);
void wasi_release_memory(struct bv_wasi *wasi, size_t bytes);

/* denial.c */
void wasi_deny(struct wasi_call *call, enum bv_wasi_denial kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a path below a descriptor. */
void wasi_deny_path(struct wasi_call *call, enum bv_wasi_denial kind,
                    const struct wasi_descriptor *dir, const char *path);

void wasi_deny_storage(struct wasi_call *call);

/* fdtable.c */
uint64_t wasi_stream_rights(int fd,
                            const struct stat *stat); /* that a stream of this type can have */
/* The descriptor of this number if it is open and holds these rights. */
int wasi_take(struct wasi_call *call, uint32_t fd, uint64_t rights,
              struct wasi_descriptor **ret_descriptor);
/* The descriptor of this number if it is open. */
int wasi_look(struct wasi_call *call, uint32_t fd, struct wasi_descriptor **ret_descriptor);
int wasi_hold(struct wasi_call *call, const struct wasi_descriptor *descriptor, uint64_t rights);
/* Puts a descriptor at the lowest free number, or at `number` if that is >= 0. The number or -errno: -EMFILE at the limit,
 * -ENOMEM, -EEXIST. The fd stays the caller's on failure. */
int wasi_table_add(struct bv_wasi *wasi, const struct wasi_descriptor *descriptor, int number);
bool wasi_table_full(const struct bv_wasi *wasi);
void wasi_table_remove(struct bv_wasi *wasi, size_t number);
void wasi_table_free(struct bv_wasi *wasi);
/* Does an open descriptor other than `except` hold this inode? */
bool wasi_table_holds(const struct bv_wasi *wasi, dev_t dev, ino_t ino,
                      const struct wasi_descriptor *except);
uint8_t wasi_filetype(mode_t mode);
/* May the guest change what this descriptor is open on? EROFS, recorded, if its root does not allow that. */
int wasi_may_change(struct wasi_call *call, const struct wasi_descriptor *descriptor);

/* layer.c: the two layers of a staged root, one component at a time. 0 or -errno unless they say otherwise. */
struct wasi_node { /* a directory: of a staged root in two layers, of any other one its descriptor is `lower` */
    int upper, lower; /* O_PATH; -1: none */
    size_t root;
    char where[PATH_MAX]; /* as in wasi_layers */
};
struct wasi_entry { /* what stands at a name; of a merged directory the number is the lower's, which does not change */
    int fd, below;      /* O_PATH; fd -1: nothing; below: the lower part of a directory that the upper layer has too */
    struct stat stat;
    bool upper;
};
void wasi_node_done(struct wasi_node *node);
void wasi_entry_done(struct wasi_entry *entry);
int wasi_fd_copy(int fd);
int wasi_layer_look(const struct wasi_node *node, const char *name, struct wasi_entry *ret_entry); /* -ENOENT */
/* Makes the directory in the upper layer, and those above it. */
int wasi_layer_raise(struct bv_wasi *wasi, struct wasi_node *node);
/* A directory like `lower` in an upper directory, whatever that one's mode. The descriptor. */
int wasi_layer_make_like(struct bv_wasi *wasi, int upper, const char *name, int lower);
/* From the root's work directory to a place in the upper layer: by the guest's right, or whatever the directory's mode. */
int wasi_layer_place(const struct bv_wasi *wasi, size_t root, const char *temporary, int upper, const char *name, bool forced);
bool wasi_layer_is_whiteout(const struct stat *stat);
bool wasi_layer_below(const struct wasi_node *node, const char *name); /* the lower layer has that name */
int wasi_layer_hide(struct bv_wasi *wasi, size_t root, int upper, const char *name); /* a whiteout there, in the place of what is no directory */
int wasi_layer_opaque(int upper_dir);
/* 1: it has no entries but whiteouts, 0: it has. */
int wasi_layer_is_empty(const struct wasi_entry *directory);
int wasi_layer_clear(int upper_dir); /* removes the whiteouts in it */
/* May this process use what is open so? R_OK, W_OK, X_OK. */
int wasi_layer_may(int fd, int mode);
struct wasi_layers *wasi_layers_new(struct bv_wasi *wasi, int upper, int lower, const char *where); /* takes the descriptors on success */
void wasi_layers_free(struct bv_wasi *wasi, struct wasi_layers *layers);
/* Brings a directory's descriptor up to date with what became of its layers. */
int wasi_layers_refresh(struct bv_wasi *wasi, struct wasi_descriptor *descriptor);
void wasi_layers_gone(struct bv_wasi *wasi, const struct wasi_node *node, const char *name); /* for those that are open on it */

/* walk.c: a path through the layers, a component at a time */
struct wasi_spot {
    struct wasi_node node; /* the directory that holds the last component */
    char name[NAME_MAX + 1];
    bool slash, dots; /* dots: the path ends in the directory itself, and name is empty */
    struct wasi_entry found;
    size_t root; /* of what was found, or would be made */
};
enum wasi_links { /* what becomes of a link that is the last component */
    WASI_LINKS_FOLLOW,
    WASI_LINKS_STAY,  /* it is what is meant, unless a slash stands behind it */
    WASI_LINKS_NAMES, /* the name is meant, whatever stands there */
};
/* Success also when nothing stands there (found.fd -1), with a spot to be given to wasi_spot_done(). */
int wasi_walk(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path, enum wasi_links links,
              struct wasi_spot *ret_spot);
void wasi_spot_done(struct wasi_spot *spot);

/* copy.c: from the lower layer into the upper one; WASI_WAIT: it goes on when the call is resumed. data: with a file's bytes */
int wasi_copy_up(struct wasi_call *call, struct wasi_spot *spot, bool data);
int wasi_copy_up_descriptor(struct wasi_call *call, struct wasi_descriptor *descriptor);
void wasi_copy_drop(struct bv_wasi *wasi); /* what was begun and is not wanted any more */

/* staged.c: what changes names in a staged root. They check neither rights nor access. */
int wasi_staged_create(struct wasi_call *call, struct wasi_spot *spot, uint64_t flags, int *ret_fd);
int wasi_staged_mkdir(struct wasi_call *call, struct wasi_spot *spot);
int wasi_staged_unlink(struct wasi_call *call, struct wasi_spot *spot);
int wasi_staged_rmdir(struct wasi_call *call, struct wasi_spot *spot);
int wasi_staged_symlink(struct wasi_call *call, const char *target, struct wasi_spot *spot);
int wasi_staged_link(struct wasi_call *call, struct wasi_spot *from, struct wasi_spot *to);
int wasi_staged_rename(struct wasi_call *call, struct wasi_spot *from, struct wasi_spot *to);

/* path.c: the one resolver; see there */
/* As wasi_beneath(), and no component is a link; with O_PATH and O_NOFOLLOW the last may be, and is opened itself. */
int wasi_within(int dir, const char *path, uint64_t flags, uint64_t mode);
int wasi_beneath(int dir, const char *path, uint64_t flags,
                 uint64_t mode); /* a descriptor or -errno; -EXDEV: outside */
/* The directory of this number, if it holds these rights. */
int wasi_path_directory(struct wasi_call *call, uint32_t fd, uint64_t rights,
                        struct wasi_descriptor **ret_dir);
/* Which root's the last component is; fd and stat are of what was found there, fd -1 if nothing was. */
int wasi_path_root(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                   bool follow, int fd, const struct stat *stat, size_t *ret_root);
struct wasi_place {
    int parent; /* O_PATH descriptor of the directory that holds the last component; -1 when none */
    char name[NAME_MAX + 2]; /* that component, with a slash behind it if the path ended in one */
    bool slash, dots;        /* dots: the component is `.` or `..` */
    size_t root;
    bool staged; /* then the place is spot, and parent is -1 */
    struct wasi_spot spot;
};
int wasi_path_text(struct wasi_call *call, uint32_t offset, uint32_t size, char path[PATH_MAX]);
int wasi_path_open_beneath(struct wasi_call *call, const struct wasi_descriptor *dir,
                           const char *path, uint64_t flags, uint64_t mode, int *ret_fd);
int wasi_path_place(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                    struct wasi_place *ret_place);
void wasi_path_leave(struct wasi_place *place);
/* Opens what a path names with O_PATH and says what it is and which root's it is. */
int wasi_path_find(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                   bool follow, int *ret_fd, struct stat *ret_stat, size_t *ret_root);
/* EROFS or EACCES, recorded, unless the root has this access. */
int wasi_path_may(struct wasi_call *call, const struct wasi_descriptor *dir, const char *path,
                  size_t root, enum bv_wasi_access access);
bool wasi_path_is_root(const struct bv_wasi *wasi, const struct stat *stat);
/* Can a path from one root lead into another? */
bool wasi_path_nested(const struct bv_wasi *wasi);
/* The innermost root that an open directory lies in; a directory that is reached from `preferred`. */
int wasi_path_innermost(struct wasi_call *call, const struct bv_wasi *wasi, int fd,
                        size_t preferred, size_t *ret_root);

/* ledger.c */
uint64_t wasi_ledger_left(const struct bv_wasi *wasi,
                          size_t root);        /* bytes that a new file may have */
int wasi_ledger_reserve(struct bv_wasi *wasi); /* the next new entry needs no memory */
/* How many bytes the file may grow; an entry for it exists afterwards. */
int wasi_ledger_room(struct bv_wasi *wasi, size_t root, dev_t dev, ino_t ino, uint64_t *ret_bytes);
/* The guest changed its size by so much. */
void wasi_ledger_change(struct bv_wasi *wasi, dev_t dev, ino_t ino, int64_t bytes);
/* It is gone. */
void wasi_ledger_forget(struct bv_wasi *wasi, dev_t dev, ino_t ino);
bool wasi_ledger_has(const struct bv_wasi *wasi, dev_t dev, ino_t ino);
void wasi_ledger_free(struct bv_wasi *wasi);
/* Room for one more name: ENOSPC, recorded, if there is none. */
int wasi_names_room(struct wasi_call *call);
void wasi_names_change(struct bv_wasi *wasi, int by);
/* This inode is new, and holds so many bytes of the guest's; an entry was reserved. */
void wasi_ledger_begin(struct bv_wasi *wasi, size_t root, const struct stat *stat, uint64_t bytes);
/* A name of a file is gone: if it was its last, what the guest had added to that comes back once nobody holds it. */
void wasi_ledger_name_gone(struct bv_wasi *wasi, const struct stat *before);

/* dir.c */
void wasi_listing_free(struct bv_wasi *wasi, struct wasi_listing *listing);

/* clock.c */
uint64_t wasi_host_ns(int host_clock);
uint64_t wasi_now_ns(const struct bv_wasi *wasi,
                     enum wasi_clock clock); /* realtime or monotonic as the guest sees it */

/* stat.c */
int wasi_set_size(struct wasi_call *call, const struct wasi_descriptor *descriptor, uint64_t size);
void wasi_put_filestat(uint8_t *at, const struct stat *stat);
int wasi_may_set_times(int fd);
int wasi_set_times(struct wasi_call *call, int fd, uint64_t atim, uint64_t mtim, uint32_t flags);

/* The handlers, by file. */
int wasi_args_get(struct wasi_call *call); /* process.c */
int wasi_args_sizes_get(struct wasi_call *call);
int wasi_environ_get(struct wasi_call *call);
int wasi_environ_sizes_get(struct wasi_call *call);
int wasi_proc_exit(struct wasi_call *call);
int wasi_proc_raise(struct wasi_call *call);
int wasi_sched_yield(struct wasi_call *call);
int wasi_sock_any(struct wasi_call *call);
int wasi_random_get(struct wasi_call *call);    /* random.c */
int wasi_clock_res_get(struct wasi_call *call); /* clock.c */
int wasi_clock_time_get(struct wasi_call *call);
int wasi_fd_close(struct wasi_call *call); /* fdtable.c */
int wasi_fd_renumber(struct wasi_call *call);
int wasi_fd_prestat_get(struct wasi_call *call);
int wasi_fd_prestat_dir_name(struct wasi_call *call);
int wasi_fd_fdstat_get(struct wasi_call *call); /* stat.c */
int wasi_set_size(struct wasi_call *call, const struct wasi_descriptor *descriptor, uint64_t size);
int wasi_fd_fdstat_set_flags(struct wasi_call *call);
int wasi_fd_fdstat_set_rights(struct wasi_call *call);
int wasi_fd_filestat_get(struct wasi_call *call);
int wasi_fd_filestat_set_size(struct wasi_call *call);
int wasi_fd_filestat_set_times(struct wasi_call *call);
int wasi_fd_advise(struct wasi_call *call); /* file.c */
int wasi_fd_allocate(struct wasi_call *call);
int wasi_fd_datasync(struct wasi_call *call);
int wasi_fd_sync(struct wasi_call *call);
int wasi_fd_seek(struct wasi_call *call);
int wasi_fd_tell(struct wasi_call *call);
int wasi_fd_read(struct wasi_call *call); /* transfer.c */
int wasi_fd_pread(struct wasi_call *call);
int wasi_fd_write(struct wasi_call *call);
int wasi_fd_pwrite(struct wasi_call *call);
int wasi_fd_readdir(struct wasi_call *call);            /* dir.c */
int wasi_path_create_directory(struct wasi_call *call); /* names.c */
int wasi_path_link(struct wasi_call *call);
int wasi_path_readlink(struct wasi_call *call);
int wasi_path_remove_directory(struct wasi_call *call);
int wasi_path_rename(struct wasi_call *call);
int wasi_path_symlink(struct wasi_call *call);
int wasi_path_unlink_file(struct wasi_call *call);
int wasi_path_open(struct wasi_call *call); /* open.c */
int wasi_path_filestat_get(struct wasi_call *call);
int wasi_path_filestat_set_times(struct wasi_call *call);
int wasi_poll_oneoff(struct wasi_call *call); /* poll.c */

/* call.c */
struct wasi_binding *wasi_bindings_new(struct bv_wasi *wasi);
/* poll.c */
void wasi_subscriptions_free(struct bv_wasi *wasi);
