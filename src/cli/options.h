/* cli/options.h - the one table of options. Parser, help texts and completion scripts are all
 * read from it. */
#pragma once

#include "cli/cli.h"

enum cli_verb {
    CLI_RUN = 1 << 0,
    CLI_PLAN = 1 << 1,
    CLI_EXEC = 1 << 2,
    CLI_PROBE = 1 << 3,
    CLI_VERIFY = 1 << 4,
    CLI_SHOW = 1 << 5,
    CLI_JOURNAL = 1 << 6,
    CLI_ARTIFACTS = 1 << 7,
    CLI_RECOVER = 1 << 8,
    CLI_SPEC = 1 << 9,
    CLI_COMPLETION = 1 << 10,
    CLI_VERSION = 1 << 11,
    CLI_HELP = 1 << 12,
    CLI_KEY_VERB = 1 << 13,
};

enum cli_option_id {
    CLI_O_BACKEND,
    CLI_O_RO,
    CLI_O_RW,
    CLI_O_RX,
    CLI_O_RWX,
    CLI_O_WO,
    CLI_O_SYSTEM,
    CLI_O_EXPOSE,
    CLI_O_TMP,
    CLI_O_CWD,
    CLI_O_NET,
    CLI_O_SPAWN,
    CLI_O_ENV,
    CLI_O_ENV_SECRET,
    CLI_O_KEEP_FD,
    CLI_O_WALL,
    CLI_O_CPU,
    CLI_O_MEM,
    CLI_O_PROCS,
    CLI_O_HANDLES,
    CLI_O_STORAGE,
    CLI_O_NET_BYTES,
    CLI_O_ENFORCED,
    CLI_O_REQUIRE,
    CLI_O_STAGE,
    CLI_O_COMMIT,
    CLI_O_DISCARD,
    CLI_O_OVERWRITE,
    CLI_O_DURABILITY,
    CLI_O_SPEC,
    CLI_O_PRINT_SPEC,
    CLI_O_SECRETS,
    CLI_O_STDIN,
    CLI_O_CAPTURE,
    CLI_O_REPORT,
    CLI_O_JSON,
    CLI_O_JOURNAL,
    CLI_O_NO_JOURNAL,
    CLI_O_SIGN,
    CLI_O_QUIET,
    CLI_O_VERBOSE,
    CLI_O_KEY,
    CLI_O_HTML,
    CLI_O_DSSE,
    CLI_O_DRY_RUN,
    CLI_O_LAST,
    CLI_O_HEAD,
    CLI_O_OLDER,
    CLI_O_KEEP,
    CLI_O_HELP,
    CLI_OPTION_COUNT,
};

enum cli_takes { CLI_TAKES_NOTHING, CLI_TAKES_VALUE, CLI_TAKES_OPTIONAL };
enum cli_group {
    CLI_GROUP_FILES,
    CLI_GROUP_AUTHORITY,
    CLI_GROUP_BUDGETS,
    CLI_GROUP_ARTIFACTS,
    CLI_GROUP_RUN,
    CLI_GROUP_OUTPUT,
    CLI_GROUP_COUNT,
};

struct cli_option {
    enum cli_option_id id;
    const char *name; /* without dashes */
    char letter;      /* short form, 0 = none */
    enum cli_takes takes;
    bool repeats;  /* may be given more than once */
    bool boundary; /* expands into the spec, so it cannot go with --spec */
    enum cli_group group;
    unsigned verbs;       /* set of enum cli_verb */
    const char *value;    /* placeholder: "PATH", "DUR" */
    const char *complete; /* "file", "dir", or words separated by spaces; NULL = nothing to offer */
    const char *help;
};

extern const struct cli_option
    cli_options[CLI_OPTION_COUNT]; /* indexed by id, in the order of the help text */

struct cli_verb_row {
    enum cli_verb verb;
    const char *name;
    const char *usage; /* behind the name */
    const char *help;
    const char *operands; /* for completion: "file", "exe", or words */
};

#define CLI_VERB_COUNT 14
extern const struct cli_verb_row cli_verbs[CLI_VERB_COUNT];
/* The row of a verb's name, NULL if there is none. */
const struct cli_verb_row *cli_find_verb(const char *name);
/* The name in the list that a misspelt one most likely meant, NULL if none is near. */
const char *cli_nearest_verb(const char *name);

struct cli_setting {
    const struct cli_option *option;
    const char *value; /* NULL without one */
};

struct cli_args {
    struct cli_setting *settings; /* as given, in order */
    size_t setting_count;
    char **operands;
    size_t operand_count;
};

/* Reads the arguments behind the verb. permute: options may follow operands; otherwise the first
 * operand and everything behind it is the workload's. 0 or CLI_FAULT. */
int cli_parse(struct cli *cli, const struct cli_verb_row *verb, bool permute, int argc, char **argv,
              struct cli_args *ret_args);
/* Finds --json and --report before anything can fail, so that misuse too ends in a document. */
void cli_prescan(struct cli *cli, const struct cli_verb_row *verb, bool permute, int argc,
                 char **argv);
/* The last setting of an option, NULL if it was not given. */
const struct cli_setting *cli_setting_of(const struct cli_args *args, enum cli_option_id id);
bool cli_given(const struct cli_args *args, enum cli_option_id id);
