/* run/drift.c - a plan is bound to one machine state and one file; this says what is different now;
 * see drift.h.
 *
 * Pure but for memory. Whether anything drifted is decided by the hashes in the plan; this file
 * finds the words for it, and it is itself the check for what the hashes do not hold (an
 * interpreter that was replaced). */
#include "run/drift.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "run/refuse.h"

#define WHY_MAX_BYTES (2 * BV_PATH_MAX_BYTES + 128)

/* A resolved path may hold bytes that no document can. */
static const char *shown(const char *text)
{
    if (!text || text[0] == '\0') {
        return "absent";
    }
    return bv_text_is_plain(text, strlen(text)) ? text : "(a name that is not UTF-8)";
}

enum bv_status bv_drift_item(const char *backend_id, const char *what, const char *planned,
                             const char *found, struct bv_refusal **refusal, struct bv_error *error)
{
    struct bv_buf why;
    bv_buf_init(&why, WHY_MAX_BYTES);
    (void)bv_buf_format(&why, "was %s when it was planned, is %s now", shown(planned),
                        shown(found));
    BV_AUTO(bv_cleanup_free) char *text = bv_buf_take(&why);
    if (!text) {
        bv_buf_done(&why);
        return bv_fail_nomem(error);
    }
    return bv_refuse_item(refusal, BV_REFUSED_PROFILE_DRIFT, backend_id, what, NULL, text,
                          "plan again on this machine", error);
}

enum bv_status bv_drift_facts(const char *backend_id, const json_t *planned, const json_t *probed,
                              struct bv_refusal **refusal, struct bv_error *error)
{
    /* json_object_foreach takes non-const objects although it only reads. */
    json_t *old_facts = json_deep_copy(planned), *new_facts = json_deep_copy(probed);
    enum bv_status status = old_facts && new_facts ? BV_OK : bv_fail_nomem(error);
    const char *key;
    json_t *value;
    json_object_foreach(old_facts, key, value)
    {
        const char *was = json_string_value(value),
                   *now = json_string_value(json_object_get(new_facts, key));
        if (status == BV_OK && (!now || !was || strcmp(was, now) != 0)) {
            status = bv_drift_item(backend_id, key, was, now, refusal, error);
        }
    }
    json_object_foreach(new_facts, key, value)
    {
        if (status == BV_OK && !json_object_get(old_facts, key)) {
            status = bv_drift_item(backend_id, key, NULL, json_string_value(value), refusal, error);
        }
    }
    json_decref(old_facts);
    json_decref(new_facts);
    return status;
}

enum bv_status bv_drift_workload(const char *backend_id, const struct bv_workload_identity *planned,
                                 const struct bv_workload_identity *found,
                                 struct bv_refusal **refusal, struct bv_error *error)
{
    const struct {
        const char *what, *planned, *found;
    } rows[] = {
        { "workload digest", planned->digest, found->digest },
        { "workload path", planned->path, found->path },
        { "interpreter", planned->interpreter, found->interpreter },
        { "interpreter path", planned->interpreter_path, found->interpreter_path },
        { "interpreter digest", planned->interpreter_digest, found->interpreter_digest },
        { "loader", planned->loader, found->loader },
        { "loader path", planned->loader_path, found->loader_path },
    };
    BV_ASSERT(planned->known == found->known);
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        if (strcmp(rows[i].planned, rows[i].found) != 0) {
            enum bv_status status = bv_drift_item(backend_id, rows[i].what, rows[i].planned,
                                                  rows[i].found, refusal, error);
            if (status != BV_OK) {
                return status;
            }
        }
    }
    return BV_OK;
}
