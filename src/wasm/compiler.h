/* wasm/compiler.h - the translator's state: what the files that translate function bodies share.
 *
 * One pass: the validator's stack of types is also the translator's stack of places. Every entry has a slot of its own in the frame,
 * but a value that is a local or a constant stays where it is until something needs it in its slot. Labels want every value in its
 * slot. An error is kept in the reader and ends the loop over instructions; until then emission goes to a scratch place.
 *
 * Fuel: `pending` counts the instructions of the segment so far; a transfer of control charges what is pending there and not at its
 * target. Code after an unconditional transfer is validated and neither emitted nor counted. */
#pragma once

#include "wasm/decode.h"

#define BV_WASM_NONE UINT32_MAX
#define BV_WASM_UNKNOWN 0 /* the type of a value that unreachable code pops from nowhere */
#define BV_WASM_SCRATCH_CELLS 10 /* wide functions: four operands and a result of two cells */

enum bv_wasm_shape {
    BV_WASM_SHAPE_NONE, BV_WASM_SHAPE_LOAD, BV_WASM_SHAPE_STORE, BV_WASM_SHAPE_EQZ, BV_WASM_SHAPE_COMPARE, BV_WASM_SHAPE_UNARY,
    BV_WASM_SHAPE_COMMUTATIVE, BV_WASM_SHAPE_BINARY, BV_WASM_SHAPE_DIVIDE, BV_WASM_SHAPE_FLOAT_UNARY, BV_WASM_SHAPE_FLOAT_BINARY,
    BV_WASM_SHAPE_TRUNCATE, BV_WASM_SHAPE_RETYPE,
};
struct bv_wasm_opcode { uint8_t shape, operand, result, alignment; uint16_t code; };

/* IN_SUM: a local plus a 32-bit constant, until it is known whether an address wants it. */
enum bv_wasm_place { BV_WASM_IN_SLOT, BV_WASM_IS_CONST, BV_WASM_IN_LOCAL, BV_WASM_IN_SUM };
/* bits: the constant; or the local's index, above it the constant that is added. */
struct bv_wasm_entry { uint64_t bits; uint32_t slot; uint8_t type, place; };

struct bv_wasm_local { uint32_t slot; uint8_t type; };
struct bv_wasm_local_run { uint32_t end, slot; uint8_t type; }; /* locals up to end (exclusive); slot of the first */

struct bv_wasm_block {
    const uint8_t *params, *results;
    uint32_t param_count, result_count;
    uint32_t height, base;      /* entries and cells below the parameters */
    uint32_t sites;             /* jumps to the end that wait for its address: last unit + 1, chained through their jump field */
    uint32_t else_site;         /* if: the jump over the first arm, as in sites */
    uint32_t stub_sites;        /* br_table: entries that wait for a stub which moves values */
    uint32_t loop_at, pending;  /* loop: its first unit, what is pending there */
    uint8_t opcode;             /* 0x02 block, 0x03 loop, 0x04 if, 0x05 else, 0 function */
    bool polymorphic, dead;     /* dead: already on entry */
};

struct bv_wasm_compiler {
    struct bv_wasm_decoder *decoder;
    struct bv_wasm_reader *reader;
    struct bv_wasm_module *module;
    struct bv_wasm_budget *budget;
    const uint8_t *instruction;          /* where the one being translated begins */
    struct bv_wasm_entry *stack;
    struct bv_wasm_block *blocks;
    struct bv_wasm_local *locals;        /* all of them, or none where runs are searched */
    struct bv_wasm_local_run *runs;
    uint32_t *local_uses;                /* entries of the stack that are this local */
    uint32_t *labels;                    /* units of this function where a jump may land, ascending */
    uint32_t stack_count, stack_capacity, block_count, block_capacity, local_capacity, run_count, run_capacity, uses_capacity;
    uint32_t label_count, label_capacity;
    uint32_t local_count, expanded;      /* expanded: how many locals[] holds */
    uint32_t floor;                      /* height of the innermost block */
    uint32_t lazy_from;                  /* no entry below is a local */
    uint32_t height, height_max, height_limit; /* cells */
    uint32_t pending;
    uint32_t emitted, last, previous;    /* emitted: first unit of the operation before; last: the same if it may be changed, else NONE;
                                            previous: of the operation before last, in the same way */
    uint32_t frame_locals;               /* cells of parameters and locals */
    uint32_t scratch_slot, wide_out, wide_out_cells;
    uint64_t steps_left;                 /* checks of types that are still allowed; see compile.c */
    bool dead, wide, needs_wide, fuse, count_each, canonical;
    const struct bv_wasm_type_info *type; /* of the function */
    union bv_wasm_unit scratch[4];       /* where dead code and failed allocations are written */
    struct bv_wasm_entry scratch_entry;
};

/* ---- values.c: the stack of types and places ---- */

void bv_wasm_push_slow(struct bv_wasm_compiler *c, uint32_t cells);
bool bv_wasm_mismatch(struct bv_wasm_compiler *c);
bool bv_wasm_pop_slow(struct bv_wasm_compiler *c, uint8_t type, struct bv_wasm_entry *ret_entry);
/* Holds the top of the stack against the types and leaves it there. */
bool bv_wasm_check_top(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count);
/* The same for one of several labels: what an earlier label made of values from nowhere does not bind the next. */
bool bv_wasm_check_label(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count);
void bv_wasm_push_slots(struct bv_wasm_compiler *c, const uint8_t *types, uint32_t count);
void bv_wasm_truncate(struct bv_wasm_compiler *c, uint32_t height); /* drops entries down to a height of the stack */
bool bv_wasm_find_local_slow(struct bv_wasm_compiler *c, uint32_t index, struct bv_wasm_local *ret_local);
bool bv_wasm_enter_locals(struct bv_wasm_compiler *c); /* parameters and declared locals, from the reader */
void bv_wasm_compiler_done(struct bv_wasm_compiler *c);

static inline void bv_wasm_push(struct bv_wasm_compiler *c, uint8_t type, enum bv_wasm_place place, uint64_t bits)
{
    if (c->stack_count >= c->stack_capacity || c->height + 2 > c->height_limit) {
        bv_wasm_push_slow(c, bv_wasm_cells_of(type));
    }
    if (c->stack_count < c->stack_capacity) { /* else out of memory, already noted */
        c->stack[c->stack_count++] = (struct bv_wasm_entry){ .bits = bits, .slot = c->height, .type = type, .place = (uint8_t)place };
        c->height += bv_wasm_cells_of(type);
        c->height_max = c->height > c->height_max ? c->height : c->height_max;
    }
}

static inline bool bv_wasm_find_local(struct bv_wasm_compiler *c, uint32_t index, struct bv_wasm_local *ret_local)
{
    if (index < c->expanded) {
        *ret_local = c->locals[index];
        return true;
    }
    return bv_wasm_find_local_slow(c, index, ret_local);
}

/* A value that follows a local until it is used. */
static inline bool bv_wasm_is_lazy(const struct bv_wasm_entry *entry)
{
    return entry->place >= BV_WASM_IN_LOCAL;
}

/* Pops a value of the type, UNKNOWN: of any. False: type mismatch. */
static inline bool bv_wasm_pop(struct bv_wasm_compiler *c, uint8_t type, struct bv_wasm_entry *ret_entry)
{
    if (c->stack_count == c->floor || c->stack[c->stack_count - 1].type != type) {
        return bv_wasm_pop_slow(c, type, ret_entry);
    }
    const struct bv_wasm_entry *entry = &c->stack[--c->stack_count];
    c->height = entry->slot;
    if (bv_wasm_is_lazy(entry)) {
        c->local_uses[(uint32_t)entry->bits]--;
    }
    c->lazy_from = c->lazy_from > c->stack_count ? c->stack_count : c->lazy_from;
    *ret_entry = *entry;
    return true;
}

/* ---- emit.c: writing code ---- */

#define BV_WASM_LEAVES_INT   2 /* writes: 0, 1, or one of these, in which case an accumulator has the same */
#define BV_WASM_LEAVES_FLOAT 3
extern const struct bv_wasm_code_info { uint8_t units, writes; } bv_wasm_code_info[];

bool bv_wasm_grow_code(struct bv_wasm_compiler *c, uint32_t units);
/* One operation; its units are zero but for op. */
static inline union bv_wasm_unit *bv_wasm_emit(struct bv_wasm_compiler *c, enum bv_wasm_code code, uint32_t units)
{
    struct bv_wasm_module *module = c->module;
    if (c->dead || (units > module->code_capacity - module->code_units && !bv_wasm_grow_code(c, units))) {
        return c->scratch;
    }
    union bv_wasm_unit *unit = &module->code[module->code_units];
    for (uint32_t i = 0; i < units; i++) {
        unit[i].imm = 0;
    }
    unit->op = (uint16_t)code;
    c->emitted = module->code_units;
    c->previous = c->last;
    c->last = c->fuse ? c->emitted : BV_WASM_NONE;
    module->code_units += units;
    return unit;
}
void bv_wasm_mark_trap(struct bv_wasm_compiler *c);  /* the operation that was emitted last can trap */
void bv_wasm_mark_label(struct bv_wasm_compiler *c); /* a run can stop here, before the operation */
void bv_wasm_take_back(struct bv_wasm_compiler *c);  /* removes the operation `last` */
static inline bool bv_wasm_made_by_last(const struct bv_wasm_compiler *c, const struct bv_wasm_entry *entry)
{
    if (c->last == BV_WASM_NONE || entry->place != BV_WASM_IN_SLOT || c->dead) {
        return false;
    }
    const union bv_wasm_unit *unit = &c->module->code[c->last];
    return unit->a == entry->slot && bv_wasm_code_info[unit->op].writes;
}
uint32_t bv_wasm_slot_of_slow(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry);
/* Of an entry that was popped, or of one that stays: what is in no slot yet is put into its own, which is free for it either way. */
static inline uint32_t bv_wasm_slot_of(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry)
{
    return entry->place == BV_WASM_IN_SLOT ? entry->slot : bv_wasm_slot_of_slow(c, entry);
}
void bv_wasm_copy(struct bv_wasm_compiler *c, uint32_t to, const struct bv_wasm_entry *entry);
void bv_wasm_settle(struct bv_wasm_compiler *c, struct bv_wasm_entry *entry);       /* puts an entry into its own slot */
void bv_wasm_settle_top(struct bv_wasm_compiler *c, uint32_t count);
void bv_wasm_settle_locals(struct bv_wasm_compiler *c);                             /* every entry that is a local */
void bv_wasm_assign_local(struct bv_wasm_compiler *c, uint32_t index, const struct bv_wasm_local *local, struct bv_wasm_entry *entry);

/* Slots of operands for one operation; in a wide function they go through scratch slots. which: 0 to 3, a different one per operand. */
uint16_t bv_wasm_in_wide(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells, uint32_t which);
uint16_t bv_wasm_out_wide(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells);
void bv_wasm_out_done_wide(struct bv_wasm_compiler *c);

static inline uint16_t bv_wasm_in(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells, uint32_t which)
{
    return slot <= UINT16_MAX - 1 ? (uint16_t)slot : bv_wasm_in_wide(c, slot, cells, which);
}

static inline uint16_t bv_wasm_out(struct bv_wasm_compiler *c, uint32_t slot, uint32_t cells)
{
    c->wide_out = BV_WASM_NONE;
    return slot <= UINT16_MAX - 1 ? (uint16_t)slot : bv_wasm_out_wide(c, slot, cells);
}

/* After the operation that bv_wasm_out() was for. */
static inline void bv_wasm_out_done(struct bv_wasm_compiler *c)
{
    if (c->wide_out != BV_WASM_NONE) {
        bv_wasm_out_done_wide(c);
    }
}

/* ---- chain.c ---- */

/* Lets operations of the function that begins at this unit, once all of it is written, take what the one before left. */
void bv_wasm_chain(struct bv_wasm_compiler *c, uint32_t entry);

/* ---- control.c ---- */

bool bv_wasm_open_block(struct bv_wasm_compiler *c, uint8_t opcode);
bool bv_wasm_compile_block(struct bv_wasm_compiler *c, uint8_t opcode); /* block, loop, if */
bool bv_wasm_compile_else(struct bv_wasm_compiler *c);
bool bv_wasm_compile_end(struct bv_wasm_compiler *c);
bool bv_wasm_compile_br(struct bv_wasm_compiler *c);
bool bv_wasm_compile_br_if(struct bv_wasm_compiler *c);
bool bv_wasm_compile_br_table(struct bv_wasm_compiler *c);
bool bv_wasm_compile_return(struct bv_wasm_compiler *c);
void bv_wasm_make_dead(struct bv_wasm_compiler *c);

/* ---- access.c: calls, variables, memories, tables, references ---- */

bool bv_wasm_compile_call(struct bv_wasm_compiler *c, bool tail);
bool bv_wasm_compile_call_indirect(struct bv_wasm_compiler *c, bool tail);
bool bv_wasm_compile_local_set(struct bv_wasm_compiler *c, uint8_t opcode); /* local.set, local.tee */
bool bv_wasm_compile_global(struct bv_wasm_compiler *c, uint8_t opcode);
bool bv_wasm_read_memory_access(struct bv_wasm_compiler *c, uint8_t alignment, uint32_t *ret_memory, uint32_t *ret_offset);
bool bv_wasm_read_memory_index(struct bv_wasm_compiler *c, uint32_t *ret_memory);
bool bv_wasm_compile_load(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode);
bool bv_wasm_compile_store(struct bv_wasm_compiler *c, const struct bv_wasm_opcode *opcode);
bool bv_wasm_compile_memory(struct bv_wasm_compiler *c, uint8_t opcode); /* memory.size, memory.grow */
bool bv_wasm_compile_table(struct bv_wasm_compiler *c, uint8_t opcode);  /* table.get, table.set */
bool bv_wasm_compile_ref(struct bv_wasm_compiler *c, uint8_t opcode);
bool bv_wasm_compile_bulk(struct bv_wasm_compiler *c, uint32_t second);  /* 0xFC 8 and up */

/* ---- vector.c ---- */

bool bv_wasm_compile_vector(struct bv_wasm_compiler *c); /* behind the prefix 0xFD */
