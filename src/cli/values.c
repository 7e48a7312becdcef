/* cli/values.c - see values.h. Numbers are checked for overflow and held to what JSON keeps
 * exact, 2^53-1. */
#include "cli/values.h"

#include <string.h>

/* Reads the leading digits. Returns the text behind them, NULL without a digit or past 2^64. */
static const char *read_digits(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(*at - '0'), &value)) {
            return NULL;
        }
    }
    *ret_value = value;
    return at == text ? NULL : at;
}

static bool starts_with_digit(const char *text)
{
    return text[0] >= '0' && text[0] <= '9';
}

static bool scale(uint64_t *value, uint64_t unit)
{
    return !__builtin_mul_overflow(*value, unit, value) && *value <= (uint64_t)BV_JSON_MAX_INTEGER;
}

const char *cli_parse_duration(const char *text, uint64_t *ret_micros)
{
    static const struct {
        const char *suffix;
        uint64_t micros;
    } units[] = {
        { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000u },
    };
    if (!starts_with_digit(text)) {
        return "not a duration; write 10s, 500ms, 250us, 2m or 1h";
    }
    uint64_t value = 0;
    const char *suffix = read_digits(text, &value);
    if (suffix == NULL) {
        return "too large; the most is 2^53-1 microseconds";
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(suffix, units[i].suffix) == 0) {
            if (!scale(&value, units[i].micros)) {
                return "too large; the most is 2^53-1 microseconds";
            }
            *ret_micros = value;
            return NULL;
        }
    }
    return *suffix == '\0' ? "has no unit; write 10s, 500ms, 250us, 2m or 1h"
                           : "not a duration; write 10s, 500ms, 250us, 2m or 1h";
}

const char *cli_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char complaint[] = "not a size; write 4096, 64K, 64M, 2G or 1T";
    if (!starts_with_digit(text)) {
        return complaint;
    }
    uint64_t value = 0;
    const char *at = read_digits(text, &value);
    if (at == NULL) {
        return "too large; the most is 2^53-1 bytes";
    }
    uint64_t unit = 1;
    static const char letters[] = "KMGT";
    const char *letter =
        *at == '\0' ? NULL : strchr(letters, *at >= 'a' && *at <= 'z' ? *at - 32 : *at);
    if (letter != NULL) {
        unit <<= 10 * (letter - letters + 1);
        at++;
        if (at[0] == 'i' && at[1] == 'B') {
            at++;
        }
    }
    if (*at == 'B') {
        at++;
    }
    if (*at != '\0') {
        return complaint;
    }
    if (!scale(&value, unit)) {
        return "too large; the most is 2^53-1 bytes";
    }
    *ret_bytes = value;
    return NULL;
}

const char *cli_parse_count(const char *text, uint64_t *ret_count)
{
    if (!starts_with_digit(text)) {
        return "not a number";
    }
    uint64_t value = 0;
    const char *at = read_digits(text, &value);
    if (at == NULL || value > (uint64_t)BV_JSON_MAX_INTEGER) {
        return "too large; the most is 2^53-1";
    }
    if (*at != '\0') {
        return "not a number";
    }
    *ret_count = value;
    return NULL;
}

const char *cli_parse_limit(enum bv_dimension dimension, const char *text, uint64_t *ret_limit)
{
    if (strcmp(text, "unlimited") == 0) {
        *ret_limit = BV_UNLIMITED;
        return NULL;
    }
    switch (dimension) {
    case BV_WALL_MICROS:
    case BV_CPU_MICROS: return cli_parse_duration(text, ret_limit);
    case BV_RESIDENT_BYTES:
    case BV_STORAGE_BYTES:
    case BV_NETWORK_BYTES: return cli_parse_size(text, ret_limit);
    case BV_PROCESS_COUNT:
    case BV_HANDLE_COUNT: return cli_parse_count(text, ret_limit);
    }
    return "not a budget";
}

const char *cli_dimension_option(enum bv_dimension dimension)
{
    static const char *const names[BV_DIMENSION_COUNT] = {
        [BV_WALL_MICROS] = "wall",        [BV_CPU_MICROS] = "cpu",
        [BV_RESIDENT_BYTES] = "mem",      [BV_PROCESS_COUNT] = "procs",
        [BV_HANDLE_COUNT] = "handles",    [BV_STORAGE_BYTES] = "storage",
        [BV_NETWORK_BYTES] = "net-bytes",
    };
    return names[dimension];
}

const char *cli_parse_dimension(const char *text, enum bv_dimension *ret_dimension)
{
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        enum bv_dimension dimension = (enum bv_dimension)i;
        if (strcmp(text, cli_dimension_option(dimension)) == 0 ||
            strcmp(text, bv_dimension_name(dimension)) == 0) {
            *ret_dimension = dimension;
            return NULL;
        }
    }
    return "not a budget; write wall, cpu, mem, procs, handles, storage or net-bytes";
}

const char *cli_parse_destination(const char *text, char host[BV_NAME_MAX_BYTES + 1],
                                  uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return "not a destination; write HOST:PORT";
    }
    uint64_t port = 0;
    if (cli_parse_count(colon + 1, &port) != NULL || port < 1 || port > UINT16_MAX) {
        return "the port must be a number from 1 to 65535";
    }
    size_t size = (size_t)(colon - text);
    bool bracketed = size > 2 && text[0] == '[' && colon[-1] == ']';
    if (!bracketed && memchr(text, ':', size) != NULL) {
        return "an IPv6 address is written [ADDRESS]:PORT";
    }
    if (bracketed) {
        text++;
        size -= 2;
    }
    if (size > BV_NAME_MAX_BYTES) {
        return "the host name is too long; 255 bytes at most";
    }
    memcpy(host, text, size);
    host[size] = '\0';
    *ret_port = (uint16_t)port;
    return NULL;
}
