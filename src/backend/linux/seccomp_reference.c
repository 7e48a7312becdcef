/* backend/linux/seccomp_reference.c - build time: compiles the policy table with libseccomp, to
 * check the other compiler against.
 *
 * libseccomp knows "masked argument equals" and nothing more, so the other conditions are taken
 * apart into rules of that form which overlap and have the same action. Nothing of this reaches
 * a launch. */
#include "backend/linux/seccomp_gen.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>

struct expansion {
    scmp_filter_ctx filter;
    const struct row *row;
    int number;
    uint32_t action;
    struct scmp_arg_cmp cmps[CONDITIONS_MAX];
};

static void expand(struct expansion *e, unsigned index);

static void expand_masked(struct expansion *e, unsigned index, uint64_t mask, uint64_t value)
{
    e->cmps[index] =
        SCMP_CMP(e->row->conditions[index].arg, SCMP_CMP_MASKED_EQ, mask, value & mask);
    expand(e, index + 1);
}

/* The masked bits in which all the values agree give one rule each; the bits in which they
 * differ give one rule for every combination that is not one of them. */
static void expand_not_in(struct expansion *e, unsigned index)
{
    const struct condition *condition = &e->row->conditions[index];
    uint64_t differing = 0;
    for (unsigned i = 1; i < condition->value_count; i++) {
        differing |= (condition->values[0] ^ condition->values[i]) & condition->mask;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t mask = UINT64_C(1) << bit;
        if (condition->mask & ~differing & mask) {
            expand_masked(e, index, mask, ~condition->values[0]);
        }
    }
    uint64_t subset = differing; /* counts down through all subsets, the empty one last */
    do {
        bool listed = differing == 0;
        for (unsigned i = 0; i < condition->value_count; i++) {
            listed = listed || (condition->values[i] & differing) == subset;
        }
        if (!listed) {
            expand_masked(e, index, differing, subset);
        }
        subset = (subset - 1) & differing;
    } while (subset != differing);
}

static void expand(struct expansion *e, unsigned index)
{
    const struct condition *condition = &e->row->conditions[index];
    if (index == CONDITIONS_MAX || condition->kind == COND_NONE) {
        const int error = seccomp_rule_add_array(e->filter, e->action, e->number, index, e->cmps);
        if (error != 0 && error != -EEXIST) { /* an overlap of the expansion may be the same rule */
            give_up("rule for", e->row->name, error);
        }
        return;
    }
    switch (condition->kind) {
    case COND_IS: expand_masked(e, index, condition->mask, condition->values[0]); return;
    case COND_NOT_IN: expand_not_in(e, index); return;
    case COND_HAS_ANY:
        for (unsigned bit = 0; bit < 64; bit++) {
            if (condition->mask >> bit & 1) {
                expand_masked(e, index, UINT64_C(1) << bit, UINT64_MAX);
            }
        }
        return;
    case COND_NONE: break;
    }
    give_up("row", "of no known kind", EINVAL);
}

static scmp_filter_ctx build(const struct policy *policy)
{
    const uint32_t native = seccomp_arch_native();
    scmp_filter_ctx filter = NULL;
    /* The level that the target kernel must have anyway, not the one of the build machine. */
    int error = seccomp_api_set(5);
    if (error == 0) {
        filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
        error = filter ? 0 : -ENOMEM;
    }
    if (error == 0 && policy->arch != native) {
        error = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
        error = error ? error : seccomp_arch_add(filter, policy->arch);
    }
    error =
        error ? error : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    error = error ? error : seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (error != 0) {
        give_up("filter", "set-up", error);
    }
    for (size_t i = 0; i < policy_row_count; i++) {
        const struct row *row = &policy_rows[i];
        if (!row_applies(row, policy) || number_of(policy->arch, row->name) < 0) {
            continue;
        }
        /* Rules are written in numbers of the build machine and translated by libseccomp. */
        struct expansion e = { .filter = filter,
                               .row = row,
                               .number = number_of(native, row->name) };
        e.action = row->action == ACTION_ALLOW  ? SCMP_ACT_ALLOW
                   : row->action == ACTION_FAIL ? SCMP_ACT_ERRNO((uint32_t)row->err)
                                                : SCMP_ACT_NOTIFY;
        expand(&e, 0);
    }
    return filter;
}

size_t compile_reference(const struct policy *policy, struct bv_frame_insn *insns)
{
    _Static_assert(sizeof(struct bv_frame_insn) == 8, "laid out as struct sock_filter");
    scmp_filter_ctx filter = build(policy);
    FILE *file = tmpfile();
    const int error = file ? seccomp_export_bpf(filter, fileno(file)) : -errno;
    if (error != 0) {
        give_up("exporting", "reference", error);
    }
    rewind(file);
    const size_t count = fread(insns, sizeof(*insns), BV_FRAME_BPF_MAX_INSNS, file);
    if (count == 0 || fgetc(file) != EOF) {
        give_up("reference", "size", E2BIG);
    }
    fclose(file);
    seccomp_release(filter);
    return count;
}
