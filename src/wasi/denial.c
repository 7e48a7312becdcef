/* wasi/denial.c - one line for each thing that the guest was denied, for whoever keeps the record.
 *
 * The guest chooses paths, so they are shown byte by byte: printable ASCII as it is, all else as \xNN, and cut. */
#include "wasi/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 256u
#define PATH_SHOWN 160u

void wasi_deny(struct wasi_call *call, enum bv_wasi_denial kind, const char *format, ...)
{
    struct bv_wasi *wasi = call->wasi;
    wasi->usage.denials++;
    if (!wasi->options.denied) {
        return;
    }
    char text[TEXT_BYTES];
    int size = snprintf(text, sizeof(text), "%s: ", call->row->function.name);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + size, sizeof(text) - (size_t)size, format, arguments);
    va_end(arguments);
    wasi->options.denied(wasi->options.denied_context, kind, text);
}

static void show(const char *path, char shown[PATH_SHOWN + 8])
{
    size_t at = 0;
    for (; *path != '\0' && at < PATH_SHOWN; path++) {
        const unsigned char byte = (unsigned char)*path;
        if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
            shown[at++] = (char)byte;
        } else {
            at += (size_t)snprintf(shown + at, 5, "\\x%02x", byte);
        }
    }
    (void)snprintf(shown + at, 4, "%s", *path != '\0' ? "..." : "");
}

void wasi_deny_path(struct wasi_call *call, enum bv_wasi_denial kind,
                    const struct wasi_descriptor *dir, const char *path)
{
    char shown[PATH_SHOWN + 8], root[PATH_SHOWN + 8];
    show(path, shown);
    show(dir->root == WASI_NO_ROOT ? "?" : call->wasi->roots[dir->root].name, root);
    wasi_deny(call, kind, "%s (beneath %s)", shown, root);
}

void wasi_deny_storage(struct wasi_call *call)
{
    call->wasi->usage.storage_refused++;
    wasi_deny(call, BV_WASI_DENIED_STORAGE, "beyond the storage limit");
}
