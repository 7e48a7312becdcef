/* tests/unit/test_secret.c - secret memory: locked, not dumped, empty in a child, wiped; and
 * failing rather than falling back. */
#include "sys/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/tap.h"

/* The flags that the kernel shows for the mapping that holds an address; "" if there is none. */
static void mapping_flags(const void *address, char flags[256])
{
    char line[512];
    unsigned long start, end;
    bool inside = false;
    flags[0] = '\0';
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            inside = (unsigned long)address >= start && (unsigned long)address < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(flags, 256, "%.250s", line + 8);
        }
    }
    if (f) {
        (void)fclose(f);
    }
}

static void test_values(void)
{
    struct bv_secret_store store = BV_SECRET_STORE_INIT;
    size_t capacity = 0;
    int r = bv_secret_store_open(&store, 10000);
    if (r < 0) {
        tap_skip("memory cannot be locked here: %s", strerror(-r));
        return;
    }
    char flags[256];
    mapping_flags(store.base, flags);
    tap_ok(strstr(flags, " lo"), "the memory is locked:%s", flags);
    tap_ok(strstr(flags, " dd"), "it is left out of core dumps");
    tap_ok(strstr(flags, " wf"), "it is wiped in a forked child");
    tap_ok(store.size >= 10000, "all of it was to be had");

    char *tail = bv_secret_store_tail(&store, &capacity);
    tap_ok(tail && capacity == store.size - 1, "the first tail is everything but a NUL");
    memcpy(tail, "hunter2", 7);
    const char *first = bv_secret_store_keep(&store, 7);
    tap_text(first, "hunter2", "a value is kept");
    tail = bv_secret_store_tail(&store, &capacity);
    memcpy(tail, "x", 1);
    const char *second = bv_secret_store_keep(&store, 1);
    tap_ok(second && first && strcmp(first, "hunter2") == 0 && strcmp(second, "x") == 0,
           "a second value leaves the first where it was");
    tap_ok(bv_secret_store_keep(&store, store.size) == NULL, "more than is left is not kept");
    (void)bv_secret_store_tail(&store, &capacity);
    tap_ok(bv_secret_store_keep(&store, capacity) != NULL, "exactly what is left is kept");
    tap_ok(bv_secret_store_tail(&store, &capacity) == NULL && capacity == 0,
           "then there is no tail");
    tap_ok(bv_secret_store_keep(&store, 0) == NULL, "and no value, an empty one neither");

    pid_t child = fork();
    if (child == 0) {
        _exit(first && first[0] == '\0' ? 0 : 1);
    }
    int status = -1;
    tap_ok(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child sees zeros");
    bv_secret_store_done(&store);
    tap_ok(store.base == NULL && store.size == 0, "done gives it back");
    bv_secret_store_done(&store);
}

/* With a small limit less is locked; with none, nothing is, and it fails. In a child, because
 * limits do not come back. */
static int limited(rlim_t bytes)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = { bytes, bytes };
        struct bv_secret_store store = BV_SECRET_STORE_INIT;
        /* An ordinary user: CAP_IPC_LOCK would lift the limit. */
        if ((geteuid() == 0 && setuid(65534) < 0) || setrlimit(RLIMIT_MEMLOCK, &limit) < 0) {
            _exit(77);
        }
        int r = bv_secret_store_open(&store, 256 << 10);
        _exit(r < 0 ? 1 : store.size <= bytes ? 0 : 2);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
    test_values();
    int some = limited(64 << 10), none = limited(0);
    if (some == 77 || none == 77) {
        tap_skip("privileges cannot be dropped here");
    } else {
        tap_ok(some == 0, "a limit of 64 KiB gives a smaller store (%d)", some);
        tap_ok(none == 1, "a limit of nothing is a failure, not memory that is not locked (%d)",
               none);
    }
    struct bv_secret_store store = BV_SECRET_STORE_INIT;
    tap_ok(bv_secret_store_open(&store, SIZE_MAX) == -EOVERFLOW && store.base == NULL,
           "a size that overflows is refused");
    return tap_done();
}
