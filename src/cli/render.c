/* cli/render.c - columns, figures and requirements: what the renderings of all documents share. */
#include "cli/render.h"

#include <bvisor/spec.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/text.h"

#define PAGE_COLUMNS 100

struct cli_page cli_page_for(FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool plain = (no_color != NULL && no_color[0] != '\0') ||
                 (terminal != NULL && strcmp(terminal, "dumb") == 0);
    return (struct cli_page){ out, !plain && isatty(fileno(out)) == 1 };
}

/* Writes text cleaned; returns how many columns it takes, one a code point. */
static int put_counted(FILE *out, const char *text)
{
    char *clean = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&clean, &size);
    if (memory == NULL) {
        cli_put_text(out, text);
        return 0;
    }
    cli_put_text(memory, text);
    int columns = 0;
    if (fclose(memory) == 0) {
        for (size_t i = 0; i < size; i++) {
            columns += ((unsigned char)clean[i] & 0xc0) != 0x80;
        }
        (void)fwrite(clean, 1, size, out);
    }
    free(clean);
    return columns;
}

void cli_put_padded(const struct cli_page *page, const char *text, int width)
{
    int columns = put_counted(page->out, text);
    /* A longer text keeps one blank, so that columns never run into each other. */
    int blanks = width == 0 ? 0 : columns < width ? width - columns : 1;
    (void)fprintf(page->out, "%*s", blanks, "");
}

void cli_put_toned(const struct cli_page *page, enum cli_tone tone, const char *text, int width)
{
    static const char *const codes[] = {
        [CLI_TONE_PLAIN] = "",        [CLI_TONE_HEAD] = "\033[1m", [CLI_TONE_GOOD] = "\033[32m",
        [CLI_TONE_WARN] = "\033[33m", [CLI_TONE_BAD] = "\033[31m",
    };
    bool colour = page->colour && tone != CLI_TONE_PLAIN;
    (void)fputs(colour ? codes[tone] : "", page->out);
    cli_put_padded(page, text, width);
    (void)fputs(colour ? "\033[0m" : "", page->out);
}

void cli_put_heading(const struct cli_page *page, const char *text)
{
    (void)fputc('\n', page->out);
    cli_put_toned(page, CLI_TONE_HEAD, text, 0);
    (void)fputc('\n', page->out);
}

enum cli_tone cli_tone_of(const char *word)
{
    static const struct {
        const char *word;
        enum cli_tone tone;
    } tones[] = {
        { "enforced", CLI_TONE_GOOD },
        { "mediated", CLI_TONE_WARN },
        { "unsupported", CLI_TONE_BAD },
        { "completed", CLI_TONE_GOOD },
        { "within_limit", CLI_TONE_PLAIN },
        { "limit_reached_enforced", CLI_TONE_WARN },
        { "enforcement_fault", CLI_TONE_BAD },
        { "exceeded_within_mediated_overshoot", CLI_TONE_WARN },
        { "failed", CLI_TONE_BAD },
        { "denied", CLI_TONE_BAD },
        { "timeout", CLI_TONE_BAD },
        { "killed", CLI_TONE_BAD },
        { "supervisor_fault", CLI_TONE_BAD },
    };
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++) {
        if (strcmp(word, tones[i].word) == 0) {
            return tones[i].tone;
        }
    }
    return CLI_TONE_PLAIN;
}

const json_t *cli_at(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

const char *cli_text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

void cli_put_figure(const struct cli_page *page, const char *dimension, const json_t *value,
                    int width)
{
    char text[CLI_FIGURE_BYTES] = "-";
    if (json_is_string(value)) {
        cli_put_padded(page, json_string_value(value), width);
        return;
    }
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        uint64_t figure = (uint64_t)json_integer_value(value);
        size_t size = strlen(dimension);
        if (size > 7 && strcmp(dimension + size - 7, "_micros") == 0) {
            cli_format_duration(figure, text);
        } else if (size > 6 && strcmp(dimension + size - 6, "_bytes") == 0) {
            cli_format_size(figure, text);
        } else {
            (void)snprintf(text, sizeof text, "%" PRIu64, figure);
        }
    }
    cli_put_padded(page, text, width);
}

void cli_put_wrapped(const struct cli_page *page, const char *text, int indent)
{
    int at = indent;
    bool fresh = true;
    (void)fprintf(page->out, "%*s", indent, "");
    for (const char *word = text; *word != '\0';) {
        int size = (int)strcspn(word, " "), columns = 0;
        for (int i = 0; i < size; i++) {
            columns += ((unsigned char)word[i] & 0xc0) != 0x80;
        }
        if (!fresh && at + 1 + columns > PAGE_COLUMNS) {
            (void)fprintf(page->out, "\n%*s", indent + 2, "");
            at = indent + 2;
        } else if (!fresh) {
            (void)fputc(' ', page->out);
            at++;
        }
        cli_put_clean(page->out, word, (size_t)size, false);
        at += columns;
        fresh = false;
        word += size;
        word += *word == ' ';
    }
    (void)fputc('\n', page->out);
}

/* ---- requirements ---- */

static void put_words(FILE *out, const json_t *array, const char *separator)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        (void)fputs(i > 0 ? separator : "", out);
        if (json_is_integer(item)) {
            (void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(item));
        } else {
            cli_put_text(out, json_is_string(item) ? json_string_value(item) : "?");
        }
    }
}

static void put_filesystem(FILE *out, const json_t *value)
{
    const char *access = cli_text_at(value, "access");
    cli_put_text(out, strcmp(access, "read_write") == 0 ? "read, write" : access);
    (void)fputs(json_is_true(cli_at(value, "execute")) ? ", execute: " : ": ", out);
    put_words(out, cli_at(value, "roots"), " ");
}

static void put_destinations(FILE *out, const json_t *value)
{
    const json_t *list = cli_at(value, "destinations");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        (void)fputs(i > 0 ? " " : "", out);
        cli_put_text(out, cli_text_at(item, "host"));
        (void)fprintf(out, ":%" JSON_INTEGER_FORMAT, json_integer_value(cli_at(item, "port")));
    }
}

static void put_environment(FILE *out, const json_t *value)
{
    const json_t *list = cli_at(value, "exact");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        (void)fputs(i > 0 ? ", " : "", out);
        cli_put_text(out, cli_text_at(item, "name"));
        if (json_is_string(cli_at(item, "secret"))) {
            (void)fputs(" (secret ", out);
            cli_put_text(out, cli_text_at(item, "secret"));
            (void)fputc(')', out);
        }
    }
    (void)fputs(json_array_size(list) == 0 ? "empty" : "", out);
}

static void put_streams(FILE *out, const json_t *value)
{
    static const char *const names[] = { "stdin", "stdout", "stderr" };
    const char *separator = "";
    for (size_t i = 0; i < 3; i++) {
        if (json_is_true(cli_at(value, names[i]))) {
            (void)fprintf(out, "%s%s", separator, names[i]);
            separator = ", ";
        }
    }
    (void)fputs(separator[0] == '\0' ? "none" : "", out);
}

static void put_temp(FILE *out, const json_t *value)
{
    const json_t *size = cli_at(value, "size_bytes");
    char figure[CLI_FIGURE_BYTES] = "default size";
    if (json_is_integer(size)) {
        cli_format_size((uint64_t)json_integer_value(size), figure);
    }
    (void)fprintf(out, "/tmp, %s", figure);
}

static void put_expose(FILE *out, const json_t *value)
{
    cli_put_text(out, cli_text_at(value, "access"));
    (void)fputs(": ", out);
    cli_put_text(out, cli_text_at(value, "source"));
    (void)fputs(" as ", out);
    cli_put_text(out, cli_text_at(value, "dest"));
}

static void put_commit(FILE *out, const json_t *value)
{
    cli_put_text(out, cli_text_at(value, "durability"));
}

static void put_kill(FILE *out, const json_t *value)
{
    cli_put_text(out, cli_text_at(value, "guarantee"));
}

static void put_fds(FILE *out, const json_t *value)
{
    put_words(out, cli_at(value, "fds"), ", ");
}

void cli_put_requirement(const struct cli_page *page, int indent, const json_t *requirement)
{
    static const struct {
        const char *key,
            *detail; /* detail: a member that must be there for the line to say anything */
        void (*put)(FILE *out, const json_t *value);
    } rows[] = {
        { "filesystem", "roots", put_filesystem },
        { "network", "destinations", put_destinations },
        { "environment", "exact", put_environment },
        { "inherited_fds", "fds", put_fds },
        { "capture_streams", NULL, put_streams },
        { "temp_root", NULL, put_temp },
        { "expose_path", "source", put_expose },
        { "commit_artifact", "durability", put_commit },
        { "kill", "guarantee", put_kill },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const json_t *value = cli_at(requirement, rows[i].key);
        if (value == NULL || (rows[i].detail != NULL && cli_at(value, rows[i].detail) == NULL)) {
            continue;
        }
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        if (out == NULL) {
            return;
        }
        rows[i].put(out, value);
        if (fclose(out) == 0) {
            cli_put_wrapped(page, text, indent);
        }
        free(text);
        return;
    }
}

void cli_put_workload(const struct cli_page *page, const json_t *workload)
{
    const json_t *process = cli_at(workload, "process"), *wasm = cli_at(workload, "wasm");
    const json_t *value = process != NULL ? process : wasm;
    if (value == NULL) {
        return;
    }
    (void)fputs("workload  ", page->out);
    cli_put_text(page->out, cli_text_at(value, process != NULL ? "exe" : "module"));
    const json_t *args = cli_at(value, "args");
    (void)fputs(json_array_size(args) > 0 ? " " : "", page->out);
    put_words(page->out, args, " ");
    const char *cwd = cli_text_at(value, "cwd");
    if (cwd[0] != '\0') {
        (void)fputs("   (in ", page->out);
        cli_put_text(page->out, cwd);
        (void)fputc(')', page->out);
    }
    (void)fputc('\n', page->out);
    const char *digest = cli_text_at(value, "digest");
    digest = digest[0] != '\0' ? digest : cli_text_at(workload, "digest");
    if (digest[0] != '\0') {
        (void)fputs("          ", page->out);
        cli_put_text(page->out, digest);
        (void)fputc('\n', page->out);
    }
}

void cli_put_admitted(const struct cli_page *page, const json_t *admitted)
{
    cli_put_heading(page, "asked for, and what holds it");
    for (size_t i = 0; i < json_array_size(admitted); i++) {
        const json_t *item = json_array_get(admitted, i);
        const char *enforcement = cli_text_at(item, "enforcement");
        (void)fputs("  ", page->out);
        cli_put_padded(page, cli_text_at(item, "kind"), 25);
        cli_put_toned(page, cli_tone_of(enforcement), enforcement, 10);
        cli_put_text(page->out, cli_text_at(item, "mechanism"));
        (void)fputs(json_is_true(cli_at(item, "implied")) ? "   (implied)" : "", page->out);
        (void)fputc('\n', page->out);
        cli_put_requirement(page, 6, cli_at(item, "requirement"));
    }
}

void cli_put_findings(const struct cli_page *page, const json_t *findings)
{
    if (json_array_size(findings) == 0) {
        return;
    }
    cli_put_heading(page, "to know");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *item = json_array_get(findings, i);
        char *text = NULL;
        int length = json_is_string(item) ? asprintf(&text, "%s", json_string_value(item))
                                          : asprintf(&text, "%s: %s", cli_text_at(item, "kind"),
                                                     cli_text_at(item, "detail"));
        if (length >= 0) {
            cli_put_wrapped(page, text, 2);
            free(text);
        }
    }
}
