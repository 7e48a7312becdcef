/* stage/manifest.h - the list of changes of a staged run, as a file in its quarantine.
 *
 * Lines of canonical JSON. The first: {"attempt","roots":[path...],"schema":"bvisor.delta/1"}. Then one object per changed path, sorted by
 * root and by path with '/' before every other byte, so that a directory stands right before all that lies in it. The last:
 * {"complete":bool,"entries":N,"sum":"sha256:..."}, the sum being that of all lines before it; not complete: the run changed more than
 * is listed. Valid if and only if every line is of these forms with no other member, paths are relative and without empty, "." or
 * ".." components, the order holds, and count and sum are right. */
#pragma once

#include <bvisor/artifacts.h>

#include "canon/canon.h"
#include "canon/emit.h"

#define STAGE_PATH_MAX_BYTES 65536u     /* below a root: a tree of 32,768 directories with names of one byte */
#define STAGE_LINE_MAX_BYTES (256u << 10) /* such a path in base64, and a link's text */
#define STAGE_ROOTS_MAX      320u       /* BV_ROOTS_MAX + BV_EXPOSES_MAX */
#define STAGE_ENTRIES_MAX    4000000u   /* changed paths of one run */

struct stage_thing { /* what is, or was, at a path */
    bool exists;
    enum bv_artifact_kind kind;
    uint32_t mode;      /* 07777 */
    uint64_t size;
    char hash[BV_DIGEST_TEXT_SIZE]; /* "" if there is none */
};

struct stage_entry {
    uint32_t root;
    enum bv_change change;
    const char *path;
    struct stage_thing now;  /* staged; exists false when the path was removed */
    struct stage_thing base; /* in the host's tree when the run had ended */
    bool raced;              /* the host's thing was changed after the run had begun */
    int64_t mtime_seconds;   /* of the staged file */
    uint32_t mtime_nanos;
};

struct stage_header {
    char attempt[33];
    const char *const *roots; /* absolute */
    size_t root_count;
};

/* ---- writing ---- */
struct stage_writer {
    int fd;
    struct bv_buf block; /* lines not written yet */
    struct bv_sha256 sum;
    uint64_t entries;
    int result;          /* the first failure, -errno; sticks */
};
/* fd is the caller's, empty and at its start. */
void stage_writer_init(struct stage_writer *writer, int fd, const struct stage_header *header);
void stage_writer_add(struct stage_writer *writer, const struct stage_entry *entry);
/* Ends the list; 0 or the first failure. Frees what the writer holds. */
int stage_writer_done(struct stage_writer *writer, bool complete);

/* ---- reading ---- */
struct stage_reader {
    const char *(*line)(void *source, size_t *ret_size, int *ret_result); /* without its newline; NULL: end, or *ret_result < 0 */
    void *source;
    struct stage_header header;
    struct bv_sha256 sum;
    uint64_t entries;
    bool ended, complete;    /* complete: of the last line, once the list has ended */
    json_t *first, *current; /* what header and the newest entry point into */
    char *roots_text[STAGE_ROOTS_MAX];
    char *path, *last_path;  /* decoded path of the newest entry, and of the one before */
    size_t path_room, last_room;
    uint32_t last_root;
};
/* 1: *ret_entry, alive until the next call. 0: the list has ended and all of it was valid. -errno: -EBADMSG where it is not valid. */
int stage_reader_begin(struct stage_reader *reader);
int stage_reader_next(struct stage_reader *reader, struct stage_entry *ret_entry);
void stage_reader_done(struct stage_reader *reader);

/* ---- sources of lines ---- */
struct stage_file { int fd; char *buffer; size_t size, at, room; bool over; };
void stage_file_init(struct stage_file *file, int fd);
void stage_file_done(struct stage_file *file);
const char *stage_file_line(void *file, size_t *ret_size, int *ret_result);
struct stage_text { const char *bytes; size_t size, at; };
const char *stage_text_line(void *text, size_t *ret_size, int *ret_result);

/* Order of the list: '/' before every other byte. */
int stage_compare_paths(const char *left, const char *right);
/* True when path is prefix or lies below it; both relative, or both absolute. */
bool stage_path_inside(const char *path, const char *prefix);
/* Relative, without empty, "." or ".." components, at most STAGE_PATH_MAX_BYTES. */
bool stage_path_is_good(const char *path, size_t size);
/* The artifact's id. */
void stage_artifact_id(const char *attempt, const char *root, const struct stage_entry *entry, char id[BV_DIGEST_TEXT_SIZE]);
/* {"path": text} or {"path_base64": ...} as members in key order; only where nothing lies between "path" and "path_base64". */
void stage_emit_path(struct bv_emit *emit, const char *path);
/* The member that stage_emit_path() writes, malloc'd; NULL: there is none, it is malformed, or there is no memory. */
char *stage_read_path(const json_t *object);
