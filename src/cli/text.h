/* cli/text.h - untrusted text made fit for a person's terminal, and figures in units a person
 * reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes text with every byte that could steer a terminal made visible: C0, DEL and C1 controls,
 * bidirectional overrides, line separators and bytes that are not UTF-8 (ATTACKS.md 49).
 * keep_lines lets newline and tab through. */
void cli_put_clean(FILE *out, const char *bytes, size_t size, bool keep_lines);
/* The same for a NUL-terminated text on one line. */
void cli_put_text(FILE *out, const char *text);

/* Length in bytes of the UTF-8 sequence at text (1 to 4), its code point in *ret_point; 0 if it
 * is not valid UTF-8. */
size_t cli_utf8_next(const char *text, size_t size, uint32_t *ret_point);
/* True for code points that move the cursor, start escape sequences or reorder text. */
bool cli_is_steering(uint32_t point);

#define CLI_FIGURE_BYTES 32
/* "10s", "1.5s", "250us", "10m" - exact where short, else three digits. */
void cli_format_duration(uint64_t micros, char text[CLI_FIGURE_BYTES]);
/* "64 MiB", "1.2 GiB", "17 B". */
void cli_format_size(uint64_t bytes, char text[CLI_FIGURE_BYTES]);
