/* cli/options.c - the tables of verbs and options. A new option is one row here, one enumerator,
 * and the code that reads it; help and completion follow by themselves. INTERFACE.md 1 names
 * them all. */
#include "cli/options.h"

#include <string.h>

#define RUNS (CLI_RUN | CLI_PLAN | CLI_EXEC)
#define ASKS (CLI_RUN | CLI_PLAN)

/* Short names keep one option to one row. */
#define NOTHING   CLI_TAKES_NOTHING
#define VALUE     CLI_TAKES_VALUE
#define OPTIONAL  CLI_TAKES_OPTIONAL
#define FILES     CLI_GROUP_FILES
#define AUTHORITY CLI_GROUP_AUTHORITY
#define BUDGETS   CLI_GROUP_BUDGETS
#define ARTIFACTS CLI_GROUP_ARTIFACTS
#define RUNNING   CLI_GROUP_RUN
#define OUTPUT    CLI_GROUP_OUTPUT

const struct cli_option cli_options[CLI_OPTION_COUNT] = {
    [CLI_O_BACKEND] = { CLI_O_BACKEND, "backend", 0, VALUE, false, false, AUTHORITY,
                        ASKS | CLI_PROBE, "linux|wasm|inert", "linux wasm inert",
                        "what confines the workload; by default its magic bytes decide: linux or "
                        "wasm" },

    [CLI_O_RO] = { CLI_O_RO, "ro", 0, VALUE, true, true, FILES, ASKS, "PATH", "file",
                   "let the workload read PATH and what is below it" },
    [CLI_O_RW] = { CLI_O_RW, "rw", 0, VALUE, true, true, FILES, ASKS, "PATH", "file",
                   "read and write" },
    [CLI_O_RX] = { CLI_O_RX, "rx", 0, VALUE, true, true, FILES, ASKS, "PATH", "file",
                   "read and execute" },
    [CLI_O_RWX] = { CLI_O_RWX, "rwx", 0, VALUE, true, true, FILES, ASKS, "PATH", "file",
                    "read, write and execute" },
    [CLI_O_WO] = { CLI_O_WO, "wo", 0, VALUE, true, true, FILES, ASKS, "PATH", "file",
                   "write only" },
    [CLI_O_SYSTEM] = { CLI_O_SYSTEM, "system", 0, NOTHING, false, true, FILES, ASKS, NULL, NULL,
                       "the installed system: /usr (read, execute), /proc, /dev and the named /etc "
                       "entries that programs need; never "
                       "passwords or keys; --print-spec lists it" },
    [CLI_O_EXPOSE] = { CLI_O_EXPOSE, "expose", 0, VALUE, true, true, FILES, ASKS,
                       "SRC:DEST[:ro|rw]", "file",
                       "show SRC to the workload under the name DEST; ro unless rw is said" },
    [CLI_O_TMP] = { CLI_O_TMP, "tmp", 0, OPTIONAL, false, true, FILES, ASKS, "SIZE", NULL,
                    "a private /tmp, empty at the start and gone at the end; sets TMPDIR=/tmp" },
    [CLI_O_CWD] = { CLI_O_CWD, "cwd", 0, VALUE, false, true, FILES, ASKS, "DIR", "dir",
                    "working directory; by default the caller's if it is inside a granted root, "
                    "else /" },

    [CLI_O_NET] = { CLI_O_NET, "net", 0, VALUE, false, true, AUTHORITY, ASKS,
                    "none|all|HOST:PORT[,...]", "none all", "network; default none" },
    [CLI_O_SPAWN] = { CLI_O_SPAWN, "spawn", 0, VALUE, false, true, AUTHORITY, ASKS,
                      "none|threads|any", "none threads any",
                      "new threads and processes; default none; shells and pipes need any" },
    [CLI_O_ENV] = { CLI_O_ENV, "env", 0, VALUE, true, true, AUTHORITY, ASKS, "NAME=VALUE", NULL,
                    "an environment entry; default: an empty environment" },
    [CLI_O_ENV_SECRET] = { CLI_O_ENV_SECRET, "env-secret", 0, VALUE, true, true, AUTHORITY, ASKS,
                           "NAME=REF", NULL,
                           "an environment entry whose value --secrets holds under REF; the value "
                           "enters no document" },
    [CLI_O_KEEP_FD] = { CLI_O_KEEP_FD, "keep-fd", 0, VALUE, true, true, AUTHORITY, ASKS, "N", NULL,
                        "pass the open descriptor N on under its number; no directory, O_PATH, "
                        "unix "
                        "datagram socket, io_uring or, without --net all, network socket; default "
                        "none" },

    [CLI_O_WALL] = { CLI_O_WALL, "wall", 0, VALUE, false, true, BUDGETS, ASKS, "DUR", NULL,
                     "elapsed time; default 10m" },
    [CLI_O_CPU] = { CLI_O_CPU, "cpu", 0, VALUE, false, true, BUDGETS, ASKS, "DUR", NULL,
                    "processor time of the whole tree" },
    [CLI_O_MEM] = { CLI_O_MEM, "mem", 0, VALUE, false, true, BUDGETS, ASKS, "SIZE", NULL,
                    "resident memory of the whole tree" },
    [CLI_O_PROCS] = { CLI_O_PROCS, "procs", 0, VALUE, false, true, BUDGETS, ASKS, "N", NULL,
                      "tasks at a time; default 1, 256 with --spawn threads or any" },
    [CLI_O_HANDLES] = { CLI_O_HANDLES, "handles", 0, VALUE, false, true, BUDGETS, ASKS, "N", NULL,
                        "open descriptors of the whole tree" },
    [CLI_O_STORAGE] = { CLI_O_STORAGE, "storage", 0, VALUE, false, true, BUDGETS, ASKS, "SIZE",
                        NULL, "growth of /tmp and of everything writable" },
    [CLI_O_NET_BYTES] = { CLI_O_NET_BYTES, "net-bytes", 0, VALUE, false, true, BUDGETS, ASKS,
                          "SIZE", NULL, "network traffic, both directions" },
    [CLI_O_ENFORCED] = { CLI_O_ENFORCED, "enforced", 0, VALUE, true, true, BUDGETS, ASKS,
                         "DIM[,...]", "wall cpu mem procs handles storage net-bytes",
                         "demand that these limits are enforced, not only supervised; the run is "
                         "refused if they cannot be" },
    [CLI_O_REQUIRE] = { CLI_O_REQUIRE, "require", 0, VALUE, true, true, BUDGETS, ASKS,
                        "CLAIM[,...]",
                        "terminal_outcome captured_streams resource_usage allowed_actions "
                        "denied_attempts filesystem_delta process_tree "
                        "network_activity artifact_lineage mechanism_attestation",
                        "evidence that the report must carry; the run is refused if it cannot" },

    [CLI_O_STAGE] = { CLI_O_STAGE, "stage", 0, NOTHING, false, true, ARTIFACTS, ASKS, NULL, NULL,
                      "keep writes away from the host's files, list them, and wait for a decision" },
    [CLI_O_COMMIT] = { CLI_O_COMMIT, "commit", 0, OPTIONAL, false, true, ARTIFACTS, ASKS,
                       "atomic|durable|best-effort", "atomic durable best-effort",
                       "stage, and commit all of it or nothing after a completed run" },
    [CLI_O_DISCARD] = { CLI_O_DISCARD, "discard", 0, NOTHING, false, true, ARTIFACTS, ASKS, NULL,
                        NULL, "stage, list, and drop the writes after the run" },
    [CLI_O_OVERWRITE] = { CLI_O_OVERWRITE, "overwrite", 0, NOTHING, false, false, ARTIFACTS,
                          CLI_ARTIFACTS, NULL, NULL,
                          "commit also where the host changed a file since" },
    [CLI_O_DURABILITY] = { CLI_O_DURABILITY, "durability", 0, VALUE, false, false, ARTIFACTS,
                           CLI_ARTIFACTS, "atomic|durable|best-effort",
                           "atomic durable best-effort",
                           "whether a commit waits for the disk; default atomic: a crash leaves all or nothing" },

    [CLI_O_SPEC] = { CLI_O_SPEC, "spec", 0, VALUE, false, false, RUNNING, ASKS, "FILE|-", "file",
                     "run this written spec; goes with no option that makes one" },
    [CLI_O_PRINT_SPEC] = { CLI_O_PRINT_SPEC, "print-spec", 0, NOTHING, false, false, RUNNING, ASKS,
                           NULL, NULL, "print the spec that the options make and stop" },
    [CLI_O_SECRETS] = { CLI_O_SECRETS, "secrets", 0, VALUE, false, false, RUNNING, RUNS, "FILE",
                        "file", "values for --env-secret: one JSON object {\"REF\": \"VALUE\"}" },
    [CLI_O_STDIN] = { CLI_O_STDIN, "stdin", 0, VALUE, false, false, RUNNING, RUNS, "FILE|-|none",
                      "file", "bytes for the workload's standard input; default none" },
    [CLI_O_CAPTURE] = { CLI_O_CAPTURE, "capture", 0, VALUE, false, false, RUNNING, RUNS, "BYTES",
                        NULL,
                        "how much of each output stream the report keeps; default 1M, at most "
                        "64M" },
    [CLI_O_JOURNAL] = { CLI_O_JOURNAL, "journal", 0, VALUE, false, false, RUNNING,
                        RUNS | CLI_PROBE | CLI_JOURNAL | CLI_ARTIFACTS | CLI_RECOVER, "DIR", "dir",
                        "the state directory: the host's record, and staged writes; default "
                        "$XDG_STATE_HOME/bvisor, else /var/lib/bvisor for root, else "
                        "~/.local/state/bvisor" },
    [CLI_O_NO_JOURNAL] = { CLI_O_NO_JOURNAL, "no-journal", 0, NOTHING, false, false, RUNNING, RUNS,
                           NULL, NULL,
                           "keep no record after the run; what was staged and not committed is "
                           "dropped" },
    [CLI_O_DRY_RUN] = { CLI_O_DRY_RUN, "dry-run", 0, NOTHING, false, false, RUNNING, CLI_RECOVER,
                        NULL, NULL, "say what would be settled and change nothing" },
    [CLI_O_LAST] = { CLI_O_LAST, "last", 0, VALUE, false, false, RUNNING, CLI_JOURNAL, "N|all",
                     "all", "list: how many attempts, the newest first; default 50" },
    [CLI_O_HEAD] = { CLI_O_HEAD, "head", 0, VALUE, false, false, RUNNING, CLI_JOURNAL, "FILE",
                     "file", "verify: the journal must contain the event that this head names" },
    [CLI_O_OLDER] = { CLI_O_OLDER, "older", 0, VALUE, false, false, RUNNING, CLI_JOURNAL, "DUR",
                      NULL, "prune: drop events that are older" },
    [CLI_O_KEEP] = { CLI_O_KEEP, "keep", 0, VALUE, false, false, RUNNING, CLI_JOURNAL, "SIZE", NULL,
                     "prune: drop the oldest events until at most SIZE is in use" },

    [CLI_O_REPORT] = { CLI_O_REPORT, "report", 0, VALUE, false, false, OUTPUT, RUNS, "FILE|-",
                       "file", "write the one document of this ending to FILE" },
    [CLI_O_JSON] = { CLI_O_JSON, "json", 0, NOTHING, false, false, OUTPUT, RUNS | CLI_PROBE | CLI_ARTIFACTS, NULL,
                     NULL, "write it to standard output, and nothing else there" },
    [CLI_O_SIGN] = { CLI_O_SIGN, "sign", 0, VALUE, false, false, OUTPUT,
                     RUNS | CLI_SHOW | CLI_JOURNAL, "KEYFILE", "file",
                     "sign with this private key: the report, the attestation of --dsse, the "
                     "journal's head" },
    [CLI_O_KEY] = { CLI_O_KEY, "key", 0, VALUE, false, false, OUTPUT, CLI_VERIFY | CLI_JOURNAL,
                    "PUB", "file", "demand a signature of this key" },
    [CLI_O_HTML] = { CLI_O_HTML, "html", 0, VALUE, false, false, OUTPUT, CLI_SHOW, "FILE", "file",
                     "write one self-contained page to FILE instead of text" },
    [CLI_O_DSSE] = { CLI_O_DSSE, "dsse", 0, NOTHING, false, false, OUTPUT, CLI_SHOW, NULL, NULL,
                     "print the report as an in-toto statement in a DSSE envelope, signed with "
                     "--sign" },
    [CLI_O_QUIET] = { CLI_O_QUIET, "quiet", 'q', NOTHING, true, false, OUTPUT, RUNS, NULL, NULL,
                      "no notes after a run" },
    [CLI_O_VERBOSE] = { CLI_O_VERBOSE, "verbose", 'v', NOTHING, true, false, OUTPUT, RUNS, NULL,
                        NULL, "after a run say what held it and what it used" },
    [CLI_O_HELP] = { CLI_O_HELP, "help", 'h', NOTHING, true, false, OUTPUT, ~0u, NULL, NULL,
                     "say how this is used" },
};

const struct cli_verb_row cli_verbs[CLI_VERB_COUNT] = {
    { CLI_RUN, "run", "[OPTIONS] [--] EXE [ARG...] | --spec FILE|- [OPTIONS]",
      "confine a program and run it", "exe" },
    { CLI_PLAN, "plan", "(same arguments as run)",
      "admit only: print the plan or the refusal; runs nothing", "exe" },
    { CLI_EXEC, "exec", "PLAN.json [OPTIONS]",
      "run a saved plan; refuses if the machine or the workload changed", "file" },
    { CLI_PROBE, "probe", "[--backend B] [--json]", "what this machine can hold, and why not",
      NULL },
    { CLI_VERIFY, "verify", "REPORT.json... [--key PUB]",
      "recompute the seals of reports, and check signatures", "file" },
    { CLI_SHOW, "show", "REPORT.json [--html FILE | --dsse]",
      "a report, plan or refusal for a person to read", "file" },
    { CLI_JOURNAL, "journal", "list | show ID | verify | export | head | prune",
      "the host's record of every run", "list show verify export head prune" },
    { CLI_ARTIFACTS, "artifacts", "list [ATTEMPT [PATH...]] | diff | commit | discard | export ATTEMPT [PATH...]",
      "what staged runs wrote", "list diff commit discard export" },
    { CLI_RECOVER, "recover", "[--dry-run]",
      "settle runs that a crash cut off: sweep what is left, finish commits or undo them", NULL },
    { CLI_KEY_VERB, "key", "new FILE | public FILE",
      "make a signing key; print the public half of one", "new public" },
    { CLI_SPEC, "spec", "check FILE... | schema", "validate written specs; print their JSON Schema",
      "check schema" },
    { CLI_COMPLETION, "completion", "bash | zsh | fish", "print a completion script",
      "bash zsh fish" },
    { CLI_VERSION, "version", "", "print the version", NULL },
    { CLI_HELP, "help", "[TOPIC]", "explain a verb or a topic", "paths units status streams" },
};
