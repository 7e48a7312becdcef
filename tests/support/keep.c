/* support/keep.c - every document that a test has made is kept for the check against its schema.
 *
 * Linked into the C suites with --wrap for each function that writes a document: what the library hands out while
 * BV_TEST_DOCUMENTS names a directory is copied there. tests/unit/check_made_documents.py sets it and looks afterwards. */
#include "support/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void bv_keep_document(const char *text)
{
    static _Atomic unsigned count;
    const char *directory = getenv("BV_TEST_DOCUMENTS");
    char path[4096];
    if (!directory || !text) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/%ld-%u.json", directory, (long)getpid(), count++);
    FILE *file = fopen(path, "wx");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        abort(); /* a document that was not kept is a check that did not happen */
    }
}

KEPT(bv_spec_json, const struct bv_spec *)
KEPT(bv_plan_json, const struct bv_plan *)
KEPT(bv_refusal_json, const struct bv_refusal *)
KEPT(bv_report_json, const struct bv_report *)
