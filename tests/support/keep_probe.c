/* support/keep_probe.c - keep.c for the document that needs a backend, which not every suite links. */
#include "support/keep.h"

KEPT(bv_probe_json, struct bv_backend *)
