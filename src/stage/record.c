/* stage/record.c - the file `prepared`; format: record.h. Pure but for the write()s. */
#include "stage/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "stage/tree.h"

#define BLOCK_BYTES (64u << 10)
#define FIELDS      11

size_t stage_record_format(const struct stage_record *record, char line[STAGE_RECORD_MAX_BYTES])
{
    const int n = snprintf(line, STAGE_RECORD_MAX_BYTES,
                           "%" PRIu64 " %c %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIu32 "\n",
                           record->ordinal, (char)record->type, record->gone, record->new_dev, record->new_ino, record->old_dev, record->old_ino,
                           record->old_size, record->old_seconds, record->old_nanos, record->old_mode);
    BV_ASSERT(n > 0 && n < STAGE_RECORD_MAX_BYTES);
    return (size_t)n;
}

/* A decimal number without sign or leading zeros. */
static bool read_number(const char **at, const char *end, uint64_t max, uint64_t *ret_number)
{
    const char *begin = *at;
    uint64_t number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (bv_ckd_mul(&number, number, (uint64_t)10) || bv_ckd_add(&number, number, (uint64_t)(**at - '0'))) {
            return false;
        }
    }
    *ret_number = number;
    return *at > begin && (*begin != '0' || *at == begin + 1) && number <= max;
}

static bool read_type(const char **at, const char *end, struct stage_record *record)
{
    if (*at >= end || memchr("PBRMN", **at, 5) == NULL) {
        return false;
    }
    record->type = (enum stage_step_type) * (*at)++;
    return true;
}

bool stage_record_parse(const char *line, size_t size, struct stage_record *ret_record)
{
    const char *at = line, *end = line + size;
    uint64_t n[FIELDS] = { 0 };
    bool minus = false;
    for (size_t i = 0; i < FIELDS; i++) {
        if (i > 0 && (at >= end || *at++ != ' ')) {
            return false;
        }
        if (i == 8 && at < end && *at == '-') {
            minus = true;
            at++;
        }
        const uint64_t max = i == 2 ? 1 : i == 8 ? INT64_MAX : i == 9 ? 999999999 : i == 10 ? 07777 : UINT64_MAX;
        if (i == 1 ? !read_type(&at, end, ret_record) : !read_number(&at, end, max, &n[i])) {
            return false;
        }
    }
    if (at != end || n[0] == 0 || n[0] > STAGE_ENTRIES_MAX || (minus && n[8] == 0)) {
        return false;
    }
    *ret_record = (struct stage_record){
        .ordinal = n[0],
        .type = ret_record->type,
        .gone = n[2] != 0,
        .new_dev = n[3],
        .new_ino = n[4],
        .old_dev = n[5],
        .old_ino = n[6],
        .old_size = n[7],
        .old_seconds = minus ? -(int64_t)n[8] : (int64_t)n[8],
        .old_nanos = (uint32_t)n[9],
        .old_mode = (uint32_t)n[10],
    };
    return true;
}

static void flush(struct stage_record_writer *writer)
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

void stage_record_writer_init(struct stage_record_writer *writer, int fd)
{
    *writer = (struct stage_record_writer){ .fd = fd };
    bv_buf_init(&writer->block, BLOCK_BYTES + STAGE_RECORD_MAX_BYTES);
    bv_sha256_init(&writer->sum);
}

void stage_record_writer_add(struct stage_record_writer *writer, const struct stage_record *record)
{
    char line[STAGE_RECORD_MAX_BYTES];
    (void)bv_buf_add(&writer->block, line, stage_record_format(record, line));
    writer->count++;
    if (writer->block.size >= BLOCK_BYTES || writer->block.failed) {
        flush(writer);
    }
}

int stage_record_writer_done(struct stage_record_writer *writer)
{
    uint8_t digest[BV_SHA256_BYTES];
    char sum[BV_DIGEST_TEXT_SIZE];
    flush(writer);
    bv_sha256_final(&writer->sum, digest);
    bv_digest_text(digest, sum);
    (void)bv_buf_format(&writer->block, "end %" PRIu64 " %s\n", writer->count, sum);
    if (writer->result == 0) {
        writer->result = writer->block.failed ? -ENOMEM : tree_write_all(writer->fd, writer->block.data, writer->block.size);
    }
    bv_buf_done(&writer->block);
    return writer->result;
}

void stage_record_reader_init(struct stage_record_reader *reader, const char *(*line)(void *, size_t *, int *), void *source)
{
    *reader = (struct stage_record_reader){ .line = line, .source = source };
    bv_sha256_init(&reader->sum);
}

static int read_end(struct stage_record_reader *reader, const char *line, size_t size)
{
    uint8_t digest[BV_SHA256_BYTES];
    char sum[BV_DIGEST_TEXT_SIZE], wanted[STAGE_RECORD_MAX_BYTES];
    size_t more;
    int result = 0;
    bv_sha256_final(&reader->sum, digest);
    bv_digest_text(digest, sum);
    const int n = snprintf(wanted, sizeof wanted, "end %" PRIu64 " %s", reader->count, sum);
    reader->ended = true;
    if (n < 0 || (size_t)n != size || memcmp(wanted, line, size) != 0) {
        return -EBADMSG;
    }
    return reader->line(reader->source, &more, &result) ? -EBADMSG : result;
}

int stage_record_reader_next(struct stage_record_reader *reader, struct stage_record *ret_record)
{
    size_t size;
    int result = 0;
    if (reader->ended) {
        return 0;
    }
    const char *line = reader->line(reader->source, &size, &result);
    if (!line) {
        return result < 0 ? result : -EBADMSG;
    }
    if (size >= 4 && memcmp(line, "end ", 4) == 0) {
        return read_end(reader, line, size);
    }
    bv_sha256_update(&reader->sum, line, size);
    bv_sha256_update(&reader->sum, "\n", 1);
    *ret_record = (struct stage_record){ 0 };
    if (!stage_record_parse(line, size, ret_record) || ret_record->ordinal <= reader->last) {
        return -EBADMSG;
    }
    reader->last = ret_record->ordinal;
    reader->count++;
    return 1;
}
