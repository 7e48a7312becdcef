/* bvisor/spec.h - what a caller asks: workload, capabilities, controls, budgets, evidence.
 *
 * Plain structs: fill them with designated initialisers, or read a document with bv_spec_parse().
 * Every pointer in a spec that the caller fills stays the caller's; a call that takes a spec copies what
 * it keeps. Terms are those of CONTRACT.md 2 to 7, JSON keys those of INTERFACE.md 2. */
#ifndef BVISOR_SPEC_H
#define BVISOR_SPEC_H

#include <bvisor/base.h>
#include <bvisor/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BV_UNLIMITED UINT64_MAX /* "unlimited" in JSON */

enum bv_workload_kind { BV_WORKLOAD_PROCESS = 0, BV_WORKLOAD_WASM = 1 };

struct bv_workload {
    enum bv_workload_kind kind;
    const char *path;              /* absolute: exe of a process, module of a guest (NULL with module_bytes) */
    const char *const *args;       /* without argv[0] */
    size_t arg_count;
    const char *cwd;               /* absolute; NULL means "/" */
    const void *module_bytes;      /* Wasm only, C API only; NULL with a path */
    size_t module_size;
};

enum bv_access { BV_ACCESS_READ = 0, BV_ACCESS_WRITE = 1, BV_ACCESS_READ_WRITE = 2 };

struct bv_filesystem { /* confinement is always declared_roots_only */
    enum bv_access access;
    bool execute;
    bool recursive;
    const char *const *roots;      /* absolute, resolved, never "/" */
    size_t root_count;
};

enum bv_network_policy { BV_NETWORK_DENY_ALL = 0, BV_NETWORK_ALLOW_LIST = 1, BV_NETWORK_ALLOW_ALL = 2 };

struct bv_destination { const char *host; uint16_t port; };

struct bv_network {
    enum bv_network_policy policy;
    const struct bv_destination *destinations; /* allow_list only */
    size_t destination_count;
};

enum bv_spawn_policy { BV_SPAWN_DENY_NEW_TASKS = 0, BV_SPAWN_ALLOW_THREADS = 1, BV_SPAWN_ALLOW_DESCENDANTS = 2 };

struct bv_env_entry { /* exactly one of literal and secret is not NULL */
    const char *name;
    const char *literal;
    const char *secret; /* a reference; the value never enters a document */
};

struct bv_environment { const struct bv_env_entry *entries; size_t entry_count; };

struct bv_inherited_fds { /* fd_count 0 is policy none */
    const int32_t *fds; /* each >= 3, unique */
    size_t fd_count;
};

enum bv_capability_kind {
    BV_CAP_FILESYSTEM = 0, BV_CAP_NETWORK = 1, BV_CAP_CHILD_SPAWN = 2, BV_CAP_ENVIRONMENT = 3, BV_CAP_INHERITED_FDS = 4,
};

struct bv_capability {
    enum bv_capability_kind kind;
    union {
        struct bv_filesystem filesystem;
        struct bv_network network;
        enum bv_spawn_policy child_spawn;
        struct bv_environment environment;
        struct bv_inherited_fds inherited_fds;
    } u;
};

enum bv_control_kind {
    BV_CTL_LAUNCH_WORKLOAD = 0, BV_CTL_CAPTURE_STREAMS = 1, BV_CTL_TEMP_ROOT = 2, BV_CTL_EXPOSE_PATH = 3,
    BV_CTL_COMMIT_ARTIFACT = 4, BV_CTL_DISCARD_ARTIFACT = 5, BV_CTL_KILL = 6, BV_CTL_LIST_OUTPUTS = 7,
};

enum bv_durability { BV_DURABILITY_ATOMIC = 0, BV_DURABILITY_DURABLE = 1, BV_DURABILITY_BEST_EFFORT = 2 };

struct bv_capture { bool out, err, in; }; /* keys stdout, stderr, stdin */
struct bv_temp_root { bool sized; uint64_t size_bytes; }; /* visibility is always private_to_boundary */
struct bv_expose { const char *source; const char *dest; enum bv_access access; }; /* read or read_write; view is always private_to_boundary */
struct bv_kill { bool atomic; }; /* guarantee atomic, or best_effort_allowed; target is always run_tree */

struct bv_control {
    enum bv_control_kind kind;
    union {
        struct bv_capture capture;
        struct bv_temp_root temp_root;
        struct bv_expose expose;
        enum bv_durability commit;
        struct bv_kill kill;
    } u;
};

/* Canonical order of the seven budgets. */
enum bv_dimension {
    BV_WALL_MICROS = 0, BV_CPU_MICROS = 1, BV_RESIDENT_BYTES = 2, BV_PROCESS_COUNT = 3,
    BV_HANDLE_COUNT = 4, BV_STORAGE_BYTES = 5, BV_NETWORK_BYTES = 6,
};
#define BV_DIMENSION_COUNT 7

enum bv_guarantee { BV_GUARANTEE_MEDIATED = 0, BV_GUARANTEE_ENFORCED = 1 };

/* Claims of evidence: bits of a set. Names in JSON are these in lower case without the prefix. */
enum bv_claim {
    BV_CLAIM_TERMINAL_OUTCOME = 1 << 0, BV_CLAIM_CAPTURED_STREAMS = 1 << 1, BV_CLAIM_RESOURCE_USAGE = 1 << 2,
    BV_CLAIM_ALLOWED_ACTIONS = 1 << 3, BV_CLAIM_DENIED_ATTEMPTS = 1 << 4, BV_CLAIM_FILESYSTEM_DELTA = 1 << 5,
    BV_CLAIM_PROCESS_TREE = 1 << 6, BV_CLAIM_NETWORK_ACTIVITY = 1 << 7, BV_CLAIM_ARTIFACT_LINEAGE = 1 << 8,
    BV_CLAIM_MECHANISM_ATTESTATION = 1 << 9,
};
#define BV_CLAIM_COUNT 10
#define BV_CLAIMS_ALL 0x3ffu

struct bv_budget_request {
    uint64_t limit; /* <= 2^53-1, or BV_UNLIMITED */
    enum bv_guarantee guarantee;
    uint32_t evidence; /* set of enum bv_claim */
};

struct bv_spec {
    struct bv_workload workload;
    const struct bv_capability *capabilities;
    size_t capability_count;
    const struct bv_control *controls;
    size_t control_count;
    struct bv_budget_request budgets[BV_DIMENSION_COUNT]; /* in canonical order */
    uint32_t require_evidence;      /* set of enum bv_claim: evidence.require and the two require_ flags */
};

/* Reads a "bvisor.spec/1" document. text need not end in NUL. On BV_OK *ret_spec owns everything in it until
 * bv_spec_free(). BV_E_INVALID: malformed; error->place is a JSON pointer (or "line L column C" where the text is not
 * JSON). BV_E_NOMEM. On failure *ret_spec is not written. Source: INTERFACE.md 2. */
BV_API BV_MUST_CHECK enum bv_status bv_spec_parse(const char *text, size_t size, struct bv_spec **ret_spec,
                                                  struct bv_error *error);

/* Frees a spec that bv_spec_parse() made. bv_spec_free(NULL) does nothing. */
BV_API void bv_spec_free(struct bv_spec *spec);

/* Checks a spec that a program filled by the same rules as a written one: BV_OK, or BV_E_INVALID with place a JSON pointer. */
BV_API BV_MUST_CHECK enum bv_status bv_spec_check(const struct bv_spec *spec, struct bv_error *error);

/* Writes the spec as a canonical document; *ret_text is NUL-terminated, freed with bv_free(). BV_E_INVALID, BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_spec_json(const struct bv_spec *spec, char **ret_text, struct bv_error *error);

/* The JSON Schema (2020-12) of specs; static storage. */
BV_API const char *bv_spec_schema(void);

/* Names as documents write them ("wall_micros", "terminal_outcome"); static storage; never NULL. */
BV_API const char *bv_dimension_name(enum bv_dimension dimension);
BV_API const char *bv_claim_name(enum bv_claim claim);
/* The claim or dimension of a name; false if there is none (the output is then not written). */
BV_API bool bv_dimension_from_name(const char *name, enum bv_dimension *ret_dimension);
BV_API bool bv_claim_from_name(const char *name, enum bv_claim *ret_claim);

#ifdef __cplusplus
}
#endif
#endif
