/* tests/support/fake.c - a backend made of tables, and a request to fill; see fake.h. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

/* ---- the backend ---- */

void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    for (unsigned kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
        fake->ceiling[kind] =
            (struct bv_verdict){ .enforcement = BV_ENFORCED, .evidence = BV_CLAIMS_ALL };
        fake->best[kind] = fake->ceiling[kind];
        (void)snprintf(fake->best[kind].mechanism, sizeof(fake->best[kind].mechanism), "fake:%s",
                       bv_requirement_name((enum bv_requirement_kind)kind));
    }
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        bool mediated = d == BV_WALL_MICROS || d == BV_CPU_MICROS || d == BV_HANDLE_COUNT;
        fake->offer[d] = (struct bv_offer){ .can_bound = true,
                                            .guarantee = mediated ? BV_GUARANTEE_MEDIATED
                                                                  : BV_GUARANTEE_ENFORCED,
                                            .available = BV_JSON_MAX_INTEGER,
                                            .sample_interval_micros = mediated ? 1000 : 0,
                                            .max_overshoot = mediated ? 100 : 0,
                                            .evidence = BV_CLAIM_RESOURCE_USAGE };
        (void)snprintf(fake->offer[d].mechanism, sizeof(fake->offer[d].mechanism), "fake:%s",
                       bv_dimension_name((enum bv_dimension)d));
    }
    fake->offer[BV_NETWORK_BYTES].structural = true;
    fake->offer[BV_RESIDENT_BYTES].floor = 4096;
}

static enum bv_status fake_probe(void *context, struct bv_snapshot *facts, struct bv_error *error)
{
    (void)context;
    return bv_snapshot_set(facts, "fake.level", "3", error);
}

static void fake_profile(void *context, const struct bv_snapshot *facts, struct bv_profile *profile)
{
    struct fake *fake = context;
    fake->profiled++;
    profile->facts = facts;
    memcpy(profile->ceiling, fake->ceiling, sizeof(profile->ceiling));
}

static void fake_classify(void *context, const struct bv_profile *profile,
                          const struct bv_intent *intent, const struct bv_requirement *requirement,
                          struct bv_verdict *ret_verdict)
{
    struct fake *fake = context;
    (void)profile;
    (void)intent;
    fake->classified++;
    *ret_verdict = fake->best[requirement->kind];
}

static void fake_offer(void *context, const struct bv_profile *profile,
                       const struct bv_intent *intent, enum bv_dimension dimension,
                       struct bv_offer *ret_offer)
{
    struct fake *fake = context;
    (void)profile;
    fake->offered++;
    *ret_offer = fake->offer[dimension];
    if (dimension == BV_NETWORK_BYTES && intent->network != BV_NETWORK_DENY_ALL) {
        ret_offer->structural = false;
    }
}

const struct bv_backend_ops fake_ops = {
    .abi_version = BV_BACKEND_ABI,
    .id = "fake",
    .probe = fake_probe,
    .profile = fake_profile,
    .classify = fake_classify,
    .offer = fake_offer,
};

/* ---- the request ---- */

static const char *const tool_args[] = { "--fast", "na\303\257ve" };

void request_init(struct request *request)
{
    memset(request, 0, sizeof(*request));
    request->spec.workload = (struct bv_workload){ .kind = BV_WORKLOAD_PROCESS,
                                                   .path = "/opt/app/bin/tool",
                                                   .args = tool_args,
                                                   .arg_count = BV_COUNT(tool_args),
                                                   .cwd = "/opt/app" };
    request->spec.capabilities = request->capabilities;
    request->spec.controls = request->controls;
    request_control(request, (struct bv_control){ .kind = BV_CTL_LAUNCH_WORKLOAD });
    request_control(request, (struct bv_control){ .kind = BV_CTL_CAPTURE_STREAMS,
                                                  .u.capture = { true, true, false } });
    request_control(request, (struct bv_control){ .kind = BV_CTL_KILL, .u.kill = { true } });
    static const uint64_t limits[BV_DIMENSION_COUNT] = { 10000000, 5000000,  64u << 20, 1,
                                                         64,       1u << 20, 0 };
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        request->spec.budgets[d].limit = limits[d];
    }
    request->spec.require_evidence = BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS;
    struct bv_workload_identity *identity = &request->identity;
    identity->known = true;
    identity->is_elf = true;
    identity->size = 4096;
    identity->mode = 0100755;
    bv_digest_bytes("tool", 4, identity->digest);
    memcpy(identity->path, "/opt/app/bin/tool-1.2", 22);
}

struct bv_capability *request_capability(struct request *request, struct bv_capability capability)
{
    BV_ASSERT(request->spec.capability_count < FAKE_CAPABILITIES);
    request->capabilities[request->spec.capability_count] = capability;
    return &request->capabilities[request->spec.capability_count++];
}

void request_control(struct request *request, struct bv_control control)
{
    BV_ASSERT(request->spec.control_count < FAKE_CONTROLS);
    request->controls[request->spec.control_count++] = control;
}

void request_grant(struct request *request, const char *const *root, enum bv_access access,
                   bool execute)
{
    request_capability(
        request, (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                         .u.filesystem = { access, execute, true, root, 1 } });
}

void request_drop(struct request *request, enum bv_control_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->spec.control_count; i++) {
        if (request->controls[i].kind != kind) {
            request->controls[kept++] = request->controls[i];
        }
    }
    request->spec.control_count = kept;
}

struct answer fake_admit(struct fake *fake, const struct request *request)
{
    struct answer answer = { .status = BV_E_NOMEM };
    struct bv_snapshot *facts = bv_snapshot_new();
    if (facts && bv_snapshot_set(facts, "fake.level", "3", NULL) == BV_OK &&
        bv_snapshot_set(facts, "kernel", "6.18.44", NULL) == BV_OK &&
        bv_snapshot_set(facts, "landlock_abi", "7", NULL) == BV_OK) {
        answer.status = bv_plan_admit(&fake_ops, fake, &request->spec, &request->identity, facts,
                                      &answer.plan, &answer.refusal, &answer.error);
    }
    bv_snapshot_free(facts); /* the plan must not need them any more */
    return answer;
}

void answer_done(struct answer *answer)
{
    bv_plan_free(answer->plan);
    bv_refusal_free(answer->refusal);
    *answer = (struct answer){ .status = BV_OK };
}

struct bv_plan *fake_plan(struct fake *fake, const struct request *request)
{
    struct answer answer = fake_admit(fake, request);
    if (answer.status != BV_OK) {
        printf("# not admitted: %s %s %s\n", bv_status_name(answer.status), answer.error.text,
               answer.refusal ? bv_refusal_why(answer.refusal, 0) : "");
    }
    struct bv_plan *plan = BV_TAKE(answer.plan);
    answer_done(&answer);
    return plan;
}

/* ---- the run ---- */

const struct bv_seal_facts fake_facts = { .attempt = "0123456789abcdef0123456789abcdef",
                                          .started_at = "2026-11-23T22:41:00.000001Z",
                                          .finished_at = "2026-11-23T22:41:01.500000Z",
                                          .kernel = "6.18.44",
                                          .uid = 1000 };

struct bv_observation *fake_observe_open(void)
{
    static const uint64_t figures[BV_DIMENSION_COUNT] = { 1500000, 20000, 3u << 20, 1, 5, 4096, 0 };
    struct bv_observation *observation = bv_observation_new();
    bool ok = observation &&
              bv_observe_fact(observation, "workload_launched", "%s", "/opt/app/bin/tool-1.2") &&
              bv_observe_fact(observation, "network_deny_all", "empty network namespace") &&
              bv_observe_stream(observation, 1, "hello\n", 6, 6, false) &&
              bv_observe_stream(observation, 2, NULL, 0, 0, false) &&
              bv_observe_launcher(observation, FAKE_LAUNCHER);
    for (unsigned d = 0; ok && d < BV_DIMENSION_COUNT; d++) {
        ok = bv_observe_usage(observation, (enum bv_dimension)d, &figures[d], false, "fake, %s",
                              "exact");
    }
    ok = ok && bv_observe_fact(observation, "tree_empty", "0 tasks");
    if (!ok) {
        bv_observation_free(observation);
        return NULL;
    }
    return observation;
}

struct bv_observation *fake_observe(void)
{
    struct bv_observation *observation = fake_observe_open();
    struct bv_exit exit = { .kind = BV_EXIT_CODE };
    if (observation && !bv_observe_outcome(observation, BV_OUTCOME_COMPLETED, exit, -1, "")) {
        bv_observation_free(observation);
        return NULL;
    }
    return observation;
}

/* "sha256:..." by jq and sha256sum; false where they are missing. */
static bool digest_by_tools(const char *text, char digest[BV_DIGEST_TEXT_SIZE])
{
    char path[] = "/tmp/bvisor-test-XXXXXX", command[128];
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool ok = file && fputs(text, file) >= 0;
    ok = file && fclose(file) == 0 && ok;
    (void)snprintf(command, sizeof(command), "jq -cSj .body %s 2>/dev/null | sha256sum 2>/dev/null",
                   path);
    FILE *pipe = ok ? popen(command, "r") : NULL;
    char line[128] = "";
    ok = pipe && fgets(line, sizeof(line), pipe) && strlen(line) > 64;
    ok = pipe && pclose(pipe) == 0 && ok;
    (void)unlink(path);
    (void)snprintf(digest, BV_DIGEST_TEXT_SIZE, "sha256:%.64s", line);
    return ok;
}

/* The document against every way to check it. */
static bool seal_holds(const struct bv_report *report, const char *text)
{
    struct bv_error error = { 0 };
    char digest[BV_DIGEST_TEXT_SIZE];
    bool has_tools =
        system("command -v jq >/dev/null 2>&1 && command -v sha256sum >/dev/null 2>&1") == 0;
    if (has_tools &&
        (!digest_by_tools(text, digest) || strcmp(digest, bv_report_body_hash(report)) != 0)) {
        printf("# jq -cSj .body | sha256sum gives %s, the seal is %s\n", digest,
               bv_report_body_hash(report));
        return false;
    }
    if (bv_report_verify(text, strlen(text), &error) != BV_OK) {
        printf("# the report does not verify: %s: %s\n", error.place, error.text);
        return false;
    }
    return true;
}

struct bv_report *fake_seal(const struct bv_plan *plan, const struct bv_observation *observation,
                            char **ret_text)
{
    struct bv_report *report = NULL;
    struct bv_error error = { 0 };
    char *text = NULL;
    if (!plan || !observation ||
        bv_report_seal(plan, observation, &fake_facts, &report, &error) != BV_OK ||
        bv_report_json(report, &text, &error) != BV_OK || !seal_holds(report, text)) {
        printf("# not sealed: %s\n", error.text);
        bv_report_free(report);
        bv_free(text);
        return NULL;
    }
    if (ret_text) {
        *ret_text = text;
    } else {
        bv_free(text);
    }
    return report;
}

json_t *fake_body(const struct bv_plan *plan, struct bv_observation *observation)
{
    char *text = NULL;
    json_t *root = NULL, *body = NULL;
    struct bv_report *report = fake_seal(plan, observation, &text);
    if (report && bv_json_read(text, strlen(text), BV_REPORT_MAX_BYTES, &root, NULL) == BV_OK) {
        body = json_incref(json_object_get(root, "body"));
    }
    json_decref(root);
    bv_free(text);
    bv_report_free(report);
    bv_observation_free(observation);
    return body;
}

/* ---- golden files and trees ---- */

bool golden_check(const char *directory, const char *name, const char *text)
{
    char path[512], *have = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    const char *update = getenv("BV_UPDATE_GOLDEN");
    if (update && strcmp(update, "1") == 0) {
        FILE *out = fopen(path, "w");
        bool written = out && fputs(text, out) >= 0 && fputc('\n', out) == '\n';
        written = out && fclose(out) == 0 && written;
        return written;
    }
    size_t size = strlen(text), got = 0;
    FILE *in = fopen(path, "r");
    if (in) {
        have = malloc(size + 3);
        got = have ? fread(have, 1, size + 3, in) : 0;
        (void)fclose(in);
    }
    bool same = have && got == size + 1 && memcmp(have, text, size) == 0 && have[size] == '\n';
    if (!same) {
        printf("# now: %s\n", text);
    }
    free(have);
    return same;
}

const json_t *tree_at(const json_t *root, const char *path)
{
    char key[128];
    while (root && *path) {
        size_t size = strcspn(path, "/");
        (void)snprintf(key, sizeof(key), "%.*s", (int)size, path);
        root = json_is_array(root) ? json_array_get(root, strtoul(key, NULL, 10))
                                   : json_object_get(root, key);
        path += size + (path[size] == '/');
    }
    return root;
}

const char *text_at(const json_t *root, const char *path)
{
    const char *text = json_string_value(tree_at(root, path));
    return text ? text : "";
}
