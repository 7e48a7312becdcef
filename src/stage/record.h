/* stage/record.h - what a commit notes of each step before it takes it: the file `prepared`.
 *
 * One line per step, "N TYPE GONE NEWDEV NEWINO OLDDEV OLDINO OLDSIZE OLDSECONDS OLDNANOS OLDMODE", decimal, one space between; N is the place
 * of its change in the list, counted from 1 and rising. The last line: "end COUNT SHA256 of the lines before". Inodes tell a later reader, after any
 * crash, which of two names holds the new thing and which the old one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stage/manifest.h"

enum stage_step_type {
    STAGE_PUT = 'P',      /* a file or link takes the path */
    STAGE_BUILD = 'B',    /* a directory with all that is staged below it takes the path */
    STAGE_REMOVE = 'R',
    STAGE_TOUCH = 'M',    /* mode and time of what stands there */
    STAGE_NOTHING = 'N',  /* special files; what the host has removed already */
};

struct stage_record {
    uint64_t ordinal;
    enum stage_step_type type;
    bool gone;            /* a directory of the host's goes with it: what is listed below it goes too */
    uint64_t new_dev, new_ino, old_dev, old_ino; /* 0, 0: nothing */
    uint64_t old_size;
    int64_t old_seconds;
    uint32_t old_nanos, old_mode;
};

#define STAGE_RECORD_MAX_BYTES 256
/* One line with its newline and a NUL; its length. */
size_t stage_record_format(const struct stage_record *record, char line[STAGE_RECORD_MAX_BYTES]);
/* line: without its newline, NUL-terminated or not. False: not a line of ours. */
bool stage_record_parse(const char *line, size_t size, struct stage_record *ret_record);

struct stage_record_writer { int fd; struct bv_buf block; struct bv_sha256 sum; uint64_t count; int result; };
void stage_record_writer_init(struct stage_record_writer *writer, int fd);
void stage_record_writer_add(struct stage_record_writer *writer, const struct stage_record *record);
int stage_record_writer_done(struct stage_record_writer *writer); /* 0 or the first failure; frees */

struct stage_record_reader {
    const char *(*line)(void *source, size_t *ret_size, int *ret_result);
    void *source;
    struct bv_sha256 sum;
    uint64_t count, last;
    bool ended;
};
void stage_record_reader_init(struct stage_record_reader *reader, const char *(*line)(void *, size_t *, int *), void *source);
/* 1: *ret_record. 0: the end, and all was valid. -errno; -EBADMSG: not valid. */
int stage_record_reader_next(struct stage_record_reader *reader, struct stage_record *ret_record);
