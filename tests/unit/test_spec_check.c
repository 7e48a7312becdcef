/* tests/unit/test_spec_check.c - every value rule, through documents where one can break it, and through structs where
 * only a program can. */
#include "contract/contract.h"

#include "support/spec_text.h"
#include "support/tap.h"

#define ROOT_1 "/capabilities/0/filesystem/roots/1"
#define HOST   "/capabilities/1/network/destinations/0/host"
#define ENV_0  "/capabilities/3/environment/exact/0"

static const struct {
    const char *find, *with, *place, *why;
} faults[] = {
    { "\"/usr/bin/python3\"", "\"python3\"", "/workload/process/exe", "must be an absolute path" },
    { "\"/usr/bin/python3\"", "\"\"", "/workload/process/exe", "must be an absolute path" },
    { "\"/usr/bin/python3\"", "\"/usr/../bin\"", "/workload/process/exe",
      "must not hold \".\" or \"..\"" },
    { "\"\\u00e9\\n\"", "\"\x7f\"", "/workload/process/args/2", "without U+007F" },
    { "\"cwd\": \"/srv/job\"", "\"cwd\": \"/srv/job/\"", "/workload/process/cwd",
      "empty component" },
    { "\"cwd\": \"/srv/job\"", "\"cwd\": \".\"", "/workload/process/cwd",
      "must be an absolute path" },
    { "\"/srv/more\"", "\"/\"", ROOT_1, "\"/\" must not be a root" },
    { "\"/srv/more\"", "\"//\"", ROOT_1, "empty component" },
    { "\"/srv/more\"", "\"/srv//more\"", ROOT_1, "empty component" },
    { "\"/srv/more\"", "\"/srv/more/\"", ROOT_1, "empty component" },
    { "\"/srv/more\"", "\"/srv/./more\"", ROOT_1, "\".\" or \"..\"" },
    { "\"/srv/more\"", "\"/srv/..\"", ROOT_1, "\".\" or \"..\"" },
    { "\"/srv/more\"", "\"/.\"", ROOT_1, "\".\" or \"..\"" },
    { "\"/srv/more\"", "\"/..\"", ROOT_1, "\".\" or \"..\"" },
    { "\"/srv/more\"", "\"srv\"", ROOT_1, "must be an absolute path" },
    { "\"/srv/more\"", "\"\"", ROOT_1, "must be an absolute path" },
    { "\"/srv/more\"", "\"/a\x7f\"", ROOT_1, "without U+007F" },
    { "\"/srv/more\"", "\"/a\\u007f\"", ROOT_1, "without U+007F" },
    { "[\"/srv/job\", \"/srv/more\"]", "[]", "/capabilities/0/filesystem/roots",
      "at least one root" },
    { "\"example.org\"", "\"\"", HOST, "must not be empty" },
    { "\"example.org\"", "\"*.example.org\"", HOST, "host name or an IP address" },
    { "\"example.org\"", "\"http://example.org\"", HOST, "host name or an IP address" },
    { "\"example.org\"", "\"fe80::1%eth0\"", HOST, "host name or an IP address" },
    { "\"example.org\"", "\"a b\"", HOST, "host name or an IP address" },
    { "\"port\": 443", "\"port\": 0", "/capabilities/1/network/destinations/0/port",
      "must be 1 to 65535" },
    { "[ { \"host\": \"example.org\", \"port\": 443 } ]", "[]",
      "/capabilities/1/network/destinations", "at least one destination" },
    { "\"LANG\"", "\"\"", ENV_0 "/name", "must not be empty" },
    { "\"LANG\"", "\"A=B\"", ENV_0 "/name", "must not hold \"=\"" },
    { "\"LANG\"", "\"=\"", ENV_0 "/name", "must not hold \"=\"" },
    { "\"LANG\"", "\"A\x7f\"", ENV_0 "/name", "without U+007F" },
    { "\"C.UTF-8\"", "\"\x7f\"", ENV_0 "/literal", "without U+007F" },
    { "\"TOKEN\"", "\"LANG\"", "/capabilities/3/environment/exact/1/name",
      "named twice, first at index 0" },
    { ", \"literal\": \"C.UTF-8\"", "", ENV_0, "exactly one of literal and secret" },
    { "\"literal\": \"C.UTF-8\"", "\"literal\": \"a\", \"secret\": \"b\"", ENV_0,
      "exactly one of literal and secret" },
    { "\"ci/token\"", "\"\"", "/capabilities/3/environment/exact/1/secret", "must not be empty" },
    { "[3, 7]", "[2]", "/capabilities/4/inherited_fds/fds/0", "must be 3 or more" },
    { "[3, 7]", "[0]", "/capabilities/4/inherited_fds/fds/0", "must be 3 or more" },
    { "[3, 7]", "[7, 3, 7]", "/capabilities/4/inherited_fds/fds/2",
      "named twice, first at index 0" },
    { "268435456", "0", "/controls/2/temp_root/size_bytes", "must be 1 to 2^53-1" },
    { "\"/data\"", "\"data\"", "/controls/3/expose_path/source", "must be an absolute path" },
    { "\"/data\"", "\"/\"", "/controls/3/expose_path/source", "\"/\" must not be exposed" },
    { "\"/in\"", "\"/\"", "/controls/3/expose_path/dest", "\"/\" must not be a destination" },
    { "\"/in\"", "\"in\"", "/controls/3/expose_path/dest", "must be an absolute path" },
    { "\"access\": \"read\"", "\"access\": \"write\"", "/controls/3/expose_path/access",
      "must be read or read_write" },
};

static void expect_fault(const char *text, const char *place, const char *why, const char *name)
{
    struct bv_error error = { 0 };
    struct bv_spec *spec = NULL;
    enum bv_status status = bv_spec_parse(text, strlen(text), &spec, &error);
    tap_ok(status == BV_E_INVALID && strcmp(error.place, place) == 0 && strstr(error.text, why),
           "%s -> %s: %s", name, error.place, error.text);
    bv_spec_free(spec);
}

static void test_documents(void)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char *text = edit_spec(full_spec, faults[i].find, faults[i].with);
        expect_fault(text, faults[i].place, faults[i].why,
                     faults[i].with[0] ? faults[i].with : faults[i].find);
        free(text);
    }
}

/* A text of count items made by format (with one %zu), with a comma between. */
static char *items(size_t count, const char *format)
{
    struct bv_buf buf;
    bv_buf_init(&buf, (size_t)4 << 20);
    for (size_t i = 0; i < count; i++) {
        char item[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(item, sizeof(item), format, i);
#pragma GCC diagnostic pop
        (void)(i > 0 && bv_buf_text(&buf, ","));
        (void)bv_buf_text(&buf, item);
    }
    char *text = bv_buf_take(&buf);
    if (!text) {
        abort();
    }
    return text;
}

/* Is count items in place of find good, and one more a fault? */
static void test_cap(const char *find, size_t count, const char *format, const char *place,
                     const char *why)
{
    for (size_t extra = 0; extra < 2; extra++) {
        char *list = items(count + extra, format);
        char *text = edit_spec(full_spec, find, list);
        if (extra) {
            expect_fault(text, place, why, "one more");
        } else {
            struct bv_error error = { 0 };
            struct bv_spec *spec = NULL;
            tap_ok(bv_spec_parse(text, strlen(text), &spec, &error) == BV_OK, "%zu of %s: %s %s",
                   count, format, error.place, error.text);
            bv_spec_free(spec);
        }
        free(text);
        free(list);
    }
}

static void test_counts(void)
{
    test_cap("\"/srv/job/job.py\", \"\", \"\\u00e9\\n\"", BV_ARGS_MAX, "\"%zu\"",
             "/workload/process/args", "more than 4096 arguments");
    test_cap("\"/srv/job\", \"/srv/more\"", BV_ROOTS_MAX, "\"/r/%zu\"",
             "/capabilities/0/filesystem/roots", "more than 256 roots in all");
    test_cap("{ \"host\": \"example.org\", \"port\": 443 }", BV_DESTINATIONS_MAX,
             "{\"host\":\"h%zu\",\"port\":1}", "/capabilities/1/network/destinations",
             "more than 256 destinations");
    test_cap("{ \"name\": \"LANG\", \"literal\": \"C.UTF-8\" }, { \"name\": \"TOKEN\", \"secret\": "
             "\"ci/token\" }",
             BV_ENV_MAX_ENTRIES, "{\"name\":\"N%zu\",\"literal\":\"\"}",
             "/capabilities/3/environment/exact", "more than 1024 entries");
    test_cap("3, 7", BV_KEPT_FDS_MAX, "1%03zu", "/capabilities/4/inherited_fds/fds",
             "more than 64 kept descriptors");
}

static void test_more_counts(void)
{
    test_cap("{ \"list_outputs\": {} }", BV_EXPOSES_MAX - 1,
             "{\"expose_path\":{\"source\":\"/s%zu\",\"dest\":\"/d\",\"access\":\"read\"}}",
             "/controls/69/expose_path", "more than 64 exposed paths");
    test_cap("{ \"list_outputs\": {} }", BV_CONTROLS_MAX - 7,
             "{\"temp_root\":{\"size_bytes\":1%zu}}", "/controls", "more than 128 controls");
}

static char *repeat(char byte, size_t count)
{
    char *text = malloc(count + 1);
    if (!text) {
        abort();
    }
    memset(text, byte, count);
    text[count] = '\0';
    return text;
}

static struct bv_spec good(void)
{
    struct bv_spec spec = { .workload = { .path = "/bin/true" } };
    return spec;
}

static void is_fault(const struct bv_spec *spec, const char *place, const char *why)
{
    struct bv_error error = { 0 };
    enum bv_status status = bv_spec_check(spec, &error);
    tap_ok(status == BV_E_INVALID && strcmp(error.place, place) == 0 && strstr(error.text, why),
           "%s: %s (wanted %s: %s)", error.place, error.text, place, why);
    char *text = NULL;
    tap_ok(bv_spec_json(spec, &text, NULL) == BV_E_INVALID && !text,
           "and it is not written either");
}

static void test_sizes(void)
{
    struct bv_spec spec = good();
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "a zeroed spec with a path is good");
    char *name = repeat('a', BV_NAME_MAX_BYTES + 2);
    name[0] = '/';
    spec.workload.cwd = name;
    is_fault(&spec, "/workload/process/cwd", "component longer than 255");
    name[BV_NAME_MAX_BYTES + 1] = '\0';
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "a component of 255 bytes is good");
    char *path = repeat('/', BV_PATH_MAX_BYTES + 1);
    for (size_t i = 1; i < BV_PATH_MAX_BYTES + 1; i += 2) {
        path[i] = 'a';
    }
    spec.workload.cwd = path;
    is_fault(&spec, "/workload/process/cwd", "longer than 4095 bytes");
    path[BV_PATH_MAX_BYTES - 1] = '\0';
    path[BV_PATH_MAX_BYTES - 2] =
        path[BV_PATH_MAX_BYTES - 2] == '/' ? 'a' : path[BV_PATH_MAX_BYTES - 2];
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "a path of 4094 bytes is good");
    spec.workload.cwd = NULL;
    char *large = repeat('a', BV_ARGS_MAX_BYTES);
    const char *args[2] = { large, "" };
    spec.workload.args = args;
    spec.workload.arg_count = 2;
    is_fault(&spec, "/workload/process/args/0", "more than 524288 bytes");
    large[BV_ARGS_MAX_BYTES - 2] = '\0';
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "arguments of exactly 512 KiB");
    large[BV_ARGS_MAX_BYTES - 2] = 'a';
    large[BV_ARGS_MAX_BYTES - 1] = '\0';
    is_fault(&spec, "/workload/process/args/1", "more than 524288 bytes");
    free(name);
    free(path);
    free(large);
}

static void test_env_size(void)
{
    struct bv_spec spec = good();
    char *value = repeat('v', BV_ENV_MAX_BYTES);
    struct bv_env_entry entries[2] = { { .name = "A", .literal = value },
                                       { .name = "B", .secret = "ref" } };
    struct bv_capability capability = { .kind = BV_CAP_ENVIRONMENT,
                                        .u.environment = { entries, 2 } };
    spec.capabilities = &capability;
    spec.capability_count = 1;
    is_fault(&spec, "/capabilities/0/environment/exact/0", "more than 262144 bytes of environment");
    value[BV_ENV_MAX_BYTES - 6] = '\0'; /* "A=" + NUL, "B=" + NUL and the value fill it */
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "256 KiB of environment are good");
    entries[1].name = "BB";
    is_fault(&spec, "/capabilities/0/environment/exact/1", "more than 262144 bytes of environment");
    free(value);
    char *long_name = repeat('n', BV_NAME_MAX_BYTES + 1);
    entries[0].literal = "";
    entries[1].secret = long_name;
    is_fault(&spec, "/capabilities/0/environment/exact/1/secret", "longer than 255 bytes");
    entries[1].secret = "a\xff";
    is_fault(&spec, "/capabilities/0/environment/exact/1/secret", "must be UTF-8");
    entries[1].name = NULL;
    is_fault(&spec, "/capabilities/0/environment/exact/1/name", "is missing");
    free(long_name);
}

static void test_workload_structs(void)
{
    tap_ok(bv_spec_check(NULL, NULL) == BV_E_INVALID, "no spec");
    struct bv_spec spec = good();
    spec.workload.path = NULL;
    is_fault(&spec, "/workload/process/exe", "is missing");
    spec.workload.path = "/\xff";
    is_fault(&spec, "/workload/process/exe", "must be UTF-8");
    spec = good();
    spec.workload.arg_count = 2;
    is_fault(&spec, "/workload/process/args", "says 2 items and holds none");
    const char *args[2] = { "a", NULL };
    spec.workload.args = args;
    is_fault(&spec, "/workload/process/args/1", "is missing");
    spec = good();
    spec.workload.kind = (enum bv_workload_kind)2;
    is_fault(&spec, "/workload", "has no meaning");
    spec = good();
    spec.workload.module_bytes = "x";
    spec.workload.module_size = 1;
    is_fault(&spec, "/workload/process", "belong to a wasm workload");
    spec.workload.kind = BV_WORKLOAD_WASM;
    is_fault(&spec, "/workload/wasm/module", "not both");
    spec.workload.path = NULL;
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "module bytes without a path");
    spec.workload.module_size = 0;
    is_fault(&spec, "/workload/wasm/module", "must not be empty");
    spec.workload.module_bytes = NULL;
    is_fault(&spec, "/workload/wasm/module", "is missing");
}

static void test_capability_structs(void)
{
    struct bv_spec spec = good();
    spec.capability_count = 1;
    is_fault(&spec, "/capabilities", "holds none");
    struct bv_capability capability = { .kind = (enum bv_capability_kind)5 };
    spec.capabilities = &capability;
    is_fault(&spec, "/capabilities/0", "has no meaning");
    const char *const roots[] = { "/a", NULL };
    capability = (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                         .u.filesystem = { .roots = roots, .root_count = 2 } };
    is_fault(&spec, "/capabilities/0/filesystem/roots/1", "is missing");
    capability.u.filesystem.access = (enum bv_access)3;
    is_fault(&spec, "/capabilities/0/filesystem/access", "has no meaning");
    capability = (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                         .u.filesystem = { .root_count = SIZE_MAX } };
    is_fault(&spec, "/capabilities/0/filesystem/roots", "holds none");
    capability.u.filesystem.roots = roots;
    is_fault(&spec, "/capabilities/0/filesystem/roots", "more than 256 roots");
    struct bv_destination destination = { NULL, 80 };
    capability = (struct bv_capability){ .kind = BV_CAP_NETWORK,
                                         .u.network = { BV_NETWORK_DENY_ALL, &destination, 1 } };
    is_fault(&spec, "/capabilities/0/network/destinations", "belongs to the policy allow_list");
    capability.u.network.policy = BV_NETWORK_ALLOW_LIST;
    is_fault(&spec, "/capabilities/0/network/destinations/0/host", "is missing");
    capability.u.network.policy = (enum bv_network_policy)9;
    is_fault(&spec, "/capabilities/0/network/policy", "has no meaning");
    capability = (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                         .u.child_spawn = (enum bv_spawn_policy)3 };
    is_fault(&spec, "/capabilities/0/child_spawn/policy", "has no meaning");
    capability =
        (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS, .u.inherited_fds = { NULL, 1 } };
    is_fault(&spec, "/capabilities/0/inherited_fds/fds", "holds none");
    int32_t fds[] = { -9 };
    capability.u.inherited_fds.fds = fds;
    is_fault(&spec, "/capabilities/0/inherited_fds/fds/0", "must be 3 or more");
}

static void test_totals(void)
{
    static struct bv_capability many[BV_CAPABILITIES_MAX + 1];
    static const char *roots[BV_ROOTS_MAX / 2 + 1];
    for (size_t i = 0; i <= BV_ROOTS_MAX / 2; i++) {
        roots[i] = "/r";
    }
    struct bv_spec spec = good();
    spec.capabilities = many;
    for (size_t i = 0; i < 2; i++) {
        many[i] = (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                          .u.filesystem = { .roots = roots,
                                                            .root_count = BV_ROOTS_MAX / 2 } };
    }
    spec.capability_count = 2;
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK,
           "two grants with 256 roots in all, equal ones among them");
    many[1].u.filesystem.root_count++;
    is_fault(&spec, "/capabilities/1/filesystem/roots", "more than 256 roots in all");
    for (size_t i = 0; i < BV_CAPABILITIES_MAX + 1; i++) {
        many[i] = (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN };
    }
    spec.capability_count = BV_CAPABILITIES_MAX;
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "256 capabilities");
    spec.capability_count++;
    is_fault(&spec, "/capabilities", "more than 256 capabilities");
    spec.capability_count = SIZE_MAX;
    is_fault(&spec, "/capabilities", "more than 256 capabilities");
}

static void test_control_structs(void)
{
    struct bv_spec spec = good();
    spec.control_count = 1;
    is_fault(&spec, "/controls", "holds none");
    struct bv_control control = { .kind = (enum bv_control_kind)8 };
    spec.controls = &control;
    is_fault(&spec, "/controls/0", "has no meaning");
    spec.control_count = BV_CONTROLS_MAX + 1;
    is_fault(&spec, "/controls", "more than 128 controls");
    spec.control_count = 1;
    control =
        (struct bv_control){ .kind = BV_CTL_TEMP_ROOT, .u.temp_root = { true, BV_UNLIMITED } };
    is_fault(&spec, "/controls/0/temp_root/size_bytes", "must be 1 to 2^53-1");
    control =
        (struct bv_control){ .kind = BV_CTL_COMMIT_ARTIFACT, .u.commit = (enum bv_durability)3 };
    is_fault(&spec, "/controls/0/commit_artifact/durability", "has no meaning");
    control = (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                   .u.expose = { NULL, "/d", BV_ACCESS_READ } };
    is_fault(&spec, "/controls/0/expose_path/source", "is missing");
    control.u.expose = (struct bv_expose){ "/s", NULL, BV_ACCESS_READ };
    is_fault(&spec, "/controls/0/expose_path/dest", "is missing");
    control.u.expose = (struct bv_expose){ "/s", "/d", (enum bv_access)7 };
    is_fault(&spec, "/controls/0/expose_path/access", "has no meaning");
}

static void test_budget_structs(void)
{
    struct bv_spec spec = good();
    spec.budgets[BV_CPU_MICROS].limit = BV_JSON_MAX_INTEGER + 1ull;
    is_fault(&spec, "/budgets/cpu_micros/limit", "0 to 2^53-1, or unlimited");
    spec.budgets[BV_CPU_MICROS].limit = BV_UNLIMITED - 1;
    is_fault(&spec, "/budgets/cpu_micros/limit", "0 to 2^53-1, or unlimited");
    spec.budgets[BV_CPU_MICROS].limit = BV_UNLIMITED;
    spec.budgets[BV_CPU_MICROS].guarantee = BV_GUARANTEE_ENFORCED;
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK,
           "unlimited and enforced is the planner's to refuse");
    spec.budgets[BV_NETWORK_BYTES].guarantee = (enum bv_guarantee)2;
    is_fault(&spec, "/budgets/network_bytes/guarantee", "has no meaning");
    spec = good();
    spec.budgets[BV_STORAGE_BYTES].evidence = BV_CLAIMS_ALL + 1;
    is_fault(&spec, "/budgets/storage_bytes/evidence", "no claim");
    spec = good();
    spec.require_evidence = BV_CLAIMS_ALL;
    tap_ok(bv_spec_check(&spec, NULL) == BV_OK, "all claims may be required");
    spec.require_evidence |= 1u << 31;
    is_fault(&spec, "/evidence", "no claim");
}

int main(void)
{
    test_documents();
    test_counts();
    test_more_counts();
    test_sizes();
    test_env_size();
    test_workload_structs();
    test_capability_structs();
    test_totals();
    test_control_structs();
    test_budget_structs();
    return tap_done();
}
