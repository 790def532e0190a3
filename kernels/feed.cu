/*
 * From decoded pixels to a network's input: Pillow's antialiased bilinear, normalising and alpha inversion in one launch; the
 * formulas, and the CPU's way, are in src/feed.h.
 *
 * A block computes a tile of one output row, a column a thread. Rows first, as on the CPU: the rows under the output row's
 * taps, weighted and added, go into shared memory, a chunk of them at a time, where neighbouring threads read neighbouring
 * bytes; then each thread adds what lies under its column's taps. A byte is read by the two output rows whose taps it is under,
 * and the bound is the instructions that turn single bytes into weighted floats.
 */
#include "device.h"

#define BLOCK 128u
#define CHUNK_SHARE 12u             /* of each thread, in a chunk */
#define CHUNK (CHUNK_SHARE * BLOCK) /* values of a row */

/* The inputs under an output's taps along one axis, and what their weights are made of. */
struct taps {
    uint32_t first, end;
    float distance;   /* of the first input from the centre */
    float per_reach;  /* 1 / reach */
    float normalised; /* 1 / the sum of the weights */
};

__device__ static float tap_weight(const taps &t, uint32_t i)
{
    float weight = 1 - fabsf(t.distance + (float)(i - t.first)) * t.per_reach;
    return fmaxf(weight, 0) * t.normalised;
}

/* As fill_taps of src/feed.c has it, to the bit, since the caller uploads no rows but those under its taps: hence double, and a
 * product that the compiler cannot join with the subtraction after it. */
__device__ static taps taps_of(uint32_t o, uint32_t in, double extent, uint32_t out)
{
    double scale = extent / out, reach = scale > 1 ? scale : 1, centre = fma(o + 0.5, scale, 0.0);
    double low = centre - reach + 0.5, high = centre + reach + 0.5;
    taps t;
    t.first = low > 0 ? (uint32_t)low : 0;
    t.end = high < in ? (uint32_t)high : in;
    t.distance = (float)(t.first + 0.5 - centre);
    t.per_reach = (float)(1 / reach);
    t.normalised = 1;
    float sum = 0;
    for (uint32_t i = t.first; i < t.end; i++)
        sum += tap_weight(t, i);
    t.normalised = 1 / sum;
    return t;
}

/* `size` values (at most CHUNK) of the rows under the taps, weighted and added; `source` is in the first of these rows. */
template <class S>
__device__ static void sum_rows(const taps &rows, size_t stride, const S *source, uint32_t size, float *chunk)
{
    float sums[CHUNK_SHARE] = {};
    for (uint32_t row = rows.first; row < rows.end; row++, source += stride) {
        float weight = tap_weight(rows, row);
        for (uint32_t k = 0; k < CHUNK_SHARE; k++)
            if (threadIdx.x + k * BLOCK < size)
                sums[k] += weight * (float)source[threadIdx.x + k * BLOCK];
    }
    for (uint32_t k = 0; k < CHUNK_SHARE; k++)
        chunk[threadIdx.x + k * BLOCK] = sums[k];
}

/*
 * The values of a resized pixel. `first_row` is the source's first row under the taps, of `width` pixels; columns are the
 * thread's, and ascend with the thread's number: so the block's first and last thread know which of the row the block needs.
 */
template <uint32_t VALUES, class S>
__device__ static void resize(const taps &rows, const taps &columns, uint32_t width, const S *first_row, float values[VALUES])
{
    __shared__ float chunk[CHUNK];
    __shared__ uint32_t begin, end;
    if (threadIdx.x == 0)
        begin = columns.first;
    if (threadIdx.x == BLOCK - 1)
        end = columns.end;
    for (uint32_t v = 0; v < VALUES; v++)
        values[v] = 0;
    __syncthreads();
    for (uint32_t from = begin; from < end; from += CHUNK / VALUES) {
        uint32_t to = min(end, from + CHUNK / VALUES);
        sum_rows(rows, (size_t)width * VALUES, first_row + (size_t)from * VALUES, (to - from) * VALUES, chunk);
        __syncthreads();
        for (uint32_t i = max(columns.first, from); i < min(columns.end, to); i++) {
            float weight = tap_weight(columns, i);
            for (uint32_t v = 0; v < VALUES; v++)
                values[v] += weight * chunk[(i - from) * VALUES + v];
        }
        __syncthreads();
    }
}

/* The picture's row and the thread's column of its mask, inverted: 1 where all is background. */
__device__ static float resized_alpha(const struct kernel_feed_spec &feed, uint32_t picture, uint32_t row, uint32_t column,
                                      kernel_value y)
{
    taps rows = taps_of(row, feed.mask_height, feed.mask_height, y.h);
    taps columns = taps_of(column, feed.mask_width, feed.mask_width, y.w);
    float object[1];
    const float *first_row = feed.mask + ((size_t)picture * feed.mask_height + rows.first) * feed.mask_width;
    resize<1>(rows, columns, feed.mask_width, first_row, object);
    if (!isfinite(object[0]))
        *feed.not_finite = 1;
    if (feed.threshold >= 0)
        object[0] = object[0] >= feed.threshold ? 1 : 0;
    return 1 - object[0];
}

template <class T>
static __global__ void feed_pieces(const kernel_piece *pieces, const uint8_t *pixels, struct kernel_feed_spec feed,
                                   kernel_value y)
{
    const kernel_piece piece = pieces[blockIdx.z];
    uint32_t row = blockIdx.y, column = min(blockIdx.x * BLOCK + threadIdx.x, y.w - 1);
    if (row < piece.row0 || row >= piece.row1)
        return; /* the whole block */
    taps rows = taps_of(row, piece.height, piece.extent_y, y.h), columns = taps_of(column, piece.width, piece.extent_x, y.w);
    const uint8_t *first_row = pixels + piece.offset + (size_t)(rows.first - piece.first_row) * piece.width * 3;
    float rgb[3], out[KERNEL_LANES] = {};
    resize<3>(rows, columns, piece.width, first_row, rgb);
    float alpha = feed.mask ? resized_alpha(feed, piece.picture, row, column, y) : 1;
    for (int c = 0; c < 3; c++) {
        float value = rgb[c] * (1 / 255.0f);
        if (feed.channels == 3 && feed.mask)
            value = value * alpha + feed.fill[c] * (1 - alpha);
        out[c] = (value - feed.mean[c]) / feed.std[c];
    }
    if (feed.channels == 4)
        out[3] = alpha;
    if (blockIdx.x * BLOCK + threadIdx.x < y.w)
        store_lanes(element<T>(y, ((size_t)piece.picture * y.h + row) * y.w + column, 0), out);
}

cudaError_t kernel_feed(cudaStream_t stream, uint32_t n_pieces, const struct kernel_piece *pieces, const uint8_t *pixels,
                        struct kernel_feed_spec feed, struct kernel_value y)
{
    dim3 grid(blocks_for(y.w, BLOCK), y.h, n_pieces);
    return for_type(
        y.type, [&](auto zero) { return launch(stream, grid, BLOCK, feed_pieces<decltype(zero)>, pieces, pixels, feed, y); });
}
