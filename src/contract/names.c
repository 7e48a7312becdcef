/* contract/names.c - every word that a document may use for an enum value, once.
 *
 * Reader, writer, planner and report all read these tables. Static assertions tie their lengths to the enums; the order
 * is the enums' own. The words are fixed by CONTRACT.md 3 to 9 and INTERFACE.md 2: they are part of the format. */
#include "contract/names.h"

#include "base/check.h"

#include <bvisor/artifacts.h>
#include <bvisor/report.h>
#include <string.h>

static const char *const access_words[] = { "read", "write", "read_write" };
static const char *const network_words[] = { "deny_all", "allow_list", "allow_all" };
static const char *const spawn_words[] = { "deny_new_tasks", "allow_threads", "allow_descendants" };
static const char *const durability_words[] = { "atomic", "durable", "best_effort_durable" };
static const char *const guarantee_words[] = { "mediated", "enforced" };
static const char *const dimension_words[] = {
    "wall_micros",  "cpu_micros",    "resident_bytes", "process_count",
    "handle_count", "storage_bytes", "network_bytes",
};
static const char *const claim_words[] = {
    "terminal_outcome", "captured_streams",      "resource_usage", "allowed_actions",
    "denied_attempts",  "filesystem_delta",      "process_tree",   "network_activity",
    "artifact_lineage", "mechanism_attestation",
};
static const char *const capability_words[] = { "filesystem", "network", "child_spawn",
                                                "environment", "inherited_fds" };
static const char *const control_words[] = {
    "launch_workload", "capture_streams",  "temp_root", "expose_path",
    "commit_artifact", "discard_artifact", "kill",      "list_outputs",
};
static const char *const workload_words[] = { "process", "wasm" };
static const char *const kill_words[] = { "best_effort_allowed", "atomic" };
static const char *const fds_words[] = { "none", "only" };
static const char *const requirement_words[] = {
    "filesystem",
    "network_deny_all",
    "network_allow_list",
    "network_allow_all",
    "spawn_deny_new_tasks",
    "spawn_allow_threads",
    "spawn_allow_descendants",
    "environment",
    "inherited_fds_none",
    "inherited_fds_only",
    "launch_workload",
    "capture_streams",
    "temp_root",
    "expose_path",
    "commit_artifact",
    "discard_artifact",
    "kill",
    "list_outputs",
};
static const char *const change_words[] = { "added", "modified", "removed" };
static const char *const artifact_kind_words[] = { "file", "directory", "symlink", "special" };
static const char *const enforcement_words[] = { "unsupported", "mediated", "enforced" };
static const char *const refusal_words[] = {
    "unknown_backend",        "invalid_policy", "workload_incompatible", "unsupported",
    "evidence_unsatisfiable", "budget_refused", "profile_drift",
};
static const char *const outcome_words[] = {
    "completed", "failed", "denied", "timeout", "killed", "unsupported", "supervisor_fault",
};

_Static_assert(BV_COUNT(dimension_words) == BV_DIMENSION_COUNT, "one word a dimension");
_Static_assert(BV_COUNT(claim_words) == BV_CLAIM_COUNT, "one word a claim");
_Static_assert(BV_CLAIMS_ALL == (1u << BV_CLAIM_COUNT) - 1, "claims are the low bits");
_Static_assert(BV_COUNT(capability_words) == BV_CAP_INHERITED_FDS + 1, "one word a capability");
_Static_assert(BV_COUNT(control_words) == BV_CTL_LIST_OUTPUTS + 1, "one word a control");
_Static_assert(BV_COUNT(requirement_words) == BV_REQUIREMENT_KIND_COUNT,
               "one word a requirement kind");
_Static_assert(BV_COUNT(change_words) == BV_CHANGE_REMOVED + 1, "one word a change");
_Static_assert(BV_COUNT(artifact_kind_words) == BV_ARTIFACT_SPECIAL + 1, "one word a kind of artifact");
_Static_assert(BV_COUNT(enforcement_words) == BV_ENFORCED + 1, "one word an enforcement");
_Static_assert(BV_COUNT(refusal_words) == BV_REFUSED_PROFILE_DRIFT + 1,
               "one word a refusal reason");
_Static_assert(BV_COUNT(outcome_words) == BV_OUTCOME_SUPERVISOR_FAULT + 1, "one word an outcome");

const struct bv_names bv_names_access = { access_words, BV_COUNT(access_words) };
const struct bv_names bv_names_network = { network_words, BV_COUNT(network_words) };
const struct bv_names bv_names_spawn = { spawn_words, BV_COUNT(spawn_words) };
const struct bv_names bv_names_durability = { durability_words, BV_COUNT(durability_words) };
const struct bv_names bv_names_guarantee = { guarantee_words, BV_COUNT(guarantee_words) };
const struct bv_names bv_names_dimension = { dimension_words, BV_COUNT(dimension_words) };
const struct bv_names bv_names_claim = { claim_words, BV_COUNT(claim_words) };
const struct bv_names bv_names_capability = { capability_words, BV_COUNT(capability_words) };
const struct bv_names bv_names_control = { control_words, BV_COUNT(control_words) };
const struct bv_names bv_names_workload = { workload_words, BV_COUNT(workload_words) };
const struct bv_names bv_names_kill = { kill_words, BV_COUNT(kill_words) };
const struct bv_names bv_names_fds = { fds_words, BV_COUNT(fds_words) };
static const struct bv_names requirement_names = { requirement_words, BV_COUNT(requirement_words) };
const struct bv_names bv_names_change = { change_words, BV_COUNT(change_words) };
const struct bv_names bv_names_artifact_kind = { artifact_kind_words, BV_COUNT(artifact_kind_words) };
static const struct bv_names enforcement_names = { enforcement_words, BV_COUNT(enforcement_words) };
static const struct bv_names refusal_names = { refusal_words, BV_COUNT(refusal_words) };
static const struct bv_names outcome_names = { outcome_words, BV_COUNT(outcome_words) };

const unsigned char bv_dimensions_by_name[BV_DIMENSION_COUNT] = {
    BV_CPU_MICROS,     BV_HANDLE_COUNT,  BV_NETWORK_BYTES, BV_PROCESS_COUNT,
    BV_RESIDENT_BYTES, BV_STORAGE_BYTES, BV_WALL_MICROS,
};
/* The numbers are indices of claim_words. */
const unsigned char bv_claims_by_name[BV_CLAIM_COUNT] = { 3, 8, 1, 4, 5, 9, 7, 6, 2, 0 };

const char *bv_name_of(const struct bv_names *names, size_t value)
{
    return value < names->count ? names->names[value] : "invalid";
}

bool bv_name_find(const struct bv_names *names, const char *word, size_t *ret_value)
{
    for (size_t value = 0; value < names->count; value++) {
        if (strcmp(names->names[value], word) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

const char *bv_dimension_name(enum bv_dimension dimension)
{
    return bv_name_of(&bv_names_dimension, (size_t)dimension);
}

const char *bv_claim_name(enum bv_claim claim)
{
    for (size_t bit = 0; bit < BV_CLAIM_COUNT; bit++) {
        if ((uint32_t)claim == 1u << bit) {
            return claim_words[bit];
        }
    }
    return "invalid"; /* a set, or no claim */
}

bool bv_dimension_from_name(const char *name, enum bv_dimension *ret_dimension)
{
    size_t value;
    if (!name || !bv_name_find(&bv_names_dimension, name, &value)) {
        return false;
    }
    *ret_dimension = (enum bv_dimension)value;
    return true;
}

bool bv_claim_from_name(const char *name, enum bv_claim *ret_claim)
{
    size_t bit;
    if (!name || !bv_name_find(&bv_names_claim, name, &bit)) {
        return false;
    }
    *ret_claim = (enum bv_claim)(1u << bit);
    return true;
}

const char *bv_requirement_name(enum bv_requirement_kind kind)
{
    return bv_name_of(&requirement_names, (size_t)kind);
}

const char *bv_enforcement_name(enum bv_enforcement enforcement)
{
    return bv_name_of(&enforcement_names, (size_t)enforcement);
}

const char *bv_refusal_reason_name(enum bv_refusal_reason reason)
{
    return bv_name_of(&refusal_names, (size_t)reason);
}

const char *bv_outcome_name(enum bv_outcome outcome)
{
    return bv_name_of(&outcome_names, (size_t)outcome);
}

const char *bv_change_name(enum bv_change change)
{
    return bv_name_of(&bv_names_change, (size_t)change);
}

const char *bv_artifact_kind_name(enum bv_artifact_kind kind)
{
    return bv_name_of(&bv_names_artifact_kind, (size_t)kind);
}
