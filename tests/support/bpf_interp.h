/* tests/support/bpf_interp.h - what a seccomp program decides, without a kernel: classic BPF
 * over struct seccomp_data.
 *
 * Only the instructions that the kernel's seccomp_check_filter() lets through are known;
 * anything else, a jump out of the program or a load outside the data is a fault, so a program
 * that runs here for every input is one the kernel takes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "launchwire/frame.h"

struct bpf_call { /* struct seccomp_data of linux/seccomp.h */
    int32_t nr;
    uint32_t arch;
    uint64_t instruction_pointer;
    uint64_t args[6];
};

/* Runs the program. False: a fault. *ret_action: SECCOMP_RET_... with its data; *ret_steps, if
 * not NULL: instructions run. */
bool bpf_run(const struct bv_frame_insn *insns, uint32_t count, const struct bpf_call *call,
             uint32_t *ret_action, uint32_t *ret_steps);
