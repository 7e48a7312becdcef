/* bvisor/base.h - status codes, the error record and marks that every public header uses.
 *
 * Three families never mix: enum bv_status says that *bvisor* could not do its work, a refusal
 * (plan.h) is the planner's answer, and an outcome (report.h) is what happened to the guest. */
#ifndef BVISOR_BASE_H
#define BVISOR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BV_API __attribute__((visibility("default")))
#define BV_MUST_CHECK __attribute__((warn_unused_result))
#define BV_PRINTF(f, a) __attribute__((format(printf, f, a)))

#define BV_VERSION_MAJOR 0
#define BV_VERSION_MINOR 1
#define BV_VERSION_PATCH 0
#define BV_VERSION_STRING "0.1.0"

/* What a bvisor call can answer. Numbers are never reused. */
enum bv_status {
    BV_OK = 0,
    BV_E_INVALID = 1, /* a document or argument of the caller is malformed; bv_error.place says where */
    BV_E_REFUSED = 2, /* the planner refused; the refusal object says why; nothing ran */
    BV_E_NOMEM = 3,   /* an allocation failed */
    BV_E_SYS = 4,     /* the operating system refused; bv_error.os_errno says how */
    BV_E_LIMIT = 5,   /* a bound of limits.h was reached */
    BV_E_CORRUPT = 6, /* a sealed document does not match its seal */
    BV_E_STATE = 7,   /* the object is not in a state that allows this call */
    BV_E_FAULT = 8,   /* bvisor or a backend broke its own contract */
};

/* Caller-owned record of the first failure of a call; may be NULL wherever it is asked for. */
struct bv_error {
    enum bv_status status;
    int os_errno;    /* positive errno, 0 if none */
    char place[192]; /* JSON pointer, path or stage; "" if none */
    char text[256];  /* one line, no newline, no control characters */
};

/* The library's version, "MAJOR.MINOR.PATCH"; static storage. */
BV_API const char *bv_version(void);

/* The stable lower-case name of a status, "invalid" for BV_E_INVALID; static storage; never NULL. */
BV_API const char *bv_status_name(enum bv_status status);

/* Frees a text or buffer that a bv_ call returned to its caller. bv_free(NULL) does nothing. */
BV_API void bv_free(void *text);

#ifdef __cplusplus
}
#endif
#endif
