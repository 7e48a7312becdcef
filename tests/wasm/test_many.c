/* tests/wasm/test_many.c - many guests at once: threads of one process share a backend and its cache of compiled modules.
 *
 * Every run's output and outcome are its own. `make tsan` runs this under the thread sanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "support/tap.h"

#define THREADS 12
#define ROUNDS  40
#define MODULES 80 /* more than the cache keeps */

static struct bv_backend *backend;
static struct module modules[MODULES];
static const uint8_t *bytes[MODULES];
static size_t sizes[MODULES];
static atomic_int wrong;

static void *run_some(void *argument)
{
    const unsigned thread = (unsigned)(size_t)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* Half of the runs are of one module, so that threads meet at it; the rest push each other out. */
        const unsigned which = round % 2 == 0 ? 0 : (thread * ROUNDS + round) % MODULES;
        char wanted[32];
        struct command_spec command;
        command_spec_init(&command, bytes[which], sizes[which]);
        struct bv_report *report = command_run(backend, &command.spec, NULL);
        (void)snprintf(wanted, sizeof wanted, "\"guest number %u!\"", which);
        if (!report || bv_report_outcome(report) != BV_OUTCOME_COMPLETED ||
            !command_report_has(report, wanted)) {
            atomic_fetch_add(&wrong, 1);
        }
        bv_report_free(report);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < MODULES; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "guest number %u!", i);
        bytes[i] = command_print(&modules[i], text, &sizes[i]);
    }
    tap_ok(bv_backend_wasm(NULL, &backend, NULL) == BV_OK, "a backend");
    unsigned made = 0;
    while (made < THREADS &&
           pthread_create(&threads[made], NULL, run_some, (void *)(size_t)made) == 0) {
        made++;
    }
    for (unsigned i = 0; i < made; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    tap_ok(made == THREADS && atomic_load(&wrong) == 0,
           "%d runs of %d modules in %u threads, %d wrong", THREADS * ROUNDS, MODULES, made,
           atomic_load(&wrong));
    bv_backend_free(backend);
    for (unsigned i = 0; i < MODULES; i++) {
        module_free(&modules[i]);
    }
    return tap_done();
}
