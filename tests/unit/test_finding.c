/* tests/unit/test_finding.c - findings: cleaned, united when equal, in order, and a full arena. */
#include "contract/finding.h"

#include "support/tap.h"

static void expect(const struct finding_list *list, const char *wanted, const char *name)
{
    struct bv_buf buf;
    struct bv_emit emit;
    bv_buf_init(&buf, 10000);
    bv_emit_init(&emit, &buf);
    bv_findings_emit(&emit, NULL, list);
    tap_text(buf.data, wanted, "%s", name);
    bv_buf_done(&buf);
}

int main(void)
{
    struct finding_list list = { .arena = bv_arena_new(10000) };
    expect(&list, "[]", "no finding");
    char detail[] = "one\n\377";
    tap_ok(bv_finding_add(&list, "a", detail), "added");
    detail[0] = 'x';
    tap_ok(bv_finding_add(&list, "a", "one??"), "an equal one");
    tap_ok(bv_finding_add(&list, "b", "one??"), "another kind");
    tap_ok(bv_finding_add(&list, "a", "two"), "another detail");
    expect(&list,
           "[{\"detail\":\"one??\",\"kind\":\"a\"},{\"detail\":\"one??\",\"kind\":\"b\"},"
           "{\"detail\":\"two\",\"kind\":\"a\"}]",
           "each once, clean, in order");
    struct finding_list more = { .arena = bv_arena_new(10000) };
    tap_ok(bv_finding_add_all(&more, &list) && bv_finding_add(&more, "a", "two") &&
               bv_finding_add(&more, "c", "d"),
           "a list that begins with another");
    expect(&more,
           "[{\"detail\":\"one??\",\"kind\":\"a\"},{\"detail\":\"one??\",\"kind\":\"b\"},"
           "{\"detail\":\"two\",\"kind\":\"a\"},{\"detail\":\"d\",\"kind\":\"c\"}]",
           "does not repeat it, and leaves it");
    tap_ok(list.last->next == NULL, "as it was");
    struct finding_list full = { .arena = bv_arena_new(8) };
    tap_ok(!bv_finding_add(&full, "a", "more than eight bytes") &&
               !bv_finding_add_all(&full, &list),
           "a full arena is told");
    bv_arena_free(full.arena);
    bv_arena_free(more.arena);
    bv_arena_free(list.arena);
    return tap_done();
}
