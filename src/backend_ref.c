/*
 * The reference: each op as the plainest loop that says what it computes, f32 values in NCHW order, sums in double.
 * It is never made faster; every other backend is held against it.
 */
#include "backend.h"
#include "err.h"
#include "plan.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_DEFAULT 8u

struct device {
    char unused;
};

struct exec {
    const struct bgd_model *model;
    struct plan plan;
    float **tensors; /* every tensor as f32; owned unless sibling */
    bool owns_tensors;
    uint8_t *arena;
    struct feed_scratch scratch;
};

static int ref_open(struct device **device, struct bgd_err *err)
{
    *device = calloc(1, sizeof **device);
    return *device ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static void ref_close(struct device *device)
{
    free(device);
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

static int ref_prepare(struct device *device, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
                       struct exec **out, struct bgd_err *err)
{
    (void)device;
    *out = NULL;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    exec->model = model;
    if (sibling)
        exec->tensors = sibling->tensors;
    else if (read_tensors(exec, err))
        goto fail;
    if (plan_build(model, batch ? batch : BATCH_DEFAULT, &exec->plan, err))
        goto fail;
    exec->arena = aligned_alloc(PLAN_ALIGN, (exec->plan.arena_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN);
    if (!exec->arena) {
        err_set(err, BGD_MEMORY, "out of memory for an arena of %zu bytes", exec->plan.arena_bytes);
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

static int ref_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *images, struct bgd_err *err)
{
    assert(n <= exec->plan.batch);
    size_t size = (size_t)shape_size(model_shape(exec->model, 0));
    for (uint32_t i = 0; i < n; i++)
        if (feed_image(images[i], &exec->model->meta.input, &exec->scratch, value_of(exec, 0) + i * size, err))
            return err->code;
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

/* One op on one picture. */
static void run_op(const struct exec *exec, const struct bgd_format_op *op, const float *const *x, struct shape in,
                   struct shape out, float *y)
{
    size_t size = (size_t)shape_size(out);
    const float *weight = op->n_tensors > 0 ? exec->tensors[op->tensors[0]] : NULL;
    const float *bias = op->n_tensors > 1 ? exec->tensors[op->tensors[1]] : NULL;
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
            y[i] = x[0][i] + x[1][i];
        return;
    case BGD_OP_MAX_POOL: max_pool(&op->window, in, out, x[0], y); return;
    case BGD_OP_GLOBAL_MEAN: global_mean(in, x[0], y); return;
    }
    assert(false && "an op of the list without a loop here");
}

static int ref_run(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    (void)err;
    assert(n <= exec->plan.batch);
    const struct bgd_model *model = exec->model;
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
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
    return 0;
}

static int ref_fetch(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    (void)err;
    uint32_t value = exec->model->header->outputs[output];
    memcpy(values, value_of(exec, value), n * shape_size(model_shape(exec->model, value)) * sizeof *values);
    return 0;
}

const struct backend backend_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .prepare = ref_prepare,
    .release = ref_release,
    .batch = ref_batch,
    .load = ref_load,
    .feed = ref_feed,
    .run = ref_run,
    .fetch = ref_fetch,
};
