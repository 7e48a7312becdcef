/* stage/diff.c - unified diffs: the shortest edit script (Myers, "An O(ND) Difference Algorithm and Its Variations", 1986), bounded; see diff.h. */
#include "stage/diff.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CONTEXT   3u
#define EDITS_MAX 2000 /* the trace takes 8 D^2 bytes: 32 MB */

struct line { const char *at; size_t size; uint64_t hash; };
struct text { struct line *lines; bool *changed; size_t count; };

bool stage_is_text(const char *bytes, size_t size)
{
    return size == 0 || memchr(bytes, '\0', size) == NULL;
}

static void text_done(struct text *text)
{
    free(text->lines);
    free(text->changed);
}

/* FNV-1a: equal lines have equal hashes, and the rest is compared. */
static uint64_t hash_of(const char *at, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)at[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* A line's newline is part of it, so that a last line without one differs from one with. */
static bool split(const char *bytes, size_t size, struct text *text)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += bytes[i] == '\n';
    }
    text->lines = malloc((count + 1) * sizeof text->lines[0]);
    text->changed = calloc(count + 1, sizeof text->changed[0]);
    if (!text->lines || !text->changed) {
        return false;
    }
    for (size_t at = 0; at < size;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - (bytes + at)) + 1 : size - at;
        text->lines[text->count++] = (struct line){ bytes + at, length, hash_of(bytes + at, length) };
        at += length;
    }
    return true;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->hash == b->hash && a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* ---- the edit script ---- */

struct script {
    const struct line *a, *b;
    long n, m;
    long max;            /* edits that are tried */
    int32_t *trace;      /* row d: furthest x on each diagonal -d..d after d edits */
};

static int32_t *row(const struct script *script, long d)
{
    return script->trace + d * d; /* rows of 1, 3, 5 ... cells */
}

static long furthest(const struct script *script, long d, long k)
{
    if (d == 0) {
        return 0;
    }
    const int32_t *last = row(script, d - 1) + (d - 1); /* by diagonal */
    const bool down = k == -d || (k != d && last[k - 1] < last[k + 1]);
    return down ? last[k + 1] : last[k - 1] + 1;
}

/* The number of edits, or -1 if there are more than are tried. */
static long search(const struct script *script)
{
    for (long d = 0; d <= script->max; d++) {
        int32_t *cells = row(script, d) + d;
        for (long k = -d; k <= d; k += 2) {
            /* Diagonals outside of the grid have no meaning, and none inside is reached through them. */
            long x = furthest(script, d, k), y = x - k;
            while (x >= 0 && y >= 0 && x < script->n && y < script->m && same(&script->a[x], &script->b[y])) {
                x++;
                y++;
            }
            cells[k] = (int32_t)x;
            if (k + 1 <= d) {
                cells[k + 1] = -1;
            }
            if (x >= script->n && y >= script->m) {
                return d;
            }
        }
    }
    return -1;
}

static void follow(const struct script *script, long d, bool *removed, bool *added)
{
    long x = script->n, y = script->m;
    for (; d > 0; d--) {
        const int32_t *last = row(script, d - 1) + (d - 1);
        const long k = x - y;
        const bool down = k == -d || (k != d && last[k - 1] < last[k + 1]);
        const long before = down ? last[k + 1] : last[k - 1], previous_k = down ? k + 1 : k - 1;
        if (down) {
            added[before - previous_k] = true;
        } else {
            removed[before] = true;
        }
        x = before;
        y = before - previous_k;
    }
}

/* Marks what is not common. False: out of memory. */
static bool compare(struct text *old_text, struct text *new_text)
{
    size_t head = 0, tail = 0;
    while (head < old_text->count && head < new_text->count && same(&old_text->lines[head], &new_text->lines[head])) {
        head++;
    }
    while (tail < old_text->count - head && tail < new_text->count - head &&
           same(&old_text->lines[old_text->count - 1 - tail], &new_text->lines[new_text->count - 1 - tail])) {
        tail++;
    }
    struct script script = {
        .a = old_text->lines + head,
        .b = new_text->lines + head,
        .n = (long)(old_text->count - head - tail),
        .m = (long)(new_text->count - head - tail),
    };
    script.max = script.n + script.m < EDITS_MAX ? script.n + script.m : EDITS_MAX;
    script.trace = malloc((size_t)(script.max + 1) * (size_t)(script.max + 1) * sizeof script.trace[0]);
    if (!script.trace) {
        return false;
    }
    const long edits = search(&script);
    if (edits >= 0) {
        follow(&script, edits, old_text->changed + head, new_text->changed + head);
    } else {
        memset(old_text->changed + head, true, (size_t)script.n * sizeof(bool));
        memset(new_text->changed + head, true, (size_t)script.m * sizeof(bool));
    }
    free(script.trace);
    return true;
}

/* ---- hunks ---- */

static bool put_line(struct bv_buf *out, char mark, const struct line *line)
{
    bool ok = bv_buf_add(out, &mark, 1) && bv_buf_add(out, line->at, line->size);
    if (ok && (line->size == 0 || line->at[line->size - 1] != '\n')) {
        ok = bv_buf_text(out, "\n\\ No newline at end of file\n");
    }
    return ok;
}

static bool put_range(struct bv_buf *out, char mark, size_t first, size_t count)
{
    /* Of no lines the number is that of the line before; "1,1" is written "1". */
    const size_t number = count > 0 ? first + 1 : first;
    return count == 1 ? bv_buf_format(out, " %c%zu", mark, number) : bv_buf_format(out, " %c%zu,%zu", mark, number, count);
}

/* One hunk: old lines from i to i_end, new ones from j to j_end. */
static bool put_hunk(struct bv_buf *out, const struct text *a, const struct text *b, size_t i, size_t i_end, size_t j, size_t j_end)
{
    bool ok = bv_buf_text(out, "@@") && put_range(out, '-', i, i_end - i) && put_range(out, '+', j, j_end - j) && bv_buf_text(out, " @@\n");
    while (ok && (i < i_end || j < j_end)) {
        if (i < i_end && a->changed[i]) {
            ok = put_line(out, '-', &a->lines[i++]);
        } else if (j < j_end && b->changed[j]) {
            ok = put_line(out, '+', &b->lines[j++]);
        } else {
            ok = put_line(out, ' ', &a->lines[i++]);
            j++;
        }
    }
    return ok;
}

static bool put_hunks(struct bv_buf *out, const struct text *a, const struct text *b)
{
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        if (!(i < a->count && a->changed[i]) && !(j < b->count && b->changed[j])) {
            i++;
            j++;
            continue;
        }
        const size_t lead = i < CONTEXT ? i : CONTEXT;
        size_t from_i = i - lead, from_j = j - lead, common = 0;
        /* Until more lines are common than the context of two hunks shows. */
        while ((i < a->count || j < b->count) && common <= 2 * CONTEXT) {
            if (i < a->count && a->changed[i]) {
                i++;
                common = 0;
            } else if (j < b->count && b->changed[j]) {
                j++;
                common = 0;
            } else {
                i++;
                j++;
                common++;
            }
        }
        const size_t trail = common < CONTEXT ? common : CONTEXT;
        if (!put_hunk(out, a, b, from_i, i - common + trail, from_j, j - common + trail)) {
            return false;
        }
    }
    return true;
}

bool stage_diff(struct bv_buf *out, const char *old_text, size_t old_size, const char *new_text, size_t new_size)
{
    struct text a = { 0 }, b = { 0 };
    const bool ok = split(old_text, old_size, &a) && split(new_text, new_size, &b) && compare(&a, &b) && put_hunks(out, &a, &b);
    text_done(&a);
    text_done(&b);
    return ok;
}

static bool needs_quotes(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < ' ' || byte >= 0x7f || byte == '"' || byte == '\\') {
            return true;
        }
    }
    return false;
}

static bool put_escaped(struct bv_buf *out, const char *text)
{
    bool ok = true;
    for (; ok && *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        ok = byte == '"' || byte == '\\'      ? bv_buf_format(out, "\\%c", byte)
             : byte < ' ' || byte >= 0x7f     ? bv_buf_format(out, "\\%03o", byte)
                                              : bv_buf_add(out, text, 1);
    }
    return ok;
}

bool stage_diff_path(struct bv_buf *out, const char *prefix, const char *root, const char *path)
{
    const bool quotes = needs_quotes(root) || needs_quotes(path);
    return (!quotes || bv_buf_text(out, "\"")) && put_escaped(out, prefix) && put_escaped(out, root) && bv_buf_text(out, "/") &&
           put_escaped(out, path) && (!quotes || bv_buf_text(out, "\""));
}
