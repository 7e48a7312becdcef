/* cli/state.h - this user's state directory: the journal and what is staged, both in one place. */
#pragma once

#include <bvisor/artifacts.h>
#include <bvisor/host.h>

#include "cli/options.h"

/* The state directory: --journal DIR, else $XDG_STATE_HOME/bvisor, else /var/lib/bvisor for root, else $HOME/.local/state/bvisor; links in what
 * exists of it are resolved. *ret_dir is NULL where none of them is given; it lives in the pool. 0 or CLI_FAULT. */
int cli_state_dir(struct cli *cli, const struct cli_args *args, const char **ret_dir);
/* The journal of a run, made if it is not there; *ret_journal is NULL with --no-journal and where there is no state directory. 0 or CLI_FAULT. */
int cli_open_journal(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal);
/* What is there of the two, for the verbs that read or settle; each NULL where it is not there. 0 or CLI_FAULT: also where there is no directory. */
int cli_open_state(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal, struct bv_store **ret_store);
/* Where writes are staged, made if it is not there; *ret_store is NULL where there is no state directory. 0 or CLI_FAULT. */
int cli_open_store(struct cli *cli, const struct cli_args *args, struct bv_store **ret_store);
