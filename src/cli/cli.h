/* cli/cli.h - what every part of the command shares: one record per invocation, diagnostics, the
 * one document.
 *
 * Functions here answer an exit status: 0 means "go on", anything else was already told to the
 * user and to the document that --json or --report asked for, and is what main() returns.
 * INTERFACE.md 1 fixes the statuses and the line format `bvisor: WHAT: WHY (what to do)`.
 * Nothing here calls exit(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/files.h"
#include "cli/pool.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_MISMATCH = 1,  /* verify, show: a seal does not match */
    CLI_FAULT = 125,   /* bvisor failed or was misused */
    CLI_REFUSED = 126, /* refused, nothing ran */
};

struct cli {
    struct cli_pool pool;
    bool json;               /* one document on standard output and nothing else there */
    const char *report_path; /* one document in this file; NULL = none */
    struct cli_target report; /* where that is */
    bool documented;         /* the one document was written (or could not be) */
    bool quiet, verbose;
    bool closed[3]; /* descriptors 0, 1, 2 that the caller had closed */
};

/* Tells one failure: a line on standard error, and the bvisor.error/1 document if one is wanted.
 * remedy NULL = none. Returns CLI_FAULT. */
int cli_fail(struct cli *cli, const char *place, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int cli_fail_nomem(struct cli *cli);

/* A refusal that the command itself gives because this version lacks something or nothing can be
 * started. reason is one of CONTRACT.md 8. A line on standard error, a bvisor.refusal/1 document
 * if one is wanted. Returns CLI_REFUSED. */
struct cli_refusal {
    const char *reason;
    const char *backend;
    const char *place; /* the option or JSON pointer */
    const char *why;
    const char *remedy;
    bool workload; /* about EXE: the item then names launch_workload, as the library's own do */
    bool lacking; /* the line then leads with the option itself: this version does not have it */
};
int cli_refuse(struct cli *cli, const struct cli_refusal *refusal);

/* One line on standard error; control characters are made visible. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True when --json or --report asked for a document. */
bool cli_wants_document(const struct cli *cli);
/* Writes the one document of this ending, text without a final newline, to wherever it was asked
 * for. 0 or CLI_FAULT. */
int cli_document(struct cli *cli, const char *text);
/* Fails early when the file of --report cannot be written: a run in vain helps nobody. */
int cli_check_report_path(struct cli *cli);

/* Writes all of bytes to a descriptor; 0 or a positive errno. */
int cli_write_all(int fd, const void *bytes, size_t size);
/* Flushes standard output; a failed or short write becomes CLI_FAULT. */
int cli_flush_stdout(struct cli *cli);
