/* demo/project/scan.h - cuts a stream into words. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "words.h"

/* Reads the next word, lower-case; false at the end of the stream. */
bool scan_word(FILE *stream, char word[WORD_MAX]);
