/* contract/text.c - texts from backends, paths and callers, before they enter a plan, a refusal or a report.
 *
 * A document may hold neither control characters (a terminal would obey them) nor bytes that are not UTF-8 (jansson and
 * jq would refuse them), and a report must never fail to be sealed because of what a workload called its files. */
#include "contract/text.h"

#include "base/check.h"
#include "base/error.h"
#include "base/utf8.h"

void bv_text_clean(char *target, size_t size, const char *source)
{
    BV_ASSERT(size > 0);
    bv_copy_text(target, size, source);
    bv_utf8_clean(target);
}
