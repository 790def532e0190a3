/*
 * What is done to every card, part by part, each alone on all threads or lanes that a run gives it:
 *
 *   read      the files' bytes and their hash: from the page cache, since they have been read before
 *   decode    bytes to pictures, no larger than the pipeline needs unless --decode exact
 *   feed      pictures to the inputs of the networks, masks applied; on a device with memory of its own, their copy, too
 *   segment   the segmenter, its input being there
 *   classify  the classifier, likewise
 *   evidence  where cards that are not clean show why
 *   write     rows as JSON lines to a file in $TMPDIR
 *
 * Threads do read, decode and write; the engine's lanes, each on a thread of its own, the rest.
 */
#ifndef BGD_BENCH_STAGES_H
#define BGD_BENCH_STAGES_H

#include "bench_cards.h"
#include "bench_rates.h"

enum bench_part {
    BENCH_READ,
    BENCH_DECODE,
    BENCH_FEED,
    BENCH_SEGMENT, /* only with a segmenter */
    BENCH_CLASSIFY,
    BENCH_EVIDENCE,
    BENCH_WRITE,
    BENCH_PARTS
};

/* "read", ... */
const char *bench_part_name(enum bench_part part);

/* Does the device do it, beside the host? Of a device without memory of its own, nothing. */
bool bench_part_on_device(enum bench_part part, const struct session *session);

/* The part of its side's processors that bench_stages_measure puts to work: lanes of a device are fewer than the host's threads. */
double bench_part_of(enum bench_part part, const struct session *session, uint32_t threads);

struct bench_stages;

/* `results`: one per card, what a run has found; `folder`: bench_rows.h's. All is borrowed. BGD_MEMORY, and what a device says. */
int bench_stages_open(struct session *session, const struct bench_cards *cards, const struct bgd_result *results,
                      const char *folder, struct bench_stages **stages, struct bgd_err *err);
void bench_stages_close(struct bench_stages *stages);

/* As crew_measure. `threads`: of read, decode and write, at most the session's. */
int bench_stages_measure(struct bench_stages *stages, enum bench_part part, uint32_t threads, double seconds,
                         struct bench_rate *rate, struct bgd_err *err);

#endif
