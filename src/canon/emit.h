/* canon/emit.h - writes a canonical document member by member, without a tree: the fast way for plans and reports.
 *
 * The members of an object are given in the order of their keys. That is asserted, so what is written is canonical by
 * construction. Failure (out of memory, over the buffer's maximum, what no document can hold) sticks in the buffer, as it
 * does there: writers write without looking, and whoever began asks buf->failed once. */
#pragma once

#include "canon/canon.h"

#include <bvisor/limits.h>

struct bv_emit {
    struct bv_buf *buf;
    unsigned depth;
    const char *last[BV_JSON_MAX_DEPTH + 1]; /* key of the newest member of each open object, "" before any; NULL: an array */
};

void bv_emit_init(struct bv_emit *emit, struct bv_buf *buf); /* appends one value to buf */

/* key: the member's name, ASCII that needs no escape, alive until the object's end; NULL for an item of an array and for the document itself. */
/* Both return where in the buffer the value begins. */
size_t bv_emit_object(struct bv_emit *emit, const char *key);
size_t bv_emit_array(struct bv_emit *emit, const char *key);
void bv_emit_end(struct bv_emit *emit); /* of the newest object or array that is open */
void bv_emit_text(struct bv_emit *emit, const char *key, const char *text); /* bv_text_is_plain(), or it fails */
void bv_emit_bytes(struct bv_emit *emit, const char *key, const char *bytes, size_t size); /* the same */
void bv_emit_number(struct bv_emit *emit, const char *key, uint64_t number); /* at most BV_JSON_MAX_INTEGER, or it fails */
void bv_emit_bool(struct bv_emit *emit, const char *key, bool value);
void bv_emit_null(struct bv_emit *emit, const char *key);
/* A value in its canonical form that is there already. */
void bv_emit_canonical(struct bv_emit *emit, const char *key, const char *text, size_t size);

/* "sha256:..." of the document in buf. False: it failed. */
bool bv_emit_digest(const struct bv_buf *buf, char text[BV_DIGEST_TEXT_SIZE]);
/* The document in buf as a tree, for who works on trees; empties buf. NULL: it failed. */
json_t *bv_emit_tree(struct bv_buf *buf);
