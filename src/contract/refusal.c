/* contract/refusal.c - the planner's "no": a reason and a list of items, each with why and what would do.
 *
 * A refusal is a value, not an error: it is complete (every item that its step found) and inert. An item names a
 * requirement kind, a dimension, a set of claims, or a place ("workload", "profile"); which of them is told from the
 * name itself, so that callers cannot mislabel one. Specified by CONTRACT.md 8 and INTERFACE.md 3. */
#include "contract/refusal.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"
#include "contract/support.h"
#include "contract/text.h"
#include "contract/tree.h"

#include <stdio.h>
#include <string.h>

#define REFUSAL_MAX_BYTES                                                                          \
    (8u << 20) /* items: at most one a requirement, dimension and contradiction */
#define WHAT_MAX_BYTES 256

struct item {
    struct item *next;
    const char *what, *why, *remedy;
};

struct bv_refusal {
    struct bv_arena *arena;
    enum bv_refusal_reason reason;
    size_t count;
    struct item *first, **last;
    json_t *items;
    char backend[64];
};

struct bv_refusal *bv_refusal_new(enum bv_refusal_reason reason, const char *backend_id)
{
    struct bv_arena *arena = bv_arena_new(REFUSAL_MAX_BYTES);
    struct bv_refusal *refusal = arena ? bv_arena_alloc(arena, sizeof(*refusal)) : NULL;
    json_t *items = json_array();
    if (!refusal || !items) {
        json_decref(items);
        bv_arena_free(arena);
        return NULL;
    }
    refusal->arena = arena;
    refusal->reason = reason;
    refusal->items = items;
    refusal->last = &refusal->first;
    bv_text_clean(refusal->backend, sizeof(refusal->backend),
                  backend_id); /* may be any --backend argument */
    return refusal;
}

void bv_refusal_free(struct bv_refusal *refusal)
{
    if (refusal) {
        json_decref(refusal->items);
        bv_arena_free(refusal->arena);
    }
}

static const char *key_of(const char *what)
{
    enum bv_dimension dimension;
    if (bv_dimension_from_name(what, &dimension)) {
        return "dimension";
    }
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        if (strcmp(what, bv_requirement_name((enum bv_requirement_kind)kind)) == 0) {
            return "kind";
        }
    }
    return "place";
}

/* Takes value over: the item's `key` member. */
static bool append(struct bv_refusal *refusal, const char *what, const char *key, json_t *value,
                   json_t *requirement, const char *why, const char *remedy)
{
    char clean_why[512], clean_remedy[512];
    bv_text_clean(clean_why, sizeof(clean_why), why);
    bv_text_clean(clean_remedy, sizeof(clean_remedy), remedy ? remedy : "");
    struct item *item = bv_arena_alloc(refusal->arena, sizeof(*item));
    json_t *object = json_object();
    bool ok = item && tree_put_text(object, "why", clean_why) &&
              tree_put_text(object, "remedy", clean_remedy);
    ok = tree_put(object, key, value) && ok;
    if (requirement) {
        ok = tree_put(object, "requirement", requirement) && ok;
    }
    if (ok) {
        item->what = bv_arena_text(refusal->arena, what);
        item->why = bv_arena_text(refusal->arena, clean_why);
        item->remedy = bv_arena_text(refusal->arena, clean_remedy);
        ok = item->what && item->why && item->remedy;
    }
    if (!ok) {
        json_decref(object);
        return false;
    }
    if (!tree_append(refusal->items, object)) {
        return false;
    }
    *refusal->last = item;
    refusal->last = &item->next;
    refusal->count++;
    return true;
}

bool bv_refusal_add(struct bv_refusal *refusal, const char *what, json_t *requirement,
                    const char *why, const char *remedy)
{
    char clean_what[WHAT_MAX_BYTES];
    bv_text_clean(clean_what, sizeof(clean_what), what);
    return append(refusal, clean_what, key_of(clean_what), json_string(clean_what), requirement,
                  why, remedy);
}

bool bv_refusal_add_claims(struct bv_refusal *refusal, uint32_t claims, const char *why,
                           const char *remedy)
{
    char what[WHAT_MAX_BYTES];
    bv_claims_text(claims, what, sizeof(what));
    return append(refusal, what, "claims", bv_claims_to_json(claims), NULL, why, remedy);
}

enum bv_refusal_reason bv_refusal_reason(const struct bv_refusal *refusal)
{
    return refusal->reason;
}

size_t bv_refusal_count(const struct bv_refusal *refusal)
{
    return refusal->count;
}

static const struct item *item_at(const struct bv_refusal *refusal, size_t index)
{
    const struct item *item = refusal->first;
    while (item && index > 0) {
        item = item->next;
        index--;
    }
    return item;
}

const char *bv_refusal_what(const struct bv_refusal *refusal, size_t index)
{
    const struct item *item = item_at(refusal, index);
    return item ? item->what : "";
}

const char *bv_refusal_why(const struct bv_refusal *refusal, size_t index)
{
    const struct item *item = item_at(refusal, index);
    return item ? item->why : "";
}

const char *bv_refusal_remedy(const struct bv_refusal *refusal, size_t index)
{
    const struct item *item = item_at(refusal, index);
    return item ? item->remedy : "";
}

enum bv_status bv_refusal_json(const struct bv_refusal *refusal, char **ret_text,
                               struct bv_error *error)
{
    if (!refusal || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "", "bv_refusal_json: NULL argument");
    }
    BV_AUTO(tree_drop) json_t *document = json_object();
    bool ok = tree_put_text(document, "schema", "bvisor.refusal/1");
    ok = tree_put_text(document, "reason", bv_refusal_reason_name(refusal->reason)) && ok;
    ok = tree_put_text(document, "backend", refusal->backend) && ok;
    ok = tree_put_shared(document, "items", refusal->items) && ok;
    char *text = ok ? bv_json_text(document, BV_REPORT_MAX_BYTES) : NULL;
    if (!text) {
        return bv_fail_nomem(error);
    }
    *ret_text = text;
    return BV_OK;
}
