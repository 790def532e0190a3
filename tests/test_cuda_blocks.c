/*
 * kernel_expand and kernel_project, on the emulated device, against plain loops in double: on shapes that fill no tile, in
 * slices of wider values, and with one picture at many places of a batch. That networks come out right with them: test_cuda,
 * test_cuda_networks.
 */
#include "half.h"
#include "kernels.h"
#include "random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GARBAGE 0x4248u /* what lies around values: finite in both types, 3.14 in f16 */
#define SLICE_AT 8u     /* where a slice begins in its wider value */

/* A batch on the device. */
struct values {
    struct kernel_value value; /* of the first picture */
    uint32_t n;
    uint16_t *data; /* the wider value, if it is a slice */
};

/* ---------------------------------------------------------------- elements */

static uint16_t encode(enum kernel_type type, float x)
{
    if (type == KERNEL_F16)
        return half_from_float(x);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static float decode(enum kernel_type type, uint16_t element)
{
    uint32_t bits = (uint32_t)element << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return type == KERNEL_F16 ? half_to_float(element) : x;
}

/* Half a unit in the last place, relative. */
static double rounding(enum kernel_type type)
{
    return type == KERNEL_F16 ? 0x1p-11 : 0x1p-8;
}

static double rounded(enum kernel_type type, double x)
{
    return (double)decode(type, encode(type, (float)x));
}

static size_t index_of(const struct values *v, size_t pixel, uint32_t channel)
{
    return pixel * v->value.pitch + (v->value.pitch > kernel_lanes(v->value.c) ? SLICE_AT : 0) + channel;
}

static double get(const struct values *v, size_t pixel, uint32_t channel)
{
    return (double)decode(v->value.type, v->data[index_of(v, pixel, channel)]);
}

static size_t pixels(const struct values *v)
{
    return (size_t)v->n * v->value.h * v->value.w;
}

/* Multiples of 1/64 in -1 .. 1, exact in both types; with `copies`, all pictures are the first. */
static struct values make(enum kernel_type type, uint32_t n, uint32_t c, uint32_t h, uint32_t w, bool slice, bool copies,
                          uint64_t seed)
{
    struct values v = {{NULL, c, h, w, kernel_lanes(c) + (slice ? 24 : 0), type}, n, NULL};
    size_t elements = pixels(&v) * v.value.pitch;
    v.data = malloc(elements * sizeof *v.data);
    for (size_t i = 0; i < elements; i++)
        v.data[i] = GARBAGE;
    for (size_t pixel = 0; pixel < pixels(&v); pixel++)
        for (uint32_t k = 0; k < c; k++) {
            size_t at = (copies ? pixel % ((size_t)h * w) : pixel) * c + k;
            v.data[index_of(&v, pixel, k)] = encode(type, floorf(random_at(seed, at) * 64) / 64);
        }
    v.value.data = v.data + index_of(&v, 0, 0);
    return v;
}

/* Around a slice nothing has changed. */
static void check_outside(const struct values *y)
{
    uint32_t lanes = kernel_lanes(y->value.c);
    for (size_t pixel = 0; pixel < pixels(y) && y->value.pitch > lanes; pixel++)
        for (uint32_t k = 0; k < y->value.pitch; k++)
            if (k < SLICE_AT || k >= SLICE_AT + lanes)
                cr_assert_eq(y->data[pixel * y->value.pitch + k], GARBAGE, "pixel %zu, lane %u was written", pixel, k);
}

/* The last picture's elements, at other places in the batch: the same bits. */
static void check_copies(const struct values *y)
{
    size_t plane = (size_t)y->value.h * y->value.w;
    for (size_t pixel = plane; pixel < pixels(y); pixel++)
        for (uint32_t k = 0; k < y->value.c; k++)
            cr_assert_eq(y->data[index_of(y, pixel, k)], y->data[index_of(y, pixel % plane, k)],
                         "picture %zu, pixel %zu, channel %u", pixel / plane, pixel % plane, k);
}

/* ---------------------------------------------------------------- weights and functions */

/* Likewise exact, and of the size that keeps sums of so many products near 1; `count` of them, then zeros. */
static float *weights(size_t count, size_t size, uint32_t taps, uint64_t seed)
{
    float *w = calloc(size, sizeof *w), scale = 1;
    while (scale * scale * (float)taps > 3)
        scale /= 2;
    for (size_t i = 0; i < count; i++)
        w[i] = scale * floorf(random_at(seed, i) * 64) / 64;
    return w;
}

/* (out, in) as the kernels want it. */
static uint16_t *chunked(enum kernel_type type, const float *w, uint32_t in, uint32_t out, uint32_t chunk)
{
    uint32_t lanes = kernel_lanes(out);
    uint16_t *y = calloc((size_t)(in + chunk - 1) / chunk * lanes * chunk, sizeof *y);
    for (uint32_t i = 0; i < out; i++)
        for (uint32_t k = 0; k < in; k++)
            y[((size_t)(k / chunk) * lanes + i) * chunk + k % chunk] = encode(type, w[(size_t)i * in + k]);
    return y;
}

static double activate(double x, enum kernel_activation f)
{
    return f == KERNEL_SILU ? x / (1 + exp(-x)) : f == KERNEL_RELU ? fmax(x, 0) : x;
}

/* ---------------------------------------------------------------- project */

struct project_case {
    uint32_t n, c, h, w, out;
    bool residual, slice;
    enum kernel_activation f;
};

static const struct project_case project_cases[] = {
    {1, 32, 16, 12, 16, false, false, KERNEL_NONE}, {2, 96, 9, 11, 24, true, false, KERNEL_NONE},
    {3, 144, 7, 5, 40, true, true, KERNEL_NONE},    {2, 240, 6, 5, 80, false, true, KERNEL_NONE},
    {5, 672, 3, 3, 112, false, false, KERNEL_NONE}, {2, 64, 5, 3, 192, true, false, KERNEL_NONE},
    {3, 1152, 3, 4, 320, false, true, KERNEL_NONE}, {2, 19, 3, 3, 13, true, false, KERNEL_SILU},
    {4, 8, 5, 5, 1, false, false, KERNEL_RELU},     {1, 72, 33, 1, 104, true, false, KERNEL_NONE},
    {7, 40, 1, 2, 56, false, false, KERNEL_NONE},   {1, 33, 2, 64, 31, true, false, KERNEL_NONE},
};

static struct values run_project(const struct project_case *p, enum kernel_type type, bool copies, struct values *x,
                                 struct values *gate, struct values *residual, float **w, float **bias)
{
    *x = make(type, p->n, p->c, p->h, p->w, p->slice, copies, 1);
    *gate = make(type, p->n, p->c, 1, 1, false, copies, 2);
    *residual = make(type, p->n, p->out, p->h, p->w, p->slice, copies, 3);
    *w = weights((size_t)p->out * p->c, (size_t)p->out * p->c, p->c, 4);
    *bias = weights(p->out, kernel_lanes(p->out), 1, 5);
    uint16_t *packed = chunked(type, *w, p->c, p->out, KERNEL_PROJECT_CHUNK);
    struct values y = make(type, p->n, p->out, p->h, p->w, p->slice, false, 6);
    struct kernel_value added = residual->value;
    added.data = p->residual ? added.data : NULL;
    cr_assert_eq(kernel_project(NULL, p->n, x->value, gate->value, packed, *bias, added, p->f, y.value), cudaSuccess);
    free(packed);
    return y;
}

static void check_project(const struct project_case *p, enum kernel_type type)
{
    struct values x, gate, residual;
    float *w, *bias;
    struct values y = run_project(p, type, false, &x, &gate, &residual, &w, &bias);
    for (size_t pixel = 0; pixel < pixels(&y); pixel++)
        for (uint32_t i = 0; i < p->out; i++) {
            double sum = (double)bias[i] + (p->residual ? get(&residual, pixel, i) : 0);
            for (uint32_t k = 0; k < p->c; k++)
                sum += rounded(type, get(&x, pixel, k) * get(&gate, pixel / ((size_t)p->h * p->w), k)) *
                       (double)w[(size_t)i * p->c + k];
            double expected = activate(sum, p->f), bound = 2 * rounding(type) * fmax(1, fabs(expected));
            cr_assert_leq(fabs(get(&y, pixel, i) - expected), bound, "%u -> %u, pixel %zu, channel %u: %g, expected %g", p->c,
                          p->out, pixel, i, get(&y, pixel, i), expected);
        }
    check_outside(&y);
    free(x.data), free(gate.data), free(residual.data), free(y.data), free(w), free(bias);
}

Test(cuda_blocks, a_projection_is_the_product_of_what_is_gated)
{
    for (size_t i = 0; i < sizeof project_cases / sizeof *project_cases; i++) {
        check_project(&project_cases[i], KERNEL_F16);
        check_project(&project_cases[i], KERNEL_BF16);
    }
}

/* 35 pixels of each: no tile of 16 or 32 begins at the same one in two pictures. */
Test(cuda_blocks, a_projected_picture_has_the_same_bits_anywhere)
{
    const struct project_case p = {9, 144, 7, 5, 40, true, false, KERNEL_NONE};
    struct values x, gate, residual;
    float *w, *bias;
    struct values y = run_project(&p, KERNEL_F16, true, &x, &gate, &residual, &w, &bias);
    check_copies(&y);
    free(x.data), free(gate.data), free(residual.data), free(y.data), free(w), free(bias);
}

/* ---------------------------------------------------------------- expand */

struct expand_case {
    uint32_t n, c, h, w, expanded, kernel, stride, pads[4]; /* top, left, bottom, right */
    bool slice;
    enum kernel_activation f, g;
};

static const struct expand_case expand_cases[] = {
    {2, 16, 16, 12, 96, 3, 2, {0, 0, 1, 1}, false, KERNEL_SILU, KERNEL_SILU}, /* EfficientNet-B0's blocks 1 to 4 */
    {2, 24, 16, 12, 144, 3, 1, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_SILU},
    {1, 24, 17, 13, 144, 5, 2, {2, 2, 2, 2}, true, KERNEL_SILU, KERNEL_SILU},
    {2, 40, 9, 11, 240, 5, 1, {2, 2, 2, 2}, true, KERNEL_SILU, KERNEL_SILU},
    {2, 3, 5, 4, 19, 3, 1, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_NONE}, /* channels that are padded */
    {1, 13, 7, 7, 50, 5, 2, {1, 2, 2, 1}, false, KERNEL_RELU, KERNEL_SILU},
    {1, 24, 41, 40, 8, 5, 1, {2, 2, 2, 2}, false, KERNEL_SILU, KERNEL_SILU}, /* many tiles */
    {1, 8, 65, 30, 56, 3, 2, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_SILU},
    {1, 64, 33, 21, 48, 3, 1, {1, 1, 1, 1}, false, KERNEL_NONE, KERNEL_NONE},
    {3, 8, 1, 1, 8, 3, 1, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_SILU},
    {1, 16, 3, 50, 16, 3, 1, {0, 2, 2, 0}, false, KERNEL_SILU, KERNEL_SILU},
    {1, 16, 50, 3, 16, 5, 2, {4, 0, 0, 4}, false, KERNEL_SILU, KERNEL_SILU},
};

/* What a run needs and makes. */
struct expand_run {
    struct bgd_window window;
    struct values x, y;
    float *w1, *b1, *w2, *b2; /* (expanded, c), (expanded), (kernel, kernel, padded expanded), (padded expanded) */
    struct kernel_sums sums;
};

static struct expand_run run_expand(const struct expand_case *e, enum kernel_type type, bool copies)
{
    uint32_t lanes = kernel_lanes(e->expanded), taps = e->kernel * e->kernel;
    struct expand_run r = {
        .window = {e->kernel, e->kernel, e->stride, e->stride, e->pads[0], e->pads[1], e->pads[2], e->pads[3], 1, 1},
        .x = make(type, e->n, e->c, e->h, e->w, e->slice, copies, 1),
        .w1 = weights((size_t)e->expanded * e->c, (size_t)e->expanded * e->c, e->c, 2),
        .b1 = weights(e->expanded, lanes, 1, 3),
        .w2 = weights((size_t)taps * lanes, (size_t)taps * lanes, taps, 4),
        .b2 = weights(e->expanded, lanes, 1, 5)};
    for (uint32_t i = 0; i < taps; i++) /* 0 in the padding */
        memset(r.w2 + (size_t)i * lanes + e->expanded, 0, (lanes - e->expanded) * sizeof *r.w2);
    uint32_t out_h = (e->h + e->pads[0] + e->pads[2] - e->kernel) / e->stride + 1;
    uint32_t out_w = (e->w + e->pads[1] + e->pads[3] - e->kernel) / e->stride + 1;
    r.y = make(type, e->n, e->expanded, out_h, out_w, e->slice, false, 6);
    r.sums.tiles = kernel_expand_tiles(&r.window, r.y.value);
    size_t n = (size_t)e->n * r.sums.tiles * lanes;
    r.sums.data = malloc(n * sizeof *r.sums.data);
    memset(r.sums.data, 0xff, n * sizeof *r.sums.data); /* NAN */
    uint16_t *packed = chunked(type, r.w1, e->c, e->expanded, KERNEL_EXPAND_CHUNK);
    cr_assert_eq(kernel_expand(NULL, e->n, r.x.value, packed, r.b1, e->f, &r.window, r.w2, r.b2, e->g, r.y.value, r.sums),
                 cudaSuccess);
    free(packed);
    return r;
}

static void free_expand(struct expand_run *r)
{
    free(r->x.data), free(r->y.data), free(r->sums.data);
    free(r->w1), free(r->b1), free(r->w2), free(r->b2);
}

/* (pixels of x, expanded), rounded. */
static double *expanded_reference(const struct expand_case *e, const struct expand_run *r, enum kernel_type type)
{
    double *y = malloc(pixels(&r->x) * e->expanded * sizeof *y);
    for (size_t pixel = 0; pixel < pixels(&r->x); pixel++)
        for (uint32_t i = 0; i < e->expanded; i++) {
            double sum = (double)r->b1[i];
            for (uint32_t k = 0; k < e->c; k++)
                sum += get(&r->x, pixel, k) * (double)r->w1[(size_t)i * e->c + k];
            y[pixel * e->expanded + i] = rounded(type, activate(sum, e->f));
        }
    return y;
}

/* Output (picture, row, column) of channel i before its activation; *size is the sum of its terms' sizes. */
static double depthwise_reference(const struct expand_case *e, const struct expand_run *r, const double *expanded,
                                  const size_t at[3], uint32_t i, double *size)
{
    double sum = (double)r->b2[i];
    *size = 0;
    for (uint32_t kh = 0; kh < e->kernel; kh++)
        for (uint32_t kw = 0; kw < e->kernel; kw++) {
            size_t row = at[1] * e->stride + kh - e->pads[0], column = at[2] * e->stride + kw - e->pads[1];
            if (row >= e->h || column >= e->w) /* below 0: a large one */
                continue;
            double term = expanded[((at[0] * e->h + row) * e->w + column) * e->expanded + i] *
                          (double)r->w2[(size_t)(kh * e->kernel + kw) * kernel_lanes(e->expanded) + i];
            sum += term;
            *size += fabs(term);
        }
    return sum;
}

/* A channel's sums over the tiles of a picture are its sum over the pixels. */
static void check_sums(const struct expand_run *r)
{
    const struct values *y = &r->y;
    size_t plane = (size_t)y->value.h * y->value.w;
    uint32_t lanes = kernel_lanes(y->value.c);
    for (size_t picture = 0; picture < y->n; picture++)
        for (uint32_t i = 0; i < y->value.c; i++) {
            double sum = 0, expected = 0, largest = 1;
            for (uint32_t tile = 0; tile < r->sums.tiles; tile++)
                sum += (double)r->sums.data[(picture * r->sums.tiles + tile) * lanes + i];
            for (size_t pixel = picture * plane; pixel < (picture + 1) * plane; pixel++) {
                expected += get(y, pixel, i);
                largest = fmax(largest, fabs(get(y, pixel, i)));
            }
            double bound = 1.1 * rounding(y->value.type) * largest * (double)plane;
            cr_assert_leq(fabs(sum - expected), bound, "picture %zu, channel %u: sums %g, expected %g", picture, i, sum,
                          expected);
        }
}

static void check_expand(const struct expand_case *e, enum kernel_type type)
{
    struct expand_run r = run_expand(e, type, false);
    double *expanded = expanded_reference(e, &r, type);
    for (size_t pixel = 0; pixel < pixels(&r.y); pixel++)
        for (uint32_t i = 0; i < e->expanded; i++) {
            size_t plane = (size_t)r.y.value.h * r.y.value.w;
            const size_t at[] = {pixel / plane, pixel % plane / r.y.value.w, pixel % r.y.value.w};
            double size, expected = activate(depthwise_reference(e, &r, expanded, at, i, &size), e->g);
            double bound = 2 * rounding(type) * (fmax(1, fabs(expected)) + size); /* an expanded value may round elsewhere */
            cr_assert_leq(fabs(get(&r.y, pixel, i) - expected), bound,
                          "%u x %u x %u -> %u, picture %zu, pixel %zu %zu, channel %u: %g, expected %g", e->c, e->h, e->w,
                          e->expanded, at[0], at[1], at[2], i, get(&r.y, pixel, i), expected);
        }
    check_outside(&r.y);
    check_sums(&r);
    free(expanded);
    free_expand(&r);
}

Test(cuda_blocks, an_expansion_is_two_convolutions_and_sums)
{
    for (size_t i = 0; i < sizeof expand_cases / sizeof *expand_cases; i++) {
        check_expand(&expand_cases[i], KERNEL_F16);
        check_expand(&expand_cases[i], KERNEL_BF16);
    }
}

Test(cuda_blocks, an_expanded_picture_has_the_same_bits_anywhere)
{
    const struct expand_case e = {5, 24, 23, 21, 56, 3, 1, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_SILU};
    struct expand_run r = run_expand(&e, KERNEL_F16, true);
    check_copies(&r.y);
    size_t of_picture = (size_t)r.sums.tiles * kernel_lanes(e.expanded) * sizeof *r.sums.data;
    for (uint32_t i = 1; i < e.n; i++)
        cr_expect_eq(memcmp((char *)r.sums.data + i * of_picture, r.sums.data, of_picture), 0, "sums of picture %u", i);
    free_expand(&r);
}

Test(cuda_blocks, sums_that_nobody_wants_are_not_made)
{
    const struct expand_case e = {1, 16, 9, 9, 24, 3, 1, {1, 1, 1, 1}, false, KERNEL_SILU, KERNEL_SILU};
    struct expand_run r = run_expand(&e, KERNEL_F16, false);
    uint16_t *packed = chunked(KERNEL_F16, r.w1, e.c, e.expanded, KERNEL_EXPAND_CHUNK);
    struct values y = make(KERNEL_F16, e.n, e.expanded, e.h, e.w, false, false, 7);
    cr_assert_eq(
        kernel_expand(NULL, e.n, r.x.value, packed, r.b1, e.f, &r.window, r.w2, r.b2, e.g, y.value, (struct kernel_sums){0}),
        cudaSuccess);
    cr_expect_eq(memcmp(y.data, r.y.data, pixels(&y) * y.value.pitch * sizeof *y.data), 0);
    free(packed);
    free(y.data);
    free_expand(&r);
}
