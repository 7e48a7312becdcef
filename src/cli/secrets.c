/* cli/secrets.c - a reader of its own, because a general JSON library would copy the values into
 * plain heap memory.
 *
 * The file is read straight into a mapping that is locked (never swapped), excluded from core
 * dumps and zeroed in forked children; strings are decoded in place, since no escape is shorter
 * than what it stands for. Accepted: exactly one RFC 8259 object whose members are strings,
 * without duplicate names. CONTRACT.md 3, "Secret leases". */
#include "cli/secrets.h"

#include <bvisor/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/text.h"

#define SECRETS_MAX_BYTES                                                                          \
    (512u << 10) /* twice what an environment may hold, for names and escapes */
#define SECRETS_PIPE_BYTES (64u << 10) /* a pipe tells no size; this much is locked for it */

struct scanner {
    char *text;
    size_t size, at;
    size_t line, line_start; /* raw newlines are white space only, so they are counted there */
    const char *fault;       /* the first complaint */
};

static bool complain(struct scanner *s, const char *fault)
{
    if (s->fault == NULL) {
        s->fault = fault;
    }
    return false;
}

static void skip_space(struct scanner *s)
{
    for (; s->at < s->size && s->text[s->at] != '\0' && strchr(" \t\r\n", s->text[s->at]) != NULL;
         s->at++) {
        if (s->text[s->at] == '\n') {
            s->line++;
            s->line_start = s->at + 1;
        }
    }
}

static bool take(struct scanner *s, char expected, const char *fault)
{
    skip_space(s);
    if (s->at == s->size || s->text[s->at] != expected) {
        return complain(s, fault);
    }
    s->at++;
    return true;
}

static bool peek(struct scanner *s, char expected)
{
    skip_space(s);
    return s->at < s->size && s->text[s->at] == expected;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits of \uXXXX. */
static bool read_unit(struct scanner *s, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int digit = s->at < s->size ? hex_digit(s->text[s->at]) : -1;
        if (digit < 0) {
            return complain(s, "a \\u escape needs four hexadecimal digits");
        }
        unit = unit << 4 | (uint32_t)digit;
    }
    *ret_unit = unit;
    return true;
}

static size_t encode_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, point >>= 6) {
        out[i] = (char)(0x80 | (point & 0x3f));
    }
    out[0] = (char)((0xf00u >> length & 0xff) | point);
    return length;
}

/* Behind "\u": the escape's code point, surrogate pairs united. */
static bool read_point(struct scanner *s, char *text, size_t *write)
{
    uint32_t point = 0, low = 0;
    if (!read_unit(s, &point)) {
        return false;
    }
    if (point >= 0xd800 && point <= 0xdbff) {
        bool paired = s->size - s->at >= 2 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u';
        s->at += paired ? 2 : 0;
        if (!paired || !read_unit(s, &low) || low < 0xdc00 || low > 0xdfff) {
            return complain(s, "a surrogate stands alone");
        }
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point >= 0xdc00 && point <= 0xdfff) {
        return complain(s, "a surrogate stands alone");
    }
    if (point == 0) {
        return complain(s, "a string holds NUL");
    }
    char bytes[4];
    size_t length = encode_utf8(point, bytes);
    memcpy(text + *write, bytes, length);
    *write += length;
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

static bool read_escape(struct scanner *s, size_t *write)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->size) {
        return complain(s, "a string does not end");
    }
    char letter = s->text[s->at++];
    if (letter == 'u') {
        return read_point(s, s->text, write);
    }
    const char *found = letter == '\0' ? NULL : strchr(from, letter);
    if (found == NULL) {
        return complain(s, "an unknown escape");
    }
    s->text[(*write)++] = to[found - from];
    return true;
}

/* A string, decoded where it stands. */
static bool read_string(struct scanner *s, const char *fault, size_t *ret_start, size_t *ret_size)
{
    if (!take(s, '"', fault)) {
        return false;
    }
    size_t start = s->at, write = s->at;
    while (s->at < s->size && s->text[s->at] != '"') {
        uint32_t point = 0;
        if (s->text[s->at] == '\\') {
            s->at++;
            if (!read_escape(s, &write)) {
                return false;
            }
            continue;
        }
        size_t length = cli_utf8_next(s->text + s->at, s->size - s->at, &point);
        if (length == 0 || point < 0x20) {
            return complain(s, length == 0 ? "a string is not UTF-8"
                                           : "a control character must be escaped");
        }
        memmove(s->text + write, s->text + s->at, length);
        write += length;
        s->at += length;
    }
    if (s->at == s->size) {
        return complain(s, "a string does not end");
    }
    s->at++;
    *ret_start = start;
    *ret_size = write - start;
    return true;
}

static bool read_member(struct scanner *s, struct cli_secrets *secrets)
{
    struct cli_secret secret = { 0 };
    if (secrets->count == BV_ENV_MAX_ENTRIES) {
        return complain(s, "more than 1024 members");
    }
    if (!read_string(s, "a reference in quotes must stand here", &secret.reference,
                     &secret.reference_size)) {
        return false;
    }
    if (secret.reference_size == 0 || secret.reference_size > BV_NAME_MAX_BYTES) {
        return complain(s, "a reference has 1 to 255 bytes");
    }
    for (size_t i = 0; i < secrets->count; i++) {
        const struct cli_secret *other = &secrets->list[i];
        if (other->reference_size == secret.reference_size &&
            memcmp(s->text + other->reference, s->text + secret.reference, secret.reference_size) ==
                0) {
            return complain(s, "a reference is given twice");
        }
    }
    if (!take(s, ':', "':' must stand here") ||
        !read_string(s, "a value must be a string", &secret.value, &secret.value_size)) {
        return false;
    }
    secrets->list[secrets->count++] = secret;
    return true;
}

static bool read_object(struct scanner *s, struct cli_secrets *secrets)
{
    if (!take(s, '{', "one JSON object {\"REF\": \"VALUE\"} is expected")) {
        return false;
    }
    bool more = !peek(s, '}');
    while (more) {
        if (!read_member(s, secrets)) {
            return false;
        }
        more = peek(s, ',');
        s->at += more ? 1 : 0;
    }
    if (!take(s, '}', "',' or '}' must stand here")) {
        return false;
    }
    skip_space(s);
    return s->at == s->size || complain(s, "something follows the object");
}

/* Locked memory for the file's bytes. 0 or a positive errno. */
static int map_locked(size_t size, struct cli_secrets *secrets)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t mapped = (size / (size_t)page + 1) * (size_t)page;
    char *text = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED) {
        return errno;
    }
    if (mlock(text, mapped) != 0 || madvise(text, mapped, MADV_DONTDUMP) != 0 ||
        madvise(text, mapped, MADV_WIPEONFORK) != 0) {
        int error = errno;
        (void)munmap(text, mapped);
        return error;
    }
    secrets->text = text;
    secrets->mapped = mapped;
    return 0;
}

static int read_locked(int fd, struct cli_secrets *secrets, size_t *ret_size)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    size_t room = S_ISREG(st.st_mode) ? (size_t)st.st_size : SECRETS_PIPE_BYTES;
    if (room > SECRETS_MAX_BYTES) {
        return EFBIG;
    }
    int error = map_locked(room, secrets);
    size_t size = 0;
    while (error == 0) {
        ssize_t n =
            size < secrets->mapped ? read(fd, secrets->text + size, secrets->mapped - size) : -1;
        if (n < 0 && size < secrets->mapped && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            error = size < secrets->mapped ? errno : EFBIG;
        } else if (n == 0) {
            break;
        } else {
            size += (size_t)n;
        }
    }
    *ret_size = size;
    return error;
}

int cli_secrets_load(struct cli *cli, const char *path, struct cli_secrets *ret_secrets)
{
    struct cli_secrets secrets = { .list = cli_pool_array(&cli->pool, BV_ENV_MAX_ENTRIES,
                                                          sizeof *secrets.list) };
    if (secrets.list == NULL) {
        return cli_fail_nomem(cli);
    }
    char *place = cli_pool_format(&cli->pool, "--secrets %s", path);
    place = place == NULL ? "--secrets" : place;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return cli_fail(cli, place, NULL, "cannot be opened: %s", strerror(errno));
    }
    size_t size = 0;
    int error = read_locked(fd, &secrets, &size);
    (void)close(fd);
    if (error != 0) {
        cli_secrets_wipe(&secrets);
        const char *remedy =
            error == ENOMEM || error == EPERM || error == EAGAIN ? "raise RLIMIT_MEMLOCK" : NULL;
        return cli_fail(cli, place, remedy, "cannot be read into locked memory: %s",
                        strerror(error));
    }
    struct scanner scanner = { .text = secrets.text, .size = size, .line = 1 };
    if (!read_object(&scanner, &secrets)) {
        cli_secrets_wipe(&secrets);
        return cli_fail(cli, place, NULL, "line %zu column %zu: %s", scanner.line,
                        scanner.at - scanner.line_start + 1, scanner.fault);
    }
    *ret_secrets = secrets;
    return CLI_OK;
}

ptrdiff_t cli_secrets_resolve(void *context, const char *reference, char *buffer, size_t capacity)
{
    const struct cli_secrets *secrets = context;
    size_t size = strlen(reference);
    for (size_t i = 0; secrets->text != NULL && i < secrets->count; i++) {
        const struct cli_secret *secret = &secrets->list[i];
        if (secret->reference_size == size &&
            memcmp(secrets->text + secret->reference, reference, size) == 0) {
            if (secret->value_size > capacity) {
                return -1;
            }
            memcpy(buffer, secrets->text + secret->value, secret->value_size);
            return (ptrdiff_t)secret->value_size;
        }
    }
    return -1;
}

void cli_secrets_wipe(struct cli_secrets *secrets)
{
    if (secrets->text != NULL) {
        explicit_bzero(secrets->text, secrets->mapped);
        (void)munmap(secrets->text, secrets->mapped);
        secrets->text = NULL;
    }
}
