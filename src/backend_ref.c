/*
 * The reference: each op as the plainest loop that says what it computes, f32 values in NCHW order, sums in double.
 * It is never made faster; every other backend is held against it.
 */
#include "backend.h"
#include "err.h"
#include "measure.h"
#include "plan.h"

#include <assert.h>
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_DEFAULT 8u
#define SELU_SCALE 1.0507009873554804934193349852946 /* torch.nn.SELU's digits */
#define SELU_ALPHA 1.6732632423543772848170429916717

static const double pi = 3.14159265358979323846;

struct device {
    char unused;
};

struct exec {
    const struct bgd_model *model;
    struct plan plan;
    float **tensors; /* every tensor as f32; owned unless sibling */
    bool owns_tensors;
    uint8_t *arena;
    double complex *spectrum; /* of the largest plane that is high-passed */
    struct feed_scratch scratch;
};

static int ref_open(uint64_t gpus, enum bgd_precision precision, struct device **device, struct bgd_err *err)
{
    *device = NULL;
    if (backend_check_cpu("ref", gpus, precision, err))
        return err->code;
    *device = calloc(1, sizeof **device);
    return *device ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static void ref_close(struct device *device)
{
    free(device);
}

static void ref_describe(const struct device *device, char text[BACKEND_TEXT])
{
    (void)device;
    strcpy(text, "plain loops, f32");
}

static void ref_release(struct exec *exec)
{
    if (!exec)
        return;
    if (exec->owns_tensors && exec->tensors)
        for (uint32_t i = 0; i < exec->model->header->n_tensors; i++)
            free(exec->tensors[i]);
    if (exec->owns_tensors)
        free(exec->tensors);
    plan_free(&exec->plan);
    feed_scratch_free(&exec->scratch);
    free(exec->arena);
    free(exec->spectrum);
    free(exec);
}

static int read_tensors(struct exec *exec, struct bgd_err *err)
{
    const struct bgd_model *model = exec->model;
    exec->owns_tensors = true;
    exec->tensors = calloc((size_t)model->header->n_tensors + 1, sizeof *exec->tensors);
    if (!exec->tensors)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < model->header->n_tensors; i++) {
        exec->tensors[i] = malloc((size_t)model_tensor_count(&model->tensors[i]) * sizeof(float));
        if (!exec->tensors[i])
            return err_set(err, BGD_MEMORY, "out of memory for tensor %s", model->tensors[i].name);
        model_read_tensor(model, i, exec->tensors[i]);
    }
    return 0;
}

/* What high_pass needs: the largest plane, and a line. */
static size_t spectrum_size(const struct bgd_model *model)
{
    size_t most = 0;
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        struct shape s = model_shape(model, model->ops[i].inputs[0]);
        size_t size = (size_t)s.h * s.w + (s.h > s.w ? s.h : s.w);
        if (model->ops[i].code == BGD_OP_HIGH_PASS && size > most)
            most = size;
    }
    return most;
}

static uint32_t ref_batch_for(const struct device *device, const struct bgd_model *model)
{
    (void)device, (void)model;
    return BATCH_DEFAULT;
}

static int ref_prepare(struct device *device, uint32_t gpu, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
                       struct exec **out, struct bgd_err *err)
{
    (void)device, (void)gpu;
    *out = NULL;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    exec->model = model;
    if (sibling)
        exec->tensors = sibling->tensors;
    else if (read_tensors(exec, err))
        goto fail;
    if (plan_build(model, batch, &exec->plan, err))
        goto fail;
    exec->arena = aligned_alloc(PLAN_ALIGN, (exec->plan.arena_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN);
    if (!exec->arena) {
        err_set(err, BGD_MEMORY, "out of memory for an arena of %zu bytes", exec->plan.arena_bytes);
        goto fail;
    }
    if (spectrum_size(model) && !(exec->spectrum = malloc(spectrum_size(model) * sizeof *exec->spectrum))) {
        err_set(err, BGD_MEMORY, "out of memory");
        goto fail;
    }
    *out = exec;
    return 0;
fail:
    ref_release(exec);
    return err->code;
}

static uint32_t ref_batch(const struct exec *exec)
{
    return exec->plan.batch;
}

static float *value_of(const struct exec *exec, uint32_t value)
{
    return (float *)(void *)(exec->arena + exec->plan.values[value].offset);
}

static int ref_load(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err)
{
    (void)err;
    assert(n <= exec->plan.batch && input < exec->model->header->n_inputs);
    memcpy(value_of(exec, input), values, n * shape_size(model_shape(exec->model, input)) * sizeof *values);
    return 0;
}

static int ref_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *images, const struct backend_mask *mask,
                    struct bgd_err *err)
{
    assert(n <= exec->plan.batch);
    size_t size = (size_t)shape_size(model_shape(exec->model, 0));
    for (uint32_t i = 0; i < n; i++) {
        struct feed_mask own = {0};
        if (mask) {
            uint32_t value = mask->exec->model->header->outputs[0];
            struct shape s = model_shape(mask->exec->model, value);
            own = (struct feed_mask){value_of(mask->exec, value) + i * shape_size(s), s.w, s.h, mask->threshold};
        }
        if (feed_image(images[i], mask ? &own : NULL, &exec->model->meta.input, &exec->scratch, value_of(exec, 0) + i * size,
                       err))
            return err->code;
    }
    return 0;
}

static void conv(const struct bgd_format_op *op, struct shape in, struct shape out, const float *x, const float *weight,
                 const float *bias, float *y)
{
    const struct bgd_window *win = &op->window;
    uint32_t in_per_group = in.c / op->groups, out_per_group = out.c / op->groups;
    for (uint32_t o = 0; o < out.c; o++)
        for (uint32_t i = 0; i < out.h; i++)
            for (uint32_t j = 0; j < out.w; j++) {
                double sum = (double)bias[o];
                for (uint32_t c = 0; c < in_per_group; c++)
                    for (uint32_t kh = 0; kh < win->kernel_h; kh++)
                        for (uint32_t kw = 0; kw < win->kernel_w; kw++) {
                            int64_t row = (int64_t)i * win->stride_h + (int64_t)kh * win->dilation_h - win->pad_top;
                            int64_t col = (int64_t)j * win->stride_w + (int64_t)kw * win->dilation_w - win->pad_left;
                            if (row < 0 || row >= in.h || col < 0 || col >= in.w)
                                continue;
                            uint32_t channel = o / out_per_group * in_per_group + c;
                            size_t tap = (((size_t)o * in_per_group + c) * win->kernel_h + kh) * win->kernel_w + kw;
                            sum += (double)x[((size_t)channel * in.h + (size_t)row) * in.w + (size_t)col] * (double)weight[tap];
                        }
                y[((size_t)o * out.h + i) * out.w + j] = (float)sum;
            }
}

static void dense(struct shape in, struct shape out, const float *x, const float *weight, const float *bias, float *y)
{
    size_t size = (size_t)shape_size(in);
    for (uint32_t o = 0; o < out.c; o++) {
        double sum = (double)bias[o];
        for (size_t i = 0; i < size; i++)
            sum += (double)x[i] * (double)weight[o * size + i];
        y[o] = (float)sum;
    }
}

static void softmax(struct shape s, const float *x, float *y)
{
    size_t plane = (size_t)s.h * s.w;
    for (size_t p = 0; p < plane; p++) {
        float top = x[p];
        double sum = 0;
        for (uint32_t c = 1; c < s.c; c++)
            top = fmaxf(top, x[c * plane + p]);
        for (uint32_t c = 0; c < s.c; c++)
            sum += exp((double)(x[c * plane + p] - top));
        for (uint32_t c = 0; c < s.c; c++)
            y[c * plane + p] = (float)(exp((double)(x[c * plane + p] - top)) / sum);
    }
}

static void max_pool(const struct bgd_window *win, struct shape in, struct shape out, const float *x, float *y)
{
    for (uint32_t c = 0; c < out.c; c++)
        for (uint32_t i = 0; i < out.h; i++)
            for (uint32_t j = 0; j < out.w; j++) {
                float top = -INFINITY;
                for (uint32_t kh = 0; kh < win->kernel_h; kh++)
                    for (uint32_t kw = 0; kw < win->kernel_w; kw++) {
                        int64_t row = (int64_t)i * win->stride_h + kh - win->pad_top;
                        int64_t col = (int64_t)j * win->stride_w + kw - win->pad_left;
                        if (row >= 0 && row < in.h && col >= 0 && col < in.w)
                            top = fmaxf(top, x[((size_t)c * in.h + (size_t)row) * in.w + (size_t)col]);
                    }
                y[((size_t)c * out.h + i) * out.w + j] = top;
            }
}

static void global_mean(struct shape in, const float *x, float *y)
{
    size_t plane = (size_t)in.h * in.w;
    for (uint32_t c = 0; c < in.c; c++) {
        double sum = 0;
        for (size_t p = 0; p < plane; p++)
            sum += (double)x[c * plane + p];
        y[c] = (float)(sum / (double)plane);
    }
}

/* y's element for x's element i: y has x's shape, or repeats. */
static float repeated(struct shape x, struct shape y, const float *values, size_t i)
{
    size_t plane = (size_t)x.h * x.w;
    if (y.c == x.c && y.h == x.h && y.w == x.w)
        return values[i];
    return y.c == x.c ? values[i / plane] : values[i % plane];
}

/* Where output o of an enlarged axis lies between two inputs, as PyTorch computes it (UpSample.h): in float, since an align
 * that lands on an input must do so here, too. */
static void upsample_place(uint32_t o, uint32_t in, uint32_t out, bool align, uint32_t *low, uint32_t *high, double *share)
{
    float position = align ? (out > 1 ? (float)(in - 1) / (float)(out - 1) : 0) * (float)o
                           : fmaxf(((float)o + 0.5f) * ((float)in / (float)out) - 0.5f, 0);
    *low = (uint32_t)position < in - 1 ? (uint32_t)position : in - 1;
    *high = *low + (*low < in - 1);
    *share = (double)(position - (float)*low);
}

/* The first row (or column) of window i, and the one behind its last, is floor(i * in / out) and ceil((i + 1) * in / out). */
static void adaptive_mean(struct shape in, struct shape out, const float *x, float *y)
{
    for (uint32_t c = 0; c < in.c; c++, x += (size_t)in.h * in.w)
        for (uint32_t i = 0; i < out.h; i++)
            for (uint32_t j = 0; j < out.w; j++) {
                uint32_t top = i * in.h / out.h, bottom = ((i + 1) * in.h + out.h - 1) / out.h;
                uint32_t left = j * in.w / out.w, right = ((j + 1) * in.w + out.w - 1) / out.w;
                double sum = 0;
                for (uint32_t row = top; row < bottom; row++)
                    for (uint32_t column = left; column < right; column++)
                        sum += x[(size_t)row * in.w + column];
                *y++ = (float)(sum / ((double)(bottom - top) * (right - left)));
            }
}

static void lrn(const struct bgd_format_op *op, struct shape in, const float *x, float *y)
{
    uint32_t before = op->size[0] / 2, behind = (op->size[0] - 1) / 2;
    size_t plane = (size_t)in.h * in.w;
    for (uint32_t c = 0; c < in.c; c++) {
        uint32_t first = c < before ? 0 : c - before, last = c + behind < in.c ? c + behind : in.c - 1;
        for (size_t i = 0; i < plane; i++) {
            double sum = 0;
            for (uint32_t j = first; j <= last; j++)
                sum += (double)x[j * plane + i] * x[j * plane + i];
            y[c * plane + i] = (float)(x[c * plane + i] / pow(op->k + (double)op->parameter / op->size[0] * sum, op->beta));
        }
    }
}

static void upsample(const struct bgd_format_op *op, struct shape in, struct shape out, const float *x, float *y)
{
    for (uint32_t i = 0; i < out.h; i++)
        for (uint32_t j = 0; j < out.w; j++) {
            uint32_t top, bottom, left, right;
            double down, across;
            upsample_place(i, in.h, out.h, op->align_corners, &top, &bottom, &down);
            upsample_place(j, in.w, out.w, op->align_corners, &left, &right, &across);
            for (uint32_t c = 0; c < out.c; c++) {
                const float *p = x + (size_t)c * in.h * in.w;
                double a = p[(size_t)top * in.w + left] * (1 - across) + p[(size_t)top * in.w + right] * across;
                double b = p[(size_t)bottom * in.w + left] * (1 - across) + p[(size_t)bottom * in.w + right] * across;
                y[((size_t)c * out.h + i) * out.w + j] = (float)(a * (1 - down) + b * down);
            }
        }
}

static void attention(struct shape s, const float *q, const float *k, const float *v, float *y)
{
    size_t rows = (size_t)s.c * s.h;
    for (size_t i = 0; i < rows; i++) {
        double weights[4096], top = -INFINITY, sum = 0;
        for (size_t j = 0; j < rows; j++) {
            weights[j] = 0;
            for (uint32_t d = 0; d < s.w; d++)
                weights[j] += (double)q[i * s.w + d] * (double)k[j * s.w + d];
            top = fmax(top, weights[j]);
        }
        for (size_t j = 0; j < rows; j++)
            sum += weights[j] = exp(weights[j] - top);
        for (uint32_t d = 0; d < s.w; d++) {
            double value = 0;
            for (size_t j = 0; j < rows; j++)
                value += weights[j] * (double)v[j * s.w + d];
            y[i * s.w + d] = (float)(value / sum);
        }
    }
}

/* NAN behind all numbers: qsort needs an order. */
static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y) + (isnan(x) != 0) - (isnan(y) != 0);
}

/* Equal values all fall on the same side, so that no order among them matters. */
static void quantile_mask(float share, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *x);
    qsort(y, n, sizeof *y, compare_floats);
    float position = share * (float)(n - 1), low = floorf(position);
    float a = y[(size_t)low], b = y[(size_t)low + (low < (float)(n - 1))];
    float share_of_b = position - low; /* torch.lerp's two forms */
    float quantile = share_of_b < 0.5f ? a + share_of_b * (b - a) : b - (b - a) * (1 - share_of_b);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > quantile ? x[i] : 0;
}

static float denoised(float object, float cut)
{
    float background = 1 - object;
    return object + (background > cut ? 0 : background);
}

/* The discrete Fourier transform of n values, `stride` apart, by its definition; sign -1 forward, 1 back (not divided by n). */
static void transform(uint32_t n, size_t stride, double sign, double complex *x, double complex *line)
{
    for (uint32_t f = 0; f < n; f++) {
        line[f] = 0;
        for (uint32_t i = 0; i < n; i++) { /* the angle by its remainder: (f i) mod n turns of 1 / n */
            double angle = sign * 2 * pi * (double)((uint64_t)f * i % n) / n;
            line[f] += x[i * stride] * (cos(angle) + (double complex)I * sin(angle));
        }
    }
    for (uint32_t f = 0; f < n; f++)
        x[f * stride] = line[f];
}

static void transform_both(struct shape s, double sign, double complex *x, double complex *line)
{
    for (uint32_t i = 0; i < s.h; i++)
        transform(s.w, 1, sign, x + (size_t)i * s.w, line);
    for (uint32_t j = 0; j < s.w; j++)
        transform(s.h, s.w, sign, x + j, line);
}

/* `spectrum` has room for a plane and, behind it, for its longer side. */
static void high_pass(float radius, struct shape s, const float *x, float *y, double complex *spectrum)
{
    size_t plane = (size_t)s.h * s.w;
    double centre = s.h / 2.0;
    for (uint32_t c = 0; c < s.c; c++, x += plane, y += plane) {
        for (size_t p = 0; p < plane; p++)
            spectrum[p] = (double)x[p];
        transform_both(s, -1, spectrum, spectrum + plane);
        for (uint32_t u = 0; u < s.h; u++)
            for (uint32_t v = 0; v < s.w; v++) { /* frequency 0 stands at (h / 2, w / 2), rounded down, of a shifted spectrum */
                double down = (u + s.h / 2) % s.h - centre, across = (v + s.w / 2) % s.w - centre;
                if (sqrt(down * down + across * across) < (double)radius)
                    spectrum[(size_t)u * s.w + v] = 0;
            }
        transform_both(s, 1, spectrum, spectrum + plane);
        for (size_t p = 0; p < plane; p++)
            y[p] = (float)(cabs(spectrum[p]) / (double)plane);
    }
}

/* One op on one picture. */
static void run_op(const struct exec *exec, const struct bgd_format_op *op, const float *const *x, struct shape in,
                   struct shape out, float *y)
{
    size_t size = (size_t)shape_size(out);
    const float *weight = op->n_tensors > 0 ? exec->tensors[op->tensors[0]] : NULL;
    const float *bias = op->n_tensors > 1 ? exec->tensors[op->tensors[1]] : NULL;
    struct shape second = op->n_inputs > 1 ? model_shape(exec->model, op->inputs[1]) : in;
    switch ((enum bgd_op)op->code) {
    case BGD_OP_CONV: conv(op, in, out, x[0], weight, bias, y); return;
    case BGD_OP_DENSE: dense(in, out, x[0], weight, bias, y); return;
    case BGD_OP_RELU:
        for (size_t i = 0; i < size; i++)
            y[i] = x[0][i] > 0 ? x[0][i] : 0;
        return;
    case BGD_OP_SIGMOID:
        for (size_t i = 0; i < size; i++)
            y[i] = (float)(1 / (1 + exp(-(double)x[0][i])));
        return;
    case BGD_OP_SOFTMAX: softmax(out, x[0], y); return;
    case BGD_OP_ADD:
        for (size_t i = 0; i < size; i++)
            y[i] = x[0][i] + repeated(in, second, x[1], i);
        return;
    case BGD_OP_MAX_POOL: max_pool(&op->window, in, out, x[0], y); return;
    case BGD_OP_GLOBAL_MEAN: global_mean(in, x[0], y); return;
    case BGD_OP_SILU:
        for (size_t i = 0; i < size; i++)
            y[i] = (float)(x[0][i] / (1 + exp(-(double)x[0][i])));
        return;
    case BGD_OP_SELU:
        for (size_t i = 0; i < size; i++)
            y[i] = (float)(SELU_SCALE * (x[0][i] > 0 ? x[0][i] : SELU_ALPHA * expm1((double)x[0][i])));
        return;
    case BGD_OP_MUL:
        for (size_t i = 0; i < size; i++)
            y[i] = x[0][i] * repeated(in, second, x[1], i);
        return;
    case BGD_OP_CONCAT:
        for (uint32_t a = 0; a < op->n_inputs; a++) {
            size_t part = (size_t)shape_size(model_shape(exec->model, op->inputs[a]));
            memcpy(y, x[a], part * sizeof *y);
            y += part;
        }
        return;
    case BGD_OP_UPSAMPLE: upsample(op, in, out, x[0], y); return;
    case BGD_OP_ATTENTION: attention(in, x[0], x[1], x[2], y); return;
    case BGD_OP_QUANTILE_MASK: quantile_mask(op->parameter, size, x[0], y); return;
    case BGD_OP_DENOISE:
        for (size_t i = 0; i < size; i++)
            y[i] = denoised(x[0][i], op->parameter);
        return;
    case BGD_OP_HIGH_PASS: high_pass(op->parameter, in, x[0], y, exec->spectrum); return;
    case BGD_OP_ADAPTIVE_MEAN: adaptive_mean(in, out, x[0], y); return;
    case BGD_OP_LRN: lrn(op, in, x[0], y); return;
    }
    assert(false && "an op of the list without a loop here");
}

/* Op i on n pictures. */
static void run_pictures(const struct exec *exec, uint32_t i, uint32_t n)
{
    const struct bgd_model *model = exec->model;
    const struct bgd_format_op *op = &model->ops[i];
    uint32_t value = model_op_value(model, i);
    struct shape out = model_shape(model, value);
    for (uint32_t k = 0; k < n; k++) {
        const float *x[8];
        for (uint32_t a = 0; a < op->n_inputs; a++)
            x[a] = value_of(exec, op->inputs[a]) + k * shape_size(model_shape(model, op->inputs[a]));
        run_op(exec, op, x, model_shape(model, op->inputs[0]), out, value_of(exec, value) + k * shape_size(out));
    }
}

static int ref_run(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    (void)err;
    assert(n <= exec->plan.batch);
    for (uint32_t i = 0; i < exec->model->header->n_ops; i++)
        run_pictures(exec, i, n);
    return 0;
}

static int ref_fetch(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    (void)err;
    uint32_t value = exec->model->header->outputs[output];
    memcpy(values, value_of(exec, value), n * shape_size(model_shape(exec->model, value)) * sizeof *values);
    return 0;
}

enum { PRODUCT_SIDE = 256 }; /* of square matrices, as a dense layer on so many pictures */

static int product_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    static const struct shape line = {PRODUCT_SIDE, 1, 1};
    float *x = user, *weight = x + PRODUCT_SIDE * PRODUCT_SIDE, *bias = weight + PRODUCT_SIDE * PRODUCT_SIDE,
          *y = bias + PRODUCT_SIDE;
    (void)err;
    double start = measure_now();
    for (uint32_t i = 0; i < times; i++)
        for (uint32_t k = 0; k < PRODUCT_SIDE; k++)
            dense(line, line, x + k * PRODUCT_SIDE, weight, bias, y + k * PRODUCT_SIDE);
    *seconds = measure_now() - start;
    return 0;
}

static int ref_ceilings(struct device *device, struct backend_ceilings *ceilings, struct bgd_err *err)
{
    (void)device;
    const size_t size = PRODUCT_SIDE * PRODUCT_SIDE;
    double seconds;
    float *matrices = calloc(3 * size + PRODUCT_SIDE, sizeof *matrices);
    if (!matrices)
        return err_set(err, BGD_MEMORY, "out of memory for a matrix product");
    int code = measure_fastest(product_row, matrices, &seconds, err);
    free(matrices);
    *ceilings = (struct backend_ceilings){.element_bytes = sizeof(float)};
    if (!code)
        ceilings->macs = (double)size * PRODUCT_SIDE / seconds;
    return code ? code : measure_copy(&ceilings->copy, err);
}

static int ref_profile(struct exec *exec, uint32_t n, uint32_t repeats, struct backend_op_time *times, struct bgd_err *err)
{
    struct measure_steps steps;
    int code = measure_steps_open(&steps, exec->model, NULL, repeats, err);
    for (uint32_t r = 0; r < repeats && !code; r++)
        for (uint32_t i = 0; i < exec->model->header->n_ops; i++) {
            double start = measure_now();
            run_pictures(exec, i, n);
            measure_steps_add(&steps, i, r, measure_now() - start);
        }
    if (!code)
        measure_steps_times(&steps, times);
    measure_steps_close(&steps);
    return code;
}

const struct backend backend_ref = {
    .name = "ref",
    .lanes = UINT32_MAX,
    .open = ref_open,
    .close = ref_close,
    .describe = ref_describe,
    .gpus = backend_no_gpus,
    .autotune = backend_no_autotune,
    .memory = backend_no_memory,
    .batch_for = ref_batch_for,
    .prepare = ref_prepare,
    .release = ref_release,
    .batch = ref_batch,
    .load = ref_load,
    .feed = ref_feed,
    .run = ref_run,
    .fetch = ref_fetch,
    .ceilings = ref_ceilings,
    .profile = ref_profile,
};
