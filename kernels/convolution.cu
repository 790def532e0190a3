/* Convolutions with any number of groups: correct, and slow. One thread an output. */
#include "device.h"

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
    *element<T>(y, at.pixel, channel) = from_float<T>(activated<T>(sum, f));
}

cudaError_t kernel_grouped(cudaStream_t stream, uint32_t n, kernel_value x, const bgd_window *window, uint32_t groups,
                           const float *weight, const float *bias, kernel_activation f, kernel_value y)
{
    size_t threads = groups_of(n, y) * KERNEL_LANES;
    return for_type(x.type, [&](auto zero) {
        return launch_threads(stream, threads, grouped<decltype(zero)>, x, *window, groups, weight, bias, f, y);
    });
}
