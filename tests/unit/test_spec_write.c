/* tests/unit/test_spec_write.c - structs to documents: exact bytes, every kind, and equality after reading back. */
#include "contract/contract.h"

#include "support/spec_text.h"
#include "support/tap.h"

static const char full_canonical[] =
    "{\"budgets\":{\"cpu_micros\":{\"evidence\":[\"resource_usage\"],\"guarantee\":\"mediated\","
    "\"limit\":\"unlimited\"},"
    "\"handle_count\":{\"evidence\":[],\"guarantee\":\"mediated\",\"limit\":64},"
    "\"network_bytes\":{\"evidence\":[],\"guarantee\":\"mediated\",\"limit\":0},"
    "\"process_count\":{\"evidence\":[\"allowed_actions\",\"process_tree\"],\"guarantee\":"
    "\"enforced\",\"limit\":4},"
    "\"resident_bytes\":{\"evidence\":[],\"guarantee\":\"enforced\",\"limit\":9007199254740991},"
    "\"storage_bytes\":{\"evidence\":[],\"guarantee\":\"mediated\",\"limit\":1},"
    "\"wall_micros\":{\"evidence\":[],\"guarantee\":\"mediated\",\"limit\":10000000}},"
    "\"capabilities\":[{\"filesystem\":{\"access\":\"read_write\",\"confinement\":\"declared_roots_"
    "only\",\"execute\":false,"
    "\"recursive\":true,\"roots\":[\"/srv/job\",\"/srv/more\"]}},"
    "{\"network\":{\"destinations\":[{\"host\":\"example.org\",\"port\":443}],\"policy\":\"allow_"
    "list\"}},"
    "{\"child_spawn\":{\"policy\":\"allow_threads\"}},"
    "{\"environment\":{\"exact\":[{\"literal\":\"C.UTF-8\",\"name\":\"LANG\"},{\"name\":\"TOKEN\","
    "\"secret\":\"ci/token\"}]}},"
    "{\"inherited_fds\":{\"fds\":[3,7],\"policy\":\"only\"}}],"
    "\"controls\":[{\"launch_workload\":{}},{\"capture_streams\":{\"stderr\":true,\"stdin\":false,"
    "\"stdout\":true}},"
    "{\"temp_root\":{\"size_bytes\":268435456,\"visibility\":\"private_to_boundary\"}},"
    "{\"expose_path\":{\"access\":\"read\",\"dest\":\"/in\",\"source\":\"/"
    "data\",\"view\":\"private_to_boundary\"}},"
    "{\"commit_artifact\":{\"durability\":\"atomic\"}},{\"discard_artifact\":{}},{\"list_outputs\":"
    "{}},"
    "{\"kill\":{\"guarantee\":\"atomic\",\"target\":\"run_tree\"}}],"
    "\"evidence\":{\"require\":[\"mechanism_attestation\"],\"require_captured_streams\":true,"
    "\"require_exit_status\":true},"
    "\"schema\":\"bvisor.spec/1\","
    "\"workload\":{\"process\":{\"args\":[\"/srv/job/job.py\",\"\",\"\xc3\xa9\\n\"],\"cwd\":\"/srv/"
    "job\",\"exe\":\"/usr/bin/python3\"}}}";

static const char small_canonical_end[] =
    "\"capabilities\":[],\"controls\":[],"
    "\"evidence\":{\"require\":[],\"require_captured_streams\":false,\"require_exit_status\":false}"
    ","
    "\"schema\":\"bvisor.spec/1\",\"workload\":{\"process\":{\"args\":[],\"cwd\":\"/\",\"exe\":\"/"
    "bin/true\"}}}";

/* parse -> write; NULL when either fails. */
static char *rewrite(const char *text)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    char *written = NULL;
    if (bv_spec_parse(text, strlen(text), &spec, &error) == BV_OK) {
        if (bv_spec_json(spec, &written, &error) != BV_OK) {
            written = NULL;
        }
    }
    if (!written) {
        tap_note("%s: %s", error.place, error.text);
    }
    bv_spec_free(spec);
    return written;
}

static void test_bytes(void)
{
    char *text = rewrite(full_spec);
    tap_text(text, full_canonical, "the full spec, canonical");
    char *again = text ? rewrite(text) : NULL;
    tap_text(again, full_canonical, "is its own canonical form");
    bv_free(text);
    bv_free(again);
    text = rewrite(small_spec);
    const char *end = text ? strstr(text, "\"capabilities\"") : NULL;
    tap_text(end, small_canonical_end, "defaults are written out");
    bv_free(text);
}

static void expect_json(json_t *value, const char *wanted, const char *name)
{
    char *text = value ? bv_json_text(value, 1 << 16) : NULL;
    tap_text(text, wanted, "%s", name);
    free(text);
    json_decref(value);
}

static void expect_workload(const struct bv_workload *workload, const char *wanted,
                            const char *name)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, 1 << 16);
    bv_emit_init(&emit, &buf);
    bv_emit_object(&emit, NULL);
    bv_workload_emit(&emit, workload);
    bv_emit_end(&emit);
    tap_text(buf.data, wanted, "%s", name);
    bv_buf_done(&buf);
}

static void test_kinds(void)
{
    struct bv_capability capability = { .kind = BV_CAP_NETWORK,
                                        .u.network = { .policy = BV_NETWORK_DENY_ALL } };
    expect_json(bv_capability_to_json(&capability), "{\"network\":{\"policy\":\"deny_all\"}}",
                "deny_all");
    capability.u.network.policy = BV_NETWORK_ALLOW_ALL;
    expect_json(bv_capability_to_json(&capability), "{\"network\":{\"policy\":\"allow_all\"}}",
                "allow_all");
    static const char *const spawn[] = { "deny_new_tasks", "allow_threads", "allow_descendants" };
    for (int i = 0; i < 3; i++) {
        char wanted[80];
        (void)snprintf(wanted, sizeof(wanted), "{\"child_spawn\":{\"policy\":\"%s\"}}", spawn[i]);
        capability = (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                             .u.child_spawn = (enum bv_spawn_policy)i };
        expect_json(bv_capability_to_json(&capability), wanted, spawn[i]);
    }
    capability = (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS };
    expect_json(bv_capability_to_json(&capability), "{\"inherited_fds\":{\"policy\":\"none\"}}",
                "no descriptors");
    capability = (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT };
    expect_json(bv_capability_to_json(&capability), "{\"environment\":{\"exact\":[]}}",
                "an empty environment");
    struct bv_control control = { .kind = BV_CTL_TEMP_ROOT };
    expect_json(bv_control_to_json(&control),
                "{\"temp_root\":{\"visibility\":\"private_to_boundary\"}}",
                "a temp root of the default size");
    control = (struct bv_control){ .kind = BV_CTL_KILL };
    expect_json(bv_control_to_json(&control),
                "{\"kill\":{\"guarantee\":\"best_effort_allowed\",\"target\":\"run_tree\"}}",
                "kill, best effort");
    control = (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT,
                                   .u.commit = BV_DURABILITY_BEST_EFFORT };
    expect_json(bv_control_to_json(&control),
                "{\"commit_artifact\":{\"durability\":\"best_effort_durable\"}}",
                "commit, best effort");
    struct bv_workload wasm = { .kind = BV_WORKLOAD_WASM, .path = "/m.wasm" };
    expect_workload(&wasm, "{\"wasm\":{\"args\":[],\"cwd\":\"/\",\"module\":\"/m.wasm\"}}",
                    "a module by path");
    wasm =
        (struct bv_workload){ .kind = BV_WORKLOAD_WASM, .module_bytes = "abc", .module_size = 3 };
    expect_workload(&wasm,
                    "{\"wasm\":{\"args\":[],\"cwd\":\"/\",\"module_digest\":"
                    "\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}",
                    "a module by bytes is written as their digest");
}

/* Every set of claims survives the way out and back, in both places that hold one. */
static void test_claim_sets(void)
{
    bool same = true, sorted = true;
    for (uint32_t set = 0; set <= BV_CLAIMS_ALL && same; set++) {
        struct bv_spec spec = { .workload = { .path = "/bin/true" }, .require_evidence = set };
        spec.budgets[BV_WALL_MICROS].evidence = set;
        char *text = NULL;
        struct bv_spec *back = NULL;
        same = bv_spec_json(&spec, &text, NULL) == BV_OK &&
               bv_spec_parse(text, strlen(text), &back, NULL) == BV_OK &&
               back->require_evidence == set && back->budgets[BV_WALL_MICROS].evidence == set;
        const char *a = text ? strstr(text, "allowed_actions") : NULL,
                   *d = text ? strstr(text, "denied_attempts") : NULL;
        sorted = sorted && (!a || !d || a < d);
        bv_spec_free(back);
        bv_free(text);
    }
    tap_ok(same, "1024 sets of claims read back equal");
    tap_ok(sorted, "and are written in order of their names");
}

int main(void)
{
    test_bytes();
    test_kinds();
    test_claim_sets();
    return tap_done();
}
