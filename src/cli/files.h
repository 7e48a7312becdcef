/* cli/files.h - reading documents whole and writing them whole: a reader never sees half a
 * report. */
#pragma once

#include "cli/cli.h"

/* Reads a file ("-" = standard input) of at most max_bytes. *ret_text is NUL-terminated and
 * lives in the pool; *ret_size does not count the NUL. 0 or CLI_FAULT. */
int cli_read_file(struct cli *cli, const char *path, size_t max_bytes, char **ret_text,
                  size_t *ret_size);

/* Puts size bytes into path: a regular file is written beside it and renamed over it, keeping
 * its mode; a pipe or device is written as it is. 0 or a positive errno; then the old content is
 * untouched. */
int cli_write_file(const char *path, const char *bytes, size_t size);
/* Whether cli_write_file() can be expected to succeed; 0 or a positive errno. Creates nothing. */
int cli_probe_file(const char *path);
