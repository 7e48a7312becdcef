/* cli/render.h - documents of bvisor for a person to read. Input is what jansson read; nothing
 * in it is trusted: every text goes through cli_put_clean(), and a missing or mistyped member
 * prints as absent instead of failing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cli_page {
    FILE *out;
    bool colour;
};

/* Colour is for terminals only, and NO_COLOR (no-color.org) and TERM=dumb turn it off. */
struct cli_page cli_page_for(FILE *out);

enum cli_tone { CLI_TONE_PLAIN, CLI_TONE_HEAD, CLI_TONE_GOOD, CLI_TONE_WARN, CLI_TONE_BAD };

void cli_put_toned(const struct cli_page *page, enum cli_tone tone, const char *text, int width);
/* text cleaned, then blanks up to width columns. */
void cli_put_padded(const struct cli_page *page, const char *text, int width);
void cli_put_heading(const struct cli_page *page, const char *text);
enum cli_tone cli_tone_of(const char *word); /* of an enforcement, outcome or finding */

/* Members of untrusted documents. */
const char *cli_text_at(const json_t *object, const char *key); /* "" if absent or no string */
const json_t *cli_at(const json_t *object, const char *key);    /* NULL if absent */
/* The figure of a dimension's limit or use, in its unit: "10s", "64 MiB", "3", "unlimited", "-"
 * for null or absent. */
void cli_put_figure(const struct cli_page *page, const char *dimension, const json_t *value,
                    int width);

/* text cleaned and wrapped at blanks to 100 columns, with a newline; further lines are indented by
 * two more. */
void cli_put_wrapped(const struct cli_page *page, const char *text, int indent);
/* "read, execute: /usr" for {"filesystem": ...}; nothing for what says it all by its kind. */
void cli_put_requirement(const struct cli_page *page, int indent, const json_t *requirement);
/* The lines shared by plans and reports. */
void cli_put_workload(const struct cli_page *page, const json_t *workload);
void cli_put_admitted(const struct cli_page *page, const json_t *admitted);
void cli_put_findings(const struct cli_page *page, const json_t *findings);

void cli_put_plan(const struct cli_page *page, const json_t *plan);
void cli_put_probe(const struct cli_page *page, const json_t *probe);
/* A refusal document, one line an item. */
void cli_put_refusal(const struct cli_page *page, const json_t *refusal);
/* The whole report; streams: with what was captured. */
void cli_put_report(const struct cli_page *page, const json_t *body, bool streams);

/* Which option would allow what a denied item of this kind attempted; "" if nothing grants it.
 * Static storage. */
const char *cli_grant_for(const char *kind, const char *detail);
/* The notes after a run that did not complete, one `bvisor: WHAT: WHY (what to do)` line each on
 * standard error. */
void cli_put_notes(const json_t *body);
