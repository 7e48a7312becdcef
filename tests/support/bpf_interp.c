/* tests/support/bpf_interp.c - see bpf_interp.h. The instruction set is that of
 * net/core/filter.c as kernel/seccomp.c restricts it. */
#include "support/bpf_interp.h"

#include <linux/filter.h>
#include <stddef.h>
#include <string.h>

struct machine {
    uint32_t a, x, memory[BPF_MEMWORDS];
};

/* Seccomp loads aligned 32-bit words of the data only. */
static bool load_word(const struct bpf_call *call, uint32_t offset, uint32_t *ret_word)
{
    if (offset % 4 != 0 || offset > sizeof(*call) - 4) {
        return false;
    }
    memcpy(ret_word, (const uint8_t *)call + offset, sizeof(*ret_word));
    return true;
}

static bool compute(struct machine *m, uint16_t code, uint32_t k)
{
    const uint32_t operand = BPF_SRC(code) == BPF_X ? m->x : k;
    switch (BPF_OP(code)) {
    case BPF_ADD: m->a += operand; return true;
    case BPF_SUB: m->a -= operand; return true;
    case BPF_MUL: m->a *= operand; return true;
    case BPF_OR: m->a |= operand; return true;
    case BPF_AND: m->a &= operand; return true;
    case BPF_XOR: m->a ^= operand; return true;
    case BPF_LSH: m->a <<= operand & 31; return operand < 32;
    case BPF_RSH: m->a >>= operand & 31; return operand < 32;
    case BPF_NEG: m->a = 0 - m->a; return true;
    default: return false;
    }
}

/* How far to go on; a distance beyond the program is caught by the loop. */
static bool jump(const struct machine *m, const struct bv_frame_insn *insn, uint32_t *ret_distance)
{
    const uint32_t operand = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;
    bool taken;
    switch (BPF_OP(insn->code)) {
    case BPF_JA: *ret_distance = insn->k; return true;
    case BPF_JEQ: taken = m->a == operand; break;
    case BPF_JGT: taken = m->a > operand; break;
    case BPF_JGE: taken = m->a >= operand; break;
    case BPF_JSET: taken = (m->a & operand) != 0; break;
    default: return false;
    }
    *ret_distance = taken ? insn->jt : insn->jf;
    return true;
}

static bool move(struct machine *m, uint16_t code, uint32_t k, const struct bpf_call *call)
{
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS: return load_word(call, k, &m->a);
    case BPF_LD | BPF_W | BPF_LEN: m->a = sizeof(*call); return true;
    case BPF_LDX | BPF_W | BPF_LEN: m->x = sizeof(*call); return true;
    case BPF_LD | BPF_IMM: m->a = k; return true;
    case BPF_LDX | BPF_IMM: m->x = k; return true;
    case BPF_MISC | BPF_TAX: m->x = m->a; return true;
    case BPF_MISC | BPF_TXA: m->a = m->x; return true;
    default: break;
    }
    if (k >= BPF_MEMWORDS) {
        return false;
    }
    switch (code) {
    case BPF_LD | BPF_MEM: m->a = m->memory[k]; return true;
    case BPF_LDX | BPF_MEM: m->x = m->memory[k]; return true;
    case BPF_ST: m->memory[k] = m->a; return true;
    case BPF_STX: m->memory[k] = m->x; return true;
    default: return false;
    }
}

bool bpf_run(const struct bv_frame_insn *insns, uint32_t count, const struct bpf_call *call,
             uint32_t *ret_action, uint32_t *ret_steps)
{
    struct machine m = { 0 };
    uint32_t steps = 0;
    for (uint64_t at = 0; at < count; at++, steps++) {
        const struct bv_frame_insn *insn = &insns[at];
        uint32_t distance = 0;
        switch (BPF_CLASS(insn->code)) {
        case BPF_RET:
            if (BPF_RVAL(insn->code) != BPF_K && BPF_RVAL(insn->code) != BPF_A) {
                return false;
            }
            *ret_action = BPF_RVAL(insn->code) == BPF_A ? m.a : insn->k;
            if (ret_steps) {
                *ret_steps = steps + 1;
            }
            return true;
        case BPF_JMP:
            if (!jump(&m, insn, &distance)) {
                return false;
            }
            at += distance;
            break;
        case BPF_ALU:
            if (!compute(&m, insn->code, insn->k)) {
                return false;
            }
            break;
        default:
            if (!move(&m, insn->code, insn->k, call)) {
                return false;
            }
            break;
        }
    }
    return false; /* ran off the end */
}
