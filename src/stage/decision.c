/* stage/decision.c - the files `decision` and `discarding`: what of a quarantine is being committed, and how, or discarded.
 *
 * {"durability","overwrite","paths":[{"path"|"path_base64"}...],"schema":"bvisor.decision/1"}; no paths mean everything. */
#include "stage/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "stage/tree.h"

#define SCHEMA "bvisor.decision/1"

static const char *const durabilities[] = { "atomic", "durable", "best_effort_durable" };

int stage_decision_write(const struct stage_job *job, const char *name)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, STAGE_DECISION_MAX_BYTES);
    bv_emit_init(&emit, &buf);
    bv_emit_object(&emit, NULL);
    bv_emit_text(&emit, "durability", durabilities[job->durability]);
    bv_emit_bool(&emit, "overwrite", job->overwrite);
    bv_emit_array(&emit, "paths");
    for (size_t i = 0; i < job->selection.path_count; i++) {
        bv_emit_object(&emit, NULL);
        stage_emit_path(&emit, job->selection.paths[i]);
        bv_emit_end(&emit);
    }
    bv_emit_end(&emit);
    bv_emit_text(&emit, "schema", SCHEMA);
    bv_emit_end(&emit);
    int result = buf.failed ? -E2BIG : stage_step(job->quarantine->store, "write decision");
    if (result == 0) {
        result = tree_write_file(job->quarantine->fd, name, buf.data, buf.size, true);
    }
    bv_buf_done(&buf);
    return result;
}

void stage_decision_done(struct stage_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++) {
        free(decision->decoded[i]);
    }
    free(decision->decoded);
    free(decision->paths);
    json_decref(decision->tree);
    *decision = (struct stage_decision){ 0 };
}

static int read_paths(const json_t *paths, struct stage_decision *decision)
{
    const size_t count = json_array_size(paths);
    decision->paths = calloc(count + 1, sizeof decision->paths[0]);
    decision->decoded = calloc(count + 1, sizeof decision->decoded[0]);
    if (!decision->paths || !decision->decoded) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(paths, i);
        char *path = json_object_size(item) == 1 ? stage_read_path(item) : NULL;
        if (!path) {
            return -EBADMSG;
        }
        decision->decoded[decision->count++] = path;
        decision->paths[i] = path;
        const char *relative = path[0] == '/' ? path + 1 : path;
        if (!stage_path_is_good(relative, strlen(relative))) {
            return -EBADMSG;
        }
    }
    return 0;
}

int stage_decision_parse(const char *text, size_t size, struct stage_decision *ret_decision, struct bv_selection *ret_selection,
                         enum bv_durability *ret_durability, bool *ret_overwrite)
{
    *ret_decision = (struct stage_decision){ 0 };
    const enum bv_status status = bv_json_read(text, size, STAGE_DECISION_MAX_BYTES, &ret_decision->tree, NULL);
    if (status != BV_OK) {
        return status == BV_E_NOMEM ? -ENOMEM : -EBADMSG;
    }
    const json_t *root = ret_decision->tree, *paths = json_object_get(root, "paths"), *overwrite = json_object_get(root, "overwrite");
    const char *schema = json_string_value(json_object_get(root, "schema")), *durability = json_string_value(json_object_get(root, "durability"));
    if (json_object_size(root) != 4 || !schema || strcmp(schema, SCHEMA) != 0 || !durability || !json_is_boolean(overwrite) ||
        !json_is_array(paths)) {
        return -EBADMSG;
    }
    size_t kind = 0;
    while (kind < BV_COUNT(durabilities) && strcmp(durabilities[kind], durability) != 0) {
        kind++;
    }
    if (kind == BV_COUNT(durabilities)) {
        return -EBADMSG;
    }
    const int result = read_paths(paths, ret_decision);
    *ret_durability = (enum bv_durability)kind;
    *ret_overwrite = json_is_true(overwrite);
    *ret_selection = (struct bv_selection){ ret_decision->paths, ret_decision->count };
    return result;
}

int stage_decision_read(struct stage_quarantine *quarantine, const char *name, struct stage_decision *ret_decision, struct bv_selection *ret_selection,
                        enum bv_durability *ret_durability, bool *ret_overwrite)
{
    char *text = NULL;
    size_t size = 0;
    *ret_decision = (struct stage_decision){ 0 };
    int result = tree_read_file(quarantine->fd, name, STAGE_DECISION_MAX_BYTES, &text, &size);
    if (result == 0) {
        result = stage_decision_parse(text, size, ret_decision, ret_selection, ret_durability, ret_overwrite);
    }
    free(text);
    return result;
}
