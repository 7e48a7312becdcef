/* run/registry.c - backend instances and the table that finds one by its id.
 *
 * Owns what it is given: a registry its backends, a backend its context. Both are plain values
 * without global state, so a process may hold several. A registry must be filled before it is
 * shared between threads; looking up in it afterwards needs no lock. */
#include "run/instance.h"

#include <bvisor/run.h>

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"

struct bv_registry {
    struct bv_backend **backends;
    size_t count;
};

#define BACKEND_ID_MAX 16

static bool id_is_valid(const char *id)
{
    size_t n = id ? strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
    return n > 0 && n <= BACKEND_ID_MAX && id[n] == '\0';
}

static bool ops_are_complete(const struct bv_backend_ops *ops)
{
    return ops->probe && ops->profile && ops->classify && ops->offer && ops->start &&
           ops->poll_fd && ops->dispatch && ops->close_run && ops->close;
}

enum bv_status bv_backend_new(const struct bv_backend_ops *ops, void *context,
                              struct bv_backend **ret_backend, struct bv_error *error)
{
    if (!ops || !ret_backend) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend needs a table of functions and a place for the result");
    }
    if (ops->abi_version != BV_BACKEND_ABI) {
        return bv_fail(error, BV_E_INVALID, "", "backend interface version %u is not %u",
                       ops->abi_version, BV_BACKEND_ABI);
    }
    if (!id_is_valid(ops->id) || !ops_are_complete(ops)) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend needs an id of [a-z0-9_]{1,%d} and every function",
                       BACKEND_ID_MAX);
    }
    struct bv_backend *backend = calloc(1, sizeof(*backend));
    if (!backend) {
        return bv_fail_nomem(error);
    }
    if (!bv_digest_cache_init(&backend->digests)) {
        free(backend);
        return bv_fail_nomem(error);
    }
    if (!bv_probe_memo_init(&backend->last_probe)) {
        bv_digest_cache_done(&backend->digests);
        free(backend);
        return bv_fail_nomem(error);
    }
    if (!bv_grants_init(&backend->grants)) {
        bv_probe_memo_done(&backend->last_probe);
        bv_digest_cache_done(&backend->digests);
        free(backend);
        return bv_fail_nomem(error);
    }
    if (!bv_attempts_init(&backend->attempts)) {
        bv_grants_done(&backend->grants);
        bv_probe_memo_done(&backend->last_probe);
        bv_digest_cache_done(&backend->digests);
        free(backend);
        return bv_fail_nomem(error);
    }
    backend->ops = ops;
    backend->context = context;
    backend->sys = &bv_sys_host;
    *ret_backend = backend;
    return BV_OK;
}

const char *bv_backend_id(const struct bv_backend *backend)
{
    return backend->ops->id;
}

void bv_backend_free(struct bv_backend *backend)
{
    if (!backend) {
        return;
    }
    backend->ops->close(backend->context);
    bv_attempts_done(&backend->attempts);
    bv_grants_done(&backend->grants);
    bv_probe_memo_done(&backend->last_probe);
    bv_digest_cache_done(&backend->digests);
    free(backend);
}

enum bv_status bv_registry_new(struct bv_registry **ret_registry, struct bv_error *error)
{
    if (!ret_registry) {
        return bv_fail(error, BV_E_INVALID, "", "no place for the registry");
    }
    struct bv_registry *registry = calloc(1, sizeof(*registry));
    if (!registry) {
        return bv_fail_nomem(error);
    }
    *ret_registry = registry;
    return BV_OK;
}

enum bv_status bv_registry_add(struct bv_registry *registry, struct bv_backend *backend,
                               struct bv_error *error)
{
    if (!registry || !backend) {
        return bv_fail(error, BV_E_INVALID, "", "a registry and a backend are needed");
    }
    if (bv_registry_find(registry, backend->ops->id)) {
        return bv_fail(error, BV_E_INVALID, "", "a backend '%s' is registered already",
                       backend->ops->id);
    }
    struct bv_backend **grown =
        reallocarray(registry->backends, registry->count + 1, sizeof(*grown));
    if (!grown) {
        return bv_fail_nomem(error);
    }
    registry->backends = grown;
    registry->backends[registry->count++] = backend;
    return BV_OK;
}

struct bv_backend *bv_registry_find(const struct bv_registry *registry, const char *id)
{
    for (size_t i = 0; registry && id && i < registry->count; i++) {
        if (strcmp(registry->backends[i]->ops->id, id) == 0) {
            return registry->backends[i];
        }
    }
    return NULL;
}

void bv_registry_free(struct bv_registry *registry)
{
    if (!registry) {
        return;
    }
    for (size_t i = 0; i < registry->count; i++) {
        bv_backend_free(registry->backends[i]);
    }
    free(registry->backends);
    free(registry);
}
