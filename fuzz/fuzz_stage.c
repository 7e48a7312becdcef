/* fuzz/fuzz_stage.c - the records of a quarantine: list of changes, `prepared`, `decision`.
 *
 * The first byte says which. What is read as valid is written again and must come out the same, byte for byte: the formats have one form each. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/job.h"
#include "stage/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_written(int fd, const char *text, size_t size)
{
    char *back = malloc(size + 1);
    BV_ASSERT(back && lseek(fd, 0, SEEK_END) == (off_t)size && pread(fd, back, size, 0) == (ssize_t)size && memcmp(back, text, size) == 0);
    free(back);
}

static void read_list(const char *text, size_t size)
{
    struct stage_text source = { text, size, 0 };
    struct stage_reader reader = { .line = stage_text_line, .source = &source };
    struct stage_writer writer = { .result = -EBADF };
    struct stage_entry entry;
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    int got = stage_reader_begin(&reader);
    const bool begun = got == 0;
    if (begun) {
        stage_writer_init(&writer, fd, &reader.header);
        while ((got = stage_reader_next(&reader, &entry)) > 0) {
            BV_ASSERT(stage_path_is_good(entry.path, strlen(entry.path)) && entry.root < reader.header.root_count);
            stage_writer_add(&writer, &entry);
        }
    }
    /* Valid text has one form but for white space and the order of keys, which a sum cannot fix for its own line. */
    const bool valid = begun && got == 0;
    const bool written = begun && stage_writer_done(&writer, reader.complete) == 0;
    if (valid && written && lseek(fd, 0, SEEK_END) == (off_t)size) {
        expect_written(fd, text, size);
    }
    stage_reader_done(&reader);
    (void)close(fd);
}

static void read_records(const char *text, size_t size)
{
    struct stage_text source = { text, size, 0 };
    struct stage_record_reader reader;
    struct stage_record_writer writer;
    struct stage_record record;
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    int got;
    stage_record_reader_init(&reader, stage_text_line, &source);
    stage_record_writer_init(&writer, fd);
    while ((got = stage_record_reader_next(&reader, &record)) > 0) {
        stage_record_writer_add(&writer, &record);
    }
    if (stage_record_writer_done(&writer) == 0 && got == 0) {
        expect_written(fd, text, size);
    }
    (void)close(fd);
}

static void read_decision(const char *text, size_t size)
{
    struct stage_decision decision;
    struct bv_selection selection = { 0 };
    enum bv_durability durability;
    bool overwrite;
    if (stage_decision_parse(text, size, &decision, &selection, &durability, &overwrite) == 0) {
        for (size_t i = 0; i < selection.path_count; i++) {
            (void)stage_taken(&selection, "/srv/job", selection.paths[i]);
        }
    }
    stage_decision_done(&decision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    switch (data[0]) {
    case 'L': read_list(text, size - 1); break;
    case 'P': read_records(text, size - 1); break;
    case 'D': read_decision(text, size - 1); break;
    default: break;
    }
    return 0;
}
