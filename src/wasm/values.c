/* wasm/values.c - the translator's stack: types for validation, places for translation; and the locals of a function. */
#include "wasm/compiler.h"

#include "base/check.h"

#include <string.h>

/* Up to this many locals, and more where the body is long, each has an element of locals[]; beyond, runs are searched: a body of a
 * few bytes may declare 50,000 locals, a million times over. */
#define EXPAND_ALWAYS 256

bool bv_wasm_mismatch(struct bv_wasm_compiler *c)
{
    return bv_wasm_fail(c->reader, BV_WASM_INVALID, c->instruction, "type mismatch");
}

void bv_wasm_push_slow(struct bv_wasm_compiler *c, uint32_t cells)
{
    if (c->stack_count >= c->stack_capacity &&
        !bv_wasm_grow_raw(c->budget, &c->stack, &c->stack_capacity, (uint64_t)c->stack_count + 1,
                          sizeof(*c->stack))) {
        (void)bv_wasm_fail_nomem(c->reader);
    }
    if (c->height + cells > c->height_limit) {
        if (c->wide) {
            (void)bv_wasm_fail_limit(c->reader, c->reader->at, BV_WASM_LIMIT_FRAME_CELLS);
        }
        c->needs_wide = true;
    }
}

bool bv_wasm_pop_slow(struct bv_wasm_compiler *c, uint8_t type, struct bv_wasm_entry *ret_entry)
{
    const struct bv_wasm_block *block = &c->blocks[c->block_count - 1];
    if (c->stack_count == block->height) {
        if (!block->polymorphic) {
            return bv_wasm_mismatch(c);
        }
        *ret_entry = (struct bv_wasm_entry){ .slot = c->height, .type = type };
        return true;
    }
    struct bv_wasm_entry entry = c->stack[--c->stack_count];
    c->height = entry.slot;
    if (bv_wasm_is_lazy(&entry)) {
        c->local_uses[(uint32_t)entry.bits]--;
    }
    c->lazy_from = c->lazy_from > c->stack_count ? c->stack_count : c->lazy_from;
    *ret_entry = entry;
    return entry.type == type || type == BV_WASM_UNKNOWN || entry.type == BV_WASM_UNKNOWN ||
           bv_wasm_mismatch(c);
}

/* Whatever checks or pushes a whole type pays here. */
static bool take_steps(struct bv_wasm_compiler *c, uint32_t count)
{
    if (count > c->steps_left) {
        return bv_wasm_fail_limit(c->reader, c->reader->at, BV_WASM_LIMIT_STEPS);
    }
    c->steps_left -= count;
    return true;
}

void bv_wasm_push_slots(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count)
{
    if (!take_steps(c, count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        bv_wasm_push(c, types[i], BV_WASM_IN_SLOT, 0);
    }
}

bool bv_wasm_check_top(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count)
{
    if (count == 0) {
        return true;
    }
    const struct bv_wasm_block *block = &c->blocks[c->block_count - 1];
    if (!take_steps(c, count)) {
        return false;
    }
    if (block->polymorphic) {
        struct bv_wasm_entry entry;
        for (uint32_t i = count; i-- > 0;) {
            if (!bv_wasm_pop(c, types[i], &entry)) {
                return false;
            }
        }
        bv_wasm_push_slots(c, types, count);
        return true;
    }
    if (c->stack_count - block->height < count) {
        return bv_wasm_mismatch(c);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (c->stack[c->stack_count - count + i].type != types[i]) {
            return bv_wasm_mismatch(c);
        }
    }
    return true;
}

bool bv_wasm_check_label(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count)
{
    const struct bv_wasm_block *block = &c->blocks[c->block_count - 1];
    if (!block->polymorphic) {
        return bv_wasm_check_top(c, types, count);
    }
    if (!take_steps(c, count)) {
        return false;
    }
    for (uint32_t i = 1; i <= count && i <= c->stack_count - block->height; i++) {
        uint8_t type = c->stack[c->stack_count - i].type;
        if (type != types[count - i] && type != BV_WASM_UNKNOWN) {
            return bv_wasm_mismatch(c);
        }
    }
    return true;
}

void bv_wasm_truncate(struct bv_wasm_compiler *c, uint32_t height)
{
    while (c->stack_count > height) {
        const struct bv_wasm_entry *entry = &c->stack[--c->stack_count];
        c->height = entry->slot;
        if (bv_wasm_is_lazy(entry)) {
            c->local_uses[(uint32_t)entry->bits]--;
        }
    }
    c->lazy_from = c->lazy_from > c->stack_count ? c->stack_count : c->lazy_from;
}

bool bv_wasm_find_local_slow(struct bv_wasm_compiler *c, uint32_t index,
                             struct bv_wasm_local *ret_local)
{
    if (index >= c->local_count) {
        return bv_wasm_fail_index(c->reader, c->reader->at, "local", index);
    }
    uint32_t first = 0, last = c->run_count - 1;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (index < c->runs[middle].end) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    const struct bv_wasm_local_run *run = &c->runs[first];
    uint32_t begin = first ? c->runs[first - 1].end : 0;
    *ret_local =
        (struct bv_wasm_local){ .slot = run->slot + (index - begin) * bv_wasm_cells_of(run->type),
                                .type = run->type };
    return true;
}

static bool add_run(struct bv_wasm_compiler *c, uint32_t count, uint8_t type)
{
    if (count > BV_WASM_MAX_LOCALS - c->local_count) {
        return bv_wasm_fail_limit(c->reader, c->reader->at, BV_WASM_LIMIT_LOCALS);
    }
    if (count == 0) {
        return true;
    }
    if (c->run_count == c->run_capacity &&
        !bv_wasm_grow_raw(c->budget, &c->runs, &c->run_capacity, (uint64_t)c->run_count + 1,
                          sizeof(*c->runs))) {
        return bv_wasm_fail_nomem(c->reader);
    }
    c->local_count += count;
    c->runs[c->run_count++] =
        (struct bv_wasm_local_run){ .end = c->local_count, .slot = c->height, .type = type };
    c->height += count * bv_wasm_cells_of(type);
    return true;
}

static bool read_runs(struct bv_wasm_compiler *c)
{
    struct bv_wasm_reader *reader = c->reader;
    uint32_t groups, count;
    uint64_t total = c->local_count;
    if (!bv_wasm_read_u32(reader, &groups)) {
        return false;
    }
    while (groups-- > 0) {
        const uint8_t *at = reader->at;
        uint8_t type;
        if (!bv_wasm_read_u32(reader, &count)) {
            return false;
        }
        total += count;
        if (total > UINT32_MAX) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "too many locals");
        }
        at = reader->at;
        if (!bv_wasm_read_byte(reader, &type)) {
            return false;
        }
        if (!bv_wasm_is_value_type(type)) {
            return bv_wasm_fail(reader, BV_WASM_MALFORMED, at, "malformed value type");
        }
        /* A count beyond the cap waits for the rest of the list, which may be malformed. */
        if (total <= BV_WASM_MAX_LOCALS && !add_run(c, count, type)) {
            return false;
        }
    }
    return total <= BV_WASM_MAX_LOCALS ||
           bv_wasm_fail_limit(reader, reader->at, BV_WASM_LIMIT_LOCALS);
}

static bool expand(struct bv_wasm_compiler *c)
{
    uint64_t body_bytes = (uint64_t)(c->reader->end - c->reader->at);
    c->expanded = c->local_count <= EXPAND_ALWAYS + 4 * body_bytes ? c->local_count : 0;
    if (!bv_wasm_grow_raw(c->budget, &c->locals, &c->local_capacity, c->expanded,
                          sizeof(*c->locals)) ||
        !bv_wasm_grow(c->budget, &c->local_uses, &c->uses_capacity, c->local_count,
                      sizeof(*c->local_uses))) {
        return bv_wasm_fail_nomem(c->reader);
    }
    for (uint32_t i = 0, index = 0; i < c->run_count && c->expanded; i++) {
        const struct bv_wasm_local_run *run = &c->runs[i];
        for (uint32_t slot = run->slot; index < run->end;
             index++, slot += bv_wasm_cells_of(run->type)) {
            c->locals[index] = (struct bv_wasm_local){ .slot = slot, .type = run->type };
        }
    }
    return true;
}

bool bv_wasm_enter_locals(struct bv_wasm_compiler *c)
{
    const struct bv_wasm_functype *type = &c->type->type;
    c->local_count = c->run_count = c->height = 0;
    for (uint32_t i = 0, begin = 0; i < type->param_count; i++) {
        if (i + 1 == type->param_count || type->params[i + 1] != type->params[i]) {
            if (!add_run(c, i + 1 - begin, type->params[i])) {
                return false;
            }
            begin = i + 1;
        }
    }
    if (c->wide) {
        c->scratch_slot = c->height;
        c->height += BV_WASM_SCRATCH_CELLS;
    }
    if (!read_runs(c)) {
        return false;
    }
    c->height_max = c->frame_locals = c->height;
    c->needs_wide = c->needs_wide || c->height > c->height_limit;
    return expand(c);
}

void bv_wasm_compiler_done(struct bv_wasm_compiler *c)
{
    bv_wasm_dealloc(c->budget, c->stack, c->stack_capacity * sizeof(*c->stack));
    bv_wasm_dealloc(c->budget, c->blocks, c->block_capacity * sizeof(*c->blocks));
    bv_wasm_dealloc(c->budget, c->locals, c->local_capacity * sizeof(*c->locals));
    bv_wasm_dealloc(c->budget, c->runs, c->run_capacity * sizeof(*c->runs));
    bv_wasm_dealloc(c->budget, c->labels, c->label_capacity * sizeof(*c->labels));
    bv_wasm_dealloc(c->budget, c->local_uses, c->uses_capacity * sizeof(*c->local_uses));
}
