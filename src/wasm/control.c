/* wasm/control.c - blocks, branches and returns: labels, the moves of values to them, and the fuel that a transfer charges.
 *
 * A label at the end of a block takes the pending of whoever falls into it; if nobody does, that of one of its jumps, which then is
 * free. The jumps wait in a chain through their own jump field, their own pending in the charge field, until the end is reached. */
#include "wasm/compiler.h"

#include "base/check.h"

#define LOOP 0x03
#define IF   0x04
#define ELSE 0x05

static const uint8_t single_types[] = { BV_WASM_I32,      BV_WASM_I64,  BV_WASM_F32,
                                        BV_WASM_F64,      BV_WASM_V128, BV_WASM_FUNCREF,
                                        BV_WASM_EXTERNREF };

void bv_wasm_make_dead(struct bv_wasm_compiler *c)
{
    struct bv_wasm_block *block = &c->blocks[c->block_count - 1];
    bv_wasm_truncate(c, block->height);
    block->polymorphic = true;
    c->dead = true;
    c->last = BV_WASM_NONE;
}

/* ---- labels ---- */

static void add_to_chain(struct bv_wasm_compiler *c, uint32_t *chain, uint32_t site)
{
    if (!c->dead && c->reader->status == BV_WASM_OK) {
        c->module->code[site].low = *chain;
        c->module->code[site].charge = (int32_t)c->pending;
        *chain = site + 1;
    }
}

/* site is the unit of the jump field. */
static void jump_to_block(struct bv_wasm_compiler *c, struct bv_wasm_block *block, uint32_t site)
{
    if (block->opcode != LOOP) {
        add_to_chain(c, &block->sites, site);
    } else if (!c->dead && c->reader->status == BV_WASM_OK) {
        c->module->code[site].jump = (int32_t)block->loop_at - (int32_t)site;
        c->module->code[site].charge = (int32_t)c->pending - (int32_t)block->pending;
    }
}

/* The jumps of the chain arrive here. */
static void bind(struct bv_wasm_compiler *c, uint32_t *chain)
{
    if (*chain == 0 || c->reader->status != BV_WASM_OK) {
        return;
    }
    union bv_wasm_unit *code = c->module->code;
    if (c->dead) {
        c->pending = (uint32_t)code[*chain - 1].charge;
        c->dead = false;
    }
    uint32_t here = c->module->code_units;
    while (*chain) {
        uint32_t site = *chain - 1;
        *chain = code[site].low;
        code[site].jump = (int32_t)here - (int32_t)site;
        code[site].charge -= (int32_t)c->pending;
    }
    bv_wasm_mark_label(c);
}

static const uint8_t *label_types(const struct bv_wasm_block *block, uint32_t *ret_count)
{
    *ret_count = block->opcode == LOOP ? block->param_count : block->result_count;
    return block->opcode == LOOP ? block->params : block->results;
}

static struct bv_wasm_block *block_at(struct bv_wasm_compiler *c, uint32_t depth)
{
    return &c->blocks[c->block_count - 1 - depth];
}

static bool read_label(struct bv_wasm_compiler *c, uint32_t *ret_depth)
{
    const uint8_t *at = c->reader->at;
    if (!bv_wasm_read_u32(c->reader, ret_depth)) {
        return false;
    }
    return *ret_depth < c->block_count ||
           bv_wasm_fail(c->reader, BV_WASM_INVALID, at, "unknown label");
}

/* Where the label wants its first value. */
static bool in_place(const struct bv_wasm_compiler *c, const struct bv_wasm_block *block,
                     uint32_t count)
{
    return count == 0 || c->dead || c->stack[c->stack_count - count].slot == block->base;
}

/* Ascending order: a value only ever moves down, so none is overwritten before it is moved. */
static void move_top(struct bv_wasm_compiler *c, const struct bv_wasm_block *block, uint32_t count)
{
    if (c->dead) {
        return;
    }
    uint32_t to = block->base;
    for (uint32_t i = c->stack_count - count; i < c->stack_count; i++) {
        bv_wasm_copy(c, to, &c->stack[i]);
        to += bv_wasm_cells_of(c->stack[i].type);
    }
}

/* ---- conditional jumps ---- */

#define COMPARE_FIRST BV_WASM_CODE_I32_EQ_RR
#define BRANCH_FIRST  BV_WASM_CODE_BR_I32_EQ_RR
#define GROUP         20 /* operations of one type */
_Static_assert(BV_WASM_CODE_BR_F64_NGE_RI - BRANCH_FIRST == BV_WASM_CODE_F64_NGE_RI - COMPARE_FIRST,
               "one order");
_Static_assert(BV_WASM_CODE_I64_EQ_RR - COMPARE_FIRST == GROUP && GROUP % 4 == 0,
               "negation is bit 1");

/* Jumps if the slot is not 0 or, without sense, if it is; what the operation before masked is not kept. */
static uint32_t jump_if_set(struct bv_wasm_compiler *c, uint16_t slot, bool sense)
{
    union bv_wasm_unit mask[2] = { { .imm = 0 } };
    if (c->last != BV_WASM_NONE && !c->dead) {
        mask[0] = c->module->code[c->last];
        if (mask[0].op == BV_WASM_CODE_I32_AND_RI) {
            mask[1] = c->module->code[c->last + 1];
        }
    }
    bool rr = mask[0].op == BV_WASM_CODE_I32_AND_RR,
         masked = (rr || mask[0].op == BV_WASM_CODE_I32_AND_RI) && mask[0].a == slot;
    union bv_wasm_unit *unit;
    if (masked && slot >= c->frame_locals) { /* a local keeps its value */
        bv_wasm_take_back(c);
        unit = bv_wasm_emit(c,
                            rr ? (sense ? BV_WASM_CODE_BR_AND_NZ_RR : BV_WASM_CODE_BR_AND_Z_RR)
                               : (sense ? BV_WASM_CODE_BR_AND_NZ_RI : BV_WASM_CODE_BR_AND_Z_RI),
                            2);
        unit->a = mask[0].b;
        if (rr) {
            unit->b = mask[0].c;
        } else {
            unit->w = (uint32_t)mask[1].imm;
        }
    } else {
        unit = bv_wasm_emit(c, sense ? BV_WASM_CODE_BR_NZ : BV_WASM_CODE_BR_Z, 2);
        unit->a = slot;
    }
    return c->emitted + 1;
}

/* The operation before adds a constant to what is compared: both become one. */
static bool steps_operand(const struct bv_wasm_compiler *c, uint16_t slot,
                          union bv_wasm_unit ret_step[2])
{
    if (c->last == BV_WASM_NONE || c->module->code[c->last].op != BV_WASM_CODE_I32_ADD_RI ||
        c->module->code[c->last].a != slot) {
        return false;
    }
    ret_step[0] = c->module->code[c->last];
    ret_step[1] = c->module->code[c->last + 1];
    return true;
}

/* The comparison just written becomes a jump if its constant fits. Returns the unit of the jump field, NONE: it does not fit. */
static uint32_t fuse_compare(struct bv_wasm_compiler *c, bool sense)
{
    union bv_wasm_unit *code = c->module->code;
    uint32_t at = c->last, place = (uint32_t)code[at].op - COMPARE_FIRST, group = place / GROUP;
    union bv_wasm_unit compare = code[at];
    bool is_constant = place & 1;
    uint64_t constant = is_constant ? code[at + 1].imm : 0;
    if (is_constant && group == 1 && (int64_t)constant != (int32_t)(uint32_t)constant) {
        return BV_WASM_NONE;
    }
    bv_wasm_take_back(c);
    place = sense ? place : place ^ 2;
    enum bv_wasm_code branch = (enum bv_wasm_code)(BRANCH_FIRST + place);
    union bv_wasm_unit step[2] = { { .imm = 0 } };
    if (group == 0 && steps_operand(c, compare.b, step)) {
        bv_wasm_take_back(c);
        branch = (enum bv_wasm_code)(BV_WASM_CODE_ADD_BR_I32_EQ_RR + place);
    } else if (constant == 0 &&
               (branch == BV_WASM_CODE_BR_I32_EQ_RI || branch == BV_WASM_CODE_BR_I32_NE_RI)) {
        return jump_if_set(c, compare.b, branch == BV_WASM_CODE_BR_I32_NE_RI);
    }
    union bv_wasm_unit *unit = bv_wasm_emit(c, branch, bv_wasm_code_info[branch].units);
    unit->a = compare.b;
    if (!is_constant) {
        unit->b = compare.c;
    } else if (group == 3) {
        unit[2].imm = constant;
    } else {
        unit->w = (uint32_t)constant;
    }
    if (step[0].op != 0) {
        unit[2].low = (uint32_t)step[1].imm;
        unit[2].high = step[0].b;
    }
    return c->emitted + 1;
}

/* Jumps if the condition is `sense`. Returns the unit of the jump field. */
static uint32_t jump_if(struct bv_wasm_compiler *c, struct bv_wasm_entry *condition, bool sense)
{
    if (bv_wasm_made_by_last(c, condition)) {
        uint32_t op = c->module->code[c->last].op;
        if (op >= COMPARE_FIRST && op <= BV_WASM_CODE_F64_NGE_RI) {
            uint32_t site = fuse_compare(c, sense);
            if (site != BV_WASM_NONE) {
                c->last = BV_WASM_NONE;
                return site;
            }
        }
    }
    uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, condition), 1, 0);
    union bv_wasm_unit step[2];
    uint32_t site;
    if (!c->dead && steps_operand(c, a, step)) {
        bv_wasm_take_back(c);
        union bv_wasm_unit *unit = bv_wasm_emit(
            c, sense ? BV_WASM_CODE_ADD_BR_I32_NE_RI : BV_WASM_CODE_ADD_BR_I32_EQ_RI, 3);
        unit->a = a;
        unit[2].low = (uint32_t)step[1].imm;
        unit[2].high = step[0].b;
        site = c->emitted + 1;
    } else {
        site = jump_if_set(c, a, sense);
    }
    c->last = BV_WASM_NONE;
    return site;
}

static uint32_t jump_always(struct bv_wasm_compiler *c)
{
    (void)bv_wasm_emit(c, BV_WASM_CODE_BR, 2);
    return c->emitted + 1;
}

/* ---- blocks ---- */

static bool read_block_type(struct bv_wasm_compiler *c, struct bv_wasm_block *block)
{
    const uint8_t *at = c->reader->at;
    int64_t index;
    if (at < c->reader->end && *at == 0x40) {
        c->reader->at++;
        return true;
    }
    if (at < c->reader->end && bv_wasm_is_value_type(*at)) {
        c->reader->at++;
        for (uint32_t i = 0; i < BV_COUNT(single_types); i++) {
            if (single_types[i] == *at) {
                block->results = &single_types[i];
                block->result_count = 1;
            }
        }
        return true;
    }
    if (!bv_wasm_read_s33(c->reader, &index)) {
        return false;
    }
    if (index < 0) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, at, "malformed block type");
    }
    if (index >= c->module->type_count) {
        return bv_wasm_fail_index(c->reader, at, "type", (uint32_t)index);
    }
    const struct bv_wasm_functype *type = &c->module->types[index].type;
    block->params = type->params;
    block->results = type->results;
    block->param_count = type->param_count;
    block->result_count = type->result_count;
    return true;
}

static bool push_block(struct bv_wasm_compiler *c, const struct bv_wasm_block *block)
{
    if (c->block_count >= BV_WASM_MAX_NESTING) {
        return bv_wasm_fail_limit(c->reader, c->reader->at, BV_WASM_LIMIT_NESTING);
    }
    if (c->block_count >= c->block_capacity &&
        !bv_wasm_grow_raw(c->budget, &c->blocks, &c->block_capacity, (uint64_t)c->block_count + 1,
                          sizeof(*c->blocks))) {
        return bv_wasm_fail_nomem(c->reader);
    }
    c->blocks[c->block_count++] = *block;
    c->floor = block->height;
    return true;
}

/* The block around the whole body. */
bool bv_wasm_open_block(struct bv_wasm_compiler *c, uint8_t opcode)
{
    const struct bv_wasm_functype *type = &c->type->type;
    struct bv_wasm_block block = { .opcode = opcode,
                                   .results = type->results,
                                   .result_count = type->result_count,
                                   .base = c->height };
    return push_block(c, &block);
}

bool bv_wasm_compile_block(struct bv_wasm_compiler *c, uint8_t opcode)
{
    struct bv_wasm_block block = { .opcode = opcode, .dead = c->dead };
    struct bv_wasm_entry condition;
    if (!read_block_type(c, &block) || (opcode == IF && !bv_wasm_pop(c, BV_WASM_I32, &condition)) ||
        !bv_wasm_check_top(c, block.params, block.param_count)) {
        return false;
    }
    /* What lies below must be where every path through the block finds it: a local may change inside. */
    bv_wasm_settle_locals(c);
    bv_wasm_settle_top(c, block.param_count);
    block.height = c->stack_count - block.param_count;
    block.base = block.param_count ? c->stack[block.height].slot : c->height;
    if (opcode == IF) {
        uint32_t site = jump_if(c, &condition, false);
        add_to_chain(c, &block.else_site, site);
    } else if (opcode == LOOP) {
        block.loop_at = c->module->code_units;
        block.pending = c->pending;
        bv_wasm_mark_label(c);
    }
    return push_block(c, &block);
}

/* Values of an arm's or block's end: exactly the results. */
static bool check_block_end(struct bv_wasm_compiler *c, const struct bv_wasm_block *block)
{
    if (!bv_wasm_check_top(c, block->results, block->result_count)) {
        return false;
    }
    return c->stack_count == block->height + block->result_count || bv_wasm_mismatch(c);
}

bool bv_wasm_compile_else(struct bv_wasm_compiler *c)
{
    struct bv_wasm_block *block = block_at(c, 0);
    if (block->opcode != IF) {
        return bv_wasm_fail(c->reader, BV_WASM_MALFORMED, c->reader->at - 1, "unexpected token");
    }
    if (!check_block_end(c, block)) {
        return false;
    }
    if (!c->dead) {
        bv_wasm_settle_top(c, block->result_count);
        jump_to_block(c, block, jump_always(c));
    }
    bv_wasm_truncate(c, block->height);
    c->height = block->base;
    c->dead = true;
    bind(c, &block->else_site);
    block->opcode = ELSE;
    block->polymorphic = false;
    bv_wasm_push_slots(c, block->params, block->param_count);
    return true;
}

static void close_if_without_else(struct bv_wasm_compiler *c, struct bv_wasm_block *block)
{
    if (block->else_site && c->reader->status == BV_WASM_OK) {
        c->module->code[block->else_site - 1].low = block->sites;
        block->sites = block->else_site;
        block->else_site = 0;
    }
}

static void emit_return(struct bv_wasm_compiler *c)
{
    uint32_t count = c->type->type.result_count, cells = c->type->result_cells;
    if (c->dead) {
        return;
    }
    if (cells == 1) {
        struct bv_wasm_entry *result = &c->stack[c->stack_count - 1];
        if (result->place != BV_WASM_IN_LOCAL) {
            bv_wasm_settle(c, result);
        }
        uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, result), 1, 0);
        bv_wasm_emit(c, BV_WASM_CODE_RETURN1, 2)->a = a;
    } else {
        bv_wasm_settle_top(c, count);
        union bv_wasm_unit *unit =
            bv_wasm_emit(c, cells ? BV_WASM_CODE_RETURN : BV_WASM_CODE_RETURN0, 2);
        unit->w = cells ? c->stack[c->stack_count - count].slot : 0;
    }
    if (c->reader->status == BV_WASM_OK) {
        c->module->code[c->emitted + 1].low = cells;
        c->module->code[c->emitted + 1].charge = (int32_t)c->pending;
    }
}

bool bv_wasm_compile_end(struct bv_wasm_compiler *c)
{
    struct bv_wasm_block *block = block_at(c, 0);
    if (!check_block_end(c, block)) {
        return false;
    }
    if (block->opcode == IF) {
        if (block->param_count != block->result_count) {
            return bv_wasm_mismatch(c);
        }
        for (uint32_t i = 0; i < block->param_count; i++) {
            if (block->params[i] != block->results[i]) {
                return bv_wasm_mismatch(c);
            }
        }
        close_if_without_else(c, block);
    }
    if (block->sites || c->dead) {
        if (!c->dead) {
            bv_wasm_settle_top(c, block->result_count);
        }
        bv_wasm_truncate(c, block->height);
        c->height = block->base;
        bind(c, &block->sites);
        bv_wasm_push_slots(c, block->results, block->result_count);
    }
    if (c->block_count == 1) {
        emit_return(c);
    }
    c->block_count--;
    c->floor = c->block_count ? c->blocks[c->block_count - 1].height : 0;
    return true;
}

/* ---- branches ---- */

bool bv_wasm_compile_return(struct bv_wasm_compiler *c)
{
    if (!bv_wasm_check_top(c, c->type->type.results, c->type->type.result_count)) {
        return false;
    }
    emit_return(c);
    bv_wasm_make_dead(c);
    return true;
}

bool bv_wasm_compile_br(struct bv_wasm_compiler *c)
{
    uint32_t depth, count;
    if (!read_label(c, &depth)) {
        return false;
    }
    if (depth + 1 == c->block_count) {
        return bv_wasm_compile_return(c);
    }
    struct bv_wasm_block *block = block_at(c, depth);
    const uint8_t *types = label_types(block, &count);
    if (!bv_wasm_check_top(c, types, count)) {
        return false;
    }
    if (!c->dead) {
        move_top(c, block, count);
        jump_to_block(c, block, jump_always(c));
    }
    bv_wasm_make_dead(c);
    return true;
}

bool bv_wasm_compile_br_if(struct bv_wasm_compiler *c)
{
    uint32_t depth, count, skip = 0;
    struct bv_wasm_entry condition;
    if (!read_label(c, &depth) || !bv_wasm_pop(c, BV_WASM_I32, &condition)) {
        return false;
    }
    struct bv_wasm_block *block = block_at(c, depth);
    const uint8_t *types = label_types(block, &count);
    if (!bv_wasm_check_top(c, types, count) || c->dead) {
        return c->reader->status == BV_WASM_OK;
    }
    if (in_place(c, block, count)) {
        bv_wasm_settle_top(c, count);
        jump_to_block(c, block, jump_if(c, &condition, true));
        return true;
    }
    /* The values move only if the branch is taken. */
    uint32_t over = jump_if(c, &condition, false);
    add_to_chain(c, &skip, over);
    move_top(c, block, count);
    jump_to_block(c, block, jump_always(c));
    c->dead = true;
    bind(c, &skip);
    return true;
}

/* Stubs behind the table move the values for those targets that want them elsewhere. */
static bool emit_stubs(struct bv_wasm_compiler *c, const uint8_t *targets, uint32_t total)
{
    const uint8_t *after = c->reader->at;
    c->reader->at = targets;
    for (uint32_t i = 0, depth, count; i < total; i++) {
        if (!read_label(c, &depth)) {
            return false;
        }
        struct bv_wasm_block *block = block_at(c, depth);
        if (block->stub_sites) {
            (void)label_types(block, &count);
            c->dead = true;
            bind(c, &block->stub_sites);
            move_top(c, block, count);
            jump_to_block(c, block, jump_always(c));
        }
    }
    c->reader->at = after;
    return true;
}

static bool compile_target(struct bv_wasm_compiler *c, uint32_t arity, bool first,
                           uint32_t *ret_arity)
{
    uint32_t depth, count;
    const uint8_t *at = c->reader->at;
    if (!read_label(c, &depth)) {
        return false;
    }
    struct bv_wasm_block *block = block_at(c, depth);
    const uint8_t *types = label_types(block, &count);
    if (!first && count != arity) {
        return bv_wasm_fail(c->reader, BV_WASM_INVALID, at, "type mismatch");
    }
    *ret_arity = count;
    if (!bv_wasm_check_label(c, types, count)) {
        return false;
    }
    if (first && !c->dead) {
        bv_wasm_settle_top(c, count);
    }
    return true;
}

bool bv_wasm_compile_br_table(struct bv_wasm_compiler *c)
{
    struct bv_wasm_entry index;
    uint32_t count, arity = 0;
    if (!bv_wasm_read_count(c->reader, BV_WASM_LIMIT_BRANCH_TABLE, &count) ||
        !bv_wasm_pop(c, BV_WASM_I32, &index)) {
        return false;
    }
    const uint8_t *targets = c->reader->at;
    uint16_t a = bv_wasm_in(c, bv_wasm_slot_of(c, &index), 1, 0);
    for (uint32_t i = 0; i <= count;
         i++) { /* validated first: settling the values must come before the table */
        if (!compile_target(c, arity, i == 0, &arity)) {
            return false;
        }
    }
    const uint8_t *after = c->reader->at;
    union bv_wasm_unit *unit = bv_wasm_emit(c, BV_WASM_CODE_BR_TABLE, 2);
    unit->a = a;
    unit[1].low = count;
    c->reader->at = targets;
    for (uint32_t i = 0, depth; i <= count && !c->dead; i++) {
        if (!read_label(c, &depth)) {
            return false;
        }
        struct bv_wasm_block *block = block_at(c, depth);
        (void)bv_wasm_emit(c, BV_WASM_CODE_BR_ENTRY, 1);
        if (in_place(c, block, arity)) {
            jump_to_block(c, block, c->emitted);
        } else {
            add_to_chain(c, &block->stub_sites, c->emitted);
        }
    }
    c->reader->at = after;
    if (!c->dead && !emit_stubs(c, targets, count + 1)) {
        return false;
    }
    bv_wasm_make_dead(c);
    return true;
}
