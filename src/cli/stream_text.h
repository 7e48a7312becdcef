/* cli/stream_text.h - the bytes of a captured stream, whatever encoding a report has them in. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* malloc'd, freed by the caller; NULL: there is no such stream, or no memory. A stranger in base64 ends it. */
char *cli_stream_bytes(const json_t *stream, size_t *ret_size);
