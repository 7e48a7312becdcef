/* run/planning.c - the acting half of planning: look at the paths, the workload and the machine,
 * then let the pure planner decide.
 *
 * Nothing is started and nothing is left open. The order is that of CONTRACT.md 8: what is
 * malformed is an error before anything is judged; a contradictory policy is refused before the
 * workload's file is; a saved plan is compared before it is admitted again. */
#include "run/planning.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "contract/intent.h"
#include "run/drift.h"
#include "run/refuse.h"
#include "run/staging.h"

struct bv_survey *bv_survey_new(void)
{
    struct bv_survey *survey = calloc(1, sizeof(*survey));
    if (survey) {
        survey->workload_fd = -EBADF;
    }
    return survey;
}

void bv_survey_free(struct bv_survey *survey)
{
    if (survey) {
        bv_cleanup_fd(&survey->workload_fd);
        bv_snapshot_free(survey->facts);
        free(survey->paths.at);
        free(survey);
    }
}

static void drop_survey(struct bv_survey **survey)
{
    bv_survey_free(*survey);
}

static void drop_saved(struct bv_saved_plan *saved)
{
    bv_spec_free(saved->spec);
}

static void drop_json(json_t **tree)
{
    json_decref(*tree);
}

/* On this machine dest is, or leads to, a directory that path lies in, but dest is not the path's own beginning. */
static bool leads_to(const struct bv_sys *sys, const char *dest, const char *path)
{
    char real[BV_PATH_MAX_BYTES + 1];
    BV_AUTO(bv_cleanup_fd) int fd = path[0] ? sys->open(dest, O_PATH) : -EBADF;
    return fd >= 0 && sys->fd_path(fd, real, sizeof(real)) >= 0 && bv_path_is_inside(path, real) &&
           !bv_path_is_inside(path, dest);
}

/* The links of this machine by which the kernel finds a loader are not there where something is exposed in their place: with
 * /lib -> usr/lib, /lib64/ld-linux-x86-64.so.2 is a link to /lib/..., and what is exposed at /lib is not executable. What
 * stands at the path as written is workload.c's to see. */
static enum bv_status check_exposed(struct bv_survey *survey, const struct bv_sys *sys,
                                    const struct bv_spec *spec)
{
    const struct bv_workload_identity *identity = &survey->identity;
    for (size_t i = 0; i < spec->control_count; i++) {
        const char *dest = spec->controls[i].u.expose.dest;
        if (spec->controls[i].kind != BV_CTL_EXPOSE_PATH ||
            (!leads_to(sys, dest, identity->interpreter_path) &&
             !leads_to(sys, dest, identity->loader_path))) {
            continue;
        }
        survey->problem = (struct bv_workload_problem){
            .subject = dest,
            .why = "leads to the workload's interpreter on this machine; what is exposed there "
                   "instead grants no execute",
            .remedy = "expose it elsewhere: the links that lead to a granted root are made inside",
        };
        bv_cleanup_fd(&survey->workload_fd);
        survey->workload_fd = -EBADF;
        return BV_E_REFUSED;
    }
    return BV_OK;
}

enum bv_status bv_survey_workload(struct bv_survey *survey, struct bv_backend *backend,
                                  const struct bv_spec *spec, bool hash_later,
                                  struct bv_error *error)
{
    BV_ASSERT(survey->workload_fd < 0);
    if (!bv_spec_launches(spec)) {
        return BV_OK;
    }
    const struct bv_backend_ops *ops = backend->ops;
    enum bv_status status = bv_workload_open(backend, &spec->workload, hash_later && !ops->examine, &survey->identity,
                                             &survey->workload_fd, &survey->problem, error);
    if (status == BV_OK) {
        status = check_exposed(survey, backend->sys, spec);
    }
    return status == BV_OK && ops->examine
               ? ops->examine(backend->context, spec, survey->workload_fd, &survey->identity, &survey->problem, error)
               : status;
}

static enum bv_status probe(struct bv_survey *survey, struct bv_backend *backend, const struct bv_spec *spec,
                            bool ahead, struct bv_error *error)
{
    const struct bv_backend_ops *ops = backend->ops;
    BV_ASSERT(!survey->facts);
    survey->facts = bv_snapshot_new();
    if (!survey->facts) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = ahead && ops->probe_ahead
                                ? ops->probe_ahead(backend->context, survey->facts, error)
                                : ops->probe(backend->context, survey->facts, error);
    if (status == BV_OK) {
        status = bv_staging_probe(backend, spec, survey->facts, error);
    }
    /* A backend can fail to look, but it is the planner that refuses. */
    return status == BV_E_REFUSED ? bv_fail(error, BV_E_FAULT, "probe",
                                            "the backend refused instead of reporting facts")
                                  : status;
}

enum bv_status bv_survey_machine(struct bv_survey *survey, struct bv_backend *backend,
                                 const struct bv_spec *spec, struct bv_error *error)
{
    return probe(survey, backend, spec, false, error);
}

/* What takes the backend longest needs nothing of the plan but this, and is begun before the workload is hashed. */
static void prepare(struct bv_backend *backend, const struct bv_spec *spec)
{
    enum bv_network_policy network = BV_NETWORK_DENY_ALL;
    for (size_t i = 0; i < spec->capability_count; i++) {
        if (spec->capabilities[i].kind == BV_CAP_NETWORK) {
            network = spec->capabilities[i].u.network.policy;
        }
    }
    bv_backend_prepare(backend, network);
}

/* The planner's answer, and beside it what the machine's mounts say of the grants: an `unsupported`
 * of theirs joins the planner's own and comes before what it would say later (CONTRACT.md 8). */
static enum bv_status decide(struct bv_backend *backend, const struct bv_spec *spec,
                             const struct bv_survey *survey, uint64_t began_micros,
                             struct bv_plan **ret_plan, struct bv_refusal **ret_refusal,
                             struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_plan_decide(backend->ops, backend->context, spec, &survey->identity,
                                           survey->facts, &plan, &refusal, error);
    if (status == BV_OK ||
        (status == BV_E_REFUSED && bv_refusal_reason(refusal) >= BV_REFUSED_UNSUPPORTED)) {
        bool joins = refusal && bv_refusal_reason(refusal) == BV_REFUSED_UNSUPPORTED;
        struct bv_refusal *grants = joins ? refusal : NULL;
        /* Mounts that this very planning has read are not read again. */
        const uint64_t age = backend->sys->boot_micros() - began_micros;
        enum bv_status checked = bv_grants_check(backend, spec, age + 1, &grants, error);
        if (checked == BV_OK) {
            checked = bv_staging_check(backend, spec, &grants, error);
        }
        if (checked != BV_OK) {
            status = checked;
            bv_refusal_free(joins ? NULL : grants);
        } else if (grants && !joins) {
            status = BV_E_REFUSED;
            bv_refusal_free(refusal);
            refusal = grants;
        }
    }
    if (status != BV_OK) {
        bv_plan_free(BV_TAKE(plan));
    }
    if (status != BV_E_REFUSED) {
        bv_refusal_free(BV_TAKE(refusal));
    }
    if (status == BV_OK) {
        *ret_plan = plan;
    } else if (status == BV_E_REFUSED) {
        *ret_refusal = refusal;
    }
    return status;
}

static enum bv_status admit(struct bv_backend *backend, const struct bv_spec *spec,
                            const struct bv_survey *survey, struct bv_plan **ret_plan,
                            struct bv_refusal **ret_refusal, struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    enum bv_status status =
        decide(backend, spec, survey, backend->sys->boot_micros(), &plan, ret_refusal, error);
    if (status == BV_OK) {
        status = bv_plan_bind(plan, survey->identity.digest, error);
    }
    if (status == BV_OK) {
        *ret_plan = plan;
    } else {
        bv_plan_free(plan);
    }
    return status;
}

/* The workload cannot be taken. A contradictory policy is still said first (CONTRACT.md 8), so
 * the planner is asked what it would say of the same spec with a file that nothing is wrong
 * with; only its word on the policy counts. */
static enum bv_status refuse_in_order(struct bv_backend *backend, const struct bv_spec *spec,
                                      struct bv_survey *survey, struct bv_refusal **ret_refusal,
                                      struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    enum bv_status status = bv_survey_machine(survey, backend, spec, error);
    if (status != BV_OK) {
        return status;
    }
    struct bv_workload_problem problem = survey->problem;
    /* The subject may be text of the identity that is about to be replaced. */
    char subject[BV_PATH_MAX_BYTES + 1];
    bv_copy_text(subject, sizeof(subject), problem.subject);
    problem.subject = subject;
    memset(&survey->identity, 0, sizeof(survey->identity));
    survey->identity.known = true;
    survey->identity.is_elf = spec->workload.kind == BV_WORKLOAD_PROCESS;
    survey->identity.is_wasm = spec->workload.kind == BV_WORKLOAD_WASM;
    bv_copy_text(survey->identity.path, sizeof(survey->identity.path), "/");
    bv_digest_bytes("", 0, survey->identity.digest);
    status = admit(backend, spec, survey, &plan, &refusal, error);
    bv_plan_free(plan);
    if (status == BV_E_REFUSED && bv_refusal_reason(refusal) < BV_REFUSED_WORKLOAD_INCOMPATIBLE) {
        *ret_refusal = refusal;
        return BV_E_REFUSED;
    }
    bv_refusal_free(refusal);
    if (status != BV_OK && status != BV_E_REFUSED) {
        return status;
    }
    return bv_refuse_workload(backend, spec, BV_REFUSED_WORKLOAD_INCOMPATIBLE, &problem,
                              ret_refusal, error);
}

enum bv_status bv_survey_plan(struct bv_survey *survey, struct bv_backend *backend,
                              const struct bv_spec *spec, enum bv_urgency urgency,
                              struct bv_plan **ret_plan, struct bv_refusal **ret_refusal,
                              struct bv_error *error)
{
    const uint64_t began_micros = backend->sys->boot_micros();
    enum bv_status status = bv_spec_check(spec, error);
    if (status == BV_OK) {
        status = bv_paths_check(backend->sys, spec, &survey->paths, error);
    }
    if (status != BV_OK) {
        return status;
    }
    prepare(backend, spec);
    status = bv_survey_workload(survey, backend, spec, urgency != BV_PLAN_TO_KEEP, error);
    if (status == BV_E_REFUSED) {
        return refuse_in_order(backend, spec, survey, ret_refusal, error);
    }
    if (status == BV_OK) { /* while the backend prepares; the probe waits for it */
        status = bv_grants_read(backend, spec, error);
    }
    if (status == BV_OK) {
        status = probe(survey, backend, spec, urgency == BV_PLAN_AHEAD, error);
    }
    return status == BV_OK
               ? decide(backend, spec, survey, began_micros, ret_plan, ret_refusal, error)
               : status;
}

enum bv_status bv_plan_create(struct bv_backend *backend, const struct bv_spec *spec,
                              struct bv_plan **ret_plan, struct bv_refusal **ret_refusal,
                              struct bv_error *error)
{
    if (!backend || !spec || !ret_plan || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend, a spec and places for the answers are needed");
    }
    BV_AUTO(drop_survey) struct bv_survey *survey = bv_survey_new();
    if (!survey) {
        return bv_fail_nomem(error);
    }
    struct bv_plan *plan = NULL;
    const uint64_t before_micros = backend->sys->boot_micros();
    enum bv_status status = bv_survey_plan(survey, backend, spec, BV_PLAN_TO_KEEP, &plan, ret_refusal, error);
    if (status == BV_OK) {
        status = bv_plan_bind(plan, survey->identity.digest, error);
    }
    if (status != BV_OK) {
        bv_plan_free(plan);
        return status;
    }
    bv_probe_memo_store(&backend->last_probe, bv_plan_profile_hash(plan), before_micros);
    *ret_plan = plan;
    return BV_OK;
}

/* Compares a saved plan with what is there now. *refusal stays NULL when nothing drifted. */
static enum bv_status compare_saved(struct bv_backend *backend, const struct bv_saved_plan *saved,
                                    const json_t *document, const struct bv_survey *survey,
                                    struct bv_refusal **refusal, struct bv_error *error)
{
    const char *id = backend->ops->id;
    char hash[BV_DIGEST_TEXT_SIZE];
    if (!bv_profile_digest(id, survey->facts, hash)) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = BV_OK;
    if (strcmp(saved->digest, survey->identity.digest) != 0) {
        status = bv_drift_item(id, "workload digest", saved->digest, survey->identity.digest,
                               refusal, error);
    }
    if (status == BV_OK && strcmp(saved->profile_hash, hash) != 0) {
        BV_AUTO(drop_json) json_t *probed = bv_snapshot_to_json(survey->facts);
        const json_t *planned = json_object_get(json_object_get(document, "profile"), "probed");
        if (!planned) {
            return bv_fail(error, BV_E_INVALID, "/profile/probed", "missing");
        }
        status =
            probed ? bv_drift_facts(id, planned, probed, refusal, error) : bv_fail_nomem(error);
        if (status == BV_OK && !*refusal) { /* no single fact differs: the hash itself does */
            status = bv_drift_item(id, "profile", saved->profile_hash, hash, refusal, error);
        }
    }
    return status;
}

/* Re-admission of a spec whose machine and workload did not change must give the plan that was
 * saved; anything else is drift as well, of what no fact shows (a newer bvisor, another
 * interpreter). */
static enum bv_status admit_saved(struct bv_backend *backend, const struct bv_saved_plan *saved,
                                  const struct bv_survey *survey, struct bv_plan **ret_plan,
                                  struct bv_refusal **ret_refusal, struct bv_error *error)
{
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    enum bv_status status = admit(backend, saved->spec, survey, &plan, ret_refusal, error);
    if (status != BV_OK || strcmp(bv_plan_id(plan), saved->plan_id) == 0) {
        if (status == BV_OK) {
            *ret_plan = plan;
        }
        return status;
    }
    status = bv_drift_item(backend->ops->id, "plan_id", saved->plan_id, bv_plan_id(plan), &refusal,
                           error);
    bv_plan_free(plan);
    if (status != BV_OK) {
        bv_refusal_free(refusal);
        return status;
    }
    *ret_refusal = refusal;
    return BV_E_REFUSED;
}

static enum bv_status reload(struct bv_backend *backend, const struct bv_saved_plan *saved,
                             const json_t *document, struct bv_plan **ret_plan,
                             struct bv_refusal **ret_refusal, struct bv_error *error)
{
    BV_AUTO(drop_survey) struct bv_survey *survey = bv_survey_new();
    if (!survey) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = bv_paths_check(backend->sys, saved->spec, &survey->paths, error);
    if (status != BV_OK) {
        return status;
    }
    prepare(backend, saved->spec);
    status = bv_survey_workload(survey, backend, saved->spec, false, error);
    if (status == BV_E_REFUSED) {
        return bv_refuse_workload(backend, saved->spec, BV_REFUSED_PROFILE_DRIFT, &survey->problem,
                                  ret_refusal, error);
    }
    if (status == BV_OK) {
        status = bv_survey_machine(survey, backend, saved->spec, error);
    }
    struct bv_refusal *drift = NULL;
    if (status == BV_OK) {
        status = compare_saved(backend, saved, document, survey, &drift, error);
    }
    if (status != BV_OK) {
        bv_refusal_free(drift);
        return status;
    }
    if (drift) {
        *ret_refusal = drift;
        return BV_E_REFUSED;
    }
    return admit_saved(backend, saved, survey, ret_plan, ret_refusal, error);
}

enum bv_status bv_plan_reload(struct bv_backend *backend, const char *text, size_t size,
                              struct bv_plan **ret_plan, struct bv_refusal **ret_refusal,
                              struct bv_error *error)
{
    if (!backend || !text || !ret_plan || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend, a document and places for the answers are needed");
    }
    BV_AUTO(drop_saved) struct bv_saved_plan saved = { 0 };
    enum bv_status status = bv_plan_read(text, size, &saved, error);
    if (status != BV_OK) {
        return status;
    }
    if (strcmp(saved.backend, backend->ops->id) != 0) {
        return bv_fail(error, BV_E_INVALID, "/backend",
                       "the plan was made for backend '%s', not '%s'", saved.backend,
                       backend->ops->id);
    }
    BV_AUTO(drop_json)
    json_t *document = NULL; /* only for the words of a drift: the reader keeps no facts */
    status = bv_json_read(text, size, BV_PLAN_MAX_BYTES, &document, error);
    return status == BV_OK ? reload(backend, &saved, document, ret_plan, ret_refusal, error)
                           : status;
}

enum bv_status bv_plan_peek_backend(const char *text, size_t size, char buffer[24],
                                    struct bv_error *error)
{
    if (!text || !buffer) {
        return bv_fail(error, BV_E_INVALID, "", "a document and a buffer are needed");
    }
    BV_AUTO(drop_saved) struct bv_saved_plan saved = { 0 };
    enum bv_status status = bv_plan_read(text, size, &saved, error);
    if (status == BV_OK) {
        bv_copy_text(buffer, sizeof(saved.backend), saved.backend);
    }
    return status;
}

enum bv_status bv_refusal_unknown_backend(const char *id, struct bv_refusal **ret_refusal,
                                          struct bv_error *error)
{
    if (!id || !ret_refusal) {
        return bv_fail(error, BV_E_INVALID, "", "a name and a place for the refusal are needed");
    }
    const char *shown = bv_text_is_plain(id, strlen(id)) ? id : "(not UTF-8)";
    struct bv_refusal *refusal = NULL;
    enum bv_status status =
        bv_refuse_item(&refusal, BV_REFUSED_UNKNOWN_BACKEND, shown, "backend", NULL,
                       "no backend has this name", "`bvisor probe` lists the backends", error);
    if (status != BV_OK) {
        bv_refusal_free(refusal);
        return status;
    }
    *ret_refusal = refusal;
    return BV_OK;
}

enum bv_status bv_probe_json(struct bv_backend *backend, char **ret_text, struct bv_error *error)
{
    if (!backend || !ret_text) {
        return bv_fail(error, BV_E_INVALID, "",
                       "a backend and a place for the document are needed");
    }
    BV_AUTO(drop_survey) struct bv_survey *survey = bv_survey_new();
    if (!survey) {
        return bv_fail_nomem(error);
    }
    enum bv_status status = bv_survey_machine(survey, backend, NULL, error);
    if (status != BV_OK) {
        return status;
    }
    BV_AUTO(drop_json)
    json_t *document = bv_probe_document(backend->ops, backend->context, survey->facts);
    char *text = document ? bv_json_text(document, BV_PLAN_MAX_BYTES) : NULL;
    if (!text) {
        return bv_fail_nomem(error);
    }
    *ret_text = text;
    return BV_OK;
}
