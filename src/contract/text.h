/* contract/text.h - foreign text made fit for a document: one line of plain UTF-8 of bounded size. */
#pragma once

#include <stddef.h>

/* Copies source (NULL: "") cut to size-1 bytes on a character boundary; control characters, and every non-ASCII byte of a text that
 * is not UTF-8, become '?'. The result always passes bv_text_is_plain(). */
void bv_text_clean(char *target, size_t size, const char *source);
