/* tests/linux/launch_world.h - what the tests of the launcher share: two small trees on the host,
 * judges of a drive, and the order of things.
 *
 * A test program is a table of tests that runs as root, when it is, and then as a user. */
#pragma once

#include "launch_driver.h"
#include "support/tap.h"

#include <stddef.h>
#include <unistd.h>

struct world {
    const char *who;
    int launcher, payload_file;
    char dir[256], payload[300], ro[300], rw[300], link[300]; /* link -> ro */
};

void must(bool condition, const char *what);
bool says(const struct drive *drive, const char *text);      /* its output holds the text */
bool ended(const struct drive *drive, uint64_t status);      /* with this raw wait status */
uint64_t code(unsigned exit_code);                           /* as a raw wait status */
bool limited(const struct drive *drive, uint64_t dimension); /* by init, in this dimension */
uint64_t figure(const struct drive *drive, unsigned which);  /* UINT64_MAX: not measured */

void world_open(struct world *w, int argc, char **argv); /* argv: the launcher, the payload */
void world_become_user(void);
void world_make(struct world *w);
bool world_can_launch(const struct world *w);
bool world_remove(const struct world *w); /* false: something is left */

static inline void world_run(struct world *w, const char *who,
                             void (*const *tests)(const struct world *), size_t count)
{
    w->who = who;
    world_make(w);
    if (world_can_launch(w)) {
        for (size_t i = 0; i < count; i++) {
            tests[i](w);
        }
    } else {
        tap_skip("%s: no user or mount namespaces here", who);
    }
    tap_ok(world_remove(w), "%s: nothing is left on the host", who);
}

/* main() of such a program; in this header because the counts of tap.h belong to one file. */
static inline int world_main(int argc, char **argv, void (*const *tests)(const struct world *),
                             size_t count)
{
    struct world world = { 0 };

    world_open(&world, argc, argv);
    if (geteuid() == 0) {
        world_run(&world, "root", tests, count);
        world_become_user();
    }
    world_run(&world, "user", tests, count);
    return tap_done();
}
