/* backend/linux/seccomp_ranges.c - build time: compiles the policy table into a small program.
 *
 * Layout: the architecture is checked; a binary search over ranges of numbers with equal
 * verdicts ends in a return, or in a jump to the block of a call that is judged by its
 * arguments; the blocks follow. The kernel translates a program to machine code when it is
 * installed and runs it in an emulator once for every number (seccomp_cache_prepare), so the
 * cost of a launch grows with its length: about 0.2 us an instruction. libseccomp's program for
 * the same table is three times as long, since it has one comparison for every number and none
 * of "not in" (seccomp_reference.c). */
#include "backend/linux/seccomp_gen.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#define NUMBERS_MAX 1024
#define RANGES_MAX  256
#define OFFSET_NR   0u
#define OFFSET_ARCH 4u
#define OFFSET_ARGS 16u
#define RET_DEFAULT (SECCOMP_RET_ERRNO | ENOSYS)

#define CODE_LOAD     (BPF_LD | BPF_W | BPF_ABS)
#define CODE_AND      (BPF_ALU | BPF_AND | BPF_K)
#define CODE_EQUAL    (BPF_JMP | BPF_JEQ | BPF_K)
#define CODE_AT_LEAST (BPF_JMP | BPF_JGE | BPF_K)
#define CODE_ANY_BIT  (BPF_JMP | BPF_JSET | BPF_K)
#define CODE_JUMP     (BPF_JMP | BPF_JA)
#define CODE_RETURN   (BPF_RET | BPF_K)

struct range {
    uint32_t first;
    uint32_t action;
    int number; /* >= 0: judged by the block of this call */
};

struct program {
    struct bv_frame_insn *insns;
    size_t count;
    /* What the accumulator holds: offset + 1 of a word, 0 for none; and the mask on it. */
    uint32_t loaded, loaded_mask;
};

static size_t emit(struct program *program, uint16_t code, size_t jt, size_t jf, uint32_t k)
{
    if (program->count == BV_FRAME_BPF_MAX_INSNS || jt > 255 || jf > 255) {
        give_up("program", "too long", E2BIG);
    }
    program->insns[program->count] = (struct bv_frame_insn){ code, (uint8_t)jt, (uint8_t)jf, k };
    return program->count++;
}

static uint32_t return_value(const struct row *row)
{
    switch (row->action) {
    case ACTION_ALLOW: return SECCOMP_RET_ALLOW;
    case ACTION_FAIL: return SECCOMP_RET_ERRNO | (uint32_t)row->err;
    case ACTION_RECORD: return SECCOMP_RET_USER_NOTIF;
    }
    give_up("row", "of no known kind", EINVAL);
}

/* Jumps that leave a row when a condition fails; patched when the row's end is known. */
struct exits {
    size_t at[16];
    bool on_true[16];
    size_t count;
};

static void leave(struct exits *exits, size_t at, bool on_true)
{
    if (exits->count == 16) {
        give_up("row", "too many conditions", E2BIG);
    }
    exits->at[exits->count] = at;
    exits->on_true[exits->count++] = on_true;
}

/* Little-endian architectures only, as the loads of the kernel are in its own byte order:
 * x86-64, aarch64, riscv64. */
static void load_half(struct program *program, unsigned arg, bool high, uint32_t mask)
{
    const uint32_t offset = OFFSET_ARGS + 8 * arg + (high ? 4 : 0);
    if (program->loaded == offset + 1 && program->loaded_mask == mask) {
        return;
    }
    if (program->loaded != offset + 1 || program->loaded_mask != UINT32_MAX) {
        emit(program, CODE_LOAD, 0, 0, offset);
    }
    if (mask != UINT32_MAX) {
        emit(program, CODE_AND, 0, 0, mask);
    }
    program->loaded = offset + 1;
    program->loaded_mask = mask;
}

static void emit_condition(struct program *program, const struct condition *condition,
                           struct exits *exits)
{
    const uint32_t low = (uint32_t)condition->mask, high = (uint32_t)(condition->mask >> 32);
    switch (condition->kind) {
    case COND_IS:
        load_half(program, condition->arg, false, low);
        leave(exits, emit(program, CODE_EQUAL, 0, 0, (uint32_t)condition->values[0] & low), false);
        if (high) {
            load_half(program, condition->arg, true, high);
            leave(exits,
                  emit(program, CODE_EQUAL, 0, 0, (uint32_t)(condition->values[0] >> 32) & high),
                  false);
        }
        return;
    case COND_NOT_IN:
        if (high) {
            give_up("row", "NOT_IN is for 32 bits", EINVAL);
        }
        load_half(program, condition->arg, false, low);
        for (unsigned i = 0; i < condition->value_count; i++) {
            leave(exits, emit(program, CODE_EQUAL, 0, 0, (uint32_t)condition->values[i] & low),
                  true);
        }
        return;
    case COND_HAS_ANY:
        load_half(program, condition->arg, false, UINT32_MAX);
        if (high) { /* a bit in the low half passes over the look at the high one */
            emit(program, CODE_ANY_BIT, 2, 0, low);
            emit(program, CODE_LOAD, 0, 0, OFFSET_ARGS + 8 * condition->arg + 4);
            program->loaded = 0;
        }
        leave(exits, emit(program, CODE_ANY_BIT, 0, 0, high ? high : low), false);
        return;
    case COND_NONE: return;
    }
    give_up("row", "of no known kind", EINVAL);
}

/* The rows of one call, one after the other, and the default. A row is left at any of its
 * comparisons, so what is loaded then is known only where it has one condition on one word. */
static void emit_block(struct program *program, const struct policy *policy, int number)
{
    program->loaded = 0;
    for (size_t i = 0; i < policy_row_count; i++) {
        const struct row *row = &policy_rows[i];
        if (!row_applies(row, policy) || number_of(policy->arch, row->name) != number) {
            continue;
        }
        struct exits exits = { .count = 0 };
        unsigned conditions = 0;
        while (conditions < CONDITIONS_MAX && row->conditions[conditions].kind != COND_NONE) {
            emit_condition(program, &row->conditions[conditions++], &exits);
        }
        const size_t end = emit(program, CODE_RETURN, 0, 0, return_value(row)) + 1;
        for (size_t e = 0; e < exits.count; e++) {
            struct bv_frame_insn *insn = &program->insns[exits.at[e]];
            const size_t distance = end - exits.at[e] - 1;
            if (distance > 255) {
                give_up("row", row->name, E2BIG);
            }
            *(exits.on_true[e] ? &insn->jt : &insn->jf) = (uint8_t)distance;
        }
        if (conditions != 1 || row->conditions[0].mask >> 32) {
            program->loaded = 0;
        }
    }
    emit(program, CODE_RETURN, 0, 0, RET_DEFAULT);
}

/* Numbers with equal verdicts, in order; the last range reaches to the end of all numbers, x32
 * and negative ones included. */
static size_t find_ranges(const struct policy *policy, struct range *ranges)
{
    size_t count = 0;
    for (int number = 0; number <= NUMBERS_MAX; number++) {
        struct range range = { (uint32_t)number, RET_DEFAULT, -1 };
        for (size_t i = 0; i < policy_row_count; i++) {
            const struct row *row = &policy_rows[i];
            if (!row_applies(row, policy) || number_of(policy->arch, row->name) != number) {
                continue;
            }
            if (number == NUMBERS_MAX) {
                give_up("number of", row->name, ERANGE);
            }
            range.number = row->conditions[0].kind == COND_NONE ? -1 : number;
            range.action = return_value(row);
        }
        if (count > 0 && range.number < 0 && ranges[count - 1].number < 0 &&
            ranges[count - 1].action == range.action) {
            continue;
        }
        if (count == RANGES_MAX) {
            give_up("program", "too many ranges", E2BIG);
        }
        ranges[count++] = range;
    }
    return count;
}

/* Jumps that are patched when their target is laid out: a block, or a return that all equal
 * verdicts share. */
struct fixup {
    size_t at;
    bool on_true;
    struct range range;
};
struct fixups {
    struct fixup items[2 * RANGES_MAX];
    size_t count;
};

static void fix_later(struct fixups *fixups, size_t at, bool on_true, const struct range *range)
{
    fixups->items[fixups->count++] = (struct fixup){ at, on_true, *range };
}

static size_t jump_distance(const struct program *program, size_t from)
{
    const size_t distance = program->count - from - 1;
    if (distance > 255) {
        give_up("search", "too long", E2BIG);
    }
    return distance;
}

/* Emits the search through at least two ranges. A single range with a plain verdict needs no
 * code of its own: the branch goes to the shared return. Recursion depth is the logarithm of the
 * number of ranges. */
static void emit_search(struct program *program, const struct range *ranges, size_t count,
                        struct fixups *returns, struct fixups *blocks)
{
    if (count == 1) {
        fix_later(blocks, emit(program, CODE_JUMP, 0, 0, 0), false, ranges);
        return;
    }
    const size_t half = count / 2;
    const struct range *right = ranges + half;
    const size_t branch = emit(program, CODE_AT_LEAST, 0, 0, right->first);
    if (half == 1 && ranges->number < 0) {
        fix_later(returns, branch, false, ranges);
    } else {
        emit_search(program, ranges, half, returns, blocks);
    }
    if (count - half == 1 && right->number < 0) {
        fix_later(returns, branch, true, right);
    } else {
        program->insns[branch].jt = (uint8_t)jump_distance(program, branch);
        emit_search(program, right, count - half, returns, blocks);
    }
}

static void emit_returns(struct program *program, struct fixups *returns)
{
    for (size_t i = 0; i < returns->count; i++) {
        const uint32_t action = returns->items[i].range.action;
        bool done = false;
        for (size_t j = 0; j < i; j++) {
            done = done || returns->items[j].range.action == action;
        }
        for (size_t j = i; !done && j < returns->count; j++) {
            if (returns->items[j].range.action == action) {
                struct bv_frame_insn *insn = &program->insns[returns->items[j].at];
                *(returns->items[j].on_true ? &insn->jt : &insn->jf) =
                    (uint8_t)jump_distance(program, returns->items[j].at);
            }
        }
        if (!done) {
            emit(program, CODE_RETURN, 0, 0, action);
        }
    }
}

size_t compile_ranges(const struct policy *policy, struct bv_frame_insn *insns)
{
    static struct range ranges[RANGES_MAX];
    static struct fixups returns, blocks;
    struct program program = { .insns = insns };
    const size_t count = find_ranges(policy, ranges);
    returns.count = blocks.count = 0;
    emit(&program, CODE_LOAD, 0, 0, OFFSET_ARCH);
    emit(&program, CODE_EQUAL, 1, 0, policy->arch);
    emit(&program, CODE_RETURN, 0, 0, RET_DEFAULT);
    emit(&program, CODE_LOAD, 0, 0, OFFSET_NR);
    emit_search(&program, ranges, count, &returns, &blocks);
    emit_returns(&program, &returns);
    for (size_t i = 0; i < blocks.count; i++) {
        insns[blocks.items[i].at].k = (uint32_t)(program.count - blocks.items[i].at - 1);
        emit_block(&program, policy, blocks.items[i].range.number);
    }
    return program.count;
}
