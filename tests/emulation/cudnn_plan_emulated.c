/* src/cudnn_plan.h without cuDNN: the convolution as a loop on the CPU. There is one plan, and it always can be made. */
#include "cudnn_plan.h"
#include "cudnn_tuner.h"

#include "emulation.h"
#include "err.h"
#include "e4m3.h"
#include "half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORKSPACE 256u
#define SELU_SCALE 1.0507009873554804934193349852946 /* torch.nn.SELU's digits */
#define SELU_ALPHA 1.6732632423543772848170429916717

struct cudnn {
    int device; /* for which it was opened */
};

struct cudnn_plan {
    struct cudnn_conv conv;
};

/* What a run has on the device. */
struct run {
    struct cudnn_conv conv;
    const void *x, *w, *residual, *bias;
    const float *scale;
    void *y, *workspace;
};

int cudnn_open(const char *description, const char *cache, struct cudnn **cudnn, struct bgd_err *err)
{
    (void)cache;
    *cudnn = NULL;
    if (description)
        return err_set(err, BGD_DEVICE, "the emulated cuDNN takes no description of a device");
    *cudnn = malloc(sizeof **cudnn);
    if (!*cudnn)
        return err_set(err, BGD_MEMORY, "out of memory");
    (*cudnn)->device = emulation_device();
    return 0;
}

void cudnn_close(struct cudnn *cudnn)
{
    free(cudnn);
}

const char *cudnn_version(const struct cudnn *cudnn)
{
    (void)cudnn;
    return "emulated cuDNN";
}

char *cudnn_describe(const struct cudnn *cudnn, struct bgd_err *err)
{
    (void)cudnn;
    err_set(err, BGD_DEVICE, "an emulated device has no description");
    return NULL;
}

/* With one plan there is nothing to choose. */
size_t cudnn_tuner_bytes(const struct cudnn_conv *conv)
{
    (void)conv;
    return 0;
}

int cudnn_tuner_open(struct cudnn *cudnn, size_t bytes, struct cudnn_tuner **tuner, struct bgd_err *err)
{
    (void)cudnn, (void)bytes;
    *tuner = NULL;
    cudaError_t error = emulation_call();
    return error ? err_set(err, BGD_DEVICE, "no tuner: %s", cudaGetErrorString(error)) : 0;
}

void cudnn_tuner_close(struct cudnn_tuner *tuner)
{
    (void)tuner;
}

int cudnn_plan_make(struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_tuner *tuner, struct cudnn_plan **plan,
                    struct bgd_err *err)
{
    (void)tuner;
    *plan = NULL;
    cudaError_t error = emulation_call();
    if (!error && cudnn->device != emulation_device())
        error = cudaErrorInvalidResourceHandle;
    if (error)
        return err_set(err, BGD_DEVICE, "no plan: %s", cudaGetErrorString(error));
    *plan = malloc(sizeof **plan);
    if (!*plan)
        return err_set(err, BGD_MEMORY, "out of memory");
    (*plan)->conv = *conv;
    return 0;
}

void cudnn_plan_free(struct cudnn_plan *plan)
{
    free(plan);
}

size_t cudnn_plan_workspace(const struct cudnn_plan *plan)
{
    (void)plan;
    return WORKSPACE;
}

const char *cudnn_plan_name(const struct cudnn_plan *plan)
{
    (void)plan;
    return "emulated";
}

/* ---------------------------------------------------------------- the loop */

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float read_value(enum kernel_type type, const void *values, size_t i)
{
    switch (type) {
    case KERNEL_F32: break;
    case KERNEL_F16: return half_to_float(((const uint16_t *)values)[i]);
    case KERNEL_BF16: return float_from_bits((uint32_t)((const uint16_t *)values)[i] << 16);
    case KERNEL_F8: return e4m3_to_float(((const uint8_t *)values)[i]);
    }
    return ((const float *)values)[i];
}

/* Rounds to nearest, ties to even. */
static uint16_t bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fff : (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static void write_value(enum kernel_type type, void *values, size_t i, float value)
{
    switch (type) {
    case KERNEL_F32: ((float *)values)[i] = value; break;
    case KERNEL_F16: ((uint16_t *)values)[i] = half_from_float(value); break;
    case KERNEL_BF16: ((uint16_t *)values)[i] = bf16_from_float(value); break;
    case KERNEL_F8: ((uint8_t *)values)[i] = e4m3_from_float(value); break;
    }
}

static double *room_for(size_t n)
{
    double *room = malloc(n * sizeof *room);
    if (!room)
        abort(); /* nothing that a stream runs can return an error */
    return room;
}

/* The last pixel ends with its channels, not with the pitch: what follows may be another value's. */
static double *read_pixels(enum kernel_type type, const void *values, size_t pixels, uint32_t pitch, uint32_t c)
{
    size_t n = (pixels - 1) * pitch + c;
    double *read = room_for(n);
    for (size_t i = 0; i < n; i++)
        read[i] = (double)read_value(type, values, i);
    return read;
}

/* The filters in blocks of BLOCK outputs, of which each block has a value's weights together: [block][value][output]; zeros
 * where there is no such output. */
enum { BLOCK = KERNEL_LANES };
static double *read_filters(enum kernel_type type, const void *values, uint32_t out_c, size_t size)
{
    uint32_t blocks = (out_c + BLOCK - 1) / BLOCK;
    double *read = room_for((size_t)blocks * size * BLOCK), *next = read;
    for (uint32_t block = 0; block < blocks; block++)
        for (size_t i = 0; i < size; i++)
            for (uint32_t o = block * BLOCK; o < (block + 1) * BLOCK; o++)
                *next++ = o < out_c ? (double)read_value(type, values, o * size + i) : 0;
    return read;
}

static double activated(double x, enum kernel_activation f)
{
    switch (f) {
    case KERNEL_RELU: return x < 0 ? 0 : x;
    case KERNEL_SIGMOID: return 1 / (1 + exp(-x));
    case KERNEL_SILU: return x / (1 + exp(-x));
    case KERNEL_SELU: return SELU_SCALE * (x > 0 ? x : SELU_ALPHA * expm1(x));
    case KERNEL_NONE: break;
    }
    return x;
}

/* Most of the time goes here. Both are copies of ours: no sanitizer needs to look at each of their values again. */
__attribute__((no_sanitize("address", "undefined"))) static void add_products(uint32_t n, const double *x, const double *w,
                                                                              double *sums)
{
    double at[BLOCK]; /* unrolled, they are registers */
    memcpy(at, sums, sizeof at);
    for (uint32_t i = 0; i < n; i++, w += BLOCK)
#pragma GCC unroll 8
        for (uint32_t o = 0; o < BLOCK; o++)
            at[o] += x[i] * w[o];
    memcpy(sums, at, sizeof at);
}

/* Pixel (i, j) of picture x convolved with a block of filters. */
static void filter(const struct cudnn_conv *conv, const double *x, const double *filters, uint32_t i, uint32_t j, double *sums)
{
    const struct bgd_window *win = &conv->window;
    memset(sums, 0, BLOCK * sizeof *sums);
    for (uint32_t kh = 0; kh < win->kernel_h; kh++)
        for (uint32_t kw = 0; kw < win->kernel_w; kw++) {
            int64_t row = (int64_t)i * win->stride_h + (int64_t)kh * win->dilation_h - win->pad_top;
            int64_t col = (int64_t)j * win->stride_w + (int64_t)kw * win->dilation_w - win->pad_left;
            if (row < 0 || row >= conv->h || col < 0 || col >= conv->w)
                continue;
            size_t pixel = (size_t)row * conv->w + (size_t)col;
            size_t tap = (size_t)kh * win->kernel_w + kw;
            add_products(conv->c, x + pixel * conv->pitch, filters + tap * conv->c * BLOCK, sums);
        }
}

static void convolve(void *argument)
{
    const struct run *run = argument;
    const struct cudnn_conv *conv = &run->conv;
    memset(run->workspace, 0xff, WORKSPACE); /* all of it, so that a value which lies there shows */

    uint32_t out_c = conv->out_c;
    enum kernel_type outer = conv->type == KERNEL_F8 ? KERNEL_F16 : conv->type;
    size_t filter_size = (size_t)conv->window.kernel_h * conv->window.kernel_w * conv->c;
    size_t plane = (size_t)conv->h * conv->w, out_plane = (size_t)conv->out_h * conv->out_w;
    double *x = read_pixels(conv->type, run->x, conv->n * plane, conv->pitch, conv->c);
    double *w = read_filters(conv->type, run->w, out_c, filter_size);
    for (uint32_t first = 0; first < out_c; first += BLOCK)
        for (size_t pixel = 0; pixel < conv->n * out_plane; pixel++) {
            uint32_t i = (uint32_t)(pixel % out_plane / conv->out_w), j = (uint32_t)(pixel % conv->out_w);
            double sums[BLOCK];
            filter(conv, x + pixel / out_plane * plane * conv->pitch, w + first * filter_size, i, j, sums);
            for (uint32_t o = first; o < out_c && o < first + BLOCK; o++) {
                double sum = sums[o - first];
                if (conv->type == KERNEL_F8)
                    sum *= (double)run->scale[o];
                sum += (double)read_value(outer, run->bias, o);
                if (conv->residual_pitch)
                    sum += (double)read_value(outer, run->residual, pixel * conv->residual_pitch + o);
                write_value(outer, run->y, pixel * conv->out_pitch + o, (float)activated(sum, conv->activation));
            }
        }
    free(x);
    free(w);
}

int cudnn_plan_run(struct cudnn *cudnn, const struct cudnn_plan *plan, cudaStream_t stream, const void *x, const void *w,
                   const void *bias, const float *scale, const void *residual, void *y, void *workspace, struct bgd_err *err)
{
    cudaError_t error = emulation_call_in(stream);
    if (!error && cudnn->device != emulation_device())
        error = cudaErrorInvalidResourceHandle;
    if (error)
        return err_set(err, BGD_DEVICE, "a plan does not run: %s", cudaGetErrorString(error));
    struct run run = {plan->conv, x, w, residual, bias, scale, y, workspace};
    emulation_enqueue(stream, plan->conv.n, convolve, &run, sizeof run);
    return 0;
}
