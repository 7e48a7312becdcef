/* tests/support/fixture.c - files and a spec for tests of the runner; see fixture.h. A failure
 * here is a broken test machine: abort(). */
#include "fixture.h"

#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool good)
{
    if (!good) {
        perror("fixture");
        abort();
    }
}

static void join(char path[FIXTURE_PATH], const char *dir, const char *name)
{
    must(snprintf(path, FIXTURE_PATH, "%s/%s", dir, name) < FIXTURE_PATH);
}

size_t fixture_elf(unsigned char *buffer, size_t capacity, const char *interpreter)
{
    Elf64_Ehdr header = { .e_type = ET_DYN,
                          .e_machine = EM_X86_64,
                          .e_version = EV_CURRENT,
                          .e_phoff = sizeof(header),
                          .e_ehsize = sizeof(header),
                          .e_phentsize = sizeof(Elf64_Phdr),
                          .e_phnum = interpreter ? 2 : 1 };
    Elf64_Phdr segments[2] = { { .p_type = PT_LOAD, .p_flags = PF_R | PF_X },
                               { .p_type = PT_INTERP } };
    size_t size = sizeof(header) + header.e_phnum * sizeof(segments[0]);
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    size_t text = interpreter ? strlen(interpreter) + 1 : 0;
    segments[1].p_offset = size;
    segments[1].p_filesz = text;
    must(size + text <= capacity);
    memcpy(buffer, &header, sizeof(header));
    memcpy(buffer + sizeof(header), segments, size - sizeof(header));
    if (interpreter) {
        memcpy(buffer + size, interpreter, text);
    }
    return size + text;
}

void fixture_file(const struct fixture *fixture, const char *name, const void *bytes, size_t size,
                  unsigned mode, char path[FIXTURE_PATH])
{
    join(path, fixture->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(size == 0 || write(fd, bytes, size) == (ssize_t)size);
    must(fchmod(fd, mode) == 0);
    must(close(fd) == 0);
}

void fixture_add_capability(struct fixture *fixture, struct bv_capability capability)
{
    must(fixture->spec.capability_count < FIXTURE_CAPABILITIES);
    fixture->capabilities[fixture->spec.capability_count++] = capability;
}

void fixture_add_control(struct fixture *fixture, struct bv_control control)
{
    must(fixture->spec.control_count < FIXTURE_CONTROLS);
    fixture->controls[fixture->spec.control_count++] = control;
}

void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    const char *base = getenv("TMPDIR");
    char template[FIXTURE_PATH];
    join(template, base && base[0] ? base : "/tmp", "bvisor-test.XXXXXX");
    must(mkdtemp(template) != NULL);
    char *resolved = realpath(template, NULL);
    must(resolved && strlen(resolved) + 16 < FIXTURE_PATH);
    memcpy(fixture->dir, resolved, strlen(resolved) + 1);
    free(resolved);
    join(fixture->in, fixture->dir, "in");
    join(fixture->out, fixture->dir, "out");
    must(mkdir(fixture->in, 0700) == 0 && mkdir(fixture->out, 0700) == 0);
    unsigned char elf[512];
    fixture_file(fixture, "prog", elf, fixture_elf(elf, sizeof(elf), NULL), 0755, fixture->exe);

    fixture->in_root[0] = fixture->in;
    fixture->out_root[0] = fixture->out;
    fixture->spec.workload =
        (struct bv_workload){ .kind = BV_WORKLOAD_PROCESS, .path = fixture->exe };
    fixture->spec.capabilities = fixture->capabilities;
    fixture->spec.controls = fixture->controls;
    fixture_add_capability(fixture,
                           (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                                   .u.filesystem = { .access = BV_ACCESS_READ,
                                                                     .recursive = true,
                                                                     .roots = fixture->in_root,
                                                                     .root_count = 1 } });
    fixture_add_capability(fixture,
                           (struct bv_capability){ .kind = BV_CAP_FILESYSTEM,
                                                   .u.filesystem = { .access = BV_ACCESS_READ_WRITE,
                                                                     .recursive = true,
                                                                     .roots = fixture->out_root,
                                                                     .root_count = 1 } });
    fixture_add_control(fixture, (struct bv_control){ .kind = BV_CTL_LAUNCH_WORKLOAD });
    fixture_add_control(fixture, (struct bv_control){ .kind = BV_CTL_CAPTURE_STREAMS,
                                                      .u.capture = { .out = true, .err = true } });
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        fixture->spec.budgets[d] =
            (struct bv_budget_request){ .limit = BV_UNLIMITED, .guarantee = BV_GUARANTEE_MEDIATED };
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void fixture_done(struct fixture *fixture)
{
    must(nftw(fixture->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}
