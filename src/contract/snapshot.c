/* contract/snapshot.c - the raw facts of a machine, as a backend's probe read them.
 *
 * Owns the rules for keys and values that let a snapshot stand in a document and be hashed: sorted, unique, printable
 * ASCII, bounded. Judges nothing. The digest made here is what profile drift compares, so a value that changes between
 * two probes of an unchanged machine is a backend's defect. Specified by backend.h and CONTRACT.md 1. */
#include "contract/snapshot.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"

#include <string.h>

static size_t size_of(size_t count)
{
    return sizeof(struct bv_snapshot) + count * sizeof(struct snapshot_fact);
}

struct bv_snapshot *bv_snapshot_new(void)
{
    struct bv_arena *arena = bv_arena_new(size_of(BV_SNAPSHOT_MAX_FACTS) + 256);
    if (!arena) {
        return NULL;
    }
    struct bv_snapshot *snapshot = bv_arena_room(arena, size_of(BV_SNAPSHOT_MAX_FACTS));
    if (!snapshot) {
        bv_arena_free(arena);
        return NULL;
    }
    snapshot->arena = arena;
    snapshot->count = 0;
    return snapshot;
}

void bv_snapshot_free(struct bv_snapshot *snapshot)
{
    if (snapshot) {
        bv_arena_free(snapshot->arena);
    }
}

struct bv_snapshot *bv_snapshot_copy(struct bv_arena *arena, const struct bv_snapshot *snapshot)
{
    BV_ASSERT(snapshot->count <= BV_SNAPSHOT_MAX_FACTS);
    struct bv_snapshot *copy = bv_arena_copy(arena, snapshot, size_of(snapshot->count));
    if (copy) {
        copy->arena = NULL;
    }
    return copy;
}

static bool key_is_good(const char *key)
{
    size_t size = key ? strlen(key) : 0;
    if (size == 0 || size > SNAPSHOT_KEY_BYTES) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = key[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) {
            return false;
        }
    }
    return true;
}

static bool value_is_good(const char *value)
{
    size_t size = value ? strlen(value) : SNAPSHOT_VALUE_BYTES + 1;
    if (size > SNAPSHOT_VALUE_BYTES) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

/* The place of key: where it is, or where it belongs. */
static size_t find(const struct bv_snapshot *snapshot, const char *key, bool *ret_present)
{
    size_t low = 0, high = snapshot->count;
    *ret_present = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(bv_snapshot_at(snapshot, middle)->key, key);
        if (order == 0) {
            *ret_present = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum bv_status bv_snapshot_set(struct bv_snapshot *snapshot, const char *key, const char *value,
                               struct bv_error *error)
{
    if (!snapshot || !key_is_good(key)) {
        return bv_fail(error, BV_E_INVALID, "probe", "a fact's key must match [a-z0-9_.]{1,48}");
    }
    if (!value_is_good(value)) {
        return bv_fail(error, BV_E_INVALID, key,
                       "a fact's value must be printable ASCII of at most %d bytes",
                       SNAPSHOT_VALUE_BYTES);
    }
    bool present = false;
    size_t at = find(snapshot, key, &present);
    if (!present) {
        if (snapshot->count == BV_SNAPSHOT_MAX_FACTS) {
            return bv_fail(error, BV_E_LIMIT, key, "more than %d facts", BV_SNAPSHOT_MAX_FACTS);
        }
        unsigned char *place = &snapshot->order[at];
        memmove(place + 1, place, snapshot->count - at);
        *place = (unsigned char)snapshot->count;
        memcpy(snapshot->fact[snapshot->count].key, key, strlen(key) + 1);
        snapshot->count++;
    }
    memcpy(snapshot->fact[snapshot->order[at]].value, value, strlen(value) + 1);
    return BV_OK;
}

const char *bv_snapshot_get(const struct bv_snapshot *snapshot, const char *key)
{
    bool present = false;
    size_t at = snapshot && key ? find(snapshot, key, &present) : 0;
    return present ? bv_snapshot_at(snapshot, at)->value : NULL;
}

void bv_snapshot_emit(struct bv_emit *emit, const char *key, const struct bv_snapshot *snapshot)
{
    bv_emit_object(emit, key);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_fact *fact = bv_snapshot_at(snapshot, i);
        bv_emit_text(emit, fact->key, fact->value);
    }
    bv_emit_end(emit);
}

json_t *bv_snapshot_to_json(const struct bv_snapshot *snapshot)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_emit_init(&emit, &buf);
    bv_snapshot_emit(&emit, NULL, snapshot);
    return bv_emit_tree(&buf);
}

void bv_profile_emit(struct bv_buf *buf, const char *backend_id, const struct bv_snapshot *facts)
{
    struct bv_emit emit;
    bv_emit_init(&emit, buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "backend", backend_id);
    bv_snapshot_emit(&emit, "probed", facts);
    bv_emit_end(&emit);
}

bool bv_profile_digest(const char *backend_id, const struct bv_snapshot *facts,
                       char text[BV_DIGEST_TEXT_SIZE])
{
    struct bv_buf buf;
    bv_buf_init(&buf, BV_PLAN_MAX_BYTES);
    bv_profile_emit(&buf, backend_id, facts);
    const bool written = bv_emit_digest(&buf, text);
    bv_buf_done(&buf);
    return written;
}
