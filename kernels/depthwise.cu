/*
 * Depthwise convolution: one filter a channel, few operations for each byte, so that memory bandwidth is the bound as long as
 * values are loaded and converted not much more than once, and all else is few instructions.
 *
 * A thread computes 2 lanes of a *patch* of y, of 4 x 4 pixels, or 2 x 4: it goes through the rows of x under the patch, and adds
 * what it has loaded of a row to all sums that want it. Its filters stay in registers, for several patches, one below another.
 * Neighbouring threads (threadIdx.x) take neighbouring lanes, then (threadIdx.y) patches side by side. What a block computes is
 * a tile of the sums.
 *
 * A dilated convolution is several that are not, each of every dilation-th row and column: a patch's pixels are so far apart.
 */
#include "device.h"

#define LANES 2u
#define PATCH_COLUMNS 4u
#define SECTOR 8u         /* threads whose lanes of f16 are a sector of the caches */
#define SECTORS_MOST 4u   /* side by side */
#define THREADS_MOST 160u /* of a block */
#define ROWS_MOST 20u     /* of a thread's patches together */

/* More rows are fewer loads an output, and more registers. */
__host__ __device__ constexpr uint32_t patch_rows(uint32_t stride)
{
    return stride == 1 ? 4 : 2;
}

/* ---------------------------------------------------------------- how y is shared out among threads */

struct depthwise_cut {
    uint32_t width, height, turns; /* of a block: threads, threads, and patches of each */
    uint32_t widths, across, down; /* blocks: beside each other in the lanes; in the columns; in the rows */
    uint32_t columns, rows;        /* patches */
};

/* Patches of a side of y, `pixels` of each; as many as the dilation lie in one another. */
static uint32_t patches_of(uint32_t size, uint32_t pixels, uint32_t dilation)
{
    return (size + pixels * dilation - 1) / (pixels * dilation) * dilation;
}

static uint32_t parts_of(uint32_t whole, uint32_t part)
{
    return (whole + part - 1) / part;
}

/* `whole` in as few parts of at most `most` as can be, of one size: that size. */
static uint32_t part_of(uint32_t whole, uint32_t most)
{
    return parts_of(whole, parts_of(whole, most));
}

static depthwise_cut cut_depthwise(kernel_value y, const bgd_window &window)
{
    uint32_t sectors = parts_of(y.c, LANES * SECTOR);
    depthwise_cut cut;
    cut.columns = patches_of(y.w, PATCH_COLUMNS, window.dilation_w);
    cut.rows = patches_of(y.h, patch_rows(window.stride_h), window.dilation_h);
    cut.width = part_of(sectors, SECTORS_MOST) * SECTOR;
    cut.height = part_of(cut.columns, THREADS_MOST / cut.width);
    cut.turns = part_of(cut.rows, ROWS_MOST / patch_rows(window.stride_h));
    cut.widths = parts_of(sectors * SECTOR, cut.width);
    cut.across = parts_of(cut.columns, cut.height);
    cut.down = parts_of(cut.rows, cut.turns);
    return cut;
}

/* ---------------------------------------------------------------- pixels */

/* A picture of a value. Offsets are in bytes from its start, which is the same for a whole block: so an address costs one
 * addition of 32 bits. */
struct plane {
    char *start;
    int h, w;                        /* pixels */
    int step_h, step_w;              /* from a pixel of a patch to the next: the dilation */
    uint32_t row_bytes, pixel_bytes; /* from a row, and a pixel, to the next */

    __device__ plane(kernel_value value, size_t picture, uint32_t element_bytes, const bgd_window &window)
        : h((int)value.h), w((int)value.w), step_h((int)window.dilation_h), step_w((int)window.dilation_w),
          row_bytes(value.w * value.pitch * element_bytes), pixel_bytes(value.pitch * element_bytes)
    {
        start = static_cast<char *>(value.data) + picture * value.h * row_bytes;
    }

    /* Of a pixel, inside or not. */
    __device__ uint32_t offset(int row, int column) const
    {
        return (uint32_t)row * row_bytes + (uint32_t)column * pixel_bytes;
    }
};

/* Pictures whose offsets have 32 bits. */
static bool has_small_pictures(kernel_value value)
{
    return (uint64_t)value.h * value.w * value.pitch * sizeof(float) <= UINT32_MAX;
}

template <class T> struct alignas(LANES * sizeof(T)) lane_pair {
    T at[LANES];
};

template <class T> __device__ static void load_pair(const char *start, uint32_t offset, float x[LANES])
{
    const lane_pair<T> loaded = *reinterpret_cast<const lane_pair<T> *>(start + offset);
    for (uint32_t i = 0; i < LANES; i++)
        x[i] = to_float(loaded.at[i]);
}

template <class T> __device__ static void store_pair(char *start, uint32_t offset, const float x[LANES])
{
    lane_pair<T> stored;
    for (uint32_t i = 0; i < LANES; i++)
        stored.at[i] = from_float<T>(x[i]);
    *reinterpret_cast<lane_pair<T> *>(start + offset) = stored;
}

/* ---------------------------------------------------------------- a patch */

/* The first pixel of a patch, of a side of y. */
__device__ static int first_of(uint32_t patch, uint32_t pixels, int step)
{
    return (int)(patch / (uint32_t)step * pixels) * step + (int)(patch % (uint32_t)step);
}

/* Of a KxK kernel with stride S. EDGE: some of it, or of what is under it, may be outside of the picture. */
template <class T, uint32_t K, uint32_t S> struct patch {
    static constexpr uint32_t rows = patch_rows(S), columns = PATCH_COLUMNS;
    static constexpr uint32_t rows_under = (rows - 1) * S + K, columns_under = (columns - 1) * S + K; /* of x */
    float sums[rows][columns][LANES];

    __device__ void start(const float bias[LANES])
    {
#pragma unroll
        for (uint32_t i = 0; i < rows * columns; i++)
            for (uint32_t l = 0; l < LANES; l++)
                sums[i / columns][i % columns][l] = bias[l];
    }

    /* Whether all that is under a patch from that row and column of x on, and so all of the patch, is inside. */
    __device__ static bool is_inside(const plane &x, int row, int column)
    {
        return row >= 0 && column >= 0 && row + (int)(rows_under - 1) * x.step_h < x.h &&
               column + (int)(columns_under - 1) * x.step_w < x.w;
    }

    /* Adds the products of the filters with what is under the patch. */
    template <bool EDGE>
    __device__ void add(const plane &x, int row, int column, uint32_t lane_bytes, const float filters[K][K][LANES])
    {
        uint32_t line = x.offset(row, column) + lane_bytes;
#pragma unroll
        for (uint32_t i = 0; i < rows_under; i++, row += x.step_h, line += x.offset(x.step_h, 0)) {
            float values[columns_under][LANES];
            uint32_t at = line;
            int at_column = column;
#pragma unroll
            for (uint32_t j = 0; j < columns_under; j++, at_column += x.step_w, at += x.offset(0, x.step_w)) {
                for (uint32_t l = 0; l < LANES; l++)
                    values[j][l] = 0;
                if (!EDGE || (row >= 0 && row < x.h && at_column >= 0 && at_column < x.w))
                    load_pair<T>(x.start, at, values[j]);
            }
#pragma unroll
            for (uint32_t r = 0; r < rows; r++)
                if (i >= r * S && i - r * S < K)
                    add_row(values, filters[i - r * S], sums[r]);
        }
    }

    __device__ static void add_row(const float values[columns_under][LANES], const float filters[K][LANES],
                                   float sums[columns][LANES])
    {
#pragma unroll
        for (uint32_t kw = 0; kw < K; kw++)
#pragma unroll
            for (uint32_t c = 0; c < columns; c++)
#pragma unroll
                for (uint32_t l = 0; l < LANES; l++)
                    sums[c][l] += values[c * S + kw][l] * filters[kw][l];
    }

    /* Stores the patch, whose first pixel is that one of y, and adds all of it to `total`. */
    template <bool EDGE>
    __device__ void store(const plane &y, int row, int column, uint32_t lane_bytes, float total[LANES]) const
    {
        uint32_t first = y.offset(row, column) + lane_bytes;
#pragma unroll
        for (uint32_t r = 0; r < rows; r++)
#pragma unroll
            for (uint32_t c = 0; c < columns; c++) {
                if (EDGE && (row + (int)r * y.step_h >= y.h || column + (int)c * y.step_w >= y.w))
                    continue;
                store_pair<T>(y.start, first + y.offset((int)r * y.step_h, (int)c * y.step_w), sums[r][c]);
                for (uint32_t l = 0; l < LANES; l++)
                    total[l] += sums[r][c][l];
            }
    }
};

/* ---------------------------------------------------------------- the kernel */

/* Writes the tile's sums: those of the threads side by side, in order. All threads of the block come here. */
__device__ static void write_sums(const float total[LANES], bool first, float *to)
{
    __shared__ float totals[THREADS_MOST][LANES];
    uint32_t thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (uint32_t l = 0; l < LANES; l++)
        totals[thread][l] = total[l];
    __syncthreads();
    if (!first)
        return;
    float sum[LANES] = {0};
    for (uint32_t i = threadIdx.x; i < blockDim.x * blockDim.y; i += blockDim.x)
        for (uint32_t l = 0; l < LANES; l++)
            sum[l] += totals[i][l];
    for (uint32_t l = 0; l < LANES; l++)
        to[l] = sum[l];
}

/* The patches of a thread: those of a column of patches, from first_row on. */
template <class T, uint32_t K, uint32_t S>
__device__ static void compute_patches(const depthwise_cut &cut, uint32_t patch_column, uint32_t first_row, uint32_t lane,
                                       const plane &x, const plane &y, const bgd_window &window, const float *weight,
                                       const float *bias, kernel_activation f, uint32_t channels, float total[LANES])
{
    using patch = patch<T, K, S>;
    float filters[K][K][LANES], start[LANES];
    for (uint32_t l = 0; l < LANES; l++) {
#pragma unroll
        for (uint32_t tap = 0; tap < K * K; tap++)
            filters[tap / K][tap % K][l] = weight[(size_t)tap * channels + lane + l];
        start[l] = bias[lane + l];
    }
    int column = first_of(patch_column, patch::columns, y.step_w);
    int x_column = column * (int)S - (int)window.pad_left;
    for (uint32_t patch_row = first_row; patch_row < min(first_row + cut.turns, cut.rows); patch_row++) {
        int row = first_of(patch_row, patch::rows, y.step_h), x_row = row * (int)S - (int)window.pad_top;
        bool inside = patch::is_inside(x, x_row, x_column);
        patch p;
        p.start(start);
        if (inside)
            p.template add<false>(x, x_row, x_column, lane * sizeof(T), filters);
        else
            p.template add<true>(x, x_row, x_column, lane * sizeof(T), filters);
        activate_all<T, patch::rows * patch::columns * LANES>(p.sums[0][0], f);
        if (inside)
            p.template store<false>(y, row, column, lane * sizeof(T), total);
        else
            p.template store<true>(y, row, column, lane * sizeof(T), total);
    }
}

template <class T, uint32_t K, uint32_t S>
static __global__ void __launch_bounds__(THREADS_MOST)
    depthwise(depthwise_cut cut, kernel_value x, bgd_window window, const float *weight, const float *bias, kernel_activation f,
              kernel_value y, kernel_sums sums)
{
    const uint32_t channels = lane_groups(y.c) * KERNEL_LANES;
    size_t picture = blockIdx.y;
    uint32_t lane = (blockIdx.x % cut.widths * blockDim.x + threadIdx.x) * LANES, tile = blockIdx.x / cut.widths;
    uint32_t patch_column = tile % cut.across * blockDim.y + threadIdx.y, patch_row = tile / cut.across * cut.turns;
    float total[LANES] = {0};
    if (lane < channels && patch_column < cut.columns)
        compute_patches<T, K, S>(cut, patch_column, patch_row, lane, plane(x, picture, sizeof(T), window),
                                 plane(y, picture, sizeof(T), window), window, weight, bias, f, channels, total);
    if (sums.data)
        write_sums(total, threadIdx.y == 0 && lane < channels, sums.data + (picture * sums.tiles + tile) * channels + lane);
}

/* ---------------------------------------------------------------- which kernel */

template <class T> using depthwise_kernel = decltype(&depthwise<T, 3, 1>);

/* NULL: there is none. */
template <class T> static depthwise_kernel<T> depthwise_for(kernel_value x, const bgd_window &window, kernel_value y)
{
    uint32_t kernel = window.kernel_h, stride = window.stride_h;
    if (kernel != window.kernel_w || stride != window.stride_w || !has_small_pictures(x) || !has_small_pictures(y))
        return nullptr;
    if (stride == 1)
        switch (kernel) {
        case 1: return depthwise<T, 1, 1>;
        case 3: return depthwise<T, 3, 1>;
        case 5: return depthwise<T, 5, 1>;
        }
    if (stride == 2 && window.dilation_h == 1 && window.dilation_w == 1)
        switch (kernel) {
        case 3: return depthwise<T, 3, 2>;
        case 5: return depthwise<T, 5, 2>;
        }
    return nullptr;
}

uint32_t kernel_depthwise_tiles(kernel_value x, const bgd_window *window, kernel_value y)
{
    depthwise_cut cut = cut_depthwise(y, *window);
    return depthwise_for<float>(x, *window, y) ? cut.across * cut.down : 0;
}

cudaError_t kernel_depthwise(cudaStream_t stream, uint32_t n, kernel_value x, const bgd_window *window, const float *weight,
                             const float *bias, kernel_activation f, kernel_value y, kernel_sums sums)
{
    return for_type(x.type, [&](auto zero) {
        auto kernel = depthwise_for<decltype(zero)>(x, *window, y);
        if (!kernel)
            return kernel_grouped(stream, n, x, window, y.c, weight, bias, f, y);
        depthwise_cut cut = cut_depthwise(y, *window);
        return launch(stream, dim3(cut.widths * cut.across * cut.down, n), dim3(cut.width, cut.height), kernel, cut, x, *window,
                      weight, bias, f, y, sums);
    });
}
