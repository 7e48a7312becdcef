/* fuzz/fuzz_workload.c - identification of arbitrary bytes as a workload.
 *
 * Besides not crashing: an interpreter comes only with a program or a script and is an absolute
 * path that a document can hold; what is unknown says why; and the answer does not depend on
 * anything but the bytes. */
#include "run/workload_id.h"

#include <string.h>

#include "base/check.h"
#include "canon/canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *data;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = { data, size };
    struct bv_format_facts facts, again;
    char interpreter[BV_INTERPRETER_BYTES], second[BV_INTERPRETER_BYTES];
    memset(interpreter, 'x', sizeof(interpreter));
    bv_workload_format(read_at, &bytes, size, &facts, interpreter);
    BV_ASSERT(memchr(interpreter, '\0', sizeof(interpreter)));
    BV_ASSERT((facts.why != NULL) == (facts.format == BV_FORMAT_UNKNOWN));
    bool may_have = facts.format == BV_FORMAT_ELF || facts.format == BV_FORMAT_SCRIPT;
    BV_ASSERT(interpreter[0] == '\0' || (may_have && interpreter[0] == '/' &&
                                         bv_text_is_plain(interpreter, strlen(interpreter))));
    BV_ASSERT(facts.format != BV_FORMAT_SCRIPT || interpreter[0] == '/');

    bv_workload_format(read_at, &bytes, size, &again, second);
    BV_ASSERT(again.format == facts.format && strcmp(interpreter, second) == 0);
    return 0;
}
