/*
 * What oneDNN has no fast primitive for, as loops in f32 over a tile of pictures: concat, upsample, means, LRN, add and
 * mul with a repeated operand, attention, quantile mask, denoise.
 *
 * The loops over pictures work in each of oneDNN's usual layouts, so that no reorder stands around them: channels lie in
 * blocks of B, (n, c / B, h w, B). B = 1 is nchw, B = c is nhwc, 8 and 16 are the layouts of AVX2 and AVX-512.
 */
#include "onednn.h"

#include "err.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Floats of a picture of that shape, channels of a last block that is not full included. */
static size_t picture_size(struct shape s, uint32_t block)
{
    return (size_t)blocks_of(s.c, block) * block * s.h * s.w;
}

/* ---------------------------------------------------------------- add, mul */

LANES_INLINE void combine(bool multiply, size_t n, const float *restrict x, const float *restrict y, float *restrict out)
{
    if (multiply)
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] * y[i];
    else
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] + y[i];
}

LANES_INLINE void combine_one(bool multiply, size_t n, const float *restrict x, float y, float *restrict out)
{
    if (multiply)
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] * y;
    else
        for (size_t i = 0; i < n; i++)
            out[i] = x[i] + y;
}

LANES_INLINE lanes combine_lanes(bool multiply, lanes x, lanes y)
{
    return multiply ? x * y : x + y;
}

/* Whether a block is filled, as most are, and in whole lanes. */
LANES_INLINE bool is_full(uint32_t left, uint32_t block)
{
    return left >= block && block % LANES == 0;
}

/* y is (c, 1, 1): one value per channel. */
LANES_INLINE void combine_channels(const struct loop *loop, const float *x, const float *y, float *out)
{
    uint32_t block = loop->block, blocks = blocks_of(loop->in[0].c, block);
    size_t plane = (size_t)loop->in[0].h * loop->in[0].w;
    bool multiply = loop->op->code == BGD_OP_MUL;
    for (uint32_t b = 0; b < blocks; b++, x += plane * block, out += plane * block) {
        uint32_t left = loop->in[0].c - b * block;
        if (block == 1) {
            combine_one(multiply, plane, x, y[b], out);
            continue;
        }
        for (uint32_t k = 0; k < block && is_full(left, block); k += LANES)
            for (size_t i = k; i < plane * block; i += block)
                lanes_store(out + i, combine_lanes(multiply, lanes_load(x + i), lanes_load(y + b * block + k)));
        if (is_full(left, block))
            continue;
        for (size_t p = 0; p < plane; p++) {
            combine(multiply, left < block ? left : block, x + p * block, y + b * block, out + p * block);
            for (uint32_t k = left; k < block; k++)
                out[p * block + k] = 0; /* padding stays zero: convolutions read it */
        }
    }
}

/* y is (1, h, w): one value per pixel. */
LANES_INLINE void combine_pixels(const struct loop *loop, const float *x, const float *y, float *out)
{
    uint32_t block = loop->block, blocks = blocks_of(loop->in[0].c, block);
    size_t plane = (size_t)loop->in[0].h * loop->in[0].w;
    bool multiply = loop->op->code == BGD_OP_MUL;
    for (uint32_t b = 0; b < blocks; b++, x += plane * block, out += plane * block) {
        uint32_t left = loop->in[0].c - b * block;
        if (block == 1) {
            combine(multiply, plane, x, y, out);
            continue;
        }
        for (size_t i = 0; i < plane * block && is_full(left, block); i += LANES) {
            lanes value = lanes_load(x + i);
            lanes_store(out + i, multiply ? value * y[i / block] : value + y[i / block]);
        }
        if (is_full(left, block))
            continue;
        for (size_t p = 0; p < plane; p++) {
            combine_one(multiply, left < block ? left : block, x + p * block, y[p], out + p * block);
            for (uint32_t k = left; k < block; k++)
                out[p * block + k] = 0;
        }
    }
}

LANES_CLONES static void run_combine(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                     float *scratch)
{
    (void)scratch;
    size_t size = picture_size(loop->in[0], loop->block);
    bool channels = loop->in[1].c == loop->in[0].c && loop->in[1].h == 1 && loop->in[1].w == 1;
    for (uint32_t n = 0; n < pictures; n++) {
        const float *y = sources[1] + n * shape_size(loop->in[1]);
        if (channels)
            combine_channels(loop, sources[0] + n * size, y, target + n * size);
        else
            combine_pixels(loop, sources[0] + n * size, y, target + n * size);
    }
}

/* ---------------------------------------------------------------- concat */

/* Blocks are full (the builder sees to it), so that a source's blocks follow each other; nhwc goes pixel by pixel. */
static void run_concat(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target, float *scratch)
{
    (void)scratch;
    size_t plane = (size_t)loop->out.h * loop->out.w;
    bool by_pixel = loop->block == loop->out.c && loop->block > 1;
    for (uint32_t n = 0; n < pictures; n++)
        for (size_t p = 0; p < (by_pixel ? plane : 1); p++)
            for (uint32_t i = 0; i < loop->op->n_inputs; i++) {
                size_t part = loop->in[i].c * (by_pixel ? 1 : plane);
                memcpy(target, sources[i] + (n * (by_pixel ? plane : 1) + p) * part, part * sizeof *target);
                target += part;
            }
}

/* ---------------------------------------------------------------- upsample */

/* As backend_ref's upsample_place: PyTorch's positions, in float. */
LANES_INLINE float place(uint32_t o, uint32_t in, uint32_t out, bool align, uint32_t *low, uint32_t *high)
{
    float position = align ? (out > 1 ? (float)(in - 1) / (float)(out - 1) : 0) * (float)o
                           : fmaxf(((float)o + 0.5f) * ((float)in / (float)out) - 0.5f, 0);
    *low = (uint32_t)position < in - 1 ? (uint32_t)position : in - 1;
    *high = *low + (*low < in - 1);
    return position - (float)*low;
}

/* Where a column of the output lies in the input. */
struct column {
    uint32_t left, right;
    float across;
};

/* An output row between two of the input, before its columns are placed. */
LANES_INLINE void blend_rows(const float *restrict top, const float *restrict bottom, float down, size_t n, float *restrict row)
{
    for (size_t i = 0; i < n; i++)
        row[i] = top[i] * (1 - down) + bottom[i] * down;
}

LANES_INLINE void blend_columns(const struct column *columns, uint32_t width, const float *row, uint32_t block, float *out)
{
    for (uint32_t j = 0; j < width; j++, out += block) {
        const float *a = row + (size_t)columns[j].left * block, *b = row + (size_t)columns[j].right * block;
        float across = columns[j].across;
        uint32_t k = 0;
        for (; k + LANES <= block; k += LANES)
            lanes_store(out + k, lanes_load(a + k) * (1 - across) + lanes_load(b + k) * across);
        for (; k < block; k++)
            out[k] = a[k] * (1 - across) + b[k] * across;
    }
}

LANES_CLONES static void run_upsample(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                      float *row)
{
    struct shape in = loop->in[0], out = loop->out;
    uint32_t block = loop->block, planes = pictures * blocks_of(in.c, block);
    size_t stride = (size_t)in.w * block;
    for (uint32_t p = 0; p < planes; p++) {
        const float *source = sources[0] + p * in.h * stride;
        for (uint32_t i = 0; i < out.h; i++, target += (size_t)out.w * block) {
            uint32_t top, bottom;
            float down = place(i, in.h, out.h, loop->op->align_corners, &top, &bottom);
            blend_rows(source + top * stride, source + bottom * stride, down, stride, row);
            if (block == 1)
                blend_columns(loop->tables, out.w, row, 1, target);
            else
                blend_columns(loop->tables, out.w, row, block, target);
        }
    }
}

static struct column *place_columns(const struct bgd_format_op *op, uint32_t in, uint32_t out)
{
    struct column *columns = malloc(out * sizeof *columns);
    for (uint32_t j = 0; columns && j < out; j++)
        columns[j].across = place(j, in, out, op->align_corners, &columns[j].left, &columns[j].right);
    return columns;
}

/* ---------------------------------------------------------------- mean: adaptive or, of one pixel, global */

/* The inputs first .. end - 1 along a side that output `o` covers. */
struct range {
    uint32_t first, end;
};

LANES_INLINE struct range window(uint32_t o, uint32_t in, uint32_t out)
{
    return (struct range){o * in / out, ((o + 1) * in + out - 1) / out};
}

/* Of LANES channels. */
LANES_INLINE lanes sum_lanes(const float *plane, uint32_t width, uint32_t block, struct range rows, struct range columns)
{
    lanes sums[4] = {{0}}; /* side by side, since each waits for the one before it */
    for (uint32_t i = rows.first; i < rows.end; i++) {
        const float *x = plane + ((size_t)i * width + columns.first) * block;
        uint32_t left = columns.end - columns.first;
        for (; left >= 4; left -= 4)
            for (uint32_t k = 0; k < 4; k++, x += block)
                sums[k] += lanes_load(x);
        for (; left > 0; left--, x += block)
            sums[0] += lanes_load(x);
    }
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

LANES_INLINE float sum_channel(const float *plane, uint32_t width, uint32_t block, struct range rows, struct range columns)
{
    float sum = 0;
    for (uint32_t i = rows.first; i < rows.end; i++)
        for (uint32_t j = columns.first; j < columns.end; j++)
            sum += plane[((size_t)i * width + j) * block];
    return sum;
}

/* One pixel of a block of channels. */
LANES_INLINE void mean_of(const float *plane, uint32_t width, uint32_t block, struct range rows, struct range columns,
                          float *out)
{
    float count = (float)(rows.end - rows.first) * (float)(columns.end - columns.first);
    uint32_t k = 0;
    for (; k + LANES <= block; k += LANES)
        lanes_store(out + k, sum_lanes(plane + k, width, block, rows, columns) / count);
    for (; k < block; k++)
        out[k] = sum_channel(plane + k, width, block, rows, columns) / count;
}

LANES_CLONES static void run_mean(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                  float *scratch)
{
    (void)scratch;
    struct shape in = loop->in[0], out = loop->out;
    uint32_t block = loop->block, planes = pictures * blocks_of(in.c, block);
    for (uint32_t p = 0; p < planes; p++) {
        const float *plane = sources[0] + (size_t)p * in.h * in.w * block;
        for (uint32_t i = 0; i < out.h; i++)
            for (uint32_t j = 0; j < out.w; j++, target += block)
                mean_of(plane, in.w, block, window(i, in.h, out.h), window(j, in.w, out.w), target);
    }
}

/* ---------------------------------------------------------------- LRN: nhwc */

/* oneDNN's own has another window where the size is even. `squares` has room for a pixel's, and zeros for the size[0] - 1
 * channels around them that there are not. */
static void run_lrn(const struct loop *loop, uint32_t pictures, const float *const *sources, float *restrict target,
                    float *restrict squares)
{
    const struct bgd_format_op *op = loop->op;
    uint32_t channels = loop->out.c, size = op->size[0];
    size_t pixels = (size_t)pictures * loop->out.h * loop->out.w;
    float alpha = op->parameter / (float)size;
    memset(squares, 0, (channels + size - 1) * sizeof *squares);
    for (size_t p = 0; p < pixels; p++, target += channels) {
        const float *restrict x = sources[0] + p * channels;
        for (uint32_t c = 0; c < channels; c++) {
            squares[size / 2 + c] = x[c] * x[c];
            target[c] = 0;
        }
        for (uint32_t j = 0; j < size; j++)
            for (uint32_t c = 0; c < channels; c++)
                target[c] += squares[c + j];
        for (uint32_t c = 0; c < channels; c++)
            target[c] = x[c] / powf(op->k + alpha * target[c], op->beta);
    }
}

/* ---------------------------------------------------------------- attention, masks: dense values */

static size_t whole_lanes(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Keys and values lie as columns, (width, rows), so that a query's weights of all rows are computed side by side. The rows that there
 * are not, up to whole lanes, get a weight of 0. */
struct attention_work {
    float *keys, *values, *weights; /* (width, padded), (width, padded), (padded) */
    size_t rows, padded, width;
};

static void gather_columns(const struct attention_work *work, const float *rows, float *columns)
{
    for (size_t i = 0; i < work->width * work->padded; i++) {
        size_t row = i % work->padded;
        columns[i] = row < work->rows ? rows[row * work->width + i / work->padded] : 0;
    }
}

LANES_INLINE void attend(const struct attention_work *work, const float *query, float *out)
{
    float top = -INFINITY;
    lanes total = {0};
    for (size_t j = 0; j < work->padded; j += LANES) {
        lanes product = {0};
        for (size_t d = 0; d < work->width; d++)
            product += query[d] * lanes_load(work->keys + d * work->padded + j);
        lanes_store(work->weights + j, product);
    }
    for (size_t j = 0; j < work->rows; j++)
        top = work->weights[j] > top ? work->weights[j] : top;
    for (size_t j = work->rows; j < work->padded; j++)
        work->weights[j] = -INFINITY;
    for (size_t j = 0; j < work->padded; j += LANES) {
        lanes weight = lanes_exp(lanes_load(work->weights + j) - top);
        lanes_store(work->weights + j, weight);
        total += weight;
    }
    float whole = lanes_sum(total);
    for (size_t d = 0; d < work->width; d++) {
        lanes sum = {0};
        for (size_t j = 0; j < work->padded; j += LANES)
            sum += lanes_load(work->weights + j) * lanes_load(work->values + d * work->padded + j);
        out[d] = lanes_sum(sum) / whole;
    }
}

static size_t attention_floats(struct shape s)
{
    return (2 * (size_t)s.w + 1) * whole_lanes((size_t)s.c * s.h);
}

LANES_CLONES static void run_attention(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                       float *scratch)
{
    size_t rows = (size_t)loop->out.c * loop->out.h, width = loop->out.w, padded = whole_lanes(rows);
    const struct attention_work work = {.keys = scratch,
                                        .values = scratch + width * padded,
                                        .weights = scratch + 2 * width * padded,
                                        .rows = rows,
                                        .padded = padded,
                                        .width = width};
    for (size_t first = 0; first < pictures * rows * width; first += rows * width) {
        gather_columns(&work, sources[1] + first, work.keys);
        gather_columns(&work, sources[2] + first, work.values);
        for (size_t i = 0; i < rows; i++)
            attend(&work, sources[0] + first + i * width, target + first + i * width);
    }
}

/* NAN behind all numbers: qsort needs an order. */
static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y) + (isnan(x) != 0) - (isnan(y) != 0);
}

static void run_quantile_mask(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                              float *sorted)
{
    size_t n = (size_t)shape_size(loop->out);
    for (uint32_t t = 0; t < pictures; t++) {
        const float *x = sources[0] + t * n;
        memcpy(sorted, x, n * sizeof *x);
        qsort(sorted, n, sizeof *sorted, compare_floats);
        float position = loop->op->parameter * (float)(n - 1), low = floorf(position), share = position - low;
        float a = sorted[(size_t)low], b = sorted[(size_t)low + (low < (float)(n - 1))];
        float quantile = share < 0.5f ? a + share * (b - a) : b - (b - a) * (1 - share);
        for (size_t i = 0; i < n; i++)
            target[t * n + i] = x[i] > quantile ? x[i] : 0;
    }
}

static void run_denoise(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target, float *scratch)
{
    (void)scratch;
    size_t n = pictures * (size_t)shape_size(loop->out);
    float cut = loop->op->parameter;
    for (size_t i = 0; i < n; i++) {
        float background = 1 - sources[0][i];
        target[i] = sources[0][i] + (background > cut ? 0 : background);
    }
}

/* ---------------------------------------------------------------- */

struct loop *onednn_loop_create(const struct bgd_format_op *op, const struct shape *in, struct shape out, uint32_t block)
{
    struct loop *loop = calloc(1, sizeof *loop);
    bool made = true;
    if (!loop)
        return NULL;
    *loop = (struct loop){.op = op, .out = out, .block = block};
    memcpy(loop->in, in, op->n_inputs * sizeof *in);
    switch ((enum bgd_op)op->code) {
    case BGD_OP_ADD:
    case BGD_OP_MUL: loop->run = run_combine; break;
    case BGD_OP_CONCAT: loop->run = run_concat; break;
    case BGD_OP_UPSAMPLE:
        loop->run = run_upsample;
        loop->tables = place_columns(op, in[0].w, out.w);
        loop->scratch_bytes = (size_t)in[0].w * block * sizeof(float);
        made = loop->tables != NULL;
        break;
    case BGD_OP_GLOBAL_MEAN:
    case BGD_OP_ADAPTIVE_MEAN: loop->run = run_mean; break;
    case BGD_OP_LRN:
        loop->run = run_lrn;
        loop->scratch_bytes = (out.c + op->size[0] - 1) * sizeof(float);
        break;
    case BGD_OP_ATTENTION:
        loop->run = run_attention;
        loop->scratch_bytes = attention_floats(out) * sizeof(float);
        break;
    case BGD_OP_QUANTILE_MASK:
        loop->run = run_quantile_mask;
        loop->scratch_bytes = (size_t)shape_size(out) * sizeof(float);
        break;
    case BGD_OP_DENOISE: loop->run = run_denoise; break;
    case BGD_OP_HIGH_PASS:
        loop->run = onednn_high_pass;
        loop->tables = high_pass_create(out, (double)op->parameter);
        made = loop->tables != NULL;
        loop->scratch_bytes = made ? onednn_high_pass_bytes(loop->tables, out) : 0;
        break;
    default: assert(false && "an op that oneDNN has");
    }
    if (made)
        return loop;
    free(loop);
    return NULL;
}

void onednn_loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    free(loop->tables);
    free(loop);
}
