/* cli/commands.h - the verbs. Each takes its parsed arguments and answers the exit status of the
 * command. */
#pragma once

#include <bvisor/run.h>
#include <bvisor/sign.h>

#include "cli/options.h"
#include "cli/secrets.h"

int cli_cmd_run(struct cli *cli, const struct cli_args *args);
int cli_cmd_plan(struct cli *cli, const struct cli_args *args);
int cli_cmd_exec(struct cli *cli, const struct cli_args *args);
int cli_cmd_probe(struct cli *cli, const struct cli_args *args);
int cli_cmd_verify(struct cli *cli, const struct cli_args *args);
int cli_cmd_show(struct cli *cli, const struct cli_args *args);
int cli_cmd_journal(struct cli *cli, const struct cli_args *args);
int cli_cmd_artifacts(struct cli *cli, const struct cli_args *args);
int cli_cmd_recover(struct cli *cli, const struct cli_args *args);
int cli_cmd_key(struct cli *cli, const struct cli_args *args);
int cli_cmd_spec(struct cli *cli, const struct cli_args *args);
int cli_cmd_completion(struct cli *cli, const struct cli_args *args);
int cli_cmd_version(struct cli *cli, const struct cli_args *args);
int cli_cmd_help(struct cli *cli, const struct cli_args *args);

/* The help text of a verb, NULL for the overview. */
void cli_put_help(FILE *out, const struct cli_verb_row *verb);

/* ---- what verbs share ---- */

/* Makes a registry with one backend of this id, or refuses. The registry is freed by the caller.
 * 0, CLI_FAULT, CLI_REFUSED. */
int cli_open_backend(struct cli *cli, const char *id, struct bv_registry **ret_registry,
                     struct bv_backend **ret_backend);
/* Tells a refusal of the library: one line an item, or the document. Frees it. Returns
 * CLI_REFUSED or CLI_FAULT. */
int cli_tell_refusal(struct cli *cli, struct bv_refusal *refusal);
/* Tells an error of the library; place is used where the error names none, source says which
 * document it is about (NULL = none). */
int cli_tell_error(struct cli *cli, const char *place, const char *source,
                   const struct bv_error *error);
/* The refusal for an option or verb that this version parses and does not have. */
int cli_lacks(struct cli *cli, const char *place, const char *why, const char *remedy);
/* Runs a spec or an admitted plan and wipes the secrets once it has started. source: the document it
 * came from, or NULL. key: signs the report, or NULL. 0..255: the exit status of INTERFACE.md 1. */
struct cli_job;
int cli_run_job(struct cli *cli, struct bv_backend *backend, const struct cli_job *job,
                const char *source, struct bv_run_options *options, const struct bv_key *key,
                struct cli_secrets *secrets);
