/* base/step.h - marks where a crash may fall: between two effects that must not be torn apart.
 *
 * No program of ours defines the hook, so a mark costs one test of an address that the linker set to zero. The crash tests link the
 * same archives with a hook that ends the process, or its launcher, at the mark of their choice (tests/support/step_hook.c). */
#pragma once

/* name: static, unique among the marks. */
__attribute__((weak)) void bv_step_hook(const char *name);

#define BV_STEP(name) (bv_step_hook ? bv_step_hook(name) : (void)0)
