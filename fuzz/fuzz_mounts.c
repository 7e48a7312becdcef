/* fuzz/fuzz_mounts.c - arbitrary bytes as the kernel's table of mounts.
 *
 * Mount points hold what programs of the host wrote. Besides not crashing: what is found is in the
 * table and says what it must; whoever may write may read; and a narrower root never makes a grant
 * worse. */
#include "run/mounts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "contract/intent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct bv_mounts *mounts, const char *path, const char *const *inner,
                size_t inner_count)
{
    const struct bv_mount *of = bv_mounts_of(mounts, path);
    FUZZ_CHECK(!of || (of >= mounts->items && of < mounts->items + mounts->count));
    FUZZ_CHECK(!of || bv_path_is_inside(path, of->place));
    const struct bv_mount *read = bv_mounts_fault(mounts, path, BV_ACCESS_READ, NULL, 0);
    const struct bv_mount *write = bv_mounts_fault(mounts, path, BV_ACCESS_READ_WRITE, NULL, 0);
    FUZZ_CHECK(!read || (read->kind == BV_MOUNTED_PROCFS && write));
    FUZZ_CHECK(!write || write->kind != BV_MOUNTED_STORAGE);
    FUZZ_CHECK(!of || of->kind == BV_MOUNTED_STORAGE || write);
    FUZZ_CHECK(write || !bv_mounts_fault(mounts, path, BV_ACCESS_WRITE, inner, inner_count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct bv_mounts mounts;
    bool no_memory;
    FUZZ_CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (bv_mounts_parse(text, &mounts, &no_memory)) {
        const char *first = mounts.count > 0 ? mounts.items[0].place : "/a";
        for (size_t i = 0; i < mounts.count && i < 16; i++) {
            FUZZ_CHECK(mounts.items[i].place[0] == '/');
            ask(&mounts, mounts.items[i].place, &first, 1);
        }
        ask(&mounts, "/a/b", &first, 1);
        bv_mounts_done(&mounts);
    } else {
        FUZZ_CHECK(!no_memory);
    }
    free(text);
    return 0;
}
