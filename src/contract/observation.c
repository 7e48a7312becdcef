/* contract/observation.c - what a backend saw, taken down as it says it.
 *
 * Bounded in every direction, because a workload influences much of it: facts and findings by count, denials by distinct
 * pairs and then by one overflow item a kind, texts by length, captured bytes by their cap. Nothing is judged here
 * (audit.c does) and nothing is dropped silently: what cannot be kept marks the whole observation as incomplete, which
 * makes the run a supervisor_fault. Specified by backend.h. */
#include "contract/observation.h"

#include "base/check.h"
#include "base/error.h"
#include "contract/contract.h"
#include "contract/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KIND_MAX_BYTES   48
#define DETAIL_MAX_BYTES 400
#define OVERFLOW_DETAIL  "(more)"
/* Facts, findings and denials at their largest, with their links and rounding. */
#define OBSERVATION_ARENA_BYTES                                                                    \
    (sizeof(struct bv_observation) +                                                               \
     (2 * BV_FACTS_MAX + BV_DENIED_MAX + BV_REQUIREMENT_KIND_COUNT) * 640 + 4096)

struct bv_observation *bv_observation_new(void)
{
    struct bv_arena *arena = bv_arena_new(OBSERVATION_ARENA_BYTES);
    struct bv_observation *observation = arena ? bv_arena_alloc(arena, sizeof(*observation)) : NULL;
    if (!observation) {
        bv_arena_free(arena);
        return NULL;
    }
    observation->arena = arena;
    observation->facts.last = &observation->facts.first;
    observation->findings.last = &observation->findings.first;
    observation->last_denial = &observation->denials;
    observation->cause = -1;
    for (size_t i = 0; i < BV_COUNT(observation->stream); i++) {
        bv_buf_init(&observation->stream[i].kept, BV_CAPTURE_MAX_BYTES);
    }
    return observation;
}

void bv_observation_free(struct bv_observation *observation)
{
    if (observation) {
        for (size_t i = 0; i < BV_COUNT(observation->stream); i++) {
            bv_buf_done(&observation->stream[i].kept);
        }
        bv_arena_free(observation->arena);
    }
}

bool bv_observation_has_outcome(const struct bv_observation *observation)
{
    return observation->outcome_count > 0;
}

const struct observed_item *bv_observation_fact(const struct bv_observation *observation,
                                                const char *kind)
{
    const struct observed_item *item = observation->facts.first;
    while (item && strcmp(item->kind, kind) != 0) {
        item = item->next;
    }
    return item;
}

/* The first failure is kept. why is static text. */
static bool incomplete(struct bv_observation *observation, const char *why)
{
    if (!observation->failure) {
        observation->failure = why;
    }
    return false;
}

static bool kind_is_good(const char *kind)
{
    size_t size = kind ? strlen(kind) : 0;
    for (size_t i = 0; i < size; i++) {
        if (!((kind[i] >= 'a' && kind[i] <= 'z') || kind[i] == '_')) {
            return false;
        }
    }
    return size > 0 && size <= KIND_MAX_BYTES;
}

static void BV_PRINTF(3, 0)
    clean_format(char *target, size_t size, const char *format, va_list arguments)
{
    char raw
        [DETAIL_MAX_BYTES +
         8]; /* longer than any target: the cut on a character boundary happens in bv_text_clean() */
    BV_ASSERT(size < sizeof(raw));
    if (vsnprintf(raw, sizeof(raw), format, arguments) < 0) {
        memcpy(raw, "?", 2);
    }
    bv_text_clean(target, size, raw);
}

static bool append(struct bv_observation *observation, struct observed_list *list, const char *kind,
                   const char *detail)
{
    if (!kind_is_good(kind)) {
        return incomplete(observation,
                          "the backend named a fact or finding that is no word of [a-z_]{1,48}");
    }
    if (list->count == BV_FACTS_MAX) {
        return incomplete(observation, "more facts or findings than a report holds");
    }
    struct observed_item *item = bv_arena_alloc(observation->arena, sizeof(*item));
    char *kind_copy = bv_arena_text(observation->arena, kind),
         *detail_copy = bv_arena_text(observation->arena, detail);
    if (!item || !kind_copy || !detail_copy) {
        return incomplete(observation, "out of memory while observing");
    }
    item->kind = kind_copy;
    item->detail = detail_copy;
    *list->last = item;
    list->last = &item->next;
    list->count++;
    return true;
}

bool bv_observe_fact(struct bv_observation *observation, const char *kind,
                     const char *detail_format, ...)
{
    char detail[DETAIL_MAX_BYTES + 1];
    va_list arguments;
    va_start(arguments, detail_format);
    clean_format(detail, sizeof(detail), detail_format, arguments);
    va_end(arguments);
    return append(observation, &observation->facts, kind, detail);
}

bool bv_observe_finding(struct bv_observation *observation, const char *kind,
                        const char *detail_format, ...)
{
    char detail[DETAIL_MAX_BYTES + 1];
    va_list arguments;
    va_start(arguments, detail_format);
    clean_format(detail, sizeof(detail), detail_format, arguments);
    va_end(arguments);
    return append(observation, &observation->findings, kind, detail);
}

static struct observed_denial *find_denial(struct bv_observation *observation,
                                           enum bv_requirement_kind kind, const char *detail)
{
    struct observed_denial *denial = observation->denials;
    while (denial && (denial->kind != kind || strcmp(denial->detail, detail) != 0)) {
        denial = denial->next;
    }
    return denial;
}

bool bv_observe_denied(struct bv_observation *observation, enum bv_requirement_kind kind,
                       const char *detail, uint64_t count)
{
    char clean[DETAIL_MAX_BYTES + 1];
    if ((unsigned)kind >= BV_REQUIREMENT_KIND_COUNT) {
        return incomplete(observation, "the backend counted a denial of no known kind");
    }
    if (count == 0) {
        return true; /* nothing was denied */
    }
    bv_text_clean(clean, sizeof(clean), detail);
    struct observed_denial *denial = find_denial(observation, kind, clean);
    if (!denial && observation->denial_count >= BV_DENIED_MAX) {
        memcpy(clean, OVERFLOW_DETAIL, sizeof(OVERFLOW_DETAIL));
        denial = find_denial(observation, kind, clean);
    }
    if (!denial) {
        denial = bv_arena_alloc(observation->arena, sizeof(*denial));
        char *copy = bv_arena_text(observation->arena, clean);
        if (!denial || !copy) {
            return incomplete(observation, "out of memory while observing");
        }
        denial->kind = kind;
        denial->detail = copy;
        *observation->last_denial = denial;
        observation->last_denial = &denial->next;
        observation->denial_count++;
    }
    if (bv_ckd_add(&denial->count, denial->count, count) || denial->count > BV_JSON_MAX_INTEGER) {
        denial->count = BV_JSON_MAX_INTEGER;
    }
    return true;
}

bool bv_observe_stream(struct bv_observation *observation, int stream, const void *bytes,
                       size_t size, uint64_t total_bytes, bool truncated)
{
    if (stream != 1 && stream != 2) {
        return incomplete(observation,
                          "the backend captured a stream that is neither stdout nor stderr");
    }
    struct observed_stream *kept = &observation->stream[stream - 1];
    kept->seen = true;
    kept->truncated = kept->truncated || truncated;
    /* A running total: a call may leave it to a later one. */
    kept->total_bytes = total_bytes > kept->total_bytes ? total_bytes : kept->total_bytes;
    if (kept->total_bytes > BV_JSON_MAX_INTEGER) {
        kept->total_bytes = BV_JSON_MAX_INTEGER;
        return incomplete(observation,
                          "the backend counted more captured bytes than a report can say");
    }
    if (size > 0 && !bv_buf_add(&kept->kept, bytes, size)) {
        return incomplete(
            observation,
            "captured bytes could not be kept: out of memory, or over the cap of a stream");
    }
    return true;
}

bool bv_observe_usage(struct bv_observation *observation, enum bv_dimension dimension,
                      const uint64_t *value, bool limit_reached, const char *source_format, ...)
{
    if ((unsigned)dimension >= BV_DIMENSION_COUNT) {
        return incomplete(observation, "the backend measured no known dimension");
    }
    struct observed_usage *usage = &observation->usage[dimension];
    va_list arguments;
    va_start(arguments, source_format);
    clean_format(usage->source, sizeof(usage->source), source_format, arguments);
    va_end(arguments);
    usage->told = true;
    usage->measured = value != NULL;
    usage->value = value ? *value : 0;
    usage->limit_reached = usage->limit_reached || limit_reached;
    if (usage->value > BV_JSON_MAX_INTEGER) {
        usage->measured = false;
        usage->value = 0;
        return incomplete(observation, "the backend measured a figure above 2^53-1");
    }
    return true;
}

bool bv_observe_outcome(struct bv_observation *observation, enum bv_outcome outcome,
                        struct bv_exit exit, int cause, const char *detail)
{
    if ((unsigned)outcome > BV_OUTCOME_SUPERVISOR_FAULT || (unsigned)exit.kind > BV_EXIT_TRAP ||
        cause < -1 || cause >= BV_DIMENSION_COUNT) {
        return incomplete(observation,
                          "the backend gave an outcome, exit or cause that has no meaning");
    }
    observation->outcome_count++;
    if (observation->outcome_count > 1) {
        observation->second_outcome = outcome;
        return false; /* the first one stands until audit.c finds that there are two */
    }
    observation->outcome = outcome;
    observation->exit.kind = exit.kind;
    observation->exit.value =
        exit.kind == BV_EXIT_CODE || exit.kind == BV_EXIT_SIGNAL ? exit.value : 0;
    if (exit.kind == BV_EXIT_TRAP) {
        exit.trap[sizeof(exit.trap) - 1] = '\0';
        bv_text_clean(observation->exit.trap, sizeof(observation->exit.trap), exit.trap);
    }
    observation->cause = cause;
    bv_text_clean(observation->detail, sizeof(observation->detail), detail);
    return true;
}

bool bv_observe_launcher(struct bv_observation *observation, const char *digest)
{
    bv_text_clean(observation->launcher, sizeof(observation->launcher), digest);
    return true;
}
