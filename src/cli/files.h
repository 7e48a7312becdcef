/* cli/files.h - reading documents whole and writing them whole: a reader never sees half a
 * report. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cli;

/* Reads a file ("-" = standard input) of at most max_bytes. *ret_text is NUL-terminated and
 * lives in the pool; *ret_size does not count the NUL. 0 or CLI_FAULT. */
int cli_read_file(struct cli *cli, const char *path, size_t max_bytes, char **ret_text,
                  size_t *ret_size);

/* The file of a report. Its place is looked up once, before anything runs: the directory may lie in a
 * tree that the workload may write, and a name looked up afterwards would be the workload's word. */
struct cli_target {
    bool open, special; /* special: a pipe or device, written as it is */
    int fd;             /* O_PATH on the directory, or on the special file */
    mode_t mode;        /* of the file that is replaced, or of a fresh one */
    char name[256];     /* in the directory */
};

/* 0 or a positive errno: it cannot be expected to be written. Creates nothing. Once open it stays. */
int cli_target_open(struct cli_target *target, const char *path);
/* A regular file is written beside the target and renamed over it. 0 or a positive errno; then the
 * old content is untouched. ESTALE: it is written, but path leads there no more. */
int cli_target_write(const struct cli_target *target, const char *path, const char *bytes,
                     size_t size);
void cli_target_close(struct cli_target *target);
