/* tests/unit/test_spec_read.c - documents to structs: shape, types, keys, and every fault's place. */
#include "contract/contract.h"

#include "support/spec_text.h"
#include "support/tap.h"

static const struct {
    const char *find, *with, *place, *why;
} faults[] = {
    /* the document */
    { "\"schema\": \"bvisor.spec/1\",", "", "/schema", "is missing" },
    { "\"bvisor.spec/1\"", "\"bvisor.spec/2\"", "/schema", "must be bvisor.spec/1" },
    { "\"bvisor.spec/1\"", "1", "/schema", "must be bvisor.spec/1" },
    { "\"schema\"", "\"extra\": 1, \"schema\"", "/extra", "unknown key" },
    { "\"schema\"", "\"a/b~c\": 1, \"schema\"", "/a~1b~0c", "unknown key" },
    { "\"schema\"", "\"schema\": 1, \"schema\"", "/schema", "duplicate key" },
    /* workload */
    { "\"workload\"", "\"work\"", "/work", "unknown key" },
    { "{ \"process\": {", "{ \"proc\": {", "/workload/proc",
      "unknown key, must be one of process, wasm" },
    { "{ \"process\": {", "{ \"wasm\": {}, \"process\": {", "/workload",
      "must hold exactly one of process, wasm" },
    { "{ \"process\": {", "{ \"wasm\": {", "/workload/wasm/exe", "unknown key" },
    { "\"exe\": \"/usr/bin/python3\",", "", "/workload/process/exe", "is missing" },
    { "\"/usr/bin/python3\"", "null", "/workload/process/exe", "must be a string" },
    { "\"exe\"", "\"exe\": \"/a\", \"exe\"", "/workload/process/exe", "duplicate key" },
    { "\"exe\"", "\"argv0\": \"a\", \"exe\"", "/workload/process/argv0", "unknown key" },
    { "[\"/srv/job/job.py\",", "[1,", "/workload/process/args/0", "must be a string" },
    { "\"args\": [\"/srv/job/job.py\", \"\", \"\\u00e9\\n\"]", "\"args\": \"x\"",
      "/workload/process/args", "must be an array" },
    { "\"\\u00e9\\n\"", "\"\\u0000\"", "/workload/process/args/2", "must not hold NUL" },
    { "\"cwd\": \"/srv/job\"", "\"cwd\": []", "/workload/process/cwd", "must be a string" },
    { "\"process\": {", "\"process\": [{", "line 2 column", "expected ','" },
    /* capabilities */
    { "\"capabilities\": [", "\"capabilities\": {}, \"x\": [", "/x", "unknown key" },
    { "{ \"filesystem\": {", "1, { \"filesystem\": {", "/capabilities/0", "must be an object" },
    { "{ \"filesystem\": {", "{}, { \"filesystem\": {", "/capabilities/0",
      "must hold exactly one of filesystem, network" },
    { "{ \"filesystem\": {", "{ \"fs\": {", "/capabilities/0/fs",
      "unknown key, must be one of filesystem" },
    { "{ \"filesystem\": {", "{ \"child_spawn\": {}, \"filesystem\": {", "/capabilities/0",
      "exactly one" },
    { "\"access\": \"read_write\"", "\"access\": \"rw\"", "/capabilities/0/filesystem/access",
      "must be one of read, write, read_write" },
    { "\"access\": \"read_write\"", "\"access\": 1", "/capabilities/0/filesystem/access",
      "must be one of" },
    { "\"access\": \"read_write\",", "", "/capabilities/0/filesystem/access", "is missing" },
    { "\"execute\": false", "\"execute\": 0", "/capabilities/0/filesystem/execute",
      "must be true or false" },
    { "\"roots\": [\"/srv/job\", \"/srv/more\"],", "", "/capabilities/0/filesystem/roots",
      "is missing" },
    { "\"/srv/more\"", "[]", "/capabilities/0/filesystem/roots/1", "must be a string" },
    { "\"recursive\": true", "\"recursive\": \"yes\"", "/capabilities/0/filesystem/recursive",
      "must be true or false" },
    { "\"declared_roots_only\"", "\"none\"", "/capabilities/0/filesystem/confinement",
      "must be declared_roots_only" },
    { "\"recursive\"", "\"recursiv\"", "/capabilities/0/filesystem/recursiv", "unknown key" },
    { "\"access\": \"read_write\"", "\"access\": \"read\", \"access\": \"read\"",
      "/capabilities/0/filesystem/access", "duplicate key" },
    { "\"policy\": \"allow_list\",", "", "/capabilities/1/network/policy", "is missing" },
    { "\"allow_list\"", "\"allow\"", "/capabilities/1/network/policy",
      "must be one of deny_all, allow_list, allow_all" },
    { "\"allow_list\"", "\"allow_all\"", "/capabilities/1/network/destinations",
      "belongs to the policy allow_list" },
    { "\"policy\": \"allow_list\", \"destinations\": [", "\"policy\": \"allow_list\", \"to\": [",
      "/capabilities/1/network/to", "unknown key" },
    { "\"host\": \"example.org\",", "", "/capabilities/1/network/destinations/0/host",
      "is missing" },
    { "\"port\": 443", "\"port\": \"443\"", "/capabilities/1/network/destinations/0/port",
      "must be an integer" },
    { "\"port\": 443", "\"port\": -1", "/capabilities/1/network/destinations/0/port",
      "must not be negative" },
    { "\"port\": 443", "\"port\": 65536", "/capabilities/1/network/destinations/0/port",
      "must be at most 65535" },
    { "\"port\": 443", "\"port\": 443, \"proto\": \"tcp\"",
      "/capabilities/1/network/destinations/0/proto", "unknown key" },
    { "[ { \"host\"", "[ 5, { \"host\"", "/capabilities/1/network/destinations/0",
      "must be an object" },
    { "\"allow_threads\"", "\"threads\"", "/capabilities/2/child_spawn/policy",
      "must be one of deny_new_tasks" },
    { "\"policy\": \"allow_threads\"", "", "/capabilities/2/child_spawn/policy", "is missing" },
    { "\"policy\": \"allow_threads\"", "\"policy\": \"allow_threads\", \"max\": 3",
      "/capabilities/2/child_spawn/max", "unknown key" },
    { "\"exact\": [", "\"inherit\": [", "/capabilities/3/environment/inherit", "unknown key" },
    { "{ \"name\": \"LANG\"", "[], { \"name\": \"LANG\"", "/capabilities/3/environment/exact/0",
      "must be an object" },
    { "\"name\": \"LANG\",", "", "/capabilities/3/environment/exact/0/name", "is missing" },
    { "\"C.UTF-8\"", "8", "/capabilities/3/environment/exact/0/literal", "must be a string" },
    { "\"ci/token\"", "true", "/capabilities/3/environment/exact/1/secret", "must be a string" },
    { "\"name\": \"TOKEN\"", "\"nam\": \"TOKEN\"", "/capabilities/3/environment/exact/1/nam",
      "unknown key" },
    { "\"policy\": \"only\"", "\"policy\": \"some\"", "/capabilities/4/inherited_fds/policy",
      "must be one of none, only" },
    { "\"policy\": \"only\"", "\"policy\": \"none\"", "/capabilities/4/inherited_fds/fds",
      "belongs to the policy only" },
    { ", \"fds\": [3, 7]", "", "/capabilities/4/inherited_fds/fds", "is missing" },
    { "[3, 7]", "[]", "/capabilities/4/inherited_fds/fds", "must name at least one" },
    { "[3, 7]", "[3, -7]", "/capabilities/4/inherited_fds/fds/1", "must not be negative" },
    { "[3, 7]", "[2147483648]", "/capabilities/4/inherited_fds/fds/0",
      "must be at most 2147483647" },
    { "[3, 7]", "[3, \"7\"]", "/capabilities/4/inherited_fds/fds/1", "must be an integer" },
    { "[3, 7]", "[3.0]", "/capabilities/4/inherited_fds/fds/0", "must be an integer" },
    /* controls */
    { "\"launch_workload\": {}", "\"launch_workload\": 1", "/controls/0/launch_workload",
      "must be an object" },
    { "\"launch_workload\": {}", "\"launch_workload\": {\"now\": true}",
      "/controls/0/launch_workload/now", "unknown key" },
    { "\"launch_workload\": {}", "\"launch\": {}", "/controls/0/launch",
      "unknown key, must be one of launch_workload" },
    { "\"stdout\": true", "\"stdout\": 1", "/controls/1/capture_streams/stdout",
      "must be true or false" },
    { "\"stderr\": true", "\"err\": true", "/controls/1/capture_streams/err", "unknown key" },
    { "\"visibility\": \"private_to_boundary\"", "\"visibility\": \"shared\"",
      "/controls/2/temp_root/visibility", "must be private_to_boundary" },
    { "268435456", "-1", "/controls/2/temp_root/size_bytes", "must not be negative" },
    { "268435456", "\"1M\"", "/controls/2/temp_root/size_bytes", "must be an integer" },
    { "268435456", "18446744073709551616", "/controls/2/temp_root/size_bytes",
      "number out of range" },
    { "\"source\": \"/data\",", "", "/controls/3/expose_path/source", "is missing" },
    { "\"dest\": \"/in\",", "", "/controls/3/expose_path/dest", "is missing" },
    { "\"access\": \"read\", \"view\"", "\"view\"", "/controls/3/expose_path/access",
      "is missing" },
    { "\"view\": \"private_to_boundary\"", "\"view\": \"host\"", "/controls/3/expose_path/view",
      "must be private_to_boundary" },
    { "\"durability\": \"atomic\"", "\"durability\": \"maybe\"",
      "/controls/4/commit_artifact/durability", "must be one of atomic, durable" },
    { "\"durability\": \"atomic\"", "", "/controls/4/commit_artifact/durability", "is missing" },
    { "\"discard_artifact\": {}", "\"discard_artifact\": []", "/controls/5/discard_artifact",
      "must be an object" },
    { "\"list_outputs\": {}", "\"list_outputs\": {\"a\": 1}", "/controls/6/list_outputs/a",
      "unknown key" },
    { "\"target\": \"run_tree\"", "\"target\": \"process\"", "/controls/7/kill/target",
      "must be run_tree" },
    { "\"guarantee\": \"atomic\"", "\"guarantee\": \"hard\"", "/controls/7/kill/guarantee",
      "must be one of best_effort_allowed, atomic" },
    { ", \"guarantee\": \"atomic\"", "", "/controls/7/kill/guarantee", "is missing" },
    /* budgets */
    { "\"budgets\"", "\"budget\"", "/budget", "unknown key" },
    { "\"wall_micros\": {", "\"wall\": {", "/budgets/wall", "unknown key" },
    { "    \"cpu_micros\": { \"limit\": \"unlimited\", \"guarantee\": \"mediated\", \"evidence\": "
      "[\"resource_usage\"] },\n",
      "", "/budgets/cpu_micros", "is missing" },
    { "\"wall_micros\": {", "\"uniform\": {}, \"wall_micros\": {", "/budgets",
      "uniform stands for all seven" },
    { "\"limit\": 10000000, ", "", "/budgets/wall_micros/limit", "is missing" },
    { "10000000", "-1", "/budgets/wall_micros/limit", "must not be negative" },
    { "10000000", "1e3", "/budgets/wall_micros/limit", "must be an integer" },
    { "10000000", "9007199254740992", "/budgets/wall_micros/limit", "number out of range" },
    { "10000000", "18446744073709551616", "/budgets/wall_micros/limit", "number out of range" },
    { "10000000", "NaN", "line 16 column", "expected a value" },
    { "\"unlimited\"", "\"none\"", "/budgets/cpu_micros/limit",
      "must be an integer or \"unlimited\"" },
    { "\"unlimited\"", "null", "/budgets/cpu_micros/limit", "must be an integer or \"unlimited\"" },
    { "\"guarantee\": \"mediated\", \"evidence\": [] },\n    \"cpu",
      "\"evidence\": [] },\n    \"cpu", "/budgets/wall_micros/guarantee", "is missing" },
    { "\"guarantee\": \"mediated\"", "\"guarantee\": \"hard\"", "/budgets/wall_micros/guarantee",
      "must be one of mediated, enforced" },
    { "[\"resource_usage\"]", "\"resource_usage\"", "/budgets/cpu_micros/evidence",
      "must be an array" },
    { "[\"resource_usage\"]", "[\"usage\"]", "/budgets/cpu_micros/evidence/0",
      "must be one of terminal_outcome" },
    { "[\"resource_usage\"]", "[1]", "/budgets/cpu_micros/evidence/0",
      "must be one of terminal_outcome" },
    { "[\"resource_usage\"]", "[\"process_tree\", \"process_tree\"]",
      "/budgets/cpu_micros/evidence/1", "named twice" },
    { "\"limit\": 4,", "\"limit\": 4, \"max\": 5,", "/budgets/process_count/max", "unknown key" },
    { "\"network_bytes\": {", "\"network_bytes\": 5, \"x\": {", "/budgets/x", "unknown key" },
    /* evidence */
    { "\"require_exit_status\": true", "\"require_exit_status\": 1",
      "/evidence/require_exit_status", "must be true or false" },
    { "\"require_exit_status\": true", "\"exit_status\": true", "/evidence/exit_status",
      "unknown key" },
    { "[\"mechanism_attestation\"]", "[\"trust\"]", "/evidence/require/0", "must be one of" },
    { "\"evidence\": { \"require_captured", "\"evidence\": [], \"e\": { \"require_captured", "/e",
      "unknown key" },
};

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char *text = edit_spec(full_spec, faults[i].find, faults[i].with);
        struct bv_error error = { 0 };
        struct bv_spec *spec = NULL;
        enum bv_status status = bv_spec_parse(text, strlen(text), &spec, &error);
        bool same_place = faults[i].place[0] == '/'
                              ? strcmp(error.place, faults[i].place) == 0
                              : strncmp(error.place, faults[i].place, strlen(faults[i].place)) == 0;
        tap_ok(status == BV_E_INVALID && error.status == status && !spec && same_place &&
                   strstr(error.text, faults[i].why) && !strchr(error.text, '\n'),
               "%s -> %s: %s", faults[i].with[0] ? faults[i].with : faults[i].find, error.place,
               error.text);
        bv_spec_free(spec);
        free(text);
    }
    static const char *const roots[][2] = { { "[]", "must be an object" },
                                            { "3", "must be an object" },
                                            { "null", "must be an object" },
                                            { "{}", "is missing" } };
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct bv_error error = { 0 };
        struct bv_spec *spec = NULL;
        tap_ok(bv_spec_parse(roots[i][0], strlen(roots[i][0]), &spec, &error) == BV_E_INVALID &&
                   strstr(error.text, roots[i][1]),
               "%s -> %s: %s", roots[i][0], error.place, error.text);
    }
}

static bool texts_are(const char *const *texts, size_t count, const char *first, const char *second)
{
    return count == 2 && strcmp(texts[0], first) == 0 && strcmp(texts[1], second) == 0;
}

static void test_capabilities(const struct bv_spec *spec)
{
    const struct bv_capability *c = spec->capabilities;
    if (!tap_ok(spec->capability_count == 5, "five capabilities")) {
        return;
    }
    tap_ok(c[0].kind == BV_CAP_FILESYSTEM && c[0].u.filesystem.access == BV_ACCESS_READ_WRITE &&
               !c[0].u.filesystem.execute && c[0].u.filesystem.recursive &&
               texts_are(c[0].u.filesystem.roots, c[0].u.filesystem.root_count, "/srv/job",
                         "/srv/more"),
           "filesystem");
    tap_ok(c[1].kind == BV_CAP_NETWORK && c[1].u.network.policy == BV_NETWORK_ALLOW_LIST &&
               c[1].u.network.destination_count == 1 &&
               strcmp(c[1].u.network.destinations[0].host, "example.org") == 0 &&
               c[1].u.network.destinations[0].port == 443,
           "network");
    tap_ok(c[2].kind == BV_CAP_CHILD_SPAWN && c[2].u.child_spawn == BV_SPAWN_ALLOW_THREADS,
           "child_spawn");
    const struct bv_env_entry *entries = c[3].u.environment.entries;
    tap_ok(c[3].kind == BV_CAP_ENVIRONMENT && c[3].u.environment.entry_count == 2 &&
               strcmp(entries[0].name, "LANG") == 0 && strcmp(entries[0].literal, "C.UTF-8") == 0 &&
               !entries[0].secret && strcmp(entries[1].secret, "ci/token") == 0 &&
               !entries[1].literal,
           "environment");
    tap_ok(c[4].kind == BV_CAP_INHERITED_FDS && c[4].u.inherited_fds.fd_count == 2 &&
               c[4].u.inherited_fds.fds[0] == 3 && c[4].u.inherited_fds.fds[1] == 7,
           "inherited_fds");
}

static void test_values(void)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    if (!tap_ok(bv_spec_parse(full_spec, strlen(full_spec), &spec, &error) == BV_OK,
                "the full spec is read %s %s", error.place, error.text)) {
        return;
    }
    tap_ok(spec->workload.kind == BV_WORKLOAD_PROCESS &&
               strcmp(spec->workload.path, "/usr/bin/python3") == 0 &&
               spec->workload.arg_count == 3 && strcmp(spec->workload.args[1], "") == 0 &&
               strcmp(spec->workload.args[2], "\xc3\xa9\n") == 0 &&
               strcmp(spec->workload.cwd, "/srv/job") == 0 && !spec->workload.module_bytes,
           "workload");
    test_capabilities(spec);
    const struct bv_control *c = spec->controls;
    tap_ok(spec->control_count == 8 && c[0].kind == BV_CTL_LAUNCH_WORKLOAD, "eight controls");
    tap_ok(c[1].kind == BV_CTL_CAPTURE_STREAMS && c[1].u.capture.out && c[1].u.capture.err &&
               !c[1].u.capture.in,
           "capture_streams");
    tap_ok(c[2].kind == BV_CTL_TEMP_ROOT && c[2].u.temp_root.sized &&
               c[2].u.temp_root.size_bytes == 268435456,
           "temp_root");
    tap_ok(c[3].kind == BV_CTL_EXPOSE_PATH && strcmp(c[3].u.expose.source, "/data") == 0 &&
               strcmp(c[3].u.expose.dest, "/in") == 0 && c[3].u.expose.access == BV_ACCESS_READ,
           "expose_path");
    tap_ok(c[4].kind == BV_CTL_COMMIT_ARTIFACT && c[4].u.commit == BV_DURABILITY_ATOMIC &&
               c[5].kind == BV_CTL_DISCARD_ARTIFACT && c[6].kind == BV_CTL_LIST_OUTPUTS &&
               c[7].kind == BV_CTL_KILL && c[7].u.kill.atomic,
           "commit, discard, list, kill");
    const struct bv_budget_request *b = spec->budgets;
    tap_ok(b[0].limit == 10000000 && b[1].limit == BV_UNLIMITED &&
               b[2].limit == 9007199254740991u && b[6].limit == 0,
           "limits");
    tap_ok(b[0].guarantee == BV_GUARANTEE_MEDIATED && b[2].guarantee == BV_GUARANTEE_ENFORCED,
           "guarantees");
    tap_ok(b[1].evidence == BV_CLAIM_RESOURCE_USAGE &&
               b[3].evidence == (BV_CLAIM_PROCESS_TREE | BV_CLAIM_ALLOWED_ACTIONS) &&
               b[4].evidence == 0,
           "evidence of budgets");
    tap_ok(spec->require_evidence == (BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS |
                                      BV_CLAIM_MECHANISM_ATTESTATION),
           "evidence");
    bv_spec_free(spec);
    bv_spec_free(NULL);
}

static struct bv_spec *parse_small(const char *find, const char *with)
{
    char *text = edit_spec(small_spec, find, with);
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    enum bv_status status = bv_spec_parse(text, strlen(text), &spec, &error);
    tap_ok(status == BV_OK, "%s is read %s %s", with, error.place, error.text);
    free(text);
    return spec;
}

static void test_defaults(void)
{
    struct bv_spec *spec = parse_small("7", "7");
    if (spec) {
        bool uniform = true;
        for (size_t i = 0; i < BV_DIMENSION_COUNT; i++) {
            uniform = uniform && spec->budgets[i].limit == 7 && spec->budgets[i].evidence == 0;
        }
        tap_ok(uniform, "uniform stands for all seven, evidence defaults to none");
        tap_ok(spec->capability_count == 0 && spec->control_count == 0 &&
                   spec->require_evidence == 0 && spec->workload.arg_count == 0,
               "what is absent is empty");
        tap_text(spec->workload.cwd, "/", "cwd defaults to /");
        bv_spec_free(spec);
    }
    spec = parse_small(
        "\"budgets\"",
        "\"capabilities\":[{\"filesystem\":{\"access\":\"read\",\"roots\":[\"/a\"]}}],\"budgets\"");
    tap_ok(spec && !spec->capabilities[0].u.filesystem.execute &&
               spec->capabilities[0].u.filesystem.recursive,
           "execute defaults to false, recursive to true");
    bv_spec_free(spec);
    spec = parse_small("\"budgets\"",
                       "\"controls\":[{\"temp_root\":{}},{\"capture_streams\":{}},{\"kill\":{"
                       "\"guarantee\":\"best_effort_allowed\"}}],\"budgets\"");
    tap_ok(spec && !spec->controls[0].u.temp_root.sized && !spec->controls[1].u.capture.out &&
               !spec->controls[2].u.kill.atomic,
           "controls' defaults");
    bv_spec_free(spec);
    spec = parse_small("\"guarantee\":\"mediated\"",
                       "\"guarantee\":\"enforced\",\"evidence\":[\"resource_usage\"]");
    tap_ok(spec && spec->budgets[6].guarantee == BV_GUARANTEE_ENFORCED &&
               spec->budgets[6].evidence == BV_CLAIM_RESOURCE_USAGE,
           "uniform carries guarantee and evidence");
    bv_spec_free(spec);
    spec = parse_small("{\"process\":{\"exe\":\"/bin/true\"}}",
                       "{\"wasm\":{\"module\":\"/a/b.wasm\",\"args\":[\"x\"],\"cwd\":\"/a\"}}");
    tap_ok(spec && spec->workload.kind == BV_WORKLOAD_WASM &&
               strcmp(spec->workload.path, "/a/b.wasm") == 0 && spec->workload.arg_count == 1,
           "a wasm workload");
    bv_spec_free(spec);
    spec = parse_small(
        "\"budgets\"",
        "\"capabilities\":[{\"network\":{\"policy\":\"deny_all\"}},{\"network\":{\"policy\":"
        "\"allow_all\"}},"
        "{\"inherited_fds\":{\"policy\":\"none\"}},{\"environment\":{\"exact\":[]}}],\"budgets\"");
    tap_ok(spec && spec->capability_count == 4 &&
               spec->capabilities[2].u.inherited_fds.fd_count == 0,
           "contradictions are the planner's");
    bv_spec_free(spec);
}

static void test_module_digest(void)
{
    char *text = edit_spec(small_spec, "{\"process\":{\"exe\":\"/bin/true\"}}",
                           "{\"wasm\":{\"module_digest\":\"sha256:00\"}}");
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    tap_ok(bv_spec_parse(text, strlen(text), &spec, &error) == BV_E_INVALID,
           "a digest in place of a module is refused");
    tap_text(error.place, "/workload/wasm/module_digest", "at its place");
    tap_ok(strstr(error.text, "module bytes") != NULL, "and says why: %s", error.text);
    free(text);
}

static void test_prefix(void)
{
    json_t *root = json_loads(small_spec, 0, NULL);
    json_object_del(json_object_get(root, "budgets"), "uniform");
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    tap_ok(bv_spec_from_json(root, "/spec", &spec, &error) == BV_E_INVALID,
           "a spec inside another document");
    tap_text(error.place, "/spec/budgets/wall_micros", "its faults' places begin with the prefix");
    json_decref(root);
    root = json_loads(small_spec, 0, NULL);
    json_object_set_new(json_object_get(json_object_get(root, "workload"), "process"), "exe",
                        json_string("a"));
    error = (struct bv_error){ 0 };
    tap_ok(bv_spec_from_json(root, "/spec", &spec, &error) == BV_E_INVALID,
           "also those of its values");
    tap_text(error.place, "/spec/workload/process/exe", "begin with it");
    json_decref(root);
    error = (struct bv_error){ 0 };
    tap_ok(bv_spec_from_json(NULL, "/spec", &spec, &error) == BV_E_INVALID, "no tree at all");
    tap_text(error.place, "/spec", "is named by the prefix");
}

int main(void)
{
    test_values();
    test_defaults();
    test_faults();
    test_module_digest();
    test_prefix();
    return tap_done();
}
