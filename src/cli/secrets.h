/* cli/secrets.h - the values of --secrets: one JSON object {REF: VALUE}, read into locked memory
 * and wiped after the start. */
#pragma once

#include <stddef.h>

#include "cli/cli.h"

struct cli_secret {
    size_t reference, reference_size, value, value_size;
}; /* offsets into the locked text */

struct cli_secrets {
    char *text; /* locked, kept out of core dumps and of children; NULL when nothing is held */
    size_t mapped;
    struct cli_secret *list; /* in the pool: offsets tell nothing */
    size_t count;
};

/* 0 or CLI_FAULT; on failure nothing is held. No message ever quotes the file's content. */
int cli_secrets_load(struct cli *cli, const char *path, struct cli_secrets *ret_secrets);
/* A bv_secret_fn over a struct cli_secrets. */
ptrdiff_t cli_secrets_resolve(void *context, const char *reference, char *buffer, size_t capacity);
/* Overwrites and unmaps; may be called again. */
void cli_secrets_wipe(struct cli_secrets *secrets);
