/* cli/stream_text.c - see stream_text.h. */
#include "cli/stream_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"

static int base64_value(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Decodes in place of nothing: out has room for 3 bytes of every 4 characters. Stops at the
 * first stranger. */
static size_t base64_decode(const char *text, size_t size, char *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t made = 0;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text[i]);
        if (value < 0) {
            break;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[made++] = (char)(bits >> held & 0xff);
        }
    }
    return made;
}

char *cli_stream_bytes(const json_t *stream, size_t *ret_size)
{
    const json_t *content = cli_at(stream, "content");
    const char *text = json_string_value(content);
    const size_t size = json_string_length(content);
    char *bytes = text == NULL ? NULL : malloc(size + 1);
    if (bytes == NULL) {
        return NULL;
    }
    if (strcmp(cli_text_at(stream, "encoding"), "base64") == 0) {
        *ret_size = base64_decode(text, size, bytes);
    } else {
        memcpy(bytes, text, size);
        *ret_size = size;
    }
    return bytes;
}
