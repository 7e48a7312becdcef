/* demo/project/words.h - counts the words of a text. */
#pragma once

#include <stddef.h>

#define WORD_MAX 64

struct row { char word[WORD_MAX]; unsigned count; };
struct tally { struct row row[4096]; size_t rows; };

/* Adds one word; words beyond the table's size are dropped. */
void tally_add(struct tally *tally, const char *word);
/* Orders rows by count, then by word. */
void tally_sort(struct tally *tally);
