/*
 * Softmax over the channels of a pixel, and attention, softmax(Q K^T) V, of a picture with itself.
 *
 * Softmax takes a thread a pixel: heads have few channels, so that the launch is the bound. Attention's matrices are small, too
 * (TRACER: a row a channel of one pixel, or 80 rows of 80 pixels), and read again by each row's block, out of the L2 cache:
 * latency is the bound. Row r of a matrix is row r % h of channel r / h; its columns are that row's pixels, `pitch` apart.
 */
#include "device.h"

/* ---------------------------------------------------------------- softmax */

template <class T, class U> static __global__ void softmax(size_t pixels, kernel_value x, kernel_value y)
{
    if (thread_number() >= pixels)
        return;
    const T *from = element<T>(x, thread_number(), 0);
    U *to = element<U>(y, thread_number(), 0);
    float top = to_float(from[0]), sum = 0;
    for (uint32_t c = 1; c < x.c; c++)
        top = fmaxf(top, to_float(from[c]));
    for (uint32_t c = 0; c < x.c; c++)
        sum += expf(to_float(from[c]) - top);
    for (uint32_t c = 0; c < x.c; c++)
        to[c] = from_float<U>(expf(to_float(from[c]) - top) / sum);
    for (uint32_t c = x.c; c < lane_groups(x.c) * KERNEL_LANES; c++)
        to[c] = from_float<U>(0);
}

cudaError_t kernel_softmax(cudaStream_t stream, uint32_t n, kernel_value x, kernel_value y)
{
    size_t pixels = (size_t)n * x.h * x.w;
    return for_type(x.type, [&](auto zero) {
        using T = decltype(zero);
        return launch_threads(stream, pixels, y.type == x.type ? softmax<T, T> : softmax<T, float>, x, y);
    });
}

/* ---------------------------------------------------------------- attention */

#define BLOCK 128u

__device__ static float sum_of(float a, float b)
{
    return a + b;
}

/* Combines the x of all threads whose numbers are equal modulo `width`, a power of two, in a fixed order; each gets the result.
 * What the block has written to shared memory before is then visible to all of it. */
__device__ static float combined(float x, unsigned width, float (*combine)(float, float))
{
    __shared__ float partial[BLOCK];
    partial[threadIdx.x] = x;
    __syncthreads();
    for (unsigned half = BLOCK / 2; half >= width; half /= 2) {
        if (threadIdx.x < half)
            partial[threadIdx.x] = combine(partial[threadIdx.x], partial[threadIdx.x + half]);
        __syncthreads();
    }
    float result = partial[threadIdx.x % width];
    __syncthreads(); /* before the next call writes */
    return result;
}

/* Column 0 of row r of a picture's matrix. */
template <class T> __device__ static T *matrix_row(kernel_value m, size_t picture, uint32_t r)
{
    return element<T>(m, (picture * m.h + r % m.h) * m.w, r / m.h);
}

/* weights become exp(product of the row and each row of k), all divided by the largest. Their sum. */
template <class T>
__device__ static float row_weights(const T *row, uint32_t pitch, kernel_value k, size_t picture, float *weights)
{
    uint32_t rows = k.c * k.h;
    float top = -INFINITY, sum = 0;
    for (uint32_t j = threadIdx.x; j < rows; j += BLOCK) {
        const T *key = matrix_row<T>(k, picture, j);
        float product = 0;
        for (size_t d = 0; d < k.w; d++)
            product += to_float(row[d * pitch]) * to_float(key[d * k.pitch]);
        weights[j] = product;
        top = fmaxf(top, product);
    }
    top = combined(top, 1, fmaxf);
    for (uint32_t j = threadIdx.x; j < rows; j += BLOCK)
        sum += weights[j] = expf(weights[j] - top);
    return combined(sum, 1, sum_of);
}

/* A block a row of y. Its threads stand in `width` columns, and the threads of a column share the rows of v. */
template <class T> static __global__ void attention(kernel_value q, kernel_value k, kernel_value v, kernel_value y)
{
    __shared__ float weights[KERNEL_ATTENTION_ROWS_MAX];
    size_t picture = blockIdx.y;
    uint32_t row = blockIdx.x, rows = y.c * y.h, channel = row / y.h;
    float sum = row_weights(matrix_row<T>(q, picture, row), q.pitch, k, picture, weights);
    T *to = matrix_row<T>(y, picture, row);
    uint32_t width = 1;
    while (width < y.w && width < BLOCK)
        width *= 2;
    for (uint32_t first = 0; first < y.w; first += width) {
        uint32_t d = first + threadIdx.x % width;
        float value = 0;
        if (d < y.w)
            for (uint32_t j = threadIdx.x / width; j < rows; j += BLOCK / width)
                value += weights[j] * to_float(matrix_row<T>(v, picture, j)[(size_t)d * v.pitch]);
        value = combined(value, width, sum_of);
        if (d >= y.w || threadIdx.x >= width)
            continue;
        to[(size_t)d * y.pitch] = from_float<T>(value / sum);
        if (channel == y.c - 1)
            for (uint32_t pad = 1; (channel + pad) % KERNEL_LANES; pad++)
                to[(size_t)d * y.pitch + pad] = from_float<T>(0);
    }
}

cudaError_t kernel_attention(cudaStream_t stream, uint32_t n, kernel_value q, kernel_value k, kernel_value v, kernel_value y)
{
    return for_type(
        q.type, [&](auto zero) { return launch(stream, dim3(y.c * y.h, n), BLOCK, attention<decltype(zero)>, q, k, v, y); });
}
