/* demo/project/tally.c - the table of words. */
#include "words.h"

#include <stdlib.h>
#include <string.h>

void tally_add(struct tally *tally, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i < tally->rows; i++) {
        if (strcmp(tally->row[i].word, word) == 0) {
            tally->row[i].count++;
            return;
        }
    }
    if (tally->rows < sizeof tally->row / sizeof tally->row[0] && length < WORD_MAX) {
        memcpy(tally->row[tally->rows].word, word, length + 1);
        tally->row[tally->rows++].count = 1;
    }
}

static int by_count(const void *left, const void *right)
{
    const struct row *one = left, *two = right;
    return one->count != two->count ? (one->count < two->count) - (one->count > two->count) : strcmp(one->word, two->word);
}

void tally_sort(struct tally *tally)
{
    qsort(tally->row, tally->rows, sizeof tally->row[0], by_count);
}
