/* wasm/chain.c - a finished function's operations take from an accumulator what the one before left there.
 *
 * An operation reads a slot that the one before it wrote: the value is still in a register, and the interpreter has a form of the
 * operation that takes it from there. Only the operation's number changes, so jumps and marks stay what they are. Nothing is taken
 * across a label, for whoever jumps there has run something else before. */
#include "wasm/compiler.h"

#include "base/check.h"

/* Which field's slot is replaced; the float accumulator's come second. D is the slot in the second unit. */
enum field { IA, IB, IC, ID, FA, FB, FC, FD, FIELDS };

static const uint16_t forms[BV_WASM_CODES][FIELDS] = {
/* 0, which is EXIT: there is none */
#define BV_CODE(name, units, writes)
#define BV_HEAD(run)
#define BV_RUN2(p, q)
#define BV_RUN3(p, q, r)
#define BV_RUN4(p, q, r, s)
#define BV_RUN5(p, q, r, s, t)
#define BV_FROM(name, field, units, writes)                                                        \
    [BV_WASM_CODE_##name][field] = BV_WASM_CODE_##name##_##field,
#include "wasm/code.def"
#undef BV_CODE
};

/* A load of 64 bits leaves an integer; the form that leaves a float instead, or 0. */
static uint16_t as_float(uint16_t code)
{
    switch (code) {
    case BV_WASM_CODE_LOAD64_R: return BV_WASM_CODE_LOADF64_R;
    case BV_WASM_CODE_LOAD64_RR: return BV_WASM_CODE_LOADF64_RR;
    case BV_WASM_CODE_LOAD64_RS: return BV_WASM_CODE_LOADF64_RS;
    case BV_WASM_CODE_LOAD64_K: return BV_WASM_CODE_LOADF64_K;
    case BV_WASM_CODE_LOAD64_Z: return BV_WASM_CODE_LOADF64_Z;
    case BV_WASM_CODE_LOAD64_R_IB: return BV_WASM_CODE_LOADF64_R_IB;
    case BV_WASM_CODE_LOAD64_RR_IB: return BV_WASM_CODE_LOADF64_RR_IB;
    case BV_WASM_CODE_LOAD64_RR_IC: return BV_WASM_CODE_LOADF64_RR_IC;
    case BV_WASM_CODE_LOAD64_RS_IC: return BV_WASM_CODE_LOADF64_RS_IC;
    default: return 0;
    }
}

/* The form of the operation that takes the slot from the accumulator of this field's kind, or 0. */
static uint16_t find_form(const union bv_wasm_unit *unit, uint32_t slot, enum field first)
{
    const uint16_t *form = forms[unit->op];
    uint16_t found = form[first + IB] && unit->b == slot ? form[first + IB] : 0;
    found = !found && form[first + IC] && unit->c == slot ? form[first + IC] : found;
    found = !found && form[first + IA] && unit->a == slot ? form[first + IA] : found;
    return !found && form[first + ID] && unit[1].low == slot ? form[first + ID] : found;
}

static void take(union bv_wasm_unit *before, union bv_wasm_unit *unit)
{
    uint32_t leaves = bv_wasm_code_info[before->op].writes;
    if (leaves < BV_WASM_LEAVES_INT) {
        return;
    }
    uint16_t form = find_form(unit, before->a, leaves == BV_WASM_LEAVES_FLOAT ? FA : IA);
    if (!form && as_float(before->op)) {
        form = find_form(unit, before->a, FA);
        before->op = form ? as_float(before->op) : before->op;
    }
    unit->op = form ? form : unit->op;
}

/* What runs go on from. */
static const bool heads[BV_WASM_CODES] = {
#define BV_CODE(name, units, writes)
#define BV_FROM(name, field, units, writes)
#define BV_HEAD(run) [BV_WASM_CODE_##run] = true,
#define BV_RUN2(p, q)
#define BV_RUN3(p, q, r)
#define BV_RUN4(p, q, r, s)
#define BV_RUN5(p, q, r, s, t)
#include "wasm/code.def"
#undef BV_CODE
};

#define LONGER(run, next, longer)                                                                  \
    case (uint32_t)BV_WASM_CODE_##run << 16 | BV_WASM_CODE_##next: return BV_WASM_CODE_##longer;

/* The run of both, or 0. */
static uint16_t find_run(uint32_t run, uint32_t next)
{
    switch (run << 16 | next) {
#define BV_CODE(name, units, writes)
#define BV_FROM(name, field, units, writes)
#define BV_HEAD(run)
#define BV_RUN2(p, q)          LONGER(p, q, p##__##q)
#define BV_RUN3(p, q, r)       LONGER(p##__##q, r, p##__##q##__##r)
#define BV_RUN4(p, q, r, s)    LONGER(p##__##q##__##r, s, p##__##q##__##r##__##s)
#define BV_RUN5(p, q, r, s, t) LONGER(p##__##q##__##r##__##s, t, p##__##q##__##r##__##s##__##t)
#include "wasm/code.def"
#undef BV_CODE
    default: return 0;
    }
}

/* The operation behind a run, or behind a first one, becomes part of it or the first of the next. */
static union bv_wasm_unit *run_on(union bv_wasm_unit *first, union bv_wasm_unit *next)
{
    uint16_t run = first && heads[first->op] ? find_run(first->op, next->op) : 0;
    if (!run) {
        return next;
    }
    first->op = run;
    return first;
}

/* An operation's form is known once the next was looked at, for that may ask a load for a float; so runs are made one step behind. */
void bv_wasm_chain(struct bv_wasm_compiler *c, uint32_t entry)
{
    union bv_wasm_unit *code = c->module->code, *before = NULL, *first = NULL;
    for (uint32_t at = entry, label = 0; at < c->module->code_units;) {
        union bv_wasm_unit *unit = &code[at];
        if (label < c->label_count && c->labels[label] == at) {
            if (before) {
                (void)run_on(first, before);
            }
            before = first = NULL;
            label++;
        }
        at += bv_wasm_code_info[unit->op].units;
        if (unit->op == BV_WASM_CODE_BR_TABLE) {
            at += unit[1].low + 1; /* its entries are no operations */
        }
        if (before) {
            take(before, unit);
            first = run_on(first, before);
        }
        before = unit;
    }
    if (before) {
        (void)run_on(first, before);
    }
}
