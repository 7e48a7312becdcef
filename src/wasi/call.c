/* wasi/call.c - the import table: the 46 functions of preview 1, and the one way into them.
 *
 * A row is a function's name, its type, what carries it out and what it costs. The way in is the same for all: the cost is
 * charged once a call, a call that is resumed is told so, and the errno becomes the result. */
#include "wasi/state.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wasm/alloc.h"

enum { I = BV_WASM_I32, L = BV_WASM_I64 };
/* Parameter lists, named by their shape; i is also every result. */
static const uint8_t i[] = { I }, ii[] = { I, I }, iii[] = { I, I, I }, iiii[] = { I, I, I, I };
static const uint8_t iiiii[] = { I, I, I, I, I }, iiiiii[] = { I, I, I, I, I, I };
static const uint8_t iiiiiii[] = { I, I, I, I, I, I, I }, il[] = { I, L }, ili[] = { I, L, I },
                     ill[] = { I, L, L };
static const uint8_t ilii[] = { I, L, I, I }, illi[] = { I, L, L, I }, iiili[] = { I, I, I, L, I };
static const uint8_t iiiilli[] = { I, I, I, I, L, L, I },
                     iiiiillii[] = { I, I, I, I, I, L, L, I, I };

/* In fuel units, about 1,000 a microsecond of the kernel's work. */
enum { COST_LIGHT = 50, COST_FD = 500, COST_PATH = 2000, COST_SYNC = 20000 };

static const struct wasi_row rows[] = {
    { { "args_get", { ii, i, 2, 1 } }, wasi_args_get, COST_LIGHT },
    { { "args_sizes_get", { ii, i, 2, 1 } }, wasi_args_sizes_get, COST_LIGHT },
    { { "clock_res_get", { ii, i, 2, 1 } }, wasi_clock_res_get, COST_LIGHT },
    { { "clock_time_get", { ili, i, 3, 1 } }, wasi_clock_time_get, COST_LIGHT },
    { { "environ_get", { ii, i, 2, 1 } }, wasi_environ_get, COST_LIGHT },
    { { "environ_sizes_get", { ii, i, 2, 1 } }, wasi_environ_sizes_get, COST_LIGHT },
    { { "fd_advise", { illi, i, 4, 1 } }, wasi_fd_advise, COST_FD },
    { { "fd_allocate", { ill, i, 3, 1 } }, wasi_fd_allocate, COST_PATH },
    { { "fd_close", { i, i, 1, 1 } }, wasi_fd_close, COST_FD },
    { { "fd_datasync", { i, i, 1, 1 } }, wasi_fd_datasync, COST_SYNC },
    { { "fd_fdstat_get", { ii, i, 2, 1 } }, wasi_fd_fdstat_get, COST_LIGHT },
    { { "fd_fdstat_set_flags", { ii, i, 2, 1 } }, wasi_fd_fdstat_set_flags, COST_FD },
    { { "fd_fdstat_set_rights", { ill, i, 3, 1 } }, wasi_fd_fdstat_set_rights, COST_LIGHT },
    { { "fd_filestat_get", { ii, i, 2, 1 } }, wasi_fd_filestat_get, COST_FD },
    { { "fd_filestat_set_size", { il, i, 2, 1 } }, wasi_fd_filestat_set_size, COST_PATH },
    { { "fd_filestat_set_times", { illi, i, 4, 1 } }, wasi_fd_filestat_set_times, COST_FD },
    { { "fd_pread", { iiili, i, 5, 1 } }, wasi_fd_pread, COST_FD },
    { { "fd_prestat_dir_name", { iii, i, 3, 1 } }, wasi_fd_prestat_dir_name, COST_LIGHT },
    { { "fd_prestat_get", { ii, i, 2, 1 } }, wasi_fd_prestat_get, COST_LIGHT },
    { { "fd_pwrite", { iiili, i, 5, 1 } }, wasi_fd_pwrite, COST_FD },
    { { "fd_read", { iiii, i, 4, 1 } }, wasi_fd_read, COST_FD },
    { { "fd_readdir", { iiili, i, 5, 1 } }, wasi_fd_readdir, COST_FD },
    { { "fd_renumber", { ii, i, 2, 1 } }, wasi_fd_renumber, COST_FD },
    { { "fd_seek", { ilii, i, 4, 1 } }, wasi_fd_seek, COST_FD },
    { { "fd_sync", { i, i, 1, 1 } }, wasi_fd_sync, COST_SYNC },
    { { "fd_tell", { ii, i, 2, 1 } }, wasi_fd_tell, COST_FD },
    { { "fd_write", { iiii, i, 4, 1 } }, wasi_fd_write, COST_FD },
    { { "path_create_directory", { iii, i, 3, 1 } }, wasi_path_create_directory, COST_PATH },
    { { "path_filestat_get", { iiiii, i, 5, 1 } }, wasi_path_filestat_get, COST_PATH },
    { { "path_filestat_set_times", { iiiilli, i, 7, 1 } },
      wasi_path_filestat_set_times,
      COST_PATH },
    { { "path_link", { iiiiiii, i, 7, 1 } }, wasi_path_link, COST_PATH },
    { { "path_open", { iiiiillii, i, 9, 1 } }, wasi_path_open, COST_PATH },
    { { "path_readlink", { iiiiii, i, 6, 1 } }, wasi_path_readlink, COST_PATH },
    { { "path_remove_directory", { iii, i, 3, 1 } }, wasi_path_remove_directory, COST_PATH },
    { { "path_rename", { iiiiii, i, 6, 1 } }, wasi_path_rename, COST_PATH },
    { { "path_symlink", { iiiii, i, 5, 1 } }, wasi_path_symlink, COST_PATH },
    { { "path_unlink_file", { iii, i, 3, 1 } }, wasi_path_unlink_file, COST_PATH },
    { { "poll_oneoff", { iiii, i, 4, 1 } }, wasi_poll_oneoff, COST_FD },
    { { "proc_exit", { i, NULL, 1, 0 } }, wasi_proc_exit, COST_LIGHT },
    { { "proc_raise", { i, i, 1, 1 } }, wasi_proc_raise, COST_LIGHT },
    { { "random_get", { ii, i, 2, 1 } }, wasi_random_get, COST_FD },
    { { "sched_yield", { NULL, i, 0, 1 } }, wasi_sched_yield, COST_LIGHT },
    { { "sock_accept", { iii, i, 3, 1 } }, wasi_sock_any, COST_LIGHT },
    { { "sock_recv", { iiiiii, i, 6, 1 } }, wasi_sock_any, COST_LIGHT },
    { { "sock_send", { iiiii, i, 5, 1 } }, wasi_sock_any, COST_LIGHT },
    { { "sock_shutdown", { ii, i, 2, 1 } }, wasi_sock_any, COST_LIGHT },
};
const struct bv_wasi_function *bv_wasi_function_at(size_t index)
{
    return index < BV_COUNT(rows) ? &rows[index].function : NULL;
}

_Static_assert(BV_COUNT(rows) == WASI_FUNCTIONS, "one count a function");

uint64_t bv_wasi_calls(const struct bv_wasi *wasi, size_t index)
{
    return index < BV_COUNT(rows) ? wasi->calls[index] : 0;
}

/* What the engine calls. */
static enum bv_wasm_answer enter(void *context, struct bv_wasm_caller *caller,
                                 const union bv_wasm_value *args, union bv_wasm_value *results)
{
    const struct wasi_binding *binding = context;
    struct bv_wasi *wasi = binding->wasi;
    struct wasi_call call = { wasi, caller, args, binding->row };
    if (!wasi_resumed(
            &call)) { /* another call than the one that waited: what that one had in mind is void */
        wasi->pending = NULL;
        wasi->pending_done = 0;
        wasi_copy_drop(wasi);
        wasi->calls[call.row - rows]++;
        bv_wasm_caller_charge(caller, call.row->cost);
    }
    wasi->wait_count = 0;
    wasi->wait_deadline_ns = UINT64_MAX;
    const int answer = call.row->run(&call);
    if (answer == WASI_WAIT) {
        wasi->pending = call.row;
        return BV_WASM_AGAIN;
    }
    wasi->pending = NULL;
    wasi->pending_done = 0;
    if (answer == WASI_HALT) {
        return BV_WASM_HALT;
    }
    BV_ASSERT(answer >= 0 && answer <= WASI_ENOTCAPABLE);
    results[0].i32 = (uint32_t)answer;
    return BV_WASM_DONE;
}

bool wasi_resumed(const struct wasi_call *call)
{
    return call->wasi->pending == call->row;
}

int wasi_go_on(struct wasi_call *call)
{
    call->wasi->wait_deadline_ns = 0;
    return WASI_WAIT;
}

int wasi_wait_for(struct wasi_call *call, int fd, short events)
{
    struct bv_wasi *wasi = call->wasi;
    if (wasi->wait_count == wasi->wait_room) {
        const size_t room = wasi->wait_room != 0 ? wasi->wait_room * 2 : 4;
        const size_t more = (room - wasi->wait_room) * sizeof(*wasi->waits);
        struct bv_wasi_wait_item *waits = NULL;
        if (wasi_charge_memory(wasi, more)) {
            waits = realloc(wasi->waits, room * sizeof(*waits));
            if (!waits) {
                wasi_release_memory(wasi, more);
            }
        }
        if (!waits) {
            return WASI_ENOMEM;
        }
        wasi->waits = waits;
        wasi->wait_room = room;
    }
    wasi->waits[wasi->wait_count++] = (struct bv_wasi_wait_item){ fd, events };
    return WASI_WAIT;
}

void bv_wasi_wait(const struct bv_wasi *wasi, struct bv_wasi_wait *ret_wait)
{
    *ret_wait = (struct bv_wasi_wait){ wasi->waits, wasi->wait_count, wasi->wait_deadline_ns };
}

static bool same_types(const uint8_t *a, uint32_t a_count, const uint8_t *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count) == 0);
}

static bool same_name(const struct bv_wasm_name *name, const char *text)
{
    return name->size == strlen(text) && memcmp(name->bytes, text, name->size) == 0;
}

/* The row of an import; BV_COUNT(rows) with *ret_why when it is none. */
static size_t row_of(const struct bv_wasm_import *import, const char **ret_why)
{
    const struct bv_wasm_functype *type = &import->function;
    if (!same_name(&import->module, BV_WASI_MODULE)) {
        *ret_why = "no such module";
        return BV_COUNT(rows);
    }
    for (size_t n = 0; n < BV_COUNT(rows); n++) {
        const struct bv_wasm_functype *known = &rows[n].function.type;
        if (!same_name(&import->name, rows[n].function.name)) {
            continue;
        }
        if (import->kind == BV_WASM_FUNC &&
            same_types(type->params, type->param_count, known->params, known->param_count) &&
            same_types(type->results, type->result_count, known->results, known->result_count)) {
            return n;
        }
        *ret_why = "of another type";
        return BV_COUNT(rows);
    }
    *ret_why = "no such function";
    return BV_COUNT(rows);
}

bool bv_wasi_knows(const struct bv_wasm_import *import, const char **ret_why)
{
    return row_of(import, ret_why) < BV_COUNT(rows);
}

struct bv_wasm_extern *bv_wasi_link(struct bv_wasi *wasi, struct bv_wasm_store *store,
                                    const struct bv_wasm_import *import, const char **ret_why)
{
    const size_t n = row_of(import, ret_why);
    if (n == BV_COUNT(rows)) {
        return NULL;
    }
    struct bv_wasm_extern *made =
        bv_wasm_host_function(store, &rows[n].function.type, enter, &wasi->bindings[n]);
    *ret_why = made ? NULL : "out of memory";
    return made;
}

/* The bindings of a guest: where each row's function finds both. NULL: out of memory. */
struct wasi_binding *wasi_bindings_new(struct bv_wasi *wasi)
{
    struct wasi_binding *bindings = calloc(BV_COUNT(rows), sizeof(*bindings));
    for (size_t n = 0; bindings && n < BV_COUNT(rows); n++) {
        bindings[n] = (struct wasi_binding){ wasi, &rows[n] };
    }
    return bindings;
}

/* ---- guest memory and its price ---- */

uint8_t *wasi_memory(struct wasi_call *call, uint64_t offset, uint64_t length)
{
    return bv_wasm_caller_memory(call->caller, offset, length);
}

int wasi_store_u32(struct wasi_call *call, uint32_t offset, uint32_t value)
{
    uint8_t *at = wasi_memory(call, offset, 4);
    if (!at) {
        return WASI_EFAULT;
    }
    wasi_put(at, value, 4);
    return WASI_SUCCESS;
}

int wasi_store_u64(struct wasi_call *call, uint32_t offset, uint64_t value)
{
    uint8_t *at = wasi_memory(call, offset, 8);
    if (!at) {
        return WASI_EFAULT;
    }
    wasi_put(at, value, 8);
    return WASI_SUCCESS;
}

void wasi_charge_bytes(struct wasi_call *call, uint64_t bytes)
{
    bv_wasm_caller_charge(call->caller, bytes / 64);
}

bool wasi_charge_memory(struct bv_wasi *wasi, size_t bytes)
{
    return !wasi->options.budget || bv_wasm_charge(wasi->options.budget, bytes);
}

void wasi_release_memory(struct bv_wasi *wasi, size_t bytes)
{
    if (wasi->options.budget) {
        bv_wasm_discharge(wasi->options.budget, bytes);
    }
}
