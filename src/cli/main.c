/* cli/main.c - the bvisor command: which verb, which arguments, which exit status.
 *
 * The command is one user of the public library, include/bvisor, and knows nothing that another
 * could not know. It owns descriptors 0, 1 and 2 and the signals; the library never touches
 * either. INTERFACE.md 1 specifies it. */
#include "cli/cli.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

static const struct {
    enum cli_verb verb;
    bool permute; /* options may stand behind operands, which are no workload's command line */
    int (*command)(struct cli *cli, const struct cli_args *args);
} commands[CLI_VERB_COUNT] = {
    { CLI_RUN, false, cli_cmd_run },
    { CLI_PLAN, false, cli_cmd_plan },
    { CLI_EXEC, true, cli_cmd_exec },
    { CLI_PROBE, true, cli_cmd_probe },
    { CLI_VERIFY, true, cli_cmd_verify },
    { CLI_SHOW, true, cli_cmd_show },
    { CLI_JOURNAL, true, cli_cmd_journal },
    { CLI_ARTIFACTS, true, cli_cmd_artifacts },
    { CLI_RECOVER, true, cli_cmd_recover },
    { CLI_KEY_VERB, true, cli_cmd_key },
    { CLI_SPEC, true, cli_cmd_spec },
    { CLI_COMPLETION, true, cli_cmd_completion },
    { CLI_VERSION, true, cli_cmd_version },
    { CLI_HELP, true, cli_cmd_help },
};

/* Descriptors 0, 1 and 2 that the caller closed are filled, so that no file of ours lands there;
 * opened the wrong way round, so that using one still fails. */
static bool fill_standard(struct cli *cli)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        cli->closed[fd] = true;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) {
            return false;
        }
    }
    return true;
}

static int run_verb(struct cli *cli, size_t index, int argc, char **argv)
{
    const struct cli_verb_row *verb = &cli_verbs[index];
    struct cli_args args = { 0 };
    cli_prescan(cli, verb, commands[index].permute, argc, argv);
    int result = cli_parse(cli, verb, commands[index].permute, argc, argv, &args);
    if (result != CLI_OK) {
        return result;
    }
    if (cli_given(&args, CLI_O_HELP)) {
        cli_put_help(stdout, verb);
        return cli_flush_stdout(cli);
    }
    cli->quiet = cli_given(&args, CLI_O_QUIET);
    cli->verbose = cli_given(&args, CLI_O_VERBOSE);
    return commands[index].command(cli, &args);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        return cli_fail(cli, "bvisor", "see: bvisor help", "no verb is given");
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct cli_verb_row *verb = cli_find_verb(name);
    if (verb != NULL) {
        return run_verb(cli, (size_t)(verb - cli_verbs), argc - 2, argv + 2);
    }
    cli_prescan(cli, NULL, true, argc - 1, argv + 1);
    if (name[0] == '-') {
        return cli_fail(cli, name, "write bvisor VERB [OPTIONS]; see: bvisor help",
                        "options follow the verb");
    }
    const char *near = cli_nearest_verb(name);
    return cli_fail(cli, name,
                    near == NULL ? "see: bvisor help"
                                 : cli_pool_format(&cli->pool, "did you mean %s?", near),
                    "there is no such verb");
}

/* A command lives for milliseconds: its heap grows by more than a page or two at a time and is not trimmed on the way out. What is large is
 * mapped all the same, and given back (mallopt(3): setting one of these keeps the threshold at 128 KiB). */
static void set_heap(void)
{
    (void)mallopt(M_TOP_PAD, 256 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    set_heap();
    if (!fill_standard(&cli)) {
        return CLI_FAULT; /* there is not even a /dev/null to speak through */
    }
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigemptyset(&ignore.sa_mask);
    /* A write that these would end the command at fails instead, and is told. */
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGXFSZ, &ignore, NULL) != 0) {
        return cli_fail(&cli, "signals", NULL, "SIGPIPE and SIGXFSZ cannot be ignored");
    }
    int result = dispatch(&cli, argc, argv);
    cli_target_close(&cli.report);
    cli_pool_done(&cli.pool);
    return result;
}
