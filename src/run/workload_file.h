/* run/workload_file.h - opening, identifying and hashing what will run; and whether the paths of
 * a spec are there. */
#pragma once

#include <bvisor/run.h>

#include "run/instance.h"

/* Opens the workload once, finds what it is and hashes it; hash_later: leaves identity->digest "" for bv_workload_hash() unless it is
 * known already. *ret_fd is on the very inode that was hashed, >= 3, the caller's. The identity is filled with known = true.
 * BV_E_REFUSED: *problem says why (and nothing is open). BV_E_SYS, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_workload_open(struct bv_backend *backend,
                                              const struct bv_workload *workload, bool hash_later,
                                              struct bv_workload_identity *identity, int *ret_fd,
                                              struct bv_workload_problem *problem,
                                              struct bv_error *error);
/* Hashes what was opened without. BV_E_REFUSED: it is no longer the file that was opened. BV_E_SYS, BV_E_NOMEM. */
BV_MUST_CHECK enum bv_status bv_workload_hash(struct bv_backend *backend, int fd,
                                              struct bv_workload_identity *identity,
                                              struct bv_workload_problem *problem,
                                              struct bv_error *error);

/* True while the open file still has the size and times that it was hashed with. */
bool bv_workload_is_unchanged(const struct bv_sys *sys, int fd,
                              const struct bv_workload_identity *identity);

struct bv_path_facts { struct bv_path_fact *at; size_t count; }; /* at: freed with free(); the paths are the spec's */

/* Checks that every filesystem root and every source of an exposed path exists and is reached
 * through no symbolic link, and notes what each is. BV_E_INVALID with the JSON pointer of the first that is not. "/proc"
 * and "/dev" are the boundary's own and always there. */
BV_MUST_CHECK enum bv_status bv_paths_check(const struct bv_sys *sys, const struct bv_spec *spec,
                                            struct bv_path_facts *facts, struct bv_error *error);
