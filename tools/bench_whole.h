/* Cards through the whole program, as bgdet score does it: from their files to their rows. */
#ifndef BGD_BENCH_WHOLE_H
#define BGD_BENCH_WHOLE_H

#include "bench_cards.h"
#include "bench_rates.h"

/* Runs of flow.h over the cards, again and again in order, each long enough that its beginning and end do not count much, and
 * about `seconds`; CREW_REPETITIONS of them after one to warm up. `found` (one per card) is what they find; `folder`: bench_rows.h's.
 * Signals as in crew_measure. A card that is not judged ends it with its row's error. */
int bench_whole_measure(struct session *session, const struct bench_cards *cards, uint32_t threads, double seconds,
                        const char *folder, struct bgd_result *found, struct bench_rate *rate, struct bgd_err *err);

#endif
