/* cli/keys.h - key files, and what is signed with them on the command line. */
#pragma once

#include <bvisor/sign.h>

#include "cli/options.h"

/* Reads the key of --sign or --key; *ret_key is NULL when the option is not given. signs: it must be a private key, in a file that nobody else may
 * read. 0 or CLI_FAULT. */
int cli_read_key(struct cli *cli, const struct cli_args *args, enum cli_option_id id, bool signs, struct bv_key **ret_key);
/* Prints the journal's head, signed if --sign is given. 0 or CLI_FAULT. */
int cli_put_head(struct cli *cli, const struct cli_args *args, struct bv_journal *journal);
/* Is the head in this file (signed by --key, if that is given) one that the journal went through? 0, CLI_MISMATCH, CLI_FAULT. */
int cli_check_head(struct cli *cli, const struct cli_args *args, struct bv_journal *journal, const char *path);
/* show --dsse: the report as a signed attestation. 0, CLI_MISMATCH, CLI_FAULT. */
int cli_put_dsse(struct cli *cli, const struct cli_args *args, const char *path, const char *text, size_t size);
