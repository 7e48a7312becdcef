/* stage/artifacts.h - one change as callers are told of it, and as an entry of a tar archive. */
#pragma once

#include "stage/manifest.h"

/* id and the texts of entry must live as long as the artifact. */
void stage_artifact_of(const char *attempt, const char *root, const struct stage_entry *entry, char id[BV_DIGEST_TEXT_SIZE],
                       struct bv_artifact *ret_artifact);

/* tar.c: POSIX.1-2001 pax interchange format. upper: the tree that entry->path lies in. 0 or -errno; -EBADMSG: the file is not what the list says. */
int stage_tar_entry(int fd, int upper, const char *root, const struct stage_entry *entry);
int stage_tar_end(int fd);
