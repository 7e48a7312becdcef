/* run/grants.c - reads the host's mounts and refuses the grants that they make impossible; see
 * grants.h.
 *
 * One reading serves the planning and the run that follows it at once. The rule itself is
 * mounts.c's; a mount that is made after the check is the caller's own doing, and who can make one
 * in the caller's namespace is no adversary (SECURITY.md). */
#include "run/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "contract/contract.h"
#include "contract/intent.h"
#include "run/instance.h"
#include "run/refuse.h"

#define MOUNTS_MAX_BYTES (16u << 20)
#define READ_BYTES       16384u
static const char mounts_file[] = "/proc/self/mountinfo";

bool bv_grants_init(struct bv_grants *grants)
{
    grants->text = NULL;
    grants->mounts = (struct bv_mounts){ 0 };
    grants->at_micros = 0;
    return pthread_mutex_init(&grants->lock, NULL) == 0;
}

static void forget(struct bv_grants *grants)
{
    bv_mounts_done(&grants->mounts);
    free(BV_TAKE(grants->text));
}

void bv_grants_done(struct bv_grants *grants)
{
    forget(grants);
    (void)pthread_mutex_destroy(&grants->lock);
}

static enum bv_status read_text(const struct bv_sys *sys, char **ret_text, struct bv_error *error)
{
    BV_AUTO(bv_cleanup_fd) int fd = sys->open(mounts_file, O_RDONLY);
    struct bv_buf buffer;
    char bytes[READ_BYTES];
    ssize_t n = fd;
    bv_buf_init(&buffer, MOUNTS_MAX_BYTES);
    for (uint64_t at = 0; n >= 0; at += (uint64_t)n) {
        n = sys->pread(fd, bytes, sizeof(bytes), at);
        if (n <= 0) {
            break;
        }
        if (!bv_buf_add(&buffer, bytes, (size_t)n)) {
            bv_buf_done(&buffer);
            return at + (uint64_t)n < MOUNTS_MAX_BYTES
                       ? bv_fail_nomem(error)
                       : bv_fail(error, BV_E_LIMIT, mounts_file, "more than %u bytes of mounts",
                                 MOUNTS_MAX_BYTES);
        }
    }
    if (n < 0) {
        bv_buf_done(&buffer);
        return bv_fail_sys(error, mounts_file, (int)n, "reading the host's mounts");
    }
    *ret_text = bv_buf_take(&buffer);
    return *ret_text ? BV_OK : bv_fail_nomem(error);
}

/* The lock is held. */
static enum bv_status refresh(struct bv_backend *backend, uint64_t max_age_micros,
                              struct bv_error *error)
{
    struct bv_grants *grants = &backend->grants;
    const uint64_t now = backend->sys->boot_micros();
    if (grants->text && max_age_micros > 0 && now >= grants->at_micros &&
        now - grants->at_micros <= max_age_micros) {
        return BV_OK;
    }
    BV_AUTO(bv_cleanup_free) char *text = NULL;
    enum bv_status status = read_text(backend->sys, &text, error);
    struct bv_mounts mounts;
    bool no_memory;
    if (status != BV_OK) {
        return status;
    }
    if (!bv_mounts_parse(text, &mounts, &no_memory)) {
        return no_memory ? bv_fail_nomem(error)
                         : bv_fail(error, BV_E_FAULT, mounts_file, "a line of %s cannot be read",
                                   mounts_file);
    }
    forget(grants);
    grants->text = BV_TAKE(text);
    grants->mounts = mounts;
    grants->at_micros = now;
    return BV_OK;
}

static bool is_own(const char *path)
{
    return strcmp(path, "/proc") == 0 || strcmp(path, "/dev") == 0;
}

struct check {
    struct bv_backend *backend;
    const char *inner[BV_ROOTS_MAX];
    size_t inner_count;
    struct bv_refusal **refusal;
    struct bv_error *error;
};

/* Takes requirement over; NULL: out of memory. */
static enum bv_status refuse(struct check *check, enum bv_requirement_kind kind,
                             json_t *requirement, const char *path, const struct bv_mount *mount)
{
    char why[500];
    if (!requirement) {
        return bv_fail_nomem(check->error);
    }
    (void)snprintf(why, sizeof(why), "%.180s brings in the host's %.40s (mounted at %.180s), %s",
                   path, mount->type, mount->place,
                   mount->kind == BV_MOUNTED_PROCFS
                       ? "which shows the host's processes"
                       : "whose files are switches of the kernel, for writing");
    return bv_refuse_item(check->refusal, BV_REFUSED_UNSUPPORTED, check->backend->ops->id,
                          bv_requirement_name(kind), requirement, why,
                          mount->kind == BV_MOUNTED_PROCFS
                              ? "grant the directories beside it; --ro /proc is the boundary's own"
                              : "grant the directories beside it, or grant it read-only",
                          check->error);
}

static enum bv_status check_filesystem(struct check *check, const struct bv_capability *capability)
{
    const struct bv_filesystem *fs = &capability->u.filesystem;
    enum bv_status status = BV_OK;
    for (size_t i = 0; status == BV_OK && i < fs->root_count; i++) {
        const struct bv_mount *mount =
            is_own(fs->roots[i]) ? NULL
                                 : bv_mounts_fault(&check->backend->grants.mounts, fs->roots[i],
                                                   fs->access, check->inner, check->inner_count);
        if (mount) {
            status = refuse(check, BV_REQ_FILESYSTEM, bv_capability_to_json(capability),
                            fs->roots[i], mount);
        }
    }
    return status;
}

static enum bv_status check_expose(struct check *check, const struct bv_control *control)
{
    const struct bv_expose *expose = &control->u.expose;
    const struct bv_mount *mount =
        bv_mounts_fault(&check->backend->grants.mounts, expose->source, expose->access, NULL, 0);
    return mount ? refuse(check, BV_REQ_EXPOSE_PATH, bv_control_to_json(control), expose->source,
                          mount)
                 : BV_OK;
}

/* Gathers the roots, which narrow each other. False: there is nothing of the host in the spec. */
static bool gather(struct check *check, const struct bv_spec *spec)
{
    bool any = false;
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_filesystem *fs = &spec->capabilities[i].u.filesystem;
        for (size_t k = 0; spec->capabilities[i].kind == BV_CAP_FILESYSTEM && k < fs->root_count;
             k++) {
            BV_ASSERT(check->inner_count < BV_COUNT(check->inner)); /* bv_spec_check() */
            check->inner[check->inner_count++] = fs->roots[k];
            any = any || !is_own(fs->roots[k]);
        }
    }
    for (size_t i = 0; i < spec->control_count; i++) {
        any = any || spec->controls[i].kind == BV_CTL_EXPOSE_PATH;
    }
    return any;
}

enum bv_status bv_grants_read(struct bv_backend *backend, const struct bv_spec *spec,
                              struct bv_error *error)
{
    struct check check = { 0 };
    if (!gather(&check, spec)) {
        return BV_OK;
    }
    (void)pthread_mutex_lock(&backend->grants.lock);
    const enum bv_status status = refresh(backend, 0, error);
    (void)pthread_mutex_unlock(&backend->grants.lock);
    return status;
}

enum bv_status bv_grants_check(struct bv_backend *backend, const struct bv_spec *spec,
                               uint64_t max_age_micros, struct bv_refusal **refusal,
                               struct bv_error *error)
{
    struct check check = { .backend = backend, .refusal = refusal, .error = error };
    if (!gather(&check, spec)) {
        return BV_OK;
    }
    (void)pthread_mutex_lock(&backend->grants.lock);
    enum bv_status status = refresh(backend, max_age_micros, error);
    for (size_t i = 0; status == BV_OK && i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == BV_CAP_FILESYSTEM) {
            status = check_filesystem(&check, &spec->capabilities[i]);
        }
    }
    for (size_t i = 0; status == BV_OK && i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_EXPOSE_PATH) {
            status = check_expose(&check, &spec->controls[i]);
        }
    }
    (void)pthread_mutex_unlock(&backend->grants.lock);
    return status;
}

enum bv_status bv_grants_mount_below(struct bv_backend *backend, const char *path, char *place, size_t size,
                                     bool *ret_found, struct bv_error *error)
{
    struct bv_grants *grants = &backend->grants;
    *ret_found = false;
    (void)pthread_mutex_lock(&grants->lock);
    const enum bv_status status = grants->text ? BV_OK : refresh(backend, 0, error);
    for (size_t i = 0; status == BV_OK && !*ret_found && i < grants->mounts.count; i++) {
        const char *at = grants->mounts.items[i].place;
        *ret_found = strcmp(at, path) != 0 && bv_path_is_inside(at, path);
        if (*ret_found) {
            bv_copy_text(place, size, at);
        }
    }
    (void)pthread_mutex_unlock(&grants->lock);
    return status;
}
