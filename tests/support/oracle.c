/* tests/support/oracle.c - the independent judge of simulated runs; see oracle.h.
 *
 * It reads the contract again from the spec by its own code (nothing of src/contract is called
 * but the verification of a seal and the names of kinds), goes through the world's log event by
 * event, and reads the report as JSON. Must not include sim_backend.h. */
#include "oracle.h"

#include <bvisor/report.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    uint32_t violation;
    const char *text;
} names[] = {
    { ORACLE_READ_OUTSIDE, "read outside" },
    { ORACLE_NETWORK_REACHED, "network reached" },
    { ORACLE_WROTE_OUTSIDE, "wrote outside" },
    { ORACLE_SPAWNED, "spawned" },
    { ORACLE_FD_LEAKED, "descriptor leaked" },
    { ORACLE_ORPHAN_HIDDEN, "orphan hidden" },
    { ORACLE_COMMITTED, "committed unasked" },
    { ORACLE_OUTCOME_UNTRUE, "outcome untrue" },
    { ORACLE_DENIAL_DROPPED, "denial dropped" },
    { ORACLE_OVERCLAIMED, "enforcement over-claimed" },
    { ORACLE_USAGE_UNTRUE, "usage untrue" },
    { ORACLE_FAULT_REPORTED, "supervisor fault reported" },
    { ORACLE_SEAL_BROKEN, "seal broken" },
    { ORACLE_REPORT_UNREADABLE, "report unreadable" },
};

void oracle_text(uint32_t violations, char *text, size_t size)
{
    size_t at = 0;
    (void)snprintf(text, size, "none");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((violations & names[i].violation) && at < size) {
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", names[i].text);
        }
    }
}

/* ---- the contract, as this file understands it ---- */

static bool lies_in(const char *path, const char *root)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The most specific root alone decides; equal roots unite. */
static bool may_touch(const struct bv_spec *spec, const char *path, bool write)
{
    size_t best = 0;
    bool may = false;
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_capability *c = &spec->capabilities[i];
        for (size_t k = 0; c->kind == BV_CAP_FILESYSTEM && k < c->u.filesystem.root_count; k++) {
            const char *root = c->u.filesystem.roots[k];
            enum bv_access access = c->u.filesystem.access;
            bool gives = write ? access != BV_ACCESS_READ : access != BV_ACCESS_WRITE;
            if (lies_in(path, root) && strlen(root) >= best) {
                may = gives || (may && strlen(root) == best);
                best = strlen(root);
            }
        }
    }
    return may;
}

static bool may_connect(const struct bv_spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_network *network = &spec->capabilities[i].u.network;
        if (spec->capabilities[i].kind != BV_CAP_NETWORK) {
            continue;
        }
        for (size_t k = 0; k < network->destination_count; k++) {
            char text[300];
            (void)snprintf(text, sizeof(text), "%s:%u", network->destinations[k].host,
                           network->destinations[k].port);
            if (strcmp(text, target) == 0) {
                return true;
            }
        }
        return network->policy == BV_NETWORK_ALLOW_ALL;
    }
    return false;
}

static bool may_spawn(const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == BV_CAP_CHILD_SPAWN) {
            return spec->capabilities[i].u.child_spawn == BV_SPAWN_ALLOW_DESCENDANTS;
        }
    }
    return false;
}

static bool may_use_fd(const struct bv_spec *spec, uint64_t fd)
{
    for (size_t i = 0; i < spec->capability_count; i++) {
        const struct bv_inherited_fds *fds = &spec->capabilities[i].u.inherited_fds;
        for (size_t k = 0; spec->capabilities[i].kind == BV_CAP_INHERITED_FDS && k < fds->fd_count;
             k++) {
            if (fd == (uint64_t)fds->fds[k]) {
                return true;
            }
        }
    }
    return fd <= 2;
}

/* Whether the contract lets an event happen; which violation it is if it happened all the same;
 * how a report names its denial. */
static bool is_granted(const struct bv_spec *spec, const struct sim_event *event,
                       uint32_t *ret_violation, const char **ret_family)
{
    *ret_violation = 0;
    *ret_family = "";
    switch (event->kind) {
    case SIM_READ:
    case SIM_WRITE:
        *ret_violation = event->kind == SIM_READ ? ORACLE_READ_OUTSIDE : ORACLE_WROTE_OUTSIDE;
        *ret_family = "filesystem";
        return may_touch(spec, event->subject, event->kind == SIM_WRITE);
    case SIM_CONNECT:
        *ret_violation = ORACLE_NETWORK_REACHED;
        *ret_family = "network_";
        return may_connect(spec, event->subject);
    case SIM_SPAWN:
        *ret_violation = ORACLE_SPAWNED;
        *ret_family = "spawn_";
        return may_spawn(spec);
    case SIM_USE_FD:
        *ret_violation = ORACLE_FD_LEAKED;
        *ret_family = "inherited_fds_";
        return may_use_fd(spec, event->amount);
    case SIM_BURN:
    case SIM_PRINT:
    case SIM_WAIT:
    case SIM_EXIT: return true;
    }
    return false;
}

/* ---- the report ---- */

static bool array_has(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item && strcmp(item, text) == 0) {
            return true;
        }
    }
    return false;
}

static json_int_t denied_count(const json_t *body, const char *family)
{
    const json_t *denied = json_object_get(body, "denied");
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(denied); i++) {
        const json_t *item = json_array_get(denied, i);
        const char *kind = json_string_value(json_object_get(item, "kind"));
        if (kind && strncmp(kind, family, strlen(family)) == 0) {
            sum += json_integer_value(json_object_get(item, "count"));
        }
    }
    return sum;
}

/* A report that says it carries denied attempts must count every one that the world saw refused. */
static uint32_t judge_denials(const struct bv_spec *spec, const struct sim_world *world,
                              const json_t *body)
{
    static const char *const families[] = { "filesystem", "network_", "spawn_", "inherited_fds_" };
    const json_t *supplied = json_object_get(json_object_get(body, "evidence"), "supplied");
    for (size_t f = 0;
         array_has(supplied, "denied_attempts") && f < sizeof(families) / sizeof(families[0]);
         f++) {
        json_int_t refused = 0;
        for (size_t i = 0; i < world->log_count; i++) {
            uint32_t violation;
            const char *family;
            bool granted = is_granted(spec, &world->log[i], &violation, &family);
            refused += !granted && !world->log[i].happened && strcmp(family, families[f]) == 0;
        }
        if (denied_count(body, families[f]) < refused) {
            return ORACLE_DENIAL_DROPPED;
        }
    }
    return 0;
}

static uint32_t judge_usage(const struct sim_world *world, const json_t *body)
{
    const struct {
        const char *dimension;
        uint64_t truth;
    } rows[] = {
        { "cpu_micros", world->cpu_micros },
        { "process_count", world->tasks_peak },
        { "storage_bytes", world->storage_bytes },
        { "network_bytes", world->network_bytes },
    };
    const json_t *budget = json_object_get(body, "budget");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const json_t *observed =
            json_object_get(json_object_get(budget, rows[i].dimension), "observed");
        if (json_is_integer(observed) && (uint64_t)json_integer_value(observed) != rows[i].truth) {
            return ORACLE_USAGE_UNTRUE;
        }
    }
    return 0;
}

static uint32_t judge_outcome(const struct sim_world *world, const json_t *body)
{
    const char *outcome = json_string_value(json_object_get(body, "outcome"));
    if (!outcome) {
        return ORACLE_REPORT_UNREADABLE;
    }
    if (strcmp(outcome, "supervisor_fault") == 0) {
        return ORACLE_FAULT_REPORTED;
    }
    if (!world->ended) {
        return strcmp(outcome, "completed") == 0 || strcmp(outcome, "failed") == 0
                   ? ORACLE_OUTCOME_UNTRUE
                   : 0;
    }
    const json_t *code = json_object_get(json_object_get(body, "exit"), "code");
    bool told = json_is_integer(code) && json_integer_value(code) == world->exit_code;
    return told && strcmp(outcome, world->exit_code == 0 ? "completed" : "failed") == 0
               ? 0
               : ORACLE_OUTCOME_UNTRUE;
}

/* Nothing may be called enforced that this machine cannot enforce. */
static uint32_t judge_admitted(const struct sim_world *world, const json_t *body)
{
    const json_t *admitted = json_object_get(body, "admitted");
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const json_t *item = json_array_get(admitted, i);
        const char *kind = json_string_value(json_object_get(item, "kind"));
        const char *enforcement = json_string_value(json_object_get(item, "enforcement"));
        if (!kind || !enforcement) {
            return ORACLE_REPORT_UNREADABLE;
        }
        for (unsigned k = 0; k < BV_REQUIREMENT_KIND_COUNT; k++) {
            if (strcmp(kind, bv_requirement_name((enum bv_requirement_kind)k)) == 0 &&
                strcmp(enforcement, "enforced") == 0 && !(world->can_enforce & (1u << k))) {
                return ORACLE_OVERCLAIMED;
            }
        }
    }
    return 0;
}

static bool wants_commit(const struct bv_spec *spec)
{
    for (size_t i = 0; i < spec->control_count; i++) {
        if (spec->controls[i].kind == BV_CTL_COMMIT_ARTIFACT) {
            return true;
        }
    }
    return false;
}

uint32_t oracle_judge(const struct bv_spec *spec, const struct sim_world *world, const char *report,
                      size_t report_size)
{
    uint32_t violations = 0;
    for (size_t i = 0; i < world->log_count; i++) {
        uint32_t violation;
        const char *family;
        if (!is_granted(spec, &world->log[i], &violation, &family) && world->log[i].happened) {
            violations |= violation;
        }
    }
    violations |= world->tasks_alive > 0 ? (uint32_t)ORACLE_ORPHAN_HIDDEN : 0;
    violations |= world->promoted && !wants_commit(spec) ? (uint32_t)ORACLE_COMMITTED : 0;
    violations |=
        bv_report_verify(report, report_size, NULL) != BV_OK ? (uint32_t)ORACLE_SEAL_BROKEN : 0;
    json_t *root = json_loadb(report, report_size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *body = json_object_get(root, "body");
    if (!body) {
        json_decref(root);
        return violations | ORACLE_REPORT_UNREADABLE;
    }
    uint32_t outcome = judge_outcome(world, body);
    violations |= outcome | judge_admitted(world, body);
    if (outcome != ORACLE_FAULT_REPORTED) { /* a report of a fault claims nothing of these */
        violations |= judge_denials(spec, world, body) | judge_usage(world, body);
    }
    json_decref(root);
    return violations;
}
