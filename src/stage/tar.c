/* stage/tar.c - entries of a tar archive: ustar headers, and a pax header before one whose name, link or size does not fit.
 *
 * Owner and group are 0: who staged it is no property of it. Special files never come here. POSIX.1-2001, pax(1), "pax Interchange Format". */
#include "stage/artifacts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "stage/delta.h"
#include "stage/tree.h"
#include "sys/sys.h"

#define BLOCK         512u
#define SIZE_MAX_OCTAL UINT64_C(077777777777) /* eleven digits */
#define BUFFER_BYTES  (64u << 10)

struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2], user[32], group[32], major[8],
        minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static void put_octal(char *field, size_t size, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)number);
    memcpy(field, text, size - 1);
}

static void sign(struct ustar *header)
{
    unsigned sum = 0;
    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < BLOCK; i++) {
        sum += ((const unsigned char *)header)[i];
    }
    (void)snprintf(header->checksum, sizeof header->checksum, "%06o", sum);
    header->checksum[7] = ' ';
}

static int put_header(int fd, char type, const char *name, const char *link, uint32_t mode, uint64_t size, int64_t mtime)
{
    struct ustar header = { .type = type, .magic = "ustar", .version = { '0', '0' } };
    memcpy(header.name, name, strnlen(name, sizeof header.name));
    memcpy(header.link, link, strnlen(link, sizeof header.link));
    put_octal(header.mode, sizeof header.mode, mode);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, size <= SIZE_MAX_OCTAL ? size : 0);
    put_octal(header.mtime, sizeof header.mtime, mtime > 0 && (uint64_t)mtime <= SIZE_MAX_OCTAL ? (uint64_t)mtime : 0);
    sign(&header);
    return tree_write_all(fd, &header, BLOCK);
}

static int put_padding(int fd, uint64_t size)
{
    static const char zeros[BLOCK];
    const size_t rest = (size_t)(size % BLOCK);
    return rest == 0 ? 0 : tree_write_all(fd, zeros, BLOCK - rest);
}

/* "LENGTH KEY=VALUE\n", the length counting itself. */
static bool put_record(struct bv_buf *buf, const char *key, const char *value, size_t size)
{
    const size_t rest = strlen(key) + size + 3;
    size_t length = rest + 1;
    char digits[24];
    for (int known = 0; known != snprintf(digits, sizeof digits, "%zu", length);) {
        known = snprintf(digits, sizeof digits, "%zu", length);
        length = rest + (size_t)known;
    }
    return bv_buf_format(buf, "%zu %s=", length, key) && bv_buf_add(buf, value, size) && bv_buf_text(buf, "\n");
}

static bool is_portable(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

/* What the ustar header cannot say. */
static int put_pax(int fd, const char *name, const char *link, uint64_t size)
{
    struct bv_buf buf;
    char digits[24];
    bv_buf_init(&buf, STAGE_LINE_MAX_BYTES);
    if (!is_portable(name) || !is_portable(link)) {
        (void)put_record(&buf, "hdrcharset", "BINARY", 6); /* file names are bytes */
    }
    if (strlen(name) > 100 || !is_portable(name)) {
        (void)put_record(&buf, "path", name, strlen(name));
    }
    if (strlen(link) > 100 || !is_portable(link)) {
        (void)put_record(&buf, "linkpath", link, strlen(link));
    }
    if (size > SIZE_MAX_OCTAL) {
        (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)size);
        (void)put_record(&buf, "size", digits, strlen(digits));
    }
    int result = buf.failed ? -ENOMEM : 0;
    if (result == 0 && buf.size > 0) {
        result = put_header(fd, 'x', "bvisor.pax", "", 0644, buf.size, 0);
        result = result == 0 ? tree_write_all(fd, buf.data, buf.size) : result;
        result = result == 0 ? put_padding(fd, buf.size) : result;
    }
    bv_buf_done(&buf);
    return result;
}

static int put_content(int fd, int from, uint64_t size, const char *hash)
{
    struct bv_sha256 ctx;
    uint8_t digest[BV_SHA256_BYTES];
    char found[BV_DIGEST_TEXT_SIZE];
    BV_AUTO(bv_cleanup_free) char *buffer = malloc(BUFFER_BYTES);
    int result = buffer ? 0 : -ENOMEM;
    uint64_t at = 0;
    bv_sha256_init(&ctx);
    while (result == 0 && at < size) {
        const uint64_t left = size - at;
        const ssize_t n = pread(from, buffer, left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES, (off_t)at);
        if (n <= 0) {
            if (n == 0 || errno != EINTR) {
                return n < 0 ? -errno : -EBADMSG;
            }
            continue;
        }
        bv_sha256_update(&ctx, buffer, (size_t)n);
        result = tree_write_all(fd, buffer, (size_t)n);
        at += (uint64_t)n;
    }
    bv_sha256_final(&ctx, digest);
    bv_digest_text(digest, found);
    return result < 0 ? result : hash[0] && strcmp(hash, found) != 0 ? -EBADMSG : put_padding(fd, size);
}

static int put_thing(int fd, int upper, const char *name, const struct stage_entry *entry)
{
    char link[PATH_MAX] = "";
    const uint32_t mode = entry->now.mode & 0777u;
    int result = 0;
    if (entry->now.kind == BV_ARTIFACT_SYMLINK) {
        const char *last;
        const int parent = tree_open_parent(upper, entry->path, &last);
        result = parent < 0 ? parent : tree_read_link(parent, last, link, sizeof link);
        bv_cleanup_fd(&parent);
    }
    const uint64_t size = entry->now.kind == BV_ARTIFACT_FILE ? entry->now.size : 0;
    const int from = result == 0 && entry->now.kind == BV_ARTIFACT_FILE ? stage_open_own(upper, entry->path) : -EBADF;
    if (result == 0 && entry->now.kind == BV_ARTIFACT_FILE && from < 0) {
        result = from;
    }
    result = result == 0 ? put_pax(fd, name, link, size) : result;
    if (result == 0) {
        const char type = entry->now.kind == BV_ARTIFACT_DIRECTORY ? '5' : entry->now.kind == BV_ARTIFACT_SYMLINK ? '2' : '0';
        result = put_header(fd, type, name, link, mode, size, entry->mtime_seconds);
    }
    if (result == 0 && from >= 0) {
        result = put_content(fd, from, size, entry->now.hash);
    }
    bv_cleanup_fd(&from);
    return result;
}

int stage_tar_entry(int fd, int upper, const char *root, const struct stage_entry *entry)
{
    char *name;
    if (asprintf(&name, "%s/%s%s", root + 1, entry->path, entry->now.kind == BV_ARTIFACT_DIRECTORY ? "/" : "") < 0) {
        return -ENOMEM;
    }
    const int result = put_thing(fd, upper, name, entry);
    free(name);
    return result;
}

int stage_tar_end(int fd)
{
    static const char zeros[2 * BLOCK];
    return tree_write_all(fd, zeros, sizeof zeros);
}
