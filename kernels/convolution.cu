/*
 * Convolutions with groups. Depthwise: one filter a channel, few operations for each byte, so memory bandwidth is the bound as
 * long as the taps' loads come from the L1 cache and are not too many. With any other number of groups: correct, and slow.
 */
#include "device.h"

/* ---------------------------------------------------------------- depthwise
 *
 * One thread computes 8 lanes of COLUMNS neighbouring pixels of y, so that a tap's weights, 32 bytes, are loaded once for all.
 */
#define COLUMNS 4u

/* sums[q] += the products of a row of the kernel with a row of x. WIDTH: of the kernel, 0: the window's. */
template <class T, uint32_t WIDTH>
__device__ static void add_row(const T *row, kernel_value x, const bgd_window &window, int first_column, const float *weight,
                               size_t weight_pitch, float sums[COLUMNS][KERNEL_LANES])
{
    const uint32_t width = WIDTH ? WIDTH : window.kernel_w;
    for (uint32_t kw = 0; kw < width; kw++) {
        float w[KERNEL_LANES], values[KERNEL_LANES];
        load_lanes(weight + kw * weight_pitch, w);
        for (uint32_t q = 0; q < COLUMNS; q++) {
            int column = first_column + (int)(q * window.stride_w + kw * window.dilation_w);
            if (column < 0 || column >= (int)x.w)
                continue;
            load_lanes(row + (size_t)column * x.pitch, values);
            for (uint32_t i = 0; i < KERNEL_LANES; i++)
                sums[q][i] += values[i] * w[i];
        }
    }
}

template <class T, uint32_t WIDTH>
static __global__ void depthwise(size_t threads, kernel_value x, bgd_window window, const float *weight, const float *bias,
                                 kernel_activation f, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    const uint32_t channels = lane_groups(y.c) * KERNEL_LANES;
    place at = place_of(thread_number(), y.c, (y.w + COLUMNS - 1) / COLUMNS, y.h);
    uint32_t column = at.column * COLUMNS;
    int first_row = (int)(at.row * window.stride_h) - (int)window.pad_top;
    int first_column = (int)(column * window.stride_w) - (int)window.pad_left;

    float sums[COLUMNS][KERNEL_LANES];
    for (uint32_t q = 0; q < COLUMNS; q++)
        load_lanes(bias + at.lane, sums[q]);
    for (uint32_t kh = 0; kh < window.kernel_h; kh++) {
        int row = first_row + (int)(kh * window.dilation_h);
        if (row >= 0 && row < (int)x.h)
            add_row<T, WIDTH>(element<T>(x, (at.picture * x.h + (uint32_t)row) * x.w, at.lane), x, window, first_column,
                              weight + (size_t)kh * window.kernel_w * channels + at.lane, channels, sums);
    }
    size_t pixel = (at.picture * y.h + at.row) * y.w + column;
    for (uint32_t q = 0; q < COLUMNS; q++) {
        if (column + q >= y.w)
            break;
        for (uint32_t i = 0; i < KERNEL_LANES; i++)
            sums[q][i] = activated(sums[q][i], f);
        store_lanes(element<T>(y, pixel + q, at.lane), sums[q]);
    }
}

cudaError_t kernel_depthwise(cudaStream_t stream, uint32_t n, kernel_value x, const bgd_window *window, const float *weight,
                             const float *bias, kernel_activation f, kernel_value y)
{
    size_t threads = (size_t)n * y.h * blocks_for(y.w, COLUMNS) * lane_groups(y.c);
    return for_type(x.type, [&](auto zero) {
        using T = decltype(zero);
        auto kernel = window->kernel_w == 3 ? depthwise<T, 3> : window->kernel_w == 5 ? depthwise<T, 5> : depthwise<T, 0>;
        return launch_threads(stream, threads, kernel, x, *window, weight, bias, f, y);
    });
}

/* ---------------------------------------------------------------- any number of groups: one thread an output */

template <class T>
static __global__ void grouped(size_t threads, kernel_value x, bgd_window window, uint32_t groups, const float *weight,
                               const float *bias, kernel_activation f, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    const uint32_t channels = lane_groups(y.c) * KERNEL_LANES, inputs = x.c / groups;
    place at = place_of(thread_number() / KERNEL_LANES, y);
    uint32_t channel = at.lane + (uint32_t)(thread_number() % KERNEL_LANES);
    int first_row = (int)(at.row * window.stride_h) - (int)window.pad_top;
    int first_column = (int)(at.column * window.stride_w) - (int)window.pad_left;
    uint32_t first_input = min(channel, y.c - 1) / (y.c / groups) * inputs; /* padding has weights of 0 */

    float sum = bias[channel];
    for (uint32_t kh = 0; kh < window.kernel_h; kh++)
        for (uint32_t kw = 0; kw < window.kernel_w; kw++) {
            int row = first_row + (int)(kh * window.dilation_h), column = first_column + (int)(kw * window.dilation_w);
            if (row < 0 || row >= (int)x.h || column < 0 || column >= (int)x.w)
                continue;
            const T *values = element<T>(x, (at.picture * x.h + (uint32_t)row) * x.w + (uint32_t)column, first_input);
            const float *w = weight + (size_t)(kh * window.kernel_w + kw) * inputs * channels + channel;
            for (uint32_t i = 0; i < inputs; i++)
                sum += to_float(values[i]) * w[(size_t)i * channels];
        }
    *element<T>(y, at.pixel, channel) = from_float<T>(activated(sum, f));
}

cudaError_t kernel_grouped(cudaStream_t stream, uint32_t n, kernel_value x, const bgd_window *window, uint32_t groups,
                           const float *weight, const float *bias, kernel_activation f, kernel_value y)
{
    size_t threads = groups_of(n, y) * KERNEL_LANES;
    return for_type(x.type, [&](auto zero) {
        return launch_threads(stream, threads, grouped<decltype(zero)>, x, *window, groups, weight, bias, f, y);
    });
}
