/* tests/linux/box.c - a spec that a test fills in a few lines; box.h says how. */
#include "linux/box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void box_init(struct box *box, const char *payload, const char *verb, const char *value)
{
    memset(box, 0, sizeof *box);
    box->options = (struct bv_run_options)BV_RUN_OPTIONS_INIT;
    box->args[0] = verb;
    box->args[1] = value;
    box->spec.workload = (struct bv_workload){
        .kind = BV_WORKLOAD_PROCESS, .path = payload, .args = box->args, .arg_count = verb == NULL ? 0 : value == NULL ? 1 : 2,
    };
    box->spec.capabilities = box->capabilities;
    box->spec.controls = box->controls;
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        box->spec.budgets[i] = (struct bv_budget_request){ .limit = BV_UNLIMITED };
    }
    box_limit(box, BV_WALL_MICROS, 30000000);
    box_limit(box, BV_PROCESS_COUNT, 1);
    (void)box_control(box, BV_CTL_LAUNCH_WORKLOAD);
    box_control(box, BV_CTL_CAPTURE_STREAMS)->u.capture = (struct bv_capture){ .out = true, .err = true };
}

struct bv_capability *box_capability(struct box *box, enum bv_capability_kind kind)
{
    struct bv_capability *capability = &box->capabilities[box->spec.capability_count++];
    capability->kind = kind;
    return capability;
}

struct bv_control *box_control(struct box *box, enum bv_control_kind kind)
{
    struct bv_control *control = &box->controls[box->spec.control_count++];
    control->kind = kind;
    return control;
}

void box_root(struct box *box, const char *path, enum bv_access access, bool execute)
{
    size_t index = 0;
    while (box->roots[index] != NULL) {
        index++;
    }
    box->roots[index] = path;
    box_capability(box, BV_CAP_FILESYSTEM)->u.filesystem = (struct bv_filesystem){
        .access = access, .execute = execute, .recursive = true, .roots = &box->roots[index], .root_count = 1,
    };
}

void box_spawn(struct box *box, enum bv_spawn_policy policy)
{
    box_capability(box, BV_CAP_CHILD_SPAWN)->u.child_spawn = policy;
    box_limit(box, BV_PROCESS_COUNT, 64);
}

void box_limit(struct box *box, enum bv_dimension dimension, uint64_t limit)
{
    box->spec.budgets[dimension].limit = limit;
}

static void keep_document(struct result *result, char *text)
{
    json_error_t error;
    result->document = text ? json_loads(text, JSON_ALLOW_NUL, &error) : NULL;
    bv_free(text);
}

void box_run(struct box *box, struct bv_backend *backend, struct result *ret_result)
{
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct timespec a, b;
    char *text = NULL;
    memset(ret_result, 0, sizeof *ret_result);
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    ret_result->status = bv_run_confined(&box->spec, backend, &box->options, &report, &refusal, &ret_result->error);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    ret_result->seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    if (ret_result->status == BV_OK) {
        ret_result->outcome = bv_report_outcome(report);
        ret_result->exit = bv_report_exit(report);
        ret_result->exit_status = bv_report_exit_status(report);
        if (bv_report_json(report, &text, &ret_result->error) == BV_OK) {
            keep_document(ret_result, text);
        }
    } else if (ret_result->status == BV_E_REFUSED && bv_refusal_json(refusal, &text, &ret_result->error) == BV_OK) {
        keep_document(ret_result, text);
    }
    if (getenv("BV_TEST_SHOW") != NULL) {
        char *shown = ret_result->document ? json_dumps(ret_result->document, JSON_INDENT(1)) : NULL;
        (void)fprintf(stderr, "%s %s: %s\n%s\n", bv_status_name(ret_result->status), ret_result->error.place,
                      ret_result->error.text, shown ? shown : "");
        free(shown);
    }
    bv_report_free(report);
    bv_refusal_free(refusal);
}

void result_free(struct result *result)
{
    json_decref(result->document);
    result->document = NULL;
}

const json_t *result_get(const struct result *result, const char *section, const char *key)
{
    return json_object_get(json_object_get(json_object_get(result->document, "body"), section), key);
}

const char *result_stream(const struct result *result, const char *stream)
{
    return json_string_value(json_object_get(result_get(result, "captured", stream), "content"));
}

const char *result_fact(const struct result *result, const char *kind)
{
    const json_t *facts = json_object_get(json_object_get(result->document, "body"), "observed");
    for (size_t i = 0; i < json_array_size(facts); i++) {
        const json_t *fact = json_array_get(facts, i);
        const char *name = json_string_value(json_object_get(fact, "kind"));
        if (name != NULL && strcmp(name, kind) == 0) {
            return json_string_value(json_object_get(fact, "detail"));
        }
    }
    return NULL;
}

long long result_used(const struct result *result, enum bv_dimension dimension)
{
    const json_t *observed = json_object_get(result_get(result, "budget", bv_dimension_name(dimension)), "observed");
    return json_is_integer(observed) ? (long long)json_integer_value(observed) : -1;
}

const char *result_finding(const struct result *result, enum bv_dimension dimension)
{
    return json_string_value(json_object_get(result_get(result, "budget", bv_dimension_name(dimension)), "finding"));
}

long long result_denied(const struct result *result, const char *text)
{
    const json_t *denied = json_object_get(json_object_get(result->document, "body"), "denied");
    long long count = 0;
    for (size_t i = 0; i < json_array_size(denied); i++) {
        const json_t *item = json_array_get(denied, i);
        const char *detail = json_string_value(json_object_get(item, "detail"));
        if (detail != NULL && strstr(detail, text) != NULL) {
            count += (long long)json_integer_value(json_object_get(item, "count"));
        }
    }
    return count;
}
