/* tests/support/stage_scene.h - a host tree, and a quarantine over it as a staged run leaves it, made by hand: what the unit tests of src/stage share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "stage/store.h"

extern char top[200], root[240], state[240];
extern const char attempt[33];

void must(bool ok, const char *what);
void path_of(char *path, size_t size, const char *dir, const char *name);
void put(const char *dir, const char *name, const char *text, mode_t mode);
void make(const char *dir, const char *name, mode_t mode);
void point(const char *dir, const char *name, const char *target);
void wipe(const char *path);
char *picture(const char *dir);
bool looks_like(const char *dir, const char *wanted);
void make_host(void);
char *expected(void);
struct bv_store *open_store(void);
struct bv_store *stage_all(void (*more)(const char *upper));
enum bv_status commit(struct bv_store *store, const char *const *paths, size_t count, bool overwrite, enum bv_durability durability, struct bv_error *error);
bool nothing_is_kept(struct bv_store *store);
