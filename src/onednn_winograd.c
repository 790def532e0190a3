/*
 * Convolutions of 3x3 by fewer multiplications: Winograd's minimal filtering F(4x4, 3x3), as in A. Lavin and S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
 *
 * A tile of 6x6 values, where neighbours overlap by two, makes 4x4 of the output: Y = A' [(G g G') * (B' d B)] A. So the sum over
 * the channels is 36 matrix products instead of one for each of 9 weights at 16 places: a quarter of the multiplications. Three
 * steps do it: a loop that splits the input into 36 parts (c, tiles), a 1x1 convolution of oneDNN's for each, and a loop that
 * joins the 36 (k, tiles) to the output, and adds bias, activations and a residual in passing.
 *
 * The matrices are those of Toom and Cook for polynomials at the points 0, P, -P, Q, -Q and infinity. Lavin and Gray take 1 and 2;
 * at 5/8 and 3/2 the largest error is nearly 5 times smaller, and the root mean square 1.7 times that of a plain sum
 * (bench/winograd_points); all constants but those of G are still exact.
 *
 * Both loops work on blocks of channels, LANES at a time: (n, c / B, h w, B), B of 8 or 16.
 */
#include "onednn.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define SIDE 6u /* of a tile of the input */
#define STEP 4u /* of what it makes of the output, and so from one tile to the next */
#define PARTS WINOGRAD_PARTS

#define P 0.625f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)

static uint32_t tiles_along(uint32_t out)
{
    return (out + STEP - 1) / STEP;
}

struct shape onednn_winograd_tiles(struct shape out, uint32_t c, uint32_t pictures)
{
    return (struct shape){c, pictures * tiles_along(out.h), tiles_along(out.w)};
}

/* ---------------------------------------------------------------- B' d B */

LANES_INLINE void split_line(const lanes d[SIDE], lanes *v, size_t step)
{
    lanes a = d[4] - QQ * d[2], b = P * (d[3] - QQ * d[1]), c = d[4] - PP * d[2], e = Q * (d[3] - PP * d[1]);
    v[0] = PP * QQ * d[0] - (PP + QQ) * d[2] + d[4];
    v[step] = a + b;
    v[2 * step] = a - b;
    v[3 * step] = c + e;
    v[4 * step] = c - e;
    v[5 * step] = PP * QQ * d[1] - (PP + QQ) * d[3] + d[5];
}

/* Row `y` of `plane` from column x on, zero outside; `block` floats from pixel to pixel. */
LANES_INLINE void load_row(const float *plane, struct shape s, uint32_t block, int64_t y, int64_t x, lanes d[SIDE])
{
    const float *row = plane + ((ptrdiff_t)y * s.w + x) * block;
    bool inside = y >= 0 && y < s.h;
    if (inside && x >= 0 && x + SIDE <= s.w) {
        for (uint32_t j = 0; j < SIDE; j++)
            d[j] = lanes_load(row + (size_t)j * block);
        return;
    }
    for (uint32_t j = 0; j < SIDE; j++)
        d[j] = inside && x + j >= 0 && x + j < s.w ? lanes_load(row + (ptrdiff_t)j * block) : (lanes){0};
}

LANES_INLINE void split_tile(const float *plane, struct shape s, uint32_t block, int64_t y, int64_t x, float *out, size_t part)
{
    lanes d[SIDE], halfway[PARTS], column[SIDE];
    for (uint32_t i = 0; i < SIDE; i++) {
        load_row(plane, s, block, y + i, x, d);
        split_line(d, halfway + (size_t)i * SIDE, 1);
    }
    for (uint32_t j = 0; j < SIDE; j++) {
        for (uint32_t i = 0; i < SIDE; i++)
            d[i] = halfway[i * SIDE + j];
        split_line(d, column, 1);
        for (uint32_t i = 0; i < SIDE; i++)
            lanes_store(out + (i * SIDE + j) * part, column[i]);
    }
}

LANES_CLONES static void run_split(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                   float *scratch)
{
    (void)scratch;
    struct shape in = loop->in[0];
    const struct bgd_window *w = &loop->op->window;
    uint32_t block = loop->block, blocks = in.c / block, rows = tiles_along(loop->out.h), columns = tiles_along(loop->out.w);
    size_t plane = (size_t)in.h * in.w * block, tiles = (size_t)loop->tile * rows * columns;
    size_t n_tiles = (size_t)pictures * rows * columns;
    for (uint32_t b = 0; b < blocks; b++)
        for (size_t t = 0; t < n_tiles; t++) {
            size_t n = t / (rows * columns);
            int64_t y = (int64_t)(t / columns % rows) * STEP - w->pad_top, x = (int64_t)(t % columns) * STEP - w->pad_left;
            const float *source = sources[0] + (n * blocks + b) * plane;
            for (uint32_t k = 0; k < block; k += LANES)
                split_tile(source + k, in, block, y, x, target + (b * tiles + t) * block + k, loop->part);
        }
}

/* ---------------------------------------------------------------- A' m A */

LANES_INLINE void join_line(const lanes m[SIDE], lanes y[STEP])
{
    lanes a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = P * b + Q * d;
    y[2] = PP * a + QQ * c;
    y[3] = P * PP * b + Q * QQ * d + m[5];
}

/* A sum that overflows in parts of both signs is no number, or of the wrong sign, where a plain one is infinite; an activation would
 * make a plausible 0 of it. */
LANES_INLINE lanes keep_overflow(lanes y)
{
    const lanes infinity = (lanes){0} + INFINITY, none = y - y;
    return lanes_choose(none != none, infinity, y);
}

/* What becomes of an output: the bias, an activation, a residual (or NULL) and an activation behind that. */
struct finish {
    lanes bias;
    const float *residual;
    enum onednn_activation first, last;
};

LANES_INLINE void join_tile(const float *in, size_t part, const struct finish *finish, struct shape s, uint32_t block,
                            uint32_t y, uint32_t x, float *plane)
{
    lanes m[SIDE], halfway[STEP][SIDE], row[STEP];
    for (uint32_t j = 0; j < SIDE; j++) {
        lanes column[STEP];
        for (uint32_t i = 0; i < SIDE; i++)
            m[i] = lanes_load(in + (i * SIDE + j) * part);
        join_line(m, column);
        for (uint32_t i = 0; i < STEP; i++)
            halfway[i][j] = column[i];
    }
    uint32_t height = s.h - y < STEP ? s.h - y : STEP, width = s.w - x < STEP ? s.w - x : STEP;
    for (uint32_t i = 0; i < height; i++) {
        join_line(halfway[i], row);
        for (uint32_t j = 0; j < width; j++) {
            size_t at = ((size_t)(y + i) * s.w + x + j) * block;
            lanes value = onednn_activate(finish->first, keep_overflow(row[j]) + finish->bias);
            if (finish->residual)
                value = onednn_activate(finish->last, value + lanes_load(finish->residual + at));
            lanes_store(plane + at, value);
        }
    }
}

LANES_CLONES static void run_join(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                  float *scratch)
{
    (void)scratch;
    struct shape out = loop->out;
    const float *bias = loop->tables;
    uint32_t block = loop->block, blocks = out.c / block, rows = tiles_along(out.h), columns = tiles_along(out.w);
    size_t plane = (size_t)out.h * out.w * block, tiles = (size_t)loop->tile * rows * columns;
    size_t n_tiles = (size_t)pictures * rows * columns;
    for (uint32_t b = 0; b < blocks; b++)
        for (size_t t = 0; t < n_tiles; t++) {
            size_t at = (t / (rows * columns) * blocks + b) * plane;
            uint32_t y = (uint32_t)(t / columns % rows) * STEP, x = (uint32_t)(t % columns) * STEP;
            for (uint32_t k = 0; k < block; k += LANES) {
                const struct finish finish = {.bias = lanes_load(bias + b * block + k),
                                              .residual = loop->residual ? sources[1] + at + k : NULL,
                                              .first = loop->first,
                                              .last = loop->last};
                join_tile(sources[0] + (b * tiles + t) * block + k, loop->part, &finish, out, block, y, x, target + at + k);
            }
        }
}

/* ---------------------------------------------------------------- G g G' */

/* The filters of eight outputs side by side, in double. */
typedef double wide __attribute__((vector_size(LANES * sizeof(double))));

LANES_INLINE void weigh_line(const wide g[3], wide u[SIDE])
{
    const double p = P, q = Q, pp = p * p, qq = q * q;
    u[0] = g[0] / (pp * qq);
    u[1] = (g[0] + p * g[1] + pp * g[2]) / (2 * pp * (pp - qq));
    u[2] = (g[0] - p * g[1] + pp * g[2]) / (2 * pp * (pp - qq));
    u[3] = (g[0] + q * g[1] + qq * g[2]) / (2 * qq * (qq - pp));
    u[4] = (g[0] - q * g[1] + qq * g[2]) / (2 * qq * (qq - pp));
    u[5] = g[2];
}

/* `filter` is the first output's; from one to the next are `step` floats. */
LANES_INLINE void weigh_filter(const float *filter, size_t step, float *out, size_t part)
{
    wide halfway[SIDE][3], g[3], u[SIDE];
    for (uint32_t j = 0; j < 3; j++) {
        for (uint32_t i = 0; i < 3; i++)
            for (uint32_t k = 0; k < LANES; k++)
                g[i][k] = filter[k * step + 3 * i + j];
        weigh_line(g, u);
        for (uint32_t i = 0; i < SIDE; i++)
            halfway[i][j] = u[i];
    }
    for (uint32_t i = 0; i < SIDE; i++) {
        weigh_line(halfway[i], u);
        for (uint32_t j = 0; j < SIDE; j++)
            lanes_store(out + (i * SIDE + j) * part, __builtin_convertvector(u[j], lanes));
    }
}

LANES_CLONES void onednn_winograd_weights(const float *weights, uint32_t k, uint32_t c, uint32_t block, float *out, size_t part)
{
    assert(k % block == 0 && c % block == 0 && block % LANES == 0);
    for (uint32_t first = 0; first < k; first += block)
        for (uint32_t i = 0; i < c; i++, out += block)
            for (uint32_t o = 0; o < block; o += LANES)
                weigh_filter(weights + 9 * ((size_t)(first + o) * c + i), 9 * (size_t)c, out + o, part);
}

/* ---------------------------------------------------------------- */

bool onednn_winograd_suits(const struct bgd_format_op *op, struct shape in, struct shape out)
{
    const struct bgd_window *w = &op->window;
    return op->groups == 1 && w->kernel_h == 3 && w->kernel_w == 3 && w->stride_h == 1 && w->stride_w == 1 &&
           w->dilation_h == 1 && w->dilation_w == 1 && in.c >= 32 && out.c >= 32 &&
           9ull * out.h * out.w >= 2ull * PARTS * tiles_along(out.h) * tiles_along(out.w);
}

struct loop *onednn_winograd_split(const struct bgd_format_op *op, uint32_t tile, struct shape in, struct shape out,
                                   uint32_t block, size_t part)
{
    assert(in.c % block == 0 && block % LANES == 0);
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop)
        *loop = (struct loop){.run = run_split, .op = op, .tile = tile, .in = {in}, .out = out, .block = block, .part = part};
    return loop;
}

struct loop *onednn_winograd_join(uint32_t tile, struct shape out, uint32_t block, size_t part, const float *bias)
{
    assert(out.c % block == 0 && block % LANES == 0);
    struct loop *loop = calloc(1, sizeof *loop);
    float *own = malloc(out.c * sizeof *own);
    if (!loop || !own) {
        free(loop);
        free(own);
        return NULL;
    }
    memcpy(own, bias, out.c * sizeof *own);
    *loop = (struct loop){.run = run_join, .tile = tile, .out = out, .block = block, .part = part, .tables = own};
    return loop;
}
