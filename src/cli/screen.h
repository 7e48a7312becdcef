/* cli/screen.h - live output on its way to a terminal: what could steer the terminal is made
 * visible (ATTACKS.md 49). Pipes and files get the workload's bytes as they are; only a terminal
 * acts on them. */
#pragma once

#include <bvisor/plan.h>
#include <bvisor/spec.h>

#include "cli/cli.h"

struct cli_job { /* what is to run: exactly one of the two is not NULL */
    const struct bv_plan *plan; /* a saved plan, admitted again */
    const struct bv_spec *spec;
    bool keep; /* what is staged and neither committed nor discarded stays for `artifacts` */
};

struct cli_screen {
    int terminal;          /* where cleaned text goes; -1: this stream needs no screen */
    int read_fd, write_fd; /* the library writes live output to write_fd */
    char tail[4];          /* the beginning of a character whose rest has not come yet */
    size_t tail_size;
};

#define CLI_SCREEN_NONE                                                                            \
    {                                                                                              \
        -1, -1, -1, { 0 }, 0                                                                       \
    }

/* Puts a screen before *fd when it is a terminal; *fd then is the screen's write end. 0 or
 * CLI_FAULT. */
int cli_screen_open(struct cli *cli, const struct cli_job *job, int *fd,
                    struct cli_screen *screen);
/* Moves what is there, without waiting for more. */
void cli_screen_pump(struct cli_screen *screen);
/* Moves the rest and closes; the run must be over. */
void cli_screen_close(struct cli_screen *screen);
