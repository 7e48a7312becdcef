/* demo/project/scan.c - cuts a stream into lower-case words. */
#include "scan.h"

#include <ctype.h>

bool scan_word(FILE *stream, char word[WORD_MAX])
{
    size_t length = 0;
    int c;
    while ((c = getc(stream)) != EOF) {
        if (isalpha(c) && length < WORD_MAX - 1) {
            word[length++] = (char)tolower(c);
        } else if (length > 0) {
            break;
        }
    }
    word[length] = '\0';
    return length > 0;
}
