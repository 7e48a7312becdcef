/* cli/completion.c - completion scripts for bash, zsh and fish, made from the tables of
 * options.c. Each script is plain data and a few fixed lines; nothing in it is computed by
 * running bvisor. */
#include "cli/commands.h"

#include <string.h>

static bool is_words(const char *complete)
{
    return complete != NULL && strcmp(complete, "file") != 0 && strcmp(complete, "dir") != 0 &&
           strcmp(complete, "exe") != 0;
}

/* Text inside single quotes of sh; the characters of special get a backslash. */
static void put_quoted(FILE *out, const char *text, const char *special)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", out);
        } else {
            (void)fprintf(out, strchr(special, *text) != NULL ? "\\%c" : "%c", *text);
        }
    }
}

static void put_option_words(FILE *out, const struct cli_verb_row *verb)
{
    const char *separator = "";
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        const struct cli_option *option = &cli_options[i];
        if ((option->verbs & (unsigned)verb->verb) == 0) {
            continue;
        }
        (void)fprintf(out, "%s--%s", separator, option->name);
        separator = " ";
        if (option->letter != 0) {
            (void)fprintf(out, " -%c", option->letter);
        }
    }
}

/* ---- bash ---- */

static void put_bash_values(FILE *out)
{
    (void)fputs("    case $prev in\n", out);
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        const struct cli_option *option = &cli_options[i];
        if (option->takes != CLI_TAKES_VALUE) {
            continue;
        }
        (void)fprintf(out, "        --%s) ", option->name);
        if (is_words(option->complete)) {
            (void)fprintf(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n",
                          option->complete);
        } else if (option->complete != NULL) {
            (void)fprintf(out, "COMPREPLY=($(compgen -%c -- \"$cur\")); return ;;\n",
                          strcmp(option->complete, "dir") == 0 ? 'd' : 'f');
        } else {
            (void)fputs("return ;;\n", out);
        }
    }
    (void)fputs("    esac\n", out);
}

static void put_bash(FILE *out)
{
    (void)fputs("# bash completion for bvisor; source it, or install it as completions/bvisor\n"
                "_bvisor() {\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' "
                "operands=''\n"
                "    COMPREPLY=()\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        COMPREPLY=($(compgen -W '",
                out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", cli_verbs[i].name);
    }
    (void)fputs("' -- \"$cur\"))\n        return\n    fi\n", out);
    put_bash_values(out);
    (void)fputs("    case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        const struct cli_verb_row *verb = &cli_verbs[i];
        (void)fprintf(out, "        %s) words='", verb->name);
        put_option_words(out, verb);
        (void)fprintf(out, "' operands='%s' ;;\n", verb->operands == NULL ? "" : verb->operands);
    }
    (void)fputs("    esac\n"
                "    case $cur in\n"
                "        -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); return ;;\n"
                "    esac\n"
                "    case $operands in\n"
                "        '') ;;\n"
                "        exe) COMPREPLY=($(compgen -c -f -- \"$cur\")) ;;\n"
                "        file) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
                "        *) COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\")) ;;\n"
                "    esac\n"
                "}\n"
                "complete -o filenames -F _bvisor bvisor\n",
                out);
}

/* ---- zsh ---- */

static void put_zsh_option(FILE *out, const struct cli_option *option)
{
    (void)fprintf(out, "                '%s--%s%s[", option->repeats ? "*" : "", option->name,
                  option->takes == CLI_TAKES_NOTHING ? ""
                  : option->takes == CLI_TAKES_VALUE ? "="
                                                     : "=-");
    put_quoted(out, option->help, "[]");
    (void)fputc(']', out);
    if (option->takes != CLI_TAKES_NOTHING) {
        (void)fputs(option->takes == CLI_TAKES_OPTIONAL ? "::" : ":", out);
        put_quoted(out, option->value, ":");
        if (is_words(option->complete)) {
            (void)fprintf(out, ":(%s)", option->complete);
        } else {
            (void)fputs(option->complete == NULL               ? ": "
                        : strcmp(option->complete, "dir") == 0 ? ":_files -/"
                                                               : ":_files",
                        out);
        }
    }
    (void)fputs("' \\\n", out);
    if (option->letter != 0) {
        (void)fprintf(out, "                '*-%c[", option->letter);
        put_quoted(out, option->help, "[]");
        (void)fputs("]' \\\n", out);
    }
}

static void put_zsh(FILE *out)
{
    (void)fputs("#compdef bvisor\n# zsh completion for bvisor; install it as _bvisor in a "
                "directory of $fpath\n"
                "_bvisor() {\n    local -a verbs\n    verbs=(\n",
                out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        (void)fprintf(out, "        '%s:", cli_verbs[i].name);
        put_quoted(out, cli_verbs[i].help, ":");
        (void)fputs("'\n", out);
    }
    (void)fputs("    )\n"
                "    if (( CURRENT == 2 )); then\n"
                "        _describe verb verbs\n"
                "        return\n"
                "    fi\n"
                "    local verb=${words[2]}\n"
                "    shift words\n"
                "    (( CURRENT-- ))\n"
                "    case $verb in\n",
                out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        const struct cli_verb_row *verb = &cli_verbs[i];
        (void)fprintf(out, "        %s)\n            _arguments -S \\\n", verb->name);
        for (size_t j = 0; j < CLI_OPTION_COUNT; j++) {
            if ((cli_options[j].verbs & (unsigned)verb->verb) != 0) {
                put_zsh_option(out, &cli_options[j]);
            }
        }
        if (is_words(verb->operands)) {
            (void)fprintf(out, "                '*:argument:(%s)'\n", verb->operands);
        } else if (verb->operands != NULL && strcmp(verb->operands, "exe") == 0) {
            (void)fputs("                '(-)1:program:_command_names -e' '*::argument:_normal'\n",
                        out);
        } else {
            (void)fputs(verb->operands == NULL ? "                '1: :'\n"
                                               : "                '*:file:_files'\n",
                        out);
        }
        (void)fputs("            ;;\n", out);
    }
    (void)fputs("    esac\n}\n_bvisor \"$@\"\n", out);
}

/* ---- fish ---- */

/* Inside single quotes of fish a quote is escaped with a backslash. */
static void put_fish_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fprintf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    }
}

static void put_fish_option(FILE *out, const struct cli_verb_row *verb,
                            const struct cli_option *option)
{
    (void)fprintf(out, "complete -c bvisor -n '__fish_seen_subcommand_from %s' -l %s", verb->name,
                  option->name);
    if (option->letter != 0) {
        (void)fprintf(out, " -s %c", option->letter);
    }
    if (option->takes == CLI_TAKES_VALUE && is_words(option->complete)) {
        (void)fprintf(out, " -x -a '%s'", option->complete);
    } else if (option->takes == CLI_TAKES_VALUE) {
        (void)fputs(option->complete == NULL ? " -x" : " -r -F", out);
    }
    (void)fputs(" -d '", out);
    put_fish_text(out, option->help);
    (void)fputs("'\n", out);
}

static void put_fish(FILE *out)
{
    (void)fputs("# fish completion for bvisor; install it as completions/bvisor.fish\n", out);
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        const struct cli_verb_row *verb = &cli_verbs[i];
        (void)fprintf(out, "complete -c bvisor -n __fish_use_subcommand -x -a %s -d '", verb->name);
        put_fish_text(out, verb->help);
        (void)fputs("'\n", out);
    }
    for (size_t i = 0; i < CLI_VERB_COUNT; i++) {
        const struct cli_verb_row *verb = &cli_verbs[i];
        if (is_words(verb->operands)) {
            (void)fprintf(out, "complete -c bvisor -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                          verb->name, verb->operands);
        }
        for (size_t j = 0; j < CLI_OPTION_COUNT; j++) {
            if ((cli_options[j].verbs & (unsigned)verb->verb) != 0) {
                put_fish_option(out, verb, &cli_options[j]);
            }
        }
    }
}

int cli_cmd_completion(struct cli *cli, const struct cli_args *args)
{
    static const struct {
        const char *name;
        void (*put)(FILE *out);
    } shells[] = {
        { "bash", put_bash },
        { "zsh", put_zsh },
        { "fish", put_fish },
    };
    for (size_t i = 0; args->operand_count == 1 && i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(args->operands[0], shells[i].name) == 0) {
            shells[i].put(stdout);
            return cli_flush_stdout(cli);
        }
    }
    return cli_fail(cli, "completion", "write bvisor completion bash|zsh|fish",
                    "needs the name of a shell");
}
