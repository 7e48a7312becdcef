/* run/leases.c - secret leases and kept descriptors, checked before anything is started; see
 * leases.h.
 *
 * Owns the locked memory of one run. A value is never copied out of it here, never compared with
 * anything and never part of a text: only references are. Specified by CONTRACT.md 3; which
 * descriptors would carry more authority than the plan grants: LINUX.md 4. */
#include "run/leases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/error.h"
#include "host/host.h"
#include "run/refuse.h"

/* The capability that a refused item belongs to, as a document says it; NULL if the spec has
 * none. */
static json_t *capability_of(const struct bv_plan *plan, enum bv_capability_kind kind)
{
    const struct bv_spec *spec = bv_plan_spec(plan);
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == kind) {
            return bv_capability_to_json(&spec->capabilities[i]);
        }
    }
    return NULL;
}

/* Why a descriptor cannot be kept; NULL if it can. What is kept brings its own way out of the
 * boundary: the mounts, the network namespace, the filter and, for metadata, Landlock hold what the
 * workload opens, not what was opened before. */
static const char *fault_of(const struct bv_sys *sys, const struct bv_intent *intent, int fd,
                            const char **ret_remedy)
{
    struct bv_fd_facts facts;
    char path[64];
    if (sys->describe_fd(fd, &facts) < 0) {
        *ret_remedy = "open it before the run";
        return "is not open";
    }
    if (facts.is_directory) {
        *ret_remedy = "grant the directory as a root, or expose it";
        return "is a directory: '..' leads from it to every path of the host";
    }
    if (facts.is_path) {
        *ret_remedy = "open the file for what is to be done with it";
        return "was opened with O_PATH: it names a file of the host that no root grants";
    }
    if (facts.socket_domain == AF_UNIX && facts.socket_type == SOCK_DGRAM) {
        *ret_remedy = "keep a stream or seqpacket socket instead";
        return "is an AF_UNIX datagram socket: it reaches any socket of the host";
    }
    if (facts.socket_domain >= 0 && facts.socket_domain != AF_UNIX &&
        intent->network != BV_NETWORK_ALLOW_ALL) {
        *ret_remedy = "--net all, or a pipe or AF_UNIX stream to a program outside";
        return "is a network socket, and the network is denied";
    }
    if (sys->fd_path(fd, path, sizeof(path)) >= 0 && strcmp(path, "anon_inode:[io_uring]") == 0) {
        *ret_remedy = "none: a ring cannot be confined";
        return "is an io_uring: the kernel makes its calls with the rights of who opened it";
    }
    return NULL;
}

enum bv_status bv_leases_check_fds(const struct bv_backend *backend, const struct bv_plan *plan, int own_fd,
                                   const struct bv_journal *journal, struct bv_refusal **refusal, struct bv_error *error)
{
    const struct bv_intent *intent = bv_plan_intent(plan);
    enum bv_status status = BV_OK;
    for (size_t i = 0; i < intent->fd_count && status == BV_OK; i++) {
        const bool ours = intent->fds[i] == own_fd ||
                          bv_journal_owns_fd(journal, intent->fds[i]) ||
                          (backend->ops->owns_fd && backend->ops->owns_fd(backend->context, intent->fds[i]));
        const char *remedy = "open it before the run";
        const char *fault = ours ? "is not open" : fault_of(backend->sys, intent, intent->fds[i], &remedy);
        char why[128];
        if (fault) {
            (void)snprintf(why, sizeof(why), "descriptor %d %s", intent->fds[i], fault);
            status = bv_refuse_item(refusal, BV_REFUSED_INVALID_POLICY, backend->ops->id,
                                    bv_requirement_name(BV_REQ_INHERITED_FDS_ONLY),
                                    capability_of(plan, BV_CAP_INHERITED_FDS), why, remedy, error);
        }
    }
    return status;
}

/* Resolves one reference. Returns NULL when all is well, else why not. */
static const char *resolve_one(struct bv_leases *leases, size_t index,
                               const struct bv_env_entry *entry, size_t *env_bytes,
                               bv_secret_fn *secret, void *context)
{
    size_t capacity = 0;
    char *tail = bv_secret_store_tail(&leases->store, &capacity);
    ptrdiff_t length = secret && tail ? secret(context, entry->secret, tail, capacity) : -1;
    if (length < 0) {
        return "is unknown";
    }
    if ((size_t)length > capacity) {
        /* The resolver broke its contract: nothing of it is used. */
        return "was given more bytes than there was room for";
    }
    if (memchr(tail, '\0', (size_t)length)) {
        return "holds a NUL byte";
    }
    if (bv_ckd_add(env_bytes, *env_bytes, (size_t)length) || *env_bytes > BV_ENV_MAX_BYTES) {
        return "makes the environment larger than 256 KiB";
    }
    leases->values[index] = bv_secret_store_keep(&leases->store, (size_t)length);
    BV_ASSERT(leases->values[index]);
    return NULL;
}

/* Bytes of the environment without the values of its secrets, and how many of those there are. */
static size_t measure(const struct bv_intent *intent, size_t *ret_secrets)
{
    size_t bytes = 0;
    *ret_secrets = 0;
    for (size_t i = 0; i < intent->env_count; i++) {
        bytes += strlen(intent->env[i].name) + 2; /* '=' and NUL */
        bytes += intent->env[i].literal ? strlen(intent->env[i].literal) : 0;
        *ret_secrets += intent->env[i].secret ? 1 : 0;
    }
    return bytes;
}

enum bv_status bv_leases_resolve(struct bv_leases *leases, const struct bv_backend *backend,
                                 const struct bv_plan *plan, bv_secret_fn *secret,
                                 void *secret_context, struct bv_refusal **refusal,
                                 struct bv_error *error)
{
    const struct bv_intent *intent = bv_plan_intent(plan);
    size_t secrets;
    size_t env_bytes = measure(intent, &secrets);
    if (secrets == 0) {
        return BV_OK;
    }
    leases->values = calloc(intent->env_count, sizeof(*leases->values));
    if (!leases->values) {
        return bv_fail_nomem(error);
    }
    int r = bv_secret_store_open(&leases->store, BV_ENV_MAX_BYTES + secrets);
    if (r < 0) {
        /* Never BV_E_NOMEM: what is short is RLIMIT_MEMLOCK, and that is what to say. */
        return bv_fail(error, BV_E_SYS, "environment",
                       "memory for secrets cannot be locked (raise RLIMIT_MEMLOCK): %s",
                       strerrordesc_np(-r));
    }
    enum bv_status status = BV_OK;
    for (size_t i = 0; i < intent->env_count && status == BV_OK; i++) {
        const struct bv_env_entry *entry = &intent->env[i];
        const char *fault = entry->secret
                                ? resolve_one(leases, i, entry, &env_bytes, secret, secret_context)
                                : NULL;
        if (fault) {
            char why[BV_NAME_MAX_BYTES + 96];
            (void)snprintf(why, sizeof(why), "secret lease '%s' %s", entry->secret, fault);
            status = bv_refuse_item(refusal, BV_REFUSED_INVALID_POLICY, backend->ops->id,
                                    bv_requirement_name(BV_REQ_ENVIRONMENT),
                                    capability_of(plan, BV_CAP_ENVIRONMENT), why,
                                    "give the resolver a value for this reference", error);
        }
    }
    return status;
}

void bv_leases_done(struct bv_leases *leases)
{
    bv_secret_store_done(&leases->store);
    free(leases->values);
    leases->values = NULL;
}
