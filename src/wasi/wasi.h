/* wasi/wasi.h - the outside of WASI preview 1: what one guest is given, what it waits for, what it used, how it ended.
 *
 * A guest can name nothing but what is handed over here: directories that it sees as preopens, host descriptors that were
 * kept for it, two output sinks, argument and environment texts. Every path call resolves beneath an open directory
 * (openat2, RESOLVE_BENEATH and no magic links), so no interleaving with the host's own changes leads outside.
 *
 * Two fences stand one behind the other. Rights are WASI's, held by each descriptor, and only ever shrink; access is the
 * root's, fixed, and asked at each effect, so a read-only root answers EROFS whatever a descriptor holds. A preopen holds
 * all rights in every root: wasi-libc masks what it asks for with the directory's inheriting rights, so a right that was
 * withheld would turn an open for writing into one that succeeds and cannot write, without a word.
 *
 * Nothing here blocks: a call that would has no effect, answers BV_WASM_AGAIN and bv_wasi_wait() says what it waits for.
 * Long transfers are made in bounded pieces, between which the driver has control. One struct bv_wasi belongs to one store
 * and one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wasm/wasm.h"

#define BV_WASI_MODULE "wasi_snapshot_preview1"

struct bv_wasi;

enum bv_wasi_access { BV_WASI_READ = 1, BV_WASI_WRITE = 2, BV_WASI_READ_WRITE = 3 };

enum bv_wasi_root_kind { BV_WASI_ROOT_DECLARED, BV_WASI_ROOT_TEMP, BV_WASI_ROOT_EXPOSED };

struct bv_wasi_root {
    int fd; /* of a directory; O_PATH is enough; borrowed during bv_wasi_new() */
    const char *
        name; /* the guest's absolute path of it: the host's path, /tmp, or the destination; copied */
    enum bv_wasi_access access;
    enum bv_wasi_root_kind kind;
    uint64_t limit_bytes; /* a storage limit of its own; UINT64_MAX: only the common one */
};

/* What makes a root staged: its fd is then only read, and what the guest changes goes into upper_fd as overlayfs keeps it (copies
 * of what was changed, a character device 0:0 for what was removed, user.overlay.opaque on a directory that hides another).
 * work_fd is an empty directory on the same file system. Both are the guest's alone, and borrowed during bv_wasi_new(). */
struct bv_wasi_stage {
    int upper_fd, work_fd; /* -1: the root is not staged */
};

/* Where stdout (1) and stderr (2) go. Neither function blocks. *ret_wait_fd, set when there is no room, is a host descriptor
 * that becomes writable, or -1 when only the owner of the sink can know. */
struct bv_wasi_sink {
    void *context;
    /* How many of the bytes were taken, 0 when there is no room now, or a negative errno when the stream is broken. */
    int64_t (*write)(void *context, int stream, const void *bytes, size_t size, int *ret_wait_fd);
    bool (*ready)(void *context, int stream, int *ret_wait_fd);
};

enum bv_wasi_denial {
    BV_WASI_DENIED_PATH,    /* a path that leads outside its directory */
    BV_WASI_DENIED_RIGHT,   /* a right that the descriptor does not hold */
    BV_WASI_DENIED_WRITE,   /* a change in a root without write access */
    BV_WASI_DENIED_READ,    /* reading in a root without read access */
    BV_WASI_DENIED_DEVICE,  /* a device node or socket in a root */
    BV_WASI_DENIED_HANDLES, /* a descriptor beyond the limit */
    BV_WASI_DENIED_STORAGE, /* a byte or name beyond the limit */
};

struct bv_wasi_options {
    /* Texts are borrowed and outlive the guest: an environment may hold secrets, which are not copied about. */
    const char *const *args, *const *env; /* args include the guest's name; env is NAME=VALUE */
    size_t arg_count, env_count;
    const struct bv_wasi_root *roots;
    size_t root_count;
    const struct bv_wasi_stage *stages; /* one a root; NULL: none is staged */
    /* The directory that is `.`: a root's number and a path beneath it. dot_path NULL: the first declared root or, if there
     * is none, the temp root. */
    size_t dot_root;
    const char *dot_path;
    /* Readable host descriptor, borrowed for the guest's life and never changed; -1: always at its end. A stream to the guest
     * whatever it is: a file's position and attributes are not part of what is read from it. */
    int stdin_fd;
    struct bv_wasi_sink sink;
    void (*denied)(void *context, enum bv_wasi_denial kind,
                   const char *text); /* text: one clean line; NULL: not told */
    void *denied_context;
    uint64_t
        handles_max; /* open descriptors, 0 to 2 and preopens included; UINT64_MAX: BV_WASI_HANDLES_CAP */
    uint64_t storage_max_bytes; /* see struct bv_wasi_usage; UINT64_MAX: none */
    bool seeded;                /* random_get is a function of seed; else it is the kernel's */
    uint64_t seed;
    bool
        frozen; /* clocks begin at frozen_ns and move only by sleeps, which take no time; else they are real */
    uint64_t frozen_ns;      /* the realtime clock's */
    uint64_t fuel_per_micro; /* what the CPU-time clocks count by; 0: 1,000 */
    struct bv_wasm_budget
        *budget; /* what tables that grow with the guest's doings are charged to; NULL: nothing */
};

#define BV_WASI_HANDLES_CAP 65536u /* no guest needs more; bounds a scan of the table */

/* Makes a guest's world. Preopens are numbered from 3: `.` first, then every root by its name, in their order. 0 or -errno
 * (-EMFILE: the handle limit is below what is preopened; -ENOTDIR: a root is not a directory; -EINVAL: a contradiction),
 * and on failure *ret_why (may be NULL) is a constant text. */
int bv_wasi_new(const struct bv_wasi_options *options, struct bv_wasi **ret_wasi,
                const char **ret_why);
void bv_wasi_free(struct bv_wasi *wasi); /* NULL is a no-op */

/* Gives the guest one more file: a host descriptor kept for it, borrowed for the guest's life, at this number (the lowest
 * free one if negative). Its rights follow from how it was opened. Call it before the guest starts and after all preopens: a
 * guest looks for these at 3, 4, ... until the first number that is none. The number, or -EEXIST, -EMFILE, -ENOMEM, -EBADF;
 * -EISDIR for a directory, which only a root may hand over; -ENOTSUP for a socket, since no guest has one. */
int bv_wasi_keep(struct bv_wasi *wasi, int host_fd, int number);

/* ---- linking ---- */

struct bv_wasi_function {
    const char *name;
    struct bv_wasm_functype type;
};
/* The 46 functions, sorted by name. */
const struct bv_wasi_function *bv_wasi_function_at(size_t index); /* NULL past the end */
/* How often the guest called that function; a call that waits is one. */
uint64_t bv_wasi_calls(const struct bv_wasi *wasi, size_t index);
/* Whether an import is one of them, of their type; else a constant text in *ret_why. */
bool bv_wasi_knows(const struct bv_wasm_import *import, const char **ret_why);
/* The host function for an import of BV_WASI_MODULE; NULL, with a constant text in *ret_why, if there is none of that name
 * and type or no memory. */
struct bv_wasm_extern *bv_wasi_link(struct bv_wasi *wasi, struct bv_wasm_store *store,
                                    const struct bv_wasm_import *import, const char **ret_why);

/* ---- driving ---- */

struct bv_wasi_wait_item {
    int fd;
    short events;
}; /* as for poll(2); fd -1: the sink's owner knows */
struct bv_wasi_wait {
    const struct bv_wasi_wait_item
        *items; /* any of them; valid until the next call into the guest */
    size_t count;
    uint64_t
        deadline_ns; /* of CLOCK_MONOTONIC: resume then at the latest; 0: at once; UINT64_MAX: no deadline */
};
/* What the call that answered BV_WASM_AGAIN waits for. */
void bv_wasi_wait(const struct bv_wasi *wasi, struct bv_wasi_wait *ret_wait);

struct bv_wasi_ending {
    bool signalled;
    uint32_t code;
}; /* code: of proc_exit, or the host's number of proc_raise's signal */
/* How the guest ended itself; false if it did not. */
bool bv_wasi_ended(const struct bv_wasi *wasi, struct bv_wasi_ending *ret_ending);

/* Storage is what the guest's calls added to the size of files and symbolic links: for every inode the bytes by which it is
 * larger through this guest, 0 if it is smaller. A hole counts like data, so the figure does not depend on the file system.
 * Making a file smaller or removing its last name gives back what the guest had added to it, once no descriptor of the guest
 * holds it any more. Names that the guest adds are not bytes; under a limit there may be as many as a file system of that
 * size would have inodes (one for each 4 KiB, at least 1,024). In a staged root a copy of what the lower layer has counts whole:
 * that is by how much the upper layer grew. Names there are those that the lower layer has not. */
struct bv_wasi_usage {
    uint64_t handles_open, handles_peak, handles_refused;
    uint64_t storage_bytes, storage_peak_bytes, storage_refused;
    uint64_t denials;
    uint64_t stdin_bytes;
};
void bv_wasi_usage(const struct bv_wasi *wasi, struct bv_wasi_usage *ret_usage);
