/* backend/wasm/probe.c - what a guest's boundary needs of this machine: very little. Three calls that change nothing;
 * and, where staging is asked for, what the layer of copies needs of the state directory's file system, tried in a directory of the trial's. */
#include "backend/wasm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
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

/* A whiteout, an opaque directory that takes its place, and a file's note of where it is from. What failed is named. */
static int try_layers(int upper, int work, const char **ret_what)
{
    *ret_what = "whiteout";
    if (mknodat(upper, "name", S_IFCHR, makedev(0, 0)) != 0) {
        return errno;
    }
    *ret_what = "attributes";
    const int dir = mkdirat(work, "new", 0700) == 0 ? openat(work, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = dir < 0 || fsetxattr(dir, "user.overlay.opaque", "y", 1, 0) != 0 ? errno : 0;
    if (dir >= 0) {
        (void)close(dir);
    }
    if (result == 0) {
        *ret_what = "exchange";
        result = renameat2(work, "new", upper, "name", RENAME_EXCHANGE) == 0 ? 0 : errno;
    }
    return result;
}

enum bv_status guest_try_staging(void *context, const char *dir, const char *const *roots, size_t root_count, struct bv_snapshot *facts,
                                 struct bv_error *error)
{
    char text[96];
    const char *what = "directories";
    const int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int upper = top < 0 ? -1 : openat(top, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int work = upper < 0 ? -1 : openat(top, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int result = work < 0 ? errno : try_layers(upper, work, &what);
    const int held[] = { top, upper, work };
    (void)context;
    (void)roots; /* any directory can be read */
    (void)root_count;
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
        if (held[i] >= 0) {
            (void)close(held[i]);
        }
    }
    const char *name = result == 0 ? "ok" : strerrorname_np(result);
    (void)snprintf(text, sizeof text, "%s%s%s", result == 0 ? "" : what, result == 0 ? "" : ": ", name ? name : "unknown error");
    return bv_snapshot_set(facts, GUEST_FACT_STAGING, text, error);
}
