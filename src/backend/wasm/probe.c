/* backend/wasm/probe.c - what a guest's boundary needs of this machine: very little. Three calls that change nothing. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/uapi_landlock.h"

static enum bv_status set_result(struct bv_snapshot *facts, const char *key, int error_number,
                                 struct bv_error *error)
{
    const char *name = error_number == 0 ? "ok" : strerrorname_np(error_number);
    return bv_snapshot_set(facts, key, name ? name : "unknown error", error);
}

static int try_openat2(void)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    const long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
    if (fd < 0) {
        /* The working directory may be gone or closed to this user: the call is there all the same. */
        return errno == ENOSYS || errno == EPERM ? errno : 0;
    }
    (void)close((int)fd);
    return 0;
}

static enum bv_status set_landlock(struct bv_snapshot *facts, struct bv_error *error)
{
    char text[48];
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi > 0) {
        (void)snprintf(text, sizeof text, "%ld", abi);
    } else {
        const char *name = abi < 0 ? strerrorname_np(errno) : NULL;
        (void)snprintf(text, sizeof text, "0 (%s)", name ? name : "none");
    }
    return bv_snapshot_set(facts, GUEST_FACT_LANDLOCK, text, error);
}

static enum bv_status set_world(const struct guest_context *context, struct bv_snapshot *facts,
                                struct bv_error *error)
{
    char text[80] = "host";
    if (context->deterministic) {
        (void)snprintf(text, sizeof text, "seed %" PRIu64 ", clock %" PRIu64 " ns", context->seed,
                       context->clock_ns);
    }
    return bv_snapshot_set(facts, GUEST_FACT_WORLD, text, error);
}

enum bv_status guest_probe(void *pointer, struct bv_snapshot *facts, struct bv_error *error)
{
    const struct guest_context *context = pointer;
    const unsigned action = SECCOMP_RET_ERRNO;
    char fuel[24];
    (void)snprintf(fuel, sizeof fuel, "%llu", (unsigned long long)context->fuel_per_micro);
    enum bv_status status =
        bv_snapshot_set(facts, GUEST_FACT_ENGINE, GUEST_ENGINE " " BV_VERSION_STRING, error);
    status = status == BV_OK ? bv_snapshot_set(facts, GUEST_FACT_FUEL, fuel, error) : status;
    status = status == BV_OK ? bv_snapshot_set(facts, GUEST_FACT_NAN, "canonical", error) : status;
    status = status == BV_OK ? set_world(context, facts, error) : status;
    status = status == BV_OK
                 ? bv_snapshot_set(facts, GUEST_FACT_CONFINE,
                                   context->confine_process ? "asked" : "not asked", error)
                 : status;
    status = status == BV_OK ? set_result(facts, GUEST_FACT_OPENAT2, try_openat2(), error) : status;
    status = status == BV_OK ? set_landlock(facts, error) : status;
    const long seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    return status == BV_OK ? set_result(facts, GUEST_FACT_SECCOMP, seccomp == 0 ? 0 : errno, error)
                           : status;
}
