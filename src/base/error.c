/* base/error.c - the error record: first failure wins, one clean line.
 *
 * Texts may quote file names and arguments of unknown encoding. They end on terminals and in JSON documents, so
 * whatever is a control character (C0, DEL, C1) or not UTF-8 is shown as '?'. Nothing here prints or allocates, except
 * that bv_free() is the caller's way back to the library's allocator. */
#include "base/error.h"

#include "base/check.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *bv_version(void)
{
    return BV_VERSION_STRING;
}

const char *bv_status_name(enum bv_status status)
{
    switch (status) {
    case BV_OK: return "ok";
    case BV_E_INVALID: return "invalid";
    case BV_E_REFUSED: return "refused";
    case BV_E_NOMEM: return "out_of_memory";
    case BV_E_SYS: return "system";
    case BV_E_LIMIT: return "limit";
    case BV_E_CORRUPT: return "corrupt";
    case BV_E_STATE: return "state";
    case BV_E_FAULT: return "fault";
    }
    return "unknown"; /* a number of a newer library, or no status at all */
}

void bv_free(void *text)
{
    free(text);
}

void bv_copy_text(char *dst, size_t size, const char *src)
{
    BV_ASSERT(size > 0);
    size_t length = src ? strlen(src) : 0;
    if (length >= size) {
        length = size - 1;
        /* A continuation byte right after the cut means that the cut splits a sequence. */
        for (size_t back = 0; back < 3 && length > 0 && ((unsigned char)src[length] & 0xc0) == 0x80;
             back++) {
            length--;
        }
    }
    if (length > 0) {
        memmove(dst, src, length);
    }
    dst[length] = '\0';
}

/* Cuts a text that vsnprintf() filled to the brim back to whole sequences. */
static void drop_split_tail(char *text, size_t size)
{
    size_t length = strlen(text);
    if (length + 1 < size) {
        return;
    }
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char)text[length - back];
        if (byte >= 0xc0) {
            if (bv_utf8_length(text + length - back, back) == 0) {
                text[length - back] = '\0';
            }
            return;
        }
        if (byte < 0x80) {
            return;
        }
    }
}

static void BV_PRINTF(6, 0)
    record(struct bv_error *error, enum bv_status status, int os_errno, const char *place,
           const char *suffix, const char *format, va_list arguments)
{
    if (!error || error->status != BV_OK) {
        return;
    }
    size_t suffix_size = strlen(suffix);
    BV_ASSERT(suffix_size < sizeof(error->text) / 2);
    size_t room = sizeof(error->text) - suffix_size;
    error->status = status;
    error->os_errno = os_errno;
    bv_copy_text(error->place, sizeof(error->place), place);
    if (vsnprintf(error->text, room, format, arguments) < 0) {
        error->text[0] = '\0';
    }
    drop_split_tail(error->text, room);
    size_t length = strlen(error->text);
    memcpy(error->text + length, suffix, suffix_size + 1);
    bv_utf8_clean(error->place);
    bv_utf8_clean(error->text);
}

enum bv_status bv_fail(struct bv_error *error, enum bv_status status, const char *place,
                       const char *format, ...)
{
    BV_ASSERT(status != BV_OK);
    va_list arguments;
    va_start(arguments, format);
    record(error, status, 0, place, "", format, arguments);
    va_end(arguments);
    return status;
}

enum bv_status bv_fail_sys(struct bv_error *error, const char *place, int result,
                           const char *format, ...)
{
    BV_ASSERT(result < 0);
    char suffix[96];
    const char *description = strerrordesc_np(-result); /* not translated, thread-safe */
    if (description) {
        (void)snprintf(suffix, sizeof(suffix), ": %s", description);
    } else {
        (void)snprintf(suffix, sizeof(suffix), ": error %d", -result);
    }
    enum bv_status status = result == -ENOMEM ? BV_E_NOMEM : BV_E_SYS;
    va_list arguments;
    va_start(arguments, format);
    record(error, status, -result, place, suffix, format, arguments);
    va_end(arguments);
    return status;
}

enum bv_status bv_fail_nomem(struct bv_error *error)
{
    return bv_fail(error, BV_E_NOMEM, NULL, "out of memory");
}
