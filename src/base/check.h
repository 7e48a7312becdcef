/* base/check.h - assertions, overflow-checked arithmetic, cleanup attributes.
 *
 * BV_ASSERT is on in release builds: it means "bvisor is wrong", never "the input is wrong". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void bv_assert_failed(const char *expression, const char *file, int line); /* traps; prints nothing */

#define BV_ASSERT(e) ((e) ? (void)0 : bv_assert_failed(#e, __FILE__, __LINE__))
#define BV_UNREACHABLE() bv_assert_failed("unreachable", __FILE__, __LINE__)

/* True when the result does not fit, as C23's ckd_*. */
#define bv_ckd_add(r, a, b) __builtin_add_overflow((a), (b), (r))
#define bv_ckd_sub(r, a, b) __builtin_sub_overflow((a), (b), (r))
#define bv_ckd_mul(r, a, b) __builtin_mul_overflow((a), (b), (r))

#define BV_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BV_AUTO(f) __attribute__((cleanup(f)))
/* Moves a pointer out of a variable whose cleanup would free it. */
#define BV_TAKE(p) ({ __typeof__(p) bv_taken_ = (p); (p) = NULL; bv_taken_; })
/* Moves a descriptor out; "none" is -EBADF so that a leak into a return value is a truthful errno. */
#define BV_TAKE_FD(fd) ({ int bv_taken_ = (fd); (fd) = -9; bv_taken_; })

void bv_cleanup_free(void *pointer_to_pointer); /* for BV_AUTO(bv_cleanup_free) char *p = NULL; */
