/* tests/support/fixture.h - a temporary directory with a program in it, and a spec that launches
 * it: what tests of the runner start from. */
#pragma once

#include <bvisor/spec.h>

#define FIXTURE_PATH         256
#define FIXTURE_CAPABILITIES 8
#define FIXTURE_CONTROLS     8

struct fixture {
    char dir[FIXTURE_PATH]; /* resolved, absolute */
    char exe[FIXTURE_PATH]; /* dir/prog: an ELF program without an interpreter */
    char in[FIXTURE_PATH];  /* dir/in, granted for reading */
    char out[FIXTURE_PATH]; /* dir/out, granted for reading and writing */
    const char *in_root[1], *out_root[1];
    struct bv_capability capabilities[FIXTURE_CAPABILITIES];
    struct bv_control controls[FIXTURE_CONTROLS];
    struct bv_spec
        spec; /* launches exe, captures streams, everything unlimited; points into this struct */
};

void fixture_init(struct fixture *fixture); /* aborts when the directory cannot be made */
void fixture_done(struct fixture *fixture); /* removes it all */
/* Writes a file below dir and gives its path in a buffer of FIXTURE_PATH. */
void fixture_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size,
                  unsigned mode, char path[FIXTURE_PATH]);
void fixture_add_capability(struct fixture *fixture, struct bv_capability capability);
void fixture_add_control(struct fixture *fixture, struct bv_control control);
/* A small valid x86-64 ELF program into buffer; interpreter NULL: static. Returns its size. */
size_t fixture_elf(unsigned char *buffer, size_t capacity, const char *interpreter);
