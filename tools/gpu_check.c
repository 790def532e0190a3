/*
 * bgdet-gpu-check FOLDER [--json FILE] [--device NAME] [--precision NAME] [--quick] - does a device compute what the reference
 * does?
 *
 * FOLDER has shapes/ (the tables of tests/shapes), weights/ (model files) and cards/ (JPEG). Every op on every shape, small
 * graphs where a backend fuses ops, the feed, and whole networks run on backend_ref and on the device, in f32, f16 and bf16 or
 * the one that is named. A line for each:
 *
 *     name  shapes  precision  worst error of its bound  mean error of its bound  PASS or FAIL
 *
 * Errors are absolute, divided by the largest value of the reference's output or 1. Then a few of the pictures run again, as a
 * short batch behind the full one: they must give the same bits as before.
 *
 * CUDA fuses the blocks of EfficientNets unless BGDET_CUDA_UNFUSED is in the environment: what differs between a run with it and
 * one without is theirs.
 *
 * --quick takes the first shape of each table and no networks: for tools that make a device a hundred times slower. Exits with
 * 1 if a check failed, with 2 if something else is wrong.
 */
#include "backend.h"
#include "convert/graph.h"
#include "err.h"
#include "file.h"
#include "random.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PATH_SIZE 4096u
#define OP_PICTURES 3u
#define NETWORK_PICTURES 8u
#define NUMBERS_MAX 15u /* of a line of a table */
#define EPS 0x1p-24     /* half a unit in the last place of a float near 1 */

struct target {
    const char *name;
    enum bgd_precision precision;
    double rounding;       /* half a unit in the last place of the type, relative: 2^-11 of f16's 11 bits */
    struct device *device; /* NULL: it does not compute in that precision, or is not asked to */
};

struct checker {
    const char *folder;
    const char *only; /* the precision; NULL: all */
    const struct backend *backend;
    struct target targets[3];
    struct bgd_image cards[NETWORK_PICTURES];
    bool quick;
    cJSON *rows;
    unsigned passed, failed, skipped;
};

/* What is checked: a model, and pictures for it. */
struct subject {
    char name[64], shapes[128];
    struct bgd_model *model;
    uint32_t n;
    float *inputs[BGD_FORMAT_INPUTS_MAX];
    const struct bgd_image *const *images; /* fed instead of the inputs; NULL: inputs are loaded */
};

struct errors {
    double worst, mean;
};

_Noreturn static void stop(const struct bgd_err *err)
{
    fprintf(stderr, "bgdet-gpu-check: %s\n", err->text);
    exit(2);
}

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        stop(&(struct bgd_err){.text = "out of memory"});
    return memory;
}

/* ---------------------------------------------------------------- bounds */

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
    double roundings = s->model->header->n_ops + (s->images != NULL); /* a fed picture is not exact */
    double tanhs = 0;
    for (uint32_t i = 0; i < s->model->header->n_ops && target->precision != BGD_PRECISION_F32; i++)
        tanhs += s->model->ops[i].code == BGD_OP_SIGMOID || s->model->ops[i].code == BGD_OP_SILU;
    return (struct errors){roundings * (target->rounding + 16 * EPS * sqrt(most_taps(s->model))) + tanhs * 0x1p-12, INFINITY};
}

/*
 * Of a whole network in f32, what its tests allow. The roundings of n ops, of values and weights, are about independent and
 * come to sqrt(n) of one; four times that for cards near which a network is steep (seen in three
 * ResNet-18: 0.2 with one set of eight cards, 1.5 with another, where half a rounding of the input alone does half of that). A mask has
 * edges, where its worst value says little: what matters is its mean, 2e-3 in f16; bf16 has 8 times the rounding.
 */
static struct errors network_bound(const struct subject *s, const struct target *target)
{
    if (target->precision == BGD_PRECISION_F32)
        return (struct errors){1e-4, INFINITY};
    if (s->model->meta.kind == META_SEGMENTER)
        return (struct errors){INFINITY, 2e-3 * target->rounding / 0x1p-11};
    return (struct errors){4 * target->rounding * sqrt(s->model->header->n_ops), INFINITY};
}

/* ---------------------------------------------------------------- running */

static size_t output_size(const struct bgd_model *model, uint32_t output)
{
    return (size_t)shape_size(model_shape(model, model->header->outputs[output]));
}

static size_t all_outputs_size(const struct bgd_model *model)
{
    size_t size = 0;
    for (uint32_t o = 0; o < model->header->n_outputs; o++)
        size += output_size(model, o);
    return size;
}

static int load_pictures(const struct backend *backend, struct exec *exec, const struct subject *s, uint32_t first, uint32_t n,
                         struct bgd_err *err)
{
    if (s->images)
        return backend->feed(exec, n, s->images + first, NULL, err);
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++)
        if (backend->load(exec, i, n, s->inputs[i] + first * shape_size(model_shape(s->model, i)), err))
            return err->code;
    return 0;
}

/* Runs the pictures first .. first + n - 1. The outputs come one behind the other in y, each (n, c, h, w). */
static int run_pictures(const struct backend *backend, struct exec *exec, const struct subject *s, uint32_t first, uint32_t n,
                        float *y, struct bgd_err *err)
{
    if (load_pictures(backend, exec, s, first, n, err) || backend->run(exec, n, err))
        return err->code;
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        if (backend->fetch(exec, o, n, y, err))
            return err->code;
        y += n * output_size(s->model, o);
    }
    return 0;
}

/* How many of the last pictures run again by themselves. */
static uint32_t short_batch(const struct subject *s)
{
    return (s->n + 2) / 3;
}

/* Runs all pictures, and then the last ones again. */
static int run_twice(const struct backend *backend, struct device *device, const struct subject *s, float *y, float *again,
                     struct bgd_err *err)
{
    struct exec *exec;
    if (backend->prepare(device, s->model, s->n, NULL, &exec, err))
        return err->code;
    if (run_pictures(backend, exec, s, 0, s->n, y, err) == 0)
        run_pictures(backend, exec, s, s->n - short_batch(s), short_batch(s), again, err);
    backend->release(exec);
    return err->code;
}

/* What the reference computes; to be freed. */
static float *run_reference(const struct subject *s)
{
    struct bgd_err err = {0};
    struct device *device;
    struct exec *exec;
    float *y = allocate(s->n * all_outputs_size(s->model) * sizeof *y);
    if (backend_ref.open(BGD_PRECISION_F32, &device, &err) || backend_ref.prepare(device, s->model, s->n, NULL, &exec, &err) ||
        run_pictures(&backend_ref, exec, s, 0, s->n, y, &err))
        stop(&err);
    backend_ref.release(exec);
    backend_ref.close(device);
    return y;
}

/* ---------------------------------------------------------------- judging */

/* The largest errors among the outputs. One that is not a number is larger than all others. */
static struct errors measure(const struct subject *s, const float *y, const float *ref)
{
    struct errors all = {0};
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        size_t size = s->n * output_size(s->model, o);
        double largest = 1, worst = 0, sum = 0;
        for (size_t i = 0; i < size; i++) {
            double error = fabs((double)y[i] - (double)ref[i]);
            largest = fmax(largest, fabs((double)ref[i]));
            worst = error > worst || isnan(error) ? error : worst;
            sum += error;
        }
        double mean = sum / (double)size / largest;
        worst /= largest;
        all.worst = worst > all.worst || isnan(worst) ? worst : all.worst;
        all.mean = mean > all.mean || isnan(mean) ? mean : all.mean;
        y += size;
        ref += size;
    }
    return all;
}

static bool same_bits(const struct subject *s, const float *y, const float *again)
{
    uint32_t few = short_batch(s);
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        size_t size = output_size(s->model, o);
        if (memcmp(y + (s->n - few) * size, again, few * size * sizeof *y))
            return false;
        y += s->n * size;
        again += few * size;
    }
    return true;
}

/* " of 1.00e-04"; nothing where there is no bound. */
static const char *bound_text(double bound, char text[24])
{
    text[0] = 0;
    if (isfinite(bound))
        snprintf(text, 24, " of %.2e", bound);
    return text;
}

/* Prints the line of a check, and keeps it. `wrong` says what else is wrong; NULL: nothing. */
static void report(struct checker *c, const struct subject *s, const struct target *target, struct errors errors,
                   struct errors bound, const char *wrong)
{
    bool passes = !wrong && errors.worst <= bound.worst && errors.mean <= bound.mean;
    char worst[24], mean[24];
    printf("%-28s %-42s %-4s  worst %.2e%s  mean %.2e%s  %s%s%s\n", s->name, s->shapes, target->name, errors.worst,
           bound_text(bound.worst, worst), errors.mean, bound_text(bound.mean, mean), passes ? "PASS" : "FAIL",
           wrong ? ": " : "", wrong ? wrong : "");
    fflush(stdout);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", s->name);
    cJSON_AddStringToObject(row, "shapes", s->shapes);
    cJSON_AddStringToObject(row, "precision", target->name);
    cJSON_AddNumberToObject(row, "worst", errors.worst);
    cJSON_AddNumberToObject(row, "worst_bound", bound.worst);
    cJSON_AddNumberToObject(row, "mean", errors.mean);
    cJSON_AddNumberToObject(row, "mean_bound", bound.mean);
    cJSON_AddBoolToObject(row, "passed", passes);
    if (wrong)
        cJSON_AddStringToObject(row, "wrong", wrong);
    cJSON_AddItemToArray(c->rows, row);
    passes ? c->passed++ : c->failed++;
}

static void check(struct checker *c, const struct subject *s,
                  struct errors (*bound)(const struct subject *s, const struct target *target))
{
    size_t size = all_outputs_size(s->model);
    float *ref = run_reference(s), *y = allocate(s->n * size * sizeof *y), *again = allocate(s->n * size * sizeof *again);
    for (struct target *target = c->targets; target < c->targets + COUNT(c->targets); target++) {
        struct bgd_err err = {0};
        if (!target->device)
            continue;
        if (run_twice(c->backend, target->device, s, y, again, &err))
            report(c, s, target, (struct errors){NAN, NAN}, bound(s, target), err.text);
        else
            report(c, s, target, measure(s, y, ref), bound(s, target),
                   same_bits(s, y, again) ? NULL : "other bits in a short batch");
    }
    free(ref);
    free(y);
    free(again);
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

static uint32_t add_conv(struct graph *g, const char *name, uint32_t x, uint32_t out, struct bgd_window window, uint32_t groups)
{
    uint32_t taps = graph_shape(g, x).c / groups * window.kernel_h * window.kernel_w;
    float *weight = allocate((size_t)out * taps * sizeof *weight), *bias = allocate(out * sizeof *bias);
    fill(weight, (size_t)out * taps, 10 + x, weight_scale(taps), 128);
    fill(bias, out, 11 + x, 1, 128);
    uint32_t value = graph_conv(g, name, x, out, window, groups, weight, bias);
    free(weight);
    free(bias);
    return value;
}

static uint32_t add_dense(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    uint32_t taps = (uint32_t)shape_size(graph_shape(g, x));
    float *weight = allocate((size_t)out * taps * sizeof *weight), *bias = allocate(out * sizeof *bias);
    fill(weight, (size_t)out * taps, 20 + x, weight_scale(taps), 128);
    fill(bias, out, 21 + x, 1, 128);
    uint32_t value = graph_dense(g, name, x, out, weight, bias);
    free(weight);
    free(bias);
    return value;
}

/* Checks a finished graph on n pictures, random ones unless `images` are given, and closes it. */
static void check_graph(struct checker *c, struct subject *s, struct graph *g, const struct meta *meta, float scale,
                        uint32_t levels)
{
    struct bgd_err err = {0};
    uint8_t *bytes;
    size_t size;
    if (graph_encode(g, meta, BGD_F32, &bytes, &size, &err) || model_parse(bytes, size, &s->model, &err)) {
        err_prefix(&err, "%s %s: ", s->name, s->shapes);
        stop(&err);
    }
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++) {
        size_t n = s->n * (size_t)shape_size(model_shape(s->model, i));
        s->inputs[i] = allocate(n * sizeof(float));
        fill(s->inputs[i], n, i + 1, scale, levels);
    }
    check(c, s, ops_bound);
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++)
        free(s->inputs[i]);
    bgd_model_close(s->model);
    graph_close(g);
    free(bytes);
}

static struct graph *open_graph(void)
{
    struct graph *g;
    struct bgd_err err = {0};
    if (graph_open(&g, &err))
        stop(&err);
    return g;
}

static const struct meta plain_meta = {.arch = "check"};

/* ---------------------------------------------------------------- ops, on the shapes of a table */

/* An op as a table has it: its first numbers are the input's c, h, w. */
struct op_case {
    const char *name, *table;
    enum bgd_op code;
    uint32_t numbers;
    float scale; /* of the inputs */
    uint32_t (*build)(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *numbers);
    struct shape (*second)(struct shape first); /* the shape of a second input */
};

static uint32_t build_conv(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    const struct bgd_window window = {.kernel_h = s[4],
                                      .kernel_w = s[5],
                                      .stride_h = s[6],
                                      .stride_w = s[7],
                                      .pad_top = s[8],
                                      .pad_left = s[9],
                                      .pad_bottom = s[10],
                                      .pad_right = s[11],
                                      .dilation_h = s[12],
                                      .dilation_w = s[13]};
    return add_conv(g, "y", x, s[3], window, s[14]);
}

/* An EfficientNet's block. */
static uint32_t build_mbconv(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    const struct bgd_window one = graph_window(1, 1, 0);
    struct bgd_window window = graph_window(s[4], s[5], 0);
    window.pad_top = s[6], window.pad_left = s[7], window.pad_bottom = s[8], window.pad_right = s[9];
    uint32_t y = graph_op(g, BGD_OP_SILU, "expanded", add_conv(g, "expand", x, s[3], one, 1), 0);
    y = graph_op(g, BGD_OP_SILU, "wide", add_conv(g, "depthwise", y, s[3], window, s[3]), 0);
    uint32_t gate = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", y, 0);
    gate = graph_op(g, BGD_OP_SILU, "squeezed", add_conv(g, "squeeze", gate, s[10], one, 1), 0);
    gate = graph_op(g, BGD_OP_SIGMOID, "gate", add_conv(g, "excite", gate, s[3], one, 1), 0);
    y = add_conv(g, "project", graph_op(g, BGD_OP_MUL, "gated", y, gate), s[11], one, 1);
    struct shape in = graph_shape(g, x), out = graph_shape(g, y);
    return in.c == out.c && in.h == out.h && in.w == out.w ? graph_op(g, BGD_OP_ADD, "sum", y, x) : y;
}

static uint32_t build_dense(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    return add_dense(g, "y", x, s[3]);
}

static uint32_t build_max_pool(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    const struct bgd_window window = {.kernel_h = s[3],
                                      .kernel_w = s[4],
                                      .stride_h = s[5],
                                      .stride_w = s[6],
                                      .pad_top = s[7],
                                      .pad_left = s[8],
                                      .pad_bottom = s[9],
                                      .pad_right = s[10],
                                      .dilation_h = 1,
                                      .dilation_w = 1};
    return graph_max_pool(g, "y", x, window);
}

static uint32_t build_pointwise(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)s;
    uint32_t z = op->second ? graph_input(g, "z", op->second(graph_shape(g, x))) : 0;
    return graph_op(g, op->code, "y", x, z);
}

static uint32_t build_denoise(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)s;
    return graph_op_with(g, op->code, "y", x, 0.93f);
}

static uint32_t build_high_pass(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    return graph_op_with(g, op->code, "y", x, (float)s[3]);
}

static uint32_t build_quantile_mask(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    return graph_op_with(g, op->code, "y", x, (float)s[3] / 1000);
}

static uint32_t build_upsample(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    return graph_upsample(g, "y", x, s[3], s[4]);
}

static uint32_t build_adaptive_mean(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    return graph_adaptive_mean(g, "y", x, s[3], s[4]);
}

static uint32_t build_lrn(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    return graph_lrn(g, "y", x, s[3], (float)s[4] / 10000, (float)s[5] / 1000, (float)s[6] / 1000);
}

static uint32_t build_attention(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    const struct shape shape = {s[0], s[1], s[2]};
    const uint32_t values[] = {x, graph_input(g, "k", shape), graph_input(g, "v", shape)};
    return graph_op_n(g, op->code, "y", values, COUNT(values));
}

static struct shape same_shape(struct shape s)
{
    return s;
}

static struct shape per_channel(struct shape s)
{
    return (struct shape){s.c, 1, 1};
}

static struct shape per_pixel(struct shape s)
{
    return (struct shape){1, s.h, s.w};
}

static const struct op_case op_cases[] = {
    {"conv", "conv", BGD_OP_CONV, 15, 1, build_conv, NULL},
    {"mbconv", "mbconv", BGD_OP_CONV, 12, 1, build_mbconv, NULL},
    {"dense", "dense", BGD_OP_DENSE, 4, 1, build_dense, NULL},
    {"relu", "pointwise", BGD_OP_RELU, 3, 8, build_pointwise, NULL},
    {"sigmoid", "pointwise", BGD_OP_SIGMOID, 3, 8, build_pointwise, NULL},
    {"softmax", "pointwise", BGD_OP_SOFTMAX, 3, 8, build_pointwise, NULL},
    {"add", "pointwise", BGD_OP_ADD, 3, 8, build_pointwise, same_shape},
    {"add per channel", "pointwise", BGD_OP_ADD, 3, 8, build_pointwise, per_channel},
    {"add per pixel", "pointwise", BGD_OP_ADD, 3, 8, build_pointwise, per_pixel},
    {"max_pool", "max_pool", BGD_OP_MAX_POOL, 11, 1, build_max_pool, NULL},
    {"global_mean", "pointwise", BGD_OP_GLOBAL_MEAN, 3, 8, build_pointwise, NULL},
    {"silu", "pointwise", BGD_OP_SILU, 3, 8, build_pointwise, NULL},
    {"selu", "pointwise", BGD_OP_SELU, 3, 8, build_pointwise, NULL},
    {"mul", "pointwise", BGD_OP_MUL, 3, 8, build_pointwise, same_shape},
    {"mul per channel", "pointwise", BGD_OP_MUL, 3, 8, build_pointwise, per_channel},
    {"mul per pixel", "pointwise", BGD_OP_MUL, 3, 8, build_pointwise, per_pixel},
    {"upsample", "upsample", BGD_OP_UPSAMPLE, 5, 8, build_upsample, NULL},
    {"adaptive_mean", "adaptive_mean", BGD_OP_ADAPTIVE_MEAN, 5, 8, build_adaptive_mean, NULL},
    {"lrn", "lrn", BGD_OP_LRN, 7, 8, build_lrn, NULL},
    {"attention", "attention", BGD_OP_ATTENTION, 3, 2, build_attention, NULL},
    {"quantile_mask", "quantile_mask", BGD_OP_QUANTILE_MASK, 5, 1, build_quantile_mask, NULL},
    {"denoise", "pointwise", BGD_OP_DENOISE, 3, 1, build_denoise, NULL},
    {"high_pass", "high_pass", BGD_OP_HIGH_PASS, 4, 1, build_high_pass, NULL},
};

static FILE *open_table(const struct checker *c, const char *table)
{
    struct bgd_err err;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/shapes/%s.txt", c->folder, table);
    FILE *file = fopen(path, "r");
    if (!file) {
        err_set(&err, BGD_MISSING, "%s cannot be read", path);
        stop(&err);
    }
    return file;
}

/* The next line of numbers of a table, and the line as text with single spaces; false at the end. */
static bool next_shape(FILE *table, uint32_t *numbers, uint32_t n, char *text, size_t size)
{
    char line[256];
    do {
        if (!fgets(line, sizeof line, table))
            return false;
    } while (line[0] == '#');
    char *at = line;
    size_t used = 0;
    for (uint32_t i = 0; i < n && used < size; i++) {
        numbers[i] = (uint32_t)strtoul(at, &at, 10);
        used += (size_t)snprintf(text + used, size - used, "%s%u", i ? " " : "", numbers[i]);
    }
    return true;
}

static void check_op(struct checker *c, const struct op_case *op)
{
    FILE *table = open_table(c, op->table);
    struct subject s = {.n = OP_PICTURES};
    uint32_t numbers[NUMBERS_MAX];
    snprintf(s.name, sizeof s.name, "%s", op->name);
    for (bool more = true; more && next_shape(table, numbers, op->numbers, s.shapes, sizeof s.shapes); more = !c->quick) {
        struct graph *g = open_graph();
        uint32_t x = graph_input(g, "x", (struct shape){numbers[0], numbers[1], numbers[2]});
        graph_output(g, op->build(g, op, x, numbers));
        uint32_t levels = op->code == BGD_OP_QUANTILE_MASK && numbers[4] ? numbers[4] : 128;
        check_graph(c, &s, g, &plain_meta, op->scale, levels);
    }
    fclose(table);
}

/* Its table names four values, of which it takes so many in turn. */
static void check_concat(struct checker *c)
{
    FILE *table = open_table(c, "concat");
    struct subject s = {.name = "concat", .n = OP_PICTURES};
    uint32_t numbers[NUMBERS_MAX];
    for (bool more = true; more && next_shape(table, numbers, 7, s.shapes, sizeof s.shapes); more = !c->quick) {
        static const char *const names[] = {"a", "b", "c", "d"};
        struct graph *g = open_graph();
        uint32_t values[8];
        for (uint32_t i = 0; i < COUNT(values); i++)
            values[i] =
                i < 4 ? graph_input(g, names[i], (struct shape){numbers[3 + i], numbers[0], numbers[1]}) : values[i - 4];
        graph_output(g, graph_op_n(g, BGD_OP_CONCAT, "y", values, numbers[2]));
        check_graph(c, &s, g, &plain_meta, 1, 128);
    }
    fclose(table);
}

/* ---------------------------------------------------------------- chains, which a backend may fuse */

static uint32_t conv3x3(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return add_conv(g, name, x, out, graph_window(3, 1, 1), 1);
}

static uint32_t conv1x1(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return add_conv(g, name, x, out, graph_window(1, 1, 0), 1);
}

static uint32_t channels(const struct graph *g, uint32_t x)
{
    return graph_shape(g, x).c;
}

static uint32_t conv_relu(struct graph *g, uint32_t x)
{
    return graph_op(g, BGD_OP_RELU, "relu", conv3x3(g, "conv", x, 24), 0);
}

/* ResNet's block. */
static uint32_t residual(struct graph *g, uint32_t x)
{
    uint32_t y = graph_op(g, BGD_OP_RELU, "relu1", conv3x3(g, "conv1", x, channels(g, x)), 0);
    y = graph_op(g, BGD_OP_ADD, "sum", conv3x3(g, "conv2", y, channels(g, x)), x);
    return graph_op(g, BGD_OP_RELU, "relu2", y, 0);
}

static uint32_t depthwise(struct graph *g, uint32_t x, struct bgd_window window)
{
    return graph_op(g, BGD_OP_SILU, "silu", add_conv(g, "conv", x, channels(g, x), window, channels(g, x)), 0);
}

static uint32_t depthwise_silu(struct graph *g, uint32_t x)
{
    return depthwise(g, x, graph_window(5, 2, 2));
}

/* EfficientNet's block without its expansion; the depthwise convolution makes the sums that the mean is made of. */
static uint32_t excited(struct graph *g, uint32_t x, struct bgd_window window)
{
    uint32_t wide = depthwise(g, x, window), y = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", wide, 0);
    y = graph_op(g, BGD_OP_SILU, "squeezed", conv1x1(g, "squeeze", y, 6), 0);
    y = graph_op(g, BGD_OP_SIGMOID, "gate", conv1x1(g, "excite", y, channels(g, x)), 0);
    return conv1x1(g, "project", graph_op(g, BGD_OP_MUL, "gated", wide, y), 24);
}

static uint32_t squeeze_excite(struct graph *g, uint32_t x)
{
    return excited(g, x, graph_window(5, 2, 2));
}

static uint32_t squeeze_excite_3x3(struct graph *g, uint32_t x)
{
    return excited(g, x, graph_window(3, 1, 1));
}

static uint32_t squeeze_excite_dilated(struct graph *g, uint32_t x)
{
    struct bgd_window window = graph_window(3, 1, 3);
    window.dilation_h = window.dilation_w = 3;
    return excited(g, x, window);
}

/* A window that has no kernel of its own: the mean is read. */
static uint32_t squeeze_excite_4x4(struct graph *g, uint32_t x)
{
    return excited(g, x, graph_window(4, 2, 1));
}

static uint32_t concat_of(struct graph *g, uint32_t x, uint32_t first, uint32_t second)
{
    const uint32_t both[] = {graph_op(g, BGD_OP_SELU, "selu", conv3x3(g, "a", x, first), 0), conv1x1(g, "b", x, second)};
    return conv3x3(g, "c", graph_op_n(g, BGD_OP_CONCAT, "concat", both, 2), 16);
}

static uint32_t concat_slices(struct graph *g, uint32_t x)
{
    return concat_of(g, x, 24, 16);
}

static uint32_t concat_odd(struct graph *g, uint32_t x)
{
    return concat_of(g, x, 5, 19);
}

/* TRACER's receptive field: dilated, enlarged, and weighed by a value per pixel. */
static uint32_t dilated_upsample(struct graph *g, uint32_t x)
{
    struct bgd_window window = graph_window(3, 1, 3);
    window.dilation_h = window.dilation_w = 3;
    uint32_t y = graph_op(g, BGD_OP_SELU, "selu", add_conv(g, "dilated", x, channels(g, x), window, 1), 0);
    y = graph_upsample(g, "large", y, 2, true);
    return graph_op(g, BGD_OP_MUL, "weighed", y, graph_op(g, BGD_OP_SIGMOID, "weight", conv1x1(g, "mask", y, 1), 0));
}

static uint32_t sum_of_maps(struct graph *g, uint32_t x, uint32_t channels, bool align_corners)
{
    uint32_t a = conv3x3(g, "a", x, channels), b = conv3x3(g, "b", x, channels), c = conv3x3(g, "c", x, channels);
    c = graph_max_pool(g, "small", c, graph_window(2, 2, 0));
    a = graph_upsample(g, "a8", a, 8, align_corners);
    a = graph_op(g, BGD_OP_ADD, "a+b", graph_upsample(g, "b8", b, 8, !align_corners), a);
    return graph_op(g, BGD_OP_ADD, "a+b+c", a, graph_upsample(g, "c16", c, 16, align_corners));
}

/* TRACER's end: the mask is the mean of three maps, enlarged. */
static uint32_t mask_of_maps(struct graph *g, uint32_t x)
{
    uint32_t mean = conv1x1(g, "mean", sum_of_maps(g, x, 1, false), 1);
    return graph_op(g, BGD_OP_SIGMOID, "scores", mean, 0);
}

static uint32_t maps_and_more(struct graph *g, uint32_t x)
{
    uint32_t sum = sum_of_maps(g, x, 19, true);
    sum = add_conv(g, "scale", sum, 19, graph_window(1, 1, 0), 19);
    return conv3x3(g, "last", graph_op(g, BGD_OP_SELU, "selu", sum, 0), 8);
}

static uint32_t picture_dense(struct graph *g, uint32_t x)
{
    return add_dense(g, "dense", conv_relu(g, x), 10);
}

/* AlexNet's first layer and its end. */
static uint32_t lrn_adaptive_dense(struct graph *g, uint32_t x)
{
    uint32_t y = graph_lrn(g, "lrn", conv_relu(g, x), 5, 1, 0.75f, 2);
    y = graph_adaptive_mean(g, "mean", graph_max_pool(g, "pool", y, graph_window(3, 2, 0)), 6, 6);
    return add_dense(g, "last", graph_op(g, BGD_OP_RELU, "relu2", add_dense(g, "first", y, 100), 0), 10);
}

static uint32_t softmax_head(struct graph *g, uint32_t x)
{
    uint32_t y = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", conv_relu(g, x), 0);
    y = add_dense(g, "logits", y, 6);
    graph_output(g, y);
    return graph_op(g, BGD_OP_SOFTMAX, "scores", y, 0);
}

static const struct chain {
    const char *name;
    struct shape shape;
    uint32_t (*build)(struct graph *g, uint32_t x);
} chains[] = {
    {"conv + relu", {64, 10, 8}, conv_relu},
    {"conv + relu", {19, 9, 7}, conv_relu},
    {"conv + add + relu", {64, 10, 8}, residual},
    {"conv + add + relu", {13, 9, 7}, residual},
    {"depthwise + silu", {32, 12, 9}, depthwise_silu},
    {"depthwise + silu", {17, 12, 9}, depthwise_silu},
    {"squeeze and excite", {144, 12, 16}, squeeze_excite},
    {"squeeze and excite", {19, 7, 5}, squeeze_excite},
    {"squeeze and excite", {40, 45, 75}, squeeze_excite},
    {"squeeze and excite 3x3", {48, 23, 50}, squeeze_excite_3x3},
    {"squeeze and excite 3x3", {72, 4, 3}, squeeze_excite_3x3},
    {"squeeze and excite dilated", {20, 23, 24}, squeeze_excite_dilated},
    {"squeeze and excite 4x4", {16, 9, 8}, squeeze_excite_4x4},
    {"concat of slices", {16, 9, 7}, concat_slices},
    {"concat of odd channels", {16, 9, 7}, concat_odd},
    {"dilated + upsample", {32, 12, 16}, dilated_upsample},
    {"mask of maps", {16, 6, 8}, mask_of_maps},
    {"maps and more", {16, 2, 4}, maps_and_more},
    {"dense of a picture", {17, 5, 4}, picture_dense},
    {"LRN + adaptive mean + dense", {16, 13, 9}, lrn_adaptive_dense},
    {"softmax head", {64, 5, 4}, softmax_head},
};

static void check_chain(struct checker *c, const struct chain *chain)
{
    struct subject s = {.n = OP_PICTURES};
    struct graph *g = open_graph();
    snprintf(s.name, sizeof s.name, "%s", chain->name);
    snprintf(s.shapes, sizeof s.shapes, "%u %u %u", chain->shape.c, chain->shape.h, chain->shape.w);
    graph_output(g, chain->build(g, graph_input(g, "x", chain->shape)));
    check_graph(c, &s, g, &plain_meta, 1, 128);
}

/* ---------------------------------------------------------------- cards */

static void read_cards(struct checker *c)
{
    char pattern[PATH_SIZE];
    glob_t found;
    struct bgd_err err = {0};
    struct file_buffer file = {0};
    snprintf(pattern, sizeof pattern, "%s/cards/*.jpg", c->folder);
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc < COUNT(c->cards)) {
        err_set(&err, BGD_MISSING, "%s: expected %zu files or more", pattern, COUNT(c->cards));
        stop(&err);
    }
    for (size_t i = 0; i < COUNT(c->cards); i++) {
        const char *path = found.gl_pathv[i * found.gl_pathc / COUNT(c->cards)];
        if (file_read(path, BGD_IMAGE_BYTES_MAX, &file, &err) ||
            bgd_image_decode(file.data, file.size, 0, 0, &c->cards[i], &err)) {
            err_prefix(&err, "%s: ", path);
            stop(&err);
        }
    }
    free(file.data);
    globfree(&found);
}

/* A segmenter that shows what was fed: a sum of the three channels, whose weights' sizes sum to 1. */
static void check_feed(struct checker *c, uint32_t width, uint32_t height)
{
    static const float weight[] = {0.5f, 0.25f, -0.25f}, bias[] = {0};
    const struct meta meta = {
        .arch = "check",
        .kind = META_SEGMENTER,
        .input = {width, height, 3, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}, .fill = {1, 1, 1}}};
    const struct bgd_image *images[COUNT(c->cards)];
    for (size_t i = 0; i < COUNT(images); i++)
        images[i] = &c->cards[i];
    struct subject s = {.name = "feed", .n = COUNT(images), .images = images};
    struct graph *g = open_graph();
    uint32_t x = graph_input(g, "x", (struct shape){3, height, width});
    snprintf(s.shapes, sizeof s.shapes, "3 %u %u", height, width);
    graph_output(g, graph_conv(g, "mask", x, 1, graph_window(1, 1, 0), 1, weight, bias));
    check_graph(c, &s, g, &meta, 1, 128);
}

/* ---------------------------------------------------------------- networks */

/* P(object) of a card with its object in the middle. */
static void draw_mask(float *values, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            float u = 2 * ((float)x + 0.5f) / (float)width - 1, v = 2 * ((float)y + 0.5f) / (float)height - 1;
            values[y * width + x] = fminf(fmaxf(2 - 2.5f * (u * u + v * v), 0), 1);
        }
}

/* The cards as the network's training saw them. Its own input, not the backend's feed: then an error is the network's. */
static float *feed_cards(const struct checker *c, const struct bgd_model *model)
{
    float mask_values[12 * 16];
    const struct feed_mask mask = {mask_values, 12, 16, -1};
    draw_mask(mask_values, mask.width, mask.height);
    size_t size = (size_t)shape_size(model_shape(model, 0));
    float *input = allocate(COUNT(c->cards) * size * sizeof *input);
    struct feed_scratch scratch = {0};
    struct bgd_err err = {0};
    for (size_t i = 0; i < COUNT(c->cards); i++)
        if (feed_image(&c->cards[i], model->meta.input.channels == 4 ? &mask : NULL, &model->meta.input, &scratch,
                       input + i * size, &err))
            stop(&err);
    feed_scratch_free(&scratch);
    return input;
}

static void check_network(struct checker *c, const char *path)
{
    struct subject s = {.n = COUNT(c->cards)};
    struct bgd_err err = {0};
    if (bgd_model_open(path, &s.model, &err))
        stop(&err);
    struct shape shape = model_shape(s.model, 0);
    snprintf(s.name, sizeof s.name, "%s", strrchr(path, '/') + 1);
    snprintf(s.shapes, sizeof s.shapes, "%u %u %u", shape.c, shape.h, shape.w);
    s.inputs[0] = feed_cards(c, s.model);
    check(c, &s, network_bound);
    free(s.inputs[0]);
    bgd_model_close(s.model);
}

static void check_networks(struct checker *c)
{
    char pattern[PATH_SIZE];
    glob_t found;
    struct bgd_err err;
    snprintf(pattern, sizeof pattern, "%s/weights/*.bgd", c->folder);
    if (glob(pattern, 0, NULL, &found)) {
        err_set(&err, BGD_MISSING, "%s: no such file", pattern);
        stop(&err);
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_network(c, found.gl_pathv[i]);
    globfree(&found);
}

/* ---------------------------------------------------------------- the program */

/* A precision that the device does not have is skipped; any other trouble with the device ends the program. */
static void open_targets(struct checker *c, const char *device)
{
    for (struct target *target = c->targets; target < c->targets + COUNT(c->targets); target++) {
        struct bgd_err err = {0}, passed_over;
        if (c->only && strcmp(c->only, target->name) != 0)
            continue;
        if (backend_open(device, target->precision, &c->backend, &target->device, &passed_over, &err) == 0)
            continue;
        if (err.code != BGD_ARGUMENT)
            stop(&err);
        target->device = NULL;
        printf("%s  SKIP: %s\n", target->name, err.text);
        c->skipped++;
    }
    if (c->skipped == (c->only ? 1 : COUNT(c->targets)))
        stop(&(struct bgd_err){.text = "the device computes in none of these precisions"});
}

static void check_all(struct checker *c)
{
    read_cards(c);
    for (size_t i = 0; i < COUNT(op_cases); i++)
        check_op(c, &op_cases[i]);
    check_concat(c);
    for (size_t i = 0; i < COUNT(chains); i++)
        check_chain(c, &chains[i]);
    check_feed(c, 60, 80);
    check_feed(c, 96, 128);
    if (!c->quick)
        check_networks(c);
}

static void write_json(const struct checker *c, const char *path)
{
    struct bgd_err err = {0};
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "device", c->backend->name);
    cJSON_AddNumberToObject(json, "passed", c->passed);
    cJSON_AddNumberToObject(json, "failed", c->failed);
    cJSON_AddNumberToObject(json, "skipped_precisions", c->skipped);
    cJSON_AddItemReferenceToObject(json, "checks", c->rows);
    char *text = cJSON_Print(json);
    if (!text)
        err_set(&err, BGD_MEMORY, "out of memory");
    if (!text || file_write(path, text, strlen(text), &err))
        stop(&err);
    free(text);
    cJSON_Delete(json);
}

static void close_all(struct checker *c)
{
    for (size_t i = 0; i < COUNT(c->targets); i++)
        if (c->targets[i].device)
            c->backend->close(c->targets[i].device);
    for (size_t i = 0; i < COUNT(c->cards); i++)
        bgd_image_free(&c->cards[i]);
    cJSON_Delete(c->rows);
}

static const struct option options[] = {
    {"json", required_argument, NULL, 'j'},
    {"device", required_argument, NULL, 'd'},
    {"precision", required_argument, NULL, 'p'},
    {"quick", no_argument, NULL, 'q'},
    {0},
};

int main(int argc, char **argv)
{
    struct checker c = {.targets = {{"f32", BGD_PRECISION_F32, EPS, NULL},
                                    {"f16", BGD_PRECISION_F16, 0x1p-11, NULL},
                                    {"bf16", BGD_PRECISION_BF16, 0x1p-8, NULL}}};
    const char *json = NULL, *device = "cuda";
    int option;
    bool usage = false;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'j': json = optarg; break;
        case 'd': device = optarg; break;
        case 'p': c.only = optarg; break;
        case 'q': c.quick = true; break;
        default: usage = true;
        }
    if (usage || argc - optind != 1) {
        fprintf(stderr, "usage: bgdet-gpu-check FOLDER [--json FILE] [--device NAME] [--precision f32|f16|bf16] [--quick]\n");
        return 2;
    }
    c.folder = argv[optind];
    c.rows = cJSON_CreateArray();
    open_targets(&c, device);
    check_all(&c);
    printf("%u checks passed, %u failed on %s\n", c.passed, c.failed, c.backend->name);
    if (json)
        write_json(&c, json);
    close_all(&c);
    return c.failed > 0;
}
