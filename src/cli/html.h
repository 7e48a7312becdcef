/* cli/html.h - a report as one page for a browser: no script, nothing fetched, every text escaped. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct cli;

/* Writes the page of a report (its text, and that text parsed) to the file `target`, which it replaces as a whole. A seal that does not match
 * is written at the top of the page. 0, CLI_MISMATCH (the page is there), CLI_FAULT. */
int cli_write_html(struct cli *cli, const char *target, const char *path, const char *text, size_t size, const json_t *report);
