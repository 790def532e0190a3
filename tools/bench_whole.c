#include "bench_whole.h"

#include "bench_crew.h"
#include "clock.h"
#include "err.h"

#include <math.h>
#include <stdlib.h>

#define BATCHES_LEAST 4u /* a lane: while a run begins and ends, its batches are not full and its lanes wait for each other */
#define CARDS_MOST 10000000u

struct whole {
    const struct bench_cards *cards;
    struct bgd_result *results;
};

static int on_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    const struct whole *whole = user;
    if (row->code)
        return err_set(err, (enum bgd_code)row->code, "%s: %s", row->id, row->detail);
    if (whole->results)
        whole->results[row->index % whole->cards->n] = row->result;
    return 0;
}

/* A run over `n` cards; *took is its seconds. */
static int run(struct session *session, const struct whole *whole, size_t n, double *took, struct bgd_err *err)
{
    struct catalogue *catalogue = NULL;
    char **paths = calloc(n, sizeof *paths);
    if (!paths)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        paths[i] = whole->cards->cards[i % whole->cards->n].path;
    const struct catalogue_options options = {.paths = paths, .n_paths = n, .literal = true, .wake = session_wake()};
    int code = catalogue_open(&options, &catalogue, err);
    if (!code) {
        double start = clock_now();
        code = session_run(session, catalogue, &(struct flow_options){0}, PROGRESS_NONE, on_row, (void *)whole, err);
        *took = clock_now() - start;
    }
    catalogue_close(catalogue);
    free(paths);
    return code;
}

static int repeat(struct session *session, const struct whole *whole, double seconds, struct bench_rate *rate,
                  struct bgd_err *err)
{
    double rates[CREW_REPETITIONS], took;
    uint32_t lanes = bgd_engine_lanes(session->engine), threads = session->settings.threads;
    size_t least = (size_t)BATCHES_LEAST * bgd_engine_batch(session->engine) * (lanes < threads ? lanes : threads);
    least = least > whole->cards->n ? least : whole->cards->n;
    if (run(session, whole, least, &took, err))
        return err->code;
    size_t n = (size_t)fmin(fmax((double)least, (double)least * seconds / took), CARDS_MOST);
    for (uint32_t i = 0; i < CREW_REPETITIONS && !session_stopped(); i++) {
        if (run(session, whole, n, &took, err))
            return err->code;
        rates[i] = (double)n / took;
    }
    if (!session_stopped())
        *rate = bench_rate_of(rates, CREW_REPETITIONS);
    return 0;
}

int bench_whole_measure(struct session *session, const struct bench_cards *cards, uint32_t threads, double seconds,
                        struct bgd_result *results, struct bench_rate *rate, struct bgd_err *err)
{
    const struct whole whole = {cards, results};
    uint32_t kept = session->settings.threads;
    *rate = (struct bench_rate){0};
    session->settings.threads = threads;
    int code = repeat(session, &whole, seconds, rate, err);
    session->settings.threads = kept;
    return code;
}
