/* cli/parse.c - the argument parser: --opt VALUE, --opt=VALUE, -q -v -h (also bundled), "--"
 * ends options. Options behind the workload belong to the workload. Every complaint names the
 * option and the way out. */
#include "cli/options.h"

#include <string.h>

const struct cli_verb_row *cli_find_verb(const char *name)
{
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        if (strcmp(cli_verbs[i].name, name) == 0) {
            return &cli_verbs[i];
        }
    }
    return NULL;
}

/* Levenshtein distance, given up past 63 bytes: names here are short. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size >= 64 || b_size >= 64) {
        return 64;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_size];
}

/* A guess is worth saying when at most a third of the word is wrong. */
static bool is_near(const char *name, const char *candidate, size_t *best)
{
    size_t distance = edit_distance(name, candidate);
    if (distance >= *best || distance * 3 > strlen(candidate)) {
        return false;
    }
    *best = distance;
    return true;
}

const char *cli_nearest_verb(const char *name)
{
    const char *found = NULL;
    size_t best = 64;
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        found = is_near(name, cli_verbs[i].name, &best) ? cli_verbs[i].name : found;
    }
    return found;
}

static const char *nearest_option(const char *name, unsigned verb)
{
    const char *found = NULL;
    size_t best = 64;
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        if ((cli_options[i].verbs & verb) != 0 && is_near(name, cli_options[i].name, &best)) {
            found = cli_options[i].name;
        }
    }
    return found;
}

static const struct cli_option *find_long(const char *name, size_t size)
{
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        if (strlen(cli_options[i].name) == size && memcmp(cli_options[i].name, name, size) == 0) {
            return &cli_options[i];
        }
    }
    return NULL;
}

static const struct cli_option *find_letter(char letter)
{
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        if (cli_options[i].letter != 0 && cli_options[i].letter == letter) {
            return &cli_options[i];
        }
    }
    return NULL;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

void cli_prescan(struct cli *cli, const struct cli_verb_row *verb, bool permute, int argc,
                 char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0 || (!is_option(argv[i]) && !permute)) {
            return;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            continue;
        }
        const char *equals = strchr(argv[i], '=');
        size_t size = equals != NULL ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        const struct cli_option *option = find_long(argv[i] + 2, size);
        if (option == NULL || (verb != NULL && (option->verbs & (unsigned)verb->verb) == 0)) {
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (option->takes == CLI_TAKES_VALUE && value == NULL && i + 1 < argc) {
            value = argv[++i];
        }
        if (option->id == CLI_O_JSON) {
            cli->json = true;
        } else if (option->id == CLI_O_REPORT && value != NULL && strcmp(value, "-") == 0) {
            cli->json =
                true; /* standard output then holds the document and nothing else, as with --json */
        } else if (option->id == CLI_O_REPORT && value != NULL && value[0] != '\0') {
            cli->report_path = value;
        }
    }
}

/* Records one option, checked against the verb and against a second giving. */
static int add_setting(struct cli *cli, const struct cli_verb_row *verb, struct cli_args *args,
                       const struct cli_option *option, const char *value)
{
    char *name = cli_pool_format(&cli->pool, "--%s", option->name);
    if (name == NULL) {
        return cli_fail_nomem(cli);
    }
    if ((option->verbs & (unsigned)verb->verb) == 0) {
        return cli_fail(cli, name, cli_pool_format(&cli->pool, "see: bvisor help %s", verb->name),
                        "not an option of %s", verb->name);
    }
    if (!option->repeats && cli_given(args, option->id)) {
        return cli_fail(cli, name, "give it once", "given twice");
    }
    if (value != NULL && option->takes == CLI_TAKES_NOTHING) {
        return cli_fail(cli, name, "leave the = away", "takes no value");
    }
    if (value == NULL && option->takes == CLI_TAKES_VALUE) {
        return cli_fail(cli, name, cli_pool_format(&cli->pool, "write %s %s", name, option->value),
                        "needs a value");
    }
    /* An empty literal is meant: --env NAME= carries its emptiness behind the '='. */
    if (value != NULL && value[0] == '\0') {
        return cli_fail(cli, name, cli_pool_format(&cli->pool, "write %s %s", name, option->value),
                        "the value is empty");
    }
    args->settings[args->setting_count++] = (struct cli_setting){ option, value };
    return CLI_OK;
}

static int parse_long(struct cli *cli, const struct cli_verb_row *verb, struct cli_args *args,
                      int argc, char **argv, int *at)
{
    char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    const struct cli_option *option = find_long(word + 2, size);
    if (option == NULL) {
        char *name = cli_pool_span(&cli->pool, word, size + 2);
        const char *near = name == NULL ? NULL : nearest_option(name + 2, (unsigned)verb->verb);
        const char *remedy = near != NULL
                                 ? cli_pool_format(&cli->pool, "did you mean --%s?", near)
                                 : cli_pool_format(&cli->pool, "see: bvisor help %s", verb->name);
        return name == NULL ? cli_fail_nomem(cli) : cli_fail(cli, name, remedy, "unknown option");
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (option->takes == CLI_TAKES_VALUE && value == NULL && *at + 1 < argc) {
        if (strncmp(argv[*at + 1], "--", 2) ==
            0) { /* far more often a forgotten value than a value like this */
            return cli_fail(cli, word,
                            cli_pool_format(&cli->pool, "write %s=%s if that is the value", word,
                                            argv[*at + 1]),
                            "needs a value before %s", argv[*at + 1]);
        }
        value = argv[++*at];
    }
    return add_setting(cli, verb, args, option, value);
}

static int parse_letters(struct cli *cli, const struct cli_verb_row *verb, struct cli_args *args,
                         const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct cli_option *option = find_letter(*letter);
        if (option == NULL) {
            return cli_fail(cli, word,
                            cli_pool_format(&cli->pool, "see: bvisor help %s", verb->name),
                            "unknown option");
        }
        int result = add_setting(cli, verb, args, option, NULL);
        if (result != CLI_OK) {
            return result;
        }
    }
    return CLI_OK;
}

int cli_parse(struct cli *cli, const struct cli_verb_row *verb, bool permute, int argc, char **argv,
              struct cli_args *ret_args)
{
    /* Each word makes at most one setting, or as many as a bundle has letters. */
    size_t most = 1;
    for (int i = 0; i < argc; i++) {
        most += 1 + (argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 0);
    }
    struct cli_args args = { .settings = cli_pool_array(&cli->pool, most, sizeof *args.settings),
                             .operands = cli_pool_array(&cli->pool, (size_t)argc + 1,
                                                        sizeof *args.operands) };
    if (args.settings == NULL || args.operands == NULL) {
        return cli_fail_nomem(cli);
    }
    bool options = true;
    for (int i = 0; i < argc; i++) {
        int result = CLI_OK;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            result = parse_long(cli, verb, &args, argc, argv, &i);
        } else if (options && is_option(argv[i])) {
            result = parse_letters(cli, verb, &args, argv[i]);
        } else {
            args.operands[args.operand_count++] = argv[i];
            options = options && permute;
        }
        if (result != CLI_OK) {
            return result;
        }
    }
    *ret_args = args;
    return CLI_OK;
}

const struct cli_setting *cli_setting_of(const struct cli_args *args, enum cli_option_id id)
{
    for (size_t i = args->setting_count; i > 0; i--) {
        if (args->settings[i - 1].option->id == id) {
            return &args->settings[i - 1];
        }
    }
    return NULL;
}

bool cli_given(const struct cli_args *args, enum cli_option_id id)
{
    return cli_setting_of(args, id) != NULL;
}
