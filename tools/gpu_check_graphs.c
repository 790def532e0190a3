/* Small graphs with made-up weights, and what their results may be off by. */
#include "err.h"
#include "gpu_check.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>

const struct meta check_plain_meta = {.arch = "check"};

/* ---------------------------------------------------------------- the bound */

/* The most multiply-accumulates behind one element of a value. */
static double most_taps(const struct bgd_model *model)
{
    double most = 1;
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        const struct bgd_format_op *op = &model->ops[i];
        struct shape inputs[COUNT(op->inputs)], out = model_shape(model, model_op_value(model, i));
        for (uint32_t k = 0; k < op->n_inputs; k++)
            inputs[k] = model_shape(model, op->inputs[k]);
        most = fmax(most, (double)op_macs(op, inputs, out) / (double)shape_size(out));
    }
    return most;
}

/*
 * Inputs and weights are exact in every type, and products are summed in f32: an op is off by one rounding of its result, and
 * by what its sum is off by. That is about 0.3 sqrt(taps) EPS of values near 1 (a random walk), five times as much in the worst
 * of 100,000, and up to ten times that where cuDNN takes a Winograd transform (Lavin and Gray, arXiv 1509.09308): 16 sqrt(taps)
 * EPS. Behind a convolution the roundings of its inputs cancel as its terms do, so a row of ops adds up to one of each per op.
 * What a wrong device does is 1e-2 and more; TF32 in place of f32, 3e-4 where a convolution reads another's result. In half
 * precision a sigmoid, and a SiLU, may go by a tanh that is off by 2^-11 (kernels/device.h): by 2^-12 of the largest value.
 */
static struct errors ops_bound(const struct subject *s, const struct target *target)
{
    /* Inputs and weights of E4M3 are rounded, each by 2^-4 / sqrt(6) of itself or so, in the mean of squares: a sum of products that
     * cancel is off by 0.036 of its own mean size. The largest of 100,000 is 4.5 times that size: 0.036 at the worst, 0.006 in the mean. */
    if (target->precision == BGD_PRECISION_F8)
        return (struct errors){target->rounding, target->rounding / 8};
    double roundings = s->model->header->n_ops + (s->images != NULL); /* a fed picture is not exact */
    double tanhs = 0;
    for (uint32_t i = 0; i < s->model->header->n_ops && target->precision != BGD_PRECISION_F32; i++)
        tanhs += s->model->ops[i].code == BGD_OP_SIGMOID || s->model->ops[i].code == BGD_OP_SILU;
    return (struct errors){roundings * (target->rounding + 16 * EPS * sqrt(most_taps(s->model))) + tanhs * 0x1p-12, INFINITY};
}

/* ---------------------------------------------------------------- graphs */

/* Multiples of scale / levels in -scale .. scale. With 128 levels and a scale that is a power of two they have 8 bits, and are
 * exact in every type. */
static void fill(float *values, size_t n, uint64_t seed, float scale, uint32_t levels)
{
    for (size_t i = 0; i < n; i++)
        values[i] = scale * floorf(random_at(seed, i) * (float)levels) / (float)levels;
}

/* The power of two that keeps a sum of so many products near 1. */
static float weight_scale(uint32_t taps)
{
    float scale = 1;
    while (scale * scale * (float)taps > 3)
        scale /= 2;
    return scale;
}

uint32_t check_conv(struct graph *g, const char *name, uint32_t x, uint32_t out, struct bgd_window window, uint32_t groups)
{
    uint32_t taps = graph_shape(g, x).c / groups * window.kernel_h * window.kernel_w;
    float *weight = check_allocate((size_t)out * taps * sizeof *weight), *bias = check_allocate(out * sizeof *bias);
    fill(weight, (size_t)out * taps, 10 + x, weight_scale(taps), 128);
    fill(bias, out, 11 + x, 1, 128);
    uint32_t value = graph_conv(g, name, x, out, window, groups, weight, bias);
    free(weight);
    free(bias);
    return value;
}

uint32_t check_dense(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    uint32_t taps = (uint32_t)shape_size(graph_shape(g, x));
    float *weight = check_allocate((size_t)out * taps * sizeof *weight), *bias = check_allocate(out * sizeof *bias);
    fill(weight, (size_t)out * taps, 20 + x, weight_scale(taps), 128);
    fill(bias, out, 21 + x, 1, 128);
    uint32_t value = graph_dense(g, name, x, out, weight, bias);
    free(weight);
    free(bias);
    return value;
}

void check_graph(struct checker *c, struct subject *s, struct graph *g, const struct meta *meta, float scale, uint32_t levels)
{
    struct bgd_err err = {0};
    uint8_t *bytes;
    size_t size;
    if (graph_encode(g, meta, BGD_F32, &bytes, &size, &err) || model_parse(bytes, size, &s->model, &err)) {
        err_prefix(&err, "%s %s: ", s->name, s->shapes);
        check_stop(&err);
    }
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++) {
        size_t n = s->n * (size_t)shape_size(model_shape(s->model, i));
        s->inputs[i] = check_allocate(n * sizeof(float));
        fill(s->inputs[i], n, i + 1, scale, levels);
    }
    check_subject(c, s, ops_bound);
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++)
        free(s->inputs[i]);
    bgd_model_close(s->model);
    graph_close(g);
    free(bytes);
}

struct graph *check_open_graph(void)
{
    struct graph *g;
    struct bgd_err err = {0};
    if (graph_open(&g, &err))
        check_stop(&err);
    return g;
}
