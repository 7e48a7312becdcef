/* cli/request.c - boundary options to a request. One function an option family; each complaint
 * names the option. */
#include "cli/request.h"

#include <stdlib.h>
#include <string.h>

#include "cli/values.h"

static int complain(struct cli *cli, const char *option, const char *value, const char *why)
{
    char *place = cli_pool_format(&cli->pool, "--%s %s", option, value);
    return cli_fail(cli, place == NULL ? option : place, NULL, "%s", why);
}

static int read_grant(struct cli *cli, const struct cli_setting *setting, enum bv_access access,
                      bool execute, struct cli_request *request)
{
    struct cli_grant grant = { NULL, access, execute };
    char option[16];
    (void)snprintf(option, sizeof option, "--%s", setting->option->name);
    int result = cli_resolve(cli, option, setting->value, &grant.path);
    if (result == CLI_OK) {
        request->grants[request->grant_count++] = grant;
    }
    return result;
}

/* SRC:DEST[:ro|rw]. DEST is absolute, so the last ":/" is the seam and SRC may hold colons. */
static int read_expose(struct cli *cli, const struct cli_setting *setting,
                       struct cli_request *request)
{
    const char *value = setting->value;
    size_t size = strlen(value);
    enum bv_access access = BV_ACCESS_READ;
    if (size > 3 &&
        (strcmp(value + size - 3, ":ro") == 0 || strcmp(value + size - 3, ":rw") == 0)) {
        access = value[size - 1] == 'w' ? BV_ACCESS_READ_WRITE : BV_ACCESS_READ;
        size -= 3;
    }
    size_t seam = size;
    for (size_t i = 0; i + 1 < size; i++) {
        if (value[i] == ':' && value[i + 1] == '/') {
            seam = i;
        }
    }
    if (seam == size || seam == 0) {
        return complain(cli, "expose", value, "not SRC:DEST[:ro|rw] with an absolute DEST");
    }
    char *source = cli_pool_span(&cli->pool, value, seam);
    char *name = cli_pool_span(&cli->pool, value + seam + 1, size - seam - 1);
    if (source == NULL || name == NULL) {
        return cli_fail_nomem(cli);
    }
    if (strchr(name, ':') != NULL) { /* more likely a misspelt access than a name */
        return complain(cli, "expose", value, "the access behind DEST is ro or rw");
    }
    char *dest = cli_clean_path(cli, name);
    if (dest == NULL || strcmp(dest, "/") == 0) {
        return complain(cli, "expose", value, "DEST must be an absolute path below / without ..");
    }
    for (size_t i = 0; i < request->expose_count; i++) {
        if (strcmp(request->exposes[i].dest, dest) == 0) {
            return complain(cli, "expose", value, "the same DEST was given before");
        }
    }
    struct bv_expose expose = { NULL, dest, access };
    int result = cli_resolve(cli, "--expose", source, &expose.source);
    if (result == CLI_OK) {
        request->exposes[request->expose_count++] = expose;
    }
    return result;
}

/* NAME=VALUE and NAME=REF. */
static int read_env(struct cli *cli, const struct cli_setting *setting, struct cli_request *request)
{
    const char *option = setting->option->name;
    bool secret = setting->option->id == CLI_O_ENV_SECRET;
    const char *equals = strchr(setting->value, '=');
    if (equals == NULL) {
        return complain(cli, option, setting->value, secret ? "not NAME=REF" : "not NAME=VALUE");
    }
    if (equals == setting->value) {
        return complain(cli, option, setting->value, "the name is empty");
    }
    if (secret && equals[1] == '\0') {
        return complain(cli, option, setting->value, "the reference is empty");
    }
    char *name = cli_pool_span(&cli->pool, setting->value, (size_t)(equals - setting->value));
    if (name == NULL) {
        return cli_fail_nomem(cli);
    }
    for (size_t i = 0; i < request->env_count; i++) {
        if (strcmp(request->env[i].name, name) == 0) {
            return complain(cli, option, name, "the same name was given before");
        }
    }
    request->env[request->env_count++] =
        (struct bv_env_entry){ name, secret ? NULL : equals + 1, secret ? equals + 1 : NULL };
    return CLI_OK;
}

static int read_fd(struct cli *cli, const struct cli_setting *setting, struct cli_request *request)
{
    uint64_t number = 0;
    const char *why = cli_parse_count(setting->value, &number);
    if (why == NULL && number < 3) {
        why = "0, 1 and 2 are the workload's streams; keep 3 or above";
    }
    if (why == NULL && number > INT32_MAX) {
        why = "too large for a descriptor";
    }
    for (size_t i = 0; i < request->fd_count && why == NULL; i++) {
        why = request->fds[i] == (int32_t)number ? "given twice" : NULL;
    }
    if (why != NULL) {
        return complain(cli, "keep-fd", setting->value, why);
    }
    request->fds[request->fd_count++] = (int32_t)number;
    return CLI_OK;
}

/* Calls item for each comma-separated word of a list. */
static int
for_each_word(struct cli *cli, const struct cli_setting *setting, struct cli_request *request,
              int (*item)(struct cli *cli, const char *word, struct cli_request *request))
{
    for (const char *at = setting->value;;) {
        size_t size = strcspn(at, ",");
        char *word = cli_pool_span(&cli->pool, at, size);
        if (word == NULL) {
            return cli_fail_nomem(cli);
        }
        if (size == 0) {
            return complain(cli, setting->option->name, setting->value,
                            "an item of the list is empty");
        }
        int result = item(cli, word, request);
        if (result != CLI_OK || at[size] == '\0') {
            return result;
        }
        at += size + 1;
    }
}

static int add_destination(struct cli *cli, const char *word, struct cli_request *request)
{
    char host[BV_NAME_MAX_BYTES + 1];
    struct bv_destination destination = { NULL, 0 };
    const char *why = cli_parse_destination(word, host, &destination.port);
    if (why != NULL) {
        return complain(cli, "net", word, why);
    }
    destination.host = cli_pool_text(&cli->pool, host);
    if (destination.host == NULL) {
        return cli_fail_nomem(cli);
    }
    /* The list was sized by its commas and is const to everybody else. */
    struct bv_destination *list = (struct bv_destination *)(uintptr_t)request->network.destinations;
    list[request->network.destination_count++] = destination;
    return CLI_OK;
}

static int read_net(struct cli *cli, const struct cli_setting *setting, struct cli_request *request)
{
    if (strcmp(setting->value, "none") == 0) {
        return CLI_OK;
    }
    if (strcmp(setting->value, "all") == 0) {
        request->network.policy = BV_NETWORK_ALLOW_ALL;
        return CLI_OK;
    }
    size_t count = 1;
    for (const char *at = setting->value; *at != '\0'; at++) {
        count += *at == ',';
    }
    request->network.policy = BV_NETWORK_ALLOW_LIST;
    request->network.destinations =
        cli_pool_array(&cli->pool, count, sizeof *request->network.destinations);
    if (request->network.destinations == NULL) {
        return cli_fail_nomem(cli);
    }
    return for_each_word(cli, setting, request, add_destination);
}

static int read_spawn(struct cli *cli, const struct cli_setting *setting,
                      struct cli_request *request)
{
    static const struct {
        const char *name;
        enum bv_spawn_policy policy;
    } policies[] = {
        { "none", BV_SPAWN_DENY_NEW_TASKS },
        { "threads", BV_SPAWN_ALLOW_THREADS },
        { "any", BV_SPAWN_ALLOW_DESCENDANTS },
    };
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(setting->value, policies[i].name) == 0) {
            request->spawn = policies[i].policy;
            return CLI_OK;
        }
    }
    return complain(cli, "spawn", setting->value, "not none, threads or any");
}

static int read_commit(struct cli *cli, const struct cli_setting *setting,
                       struct cli_request *request)
{
    static const char *const names[] = { "atomic", "durable", "best-effort" };
    request->commit = true;
    request->durability = BV_DURABILITY_ATOMIC;
    for (int i = 0; setting->value != NULL && i < 3; i++) {
        if (strcmp(setting->value, names[i]) == 0) {
            request->durability = (enum bv_durability)i;
            return CLI_OK;
        }
    }
    return setting->value == NULL
               ? CLI_OK
               : complain(cli, "commit", setting->value, "not atomic, durable or best-effort");
}

static int read_tmp(struct cli *cli, const struct cli_setting *setting, struct cli_request *request)
{
    request->tmp = true;
    if (setting->value == NULL) {
        return CLI_OK;
    }
    request->temp.sized = true;
    const char *why = cli_parse_size(setting->value, &request->temp.size_bytes);
    if (why == NULL && request->temp.size_bytes == 0) {
        why = "a temp root needs room";
    }
    return why == NULL ? CLI_OK : complain(cli, "tmp", setting->value, why);
}

static int read_limit(struct cli *cli, const struct cli_setting *setting,
                      enum bv_dimension dimension, struct cli_request *request)
{
    const char *why =
        cli_parse_limit(dimension, setting->value, &request->budgets[dimension].limit);
    return why == NULL ? CLI_OK : complain(cli, setting->option->name, setting->value, why);
}

static int add_enforced(struct cli *cli, const char *word, struct cli_request *request)
{
    enum bv_dimension dimension = BV_WALL_MICROS;
    const char *why = cli_parse_dimension(word, &dimension);
    if (why != NULL) {
        return complain(cli, "enforced", word, why);
    }
    request->budgets[dimension].guarantee = BV_GUARANTEE_ENFORCED;
    return CLI_OK;
}

static int add_claim(struct cli *cli, const char *word, struct cli_request *request)
{
    enum bv_claim claim = BV_CLAIM_TERMINAL_OUTCOME;
    if (!bv_claim_from_name(word, &claim)) {
        return complain(cli, "require", word, "not a claim; see: bvisor help run");
    }
    request->require |= (uint32_t)claim;
    return CLI_OK;
}

static int read_setting(struct cli *cli, const struct cli_setting *setting,
                        struct cli_request *request)
{
    switch (setting->option->id) {
    case CLI_O_RO: return read_grant(cli, setting, BV_ACCESS_READ, false, request);
    case CLI_O_RW: return read_grant(cli, setting, BV_ACCESS_READ_WRITE, false, request);
    case CLI_O_RX: return read_grant(cli, setting, BV_ACCESS_READ, true, request);
    case CLI_O_RWX: return read_grant(cli, setting, BV_ACCESS_READ_WRITE, true, request);
    case CLI_O_WO: return read_grant(cli, setting, BV_ACCESS_WRITE, false, request);
    case CLI_O_EXPOSE: return read_expose(cli, setting, request);
    case CLI_O_TMP: return read_tmp(cli, setting, request);
    case CLI_O_NET: return read_net(cli, setting, request);
    case CLI_O_SPAWN: return read_spawn(cli, setting, request);
    case CLI_O_ENV:
    case CLI_O_ENV_SECRET: return read_env(cli, setting, request);
    case CLI_O_KEEP_FD: return read_fd(cli, setting, request);
    case CLI_O_WALL: return read_limit(cli, setting, BV_WALL_MICROS, request);
    case CLI_O_CPU: return read_limit(cli, setting, BV_CPU_MICROS, request);
    case CLI_O_MEM: return read_limit(cli, setting, BV_RESIDENT_BYTES, request);
    case CLI_O_PROCS: return read_limit(cli, setting, BV_PROCESS_COUNT, request);
    case CLI_O_HANDLES: return read_limit(cli, setting, BV_HANDLE_COUNT, request);
    case CLI_O_STORAGE: return read_limit(cli, setting, BV_STORAGE_BYTES, request);
    case CLI_O_NET_BYTES: return read_limit(cli, setting, BV_NETWORK_BYTES, request);
    case CLI_O_ENFORCED: return for_each_word(cli, setting, request, add_enforced);
    case CLI_O_REQUIRE: return for_each_word(cli, setting, request, add_claim);
    case CLI_O_COMMIT: return read_commit(cli, setting, request);
    case CLI_O_SYSTEM: request->system = true; return CLI_OK;
    case CLI_O_STAGE: request->stage = true; return CLI_OK;
    case CLI_O_DISCARD: request->discard = true; return CLI_OK;
    case CLI_O_CWD: request->cwd = setting->value; return CLI_OK;
    case CLI_O_STDIN: request->feed = strcmp(setting->value, "none") != 0; return CLI_OK;
    case CLI_O_BACKEND:
    case CLI_O_SPEC:
    case CLI_O_PRINT_SPEC:
    case CLI_O_SECRETS:
    case CLI_O_CAPTURE:
    case CLI_O_REPORT:
    case CLI_O_JSON:
    case CLI_O_OVERWRITE:
    case CLI_O_DURABILITY:
    case CLI_O_JOURNAL:
    case CLI_O_NO_JOURNAL:
    case CLI_O_SIGN:
    case CLI_O_QUIET:
    case CLI_O_VERBOSE:
    case CLI_O_KEY:
    case CLI_O_HTML:
    case CLI_O_DSSE:
    case CLI_O_DRY_RUN:
    case CLI_O_LAST:
    case CLI_O_HEAD:
    case CLI_O_OLDER:
    case CLI_O_KEEP:
    case CLI_O_HELP:
    case CLI_OPTION_COUNT: break; /* run options: no part of the boundary */
    }
    return CLI_OK;
}

/* TMPDIR goes with --tmp; one that the caller sets is the caller's wish. */
static void add_tmpdir(struct cli_request *request)
{
    for (size_t i = 0; i < request->env_count; i++) {
        if (strcmp(request->env[i].name, "TMPDIR") == 0) {
            return;
        }
    }
    request->env[request->env_count++] = (struct bv_env_entry){ "TMPDIR", "/tmp", NULL };
}

int cli_request_read(struct cli *cli, const struct cli_args *args, struct cli_request *ret_request)
{
    size_t room = args->setting_count + CLI_SYSTEM_MAX;
    struct cli_request request = { .grants =
                                       cli_pool_array(&cli->pool, room, sizeof *request.grants),
                                   .exposes =
                                       cli_pool_array(&cli->pool, room, sizeof *request.exposes),
                                   .env = cli_pool_array(&cli->pool, room, sizeof *request.env),
                                   .fds = cli_pool_array(&cli->pool, room, sizeof *request.fds) };
    if (request.grants == NULL || request.exposes == NULL || request.env == NULL ||
        request.fds == NULL) {
        return cli_fail_nomem(cli);
    }
    /* INTERFACE.md 1, "Defaults when nothing is given". */
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        request.budgets[i] = (struct bv_budget_request){ BV_UNLIMITED, BV_GUARANTEE_MEDIATED, 0 };
    }
    request.budgets[BV_WALL_MICROS].limit = 600000000;
    int result = CLI_OK;
    for (size_t i = 0; i < args->setting_count && result == CLI_OK; i++) {
        result = read_setting(cli, &args->settings[i], &request);
    }
    if (result != CLI_OK) {
        return result;
    }
    if (!cli_given(args, CLI_O_PROCS)) {
        request.budgets[BV_PROCESS_COUNT].limit =
            request.spawn == BV_SPAWN_DENY_NEW_TASKS ? 1 : 256;
    }
    if (request.tmp) {
        add_tmpdir(&request);
    }
    if (request.system) {
        result = cli_system_add(cli, &request);
    }
    *ret_request = request;
    return result;
}
