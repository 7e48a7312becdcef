/* contract/spec_check.c - every rule about the values of a spec: ranges, paths, names, counts.
 *
 * The one home of these rules, for documents and for specs that a program filled; so it also meets what only a program
 * can do: NULL pointers, enums out of range, text that is not UTF-8. The first fault in document order is reported, at
 * its JSON pointer. Contradictions between parts are the planner's (CONTRACT.md 8); rules: CONTRACT.md 2 to 5,
 * INTERFACE.md 2, limits.h. */
#include "contract/spec_parts.h"

#include "base/check.h"
#include "base/error.h"
#include "canon/canon.h"
#include "canon/place.h"
#include "contract/names.h"

#include <string.h>

struct checker {
    struct bv_error *error;
    enum bv_status status;
    /* Totals over the whole spec; limits.h caps each. */
    size_t roots, destinations, env_entries, env_bytes, fds, exposes;
};

static bool BV_PRINTF(3, 4)
    fail(struct checker *c, const struct bv_place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    c->status = bv_vfail_at(c->error, BV_E_INVALID, place, format, arguments);
    va_end(arguments);
    return false;
}

static bool check_enum(struct checker *c, const struct bv_place *place,
                       const struct bv_names *names, size_t value)
{
    return value < names->count || fail(c, place, "has no meaning: %zu", value);
}

/* A list of count items at items: a program may give a count without a list. */
static bool check_list(struct checker *c, const struct bv_place *place, const void *items,
                       size_t count)
{
    return items || count == 0 || fail(c, place, "says %zu items and holds none", count);
}

static bool check_total(struct checker *c, const struct bv_place *place, size_t *total,
                        size_t count, size_t max, const char *what)
{
    if (count > max || *total > max - count) {
        return fail(c, place, "more than %zu %s", max, what);
    }
    *total += count;
    return true;
}

static bool check_text(struct checker *c, const struct bv_place *place, const char *text)
{
    if (!text) {
        return fail(c, place, "is missing");
    }
    return bv_text_is_plain(text, strlen(text)) || fail(c, place, "must be UTF-8 without U+007F");
}

/* A text of 1 to BV_NAME_MAX_BYTES bytes. */
static bool check_name(struct checker *c, const struct bv_place *place, const char *text)
{
    if (!check_text(c, place, text)) {
        return false;
    }
    size_t size = strlen(text);
    if (size == 0) {
        return fail(c, place, "must not be empty");
    }
    return size <= BV_NAME_MAX_BYTES || fail(c, place, "longer than %d bytes", BV_NAME_MAX_BYTES);
}

static bool check_component(struct checker *c, const struct bv_place *place, const char *start,
                            size_t size)
{
    if (size == 0) {
        return fail(c, place, "must not hold an empty component (\"//\" or a \"/\" at the end)");
    }
    if ((size == 1 && start[0] == '.') || (size == 2 && start[0] == '.' && start[1] == '.')) {
        return fail(c, place, "must not hold \".\" or \"..\" as a component");
    }
    return size <= BV_NAME_MAX_BYTES ||
           fail(c, place, "has a component longer than %d bytes", BV_NAME_MAX_BYTES);
}

/* Absolute and in normal form: what is compared as text then names one place only (symlinks are the backend's to refuse). */
static bool check_path(struct checker *c, const struct bv_place *place, const char *path)
{
    if (!check_text(c, place, path)) {
        return false;
    }
    size_t size = strlen(path);
    if (size > BV_PATH_MAX_BYTES) {
        return fail(c, place, "longer than %d bytes", BV_PATH_MAX_BYTES);
    }
    if (path[0] != '/') {
        return fail(c, place, "must be an absolute path");
    }
    for (size_t start = 1, end = 1; size > 1 && start <= size; start = ++end) {
        while (end < size && path[end] != '/') {
            end++;
        }
        if (!check_component(c, place, path + start, end - start)) {
            return false;
        }
    }
    return true;
}

/* A path that names less than the whole file system. */
static bool check_path_below_root(struct checker *c, const struct bv_place *place, const char *path,
                                  const char *what)
{
    return check_path(c, place, path) &&
           (path[1] != '\0' || fail(c, place, "\"/\" must not be %s", what));
}

/* ---- workload ---- */

static bool check_args(struct checker *c, const struct bv_place *up,
                       const struct bv_workload *workload)
{
    struct bv_place place = BV_PLACE_KEY(up, "args");
    if (!check_list(c, &place, workload->args, workload->arg_count)) {
        return false;
    }
    if (workload->arg_count > BV_ARGS_MAX) {
        return fail(c, &place, "more than %d arguments", BV_ARGS_MAX);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < workload->arg_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&place, i);
        if (!check_text(c, &item, workload->args[i])) {
            return false;
        }
        size_t size = strlen(workload->args[i]) + 1;
        if (size > BV_ARGS_MAX_BYTES - bytes) {
            return fail(c, &item, "the arguments have more than %u bytes", BV_ARGS_MAX_BYTES);
        }
        bytes += size;
    }
    return true;
}

static bool check_module(struct checker *c, const struct bv_place *up,
                         const struct bv_workload *workload)
{
    struct bv_place place = BV_PLACE_KEY(up, "module");
    if (!workload->module_bytes) {
        return check_path(c, &place, workload->path);
    }
    if (workload->path) {
        return fail(c, &place, "must be a path or bytes, not both");
    }
    return workload->module_size > 0 || fail(c, &place, "must not be empty");
}

static bool check_workload(struct checker *c, const struct bv_place *root,
                           const struct bv_workload *workload)
{
    struct bv_place up = BV_PLACE_KEY(root, "workload");
    if (!check_enum(c, &up, &bv_names_workload, (size_t)workload->kind)) {
        return false;
    }
    struct bv_place place =
        BV_PLACE_KEY(&up, bv_name_of(&bv_names_workload, (size_t)workload->kind));
    struct bv_place exe = BV_PLACE_KEY(&place, "exe");
    struct bv_place cwd = BV_PLACE_KEY(&place, "cwd");
    bool is_wasm = workload->kind == BV_WORKLOAD_WASM;
    if (!is_wasm && workload->module_bytes) {
        return fail(c, &place, "module bytes belong to a wasm workload");
    }
    return (is_wasm ? check_module(c, &place, workload) : check_path(c, &exe, workload->path)) &&
           check_args(c, &place, workload) &&
           (!workload->cwd || check_path(c, &cwd, workload->cwd));
}

/* ---- capabilities ---- */

static bool check_filesystem(struct checker *c, const struct bv_place *place,
                             const struct bv_filesystem *filesystem)
{
    struct bv_place access = BV_PLACE_KEY(place, "access");
    struct bv_place roots = BV_PLACE_KEY(place, "roots");
    if (!check_enum(c, &access, &bv_names_access, (size_t)filesystem->access) ||
        !check_list(c, &roots, filesystem->roots, filesystem->root_count)) {
        return false;
    }
    if (filesystem->root_count == 0) {
        return fail(c, &roots, "must name at least one root");
    }
    if (!check_total(c, &roots, &c->roots, filesystem->root_count, BV_ROOTS_MAX, "roots in all")) {
        return false;
    }
    for (size_t i = 0; i < filesystem->root_count; i++) {
        struct bv_place root = BV_PLACE_INDEX(&roots, i);
        if (!check_path_below_root(c, &root, filesystem->roots[i], "a root")) {
            return false;
        }
    }
    return true;
}

static bool is_host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '_' || byte == ':';
}

/* Letters of a name or an address only: nothing that looks like a pattern, a zone or a URL may be taken for a host. */
static bool check_destination(struct checker *c, const struct bv_place *up,
                              const struct bv_destination *destination)
{
    struct bv_place host = BV_PLACE_KEY(up, "host");
    struct bv_place port = BV_PLACE_KEY(up, "port");
    if (!check_name(c, &host, destination->host)) {
        return false;
    }
    for (const char *byte = destination->host; *byte; byte++) {
        if (!is_host_byte(*byte)) {
            return fail(c, &host, "must be a host name or an IP address");
        }
    }
    return destination->port > 0 || fail(c, &port, "must be 1 to 65535");
}

static bool check_network(struct checker *c, const struct bv_place *place,
                          const struct bv_network *network)
{
    struct bv_place policy = BV_PLACE_KEY(place, "policy");
    struct bv_place list = BV_PLACE_KEY(place, "destinations");
    if (!check_enum(c, &policy, &bv_names_network, (size_t)network->policy) ||
        !check_list(c, &list, network->destinations, network->destination_count)) {
        return false;
    }
    bool is_list = network->policy == BV_NETWORK_ALLOW_LIST;
    if (is_list != (network->destination_count > 0)) {
        return fail(c, &list,
                    is_list ? "must name at least one destination"
                            : "belongs to the policy allow_list");
    }
    if (!check_total(c, &list, &c->destinations, network->destination_count, BV_DESTINATIONS_MAX,
                     "destinations in all")) {
        return false;
    }
    for (size_t i = 0; i < network->destination_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&list, i);
        if (!check_destination(c, &item, &network->destinations[i])) {
            return false;
        }
    }
    return true;
}

static bool check_env_name(struct checker *c, const struct bv_place *place, const char *name)
{
    if (!check_text(c, place, name)) {
        return false;
    }
    if (name[0] == '\0') {
        return fail(c, place, "must not be empty");
    }
    for (const char *byte = name; *byte; byte++) {
        if (*byte == '=') {
            return fail(c, place, "must not hold \"=\"");
        }
    }
    return true;
}

static bool check_env_entry(struct checker *c, const struct bv_place *up,
                            const struct bv_env_entry *entry)
{
    struct bv_place name = BV_PLACE_KEY(up, "name");
    struct bv_place literal = BV_PLACE_KEY(up, "literal");
    struct bv_place secret = BV_PLACE_KEY(up, "secret");
    if (!check_env_name(c, &name, entry->name)) {
        return false;
    }
    if (!entry->literal == !entry->secret) {
        return fail(c, up, "must hold exactly one of literal and secret");
    }
    if (entry->literal ? !check_text(c, &literal, entry->literal)
                       : !check_name(c, &secret, entry->secret)) {
        return false;
    }
    size_t bytes =
        2; /* "=" and NUL; what a secret adds is known to the run only, which counts again */
    if (bv_ckd_add(&bytes, bytes, strlen(entry->name)) ||
        bv_ckd_add(&bytes, bytes, entry->literal ? strlen(entry->literal) : 0)) {
        bytes = SIZE_MAX;
    }
    return check_total(c, up, &c->env_bytes, bytes, BV_ENV_MAX_BYTES,
                       "bytes of environment in all");
}

static bool check_environment(struct checker *c, const struct bv_place *place,
                              const struct bv_environment *environment)
{
    struct bv_place list = BV_PLACE_KEY(place, "exact");
    const struct bv_env_entry *entries = environment->entries;
    if (!check_list(c, &list, entries, environment->entry_count) ||
        !check_total(c, &list, &c->env_entries, environment->entry_count, BV_ENV_MAX_ENTRIES,
                     "entries in all")) {
        return false;
    }
    for (size_t i = 0; i < environment->entry_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&list, i);
        if (!check_env_entry(c, &item, &entries[i])) {
            return false;
        }
        for (size_t other = 0; other < i; other++) {
            if (strcmp(entries[i].name, entries[other].name) == 0) {
                struct bv_place name = BV_PLACE_KEY(&item, "name");
                return fail(c, &name, "named twice, first at index %zu", other);
            }
        }
    }
    return true;
}

static bool check_fds(struct checker *c, const struct bv_place *place,
                      const struct bv_inherited_fds *inherited)
{
    struct bv_place list = BV_PLACE_KEY(place, "fds");
    if (!check_list(c, &list, inherited->fds, inherited->fd_count) ||
        !check_total(c, &list, &c->fds, inherited->fd_count, BV_KEPT_FDS_MAX,
                     "kept descriptors in all")) {
        return false;
    }
    for (size_t i = 0; i < inherited->fd_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&list, i);
        if (inherited->fds[i] < 3) {
            return fail(c, &item, "must be 3 or more (0, 1 and 2 are the workload's streams)");
        }
        for (size_t other = 0; other < i; other++) {
            if (inherited->fds[i] == inherited->fds[other]) {
                return fail(c, &item, "named twice, first at index %zu", other);
            }
        }
    }
    return true;
}

static bool check_capability(struct checker *c, const struct bv_place *up,
                             const struct bv_capability *capability)
{
    if (!check_enum(c, up, &bv_names_capability, (size_t)capability->kind)) {
        return false;
    }
    struct bv_place place =
        BV_PLACE_KEY(up, bv_name_of(&bv_names_capability, (size_t)capability->kind));
    struct bv_place policy = BV_PLACE_KEY(&place, "policy");
    switch (capability->kind) {
    case BV_CAP_FILESYSTEM: return check_filesystem(c, &place, &capability->u.filesystem);
    case BV_CAP_NETWORK: return check_network(c, &place, &capability->u.network);
    case BV_CAP_CHILD_SPAWN:
        return check_enum(c, &policy, &bv_names_spawn, (size_t)capability->u.child_spawn);
    case BV_CAP_ENVIRONMENT: return check_environment(c, &place, &capability->u.environment);
    case BV_CAP_INHERITED_FDS: return check_fds(c, &place, &capability->u.inherited_fds);
    }
    BV_UNREACHABLE();
}

/* ---- controls ---- */

static bool check_expose(struct checker *c, const struct bv_place *place,
                         const struct bv_expose *expose)
{
    struct bv_place source = BV_PLACE_KEY(place, "source");
    struct bv_place dest = BV_PLACE_KEY(place, "dest");
    struct bv_place access = BV_PLACE_KEY(place, "access");
    if (!check_total(c, place, &c->exposes, 1, BV_EXPOSES_MAX, "exposed paths") ||
        !check_path_below_root(c, &source, expose->source, "exposed") ||
        !check_path_below_root(c, &dest, expose->dest, "a destination") ||
        !check_enum(c, &access, &bv_names_access, (size_t)expose->access)) {
        return false;
    }
    return expose->access != BV_ACCESS_WRITE || fail(c, &access, "must be read or read_write");
}

static bool check_temp_root(struct checker *c, const struct bv_place *place,
                            const struct bv_temp_root *temp_root)
{
    struct bv_place size = BV_PLACE_KEY(place, "size_bytes");
    if (!temp_root->sized) {
        return true;
    }
    /* 0 would mean "no limit" to tmpfs; a boundary without a temp root has no temp_root control. */
    return (temp_root->size_bytes > 0 && temp_root->size_bytes <= BV_JSON_MAX_INTEGER) ||
           fail(c, &size, "must be 1 to 2^53-1");
}

static bool check_control(struct checker *c, const struct bv_place *up,
                          const struct bv_control *control)
{
    if (!check_enum(c, up, &bv_names_control, (size_t)control->kind)) {
        return false;
    }
    struct bv_place place = BV_PLACE_KEY(up, bv_name_of(&bv_names_control, (size_t)control->kind));
    struct bv_place durability = BV_PLACE_KEY(&place, "durability");
    switch (control->kind) {
    case BV_CTL_LAUNCH_WORKLOAD:
    case BV_CTL_CAPTURE_STREAMS:
    case BV_CTL_DISCARD_ARTIFACT:
    case BV_CTL_KILL:
    case BV_CTL_LIST_OUTPUTS: return true; /* nothing but booleans: every value has a meaning */
    case BV_CTL_TEMP_ROOT: return check_temp_root(c, &place, &control->u.temp_root);
    case BV_CTL_EXPOSE_PATH: return check_expose(c, &place, &control->u.expose);
    case BV_CTL_COMMIT_ARTIFACT:
        return check_enum(c, &durability, &bv_names_durability, (size_t)control->u.commit);
    }
    BV_UNREACHABLE();
}

/* ---- the whole ---- */

static bool check_capabilities(struct checker *c, const struct bv_place *root,
                               const struct bv_spec *spec)
{
    struct bv_place list = BV_PLACE_KEY(root, "capabilities");
    size_t total = 0;
    if (!check_list(c, &list, spec->capabilities, spec->capability_count) ||
        !check_total(c, &list, &total, spec->capability_count, BV_CAPABILITIES_MAX,
                     "capabilities")) {
        return false;
    }
    for (size_t i = 0; i < spec->capability_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&list, i);
        if (!check_capability(c, &item, &spec->capabilities[i])) {
            return false;
        }
    }
    return true;
}

static bool check_controls(struct checker *c, const struct bv_place *root,
                           const struct bv_spec *spec)
{
    struct bv_place list = BV_PLACE_KEY(root, "controls");
    size_t total = 0;
    if (!check_list(c, &list, spec->controls, spec->control_count) ||
        !check_total(c, &list, &total, spec->control_count, BV_CONTROLS_MAX, "controls")) {
        return false;
    }
    for (size_t i = 0; i < spec->control_count; i++) {
        struct bv_place item = BV_PLACE_INDEX(&list, i);
        if (!check_control(c, &item, &spec->controls[i])) {
            return false;
        }
    }
    return true;
}

static bool check_budgets(struct checker *c, const struct bv_place *root,
                          const struct bv_spec *spec)
{
    struct bv_place up = BV_PLACE_KEY(root, "budgets");
    for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
        const struct bv_budget_request *request = &spec->budgets[i];
        struct bv_place place = BV_PLACE_KEY(&up, bv_name_of(&bv_names_dimension, i));
        struct bv_place limit = BV_PLACE_KEY(&place, "limit");
        struct bv_place guarantee = BV_PLACE_KEY(&place, "guarantee");
        struct bv_place evidence = BV_PLACE_KEY(&place, "evidence");
        if (request->limit > BV_JSON_MAX_INTEGER && request->limit != BV_UNLIMITED) {
            return fail(c, &limit, "must be 0 to 2^53-1, or unlimited");
        }
        if (!check_enum(c, &guarantee, &bv_names_guarantee, (size_t)request->guarantee)) {
            return false;
        }
        if (request->evidence & ~BV_CLAIMS_ALL) {
            return fail(c, &evidence, "holds a bit that is no claim");
        }
    }
    return true;
}

enum bv_status bv_spec_check_below(const struct bv_spec *spec, const char *prefix,
                                   struct bv_error *error)
{
    struct checker c = { .error = error, .status = BV_OK };
    struct bv_place root = BV_PLACE_ROOT(prefix);
    struct bv_place evidence = BV_PLACE_KEY(&root, "evidence");
    bool ok = check_workload(&c, &root, &spec->workload) && check_capabilities(&c, &root, spec) &&
              check_controls(&c, &root, spec) && check_budgets(&c, &root, spec);
    if (ok && (spec->require_evidence & ~BV_CLAIMS_ALL)) {
        ok = fail(&c, &evidence, "holds a bit that is no claim");
    }
    BV_ASSERT(ok == (c.status == BV_OK));
    return c.status;
}
