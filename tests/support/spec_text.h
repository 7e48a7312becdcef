/* tests/support/spec_text.h - one spec with everything in it, and a way to make faulty ones from it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char full_spec[] =
    "{ \"schema\": \"bvisor.spec/1\",\n"
    "  \"workload\": { \"process\": { \"exe\": \"/usr/bin/python3\", \"args\": "
    "[\"/srv/job/job.py\", \"\", \"\\u00e9\\n\"],"
    " \"cwd\": \"/srv/job\" } },\n"
    "  \"capabilities\": [\n"
    "    { \"filesystem\": { \"access\": \"read_write\", \"execute\": false, \"roots\": "
    "[\"/srv/job\", \"/srv/more\"],"
    " \"recursive\": true, \"confinement\": \"declared_roots_only\" } },\n"
    "    { \"network\": { \"policy\": \"allow_list\", \"destinations\": [ { \"host\": "
    "\"example.org\", \"port\": 443 } ] } },\n"
    "    { \"child_spawn\": { \"policy\": \"allow_threads\" } },\n"
    "    { \"environment\": { \"exact\": [ { \"name\": \"LANG\", \"literal\": \"C.UTF-8\" },"
    " { \"name\": \"TOKEN\", \"secret\": \"ci/token\" } ] } },\n"
    "    { \"inherited_fds\": { \"policy\": \"only\", \"fds\": [3, 7] } } ],\n"
    "  \"controls\": [ { \"launch_workload\": {} },\n"
    "    { \"capture_streams\": { \"stdout\": true, \"stderr\": true, \"stdin\": false } },\n"
    "    { \"temp_root\": { \"visibility\": \"private_to_boundary\", \"size_bytes\": 268435456 } "
    "},\n"
    "    { \"expose_path\": { \"source\": \"/data\", \"dest\": \"/in\", \"access\": \"read\", "
    "\"view\": \"private_to_boundary\" } },\n"
    "    { \"commit_artifact\": { \"durability\": \"atomic\" } }, { \"discard_artifact\": {} }, { "
    "\"list_outputs\": {} },\n"
    "    { \"kill\": { \"target\": \"run_tree\", \"guarantee\": \"atomic\" } } ],\n"
    "  \"budgets\": {\n"
    "    \"wall_micros\": { \"limit\": 10000000, \"guarantee\": \"mediated\", \"evidence\": [] },\n"
    "    \"cpu_micros\": { \"limit\": \"unlimited\", \"guarantee\": \"mediated\", \"evidence\": "
    "[\"resource_usage\"] },\n"
    "    \"resident_bytes\": { \"limit\": 9007199254740991, \"guarantee\": \"enforced\", "
    "\"evidence\": [] },\n"
    "    \"process_count\": { \"limit\": 4, \"guarantee\": \"enforced\", \"evidence\": "
    "[\"process_tree\", \"allowed_actions\"] },\n"
    "    \"handle_count\": { \"limit\": 64, \"guarantee\": \"mediated\" },\n"
    "    \"storage_bytes\": { \"limit\": 1, \"guarantee\": \"mediated\", \"evidence\": [] },\n"
    "    \"network_bytes\": { \"limit\": 0, \"guarantee\": \"mediated\", \"evidence\": [] } },\n"
    "  \"evidence\": { \"require_captured_streams\": true, \"require_exit_status\": true, "
    "\"require\": [\"mechanism_attestation\"] } }\n";

static const char small_spec[] =
    "{\"schema\":\"bvisor.spec/1\",\"workload\":{\"process\":{\"exe\":\"/bin/true\"}},"
    "\"budgets\":{\"uniform\":{\"limit\":7,\"guarantee\":\"mediated\"}}}";

/* base with the first occurrence of find replaced; malloc'd. Stops the program when find does not occur. */
static inline char *edit_spec(const char *base, const char *find, const char *with)
{
    const char *at = strstr(base, find);
    if (!at) {
        printf("Bail out! \"%s\" is not in the spec\n", find);
        exit(1);
    }
    size_t head = (size_t)(at - base);
    size_t size = strlen(base) - strlen(find) + strlen(with) + 1;
    char *text = malloc(size);
    if (!text) {
        printf("Bail out! out of memory\n");
        exit(1);
    }
    (void)snprintf(text, size, "%.*s%s%s", (int)head, base, with, at + strlen(find));
    return text;
}
