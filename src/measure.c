#include "measure.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROW_SECONDS 0.02
#define ROWS 10

double measure_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int measure_fastest(measure_row *row, void *user, double *seconds, struct bgd_err *err)
{
    uint32_t times = 1;
    double took, best;
    if (row(user, 1, &took, err)) /* pages, caches and clocks get ready */
        return err->code;
    for (;; times *= 2) {
        if (row(user, times, &took, err))
            return err->code;
        if (took >= ROW_SECONDS || times >= 1u << 20)
            break;
    }
    best = took;
    for (int i = 1; i < ROWS; i++) {
        if (row(user, times, &took, err))
            return err->code;
        best = took < best ? took : best;
    }
    *seconds = best / times;
    return 0;
}

struct copy {
    char *to, *from;
};

static int copy_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    const struct copy *copy = user;
    (void)err;
    double start = measure_now();
    for (uint32_t i = 0; i < times; i++) {
        memcpy(copy->to, copy->from, MEASURE_COPY_BYTES);
        copy->from[i] = copy->to[i]; /* so that no copy can be left out */
    }
    *seconds = measure_now() - start;
    return 0;
}

int measure_copy(double *bytes_per_second, struct bgd_err *err)
{
    struct copy copy = {malloc(MEASURE_COPY_BYTES), malloc(MEASURE_COPY_BYTES)};
    double seconds;
    int code = copy.to && copy.from ? 0 : err_set(err, BGD_MEMORY, "out of memory for a copy of %u bytes", MEASURE_COPY_BYTES);
    if (!code) {
        memset(copy.from, 1, MEASURE_COPY_BYTES); /* memory that was never written is one page of zeros */
        code = measure_fastest(copy_row, &copy, &seconds, err);
    }
    if (!code)
        *bytes_per_second = 2.0 * MEASURE_COPY_BYTES / seconds;
    free(copy.to);
    free(copy.from);
    return code;
}

/* ---------------------------------------------------------------- steps */

int measure_steps_open(struct measure_steps *m, const struct bgd_model *model, const uint32_t *leaders, uint32_t repeats,
                       struct bgd_err *err)
{
    size_t n = model->header->n_ops;
    *m = (struct measure_steps){model, leaders, repeats, calloc(n * repeats, sizeof *m->seconds), calloc(n, sizeof *m->steps)};
    return m->seconds && m->steps ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

void measure_steps_close(struct measure_steps *m)
{
    free(m->seconds);
    free(m->steps);
    *m = (struct measure_steps){0};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds, uint32_t n)
{
    qsort(seconds, n, sizeof *seconds, compare);
    return (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
}

/* That of the latest of the steps that compute an input of op i. */
static const struct backend_op_time *latest_input(const struct bgd_model *model, uint32_t i,
                                                  const struct backend_op_time *times)
{
    const struct backend_op_time *latest = NULL;
    const struct bgd_format_op *op = &model->ops[i];
    for (uint32_t k = 0; k < op->n_inputs; k++) {
        if (op->inputs[k] < model->header->n_inputs)
            continue;
        const struct backend_op_time *time = &times[op->inputs[k] - model->header->n_inputs];
        latest = latest && latest->step > time->step ? latest : time;
    }
    return latest;
}

void measure_steps_times(const struct measure_steps *m, struct backend_op_time *times)
{
    uint32_t n_steps = 0;
    for (uint32_t i = 0; i < m->model->header->n_ops; i++) {
        uint32_t leader = m->leaders ? m->leaders[i] : i;
        const struct backend_op_time *input = m->steps[leader] ? NULL : latest_input(m->model, i, times);
        if (leader != i)
            times[i] = times[leader];
        else if (input)
            times[i] = *input;
        else
            times[i] = (struct backend_op_time){n_steps++, median(m->seconds + (size_t)i * m->repeats, m->repeats)};
    }
}
