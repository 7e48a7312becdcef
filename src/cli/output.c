/* cli/output.c - everything the command says outside a run's own streams: one-line diagnostics and
 * the one document.
 *
 * A line is built whole and written with one write(2), so that lines of parallel commands do not
 * mix. */
#include "cli/cli.h"

#include <bvisor/base.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/text.h"

static void put_line(const char *message)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    if (out == NULL) { /* out of memory: the bare message is better than silence */
        (void)cli_write_all(STDERR_FILENO, message, strlen(message));
        (void)cli_write_all(STDERR_FILENO, "\n", 1);
        return;
    }
    (void)fputs("bvisor: ", out);
    cli_put_text(out, message);
    (void)fputc('\n', out);
    if (fclose(out) == 0) {
        /* Nobody is left to be told when standard error itself fails. */
        (void)cli_write_all(STDERR_FILENO, line, size);
    }
    free(line);
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) >= 0) {
        put_line(text);
        free(text);
    }
    va_end(args);
}

bool cli_wants_document(const struct cli *cli)
{
    return cli->json || cli->report_path != NULL;
}

int cli_check_report_path(struct cli *cli)
{
    int error = cli->report_path == NULL ? 0 : cli_target_open(&cli->report, cli->report_path);
    if (error == 0) {
        return CLI_OK;
    }
    const char *path = cli->report_path;
    cli->report_path = NULL; /* the error document cannot go there either */
    return cli_fail(cli, "--report", NULL, "%s cannot be written: %s", path, strerror(error));
}

/* Writes text and a newline to both places asked for; the first failure is told. */
static int put_document(struct cli *cli, const char *text)
{
    size_t size = strlen(text);
    char *line = malloc(size + 2);
    if (line == NULL) {
        cli_note("document: out of memory");
        return CLI_FAULT;
    }
    memcpy(line, text, size);
    memcpy(line + size, "\n", 2);
    int result = CLI_OK;
    if (cli->json) {
        int error =
            cli->closed[STDOUT_FILENO] ? EBADF : cli_write_all(STDOUT_FILENO, line, size + 1);
        if (error != 0) {
            cli_note("standard output: the document cannot be written: %s", strerror(error));
            result = CLI_FAULT;
        }
    }
    if (cli->report_path != NULL) {
        int error = cli_target_open(&cli->report, cli->report_path);
        error = error == 0 ? cli_target_write(&cli->report, cli->report_path, line, size + 1) : error;
        if (error != 0) {
            cli_note("--report: %s cannot be written: %s", cli->report_path, strerror(error));
            result = CLI_FAULT;
        }
    }
    cli_target_close(&cli->report);
    free(line);
    return result;
}

int cli_document(struct cli *cli, const char *text)
{
    if (!cli_wants_document(cli) || cli->documented) {
        return CLI_OK;
    }
    cli->documented = true;
    return put_document(cli, text);
}

/* A JSON string of text; bytes that are not UTF-8, and U+007F which documents do not hold,
 * become '?'. */
static json_t *plain_string(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }
    size_t size = strlen(copy);
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = cli_utf8_next(copy + at, size - at, &point);
        if (length == 0 || point == 0x7f) {
            copy[at] = '?';
            length = 1;
        }
        at += length;
    }
    json_t *string = json_string(copy);
    free(copy);
    return string;
}

/* Dumps a document with sorted keys and writes it; takes the reference. */
static int document_json(struct cli *cli, json_t *document)
{
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(document);
    if (text == NULL) {
        cli_note("document: out of memory");
        return CLI_FAULT;
    }
    int result = cli_document(cli, text);
    free(text);
    return result;
}

static void document_error(struct cli *cli, const char *place, const char *message)
{
    if (!cli_wants_document(cli) || cli->documented) {
        return;
    }
    /* The failure itself is told already and its status is CLI_FAULT whether or not this can be
     * written. */
    (void)document_json(cli, json_pack("{s:s, s:o, s:o}", "schema", "bvisor.error/1", "place",
                                       plain_string(place), "message", plain_string(message)));
}

int cli_fail(struct cli *cli, const char *place, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *why = NULL;
    int length = vasprintf(&why, format, args);
    va_end(args);
    char *message = NULL;
    if (length >= 0 && remedy != NULL && remedy[0] != '\0') {
        length = asprintf(&message, "%s (%s)", why, remedy);
    } else if (length >= 0) {
        message = strdup(why);
    }
    if (length < 0 || message == NULL) {
        cli_note("%s: out of memory", place);
    } else {
        cli_note("%s: %s", place, message);
        document_error(cli, place, message);
    }
    free(message);
    if (length >= 0 || why != NULL) {
        free(why);
    }
    return CLI_FAULT;
}

int cli_fail_nomem(struct cli *cli)
{
    return cli_fail(cli, "memory", NULL, "out of memory");
}

int cli_refuse(struct cli *cli, const struct cli_refusal *refusal)
{
    const char *remedy = refusal->remedy == NULL ? "" : refusal->remedy;
    cli_note(remedy[0] == '\0' ? "%s%s: %s" : "%s%s: %s (%s)",
             refusal->lacking ? "" : "refused: ", refusal->place, refusal->why, remedy);
    if (!cli_wants_document(cli) || cli->documented) {
        return CLI_REFUSED;
    }
    json_t *item = NULL;
    if (refusal->workload) {
        const char *why =
            cli_pool_format(&cli->pool, "%s: %s", refusal->place, refusal->why);
        item = json_pack("{s:s, s:{s:{}}, s:o, s:o}", "kind", "launch_workload", "requirement",
                         "launch_workload", "why", plain_string(why == NULL ? refusal->why : why),
                         "remedy", plain_string(remedy));
    } else {
        item = json_pack("{s:o, s:o, s:o}", "place", plain_string(refusal->place), "why",
                         plain_string(refusal->why), "remedy", plain_string(remedy));
    }
    json_t *document =
        json_pack("{s:s, s:s, s:o, s:[o]}", "schema", "bvisor.refusal/1", "reason", refusal->reason,
                  "backend", plain_string(refusal->backend), "items", item);
    return document_json(cli, document) == CLI_OK ? CLI_REFUSED : CLI_FAULT;
}

int cli_flush_stdout(struct cli *cli)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        int error = errno;
        cli->json = false; /* standard output is what failed */
        return cli_fail(cli, "standard output", NULL, "cannot be written: %s",
                        error != 0 ? strerror(error) : "an earlier write failed");
    }
    return CLI_OK;
}
