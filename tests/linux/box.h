/* tests/linux/box.h - a spec that a test fills in a few lines, runs, and reads the report of. */
#pragma once

#include <bvisor/bvisor.h>
#include <jansson.h>

struct box { /* box_init(), change what the test is about, box_run() */
    struct bv_spec spec;
    struct bv_capability capabilities[16];
    struct bv_control controls[16];
    const char *args[8];
    const char *roots[8];
    struct bv_run_options options;
};

struct result {
    enum bv_status status;
    struct bv_error error;
    enum bv_outcome outcome;
    struct bv_exit exit;
    int exit_status;   /* as the command would give */
    json_t *document;  /* the report, or the refusal; NULL after an error */
    double seconds;
};

/* A launch of payload with these arguments (NULL ends them): nothing granted, both streams captured, 30 s. */
void box_init(struct box *box, const char *payload, const char *verb, const char *value);
void box_root(struct box *box, const char *path, enum bv_access access, bool execute);
struct bv_capability *box_capability(struct box *box, enum bv_capability_kind kind);
struct bv_control *box_control(struct box *box, enum bv_control_kind kind);
void box_spawn(struct box *box, enum bv_spawn_policy policy);
void box_limit(struct box *box, enum bv_dimension dimension, uint64_t limit);

void box_run(struct box *box, struct bv_backend *backend, struct result *ret_result);
void result_free(struct result *result);
/* Captured bytes of "stdout" or "stderr" as text; NULL if not there. */
const char *result_stream(const struct result *result, const char *stream);
const json_t *result_get(const struct result *result, const char *section, const char *key); /* of the body */
/* The detail of an observed fact; NULL if it was not observed. */
const char *result_fact(const struct result *result, const char *kind);
/* observed of a dimension; -1 for null. */
long long result_used(const struct result *result, enum bv_dimension dimension);
const char *result_finding(const struct result *result, enum bv_dimension dimension);
/* How often a denied detail that contains text was counted. */
long long result_denied(const struct result *result, const char *text);
