/* base/utf8.h - the one UTF-8 decoder: strict, so no overlong form, surrogate or value above U+10FFFF passes. */
#pragma once

#include <stddef.h>

/* Bytes (1 to 4) of the well-formed sequence that text begins with, by table 3-7 of the Unicode standard; 0 if there is none. */
size_t bv_utf8_length(const char *text, size_t size);
/* Makes text fit for a terminal and a document: each control character (C0, DEL, C1) and each byte that is not UTF-8 becomes '?'. */
void bv_utf8_clean(char *text);
