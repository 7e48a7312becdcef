/* contract/finding.c - findings of plans and reports: cleaned, each of them once, in the order in which they came.
 *
 * Two grants that share a limitation must not state it twice, so equal ones are united here and nowhere else. */
#include "contract/finding.h"

#include "contract/text.h"

#include <string.h>

static bool append(struct finding_list *list, const char *kind, const char *detail)
{
    struct finding *finding = bv_arena_alloc(list->arena, sizeof(*finding));
    if (!finding) {
        return false;
    }
    finding->kind = kind;
    finding->detail = detail;
    if (list->last) {
        list->last->next = finding;
    } else {
        list->first = finding;
    }
    list->last = finding;
    return true;
}

bool bv_finding_add(struct finding_list *list, const char *kind, const char *detail)
{
    char clean[512];
    bv_text_clean(clean, sizeof(clean), detail);
    for (const struct finding *other = list->first; other; other = other->next) {
        if (strcmp(other->kind, kind) == 0 && strcmp(other->detail, clean) == 0) {
            return true;
        }
    }
    const char *copy = bv_arena_text(list->arena, clean);
    return copy && append(list, kind, copy);
}

bool bv_finding_add_all(struct finding_list *list, const struct finding_list *other)
{
    bool ok = true;
    for (const struct finding *finding = other->first; finding && ok; finding = finding->next) {
        ok = append(list, finding->kind, finding->detail);
    }
    return ok;
}

void bv_findings_emit(struct bv_emit *emit, const char *key, const struct finding_list *list)
{
    bv_emit_array(emit, key);
    for (const struct finding *finding = list->first; finding; finding = finding->next) {
        bv_emit_object(emit, NULL);
        bv_emit_text(emit, "detail", finding->detail);
        bv_emit_text(emit, "kind", finding->kind);
        bv_emit_end(emit);
    }
    bv_emit_end(emit);
}
