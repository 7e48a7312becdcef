/* cli/state.h - where this user's record is kept. */
#pragma once

#include <bvisor/host.h>

#include "cli/options.h"

/* The state directory: --journal DIR, else $XDG_STATE_HOME/bvisor, else /var/lib/bvisor for root, else $HOME/.local/state/bvisor. *ret_dir is NULL
 * where none of them is given; it lives in the pool. 0 or CLI_FAULT. */
int cli_state_dir(struct cli *cli, const struct cli_args *args, const char **ret_dir);
/* The journal of a run, made if it is not there; *ret_journal is NULL with --no-journal and where there is no state directory. 0 or CLI_FAULT. */
int cli_open_journal(struct cli *cli, const struct cli_args *args, struct bv_journal **ret_journal);
