/* tests/linux/harness.h - what the test programs of this directory share: the payload, the backend, and the checks that a
 * group of tests leaves the host's descriptors and children as they were. Each is run as PROGRAM PAYLOAD [user]. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/box.h"
#include "support/tap.h"

static const char *payload;
static struct bv_backend *backend;

static void run(struct box *box, struct result *result)
{
    box_run(box, backend, result);
    if (result->status != BV_OK) {
        char *text = result->document ? json_dumps(result->document, JSON_SORT_KEYS) : NULL;
        tap_note("status %s at %s: %s %s", bv_status_name(result->status), result->error.place, result->error.text,
                 text ? text : "");
        free(text);
    }
}

static int count_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void nothing_left(int fds, const char *what)
{
    tap_ok(count_fds() == fds, "%s: no descriptor is left (%d, %d before)", what, count_fds(), fds);
    errno = 0;
    tap_ok(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD, "%s: no child is left", what);
}

/* Runs `body` in a forked host and gives its exit status. */
static inline int in_child(void (*body)(void))
{
    int status = -1;
    (void)fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void group(void (*test)(void), const char *what)
{
    const int fds = count_fds();
    test();
    nothing_left(fds, what);
}

/* Executes this program anew: a process that only changed its ids is not dumpable, and its /proc files are then root's. */
static void become_user(char **argv)
{
    if (setgroups(0, NULL) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0) {
        (void)execv(argv[0], argv);
    }
    tap_skip_all("cannot become an ordinary user");
}

/* Makes the backend and runs one workload, which makes what a backend keeps between its runs. */
static bool harness_begin(int argc, char **argv)
{
    struct bv_error error = { 0 };
    struct box box;
    struct result result;
    if (argc < 2) {
        return false;
    }
    static char resolved[PATH_MAX];
    payload = realpath(argv[1], resolved); /* the build passes it relative or absolute, as its version pleases */
    if (payload == NULL) {
        return tap_ok(false, "the payload %s is there", argv[1]);
    }
    argv[1] = resolved;
    if (argc > 2 && geteuid() == 0) {
        become_user(argv);
    }
    if (!tap_ok(bv_backend_linux(&backend, &error) == BV_OK, "the backend is made: %s", error.text)) {
        return false;
    }
    box_init(&box, payload, "exit", "0");
    run(&box, &result);
    const bool good = tap_ok(result.outcome == BV_OUTCOME_COMPLETED && result.status == BV_OK, "and runs");
    result_free(&result);
    return good;
}
