/* backend/wasm/profile.c - facts -> typed words and the ceiling of every row of the matrix. Pure and deterministic.
 *
 * Nearly every row holds by construction: a guest can name nothing that is not handed to it. The machine is needed for one
 * thing, resolving a path beneath a directory without a race; without openat2 no guest is given a directory, and none runs. */
#include "backend/wasm/guest.h"

#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *fact(const struct bv_snapshot *facts, const char *key)
{
    const char *value = bv_snapshot_get(facts, key);
    return value ? value : "not probed";
}

static void enforce(struct bv_verdict *verdict, uint32_t evidence, const char *mechanism)
{
    verdict->enforcement = BV_ENFORCED;
    verdict->evidence = evidence;
    bv_copy_text(verdict->mechanism, sizeof(verdict->mechanism), mechanism);
}

static void refuse(struct bv_verdict *verdict, const char *why, const char *remedy)
{
    verdict->enforcement = BV_UNSUPPORTED;
    bv_copy_text(verdict->why, sizeof(verdict->why), why);
    bv_copy_text(verdict->remedy, sizeof(verdict->remedy), remedy);
}

static void ceiling_row(enum bv_requirement_kind kind, uint32_t attested,
                        struct bv_verdict *verdict)
{
    static const char no_socket[] =
        "a guest has no sockets: WASI preview 1 can make none, and none is handed in";
    static const char no_task[] = "no WebAssembly instruction and no WASI call makes a task";
    const uint32_t denials = attested | BV_CLAIM_DENIED_ATTEMPTS;
    switch (kind) {
    case BV_REQ_FILESYSTEM:
        enforce(verdict, denials,
                attested ? "wasm:wasi_preopens+openat2_beneath+landlock"
                         : "wasm:wasi_preopens+openat2_beneath");
        return;
    case BV_REQ_NETWORK_DENY_ALL:
        enforce(verdict, attested | BV_CLAIM_NETWORK_ACTIVITY,
                attested ? "wasm:no_socket_exists+seccomp" : "wasm:no_socket_exists");
        return;
    case BV_REQ_NETWORK_ALLOW_LIST:
    case BV_REQ_NETWORK_ALLOW_ALL:
        refuse(verdict, no_socket, "--net none, or a native program with --backend linux");
        return;
    case BV_REQ_SPAWN_DENY_NEW_TASKS:
        enforce(verdict, attested,
                attested ? "wasm:no_instruction_makes_a_task+seccomp"
                         : "wasm:no_instruction_makes_a_task");
        return;
    case BV_REQ_SPAWN_ALLOW_THREADS:
    case BV_REQ_SPAWN_ALLOW_DESCENDANTS:
        refuse(verdict, no_task, "--spawn none, or a native program with --backend linux");
        return;
    case BV_REQ_ENVIRONMENT: enforce(verdict, attested, "wasm:wasi_environ"); return;
    case BV_REQ_INHERITED_FDS_NONE:
        enforce(verdict, attested, "wasm:wasi_descriptor_table");
        return;
    case BV_REQ_INHERITED_FDS_ONLY: enforce(verdict, denials, "wasm:wasi_preopened_files"); return;
    case BV_REQ_LAUNCH_WORKLOAD:
        enforce(verdict,
                denials | BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS |
                    BV_CLAIM_RESOURCE_USAGE | BV_CLAIM_ALLOWED_ACTIONS | BV_CLAIM_PROCESS_TREE,
                "wasm:interpreter");
        return;
    case BV_REQ_CAPTURE_STREAMS:
        enforce(verdict, BV_CLAIM_CAPTURED_STREAMS, "wasm:wasi_sinks");
        return;
    case BV_REQ_TEMP_ROOT:
        enforce(verdict, denials, "wasm:wasi_preopen_of_a_directory_of_its_own");
        return;
    case BV_REQ_EXPOSE_PATH:
        enforce(verdict, denials,
                attested ? "wasm:wasi_preopens+openat2_beneath+landlock"
                         : "wasm:wasi_preopens+openat2_beneath");
        return;
    case BV_REQ_KILL: enforce(verdict, BV_CLAIM_TERMINAL_OUTCOME, "wasm:interpreter_stops"); return;
    case BV_REQ_COMMIT_ARTIFACT:
    case BV_REQ_DISCARD_ARTIFACT:
    case BV_REQ_LIST_OUTPUTS: return; /* ceiling_staging() */
    }
    BV_UNREACHABLE();
}

/* The layer of copies is ours; the state directory's file system must hold what it is made of. */
static void ceiling_staging(const struct bv_profile *profile, uint32_t attested, struct bv_verdict *verdict)
{
    const char *value = fact(profile->facts, GUEST_FACT_STAGING);
    if (profile->word[GUEST_STAGING]) {
        enforce(verdict, attested | BV_CLAIM_FILESYSTEM_DELTA | BV_CLAIM_ARTIFACT_LINEAGE,
                "wasm:copy_on_write_below_wasi");
        return;
    }
    const bool tried = strcmp(value, "not probed") != 0;
    char why[200];
    (void)snprintf(why, sizeof(why), "%s (%s: %.60s)",
                   tried ? "the state directory's file system cannot hold what a run stages"
                         : "no state directory was given in which to stage",
                   GUEST_FACT_STAGING, value);
    refuse(verdict, why,
           tried ? "a state directory on ext4, xfs, btrfs, or tmpfs since Linux 6.6: XDG_STATE_HOME or --journal DIR"
                 : "set HOME or XDG_STATE_HOME, or --journal DIR");
}

static bool is_staging(int kind)
{
    return kind == BV_REQ_COMMIT_ARTIFACT || kind == BV_REQ_DISCARD_ARTIFACT || kind == BV_REQ_LIST_OUTPUTS;
}

static void fill_words(const struct bv_snapshot *facts, uint64_t word[64])
{
    memset(word, 0, 64 * sizeof(word[0]));
    const uint64_t fuel = strtoull(fact(facts, GUEST_FACT_FUEL), NULL, 10);
    word[GUEST_FUEL_PER_MICRO] = fuel > 0 ? fuel : GUEST_FUEL_PER_MICRO_DEFAULT;
    word[GUEST_STAGING] = strcmp(fact(facts, GUEST_FACT_STAGING), "ok") == 0;
    word[GUEST_OPENAT2] = strcmp(fact(facts, GUEST_FACT_OPENAT2), "ok") == 0;
    if (strcmp(fact(facts, GUEST_FACT_CONFINE), "asked") == 0 &&
        strcmp(fact(facts, GUEST_FACT_SECCOMP), "ok") == 0) {
        word[GUEST_LANDLOCK_ABI] = strtoull(fact(facts, GUEST_FACT_LANDLOCK), NULL, 10);
    }
}

void guest_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    (void)context;
    profile->facts = facts;
    fill_words(facts, profile->word);
    const uint32_t attested =
        profile->word[GUEST_LANDLOCK_ABI] > 0 ? BV_CLAIM_MECHANISM_ATTESTATION : 0;
    for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        struct bv_verdict *verdict = &profile->ceiling[kind];
        memset(verdict, 0, sizeof(*verdict));
        ceiling_row((enum bv_requirement_kind)kind, attested, verdict);
        if (is_staging(kind)) {
            ceiling_staging(profile, attested, verdict);
        }
        if (!profile->word[GUEST_OPENAT2] && verdict->enforcement != BV_UNSUPPORTED) {
            char why[160];
            memset(verdict, 0, sizeof(*verdict));
            (void)snprintf(why, sizeof(why),
                           "openat2, which keeps paths beneath a directory: %.40s",
                           fact(facts, GUEST_FACT_OPENAT2));
            refuse(verdict, why,
                   "Linux 5.6 or later; in a container, a seccomp profile that allows it");
        }
    }
}
