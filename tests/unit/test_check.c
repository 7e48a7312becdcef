/* tests/unit/test_check.c - the macros of check.h: a failed assertion stops the process at once, the rest moves values. */
#include "base/check.h"

#include "support/tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_assert(void)
{
    BV_ASSERT(1 + 1 == 2);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGILL, SIG_DFL);
        (void)signal(SIGTRAP, SIG_DFL);
        BV_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    bool waited = child > 0 && waitpid(child, &status, 0) == child;
    tap_ok(waited && WIFSIGNALED(status) &&
               (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP),
           "a failed assertion traps");
}

static void test_arithmetic(void)
{
    uint64_t sum = 0;
    size_t product = 0;
    tap_ok(!bv_ckd_add(&sum, UINT64_MAX - 1, 1u) && sum == UINT64_MAX, "a sum that fits");
    tap_ok(bv_ckd_add(&sum, UINT64_MAX, 1u), "a sum that does not");
    tap_ok(bv_ckd_sub(&sum, (uint64_t)1, 2u), "a difference below zero");
    tap_ok(bv_ckd_mul(&product, SIZE_MAX / 2, 3u), "a product that does not fit");
}

static char *make_text(void)
{
    BV_AUTO(bv_cleanup_free) char *text = malloc(2);
    BV_AUTO(bv_cleanup_free) char *dropped = malloc(2); /* a leak sanitizer sees it when it stays */
    if (!text || !dropped) {
        return NULL;
    }
    text[0] = 'x';
    text[1] = '\0';
    return BV_TAKE(text);
}

int main(void)
{
    test_assert();
    test_arithmetic();
    char *text = make_text();
    tap_text(text, "x", "BV_TAKE moves out what BV_AUTO would free");
    free(text);
    int fd = 7;
    tap_ok(BV_TAKE_FD(fd) == 7 && fd == -9, "BV_TAKE_FD leaves -EBADF behind");
    return tap_done();
}
