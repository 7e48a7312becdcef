/* cli/values.h - option values as people write them, turned into the contract's figures. Pure.
 *
 * Every function answers NULL on success and otherwise one clause that says what is wrong;
 * outputs are then not written. */
#pragma once

#include <bvisor/spec.h>

/* "10s" "500ms" "250us" "2m" "1h" to microseconds. */
const char *cli_parse_duration(const char *text, uint64_t *ret_micros);
/* "4096" "64K" "64M" "2G" "1T", also "64MiB" "64MB": powers of 1024. */
const char *cli_parse_size(const char *text, uint64_t *ret_bytes);
/* A plain decimal number. */
const char *cli_parse_count(const char *text, uint64_t *ret_count);
/* A budget limit of its dimension: a duration, size or count, or "unlimited". */
const char *cli_parse_limit(enum bv_dimension dimension, const char *text, uint64_t *ret_limit);
/* "wall" "cpu" "mem" "procs" "handles" "storage" "net-bytes", or the name that documents use. */
const char *cli_parse_dimension(const char *text, enum bv_dimension *ret_dimension);
/* The option that sets a dimension's limit, without dashes: "wall". */
const char *cli_dimension_option(enum bv_dimension dimension);
/* "HOST:PORT", "[V6]:PORT": splits at the last colon. host receives at most BV_NAME_MAX_BYTES
 * bytes and a NUL. */
const char *cli_parse_destination(const char *text, char host[BV_NAME_MAX_BYTES + 1],
                                  uint16_t *ret_port);
