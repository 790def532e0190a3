/*
 * The beginning of an EfficientNet's block: a 1x1 convolution that makes many channels of few, and a depthwise one of those,
 * each with its activation. What is between them, several times as large as what comes before and after, never leaves the chip.
 *
 * A block of threads takes a tile of y's pixels and 48 channels. First its warps compute the expanded values that the tile
 * needs, 16 pixels at a time, by products of matrices (pixels by inputs, inputs by channels), and leave them in shared memory,
 * rounded as a step of its own would round them. Where there is no picture they are 0: the depthwise convolution pads what has
 * been expanded. Then each thread goes along rows of it for a few channels.
 *
 * Tiles overlap in what they expand; how much is chosen for the shape (tiling_of), and is 1.1 to 1.8 times the work of
 * expanding each pixel once. Arithmetic is the bound, no longer memory: the special-function unit's 16 a clock and
 * multiprocessor for the activations, and about as much time of the ordinary ones.
 */
#include "mma.h"

#define WARPS 6u
#define THREADS (WARPS * WARP)
#define TILES 6u /* of 8 channels, of a block of threads */
#define CHANNELS (TILES * MMA_COLUMNS)
#define CHUNK KERNEL_EXPAND_CHUNK
#define AREA_MAX 400u        /* expanded pixels of a tile: 44 KB, of which an H200 has room for four or five */
#define PITCH (CHANNELS + 8) /* of them, in elements; + 8: what a warp writes at once lies in different banks */
#define PART 4u              /* channels of a thread */
#define PARTS (CHANNELS / PART)
#define SLOTS (THREADS / PARTS) /* threads that have the same channels */

static_assert(CHUNK == MMA_K && THREADS % PARTS == 0 && CHANNELS <= THREADS);

/* Of a picture: tiles of rows x columns pixels of y, which need in_rows x in_columns of x. */
struct tiling {
    uint32_t rows, columns, across, tiles;
    uint32_t in_rows, in_columns;
};

/* A tile's first pixels, and where the picture begins and ends. */
struct tile {
    size_t picture;
    uint32_t number, row, column; /* of y */
    int in_row, in_column;        /* of x: may be outside */
};

/* Where a pixel of the tile's part of x is; NULL if it is outside of the picture, or behind the last. */
template <class T> __device__ static const T *inside(kernel_value x, const tiling &cut, const tile &at, uint32_t pixel)
{
    const int row = at.in_row + (int)(pixel / cut.in_columns), column = at.in_column + (int)(pixel % cut.in_columns);
    if (pixel >= cut.in_rows * cut.in_columns || row < 0 || row >= (int)x.h || column < 0 || column >= (int)x.w)
        return nullptr;
    return element<T>(x, (at.picture * x.h + (uint32_t)row) * x.w + (uint32_t)column, 0);
}

/* expanded = f(1x1 convolution of the tile's part of x + b1), of the channels from `first` on, of `channels` in all. */
template <class T>
__device__ static void expand_pixels(kernel_value x, const tiling &cut, const tile &at, uint32_t first, uint32_t channels,
                                     const T *w1, const float *b1, kernel_activation f, T expanded[AREA_MAX][PITCH])
{
    const uint32_t inputs = lane_groups(x.c) * KERNEL_LANES, tiles = min((channels - first) / MMA_COLUMNS, TILES);
    const uint32_t g = mma_group(), t = mma_member(), warp = threadIdx.x / WARP;
    b1 += first + 2 * t;
    w1 += (first + g) * CHUNK + 4 * t;
    for (uint32_t pixel = warp * MMA_ROWS + g; pixel - g < cut.in_rows * cut.in_columns; pixel += WARPS * MMA_ROWS) {
        const T *rows[2] = {inside<T>(x, cut, at, pixel), inside<T>(x, cut, at, pixel + 8)};
        float sums[TILES][4] = {};
        for (uint32_t j = 0; j < TILES; j++)
            for (uint32_t i = 0; i < 4 && j < tiles; i++)
                sums[j][i] = b1[j * MMA_COLUMNS + i % 2];
        for (uint32_t k = 0; k < inputs; k += CHUNK) {
            mma_piece<1> a[2] = {}; /* 0 behind the last input */
            for (uint32_t half = 0; half < 2; half++)
                if (rows[half] && k + 4 * t < inputs)
                    a[half] = load_piece<1>(rows[half] + k + 4 * t);
            for (uint32_t j = 0; j < TILES; j++)
                if (j < tiles)
                    add_products<T>(sums[j], a[0], a[1], load_piece<1>(w1 + (k * channels + j * MMA_COLUMNS * CHUNK)));
        }
        activate_all<T, TILES * 4>(sums[0], f);
        for (uint32_t j = 0; j < TILES; j++)
            for (uint32_t i = 0; i < 4; i++)
                expanded[pixel + i / 2 * 8][j * MMA_COLUMNS + 2 * t + i % 2] = from_float<T>(rows[i / 2] ? sums[j][i] : 0);
    }
}

/* 4 neighbouring channels: 8 make a thread's sums so many that fewer threads fit. */
template <class T> struct alignas(PART * sizeof(T)) part {
    T at[PART];
};

template <class T> __device__ static void load_part(const T *from, float x[PART])
{
    const part<T> loaded = *reinterpret_cast<const part<T> *>(from);
    for (uint32_t i = 0; i < PART; i++)
        x[i] = to_float(loaded.at[i]);
}

/* Pixels of a row of y that a thread computes together, so that it loads once what they share. */
template <uint32_t STRIDE> constexpr uint32_t strip = STRIDE == 1 ? 4 : 2;

/* sums = the depthwise convolution at a strip of pixels, the first of whose windows begins at `from`. */
template <class T, uint32_t KERNEL, uint32_t STRIDE>
__device__ static void convolve(const T *from, uint32_t in_columns, const float *w2, uint32_t channels,
                                float sums[strip<STRIDE>][PART])
{
    for (uint32_t kh = 0; kh < KERNEL; kh++, from += in_columns * PITCH) {
        float weights[KERNEL][PART], values[PART];
        for (uint32_t kw = 0; kw < KERNEL; kw++)
            load_part(w2 + (kh * KERNEL + kw) * channels, weights[kw]);
        for (uint32_t column = 0; column < (strip<STRIDE> - 1) * STRIDE + KERNEL; column++) {
            load_part(from + column * PITCH, values);
            for (uint32_t q = 0; q < strip<STRIDE>; q++) {
                const uint32_t kw = column - q * STRIDE; /* below 0: a large one */
                for (uint32_t i = 0; i < PART && kw < KERNEL; i++)
                    sums[q][i] += values[i] * weights[kw][i];
            }
        }
    }
}

/* y = g(depthwise convolution of expanded + b2) for the tile; the sums of a thread's channels over its pixels. */
template <class T, uint32_t KERNEL, uint32_t STRIDE>
__device__ static void convolve_tile(const T expanded[AREA_MAX][PITCH], const tiling &cut, const tile &at, uint32_t first,
                                     uint32_t channels, const float *w2, const float *b2, kernel_activation g, kernel_value y,
                                     float total[PART])
{
    const uint32_t channel = threadIdx.x % PARTS * PART, across = cut.columns / strip<STRIDE>;
    for (uint32_t i = threadIdx.x / PARTS; i < cut.rows * across; i += SLOTS) {
        const uint32_t row = i / across, column = i % across * strip<STRIDE>;
        if (at.row + row >= y.h || at.column + column >= y.w || first + channel >= channels)
            continue;
        float sums[strip<STRIDE>][PART];
        for (uint32_t q = 0; q < strip<STRIDE>; q++)
            load_part(b2 + first + channel, sums[q]);
        convolve<T, KERNEL, STRIDE>(&expanded[row * STRIDE * cut.in_columns + column * STRIDE][channel], cut.in_columns,
                                    w2 + first + channel, channels, sums);
        activate_all<T, strip<STRIDE> * PART>(sums[0], g);
        const size_t pixel = (at.picture * y.h + at.row + row) * y.w + at.column + column;
        for (uint32_t q = 0; q < strip<STRIDE> && at.column + column + q < y.w; q++) {
            part<T> stored;
            for (uint32_t k = 0; k < PART; k++) {
                total[k] += sums[q][k];
                stored.at[k] = from_float<T>(sums[q][k]);
            }
            *reinterpret_cast<part<T> *>(element<T>(y, pixel + q, first + channel)) = stored;
        }
    }
}

/* The sums of the tile's channels, a thread each, over all that have a part of them, in order. `totals` is shared memory. */
__device__ static void write_sums(const tile &at, const float total[PART], uint32_t first, uint32_t channels,
                                  float totals[SLOTS][CHANNELS], kernel_sums sums)
{
    for (uint32_t i = 0; i < PART; i++)
        totals[threadIdx.x / PARTS][threadIdx.x % PARTS * PART + i] = total[i];
    __syncthreads();
    if (threadIdx.x >= CHANNELS || first + threadIdx.x >= channels)
        return;
    float sum = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        sum += totals[i][threadIdx.x];
    sums.data[(at.picture * sums.tiles + at.number) * channels + first + threadIdx.x] = sum;
}

template <class T, uint32_t KERNEL, uint32_t STRIDE>
static __global__ void __launch_bounds__(THREADS, 4)
    expand(uint32_t chunks, tiling cut, kernel_value x, uint32_t pad_top, uint32_t pad_left, const T *w1, const float *b1,
           kernel_activation f, const float *w2, const float *b2, kernel_activation g, kernel_value y, kernel_sums sums)
{
    alignas(16) __shared__ T expanded[AREA_MAX][PITCH];
    const uint32_t channels = lane_groups(y.c) * KERNEL_LANES, first = blockIdx.x % chunks * CHANNELS;
    tile at;
    at.picture = blockIdx.x / chunks / cut.tiles;
    at.number = blockIdx.x / chunks % cut.tiles;
    at.row = at.number / cut.across * cut.rows;
    at.column = at.number % cut.across * cut.columns;
    at.in_row = (int)(at.row * STRIDE) - (int)pad_top;
    at.in_column = (int)(at.column * STRIDE) - (int)pad_left;

    expand_pixels(x, cut, at, first, channels, w1, b1, f, expanded);
    __syncthreads();
    float total[PART] = {0};
    convolve_tile<T, KERNEL, STRIDE>(expanded, cut, at, first, channels, w2, b2, g, y, total);
    if (!sums.data)
        return;
    __syncthreads(); /* expanded is read no more */
    write_sums(at, total, first, channels, reinterpret_cast<float(*)[CHANNELS]>(expanded), sums);
}
static_assert(sizeof(float) * SLOTS * CHANNELS <= sizeof(__half) * AREA_MAX * PITCH);

/* ---------------------------------------------------------------- host */

/* The tiles of at most AREA_MAX expanded pixels that expand the fewest in all; of those that are as good, the fewest tiles. */
static tiling tiling_of(const bgd_window *window, uint32_t h, uint32_t w)
{
    const uint32_t step = window->stride_h == 1 ? strip<1> : strip<2>;
    tiling best = {};
    uint64_t least = UINT64_MAX;
    for (uint32_t rows = 1; rows <= h; rows++)
        for (uint32_t columns = step; columns < w + step; columns += step) {
            const uint32_t in_rows = (rows - 1) * window->stride_h + window->kernel_h;
            const uint32_t in_columns = (columns - 1) * window->stride_w + window->kernel_w;
            if (in_rows * in_columns > AREA_MAX)
                break;
            const uint32_t across = blocks_for(w, columns), tiles = across * blocks_for(h, rows);
            const uint64_t cost = (uint64_t)tiles * blocks_for(in_rows * in_columns, MMA_ROWS);
            if (cost < least || (cost == least && tiles < best.tiles)) {
                least = cost;
                best = {rows, columns, across, tiles, in_rows, in_columns};
            }
        }
    return best;
}

uint32_t kernel_expand_tiles(const bgd_window *window, kernel_value y)
{
    return tiling_of(window, y.h, y.w).tiles;
}

cudaError_t kernel_expand(cudaStream_t stream, uint32_t n, kernel_value x, const void *w1, const float *b1, kernel_activation f,
                          const bgd_window *window, const float *w2, const float *b2, kernel_activation g, kernel_value y,
                          kernel_sums sums)
{
    const tiling cut = tiling_of(window, y.h, y.w);
    const uint32_t chunks = blocks_for(lane_groups(y.c), TILES);
    return for_half_type(x.type, [&](auto zero) {
        using T = decltype(zero);
        auto kernel = window->kernel_h == 3   ? window->stride_h == 1 ? expand<T, 3, 1> : expand<T, 3, 2>
                        : window->stride_h == 1 ? expand<T, 5, 1>
                                              : expand<T, 5, 2>;
        return launch(stream, n * cut.tiles * chunks, THREADS, kernel, chunks, cut, x, window->pad_top, window->pad_left,
                      static_cast<const T *>(w1), b1, f, w2, b2, g, y, sums);
    });
}
