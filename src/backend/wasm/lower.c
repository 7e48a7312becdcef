/* backend/wasm/lower.c - intent -> preopens and limits. Pure: paths are opened by launch.c.
 *
 * The working directory only picks the preopen `.`: the most specific place that holds it, by the guest's own names. Where the
 * caller named none ("/"), `.` is the root that the spec names first. INTERFACE.md 2. */
#include "backend/wasm/guest.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>

static bool is_below(const char *path, const char *top)
{
    const size_t size = strlen(top);
    return strncmp(path, top, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

bool guest_is_kernels(const char *path)
{
    return is_below(path, "/proc") || is_below(path, "/dev");
}

uint64_t guest_first_handles(const struct bv_intent *intent)
{
    const bool dot = intent->root_count > 0 || intent->temp_root;
    return 3 + (uint64_t)intent->root_count + intent->temp_root + intent->expose_count + dot;
}

static enum bv_wasi_access access_of(enum bv_access access)
{
    switch (access) {
    case BV_ACCESS_READ: return BV_WASI_READ;
    case BV_ACCESS_WRITE: return BV_WASI_WRITE;
    case BV_ACCESS_READ_WRITE: return BV_WASI_READ_WRITE;
    }
    BV_UNREACHABLE();
}

bool guest_writes(const struct bv_intent *intent)
{
    bool writes = intent->temp_root;
    for (size_t i = 0; i < intent->root_count; i++) {
        writes = writes || intent->roots[i].access != BV_ACCESS_READ;
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        writes = writes || intent->exposes[i].access != BV_ACCESS_READ;
    }
    return writes;
}

static void add_place(struct guest_world *world, const char *source, const char *name,
                      enum bv_access access, enum bv_wasi_root_kind kind, uint64_t limit_bytes)
{
    BV_ASSERT(world->place_count < GUEST_ROOTS_MAX);
    world->places[world->place_count++] = (struct guest_place){
        .source = source,
        .root = { .fd = -1,
                  .name = name,
                  .access = access_of(access),
                  .kind = kind,
                  .limit_bytes = limit_bytes },
    };
}

static void pick_dot(const struct bv_intent *intent, struct guest_world *world)
{
    const char *cwd = intent->workload->cwd;
    if (!cwd || strcmp(cwd, "/") == 0) {
        if (intent->root_count > 0) {
            world->dot_root = intent->first_root;
            world->dot_path = ".";
        }
        return;
    }
    size_t best = 0;
    world->cwd_outside = true;
    for (size_t i = 0; i < world->place_count; i++) {
        const char *name = world->places[i].root.name;
        if (is_below(cwd, name) && (world->cwd_outside || strlen(name) > best)) {
            best = strlen(name);
            world->cwd_outside = false;
            world->dot_root = i;
            world->dot_path = cwd[best] == '/' && cwd[best + 1] != '\0' ? cwd + best + 1 : ".";
        }
    }
}

/* A limit in a finer unit; UINT64_MAX: none. */
static uint64_t scaled(uint64_t limit, uint64_t factor)
{
    uint64_t product;
    return limit == BV_UNLIMITED || bv_ckd_mul(&product, limit, factor) ? UINT64_MAX : product;
}

void guest_lower(const struct bv_intent *intent, uint64_t fuel_per_micro,
                 struct guest_world *ret_world)
{
    memset(ret_world, 0, offsetof(struct guest_world, places));
    for (size_t i = 0; i < intent->root_count; i++) {
        const struct bv_root *root = &intent->roots[i];
        add_place(ret_world, root->path, root->path, root->access, BV_WASI_ROOT_DECLARED,
                  UINT64_MAX);
    }
    if (intent->temp_root) {
        add_place(ret_world, NULL, GUEST_TEMP_NAME, BV_ACCESS_READ_WRITE, BV_WASI_ROOT_TEMP,
                  intent->temp_bytes);
    }
    for (size_t i = 0; i < intent->expose_count; i++) {
        const struct bv_expose *expose = &intent->exposes[i];
        add_place(ret_world, expose->source, expose->dest, expose->access, BV_WASI_ROOT_EXPOSED,
                  UINT64_MAX);
    }
    pick_dot(intent, ret_world);
    const struct bv_budget_request *budgets = intent->budgets;
    ret_world->fuel_limit = scaled(budgets[BV_CPU_MICROS].limit, fuel_per_micro);
    ret_world->wall_ns = scaled(budgets[BV_WALL_MICROS].limit, 1000);
    ret_world->resident_bytes = budgets[BV_RESIDENT_BYTES].limit; /* BV_UNLIMITED is UINT64_MAX */
    ret_world->handles = budgets[BV_HANDLE_COUNT].limit;
    ret_world->storage_bytes = budgets[BV_STORAGE_BYTES].limit;
}
