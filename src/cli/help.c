/* cli/help.c - help texts, made from the tables of options.c so that nothing is documented that
 * does not exist, or the other way round. Lines are at most 100 columns. */
#include "cli/commands.h"

#include <string.h>

#define WIDTH         100
#define VERB_COLUMN   14
#define OPTION_COLUMN 30

static const char *const group_titles[CLI_GROUP_COUNT] = {
    [CLI_GROUP_FILES] = "Files",
    [CLI_GROUP_AUTHORITY] = "Authority",
    [CLI_GROUP_BUDGETS] =
        "Budgets (unlimited where not said otherwise; \"unlimited\" is accepted by all)",
    [CLI_GROUP_ARTIFACTS] = "Artifacts",
    [CLI_GROUP_RUN] = "The run",
    [CLI_GROUP_OUTPUT] = "Output",
};

static const char paths_topic[] = "Paths on the command line are made absolute and their symlinks "
                                  "resolved once; \"/\" is refused as a\n"
                                  "root. A written spec must hold absolute, resolved paths "
                                  "already. The most specific root alone\n"
                                  "decides about a path, narrower or wider: --rw . --ro .git "
                                  "works. EXE with a slash is that file and\n"
                                  "may pass through symlinks; without one it is the first match in "
                                  "PATH that lies inside an execute\n"
                                  "root. The workload's working directory is --cwd, else the "
                                  "caller's if it is inside a root, else /.\n"
                                  "A tree that holds a file system of the kernel's (sysfs, cgroup "
                                  "and the like) cannot be granted for\n"
                                  "writing, one that holds a procfs of the host not at all: --ro "
                                  "/proc is the boundary's own.\n";

static const char units_topic[] =
    "DUR   10s 500ms 250us 2m 1h\n"
    "SIZE  4096 64K 64M 2G 1T, powers of 1024; 64MiB and 64MB mean the same as 64M\n"
    "N     a plain number\n"
    "Every budget also takes \"unlimited\". 0 means none of it.\n"
    "DIM   wall cpu mem procs handles storage net-bytes, or a document's name such as wall_micros\n"
    "CLAIM terminal_outcome captured_streams resource_usage allowed_actions denied_attempts\n"
    "      filesystem_delta process_tree network_activity artifact_lineage mechanism_attestation\n";

static const char status_topic[] =
    "run and exec end with the workload's own exit status when it ended by itself (128+N for a "
    "signal N,\n"
    "134 for a Wasm trap, 159 when the boundary's filter ended it), and otherwise with\n"
    "  124  the wall or cpu budget ended it\n"
    "  137  another budget ended it, or it was cancelled (SIGINT, SIGTERM, SIGHUP)\n"
    "  126  refused: nothing ran\n"
    "  125  bvisor failed or was misused\n"
    "plan: 0 admitted, 126 refused, 125 misuse. verify: 0 all seals match, 1 one does not, 125 "
    "misuse.\n";

static const char streams_topic[] =
    "The workload's standard output and error pass through live, and the report keeps up to "
    "--capture\n"
    "bytes of each. A pipe or file gets the bytes as they are; on a terminal control characters "
    "other\n"
    "than newline, tab and carriage return are made visible, so that a hostile program cannot "
    "steer it.\n"
    "Standard input is empty unless --stdin says otherwise; its bytes are copied, the descriptor "
    "itself\n"
    "is never passed on. With --json standard output holds one document and nothing else: a "
    "report, a\n"
    "refusal or an error. Notes and errors go to standard error, one line each.\n"
    "A pipe whose reader went away breaks for the workload too, once the capture is full. Output that\n"
    "cannot be written for another reason is told, and what would have been status 0 is then 125.\n";

static const char examples[] =
    "\nExamples\n"
    "  bvisor run --system ls /usr\n"
    "  bvisor run --system --spawn any --ro src --rw out --tmp --cwd src -- make OUT=../out\n"
    "  bvisor run --rx /opt/tool --wall 10s --mem 64M --json /opt/tool/bin/tool > report.json\n"
    "  bvisor plan --system --net all curl\n";

static const struct {
    const char *name, *text;
} topics[] = {
    { "paths", paths_topic },
    { "units", units_topic },
    { "status", status_topic },
    { "streams", streams_topic },
};

/* Writes text wrapped at blanks; column is where the cursor is, every further line is indented
 * to it. */
static void put_wrapped(FILE *out, const char *text, size_t column)
{
    size_t at = column;
    for (const char *word = text; *word != '\0';) {
        size_t size = strcspn(word, " ");
        if (at > column && at + 1 + size > WIDTH) {
            (void)fprintf(out, "\n%*s", (int)column, "");
            at = column;
        } else if (at > column) {
            (void)fputc(' ', out);
            at++;
        }
        (void)fwrite(word, 1, size, out);
        at += size;
        word += size + strspn(word + size, " ");
    }
    (void)fputc('\n', out);
}

static void put_option(FILE *out, const struct cli_option *option)
{
    char name[80] = "";
    size_t used = 0;
    if (option->letter != 0) {
        used = (size_t)snprintf(name, sizeof name, "-%c, ", option->letter);
    }
    const char *before = option->takes == CLI_TAKES_NOTHING ? ""
                         : option->takes == CLI_TAKES_VALUE ? " "
                                                            : "[=";
    used += (size_t)snprintf(name + used, sizeof name - used, "--%s%s%s%s", option->name, before,
                             option->value == NULL ? "" : option->value,
                             option->takes == CLI_TAKES_OPTIONAL ? "]" : "");
    if (used + 2 < OPTION_COLUMN) {
        (void)fprintf(out, "  %-*s", OPTION_COLUMN - 2, name);
    } else {
        (void)fprintf(out, "  %s\n%*s", name, OPTION_COLUMN, "");
    }
    put_wrapped(out, option->help, OPTION_COLUMN);
}

static void put_options(FILE *out, const struct cli_verb_row *verb)
{
    for (int group = 0; group < CLI_GROUP_COUNT; group++) {
        bool titled = false;
        for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
            const struct cli_option *option = &cli_options[i];
            if (option->group != (enum cli_group)group ||
                (option->verbs & (unsigned)verb->verb) == 0) {
                continue;
            }
            if (!titled) {
                (void)fprintf(out, "\n%s\n", group_titles[group]);
                titled = true;
            }
            put_option(out, option);
        }
    }
}

static void put_overview(FILE *out)
{
    (void)fputs("bvisor confines a program to exactly what it was granted, and reports what held "
                "it.\n\nUsage\n",
                out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        (void)fprintf(out, "  bvisor %-*s", VERB_COLUMN, cli_verbs[i].name);
        put_wrapped(out, cli_verbs[i].help, 9 + VERB_COLUMN);
    }
    (void)fputs(examples, out);
    (void)fputs("\nMore: bvisor help VERB, bvisor help paths | units | status | streams\n", out);
}

void cli_put_help(FILE *out, const struct cli_verb_row *verb)
{
    if (verb == NULL) {
        put_overview(out);
        return;
    }
    /* plan shows the options of run, which are its own as well. */
    (void)fprintf(out, "bvisor %s %s\n", verb->name, verb->usage);
    (void)fputs("  ", out);
    put_wrapped(out, verb->help, 2);
    put_options(out, verb);
    if (verb->verb == CLI_RUN || verb->verb == CLI_PLAN) {
        (void)fputs(examples, out);
        (void)fputs("\nMore: bvisor help paths | units | status | streams\n", out);
    }
}

int cli_cmd_help(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count > 1) {
        return cli_fail(cli, "help", "write bvisor help [TOPIC]", "takes one topic");
    }
    const char *name = args->operand_count == 1 ? args->operands[0] : NULL;
    const struct cli_verb_row *verb = name == NULL ? NULL : cli_find_verb(name);
    bool found = name == NULL || verb != NULL;
    if (found) {
        cli_put_help(stdout, verb);
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0] && !found; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            (void)fputs(topics[i].text, stdout);
            found = true;
        }
    }
    if (!found) {
        return cli_fail(cli, name, "a verb, or paths, units, status, streams",
                        "there is no such topic");
    }
    return cli_flush_stdout(cli);
}

int cli_cmd_version(struct cli *cli, const struct cli_args *args)
{
    if (args->operand_count > 0) {
        return cli_fail(cli, "version", NULL, "takes no arguments");
    }
    (void)printf("bvisor %s\n", bv_version());
    return cli_flush_stdout(cli);
}
