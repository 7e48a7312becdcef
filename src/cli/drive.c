/* cli/drive.c - one run from its start to its report. Signals are read from a descriptor beside
 * the run's own: SIGINT, SIGTERM and SIGHUP cancel the run, whose report then is written like
 * any other. They stay blocked until the command ends, so that a report file is never left half
 * made. */
#include "cli/commands.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/screen.h"

static int block_signals(struct cli *cli, sigset_t *ret_set)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    (void)sigemptyset(ret_set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaddset(ret_set, numbers[i]);
    }
    if (sigprocmask(SIG_BLOCK, ret_set, NULL) != 0) {
        return cli_fail(cli, "signals", NULL, "cannot be blocked: %s", strerror(errno));
    }
    return CLI_OK;
}

/* Dispatches until the run is done. A signal that was pending since before the start cancels at
 * once. */
static int drive(struct cli *cli, struct bv_run *run, int signals, struct cli_screen screens[2])
{
    bool done = false;
    while (!done) {
        /* poll() passes over the negative numbers of screens that are not there. */
        struct pollfd fds[4] = { { bv_run_fd(run), POLLIN, 0 },
                                 { signals, POLLIN, 0 },
                                 { screens[0].read_fd, POLLIN, 0 },
                                 { screens[1].read_fd, POLLIN, 0 } };
        if (poll(fds, 4, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return cli_fail(cli, "run", NULL, "cannot be waited for: %s", strerror(errno));
        }
        struct signalfd_siginfo info;
        if (fds[1].revents != 0 && read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
            bv_run_cancel(run);
        }
        struct bv_error error = { 0 };
        if (bv_run_dispatch(run, &done, &error) != BV_OK) {
            return cli_tell_error(cli, "run", NULL, &error);
        }
        cli_screen_pump(&screens[0]);
        cli_screen_pump(&screens[1]);
    }
    return CLI_OK;
}

/* The summary of -v and the notes, on standard error in one piece each. */
static void put_summary(const struct cli *cli, const char *text)
{
    json_t *report = json_loads(text, 0, NULL);
    const json_t *body = cli_at(report, "body");
    if (cli->verbose) {
        char *summary = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&summary, &size);
        if (out != NULL) {
            const struct cli_page page = { out, cli_page_for(stderr).colour };
            cli_put_report(&page, body, false);
            if (fclose(out) == 0) {
                (void)cli_write_all(STDERR_FILENO, summary,
                                    size); /* what cannot be told cannot be told about either */
            }
            free(summary);
        }
    }
    cli_put_notes(body);
    json_decref(report);
}

/* Output that could not be passed on is lost to whoever relies on it: a full disk must not look like success. That a
 * reader went away is its own wish, and as quiet here as in any pipeline. The quotes of captured text are escaped, so the
 * first look cannot be misled by it, and costs next to nothing. */
static int tell_lost_output(const char *text)
{
    json_t *report = strstr(text, "\"kind\":\"stream_target_lost\"") == NULL ? NULL : json_loads(text, 0, NULL);
    const json_t *findings = cli_at(cli_at(report, "body"), "findings");
    int result = CLI_OK;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *item = json_array_get(findings, i);
        const char *detail = cli_text_at(item, "detail");
        if (strcmp(cli_text_at(item, "kind"), "stream_target_lost") == 0 &&
            strstr(detail, strerror(EPIPE)) == NULL) {
            cli_note("output is lost: %s", detail);
            result = CLI_FAULT;
        }
    }
    json_decref(report);
    return result;
}

static int tell_report(struct cli *cli, const char *text, int status, bool notes)
{
    int result = cli_document(cli, text);
    int lost = tell_lost_output(text);
    if (result == CLI_OK && status == 0) {
        result = lost; /* any other status says already that not all is well */
    }
    if (notes) {
        put_summary(cli, text);
    }
    return result;
}

/* What is not persisted is never taken for it: the report is still given, and a status of 0 becomes 125. */
static int record(struct bv_run *run, const struct bv_report *report)
{
    struct bv_error error = { 0 };
    if (bv_run_record(run, report, &error) == BV_OK) {
        return CLI_OK;
    }
    cli_note("journal: the report is not persisted: %s", error.text[0] == '\0' ? bv_status_name(error.status) : error.text);
    return CLI_FAULT;
}

/* Before the report is written, so that it says what became of what was staged. */
static int settle(struct bv_run *run, struct bv_report *report, bool keep)
{
    struct bv_error error = { 0 };
    if (bv_run_settle(run, report, keep, &error) == BV_OK) {
        return CLI_OK;
    }
    cli_note("%s", error.text[0] == '\0' ? bv_status_name(error.status) : error.text);
    return CLI_FAULT;
}

static int finish(struct cli *cli, struct bv_run *run, const struct cli_job *job, const struct bv_key *key)
{
    struct bv_error error = { 0 };
    struct bv_report *report = NULL;
    if (bv_run_wait(run, &report, &error) != BV_OK) {
        return cli_tell_error(cli, "run", NULL, &error);
    }
    if (key != NULL && bv_report_sign(report, key, &error) != BV_OK) {
        bv_report_free(report);
        return cli_tell_error(cli, "--sign", NULL, &error);
    }
    const int recorded = record(run, report);
    const int settled = settle(run, report, job->keep);
    const int status = bv_report_exit_status(report);
    const bool completed = bv_report_outcome(report) == BV_OUTCOME_COMPLETED;
    char *text = NULL;
    const enum bv_status made = bv_report_json(report, &text, &error);
    bv_report_free(report); /* its text is as large as the streams in it, and there is one already */
    if (made != BV_OK) {
        return cli_tell_error(cli, "report", NULL, &error);
    }
    const int result = tell_report(cli, text, status, !cli->quiet && (cli->verbose || !completed));
    bv_free(text);
    if (result != CLI_OK || settled != CLI_OK) {
        return result != CLI_OK ? result : settled;
    }
    return status == 0 ? recorded : status;
}

static int start(struct cli *cli, struct bv_backend *backend, const struct cli_job *job,
                 const char *source, const struct bv_run_options *options, struct bv_run **ret_run)
{
    struct bv_error error = { 0 };
    struct bv_refusal *refusal = NULL;
    enum bv_status status =
        job->plan != NULL ? bv_run_start(backend, job->plan, options, ret_run, &refusal, &error)
                          : bv_run_begin(backend, job->spec, options, ret_run, &refusal, &error);
    if (status == BV_E_REFUSED) {
        return cli_tell_refusal(cli, refusal);
    }
    return status == BV_OK ? CLI_OK : cli_tell_error(cli, "start", source, &error);
}

/* From a started run to its exit status. */
static int follow(struct cli *cli, struct bv_run *run, const struct cli_job *job, const struct bv_key *key, const sigset_t *set,
                  struct cli_screen screens[2])
{
    /* Made after the start: a descriptor of ours must not take a number that --keep-fd asks for. */
    int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        return cli_fail(cli, "signals", NULL, "cannot be read: %s", strerror(errno));
    }
    int result = drive(cli, run, signals, screens);
    (void)close(signals);
    cli_screen_close(&screens[0]);
    cli_screen_close(&screens[1]);
    return result == CLI_OK ? finish(cli, run, job, key) : result;
}

int cli_run_job(struct cli *cli, struct bv_backend *backend, const struct cli_job *job,
                const char *source, struct bv_run_options *options, const struct bv_key *key,
                struct cli_secrets *secrets)
{
    struct cli_screen screens[2] = { CLI_SCREEN_NONE, CLI_SCREEN_NONE };
    sigset_t set;
    int result = cli_screen_open(cli, job, &options->stdout_fd, &screens[0]);
    if (result == CLI_OK) {
        result = cli_screen_open(cli, job, &options->stderr_fd, &screens[1]);
    }
    if (result == CLI_OK) {
        result = block_signals(cli, &set);
    }
    options->secret = cli_secrets_resolve;
    options->secret_context = secrets;
    struct bv_run *run = NULL;
    if (result == CLI_OK) {
        result = start(cli, backend, job, source, options, &run);
    }
    cli_secrets_wipe(secrets); /* resolved once, inside the start */
    if (run != NULL) {
        result = follow(cli, run, job, key, &set, screens);
    }
    bv_run_free(run);
    cli_screen_close(&screens[0]);
    cli_screen_close(&screens[1]);
    return result;
}
