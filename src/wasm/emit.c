/* wasm/emit.c - writing internal code: units, marks, operands, and the changes to the operation just written that save one. */
#include "wasm/compiler.h"

#include "base/check.h"

#include <string.h>

const struct bv_wasm_code_info bv_wasm_code_info[BV_WASM_CODES] = {
#define INT   BV_WASM_LEAVES_INT
#define FLOAT BV_WASM_LEAVES_FLOAT
#define BV_CODE(name, unit_count, writes_a)                                                        \
    [BV_WASM_CODE_##name] = { .units = (unit_count), .writes = (writes_a) },
#include "wasm/code.def"
#undef BV_CODE
#undef INT
#undef FLOAT
};

bool bv_wasm_grow_code(struct bv_wasm_compiler *c, uint32_t units)
{
    struct bv_wasm_module *module = c->module;
    if (module->code_units + (uint64_t)units > BV_WASM_MAX_CODE_UNITS) {
        return bv_wasm_fail_limit(c->reader, c->reader->at, BV_WASM_LIMIT_CODE_UNITS);
    }
    return bv_wasm_grow_raw(c->budget, &module->code, &module->code_capacity,
                            module->code_units + (uint64_t)units, sizeof(*module->code)) ||
           bv_wasm_fail_nomem(c->reader);
}

void bv_wasm_take_back(struct bv_wasm_compiler *c)
{
    BV_ASSERT(c->last != BV_WASM_NONE);
    c->module->code_units = c->last;
    c->last = c->previous;
    c->previous = BV_WASM_NONE;
}

static void add_mark(struct bv_wasm_compiler *c, uint32_t key)
{
    struct bv_wasm_module *module = c->module;
    if (c->dead || c->pending == 0) {
        return; /* no mark means nothing pending */
    }
    if (module->mark_count == module->mark_capacity &&
        !bv_wasm_grow_raw(c->budget, &module->marks, &module->mark_capacity,
                          (uint64_t)module->mark_count + 1, sizeof(*module->marks))) {
        (void)bv_wasm_fail_nomem(c->reader);
        return;
    }
    module->marks[module->mark_count++] =
        (struct bv_wasm_mark){ .key = key, .pending = c->pending };
}

void bv_wasm_mark_trap(struct bv_wasm_compiler *c)
{
    add_mark(c, 2 * c->emitted + 1);
}

void bv_wasm_mark_label(struct bv_wasm_compiler *c)
{
    c->last = c->previous = BV_WASM_NONE; /* whoever jumps here has not run what stands before */
    uint32_t here = c->module->code_units;
    if (c->fuse && !c->dead && (c->label_count == 0 || c->labels[c->label_count - 1] != here)) {
        if (c->label_count == c->label_capacity &&
            !bv_wasm_grow_raw(c->budget, &c->labels, &c->label_capacity,
                              (uint64_t)c->label_count + 1, sizeof(*c->labels))) {
            (void)bv_wasm_fail_nomem(c->reader);
            return;
        }
        c->labels[c->label_count++] = here;
    }
    add_mark(c, 2 * c->module->code_units);
}

uint16_t bv_wasm_in_wide(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells, uint32_t which)
{
    if (!c->wide) {
        c->needs_wide = true;
        return 0;
    }
    uint32_t scratch = c->scratch_slot + 2 * which;
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_COPY2_WIDE : BV_WASM_CODE_COPY_WIDE, 2);
    unit[1].low = scratch;
    unit[1].high = slot;
    return (uint16_t)scratch;
}

uint16_t bv_wasm_out_wide(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells)
{
    c->needs_wide = c->needs_wide || !c->wide;
    c->wide_out = slot;
    c->wide_out_cells = cells;
    return (uint16_t)(c->scratch_slot + BV_WASM_SCRATCH_CELLS - 2);
}

void bv_wasm_out_done_wide(struct bv_wasm_compiler *c)
{
    union bv_wasm_unit *unit = bv_wasm_emit(
        c, c->wide_out_cells == 2 ? BV_WASM_CODE_COPY2_WIDE : BV_WASM_CODE_COPY_WIDE, 2);
    unit[1].low = c->wide_out;
    unit[1].high = c->scratch_slot + BV_WASM_SCRATCH_CELLS - 2;
}

static void copy_slot(struct bv_wasm_compiler *c, uint32_t to, uint32_t from, uint32_t cells)
{
    if (to == from) {
        return;
    }
    if (to > UINT16_MAX - 1 || from > UINT16_MAX - 1) {
        c->needs_wide = c->needs_wide || !c->wide;
        union bv_wasm_unit *wide =
            bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_COPY2_WIDE : BV_WASM_CODE_COPY_WIDE, 2);
        wide[1].low = to;
        wide[1].high = from;
        return;
    }
    if (cells == 1 && c->last != BV_WASM_NONE && !c->dead &&
        c->module->code[c->last].op == BV_WASM_CODE_COPY) {
        union bv_wasm_unit first = c->module->code[c->last];
        bv_wasm_take_back(c);
        union bv_wasm_unit *pair = bv_wasm_emit(c, BV_WASM_CODE_COPY_PAIR, 2);
        pair->a = first.a;
        pair->b = first.b;
        pair->c = (uint16_t)from;
        pair[1].low = to;
        return;
    }
    union bv_wasm_unit *unit =
        bv_wasm_emit(c, cells == 2 ? BV_WASM_CODE_COPY2 : BV_WASM_CODE_COPY, 1);
    unit->a = (uint16_t)to;
    unit->b = (uint16_t)from;
}

/* Two loop variables that are stepped one after the other need one operation. */
static void add_constant(struct bv_wasm_compiler *c, uint32_t to, uint32_t from, uint32_t constant)
{
    union bv_wasm_unit *unit;
    if (to == from && c->last != BV_WASM_NONE && !c->dead &&
        c->module->code[c->last].op == BV_WASM_CODE_I32_ADD_RI) {
        union bv_wasm_unit first[2] = { c->module->code[c->last], c->module->code[c->last + 1] };
        bv_wasm_take_back(c);
        unit = bv_wasm_emit(c, BV_WASM_CODE_I32_ADD_PAIR, 2);
        unit->a = first[0].a;
        unit->b = first[0].b;
        unit->c = (uint16_t)to;
        unit[1].low = (uint32_t)first[1].imm;
        unit[1].high = constant;
        return;
    }
    unit = bv_wasm_emit(c, BV_WASM_CODE_I32_ADD_RI, 2);
    unit->a = (uint16_t)to;
    unit->b = (uint16_t)from;
    unit[1].imm = constant;
}

void bv_wasm_copy(struct bv_wasm_compiler *c, uint32_t to, const struct bv_wasm_entry *entry)
{
    struct bv_wasm_local local;
    switch ((enum bv_wasm_place)entry->place) {
    case BV_WASM_IN_SLOT: copy_slot(c, to, entry->slot, bv_wasm_cells_of(entry->type)); return;
    case BV_WASM_IN_LOCAL:
        if (bv_wasm_find_local(c, (uint32_t)entry->bits, &local)) {
            copy_slot(c, to, local.slot, bv_wasm_cells_of(entry->type));
        }
        return;
    case BV_WASM_IN_SUM: /* only in narrow functions */
        if (bv_wasm_find_local(c, (uint32_t)entry->bits, &local)) {
            add_constant(c, to, local.slot, (uint32_t)(entry->bits >> 32));
        }
        return;
    case BV_WASM_IS_CONST: {
        uint16_t out = bv_wasm_out(c, to, 1);
        union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_CONST, 2);
        unit->a = out;
        unit[1].imm = entry->bits;
        bv_wasm_out_done(c);
        return;
    }
    }
    BV_UNREACHABLE();
}

uint32_t bv_wasm_slot_of_slow(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry)
{
    struct bv_wasm_local local;
    switch ((enum bv_wasm_place)entry->place) {
    case BV_WASM_IN_SLOT: return entry->slot;
    case BV_WASM_IN_LOCAL:
        return bv_wasm_find_local(c, (uint32_t)entry->bits, &local) ? local.slot : 0;
    case BV_WASM_IN_SUM:
    case BV_WASM_IS_CONST:
        bv_wasm_copy(c, entry->slot, entry);
        entry->place = BV_WASM_IN_SLOT;
        return entry->slot;
    }
    BV_UNREACHABLE();
}

void bv_wasm_settle(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry)
{
    if (entry->place == BV_WASM_IN_SLOT) {
        return;
    }
    bv_wasm_copy(c, entry->slot, entry);
    if (bv_wasm_is_lazy(entry)) {
        c->local_uses[(uint32_t)entry->bits]--;
    }
    entry->place = BV_WASM_IN_SLOT;
}

void bv_wasm_settle_top(struct bv_wasm_compiler *c, uint32_t count)
{
    BV_ASSERT(count <= c->stack_count || c->reader->status != BV_WASM_OK);
    for (uint32_t i = count <= c->stack_count ? c->stack_count - count : 0; i < c->stack_count;
         i++) {
        bv_wasm_settle(c, &c->stack[i]);
    }
}

/* Each entry is looked at once after it was pushed: lazy_from keeps this linear in the size of the body. */
void bv_wasm_settle_locals(struct bv_wasm_compiler *c)
{
    for (uint32_t i = c->lazy_from; i < c->stack_count; i++) {
        if (bv_wasm_is_lazy(&c->stack[i])) {
            bv_wasm_settle(c, &c->stack[i]);
        }
    }
    c->lazy_from = c->stack_count;
}

/* Copies of the local's old value must come before the operation that overwrites it: it is taken back and written again behind them. */
static void settle_before_last(struct bv_wasm_compiler *c)
{
    struct bv_wasm_module *module = c->module;
    union bv_wasm_unit kept[4];
    uint32_t from = c->last, units = bv_wasm_code_info[module->code[from].op].units;
    BV_ASSERT(units <= BV_COUNT(kept) && from + units == module->code_units);
    memcpy(kept, &module->code[from], units * sizeof(*kept));
    struct bv_wasm_mark *mark = module->mark_count ? &module->marks[module->mark_count - 1] : NULL;
    bv_wasm_take_back(c);
    bv_wasm_settle_locals(c);
    union bv_wasm_unit *unit = bv_wasm_emit(c, (enum bv_wasm_code)kept[0].op, units);
    memcpy(unit, kept, units * sizeof(*kept));
    if (mark && mark->key == 2 * from + 1) {
        mark->key = 2 * c->last + 1;
    }
}

void bv_wasm_assign_local(struct bv_wasm_compiler *c, uint32_t index,
                          const struct bv_wasm_local *local, struct bv_wasm_entry *entry)
{
    bool made_by_last = bv_wasm_made_by_last(c, entry);
    if (c->local_uses[index]) {
        if (made_by_last) {
            settle_before_last(c);
        } else {
            bv_wasm_settle_locals(c);
        }
    }
    if (made_by_last && local->slot <= UINT16_MAX - 1 && c->reader->status == BV_WASM_OK) {
        c->module->code[c->last].a = (uint16_t)local->slot;
    } else {
        bv_wasm_copy(c, local->slot, entry);
    }
}
