/* tests/support/wasi_guest.c - see wasi_guest.h. */
#include "support/wasi_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wasi/abi.h"

/* ---- the engine's side ---- */

struct bv_wasm_store {
    struct guest *guest;
};
struct bv_wasm_caller {
    struct guest *guest;
};
struct bv_wasm_extern {
    bv_wasm_host_fn *function;
    void *context;
    const struct bv_wasi_function *row;
};

uint8_t *bv_wasm_caller_memory(struct bv_wasm_caller *caller, uint64_t offset, uint64_t length)
{
    const bool inside = offset <= GUEST_MEMORY && length <= GUEST_MEMORY - offset;
    return inside ? caller->guest->memory + offset : NULL;
}

void bv_wasm_caller_charge(struct bv_wasm_caller *caller, uint64_t fuel_units)
{
    caller->guest->charged += fuel_units;
}

struct bv_wasm_store *bv_wasm_caller_store(struct bv_wasm_caller *caller)
{
    return (struct bv_wasm_store *)caller; /* both hold a guest and nothing else */
}

uint64_t bv_wasm_fuel_used(const struct bv_wasm_store *store)
{
    return store->guest->fuel_used;
}

struct bv_wasm_extern *bv_wasm_host_function(struct bv_wasm_store *store,
                                             const struct bv_wasm_functype *type,
                                             bv_wasm_host_fn *function, void *context)
{
    (void)store;
    (void)type;
    struct bv_wasm_extern *made = calloc(1, sizeof(*made));
    if (made) {
        *made = (struct bv_wasm_extern){ function, context, NULL };
    }
    return made;
}

/* ---- the world ---- */

static _Noreturn void give_up(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

void guest_scratch_dir(char path[64])
{
    (void)snprintf(path, 64, "/tmp/bvt-wasi-XXXXXX");
    if (!mkdtemp(path)) {
        give_up("mkdtemp");
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void guest_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0) {
        give_up(path);
    }
}

static void note_denial(void *context, enum bv_wasi_denial kind, const char *text)
{
    struct guest *guest = context;
    memmove(guest->denials[1], guest->denials[0],
            sizeof(guest->denials) - sizeof(guest->denials[0]));
    memmove(&guest->denial_kinds[1], &guest->denial_kinds[0],
            sizeof(guest->denial_kinds) - sizeof(guest->denial_kinds[0]));
    (void)snprintf(guest->denials[0], sizeof(guest->denials[0]), "%s", text);
    guest->denial_kinds[0] = kind;
    guest->denial_count++;
}

static int64_t sink_write(void *context, int stream, const void *bytes, size_t size,
                          int *ret_wait_fd)
{
    struct guest *guest = context;
    if (guest->sink_error != 0) {
        return -guest->sink_error;
    }
    const size_t left = sizeof(guest->output[0]) - guest->output_size[stream - 1];
    size_t taken = size < guest->sink_room ? size : guest->sink_room;
    taken = taken < left ? taken : left;
    memcpy(guest->output[stream - 1] + guest->output_size[stream - 1], bytes, taken);
    guest->output_size[stream - 1] += taken;
    guest->sink_room -= taken;
    *ret_wait_fd = guest->sink_wait_fd;
    return (int64_t)taken;
}

static bool sink_ready(void *context, int stream, int *ret_wait_fd)
{
    struct guest *guest = context;
    (void)stream;
    *ret_wait_fd = guest->sink_wait_fd;
    return guest->sink_room > 0;
}

void guest_defaults(struct guest *guest, struct bv_wasi_options *options)
{
    *options = (struct bv_wasi_options){ .stdin_fd = -1,
                                         .sink = { guest, sink_write, sink_ready },
                                         .denied = note_denial,
                                         .denied_context = guest,
                                         .handles_max = UINT64_MAX,
                                         .storage_max_bytes = UINT64_MAX };
}

/* Kept from one guest to the next: a fuzz target starts thousands a second. */
static uint8_t *spare_memory;

void guest_start(struct guest *guest, const struct bv_wasi_options *options)
{
    const char *why = NULL;
    memset(guest, 0, sizeof(*guest));
    guest->sink_room = SIZE_MAX;
    guest->sink_wait_fd = -1;
    guest->memory = spare_memory ? spare_memory : calloc(1, GUEST_MEMORY);
    spare_memory = NULL;
    if (!guest->memory || bv_wasi_new(options, &guest->wasi, &why) != 0) {
        give_up(why ? why : "memory");
    }
}

void guest_start_at(struct guest *guest, const char *host_path, enum bv_wasi_access access)
{
    struct bv_wasi_options options;
    const int fd = open(host_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct bv_wasi_root root = { fd, "/root", access, BV_WASI_ROOT_DECLARED, UINT64_MAX };
    guest_defaults(guest, &options);
    options.roots = &root;
    options.root_count = 1;
    guest_start(guest, &options);
    (void)close(fd);
}

void guest_stop(struct guest *guest)
{
    for (size_t i = 0; i < 46; i++) {
        free(guest->functions[i]);
    }
    bv_wasi_free(guest->wasi);
    free(spare_memory);
    spare_memory = guest->memory;
    guest->wasi = NULL;
}

/* ---- calls ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* False: there is nothing to wait for, or it took too long. */
static bool wait_as_told(struct guest *guest)
{
    struct bv_wasi_wait wait;
    struct pollfd fds[64];
    bv_wasi_wait(guest->wasi, &wait);
    if (wait.deadline_ns == 0) {
        return true;
    }
    if ((wait.count == 0 && wait.deadline_ns == UINT64_MAX) || wait.count > 64) {
        return false;
    }
    for (size_t i = 0; i < wait.count; i++) {
        fds[i] = (struct pollfd){ .fd = wait.items[i].fd, .events = wait.items[i].events };
    }
    const uint64_t now = now_ns(), ten_seconds = now + UINT64_C(10000000000);
    const uint64_t until = wait.deadline_ns < ten_seconds ? wait.deadline_ns : ten_seconds;
    const int millis = until > now ? (int)((until - now) / 1000000 + 1) : 0;
    return poll(fds, wait.count, millis) > 0 || wait.deadline_ns <= ten_seconds;
}

static int drive(struct guest *guest, const struct bv_wasm_extern *function,
                 const union bv_wasm_value *args)
{
    struct bv_wasm_caller caller = { guest };
    union bv_wasm_value result = { .i32 = 0xdead };
    guest->again = 0;
    for (;;) {
        switch (function->function(function->context, &caller, args, &result)) {
        case BV_WASM_DONE: return (int)result.i32;
        case BV_WASM_HALT: return GUEST_HALTED;
        case BV_WASM_AGAIN: break;
        }
        guest->again++;
        struct bv_wasi_wait wait;
        bv_wasi_wait(guest->wasi, &wait);
        if (guest->impatient && wait.deadline_ns != 0) {
            return GUEST_WAITING;
        }
        if (!wait_as_told(guest)) {
            return GUEST_STUCK;
        }
    }
}

static size_t row_of(const char *name)
{
    /* Where the name stood that was last looked for: a fuzz target asks for few names, each in one place, a hundred times an input. */
    static struct {
        const char *name;
        size_t row;
    } known[64];
    const size_t place = ((uintptr_t)name >> 2 ^ (uintptr_t)name >> 8) % 64;
    if (known[place].name == name &&
        strcmp(bv_wasi_function_at(known[place].row)->name, name) == 0) {
        return known[place].row;
    }
    for (size_t i = 0; i < 46; i++) {
        if (strcmp(bv_wasi_function_at(i)->name, name) == 0) {
            known[place].name = name;
            known[place].row = i;
            return i;
        }
    }
    give_up(name);
}

/* Linked when first called. */
static const struct bv_wasm_extern *function_of(struct guest *guest, const char *name)
{
    const size_t i = row_of(name);
    if (!guest->functions[i]) {
        const char *why = NULL;
        const struct bv_wasi_function *row = bv_wasi_function_at(i);
        const struct bv_wasm_import import = { { BV_WASI_MODULE, (uint32_t)strlen(BV_WASI_MODULE) },
                                               { row->name, (uint32_t)strlen(row->name) },
                                               BV_WASM_FUNC,
                                               row->type };
        guest->functions[i] = bv_wasi_link(guest->wasi, NULL, &import, &why);
        if (!guest->functions[i]) {
            give_up(why);
        }
        guest->functions[i]->row = row;
    }
    return guest->functions[i];
}

int guest_call(struct guest *guest, const char *name, ...)
{
    const struct bv_wasm_extern *function = function_of(guest, name);
    union bv_wasm_value args[9];
    va_list list;
    va_start(list, name);
    for (uint32_t i = 0; i < function->row->type.param_count; i++) {
        memset(&args[i], 0xa5, sizeof(args[i])); /* the upper half of an i32 is nobody's */
        if (function->row->type.params[i] == BV_WASM_I64) {
            args[i].i64 = va_arg(list, uint64_t);
        } else {
            args[i].i32 = va_arg(list, uint32_t);
        }
    }
    va_end(list);
    return drive(guest, function, args);
}

uint32_t guest_bytes(struct guest *guest, const void *bytes, size_t size)
{
    if (guest->scratch + size + 16 > GUEST_SCRATCH) {
        guest->scratch = 0;
    }
    const uint32_t at = guest->scratch;
    memcpy(guest->memory + at, bytes, size);
    guest->scratch = (uint32_t)((at + size + 15) & ~(size_t)7);
    return at;
}

uint32_t guest_text(struct guest *guest, const char *text)
{
    return guest_bytes(guest, text, strlen(text));
}

uint32_t guest_iovec(struct guest *guest, uint32_t offset, uint32_t size)
{
    uint8_t entry[8];
    memcpy(entry, &offset, 4);
    memcpy(entry + 4, &size, 4);
    return guest_bytes(guest, entry, sizeof(entry));
}

uint64_t guest_get(const struct guest *guest, uint32_t offset, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, guest->memory + offset, bytes);
    return value;
}

void guest_put(struct guest *guest, uint32_t offset, uint64_t value, unsigned bytes)
{
    memcpy(guest->memory + offset, &value, bytes);
}

/* ---- shorthands ---- */

enum { RESULT = GUEST_SCRATCH, DATA = GUEST_SCRATCH + 4096 };

int guest_open_with(struct guest *guest, uint32_t dir, uint32_t lookup, const char *path,
                    uint32_t oflags, uint64_t base, uint64_t inheriting, uint32_t fdflags,
                    uint32_t *ret_fd)
{
    const int result =
        guest_call(guest, "path_open", dir, lookup, guest_text(guest, path), (uint32_t)strlen(path),
                   oflags, base, inheriting, fdflags, (uint32_t)RESULT);
    if (result == 0 && ret_fd) {
        *ret_fd = (uint32_t)guest_get(guest, RESULT, 4);
    }
    return result;
}

int guest_open(struct guest *guest, uint32_t dir, const char *path, uint32_t oflags, uint64_t base,
               uint32_t *ret_fd)
{
    return guest_open_with(guest, dir, WASI_LOOKUP_FOLLOW, path, oflags, base, 0, 0, ret_fd);
}

int guest_write(struct guest *guest, uint32_t fd, const void *bytes, uint32_t size,
                uint32_t *ret_size)
{
    memcpy(guest->memory + DATA, bytes, size);
    const int result =
        guest_call(guest, "fd_write", fd, guest_iovec(guest, DATA, size), 1u, (uint32_t)RESULT);
    if (ret_size) {
        *ret_size = (uint32_t)guest_get(guest, RESULT, 4);
    }
    return result;
}

int guest_read(struct guest *guest, uint32_t fd, void *bytes, uint32_t size, uint32_t *ret_size)
{
    const int result =
        guest_call(guest, "fd_read", fd, guest_iovec(guest, DATA, size), 1u, (uint32_t)RESULT);
    if (result == 0) {
        *ret_size = (uint32_t)guest_get(guest, RESULT, 4);
        memcpy(bytes, guest->memory + DATA, *ret_size);
    }
    return result;
}

int guest_path(struct guest *guest, const char *call, uint32_t dir, const char *path)
{
    return guest_call(guest, call, dir, guest_text(guest, path), (uint32_t)strlen(path));
}

int guest_two_paths(struct guest *guest, const char *call, uint32_t from_dir, const char *from,
                    uint32_t to_dir, const char *to)
{
    const uint32_t from_at = guest_text(guest, from), to_at = guest_text(guest, to);
    const uint32_t from_size = (uint32_t)strlen(from), to_size = (uint32_t)strlen(to);
    if (strcmp(call, "path_link") == 0) {
        return guest_call(guest, call, from_dir, 0u, from_at, from_size, to_dir, to_at, to_size);
    }
    return guest_call(guest, call, from_dir, from_at, from_size, to_dir, to_at, to_size);
}

int guest_symlink(struct guest *guest, const char *target, uint32_t dir, const char *path)
{
    const uint32_t target_at = guest_text(guest, target), path_at = guest_text(guest, path);
    return guest_call(guest, "path_symlink", target_at, (uint32_t)strlen(target), dir, path_at,
                      (uint32_t)strlen(path));
}

int guest_stat(struct guest *guest, uint32_t dir, uint32_t lookup, const char *path,
               uint64_t *ret_size, uint8_t *ret_type)
{
    const int result = guest_call(guest, "path_filestat_get", dir, lookup, guest_text(guest, path),
                                  (uint32_t)strlen(path), (uint32_t)RESULT);
    if (result == 0) {
        *ret_type = (uint8_t)guest_get(guest, RESULT + 16, 1);
        *ret_size = guest_get(guest, RESULT + 32, 8);
    }
    return result;
}
