/* stage/manifest.c - writes and reads the list of changes; format and validity: manifest.h. Pure but for the write()s and read()s of files. */
#include "stage/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "contract/names.h"
#include "stage/tree.h"

#define SCHEMA      "bvisor.delta/1"
#define BLOCK_BYTES (256u << 10)
#define READ_BYTES  (64u << 10)

/* ---- paths ---- */

int stage_compare_paths(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    const int a = *left == '/' ? 1 : *left == '\0' ? 0 : (unsigned char)*left + 2;
    const int b = *right == '/' ? 1 : *right == '\0' ? 0 : (unsigned char)*right + 2;
    return a - b;
}

bool stage_path_inside(const char *path, const char *prefix)
{
    const size_t size = strlen(prefix);
    return size == 0 || (strncmp(path, prefix, size) == 0 && (path[size] == '\0' || path[size] == '/'));
}

bool stage_path_is_good(const char *path, size_t size)
{
    if (size == 0 || size > STAGE_PATH_MAX_BYTES || memchr(path, '\0', size)) {
        return false;
    }
    for (const char *at = path; at <= path + size;) {
        const char *slash = memchr(at, '/', (size_t)(path + size - at));
        const size_t length = (size_t)((slash ? slash : path + size) - at);
        if (length == 0 || length > 255 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        at += length + 1;
    }
    return true;
}

void stage_artifact_id(const char *attempt, const char *root, const struct stage_entry *entry, char id[BV_DIGEST_TEXT_SIZE])
{
    struct bv_sha256 ctx;
    uint8_t digest[BV_SHA256_BYTES];
    const char *const parts[] = { attempt, root, entry->path, bv_change_name(entry->change), entry->now.hash };
    bv_sha256_init(&ctx);
    for (size_t i = 0; i < BV_COUNT(parts); i++) {
        bv_sha256_update(&ctx, parts[i], strlen(parts[i]) + 1); /* the NUL keeps them apart */
    }
    bv_sha256_final(&ctx, digest);
    bv_digest_text(digest, id);
}

/* ---- writing ---- */

void stage_emit_path(struct bv_emit *emit, const char *path)
{
    const size_t size = strlen(path);
    if (bv_text_is_plain(path, size)) {
        bv_emit_bytes(emit, "path", path, size);
        return;
    }
    BV_AUTO(bv_cleanup_free) char *encoded = bv_base64(path, size);
    if (encoded) {
        bv_emit_text(emit, "path_base64", encoded);
    } else {
        emit->buf->failed = true;
    }
}

static void flush(struct stage_writer *writer)
{
    if (writer->result == 0 && writer->block.failed) {
        writer->result = -ENOMEM;
    }
    if (writer->result == 0) {
        bv_sha256_update(&writer->sum, writer->block.data, writer->block.size);
        writer->result = tree_write_all(writer->fd, writer->block.data, writer->block.size);
    }
    bv_buf_clear(&writer->block);
}

static void end_line(struct stage_writer *writer)
{
    (void)bv_buf_text(&writer->block, "\n");
    if (writer->block.size >= BLOCK_BYTES || writer->block.failed) {
        flush(writer);
    }
}

void stage_writer_init(struct stage_writer *writer, int fd, const struct stage_header *header)
{
    struct bv_emit emit;
    *writer = (struct stage_writer){ .fd = fd };
    /* A root's line may be as long as all paths of a spec together. */
    bv_buf_init(&writer->block, BLOCK_BYTES + STAGE_ROOTS_MAX * (BV_PATH_MAX_BYTES * 6 + 4) + STAGE_LINE_MAX_BYTES);
    bv_sha256_init(&writer->sum);
    bv_emit_init(&emit, &writer->block);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "attempt", header->attempt);
    bv_emit_array(&emit, "roots");
    for (size_t i = 0; i < header->root_count; i++) {
        bv_emit_text(&emit, NULL, header->roots[i]);
    }
    bv_emit_end(&emit);
    bv_emit_text(&emit, "schema", SCHEMA);
    bv_emit_end(&emit);
    end_line(writer);
}

static void emit_thing(struct bv_emit *emit, const char *key, const struct stage_thing *thing)
{
    if (!thing->exists) {
        bv_emit_null(emit, key);
        return;
    }
    bv_emit_object(emit, key);
    if (thing->hash[0]) {
        bv_emit_text(emit, "hash", thing->hash);
    } else {
        bv_emit_null(emit, "hash");
    }
    bv_emit_text(emit, "kind", bv_artifact_kind_name(thing->kind));
    bv_emit_number(emit, "mode", thing->mode);
    bv_emit_number(emit, "size", thing->size);
    bv_emit_end(emit);
}

void stage_writer_add(struct stage_writer *writer, const struct stage_entry *entry)
{
    struct bv_emit emit;
    bv_emit_init(&emit, &writer->block);
    bv_emit_object(&emit, NULL);
    emit_thing(&emit, "base", &entry->base);
    bv_emit_text(&emit, "change", bv_change_name(entry->change));
    bv_emit_number(&emit, "mtime_nanos", entry->mtime_nanos);
    /* Before 1970 and after 2^53 are no times that a document can say. */
    bv_emit_number(&emit, "mtime_seconds",
                   entry->mtime_seconds < 0 ? 0
                   : entry->mtime_seconds > BV_JSON_MAX_INTEGER ? (uint64_t)BV_JSON_MAX_INTEGER
                                                                : (uint64_t)entry->mtime_seconds);
    emit_thing(&emit, "now", &entry->now);
    stage_emit_path(&emit, entry->path);
    bv_emit_bool(&emit, "raced", entry->raced);
    bv_emit_number(&emit, "root", entry->root);
    bv_emit_end(&emit);
    writer->entries++;
    end_line(writer);
}

int stage_writer_done(struct stage_writer *writer, bool complete)
{
    uint8_t digest[BV_SHA256_BYTES];
    char sum[BV_DIGEST_TEXT_SIZE];
    struct bv_emit emit;
    flush(writer);
    bv_sha256_final(&writer->sum, digest);
    bv_digest_text(digest, sum);
    bv_emit_init(&emit, &writer->block);
    bv_emit_object(&emit, NULL);
    bv_emit_bool(&emit, "complete", complete);
    bv_emit_number(&emit, "entries", writer->entries);
    bv_emit_text(&emit, "sum", sum);
    bv_emit_end(&emit);
    (void)bv_buf_text(&writer->block, "\n");
    if (writer->result == 0) {
        writer->result = writer->block.failed ? -ENOMEM : tree_write_all(writer->fd, writer->block.data, writer->block.size);
    }
    bv_buf_done(&writer->block);
    return writer->result;
}

/* ---- sources of lines ---- */

void stage_file_init(struct stage_file *file, int fd)
{
    *file = (struct stage_file){ .fd = fd };
}

void stage_file_done(struct stage_file *file)
{
    free(file->buffer);
    *file = (struct stage_file){ .fd = -EBADF };
}

/* Makes room for more behind what is there and reads it. 0, or -errno. */
static int fill(struct stage_file *file)
{
    if (file->at > 0) {
        memmove(file->buffer, file->buffer + file->at, file->size - file->at);
        file->size -= file->at;
        file->at = 0;
    }
    if (file->room - file->size < READ_BYTES) {
        const size_t room = file->room + READ_BYTES * 2;
        if (room > STAGE_ROOTS_MAX * (BV_PATH_MAX_BYTES * 6) + (4u << 20)) {
            return -EBADMSG; /* no line of ours is as long */
        }
        char *buffer = realloc(file->buffer, room);
        if (!buffer) {
            return -ENOMEM;
        }
        file->buffer = buffer;
        file->room = room;
    }
    ssize_t n;
    do {
        n = read(file->fd, file->buffer + file->size, file->room - file->size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    file->over = n == 0;
    file->size += (size_t)n;
    return 0;
}

const char *stage_file_line(void *source, size_t *ret_size, int *ret_result)
{
    struct stage_file *file = source;
    size_t seen = 0;
    for (;;) {
        const char *begin = file->buffer ? file->buffer + file->at : NULL;
        const char *end = begin ? memchr(begin + seen, '\n', file->size - file->at - seen) : NULL;
        if (end) {
            *ret_size = (size_t)(end - begin);
            file->at += *ret_size + 1;
            return begin;
        }
        seen = file->size - file->at;
        if (file->over) {
            *ret_result = seen > 0 ? -EBADMSG : 0; /* a last line without its end was cut off */
            return NULL;
        }
        *ret_result = fill(file);
        if (*ret_result < 0) {
            return NULL;
        }
    }
}

const char *stage_text_line(void *source, size_t *ret_size, int *ret_result)
{
    struct stage_text *text = source;
    const char *begin = text->bytes + text->at;
    const char *end = text->at < text->size ? memchr(begin, '\n', text->size - text->at) : NULL;
    if (!end) {
        *ret_result = text->at < text->size ? -EBADMSG : 0;
        return NULL;
    }
    *ret_size = (size_t)(end - begin);
    text->at += *ret_size + 1;
    return begin;
}

/* ---- reading ---- */

static int read_line(struct stage_reader *reader, json_t **ret_line, const char **ret_text, size_t *ret_size)
{
    int result = 0;
    const char *text = reader->line(reader->source, ret_size, &result);
    if (!text) {
        return result < 0 ? result : -EBADMSG; /* the list ends with its last line only */
    }
    *ret_text = text;
    const enum bv_status status = bv_json_read(text, *ret_size, BV_SPEC_MAX_BYTES * 8, ret_line, NULL);
    return status == BV_OK ? 0 : status == BV_E_NOMEM ? -ENOMEM : -EBADMSG;
}

static void count_in(struct stage_reader *reader, const char *text, size_t size)
{
    bv_sha256_update(&reader->sum, text, size);
    bv_sha256_update(&reader->sum, "\n", 1);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool number_of(const json_t *object, const char *key, uint64_t max, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max) {
        return false;
    }
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

static bool is_digest(const char *text)
{
    return text && strlen(text) == BV_DIGEST_TEXT_SIZE - 1 && strncmp(text, "sha256:", 7) == 0 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

static bool is_attempt(const char *text)
{
    return text && strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static bool read_header(struct stage_reader *reader)
{
    const json_t *first = reader->first, *roots = json_object_get(first, "roots");
    const char *schema = text_of(first, "schema"), *attempt = text_of(first, "attempt");
    if (!json_is_object(first) || json_object_size(first) != 3 || !schema || strcmp(schema, SCHEMA) != 0 || !is_attempt(attempt) ||
        !json_is_array(roots) || json_array_size(roots) > STAGE_ROOTS_MAX) {
        return false;
    }
    memcpy(reader->header.attempt, attempt, 33);
    reader->header.root_count = json_array_size(roots);
    for (size_t i = 0; i < reader->header.root_count; i++) {
        const char *root = json_string_value(json_array_get(roots, i));
        if (!root || root[0] != '/' || !stage_path_is_good(root + 1, strlen(root + 1))) {
            return false;
        }
        reader->roots_text[i] = strdup(root);
        if (!reader->roots_text[i]) {
            return false;
        }
    }
    reader->header.roots = (const char *const *)reader->roots_text;
    return true;
}

int stage_reader_begin(struct stage_reader *reader)
{
    const char *text;
    size_t size;
    bv_sha256_init(&reader->sum);
    const int result = read_line(reader, &reader->first, &text, &size);
    if (result < 0) {
        return result;
    }
    count_in(reader, text, size);
    return read_header(reader) ? 0 : -EBADMSG;
}

static bool word_of(const json_t *object, const char *key, const struct bv_names *names, size_t *ret_value)
{
    const char *word = text_of(object, key);
    return word && bv_name_find(names, word, ret_value);
}

static bool read_thing(const json_t *object, struct stage_thing *thing)
{
    *thing = (struct stage_thing){ 0 };
    if (json_is_null(object)) {
        return true;
    }
    const json_t *hash = json_object_get(object, "hash");
    uint64_t mode;
    size_t kind;
    if (!json_is_object(object) || json_object_size(object) != 4 || !number_of(object, "mode", 07777, &mode) ||
        !number_of(object, "size", BV_JSON_MAX_INTEGER, &thing->size) || !word_of(object, "kind", &bv_names_artifact_kind, &kind) ||
        (!json_is_null(hash) && !is_digest(json_string_value(hash)))) {
        return false;
    }
    thing->exists = true;
    thing->kind = (enum bv_artifact_kind)kind;
    thing->mode = (uint32_t)mode;
    if (json_is_string(hash)) {
        memcpy(thing->hash, json_string_value(hash), BV_DIGEST_TEXT_SIZE);
    }
    return true;
}

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Padded base64 without anything else. The number of bytes, or -1. */
static ssize_t decode(const char *text, char *out)
{
    const size_t size = strlen(text);
    ssize_t count = 0;
    if (size == 0 || size % 4 != 0) {
        return -1;
    }
    for (size_t i = 0; i < size; i += 4) {
        const size_t pad = i + 4 == size ? (size_t)(text[i + 3] == '=') + (size_t)(text[i + 2] == '=' && text[i + 3] == '=') : 0;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            const int value = k >= 4 - pad ? 0 : base64_value(text[i + k]);
            if (value < 0) {
                return -1;
            }
            group = group << 6 | (uint32_t)value;
        }
        for (size_t k = 0; k < 3 - pad; k++) {
            out[count++] = (char)(group >> (16 - 8 * k));
        }
    }
    return count;
}

/* The entry's path into reader->path; the one before stays in reader->last_path. */
static int read_path(struct stage_reader *reader, const json_t *object)
{
    const char *plain = text_of(object, "path"), *encoded = text_of(object, "path_base64");
    const char *text = plain ? plain : encoded;
    if (!text || (plain && encoded)) {
        return -EBADMSG;
    }
    char *path = reader->last_path;
    size_t room = reader->last_room;
    reader->last_path = reader->path;
    reader->last_room = reader->path_room;
    if (strlen(text) + 1 > room) {
        room = strlen(text) + 1;
        char *grown = realloc(path, room);
        if (!grown) {
            free(path);
            reader->path = NULL;
            reader->path_room = 0;
            return -ENOMEM;
        }
        path = grown;
    }
    reader->path = path;
    reader->path_room = room;
    ssize_t size = (ssize_t)strlen(text);
    if (plain) {
        memcpy(path, text, (size_t)size + 1);
    } else {
        size = decode(text, path);
        if (size >= 0) {
            path[size] = '\0';
        }
    }
    return size > 0 && stage_path_is_good(path, (size_t)size) ? 0 : -EBADMSG;
}

char *stage_read_path(const json_t *object)
{
    const char *plain = text_of(object, "path"), *encoded = text_of(object, "path_base64");
    if (plain) {
        return strdup(plain);
    }
    char *path = encoded ? malloc(strlen(encoded) + 1) : NULL;
    const ssize_t size = path ? decode(encoded, path) : -1;
    if (size < 0) {
        free(path);
        return NULL;
    }
    path[size] = '\0';
    return path;
}

static bool entry_is_coherent(const struct stage_entry *entry)
{
    switch (entry->change) {
    case BV_CHANGE_ADDED: return entry->now.exists && !entry->base.exists;
    case BV_CHANGE_MODIFIED: return entry->now.exists && entry->base.exists;
    case BV_CHANGE_REMOVED: return !entry->now.exists && entry->base.exists;
    }
    BV_UNREACHABLE();
}

static int read_entry(struct stage_reader *reader, struct stage_entry *entry)
{
    const json_t *object = reader->current, *raced = json_object_get(object, "raced");
    uint64_t root, seconds, nanos;
    size_t change;
    *entry = (struct stage_entry){ 0 };
    if (json_object_size(object) != 8 || !json_is_boolean(raced) || reader->header.root_count == 0 ||
        !number_of(object, "root", reader->header.root_count - 1, &root) || !number_of(object, "mtime_seconds", BV_JSON_MAX_INTEGER, &seconds) ||
        !number_of(object, "mtime_nanos", 999999999, &nanos) || !word_of(object, "change", &bv_names_change, &change) ||
        !read_thing(json_object_get(object, "now"), &entry->now) || !read_thing(json_object_get(object, "base"), &entry->base)) {
        return -EBADMSG;
    }
    const int result = read_path(reader, object);
    if (result < 0) {
        return result;
    }
    entry->root = (uint32_t)root;
    entry->change = (enum bv_change)change;
    entry->path = reader->path;
    entry->raced = json_is_true(raced);
    entry->mtime_seconds = (int64_t)seconds;
    entry->mtime_nanos = (uint32_t)nanos;
    const bool in_order = reader->entries == 0 || entry->root > reader->last_root ||
                          (entry->root == reader->last_root && stage_compare_paths(reader->last_path, entry->path) < 0);
    reader->last_root = entry->root;
    return in_order && entry_is_coherent(entry) && ++reader->entries <= STAGE_ENTRIES_MAX ? 1 : -EBADMSG;
}

static int read_end(struct stage_reader *reader)
{
    uint8_t digest[BV_SHA256_BYTES];
    char sum[BV_DIGEST_TEXT_SIZE];
    uint64_t entries;
    const char *stated = text_of(reader->current, "sum");
    const json_t *complete = json_object_get(reader->current, "complete");
    size_t size;
    int result = 0;
    bv_sha256_final(&reader->sum, digest);
    bv_digest_text(digest, sum);
    if (json_object_size(reader->current) != 3 || !json_is_boolean(complete) || !number_of(reader->current, "entries", STAGE_ENTRIES_MAX, &entries) ||
        entries != reader->entries || !stated || strcmp(stated, sum) != 0) {
        return -EBADMSG;
    }
    reader->ended = true;
    reader->complete = json_is_true(complete);
    /* Nothing may come after it. */
    return reader->line(reader->source, &size, &result) ? -EBADMSG : result;
}

int stage_reader_next(struct stage_reader *reader, struct stage_entry *ret_entry)
{
    const char *text;
    size_t size;
    if (reader->ended) {
        return 0;
    }
    json_decref(reader->current);
    reader->current = NULL;
    const int result = read_line(reader, &reader->current, &text, &size);
    if (result < 0) {
        return result;
    }
    if (!json_is_object(reader->current)) {
        return -EBADMSG;
    }
    if (json_object_get(reader->current, "sum")) {
        return read_end(reader);
    }
    count_in(reader, text, size);
    return read_entry(reader, ret_entry);
}

void stage_reader_done(struct stage_reader *reader)
{
    json_decref(reader->first);
    json_decref(reader->current);
    for (size_t i = 0; i < BV_COUNT(reader->roots_text); i++) {
        free(reader->roots_text[i]);
    }
    free(reader->path);
    free(reader->last_path);
    *reader = (struct stage_reader){ 0 };
}
