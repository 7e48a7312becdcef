/* tests/support/wasi_guest.h - a guest without an engine: memory, and calls into src/wasi as an engine makes them.
 *
 * It defines what src/wasi uses of the engine (wasm/wasm.h), so a program that links it links no engine. Calls that answer
 * AGAIN are driven by poll() until they are done, so a test that would hang ends with a deadline of ten seconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wasi/wasi.h"

#define GUEST_MEMORY (8u << 20)
#define GUEST_SCRATCH                                                                              \
    (64u << 10) /* where guest_text() and the like put things; tests use what lies behind */
#define GUEST_HALTED  (-1)
#define GUEST_STUCK   (-2) /* waited for more than ten seconds, or for nothing at all */
#define GUEST_WAITING (-3) /* only with patience off: the call answered AGAIN */

struct guest {
    struct bv_wasi *wasi;
    uint8_t *memory;
    uint32_t scratch; /* next free byte of the scratch area */
    struct bv_wasm_extern *functions[46];
    uint64_t charged, fuel_used;
    uint32_t again;       /* times that the last call answered AGAIN */
    bool impatient;       /* do not drive a call that has to wait for a descriptor or a time */
    char denials[8][256]; /* the last ones, newest first */
    enum bv_wasi_denial denial_kinds[8];
    uint32_t denial_count;
    char output[2][1 << 16]; /* what the sink took */
    size_t output_size[2];
    size_t sink_room; /* bytes that the sink still takes before it is full */
    int sink_error;   /* a positive errno that the sink answers */
    int sink_wait_fd;
};

/* A host directory of the test's own, removed with all in it. */
void guest_scratch_dir(char path[64]);
void guest_remove_tree(const char *path);
/* Fills what a test leaves out: no arguments, an empty stdin, the sink above, no limits. */
void guest_defaults(struct guest *guest, struct bv_wasi_options *options);
/* Starts a guest; ends the program if that fails. */
void guest_start(struct guest *guest, const struct bv_wasi_options *options);
/* A guest with one root at host_path, named /root. `.` is 3 and /root is 4. */
void guest_start_at(struct guest *guest, const char *host_path, enum bv_wasi_access access);
void guest_stop(struct guest *guest);

/* Calls a function by name with as many arguments as it has. Its errno, or one of the above. */
int guest_call(struct guest *guest, const char *name, ...);

uint32_t guest_text(struct guest *guest,
                    const char *text); /* puts it, without its NUL, into scratch memory */
uint32_t guest_bytes(struct guest *guest, const void *bytes, size_t size);
uint32_t guest_iovec(struct guest *guest, uint32_t offset, uint32_t size); /* a list of one */
uint64_t guest_get(const struct guest *guest, uint32_t offset, unsigned bytes);
void guest_put(struct guest *guest, uint32_t offset, uint64_t value, unsigned bytes);

/* Shorthands for what most tests do. Each answers an errno. */
int guest_open(struct guest *guest, uint32_t dir, const char *path, uint32_t oflags, uint64_t base,
               uint32_t *ret_fd);
int guest_open_with(struct guest *guest, uint32_t dir, uint32_t lookup, const char *path,
                    uint32_t oflags, uint64_t base, uint64_t inheriting, uint32_t fdflags,
                    uint32_t *ret_fd);
int guest_write(struct guest *guest, uint32_t fd, const void *bytes, uint32_t size,
                uint32_t *ret_size);
int guest_read(struct guest *guest, uint32_t fd, void *bytes, uint32_t size,
               uint32_t *ret_size); /* size <= 1 MiB */
int guest_path(struct guest *guest, const char *call, uint32_t dir,
               const char *path); /* calls of the shape (fd, path) */
int guest_two_paths(struct guest *guest, const char *call, uint32_t from_dir, const char *from,
                    uint32_t to_dir, const char *to);
int guest_symlink(struct guest *guest, const char *target, uint32_t dir, const char *path);
int guest_stat(struct guest *guest, uint32_t dir, uint32_t lookup, const char *path,
               uint64_t *ret_size, uint8_t *ret_type);
