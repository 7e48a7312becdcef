/* tests/unit/test_frame.c - the launch frame: round trip, exact bytes of the header, and every way
 * to be invalid. */
#include "launchwire/frame.h"

#include "canon/canon.h"
#include "support/tap.h"

#include <stdlib.h>

#define HEADER 48u

static struct bv_frame *sample(void)
{
    struct bv_frame *f = calloc(1, sizeof(*f));

    if (!f) {
        abort();
    }
    f->flags = BV_FRAME_NEW_NET | BV_FRAME_CANARIES;
    f->uid = 1000;
    f->gid = UINT32_MAX - 1;
    f->wall_micros = UINT64_MAX;
    f->cpu_micros = UINT64_C(0x0123456789abcdef);
    f->cpu_count = 2;
    f->stdin_fd = 3;
    f->cpu_fd = f->oom_fd = -1;
    f->canary_port = 65535;
    f->supervisor_pid = 4711;
    f->hostname = "bvisor";
    f->exec_path = "/bin/true";
    f->cwd = "/";
    f->args[f->arg_count++] = "true";
    f->args[f->arg_count++] = "";
    f->env[f->env_count++] = "A=\xff\x01";
    f->keep[f->keep_count++] = (struct bv_frame_keep){ .number = 9, .fd = 5 };
    f->task_fds[f->task_fd_count++] = 12;
    f->mounts[f->mount_count++] = (struct bv_frame_mount){
        .kind = BV_MOUNT_BIND,
        .flags = BV_MOUNT_RDONLY,
        .mode = 0755,
        .dev = 1,
        .ino = 2,
        .source = "/usr",
        .dest = "/usr",
    };
    f->mounts[f->mount_count++] = (struct bv_frame_mount){
        .kind = BV_MOUNT_TMPFS, .size_bytes = 5, .inodes = 6, .dest = "/tmp"
    };
    f->rules[f->rule_count++] = (struct bv_frame_rule){ .access = 13, .path = "/usr" };
    f->rlimits[f->rlimit_count++] =
        (struct bv_frame_rlimit){ .resource = 7, .soft = 3, .hard = UINT64_MAX };
    f->bpf[f->bpf_count++] =
        (struct bv_frame_insn){ .code = 0x15, .jt = 1, .jf = 2, .k = 0xdeadbeef };
    return f;
}

static uint8_t *encode(const struct bv_frame *f, size_t *ret_size)
{
    uint8_t *bytes;

    *ret_size = bv_frame_size(f);
    bytes = malloc(*ret_size);
    if (!bytes || !bv_frame_encode(f, bytes, *ret_size)) {
        abort();
    }
    return bytes;
}

/* Puts the right digest over a payload that a test changed. */
static void reseal(uint8_t *bytes, size_t size)
{
    struct bv_sha256 ctx;

    bv_sha256_init(&ctx);
    bv_sha256_update(&ctx, bytes + HEADER, size - HEADER);
    bv_sha256_final(&ctx, bytes + 16);
}

static void test_round_trip(void)
{
    struct bv_frame *f = sample(), *got = calloc(1, sizeof(*got));
    size_t size, again_size;
    uint8_t *bytes = encode(f, &size), *again;

    memset(got, 0xa5, sizeof(*got)); /* stale contents must not show through */
    tap_ok(bv_frame_decode(bytes, size, got), "a frame decodes");
    again = encode(got, &again_size);
    tap_ok(again_size == size && memcmp(bytes, again, size) == 0, "and encodes to the same bytes");
    tap_ok(got->flags == f->flags && got->cpu_micros == f->cpu_micros && got->gid == f->gid &&
               got->canary_port == 65535,
           "numbers of every width");
    tap_ok(got->oom_fd == -1 && got->stdin_fd == 3 && got->supervisor_pid == 4711,
           "negative and positive descriptors");
    tap_text(got->env[0], "A=\xff\x01", "strings are bytes");
    tap_ok(got->arg_count == 2 && got->args[1][0] == '\0' && got->args[2] == NULL &&
               got->env[1] == NULL,
           "vectors end with NULL");
    tap_text(got->mounts[1].source, "", "a NULL string is the empty one");
    tap_ok(got->mounts[0].ino == 2 && got->mounts[1].inodes == 6 && got->rules[0].access == 13 &&
               got->rlimits[0].hard == UINT64_MAX && got->bpf[0].k == 0xdeadbeef &&
               got->bpf[0].jf == 2 && got->keep[0].number == 9 && got->keep[0].fd == 5 && got->task_fds[0] == 12,
           "items of every list");
    tap_ok((const uint8_t *)got->cwd >= bytes && (const uint8_t *)got->cwd < bytes + size,
           "strings lie in the frame");
    free(f);
    free(got);
    free(bytes);
    free(again);
}

static void test_header(void)
{
    struct bv_frame *f = sample();
    size_t size;
    uint8_t *bytes = encode(f, &size);

    tap_ok(memcmp(bytes, "BVFRAME1\x03\0\0\0", 12) == 0, "magic and version, little-endian");
    tap_ok((size_t)(bytes[12] | bytes[13] << 8 | bytes[14] << 16) == size && bytes[15] == 0,
           "total length");
    tap_ok(bytes[HEADER] == (uint8_t)f->flags && bytes[HEADER + 4] == (1000 & 0xff),
           "the payload begins with flags and uid");
    tap_ok(!bv_frame_encode(f, bytes, size - 1), "encoding into less than the size fails");
    free(f);
    free(bytes);
}

static void test_damage(void)
{
    struct bv_frame *f = sample(), *got = calloc(1, sizeof(*got));
    size_t size, flips = 0, cuts = 0;
    uint8_t *bytes = encode(f, &size), *longer = malloc(size + 1);

    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 1;
        flips += !bv_frame_decode(bytes, size, got);
        bytes[at] ^= 1;
    }
    tap_ok(flips == size, "a flipped bit anywhere is noticed (%zu of %zu)", flips, size);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *shorter =
            malloc(cut ? cut : 1); /* exact, so that a sanitizer sees a read behind it */

        memcpy(shorter, bytes, cut);
        cuts += !bv_frame_decode(shorter, cut, got);
        free(shorter);
    }
    tap_ok(cuts == size, "every prefix is refused");
    memcpy(longer, bytes, size);
    longer[size] = 0;
    tap_ok(!bv_frame_decode(longer, size + 1, got), "a byte more than the header says is refused");
    longer[12]++;
    reseal(longer, size + 1);
    tap_ok(!bv_frame_decode(longer, size + 1, got),
           "a byte left over is refused though length and digest match");
    free(longer);
    free(f);
    free(got);
    free(bytes);
}

/* Bytes of the payload that hold the first occurrence of a text. */
static uint8_t *find(uint8_t *bytes, size_t size, const char *text, size_t length)
{
    for (size_t at = HEADER; at + length <= size; at++) {
        if (memcmp(bytes + at, text, length) == 0) {
            return bytes + at;
        }
    }
    abort();
}

static void test_malformed(void)
{
    struct bv_frame *f = sample(), *got = calloc(1, sizeof(*got));
    size_t size;
    uint8_t *bytes = encode(f, &size), *at;

    at = find(bytes, size, "bvisor", 7);
    at[2] = '\0';
    reseal(bytes, size);
    tap_ok(!bv_frame_decode(bytes, size, got), "a NUL inside a string is refused");
    at[2] = 'i';
    at[6] = 'x';
    reseal(bytes, size);
    tap_ok(!bv_frame_decode(bytes, size, got), "a string without its NUL is refused");
    at[6] = '\0';
    memset(at - 4, 0xff, 4);
    reseal(bytes, size);
    tap_ok(!bv_frame_decode(bytes, size, got), "a length of 2^32-1 is refused");
    free(bytes);

    f->rlimit_count = BV_FRAME_RLIMITS_MAX + 1;
    tap_ok(bv_frame_size(f) == 0, "a count over its cap has no size");
    f->rlimit_count = 1;
    bytes = encode(f, &size);
    at = find(bytes, size, "\x01\0\0\0\x07\0\0\0\x03\0\0\0",
              12); /* count of limits, RLIMIT_NOFILE, 3 */
    at[0] = BV_FRAME_RLIMITS_MAX + 1;
    reseal(bytes, size);
    tap_ok(!bv_frame_decode(bytes, size, got), "nor does it decode");
    free(bytes);
    free(f);
    free(got);
}

static void test_limits(void)
{
    struct bv_frame *f = sample(), *got = calloc(1, sizeof(*got));
    char *text = malloc(BV_FRAME_MAX_BYTES + 1);
    size_t size;
    uint8_t *bytes;

    memset(text, 'a', BV_FRAME_MAX_BYTES);
    text[BV_FRAME_MAX_BYTES] = '\0';
    f->env[0] = text;
    tap_ok(bv_frame_size(f) == 0, "a frame over its maximum has no size");
    f->env[0] = "A=1";
    while (f->arg_count < BV_FRAME_ARGS_MAX) {
        f->args[f->arg_count++] = "x";
    }
    while (f->mount_count < BV_FRAME_MOUNTS_MAX) {
        f->mounts[f->mount_count++] = f->mounts[0];
    }
    while (f->bpf_count < BV_FRAME_BPF_MAX_INSNS) {
        f->bpf[f->bpf_count++] = f->bpf[0];
    }
    bytes = encode(f, &size);
    tap_ok(bv_frame_decode(bytes, size, got) && got->arg_count == BV_FRAME_ARGS_MAX &&
               got->args[BV_FRAME_ARGS_MAX] == NULL,
           "full lists decode (%zu bytes)", size);
    free(bytes);
    free(text);
    free(f);
    free(got);
}

/* The fuzzer's good seed: one of an older format would leave it nothing to begin with but refusals. */
static void test_seed(const char *path)
{
    static uint8_t bytes[4096];
    static struct bv_frame frame;
    FILE *file = path ? fopen(path, "rb") : NULL;
    const size_t size = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

    tap_ok(bv_frame_decode(bytes, size, &frame) && frame.mount_count > 0, "the fuzzer's good frame is a frame of this format");
    if (file) {
        (void)fclose(file);
    }
}

int main(int argc, char **argv)
{
    test_seed(argc > 1 ? argv[1] : NULL);
    test_round_trip();
    test_header();
    test_damage();
    test_malformed();
    test_limits();
    return tap_done();
}
