/* demo/project/main.c - prints the most frequent words of a file. */
#include <stdio.h>

#include "scan.h"
#include "words.h"

int main(int argc, char **argv)
{
    static struct tally tally;
    char word[WORD_MAX];
    FILE *stream = argc > 1 ? fopen(argv[1], "r") : stdin;

    if (stream == NULL) {
        perror(argv[1]);
        return 1;
    }
    while (scan_word(stream, word)) {
        tally_add(&tally, word);
    }
    tally_sort(&tally);
    for (size_t i = 0; i < 5 && i < tally.rows; i++) {
        printf("%4u %s\n", tally.row[i].count, tally.row[i].word);
    }
    return 0;
}
