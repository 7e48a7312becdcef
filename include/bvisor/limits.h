/* bvisor/limits.h - every cap of bvisor: unit, value, reason. Nothing a user controls is unbounded. */
#ifndef BVISOR_LIMITS_H
#define BVISOR_LIMITS_H

/* Documents. */
#define BV_SPEC_MAX_BYTES (1u << 20)            /* a spec is written by people and tools: 1 MiB is generous */
#define BV_PLAN_MAX_BYTES (16u << 20)           /* a plan repeats its spec with verdicts */
#define BV_REPORT_MAX_BYTES (256u << 20)        /* two captured streams in base64 and their escapes */
#define BV_JSON_MAX_DEPTH 32                    /* the deepest document of ours nests 9 levels */
#define BV_JSON_MAX_INTEGER 9007199254740991LL  /* 2^53-1: the largest integer every JSON reader keeps exact */

/* The contract. */
#define BV_CAPABILITIES_MAX 256  /* filesystem grants repeat; the others come once */
#define BV_CONTROLS_MAX 128      /* expose_path repeats; the others come once */
#define BV_ROOTS_MAX 256         /* all filesystem roots of a spec together: one bind mount each */
#define BV_EXPOSES_MAX 64        /* one bind mount each */
#define BV_ENV_MAX_ENTRIES 1024  /* CONTRACT.md 3 */
#define BV_ENV_MAX_BYTES (256u << 10) /* names and values with their '=' and NUL */
#define BV_ARGS_MAX 4096         /* arguments without argv[0] */
#define BV_ARGS_MAX_BYTES (512u << 10) /* leaves room in the kernel's stack limit for the environment */
#define BV_PATH_MAX_BYTES 4095   /* PATH_MAX without its NUL */
#define BV_NAME_MAX_BYTES 255    /* NAME_MAX; secret references and hosts are held to it as well */
#define BV_KEPT_FDS_MAX 64
#define BV_DESTINATIONS_MAX 256
#define BV_TEMP_DEFAULT_BYTES (256u << 20) /* INTERFACE.md 2: size of a temp root that states none */

/* Evidence. */
#define BV_FACTS_MAX 512          /* observed items of a report */
#define BV_DENIED_MAX 256         /* distinct denied items; more are counted in one overflow item */
#define BV_CAPTURE_DEFAULT_BYTES (1u << 20)
#define BV_CAPTURE_MAX_BYTES (64u << 20) /* per stream; two of them in base64 fit in BV_REPORT_MAX_BYTES */
#define BV_ARTIFACTS_MAX 100000           /* changed paths that a report lists; more are in the quarantine's own list */
#define BV_ARTIFACTS_MAX_BYTES (32u << 20) /* their share of a report, beside two captured streams */
#define BV_SNAPSHOT_MAX_FACTS 128 /* probed facts of a machine */

#endif
