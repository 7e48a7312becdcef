/* bvisor/run.h - the loop: spec -> plan -> run -> report. The only calls of the library that start anything. */
#ifndef BVISOR_RUN_H
#define BVISOR_RUN_H

#include <bvisor/artifacts.h>
#include <bvisor/backend.h>
#include <bvisor/host.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bv_registry; /* id -> backend */
BV_API BV_MUST_CHECK enum bv_status bv_registry_new(struct bv_registry **ret_registry, struct bv_error *error);
/* Takes the backend over on success. BV_E_INVALID if its id is taken already. */
BV_API BV_MUST_CHECK enum bv_status bv_registry_add(struct bv_registry *registry, struct bv_backend *backend, struct bv_error *error);
BV_API struct bv_backend *bv_registry_find(const struct bv_registry *registry, const char *id); /* NULL if absent */
BV_API void bv_registry_free(struct bv_registry *registry);

/* Where runs of this backend are staged; NULL (as at first): nowhere, and a spec that stages is refused. The store is the caller's and must outlive the
 * backend's plans and runs. Before the backend is shared between threads. */
BV_API void bv_backend_stage_in(struct bv_backend *backend, struct bv_store *store);

/* What this machine can hold, as one "bvisor.probe/1" document {schema, backend, probed, profile_hash, matrix: [{kind, enforcement, evidence,
 * mechanism, why, remedy}], budget: {dimension: {...}}}; freed with bv_free(). Budgets are judged for an ordinary process, or guest where the
 * backend runs no processes. */
BV_API BV_MUST_CHECK enum bv_status bv_probe_json(struct bv_backend *backend, char **ret_text, struct bv_error *error);

/* Admits a spec on this machine: opens and hashes the workload, probes, plans. BV_OK: *ret_plan. BV_E_REFUSED: *ret_refusal only.
 * Else neither is written. */
BV_API BV_MUST_CHECK enum bv_status bv_plan_create(struct bv_backend *backend, const struct bv_spec *spec, struct bv_plan **ret_plan,
                                                   struct bv_refusal **ret_refusal, struct bv_error *error);

/* Re-admits a saved "bvisor.plan/1" document. BV_E_INVALID: malformed; BV_E_CORRUPT: plan_id does not match; BV_E_REFUSED with reason
 * profile_drift: the machine or the workload is no longer what it was. */
BV_API BV_MUST_CHECK enum bv_status bv_plan_reload(struct bv_backend *backend, const char *text, size_t size, struct bv_plan **ret_plan,
                                                   struct bv_refusal **ret_refusal, struct bv_error *error);
/* The id of the backend that a saved plan names, into buffer. BV_E_INVALID. */
BV_API BV_MUST_CHECK enum bv_status bv_plan_peek_backend(const char *text, size_t size, char buffer[24], struct bv_error *error);
/* A refusal of reason unknown_backend for a name that no registry knows. BV_E_NOMEM. */
BV_API BV_MUST_CHECK enum bv_status bv_refusal_unknown_backend(const char *id, struct bv_refusal **ret_refusal, struct bv_error *error);

struct bv_run_options { /* zero-initialise with BV_RUN_OPTIONS_INIT */
    int stdin_fd;            /* bytes are copied from here (never the descriptor itself); -1 = end of file */
    int stdout_fd, stderr_fd; /* live copies; -1 = none. Never made non-blocking; SIGPIPE is never raised by a write to them */
    uint64_t capture_bytes;  /* per captured stream, <= BV_CAPTURE_MAX_BYTES */
    bv_secret_fn *secret;    /* NULL: every lease is unknown */
    void *secret_context;
    uint64_t probe_max_age_micros; /* 0: the machine is probed again before the run. Else a probe of the same backend that found the
                                    * plan's very profile at most so long ago serves: for a run that follows its planning at once */
    struct bv_journal *journal; /* where the run is recorded; must outlive it. The workload exists only once its start is durable there; when that
                                 * cannot be, nothing runs. NULL: no record */
};
#define BV_RUN_OPTIONS_INIT { -1, -1, -1, BV_CAPTURE_DEFAULT_BYTES, NULL, NULL, 0, NULL }

struct bv_run;
/* Re-probes, refuses on drift (BV_E_REFUSED, *ret_refusal), resolves secrets, starts. The plan, options and backend must outlive the run. */
BV_API BV_MUST_CHECK enum bv_status bv_run_start(struct bv_backend *backend, const struct bv_plan *plan, const struct bv_run_options *options,
                                                 struct bv_run **ret_run, struct bv_refusal **ret_refusal, struct bv_error *error);
/* Plans and starts in one: what bv_plan_create() and then bv_run_start() say, with one look at the machine for both. The workload is hashed and
 * the plan is given its identity while the boundary is built; the workload begins only when both are done. The backend and options must outlive
 * the run; spec need not. */
BV_API BV_MUST_CHECK enum bv_status bv_run_begin(struct bv_backend *backend, const struct bv_spec *spec, const struct bv_run_options *options,
                                                 struct bv_run **ret_run, struct bv_refusal **ret_refusal, struct bv_error *error);
/* The plan that is run; lives as long as the run at least. */
BV_API const struct bv_plan *bv_run_plan(const struct bv_run *run);
/* Readable when bv_run_dispatch() has something to do; the run's own, do not close. */
BV_API int bv_run_fd(const struct bv_run *run);
/* Does what can be done without blocking; *ret_done becomes true once the report can be taken. */
BV_API BV_MUST_CHECK enum bv_status bv_run_dispatch(struct bv_run *run, bool *ret_done, struct bv_error *error);
/* Asks the run to end (outcome killed). From any thread, any number of times; async-signal-safe; never blocks. */
BV_API void bv_run_cancel(struct bv_run *run);
/* Dispatches until done, seals, gives the report. Once per run. */
BV_API BV_MUST_CHECK enum bv_status bv_run_wait(struct bv_run *run, struct bv_report **ret_report, struct bv_error *error);
/* Records the report in the run's journal; without one nothing is done. Once per run, after bv_run_wait(). BV_OK: it is durable. BV_E_SYS,
 * BV_E_CORRUPT, BV_E_NOMEM: it is not persisted, and a recovery will say that the attempt was rolled back. BV_E_STATE: out of order. */
BV_API BV_MUST_CHECK enum bv_status bv_run_record(struct bv_run *run, const struct bv_report *report, struct bv_error *error);
/* Disposes of what a staged run wrote, after its report was taken and, in a recorded run, recorded: a completed run's commit, any run's discard; else
 * it is kept for bv_artifacts_commit() or _discard(), or, if keep is false, dropped. The report's document then says what became of it, and so does
 * the run's journal. A run that staged nothing: BV_OK. BV_E_STATE with the path as place: the host changed it meanwhile, and nothing was committed;
 * other failures as bv_artifacts_commit(). What could not be committed is kept, or, if keep is false, dropped. A recorded run whose report is not
 * recorded commits nothing. Without this call a recovery drops it, or keeps it if its report is recorded. Once per run. */
BV_API BV_MUST_CHECK enum bv_status bv_run_settle(struct bv_run *run, struct bv_report *report, bool keep, struct bv_error *error);
/* Kills what is left and frees. bv_run_free(NULL) does nothing. */
BV_API void bv_run_free(struct bv_run *run);

/* bv_run_begin(), bv_run_wait(), bv_run_record() and bv_run_settle(), keeping. BV_OK sets only *ret_report, BV_E_REFUSED only *ret_refusal; a report
 * that could not be recorded, or a commit that failed, is an error beside the report. */
BV_API BV_MUST_CHECK enum bv_status bv_run_confined(const struct bv_spec *spec, struct bv_backend *backend, const struct bv_run_options *options,
                                                    struct bv_report **ret_report, struct bv_refusal **ret_refusal, struct bv_error *error);

#ifdef __cplusplus
}
#endif
#endif
