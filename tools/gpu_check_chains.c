/* Chains of ops, which a backend may fuse. */
#include "gpu_check.h"

#include <stdio.h>

static uint32_t conv3x3(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return check_conv(g, name, x, out, graph_window(3, 1, 1), 1);
}

static uint32_t conv1x1(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return check_conv(g, name, x, out, graph_window(1, 1, 0), 1);
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
    return graph_op(g, BGD_OP_SILU, "silu", check_conv(g, "conv", x, channels(g, x), window, channels(g, x)), 0);
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
    uint32_t y = graph_op(g, BGD_OP_SELU, "selu", check_conv(g, "dilated", x, channels(g, x), window, 1), 0);
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
    sum = check_conv(g, "scale", sum, 19, graph_window(1, 1, 0), 19);
    return conv3x3(g, "last", graph_op(g, BGD_OP_SELU, "selu", sum, 0), 8);
}

static uint32_t picture_dense(struct graph *g, uint32_t x)
{
    return check_dense(g, "dense", conv_relu(g, x), 10);
}

/* AlexNet's first layer and its end. */
static uint32_t lrn_adaptive_dense(struct graph *g, uint32_t x)
{
    uint32_t y = graph_lrn(g, "lrn", conv_relu(g, x), 5, 1, 0.75f, 2);
    y = graph_adaptive_mean(g, "mean", graph_max_pool(g, "pool", y, graph_window(3, 2, 0)), 6, 6);
    return check_dense(g, "last", graph_op(g, BGD_OP_RELU, "relu2", check_dense(g, "first", y, 100), 0), 10);
}

static uint32_t softmax_head(struct graph *g, uint32_t x)
{
    uint32_t y = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", conv_relu(g, x), 0);
    y = check_dense(g, "logits", y, 6);
    graph_output(g, y);
    return graph_op(g, BGD_OP_SOFTMAX, "scores", y, 0);
}

/* Just large enough for it (cuda_narrow.h). */
static uint32_t conv_narrow(struct graph *g, uint32_t x)
{
    return graph_op(g, BGD_OP_SELU, "selu", conv3x3(g, "conv", x, 120), 0);
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
    {"conv of f8", {136, 17, 17}, conv_narrow},
};

static void check_chain(struct checker *c, const struct chain *chain)
{
    struct subject s = {.n = OP_PICTURES, .narrow = chain->build == conv_narrow};
    struct graph *g = check_open_graph();
    snprintf(s.name, sizeof s.name, "%s", chain->name);
    snprintf(s.shapes, sizeof s.shapes, "%u %u %u", chain->shape.c, chain->shape.h, chain->shape.w);
    graph_output(g, chain->build(g, graph_input(g, "x", chain->shape)));
    check_graph(c, &s, g, &check_plain_meta, 1, 128);
}

void check_chains(struct checker *c)
{
    for (size_t i = 0; i < COUNT(chains); i++)
        check_chain(c, &chains[i]);
}
