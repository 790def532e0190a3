/* Every op, on the shapes of its table. */
#include "err.h"
#include "gpu_check.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBERS_MAX 15u /* of a line of a table */

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
    return check_conv(g, "y", x, s[3], window, s[14]);
}

/* An EfficientNet's block. */
static uint32_t build_mbconv(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    const struct bgd_window one = graph_window(1, 1, 0);
    struct bgd_window window = graph_window(s[4], s[5], 0);
    window.pad_top = s[6], window.pad_left = s[7], window.pad_bottom = s[8], window.pad_right = s[9];
    uint32_t y = graph_op(g, BGD_OP_SILU, "expanded", check_conv(g, "expand", x, s[3], one, 1), 0);
    y = graph_op(g, BGD_OP_SILU, "wide", check_conv(g, "depthwise", y, s[3], window, s[3]), 0);
    uint32_t gate = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", y, 0);
    gate = graph_op(g, BGD_OP_SILU, "squeezed", check_conv(g, "squeeze", gate, s[10], one, 1), 0);
    gate = graph_op(g, BGD_OP_SIGMOID, "gate", check_conv(g, "excite", gate, s[3], one, 1), 0);
    y = check_conv(g, "project", graph_op(g, BGD_OP_MUL, "gated", y, gate), s[11], one, 1);
    struct shape in = graph_shape(g, x), out = graph_shape(g, y);
    return in.c == out.c && in.h == out.h && in.w == out.w ? graph_op(g, BGD_OP_ADD, "sum", y, x) : y;
}

static uint32_t build_dense(struct graph *g, const struct op_case *op, uint32_t x, const uint32_t *s)
{
    (void)op;
    return check_dense(g, "y", x, s[3]);
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
    char path[CHECK_PATH];
    snprintf(path, sizeof path, "%s/shapes/%s.txt", c->folder, table);
    FILE *file = fopen(path, "r");
    if (!file) {
        err_set(&err, BGD_MISSING, "%s cannot be read", path);
        check_stop(&err);
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
        struct graph *g = check_open_graph();
        uint32_t x = graph_input(g, "x", (struct shape){numbers[0], numbers[1], numbers[2]});
        graph_output(g, op->build(g, op, x, numbers));
        uint32_t levels = op->code == BGD_OP_QUANTILE_MASK && numbers[4] ? numbers[4] : 128;
        check_graph(c, &s, g, &check_plain_meta, op->scale, levels);
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
        struct graph *g = check_open_graph();
        uint32_t values[8];
        for (uint32_t i = 0; i < COUNT(values); i++)
            values[i] =
                i < 4 ? graph_input(g, names[i], (struct shape){numbers[3 + i], numbers[0], numbers[1]}) : values[i - 4];
        graph_output(g, graph_op_n(g, BGD_OP_CONCAT, "y", values, numbers[2]));
        check_graph(c, &s, g, &check_plain_meta, 1, 128);
    }
    fclose(table);
}

void check_ops(struct checker *c)
{
    for (size_t i = 0; i < COUNT(op_cases); i++)
        check_op(c, &op_cases[i]);
    check_concat(c);
}
