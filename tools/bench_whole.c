#include "bench_whole.h"

#include "bench_crew.h"
#include "bench_rows.h"
#include "clock.h"
#include "err.h"

#include <math.h>
#include <stdlib.h>

#define BATCHES_LEAST 4u /* a lane: while a run begins and ends, its batches are not full and its lanes wait for each other */
#define CARDS_MOST 10000000u

struct whole {
    struct session *session;
    const struct bench_cards *cards;
    const char *folder;
    struct bgd_result *found;
    struct results *rows; /* of the run that is under way */
};

static int on_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    const struct whole *whole = user;
    if (row->code)
        return err_set(err, (enum bgd_code)row->code, "%s: %s", row->id, row->detail);
    whole->found[row->index % whole->cards->n] = row->result;
    return results_add(whole->rows, row, err);
}

/* A run over `n` cards; *took is its seconds. */
static int run(struct whole *whole, size_t n, double *took, struct bgd_err *err)
{
    struct catalogue *catalogue = NULL;
    char **paths = calloc(n, sizeof *paths);
    if (!paths)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        paths[i] = whole->cards->cards[i % whole->cards->n].path;
    const struct catalogue_options options = {.paths = paths, .n_paths = n, .literal = true, .wake = session_wake()};
    int code = catalogue_open(&options, &catalogue, err);
    if (!code)
        code = bench_rows_open(whole->folder, "rows.jsonl", whole->session, &whole->rows, err);
    if (!code) {
        double start = clock_now();
        code = session_run(whole->session, catalogue, &(struct flow_options){0}, PROGRESS_NONE, on_row, whole, err);
        *took = clock_now() - start;
        bench_rows_close(whole->rows);
    }
    catalogue_close(catalogue);
    free(paths);
    return code;
}

static int repeat(struct whole *whole, double seconds, struct bench_rate *rate, struct bgd_err *err)
{
    const struct session *session = whole->session;
    double rates[CREW_REPETITIONS], took;
    uint32_t lanes = bgd_engine_lanes(session->engine), threads = session->settings.threads;
    size_t least = (size_t)BATCHES_LEAST * bgd_engine_batch(session->engine) * (lanes < threads ? lanes : threads);
    least = least > whole->cards->n ? least : whole->cards->n;
    if (run(whole, least, &took, err))
        return err->code;
    size_t n = (size_t)fmin(fmax((double)least, (double)least * seconds / took), CARDS_MOST);
    for (uint32_t i = 0; i < CREW_REPETITIONS && !session_stopped(); i++) {
        if (run(whole, n, &took, err))
            return err->code;
        rates[i] = (double)n / took;
    }
    if (!session_stopped())
        *rate = bench_rate_of(rates, CREW_REPETITIONS);
    return 0;
}

int bench_whole_measure(struct session *session, const struct bench_cards *cards, uint32_t threads, double seconds,
                        const char *folder, struct bgd_result *found, struct bench_rate *rate, struct bgd_err *err)
{
    struct whole whole = {.session = session, .cards = cards, .folder = folder, .found = found};
    uint32_t kept = session->settings.threads;
    *rate = (struct bench_rate){0};
    session->settings.threads = threads;
    int code = repeat(&whole, seconds, rate, err);
    session->settings.threads = kept;
    return code;
}
