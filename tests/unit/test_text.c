/* tests/unit/test_text.c - foreign text made fit for a document. */
#include "contract/text.h"

#include "canon/canon.h"
#include "support/tap.h"

static void check(const char *source, size_t size, const char *wanted)
{
    char target[64];
    bv_text_clean(target, size, source);
    tap_text(target, wanted, "\"%s\" in %zu", wanted, size);
    tap_ok(bv_text_is_plain(target, strlen(target)), "is plain");
}

int main(void)
{
    check(NULL, 64, "");
    check("", 1, "");
    check("plain", 64, "plain");
    check("plain", 4, "pla");
    check("a\nb\tc\177d\033[1m", 64, "a?b?c?d?[1m");
    check("na\303\257ve", 64, "na\303\257ve");
    check("na\303\257ve", 4, "na");              /* cut before the sequence, not in it */
    check("\303\257\377\303", 64, "\303\257??"); /* only what is wrong is replaced */
    check("\302\233x", 64, "??x");               /* C1: a terminal's control sequence introducer */
    check("\355\240\200", 64, "???");            /* a surrogate */
    return tap_done();
}
