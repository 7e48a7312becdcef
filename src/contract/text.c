/* contract/text.c - texts from backends, paths and callers, before they enter a plan, a refusal or a report.
 *
 * A document may hold neither control characters (a terminal would obey them) nor bytes that are not UTF-8 (jansson and
 * jq would refuse them), and a report must never fail to be sealed because of what a workload called its files. */
#include "contract/text.h"

#include "base/check.h"
#include "base/error.h"
#include "base/utf8.h"

#include <string.h>

void bv_text_clean(char *target, size_t size, const char *source)
{
    BV_ASSERT(size > 0);
    bv_copy_text(target, size, source ? source : "");
    size_t used = strlen(target);
    for (size_t at = 0; at < used;) {
        size_t length = bv_utf8_length(target + at, used - at);
        unsigned char first = (unsigned char)target[at];
        bool c1_control = length == 2 && first == 0xc2 && (unsigned char)target[at + 1] < 0xa0;
        if (length == 0 || first < 0x20 || first == 0x7f || c1_control) {
            target[at] =
                '?'; /* of a C1 control the second byte is then alone and becomes one, too */
            length = 1;
        }
        at += length;
    }
}
