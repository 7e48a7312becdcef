/* tests/support/scenes.h - the few requests that golden files and seeds are made of. */
#pragma once

#include "fake.h"

/* Everything that a plan can hold at once: roots, an allow list, descendants, an environment with a secret, kept descriptors, a temp
 * root, an exposed path, staged outputs that are committed, and limits of all sorts. */
void scene_full(struct fake *fake, struct request *request);
/* What a run of scene_full() may show: denials, truncated and binary output, a limit reached, figures that were not measured. */
struct bv_observation *scene_full_run(void);
