/* base/error.h - filling struct bv_error: the first failure wins, text is one clean line. */
#pragma once

#include <bvisor/base.h>

#include <stdarg.h>

/* Records {status, 0, place, text} unless error is NULL or already holds a failure; control characters become '?'.
 * Returns status, so that callers write `return bv_fail(error, BV_E_INVALID, "/budgets", "missing");`. place NULL = "". */
enum bv_status bv_fail(struct bv_error *error, enum bv_status status, const char *place, const char *format, ...) BV_PRINTF(4, 5);
/* The same for a system call: result is a negative errno. Status BV_E_SYS (BV_E_NOMEM for -ENOMEM); ": strerror" is appended. */
enum bv_status bv_fail_sys(struct bv_error *error, const char *place, int result, const char *format, ...) BV_PRINTF(4, 5);
enum bv_status bv_fail_nomem(struct bv_error *error);
/* Copies src into a fixed buffer, cut at size-1 on a UTF-8 boundary, always NUL-terminated. */
void bv_copy_text(char *dst, size_t size, const char *src);
