/* launchwire/frame.c - the codec of the launch frame: one table of fields drives size, encoder and
 * decoder.
 *
 * Byte layout and the validity rule stand in frame.h; wire order is frame.def, then the lists in
 * the order of LISTS below. The file knows no meaning of any value: what a mount kind or a flag may
 * be is the launcher's check. It allocates nothing, because the launcher may not, and it never
 * casts a struct to bytes, so that padding cannot leak into the frame. */
#include "launchwire/frame.h"

#include "base/bytes.h"
#include "base/check.h"
#include "canon/canon.h"

#include <string.h>

#define HEADER_BYTES (8u + 4u + 4u + BV_SHA256_BYTES)

static const uint8_t MAGIC[8] = { 'B', 'V', 'F', 'R', 'A', 'M', 'E', '1' };

/* bytes is the width of a number; 0 marks a string. */
struct field {
    uint32_t offset, bytes;
};

static const struct field VALUES[] = {
#define BV_NUMBER(member)                                                                          \
    { offsetof(struct bv_frame, member), sizeof(((struct bv_frame *)NULL)->member) },
#define BV_TEXT(member) { offsetof(struct bv_frame, member), 0 },
#include "launchwire/frame.def"
#undef BV_NUMBER
#undef BV_TEXT
};

static const struct field ITEM_FD[] = { { 0, 4 } };
static const struct field ITEM_KEEP[] = {
    { offsetof(struct bv_frame_keep, number), 4 },
    { offsetof(struct bv_frame_keep, fd), 4 },
};
static const struct field ITEM_TEXT[] = { { 0, 0 } };
static const struct field ITEM_MOUNT[] = {
    { offsetof(struct bv_frame_mount, kind), 4 },
    { offsetof(struct bv_frame_mount, flags), 4 },
    { offsetof(struct bv_frame_mount, mode), 4 },
    { offsetof(struct bv_frame_mount, dev), 8 },
    { offsetof(struct bv_frame_mount, ino), 8 },
    { offsetof(struct bv_frame_mount, size_bytes), 8 },
    { offsetof(struct bv_frame_mount, inodes), 8 },
    { offsetof(struct bv_frame_mount, source), 0 },
    { offsetof(struct bv_frame_mount, dest), 0 },
    { offsetof(struct bv_frame_mount, stage), 0 },
};
static const struct field ITEM_RULE[] = {
    { offsetof(struct bv_frame_rule, access), 8 },
    { offsetof(struct bv_frame_rule, path), 0 },
};
static const struct field ITEM_RLIMIT[] = {
    { offsetof(struct bv_frame_rlimit, resource), 4 },
    { offsetof(struct bv_frame_rlimit, soft), 8 },
    { offsetof(struct bv_frame_rlimit, hard), 8 },
};
static const struct field ITEM_INSN[] = {
    { offsetof(struct bv_frame_insn, code), 2 },
    { offsetof(struct bv_frame_insn, jt), 1 },
    { offsetof(struct bv_frame_insn, jf), 1 },
    { offsetof(struct bv_frame_insn, k), 4 },
};

struct list {
    size_t count_offset, items_offset, stride;
    uint32_t max;
    const struct field *fields;
    size_t field_count;
};

static const struct list LISTS[] = {
    { offsetof(struct bv_frame, task_fd_count), offsetof(struct bv_frame, task_fds),
      sizeof(int32_t), BV_FRAME_TASKS_MAX, ITEM_FD, BV_COUNT(ITEM_FD) },
    { offsetof(struct bv_frame, arg_count), offsetof(struct bv_frame, args), sizeof(const char *),
      BV_FRAME_ARGS_MAX, ITEM_TEXT, BV_COUNT(ITEM_TEXT) },
    { offsetof(struct bv_frame, env_count), offsetof(struct bv_frame, env), sizeof(const char *),
      BV_FRAME_ENV_MAX, ITEM_TEXT, BV_COUNT(ITEM_TEXT) },
    { offsetof(struct bv_frame, keep_count), offsetof(struct bv_frame, keep),
      sizeof(struct bv_frame_keep), BV_FRAME_KEEP_MAX, ITEM_KEEP, BV_COUNT(ITEM_KEEP) },
    { offsetof(struct bv_frame, mount_count), offsetof(struct bv_frame, mounts),
      sizeof(struct bv_frame_mount), BV_FRAME_MOUNTS_MAX, ITEM_MOUNT, BV_COUNT(ITEM_MOUNT) },
    { offsetof(struct bv_frame, rule_count), offsetof(struct bv_frame, rules),
      sizeof(struct bv_frame_rule), BV_FRAME_RULES_MAX, ITEM_RULE, BV_COUNT(ITEM_RULE) },
    { offsetof(struct bv_frame, rlimit_count), offsetof(struct bv_frame, rlimits),
      sizeof(struct bv_frame_rlimit), BV_FRAME_RLIMITS_MAX, ITEM_RLIMIT, BV_COUNT(ITEM_RLIMIT) },
    { offsetof(struct bv_frame, bpf_count), offsetof(struct bv_frame, bpf),
      sizeof(struct bv_frame_insn), BV_FRAME_BPF_MAX_INSNS, ITEM_INSN, BV_COUNT(ITEM_INSN) },
};

static uint64_t load_number(const void *member, uint32_t bytes)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (bytes) {
    case 1: memcpy(&u8, member, sizeof(u8)); return u8;
    case 2: memcpy(&u16, member, sizeof(u16)); return u16;
    case 4: memcpy(&u32, member, sizeof(u32)); return u32;
    case 8: memcpy(&u64, member, sizeof(u64)); return u64;
    }
    BV_UNREACHABLE();
}

static void store_number(void *member, uint32_t bytes, uint64_t value)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;

    switch (bytes) {
    case 1: memcpy(member, &u8, sizeof(u8)); return;
    case 2: memcpy(member, &u16, sizeof(u16)); return;
    case 4: memcpy(member, &u32, sizeof(u32)); return;
    case 8: memcpy(member, &value, sizeof(value)); return;
    }
    BV_UNREACHABLE();
}

/* A string that the host left NULL is the empty string. */
static const char *load_text(const void *member)
{
    const char *text;

    memcpy(&text, member, sizeof(text));
    return text ? text : "";
}

static uint32_t load_count(const struct bv_frame *frame, const struct list *list)
{
    return (uint32_t)load_number((const uint8_t *)frame + list->count_offset, 4);
}

static uint64_t fields_size(const uint8_t *base, const struct field *fields, size_t count)
{
    uint64_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size +=
            fields[i].bytes ? fields[i].bytes : 4 + strlen(load_text(base + fields[i].offset)) + 1;
    }
    return size;
}

size_t bv_frame_size(const struct bv_frame *frame)
{
    const uint8_t *base = (const uint8_t *)frame;
    uint64_t size = HEADER_BYTES + fields_size(base, VALUES, BV_COUNT(VALUES));

    for (size_t i = 0; i < BV_COUNT(LISTS); i++) {
        const struct list *list = &LISTS[i];
        uint32_t count = load_count(frame, list);

        if (count > list->max) {
            return 0;
        }
        size += 4;
        for (uint32_t item = 0; item < count; item++) {
            size += fields_size(base + list->items_offset + item * list->stride, list->fields,
                                list->field_count);
        }
    }
    return size > BV_FRAME_MAX_BYTES ? 0 : (size_t)size;
}

static void write_fields(struct bv_writer *w, const uint8_t *base, const struct field *fields,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *member = base + fields[i].offset;

        if (fields[i].bytes) {
            bv_write_le(w, load_number(member, fields[i].bytes), fields[i].bytes);
        } else {
            const char *text = load_text(member);
            size_t length = strlen(text);

            bv_write_u32(w, (uint32_t)length);
            bv_write_bytes(w, text, length + 1);
        }
    }
}

/* The digest's context holds the tail of the payload, and the payload holds secrets. */
static void payload_digest(const uint8_t *payload, size_t size, uint8_t digest[BV_SHA256_BYTES])
{
    struct bv_sha256 ctx;

    bv_sha256_init(&ctx);
    bv_sha256_update(&ctx, payload, size);
    bv_sha256_final(&ctx, digest);
    explicit_bzero(&ctx, sizeof(ctx));
}

bool bv_frame_encode(const struct bv_frame *frame, uint8_t *bytes, size_t size)
{
    const uint8_t *base = (const uint8_t *)frame;
    struct bv_writer w = { .data = bytes, .size = size, .at = HEADER_BYTES };
    struct bv_writer header = { .data = bytes, .size = HEADER_BYTES };
    uint8_t digest[BV_SHA256_BYTES];

    if (size < HEADER_BYTES || bv_frame_size(frame) != size) {
        return false;
    }
    write_fields(&w, base, VALUES, BV_COUNT(VALUES));
    for (size_t i = 0; i < BV_COUNT(LISTS); i++) {
        const struct list *list = &LISTS[i];
        uint32_t count = load_count(frame, list);

        bv_write_u32(&w, count);
        for (uint32_t item = 0; item < count; item++) {
            write_fields(&w, base + list->items_offset + item * list->stride, list->fields,
                         list->field_count);
        }
    }
    BV_ASSERT(!w.bad);
    BV_ASSERT(w.at == size);
    payload_digest(bytes + HEADER_BYTES, size - HEADER_BYTES, digest);
    bv_write_bytes(&header, MAGIC, sizeof(MAGIC));
    bv_write_u32(&header, BV_FRAME_VERSION);
    bv_write_u32(&header, (uint32_t)size);
    bv_write_bytes(&header, digest, sizeof(digest));
    BV_ASSERT(header.at == HEADER_BYTES && !header.bad);
    return true;
}

/* The string stays where it is in the frame, which must outlive the decoded struct. */
static const char *read_text(struct bv_reader *r)
{
    uint32_t length = bv_read_u32(r);
    const uint8_t *text = bv_read_bytes(r, (size_t)length + 1);

    if (!text) {
        return NULL;
    }
    if (memchr(text, 0, (size_t)length + 1) != text + length) {
        r->bad = true;
        return NULL;
    }
    return (const char *)text;
}

static void read_fields(struct bv_reader *r, uint8_t *base, const struct field *fields,
                        size_t count)
{
    for (size_t i = 0; i < count && !r->bad; i++) {
        uint8_t *member = base + fields[i].offset;

        if (fields[i].bytes) {
            store_number(member, fields[i].bytes, bv_read_le(r, fields[i].bytes));
        } else {
            const char *text = read_text(r);

            memcpy(member, &text, sizeof(text));
        }
    }
}

static bool header_matches(const uint8_t *bytes, size_t size)
{
    struct bv_reader r = { .data = bytes, .size = size };
    uint8_t digest[BV_SHA256_BYTES];
    const uint8_t *magic = bv_read_bytes(&r, sizeof(MAGIC));
    uint32_t version = bv_read_u32(&r), total = bv_read_u32(&r);
    const uint8_t *stated = bv_read_bytes(&r, BV_SHA256_BYTES);

    if (r.bad || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0 || version != BV_FRAME_VERSION ||
        total != size) {
        return false;
    }
    payload_digest(bytes + HEADER_BYTES, size - HEADER_BYTES, digest);
    return memcmp(stated, digest, sizeof(digest)) == 0;
}

bool bv_frame_decode(const uint8_t *bytes, size_t size, struct bv_frame *ret_frame)
{
    struct bv_reader r = { .data = bytes, .size = size, .at = HEADER_BYTES };
    uint8_t *base = (uint8_t *)ret_frame;

    if (size < HEADER_BYTES || size > BV_FRAME_MAX_BYTES || !header_matches(bytes, size)) {
        return false;
    }
    read_fields(&r, base, VALUES, BV_COUNT(VALUES));
    for (size_t i = 0; i < BV_COUNT(LISTS); i++) {
        const struct list *list = &LISTS[i];
        uint32_t count = bv_read_u32(&r);

        if (r.bad || count > list->max) {
            return false;
        }
        store_number(base + list->count_offset, 4, count);
        for (uint32_t item = 0; item < count && !r.bad; item++) {
            read_fields(&r, base + list->items_offset + item * list->stride, list->fields,
                        list->field_count);
        }
    }
    if (r.bad || r.at != size) {
        return false;
    }
    ret_frame->args[ret_frame->arg_count] = NULL;
    ret_frame->env[ret_frame->env_count] = NULL;
    return true;
}
