/*
 * BGD_OP_HIGH_PASS: |x - its low frequencies|, by four products with thin matrices (src/high_pass.h has the formula):
 *
 *     A(u, j) = sum over r of row(u, r) x(r, j)                         down
 *     S(u, v) = inside(u, v) times the sum over j of A(u, j) col(v, j)  across
 *     C(u, j) = sum over v of S(u, v) conj(col(v, j))                   back_across
 *     y(r, j) = |x(r, j) - sum over u of C(u, j) conj(row(u, r))|       back_down
 *
 * A, S and C are complex f32 in scratch memory, each (n, nu, columns, groups of 8 channels); C takes A's place. One thread
 * computes 8 channels of an element; neighbouring threads take neighbouring channels, then columns. The bound is the L2 cache,
 * which hands out x once for every u, and C once for every r.
 */
#include "device.h"

struct alignas(16) complex_lanes {
    float re[KERNEL_LANES], im[KERNEL_LANES];
};

template <class T> static __global__ void down(size_t threads, kernel_value x, kernel_waves waves, complex_lanes *a)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), lane_groups(x.c) * KERNEL_LANES, x.w, waves.nu);
    const float *row_re = waves.row_re + (size_t)at.row * x.h, *row_im = waves.row_im + (size_t)at.row * x.h;
    complex_lanes sum = {};
    for (uint32_t r = 0; r < x.h; r++) {
        float values[KERNEL_LANES];
        load_lanes(element<T>(x, (at.picture * x.h + r) * x.w + at.column, at.lane), values);
        for (uint32_t i = 0; i < KERNEL_LANES; i++) {
            sum.re[i] += values[i] * row_re[r];
            sum.im[i] += values[i] * row_im[r];
        }
    }
    a[thread_number()] = sum;
}

/* The sum of a[k a_step] times the wave (re, im)[k wave_step] over `count` k; sign -1 takes the wave's conjugate. */
__device__ static complex_lanes sum_products(uint32_t count, const complex_lanes *a, size_t a_step, const float *re,
                                             const float *im, size_t wave_step, float sign)
{
    complex_lanes sum = {};
    for (size_t k = 0; k < count; k++) {
        complex_lanes factor = a[k * a_step];
        float wave_re = re[k * wave_step], wave_im = sign * im[k * wave_step];
        for (uint32_t i = 0; i < KERNEL_LANES; i++) {
            sum.re[i] += factor.re[i] * wave_re - factor.im[i] * wave_im;
            sum.im[i] += factor.re[i] * wave_im + factor.im[i] * wave_re;
        }
    }
    return sum;
}

static __global__ void across(size_t threads, kernel_value x, kernel_waves waves, const complex_lanes *a, complex_lanes *s)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), lane_groups(x.c) * KERNEL_LANES, waves.nv, waves.nu);
    uint32_t groups = lane_groups(x.c);
    const complex_lanes *line = a + (at.picture * waves.nu + at.row) * x.w * groups + at.lane / KERNEL_LANES;
    size_t wave = (size_t)at.column * x.w;
    complex_lanes sum = sum_products(x.w, line, groups, waves.col_re + wave, waves.col_im + wave, 1, 1);
    float inside = waves.inside[(size_t)at.row * waves.nv + at.column];
    for (uint32_t i = 0; i < KERNEL_LANES; i++) {
        sum.re[i] *= inside;
        sum.im[i] *= inside;
    }
    s[thread_number()] = sum;
}

static __global__ void back_across(size_t threads, kernel_value x, kernel_waves waves, const complex_lanes *s, complex_lanes *c)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), lane_groups(x.c) * KERNEL_LANES, x.w, waves.nu);
    uint32_t groups = lane_groups(x.c);
    const complex_lanes *line = s + (at.picture * waves.nu + at.row) * waves.nv * groups + at.lane / KERNEL_LANES;
    c[thread_number()] = sum_products(waves.nv, line, groups, waves.col_re + at.column, waves.col_im + at.column, x.w, -1);
}

template <class T>
static __global__ void back_down(size_t threads, kernel_value x, kernel_waves waves, const complex_lanes *c, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), x);
    size_t step = (size_t)x.w * lane_groups(x.c);
    const complex_lanes *column = c + at.picture * waves.nu * step + at.column * lane_groups(x.c) + at.lane / KERNEL_LANES;
    complex_lanes low = sum_products(waves.nu, column, step, waves.row_re + at.row, waves.row_im + at.row, x.h, -1);
    float values[KERNEL_LANES];
    load_lanes(element<T>(x, at.pixel, at.lane), values);
    for (uint32_t i = 0; i < KERNEL_LANES; i++) {
        float re = values[i] - low.re[i];
        values[i] = sqrtf(re * re + low.im[i] * low.im[i]);
    }
    store_lanes(element<T>(y, at.pixel, at.lane), values);
}

/* ---------------------------------------------------------------- host */

/* Elements of A, S or C. */
static size_t lines_size(uint32_t n, kernel_value x, uint32_t nu, uint32_t columns)
{
    return (size_t)n * nu * columns * lane_groups(x.c);
}

size_t kernel_high_pass_scratch(uint32_t n, kernel_value x, uint32_t nu, uint32_t nv)
{
    return (lines_size(n, x, nu, x.w) + lines_size(n, x, nu, nv)) * sizeof(complex_lanes);
}

/* Puts A, and in the end C, into `c`, and S behind it. */
static cudaError_t low_lines(cudaStream_t stream, uint32_t n, kernel_value x, kernel_waves waves, complex_lanes *c)
{
    size_t lines = lines_size(n, x, waves.nu, x.w), box = lines_size(n, x, waves.nu, waves.nv);
    complex_lanes *s = c + lines;
    cudaError_t error =
        for_type(x.type, [&](auto zero) { return launch_threads(stream, lines, down<decltype(zero)>, x, waves, c); });
    if (!error)
        error = launch_threads(stream, box, across, x, waves, c, s);
    if (!error)
        error = launch_threads(stream, lines, back_across, x, waves, s, c);
    return error;
}

cudaError_t kernel_high_pass(cudaStream_t stream, uint32_t n, kernel_value x, kernel_waves waves, void *scratch, kernel_value y)
{
    complex_lanes *c = static_cast<complex_lanes *>(scratch);
    if (waves.nv == 0)
        waves.nu = 0; /* nothing is inside the disc, and nothing is taken away */
    cudaError_t error = waves.nu ? low_lines(stream, n, x, waves, c) : cudaSuccess;
    if (error)
        return error;
    return for_type(
        x.type, [&](auto zero) { return launch_threads(stream, groups_of(n, x), back_down<decltype(zero)>, x, waves, c, y); });
}
