/* stage/diff.h - unified diffs of two texts in memory. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define STAGE_DIFF_MAX_BYTES (8u << 20) /* of one text; what is larger is only said to differ */

/* A text has no NUL byte in it. */
bool stage_is_text(const char *bytes, size_t size);
/* Appends the hunks of a unified diff (three lines of context, "\ No newline at end of file" where it is so); nothing when they are equal. Texts that
 * differ too much to be compared line by line within bounds are shown as one change. False: out of memory, or over the buffer's maximum. */
bool stage_diff(struct bv_buf *out, const char *old_text, size_t old_size, const char *new_text, size_t new_size);
/* Appends a path as diffs print it: in quotes with C escapes if it holds a byte that a line or a terminal could take for something else. */
bool stage_diff_path(struct bv_buf *out, const char *prefix, const char *root, const char *path);
