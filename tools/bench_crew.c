#include "bench_crew.h"

#include "clock.h"
#include "err.h"
#include "session.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define ROUNDS_PER_MEASUREMENT 20
#define ROUND_MOST 1.0 /* seconds: a signal waits for the round's end */
#define REPETITIONS_MAX 4000
#define WARM_UPS 4

struct crew {
    const struct crew_work *work;
    struct crew_round round;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t begin, end;
    uint64_t number; /* of the round, from 1 on */
    uint32_t joined; /* workers that have a number */
    uint32_t busy;
    bool over;
    struct bgd_err err; /* the first */
};

static void *work(void *argument)
{
    struct crew *crew = argument;
    pthread_mutex_lock(&crew->lock);
    uint32_t worker = crew->joined++;
    for (uint64_t seen = 0;;) {
        while (crew->number == seen && !crew->over)
            pthread_cond_wait(&crew->begin, &crew->lock);
        if (crew->over)
            break;
        seen = crew->number;
        pthread_mutex_unlock(&crew->lock);
        struct bgd_err err;
        int code = crew->work->work(crew->work->user, worker, &crew->round, &err);
        pthread_mutex_lock(&crew->lock);
        if (code && !crew->err.code)
            crew->err = err;
        if (--crew->busy == 0)
            pthread_cond_signal(&crew->end);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Returns its seconds. */
static double run_round(struct crew *crew, uint64_t passes)
{
    crew->round.passes = passes;
    crew->round.begun = 0;
    pthread_mutex_lock(&crew->lock);
    crew->busy = crew->work->workers;
    crew->number++;
    double start = clock_now();
    pthread_cond_broadcast(&crew->begin);
    while (crew->busy > 0)
        pthread_cond_wait(&crew->end, &crew->lock);
    double seconds = clock_now() - start;
    pthread_mutex_unlock(&crew->lock);
    return seconds;
}

static bool goes_on(const struct crew *crew)
{
    return !crew->err.code && !session_stopped();
}

/* Returns the passes of a round that takes about so long. */
static uint64_t warm_up(struct crew *crew, double seconds)
{
    uint64_t passes = 1;
    for (int i = 0; i < WARM_UPS && goes_on(crew); i++) {
        double took = fmax(run_round(crew, passes), 1e-9);
        if (took >= seconds)
            break;
        passes = (uint64_t)ceil((double)passes * fmin(seconds / took, 1e4));
    }
    return passes;
}

static void repeat(struct crew *crew, double seconds, struct bench_rate *rate)
{
    double rates[REPETITIONS_MAX], all = 0;
    uint32_t n = 0;
    uint64_t passes = warm_up(crew, fmin(seconds / ROUNDS_PER_MEASUREMENT, ROUND_MOST));
    while (goes_on(crew) && n < REPETITIONS_MAX && (n < CREW_REPETITIONS || all < seconds)) {
        double took = run_round(crew, passes);
        all += took;
        rates[n++] = (double)(passes * crew->work->images) / took;
    }
    if (n > 0)
        *rate = bench_rate_of(rates, n);
}

int crew_measure(const struct crew_work *wanted, double seconds, struct bench_rate *rate, struct bgd_err *err)
{
    struct crew crew = {.work = wanted};
    pthread_t *threads = calloc(wanted->workers, sizeof *threads);
    *rate = (struct bench_rate){0};
    if (!threads)
        return err_set(err, BGD_MEMORY, "out of memory");
    pthread_mutex_init(&crew.lock, NULL);
    pthread_cond_init(&crew.begin, NULL);
    pthread_cond_init(&crew.end, NULL);
    uint32_t started = 0;
    while (started < wanted->workers && pthread_create(&threads[started], NULL, work, &crew) == 0)
        started++;
    if (started == wanted->workers)
        repeat(&crew, seconds, rate);
    else
        err_set(&crew.err, BGD_MEMORY, "%u threads can be started, expected %u", started, wanted->workers);
    pthread_mutex_lock(&crew.lock);
    crew.over = true;
    pthread_cond_broadcast(&crew.begin);
    pthread_mutex_unlock(&crew.lock);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&crew.lock);
    pthread_cond_destroy(&crew.begin);
    pthread_cond_destroy(&crew.end);
    free(threads);
    if (crew.err.code)
        *err = crew.err;
    return crew.err.code;
}
