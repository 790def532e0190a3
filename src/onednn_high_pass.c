/* The high-pass of TRACER's edges (high_pass.h), by sums over the frequencies that are taken away. */
#include "onednn.h"

#include "high_pass.h"

#include <math.h>

/* Planes are transformed side by side, a lane each: so all sums are of lanes, whatever a plane's sides are. */
struct lanes_complex {
    lanes re, im;
};

/* Terms that are added before their sum joins the others: the more follow one another, the more is rounded away. */
#define RUN 12u

static uint32_t end_of_run(uint32_t k, uint32_t n)
{
    return n - k < RUN ? n : k + RUN;
}

/* Sum over k of x[k step] times a wave at k. */
LANES_INLINE void sum_real(uint32_t n, const lanes *x, size_t step, const float *wave_re, const float *wave_im,
                           struct lanes_complex *sum)
{
    *sum = (struct lanes_complex){0};
    for (uint32_t k = 0; k < n;) {
        struct lanes_complex run = {0};
        for (uint32_t end = end_of_run(k, n); k < end; k++, x += step) {
            run.re += *x * wave_re[k];
            run.im += *x * wave_im[k];
        }
        sum->re += run.re;
        sum->im += run.im;
    }
}

/* The same of complex numbers; of the waves' conjugates where `sign` is -1. */
LANES_INLINE void sum_complex(uint32_t n, const struct lanes_complex *x, size_t step, const float *wave_re,
                              const float *wave_im, size_t wave_step, float sign, struct lanes_complex *sum)
{
    *sum = (struct lanes_complex){0};
    for (uint32_t k = 0; k < n;) {
        lanes re_re = {0}, im_im = {0}, re_im = {0}, im_re = {0};
        for (uint32_t end = end_of_run(k, n); k < end; k++, x += step, wave_re += wave_step, wave_im += wave_step) {
            re_re += x->re * *wave_re;
            im_im += x->im * *wave_im;
            re_im += x->re * *wave_im;
            im_re += x->im * *wave_re;
        }
        sum->re += re_re - sign * im_im;
        sum->im += sign * re_im + im_re;
    }
}

/* The steps are those of kernels/high_pass.cu: down the columns, across, back across, back down. */
struct high_pass_work {
    lanes *x;                    /* (h, w) */
    struct lanes_complex *line;  /* (w): frequency u of every column */
    struct lanes_complex *waves; /* (nv): and v of that */
    struct lanes_complex *low;   /* (nu, w): back across */
};

size_t onednn_high_pass_bytes(const struct high_pass *t, struct shape s)
{
    return sizeof(lanes) * ((size_t)s.h * s.w + 2 * ((size_t)s.w + t->nv + (size_t)t->nu * s.w));
}

static struct high_pass_work divide_work(const struct high_pass *t, struct shape s, float *scratch)
{
    struct high_pass_work work = {.x = (lanes *)(void *)scratch};
    work.line = (struct lanes_complex *)(work.x + (size_t)s.h * s.w);
    work.waves = work.line + s.w;
    work.low = work.waves + t->nv;
    return work;
}

/* Leaves |x - low| in work->x. */
LANES_INLINE void high_pass_planes(const struct high_pass *t, struct shape s, const struct high_pass_work *work)
{
    for (uint32_t u = 0; u < t->nu; u++) {
        const float *row_re = t->row_re + (size_t)u * s.h, *row_im = t->row_im + (size_t)u * s.h;
        const float *inside = t->inside + (size_t)u * t->nv;
        for (uint32_t j = 0; j < s.w; j++)
            sum_real(s.h, work->x + j, s.w, row_re, row_im, &work->line[j]);
        for (uint32_t v = 0; v < t->nv; v++) {
            struct lanes_complex *sum = &work->waves[v];
            *sum = (struct lanes_complex){0};
            if (inside[v] == 0)
                continue;
            sum_complex(s.w, work->line, 1, t->col_re + (size_t)v * s.w, t->col_im + (size_t)v * s.w, 1, 1, sum);
            sum->re *= inside[v];
            sum->im *= inside[v];
        }
        for (uint32_t j = 0; j < s.w; j++)
            sum_complex(t->nv, work->waves, 1, t->col_re + j, t->col_im + j, s.w, -1, &work->low[(size_t)u * s.w + j]);
    }
    for (uint32_t r = 0; r < s.h; r++)
        for (uint32_t j = 0; j < s.w; j++) {
            struct lanes_complex low;
            sum_complex(t->nu, work->low + j, s.w, t->row_re + r, t->row_im + r, s.h, -1, &low);
            lanes *x = &work->x[(size_t)r * s.w + j], re = *x - low.re, square = re * re + low.im * low.im;
            for (uint32_t k = 0; k < LANES; k++)
                (*x)[k] = sqrtf(square[k]);
        }
}

LANES_CLONES void onednn_high_pass(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                   float *scratch)
{
    struct shape s = loop->out;
    const struct high_pass_work work = divide_work(loop->tables, s, scratch);
    uint32_t n = pictures * s.c;
    size_t plane = (size_t)s.h * s.w;
    for (uint32_t first = 0; first < n; first += LANES) {
        uint32_t count = n - first < LANES ? n - first : LANES;
        const float *x = sources[0] + first * plane;
        float *y = target + first * plane;
        for (size_t i = 0; i < plane; i++)
            for (uint32_t k = 0; k < LANES; k++)
                work.x[i][k] = k < count ? x[k * plane + i] : 0;
        high_pass_planes(loop->tables, s, &work);
        for (uint32_t k = 0; k < count; k++)
            for (size_t i = 0; i < plane; i++)
                y[k * plane + i] = work.x[i][k];
    }
}
