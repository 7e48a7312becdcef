/* cli/backend.c - backends by name, and the library's answers "no" and "failed" put into words. */
#include "cli/commands.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/mman.h> /* MADV_POPULATE_WRITE, which older C libraries lack */

#define GUEST_HEAP_BYTES ((size_t)200 << 10)

int cli_tell_error(struct cli *cli, const char *place, const char *source,
                   const struct bv_error *error)
{
    char *remedy = source == NULL ? NULL : cli_pool_format(&cli->pool, "in %s", source);
    const char *text = error->text[0] == '\0' ? bv_status_name(error->status) : error->text;
    return cli_fail(cli, error->place[0] == '\0' ? place : error->place, remedy, "%s", text);
}

int cli_lacks(struct cli *cli, const char *place, const char *why, const char *remedy)
{
    const struct cli_refusal refusal = { .reason = bv_refusal_reason_name(BV_REFUSED_UNSUPPORTED),
                                         .backend = "none",
                                         .place = place,
                                         .why = why,
                                         .remedy = remedy,
                                         .lacking = true };
    return cli_refuse(cli, &refusal);
}

/* Two grants of one kind can be refused in the same words: a person needs them once, the document has both. */
static bool was_told(const struct bv_refusal *refusal, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(bv_refusal_what(refusal, i), bv_refusal_what(refusal, index)) == 0 &&
            strcmp(bv_refusal_why(refusal, i), bv_refusal_why(refusal, index)) == 0 &&
            strcmp(bv_refusal_remedy(refusal, i), bv_refusal_remedy(refusal, index)) == 0) {
            return true;
        }
    }
    return false;
}

int cli_tell_refusal(struct cli *cli, struct bv_refusal *refusal)
{
    for (size_t i = 0; i < bv_refusal_count(refusal); i++) {
        if (was_told(refusal, i)) {
            continue;
        }
        const char *remedy = bv_refusal_remedy(refusal, i);
        cli_note(remedy[0] == '\0' ? "refused: %s: %s" : "refused: %s: %s (%s)",
                 bv_refusal_what(refusal, i), bv_refusal_why(refusal, i), remedy);
    }
    int result = CLI_REFUSED;
    if (cli_wants_document(cli)) {
        struct bv_error error = { 0 };
        char *text = NULL;
        if (bv_refusal_json(refusal, &text, &error) != BV_OK) {
            result = cli_tell_error(cli, "refusal", NULL, &error);
        } else if (cli_document(cli, text) != CLI_OK) {
            result = CLI_FAULT;
        }
        bv_free(text);
    }
    bv_refusal_free(refusal);
    return result;
}

static int refuse_unknown(struct cli *cli, const char *id)
{
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    if (bv_refusal_unknown_backend(id, &refusal, &error) != BV_OK) {
        return cli_tell_error(cli, "--backend", NULL, &error);
    }
    return cli_tell_refusal(cli, refusal);
}

static enum bv_status make_linux(struct cli *cli, struct bv_backend **ret_backend, struct bv_error *error)
{
    (void)cli;
    return bv_backend_linux(ret_backend, error);
}

/* Planning, translating and running even the smallest guest fills this much of the heap. Had all at once instead of by a fault for each
 * page, it saves about a twentieth of the whole process's time in a virtual machine. Only time depends on it. */
static void prepare_heap(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20); /* what is freed at the end goes with the process */
    char *room = malloc(GUEST_HEAP_BYTES);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (room != NULL) {
        const size_t skipped = (page - (uintptr_t)room % page) % page;
        (void)madvise(room + skipped, (GUEST_HEAP_BYTES - skipped) / page * page, MADV_POPULATE_WRITE);
        free(room);
    }
}

/* The command runs one guest and ends, so it confines itself first; its report is what it still writes afterwards. */
static enum bv_status make_wasm(struct cli *cli, struct bv_backend **ret_backend, struct bv_error *error)
{
    prepare_heap();
    const struct bv_wasm_backend_options options = { .confine_process = true,
                                                     .own_fds = &cli->report.fd,
                                                     .own_fd_count = cli->report.open };
    return bv_backend_wasm(&options, ret_backend, error);
}

static enum bv_status make_inert(struct cli *cli, struct bv_backend **ret_backend, struct bv_error *error)
{
    (void)cli;
    return bv_backend_inert(ret_backend, error);
}

int cli_open_backend(struct cli *cli, const char *id, struct bv_registry **ret_registry,
                     struct bv_backend **ret_backend)
{
    static const struct {
        const char *id;
        enum bv_status (*make)(struct cli *cli, struct bv_backend **ret_backend, struct bv_error *error);
    } makers[] = { { "linux", make_linux }, { "wasm", make_wasm }, { "inert", make_inert } };
    struct bv_error error = { 0 };
    struct bv_registry *registry = NULL;
    if (bv_registry_new(&registry, &error) != BV_OK) {
        return cli_tell_error(cli, "backend", NULL, &error);
    }
    enum bv_status status = BV_OK;
    for (size_t i = 0; i < sizeof makers / sizeof makers[0] && status == BV_OK; i++) {
        struct bv_backend *backend = NULL;
        if (strcmp(makers[i].id, id) !=
            0) { /* making one that nobody asked for is time on the launch path */
            continue;
        }
        status = makers[i].make(cli, &backend, &error);
        if (status == BV_OK) {
            status = bv_registry_add(registry, backend, &error);
            if (status != BV_OK) {
                bv_backend_free(backend);
            }
        }
    }
    struct bv_backend *found = status == BV_OK ? bv_registry_find(registry, id) : NULL;
    if (found == NULL) {
        bv_registry_free(registry);
        return status == BV_OK ? refuse_unknown(cli, id) : cli_tell_error(cli, id, NULL, &error);
    }
    *ret_registry = registry;
    *ret_backend = found;
    return CLI_OK;
}
