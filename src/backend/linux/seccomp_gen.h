/* backend/linux/seccomp_gen.h - the policy table in memory, for the two compilers of
 * seccomp_gen. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launchwire/frame.h"

enum { SPAWN_NONE = 1, SPAWN_THREADS = 2, SPAWN_ANY = 4, SPAWN_SOME = 6, SPAWN_EVERY = 7 };
enum { NET_NONE = 1, NET_ALL = 2, NET_UNIX = 4, NET_EVERY = 7 };
enum action { ACTION_ALLOW, ACTION_FAIL, ACTION_RECORD };
enum class { TASK, SOCKET, MOUNT };

enum condition_kind { COND_NONE, COND_IS, COND_NOT_IN, COND_HAS_ANY };
#define CONDITIONS_MAX 3
#define VALUES_MAX     3

struct condition {
    enum condition_kind kind;
    unsigned arg;
    uint64_t mask;
    uint64_t values[VALUES_MAX];
    unsigned value_count;
};

struct row {
    const char *name;
    int spawns, networks;
    enum action action;
    int err;
    enum class class;
    const char *why;
    struct condition conditions[CONDITIONS_MAX]; /* all must hold; the first COND_NONE ends them */
};

extern const struct row policy_rows[];
extern const size_t policy_row_count;

struct policy {
    uint32_t arch;
    int spawn, network;
};

static inline bool row_applies(const struct row *row, const struct policy *policy)
{
    return (row->spawns & policy->spawn) && (row->networks & policy->network);
}

/* The number of a call, negative if the architecture does not have it. Gives up when nobody
 * knows the name. */
int number_of(uint32_t arch, const char *name);
_Noreturn void give_up(const char *what, const char *name, int error);

/* Two compilers of the same table. Each writes at most BV_FRAME_BPF_MAX_INSNS instructions and
 * gives their number. */
size_t compile_ranges(const struct policy *policy, struct bv_frame_insn *insns);
size_t compile_reference(const struct policy *policy, struct bv_frame_insn *insns);
