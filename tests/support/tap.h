/* tests/support/tap.h - Test Anything Protocol for one-file test programs.
 *
 *     int main(void) { tap_ok(1 + 1 == 2, "arithmetic holds"); return tap_done(); }
 *
 * A failed check prints its place and the run goes on. tap_skip() reports what cannot be shown here, tap_skip_all() a
 * program that cannot run at all; with BV_TESTS_MUST_RUN=1 in the environment both are failures. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count_, tap_failures_;

static inline void __attribute__((format(printf, 1, 0)))
tap_print_(const char *format, va_list arguments)
{
    char text[1024];
    (void)vsnprintf(text, sizeof(text), format, arguments);
    for (char *byte = text; *byte; byte++) { /* '#' begins a directive, a line's end another line */
        if (*byte == '#' || (unsigned char)*byte < 0x20) {
            *byte = '.';
        }
    }
    printf("%s\n", text);
    (void)fflush(stdout);
}

static inline bool __attribute__((format(printf, 4, 5)))
tap_check_(bool good, const char *file, int line, const char *format, ...)
{
    tap_count_++;
    printf("%s %d - ", good ? "ok" : "not ok", tap_count_);
    va_list arguments;
    va_start(arguments, format);
    tap_print_(format, arguments);
    va_end(arguments);
    if (!good) {
        tap_failures_++;
        printf("# failed at %s:%d\n", file, line);
        (void)fflush(stdout);
    }
    return good;
}

/* Is condition true? Evaluates to condition. */
#define tap_ok(condition, ...) tap_check_((condition), __FILE__, __LINE__, __VA_ARGS__)

/* Are two texts equal? Shows both when they are not. Evaluates to the answer. */
#define tap_text(got, wanted, ...) tap_text_((got), (wanted), __FILE__, __LINE__, __VA_ARGS__)

static inline bool __attribute__((format(printf, 5, 6)))
tap_text_(const char *got, const char *wanted, const char *file, int line, const char *format, ...)
{
    char name[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    bool good = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
    if (!tap_check_(good, file, line, "%s", name)) {
        printf("# got    %s\n# wanted %s\n", got ? got : "(null)", wanted ? wanted : "(null)");
        (void)fflush(stdout);
    }
    return good;
}

static inline bool tap_must_run_(void)
{
    const char *value = getenv("BV_TESTS_MUST_RUN");
    return value && strcmp(value, "1") == 0;
}

/* Counts one check that cannot be made on this machine. */
static inline void __attribute__((format(printf, 1, 2))) tap_skip(const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    tap_count_++;
    if (tap_must_run_()) {
        tap_failures_++;
        printf("not ok %d - must run: %s\n", tap_count_, reason);
    } else {
        printf("ok %d # SKIP %s\n", tap_count_, reason);
    }
    (void)fflush(stdout);
}

/* Ends a program that cannot run here; call it before any check. */
_Noreturn static inline void tap_skip_all(const char *reason)
{
    if (tap_must_run_()) {
        printf("1..1\nnot ok 1 - must run: %s\n", reason);
        exit(1);
    }
    printf("1..0 # SKIP %s\n", reason);
    exit(0);
}

/* A note for a person who reads the output. */
static inline void __attribute__((format(printf, 1, 2))) tap_note(const char *format, ...)
{
    printf("# ");
    va_list arguments;
    va_start(arguments, format);
    tap_print_(format, arguments);
    va_end(arguments);
}

/* Prints the plan; the value for main() to return. */
static inline int tap_done(void)
{
    printf("1..%d\n", tap_count_);
    return tap_failures_ == 0 ? 0 : 1;
}
