/* run/workload_id.c - ELF, #! and Wasm by their first bytes; see workload_id.h.
 *
 * The rules are the kernel's own (fs/binfmt_elf.c load_elf_binary, fs/binfmt_script.c
 * load_script, Linux 6.18), because what this file says the interpreter is must be what exec
 * will open. Where it is stricter, it refuses: other machines and word sizes (the filter answers
 * their system calls with ENOSYS) and relative interpreters (they would depend on the working
 * directory). Owns nothing, makes no system call; fuzzed by fuzz_workload. */
#include "run/workload_id.h"

#include <elf.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "canon/canon.h"

#define ELF_HEADER_BYTES     64u
#define PROGRAM_HEADER_BYTES 56u
#define PROGRAM_HEADERS_MAX                                                                        \
    (65536u / PROGRAM_HEADER_BYTES) /* ELF_MIN_ALIGN bound of load_elf_phdrs() */
#define PROGRAM_HEADERS_AT_ONCE 16u
#define SCRIPT_LINE_BYTES       256u /* BINPRM_BUF_SIZE */

_Static_assert(sizeof(Elf64_Ehdr) == ELF_HEADER_BYTES, "the ELF header is 64 bytes");
_Static_assert(sizeof(Elf64_Phdr) == PROGRAM_HEADER_BYTES, "a program header is 56 bytes");

static void say(struct bv_format_facts *facts, const char *why)
{
    facts->format = BV_FORMAT_UNKNOWN;
    facts->why = why;
}

/* True when a path may be shown in a document and means the same from every directory. */
static bool interpreter_is_usable(const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)path[i] < 0x20) {
            return false;
        }
    }
    return path[0] == '/' && bv_text_is_plain(path, size);
}

struct program_header {
    uint32_t type;
    uint64_t offset_bytes, file_bytes;
};

static struct program_header read_program_header(struct bv_reader *reader)
{
    struct program_header header = { 0 };
    header.type = bv_read_u32(reader);
    (void)bv_read_u32(reader); /* flags */
    header.offset_bytes = bv_read_u64(reader);
    (void)bv_read_u64(reader); /* virtual address */
    (void)bv_read_u64(reader); /* physical address */
    header.file_bytes = bv_read_u64(reader);
    (void)bv_read_u64(reader); /* size in memory */
    (void)bv_read_u64(reader); /* alignment */
    return header;
}

/* The first PT_INTERP, as the kernel takes it. Returns false when the table cannot be read; type
 * PT_NULL if there is none. */
static bool find_interpreter(bv_read_at_fn *read_at, void *context, uint64_t table_at,
                             uint32_t count, struct program_header *ret_header)
{
    uint8_t bytes[PROGRAM_HEADERS_AT_ONCE * PROGRAM_HEADER_BYTES];
    *ret_header = (struct program_header){ .type = PT_NULL };
    for (uint32_t i = 0; i < count;) {
        uint32_t batch = count - i < PROGRAM_HEADERS_AT_ONCE ? count - i : PROGRAM_HEADERS_AT_ONCE;
        uint64_t at;
        if (bv_ckd_add(&at, table_at, (uint64_t)i * PROGRAM_HEADER_BYTES) ||
            !read_at(context, at, bytes, (size_t)batch * PROGRAM_HEADER_BYTES)) {
            return false;
        }
        struct bv_reader reader = { .data = bytes, .size = (size_t)batch * PROGRAM_HEADER_BYTES };
        for (uint32_t k = 0; k < batch; k++) {
            struct program_header header = read_program_header(&reader);
            BV_ASSERT(!reader.bad);
            if (header.type == PT_INTERP) {
                *ret_header = header;
                return true;
            }
        }
        i += batch;
    }
    return true;
}

static void read_elf(bv_read_at_fn *read_at, void *context, const uint8_t head[ELF_HEADER_BYTES],
                     struct bv_format_facts *facts, char interpreter[BV_INTERPRETER_BYTES])
{
    struct bv_reader reader = { .data = head, .size = ELF_HEADER_BYTES };
    (void)bv_read_bytes(&reader, EI_NIDENT);
    uint16_t type = bv_read_u16(&reader), machine = bv_read_u16(&reader);
    (void)bv_read_u32(&reader); /* version */
    (void)bv_read_u64(&reader); /* entry point */
    uint64_t table_at = bv_read_u64(&reader);
    (void)bv_read_u64(&reader); /* section headers */
    (void)bv_read_u32(&reader); /* flags */
    (void)bv_read_u16(&reader); /* size of this header */
    uint16_t entry_bytes = bv_read_u16(&reader), entry_count = bv_read_u16(&reader);
    BV_ASSERT(!reader.bad);
    if (head[EI_CLASS] != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB || machine != EM_X86_64) {
        say(facts, "is an ELF file of another machine (not 64-bit x86-64)");
        return;
    }
    if ((type != ET_EXEC && type != ET_DYN) || entry_bytes != PROGRAM_HEADER_BYTES ||
        entry_count == 0 || entry_count > PROGRAM_HEADERS_MAX) {
        say(facts, "is an ELF file but not a program");
        return;
    }
    struct program_header header;
    if (!find_interpreter(read_at, context, table_at, entry_count, &header)) {
        say(facts, "is a truncated ELF program");
        return;
    }
    facts->format = BV_FORMAT_ELF;
    if (header.type != PT_INTERP) {
        return; /* static */
    }
    if (header.file_bytes < 2 || header.file_bytes > BV_INTERPRETER_BYTES ||
        !read_at(context, header.offset_bytes, interpreter, (size_t)header.file_bytes) ||
        interpreter[header.file_bytes - 1] != '\0') {
        say(facts, "is an ELF program with a malformed interpreter entry");
        return;
    }
    if (!interpreter_is_usable(interpreter)) {
        say(facts, "is an ELF program whose interpreter is not an absolute path of plain text");
    }
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* load_script(): line is the file's first BINPRM_BUF_SIZE bytes, zero-padded; a NUL ends the
 * line as a newline does. */
static void read_script(const uint8_t line[SCRIPT_LINE_BYTES], struct bv_format_facts *facts,
                        char interpreter[BV_INTERPRETER_BYTES])
{
    size_t end = 2;
    while (end < SCRIPT_LINE_BYTES && line[end] != '\n' && line[end] != '\0') {
        end++;
    }
    size_t start = 2;
    while (start < end && is_blank(line[start])) {
        start++;
    }
    size_t stop = start;
    while (stop < end && !is_blank(line[stop])) {
        stop++;
    }
    if (start == stop) {
        say(facts, "is a script whose first line names no interpreter");
        return;
    }
    if (stop == SCRIPT_LINE_BYTES) { /* nothing ends it within what the kernel reads */
        say(facts, "is a script whose interpreter path is longer than the kernel's 255 bytes");
        return;
    }
    memcpy(interpreter, line + start, stop - start);
    interpreter[stop - start] = '\0';
    facts->format = BV_FORMAT_SCRIPT;
    if (!interpreter_is_usable(interpreter)) {
        say(facts, "is a script whose interpreter is not an absolute path of plain text");
    }
}

void bv_workload_format(bv_read_at_fn *read_at, void *context, uint64_t file_bytes,
                        struct bv_format_facts *ret_facts, char interpreter[BV_INTERPRETER_BYTES])
{
    static const uint8_t wasm_magic[4] = { 0, 'a', 's', 'm' };
    uint8_t head[SCRIPT_LINE_BYTES] = { 0 };
    size_t size = file_bytes < sizeof(head) ? (size_t)file_bytes : sizeof(head);
    *ret_facts = (struct bv_format_facts){ .format = BV_FORMAT_UNKNOWN };
    interpreter[0] = '\0';
    if (size > 0 && !read_at(context, 0, head, size)) {
        say(ret_facts, "cannot be read");
    } else if (size >= 2 && head[0] == '#' && head[1] == '!') {
        read_script(head, ret_facts, interpreter);
    } else if (size >= sizeof(wasm_magic) && memcmp(head, wasm_magic, sizeof(wasm_magic)) == 0) {
        ret_facts->format = BV_FORMAT_WASM;
    } else if (size >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
        if (size < ELF_HEADER_BYTES) {
            say(ret_facts, "is a truncated ELF program");
        } else {
            read_elf(read_at, context, head, ret_facts, interpreter);
        }
    } else {
        say(ret_facts, "is neither an ELF program of this machine, a script nor a Wasm module");
    }
    if (ret_facts->format == BV_FORMAT_UNKNOWN) {
        interpreter[0] = '\0'; /* what was read of a malformed one is nobody's business */
    }
}
