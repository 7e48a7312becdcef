/* cli/render_plan.c - plans, refusals and probes: what would hold, what does not, and what this
 * machine can do. */
#include "cli/render.h"

#include <bvisor/plan.h>
#include <bvisor/spec.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "cli/values.h"

static const char *short_dimension(int index)
{
    return cli_dimension_option((enum bv_dimension)index);
}

/* "enforced", or "mediated" with how far it may overshoot; "unlimited" has nothing to overshoot. */
static void put_supplied(const struct cli_page *page, const char *dimension, const json_t *supplied)
{
    const char *guarantee =
        json_is_string(supplied) ? json_string_value(supplied) : cli_text_at(supplied, "guarantee");
    cli_put_toned(page, cli_tone_of(guarantee), guarantee, 10);
    const json_t *overshoot = cli_at(supplied, "max_overshoot"),
                 *interval = cli_at(supplied, "sample_interval_micros");
    if (json_is_integer(overshoot) && json_is_integer(interval)) {
        (void)fputs("(sampled every ", page->out);
        cli_put_figure(page, "sample_micros", interval, 0);
        (void)fputs(", may overshoot by ", page->out);
        cli_put_figure(page, dimension, overshoot, 0);
        (void)fputs(") ", page->out);
    } else if (json_is_integer(interval)) {
        (void)fputs("(sampled every ", page->out);
        cli_put_figure(page, "sample_micros", interval, 0);
        (void)fputs(") ", page->out);
    }
}

static void put_budget_plan(const struct cli_page *page, const json_t *budget)
{
    cli_put_heading(page, "budgets");
    (void)fputs("  ", page->out);
    cli_put_padded(page, "", 11);
    cli_put_padded(page, "limit", 12);
    cli_put_padded(page, "asked", 10);
    (void)fputs("supplied\n", page->out);
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const char *name = bv_dimension_name((enum bv_dimension)i);
        const json_t *row = cli_at(budget, name);
        (void)fputs("  ", page->out);
        cli_put_padded(page, short_dimension(i), 11);
        cli_put_figure(page, name, cli_at(row, "limit"), 12);
        cli_put_padded(page, cli_text_at(row, "required"), 10);
        put_supplied(page, name, cli_at(row, "supplied"));
        cli_put_text(page->out, cli_text_at(row, "mechanism"));
        (void)fputc('\n', page->out);
    }
}

static void put_claims(const struct cli_page *page, const char *title, const json_t *claims)
{
    if (json_array_size(claims) == 0) {
        return;
    }
    (void)fputs(title, page->out);
    for (size_t i = 0; i < json_array_size(claims); i++) {
        const char *claim = json_string_value(json_array_get(claims, i));
        (void)fputs(i > 0 ? ", " : "", page->out);
        cli_put_text(page->out, claim == NULL ? "?" : claim);
    }
    (void)fputc('\n', page->out);
}

void cli_put_plan(const struct cli_page *page, const json_t *plan)
{
    cli_put_toned(page, CLI_TONE_GOOD, "admitted", 0);
    (void)fputs("  on backend ", page->out);
    cli_put_text(page->out, cli_text_at(plan, "backend"));
    (void)fputs("\nplan      ", page->out);
    cli_put_text(page->out, cli_text_at(plan, "plan_id"));
    (void)fputc('\n', page->out);
    cli_put_workload(page, cli_at(plan, "workload"));
    cli_put_admitted(page, cli_at(plan, "admitted"));
    put_budget_plan(page, cli_at(plan, "budget"));
    const json_t *evidence = cli_at(plan, "evidence");
    cli_put_heading(page, "evidence");
    put_claims(page, "  required: ", cli_at(evidence, "required"));
    put_claims(page, "  the report carries: ", cli_at(evidence, "available"));
    cli_put_findings(page, cli_at(plan, "findings"));
}

void cli_put_refusal(const struct cli_page *page, const json_t *refusal)
{
    cli_put_toned(page, CLI_TONE_BAD, "refused", 0);
    (void)fputs(": ", page->out);
    cli_put_text(page->out, cli_text_at(refusal, "reason"));
    (void)fputs(" on backend ", page->out);
    cli_put_text(page->out, cli_text_at(refusal, "backend"));
    (void)fputc('\n', page->out);
    const json_t *items = cli_at(refusal, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        static const char *const names[] = { "kind", "dimension", "place" };
        const json_t *item = json_array_get(items, i);
        const char *name = "";
        for (size_t j = 0; j < 3 && name[0] == '\0'; j++) {
            name = cli_text_at(item, names[j]);
        }
        (void)fputs("  ", page->out);
        cli_put_text(page->out, name[0] == '\0' ? "evidence" : name);
        (void)fputs(": ", page->out);
        cli_put_text(page->out, cli_text_at(item, "why"));
        const char *remedy = cli_text_at(item, "remedy");
        if (remedy[0] != '\0') {
            (void)fputs(" (", page->out);
            cli_put_text(page->out, remedy);
            (void)fputc(')', page->out);
        }
        (void)fputc('\n', page->out);
        cli_put_requirement(page, 6, cli_at(item, "requirement"));
    }
}

/* ---- probe ---- */

static void put_facts(const struct cli_page *page, const json_t *probed)
{
    cli_put_heading(page, "facts of this machine");
    /* jansson iterates objects in a const-incorrect way; nothing is changed here. */
    for (void *at = json_object_iter((json_t *)(uintptr_t)probed); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)probed, at)) {
        const json_t *value = json_object_iter_value(at);
        (void)fputs("  ", page->out);
        cli_put_padded(page, json_object_iter_key(at), 34);
        cli_put_text(page->out, json_is_string(value) ? json_string_value(value) : "?");
        (void)fputc('\n', page->out);
    }
}

static void put_reason(const struct cli_page *page, const json_t *row)
{
    const char *why = cli_text_at(row, "why"), *remedy = cli_text_at(row, "remedy");
    char *text = NULL;
    if (why[0] == '\0' ||
        asprintf(&text, remedy[0] == '\0' ? "%s%s" : "%s (%s)", why, remedy) < 0) {
        return;
    }
    cli_put_wrapped(page, text, 6);
    free(text);
}

static void put_matrix(const struct cli_page *page, const json_t *matrix)
{
    cli_put_heading(page, "requirements it can hold");
    for (size_t i = 0; i < json_array_size(matrix); i++) {
        const json_t *row = json_array_get(matrix, i);
        const char *enforcement = cli_text_at(row, "enforcement");
        (void)fputs("  ", page->out);
        cli_put_padded(page, cli_text_at(row, "kind"), 25);
        cli_put_toned(page, cli_tone_of(enforcement), enforcement, 12);
        cli_put_text(page->out, cli_text_at(row, "mechanism"));
        (void)fputc('\n', page->out);
        put_reason(page, row);
    }
}

static void put_budget_offers(const struct cli_page *page, const json_t *budget)
{
    cli_put_heading(page, "budgets it can hold");
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const json_t *row = cli_at(budget, bv_dimension_name((enum bv_dimension)i));
        (void)fputs("  ", page->out);
        cli_put_padded(page, short_dimension(i), 25);
        bool bound = !json_is_false(cli_at(row, "can_bound"));
        const char *guarantee = bound ? cli_text_at(row, "guarantee") : "unsupported";
        cli_put_toned(page, cli_tone_of(guarantee), guarantee, 12);
        cli_put_text(page->out, cli_text_at(row, "mechanism"));
        (void)fputc('\n', page->out);
        put_reason(page, row);
    }
}

void cli_put_probe(const struct cli_page *page, const json_t *probe)
{
    (void)fputs("backend   ", page->out);
    cli_put_text(page->out, cli_text_at(probe, "backend"));
    (void)fputs("\nprofile   ", page->out);
    cli_put_text(page->out, cli_text_at(probe, "profile_hash"));
    (void)fputc('\n', page->out);
    put_matrix(page, cli_at(probe, "matrix"));
    put_budget_offers(page, cli_at(probe, "budget"));
    put_facts(page, cli_at(probe, "probed"));
}
