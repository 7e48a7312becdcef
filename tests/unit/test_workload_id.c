/* tests/unit/test_workload_id.c - what a file is, from bytes: programs, scripts, modules, and
 * everything that only looks like one. */
#include "run/workload_id.h"

#include <elf.h>
#include <string.h>

#include "support/fixture.h"
#include "support/tap.h"

struct bytes {
    const unsigned char *data;
    size_t size;
};

static bool read_at(void *context, uint64_t offset, void *buffer, size_t size)
{
    const struct bytes *bytes = context;
    if (offset > bytes->size || size > bytes->size - offset) {
        return false;
    }
    memcpy(buffer, bytes->data + offset, size);
    return true;
}

static struct bv_format_facts identify(const void *data, size_t size,
                                       char interpreter[BV_INTERPRETER_BYTES])
{
    struct bytes bytes = { data, size };
    struct bv_format_facts facts;
    bv_workload_format(read_at, &bytes, size, &facts, interpreter);
    return facts;
}

/* One row: bytes, what they are, and the interpreter that they name. */
static void check(const char *name, const void *data, size_t size, enum bv_format format,
                  const char *interpreter)
{
    char found[BV_INTERPRETER_BYTES];
    struct bv_format_facts facts = identify(data, size, found);
    tap_ok(facts.format == format, "%s: format %d, wanted %d", name, (int)facts.format,
           (int)format);
    tap_text(found, interpreter, "%s: interpreter", name);
    tap_ok((facts.why == NULL) == (format != BV_FORMAT_UNKNOWN),
           "%s: says why exactly when it is unknown", name);
}

static void check_text(const char *name, const char *text, enum bv_format format,
                       const char *interpreter)
{
    check(name, text, strlen(text), format, interpreter);
}

static void test_elf(void)
{
    static unsigned char elf[4096 + 512];
    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    check("static program", elf, size, BV_FORMAT_ELF, "");
    size = fixture_elf(elf, sizeof(elf), "/lib64/ld-linux-x86-64.so.2");
    check("dynamic program", elf, size, BV_FORMAT_ELF, "/lib64/ld-linux-x86-64.so.2");
    check("interpreter cut off", elf, size - 1, BV_FORMAT_UNKNOWN, "");
    check("program headers cut off", elf, 100, BV_FORMAT_UNKNOWN, "");
    check("header cut off", elf, 63, BV_FORMAT_UNKNOWN, "");
    elf[size - 1] = 'x';
    check("interpreter without a NUL", elf, size, BV_FORMAT_UNKNOWN, "");
    size = fixture_elf(elf, sizeof(elf), "lib/ld.so");
    check("relative interpreter", elf, size, BV_FORMAT_UNKNOWN, "");
    size = fixture_elf(elf, sizeof(elf), "/lib/\xff/ld.so");
    check("interpreter that is not UTF-8", elf, size, BV_FORMAT_UNKNOWN, "");
    size = fixture_elf(elf, sizeof(elf), "/lib/\n/ld.so");
    check("interpreter with a newline", elf, size, BV_FORMAT_UNKNOWN, "");
    size = fixture_elf(elf, sizeof(elf), "");
    check("empty interpreter", elf, size, BV_FORMAT_UNKNOWN, "");
    static char path[BV_INTERPRETER_BYTES];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[BV_PATH_MAX_BYTES] = '\0';
    size = fixture_elf(elf, sizeof(elf), path);
    check("longest interpreter", elf, size, BV_FORMAT_ELF, path);
}

static void test_elf_fields(void)
{
    static const struct {
        const char *name;
        size_t at;
        unsigned char value;
    } rows[] = {
        { "32-bit class", EI_CLASS, ELFCLASS32 },
        { "big-endian", EI_DATA, ELFDATA2MSB },
        { "another machine", offsetof(Elf64_Ehdr, e_machine), EM_386 },
        { "a relocatable object", offsetof(Elf64_Ehdr, e_type), ET_REL },
        { "a core file", offsetof(Elf64_Ehdr, e_type), ET_CORE },
        { "program headers of another size", offsetof(Elf64_Ehdr, e_phentsize), 55 },
        { "no program header", offsetof(Elf64_Ehdr, e_phnum), 0 },
        { "too many program headers", offsetof(Elf64_Ehdr, e_phnum) + 1, 0xff },
        { "headers far behind the end", offsetof(Elf64_Ehdr, e_phoff) + 7, 0xff },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char elf[512];
        size_t size = fixture_elf(elf, sizeof(elf), "/lib/ld.so");
        elf[rows[i].at] = rows[i].value;
        check(rows[i].name, elf, size, BV_FORMAT_UNKNOWN, "");
    }
    /* The kernel takes the first PT_INTERP, wherever in the table it stands. */
    unsigned char elf[4096] = { 0 };
    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    Elf64_Phdr late = { .p_type = PT_INTERP, .p_offset = 3000, .p_filesz = 5 };
    memcpy(elf + sizeof(Elf64_Ehdr) + 20 * sizeof(late), &late, sizeof(late));
    late.p_offset = 3100;
    memcpy(elf + sizeof(Elf64_Ehdr) + 21 * sizeof(late), &late, sizeof(late));
    memcpy(elf + 3000, "/one", 5);
    memcpy(elf + 3100, "/two", 5);
    elf[offsetof(Elf64_Ehdr, e_phnum)] = 22;
    tap_ok(size < 3000, "the table lies before the texts");
    check("interpreter in the 21st header", elf, sizeof(elf), BV_FORMAT_ELF, "/one");
}

static void test_script(void)
{
    check_text("script", "#!/bin/sh\necho\n", BV_FORMAT_SCRIPT, "/bin/sh");
    check_text("blanks before and after", "#! \t/bin/sh \t\n", BV_FORMAT_SCRIPT, "/bin/sh");
    check_text("argument", "#!/usr/bin/env -S python3 -u\n", BV_FORMAT_SCRIPT, "/usr/bin/env");
    check_text("no newline", "#!/bin/sh", BV_FORMAT_SCRIPT, "/bin/sh");
    check("NUL ends the line", "#!/bin/sh\0/x\n", 13, BV_FORMAT_SCRIPT, "/bin/sh");
    check_text("no interpreter", "#!\n/bin/sh\n", BV_FORMAT_UNKNOWN, "");
    check_text("only blanks", "#!   \t", BV_FORMAT_UNKNOWN, "");
    check_text("nothing after the mark", "#!", BV_FORMAT_UNKNOWN, "");
    check_text("relative interpreter", "#!python3\n", BV_FORMAT_UNKNOWN, "");
    check_text("control character", "#!/bin/\001sh\n", BV_FORMAT_UNKNOWN, "");
    check_text("carriage return", "#!/bin/sh\r\n", BV_FORMAT_UNKNOWN, "");
    char line[400];
    memset(line, 'a', sizeof(line));
    memcpy(line, "#!/", 3);
    char wanted[300] = "/";
    memset(wanted + 1, 'a', 252);
    check("path to the end of the kernel's buffer", line, sizeof(line), BV_FORMAT_UNKNOWN, "");
    line[255] = ' ';
    check("blank in its last byte", line, sizeof(line), BV_FORMAT_SCRIPT, wanted);
    line[255] = '\n';
    check("newline in its last byte", line, sizeof(line), BV_FORMAT_SCRIPT, wanted);
    line[255] = 'a';
    line[256] = '\n';
    check("newline one byte too late", line, sizeof(line), BV_FORMAT_UNKNOWN, "");
    check("file ends with the buffer", line, 256, BV_FORMAT_UNKNOWN, "");
    check("file ends before it", line, 255, BV_FORMAT_SCRIPT, wanted);
}

int main(void)
{
    test_elf();
    test_elf_fields();
    test_script();
    check("Wasm module", "\0asm\1\0\0\0", 8, BV_FORMAT_WASM, "");
    check("Wasm magic alone", "\0asm", 4, BV_FORMAT_WASM, "");
    check("empty file", "", 0, BV_FORMAT_UNKNOWN, "");
    check("three bytes", "\0as", 3, BV_FORMAT_UNKNOWN, "");
    check_text("text", "hello, world\n", BV_FORMAT_UNKNOWN, "");
    return tap_done();
}
