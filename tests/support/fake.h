/* tests/support/fake.h - a backend made of tables, and a request to fill: what tests of the pure contract start from.
 *
 * Nothing runs: the fake's answers are whatever the test writes into its tables, so that every verdict, offer and
 * refusal can be provoked one by one. Observations are filled by the test itself. */
#pragma once

#include "contract/contract.h"

#define FAKE_CAPABILITIES 16
#define FAKE_CONTROLS     16

struct fake {
    struct bv_verdict best[BV_REQUIREMENT_KIND_COUNT]; /* what classify answers */
    struct bv_verdict ceiling[BV_REQUIREMENT_KIND_COUNT];
    struct bv_offer offer[BV_DIMENSION_COUNT];
    unsigned profiled, classified, offered; /* calls */
};

/* Enforces everything with every claim; wall, cpu and handles are mediated, the network figure is structural. */
void fake_init(struct fake *fake);
extern const struct bv_backend_ops fake_ops; /* id "fake"; the context is a struct fake */

struct request {
    struct bv_spec spec; /* points into this struct */
    struct bv_capability capabilities[FAKE_CAPABILITIES];
    struct bv_control controls[FAKE_CONTROLS];
    struct bv_workload_identity identity; /* a static ELF program */
};

/* Launches /opt/app/bin/tool with two arguments, captures stdout and stderr, demands an atomic kill; finite budgets, all mediated. */
#define FAKE_LAUNCHER "sha256:1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a"

void request_init(struct request *request);
struct bv_capability *request_capability(struct request *request, struct bv_capability capability);
void request_control(struct request *request, struct bv_control control);
void request_grant(struct request *request, const char *const *root, enum bv_access access,
                   bool execute); /* one root; kept */
/* Takes the controls of a kind out again. */
void request_drop(struct request *request, enum bv_control_kind kind);

struct answer {
    enum bv_status status;
    struct bv_plan *plan;
    struct bv_refusal *refusal;
    struct bv_error error;
};
/* bv_plan_admit() with three probed facts. */
struct answer fake_admit(struct fake *fake, const struct request *request);
void answer_done(struct answer *answer);
/* Admits and expects a plan: otherwise NULL, and the reason as a comment on stdout. */
struct bv_plan *fake_plan(struct fake *fake, const struct request *request);

/* An observation of an ordinary run that ended well: launched, both streams, every figure, exit code 0, the tree empty. */
struct bv_observation *fake_observe(void);
/* The same without an outcome, for tests that give another. */
struct bv_observation *fake_observe_open(void);
extern const struct bv_seal_facts fake_facts;
/* Seals, checks the seal with jq and sha256sum where there are such, and verifies the document. NULL, and the reason on stdout, if any
 * of this fails. */
struct bv_report *fake_seal(const struct bv_plan *plan, const struct bv_observation *observation,
                            char **ret_text);
/* The sealed body of an observation, parsed; frees the observation. */
json_t *fake_body(const struct bv_plan *plan, struct bv_observation *observation);

/* Compares text with tests/golden/NAME byte for byte; with BV_UPDATE_GOLDEN=1 in the environment the file is written instead. */
bool golden_check(const char *directory, const char *name, const char *text);
/* The value at a path of keys and indices separated by '/'; NULL if there is none. */
const json_t *tree_at(const json_t *root, const char *path);
const char *text_at(const json_t *root, const char *path); /* "" if there is no string */
