/*
 * What the CUDA backend promises beyond the right numbers in f32, which the tests of all backends see to: half precision, what
 * is one launch, memory, failures, and pictures of every size. On the emulated device; each test is a process of its own.
 */
#include "cuda_network.h"
#include "emulation.h"
#include "pipelines.h"

#include <limits.h>
#include <malloc.h>
#include <math.h>

enum { WIDTH = 24, HEIGHT = 32, PIXELS = WIDTH * HEIGHT };

static uint32_t unary(struct graph *g, enum bgd_op code, const char *name, uint32_t x)
{
    return graph_op(g, code, name, x, 0);
}

static uint32_t conv3(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(3, 1, 1), 1, 7 * strlen(name) + (uint64_t)name[0]);
}

static uint32_t conv1(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(1, 1, 0), 1, 7 * strlen(name) + (uint64_t)name[0]);
}

static uint32_t concat(struct graph *g, const char *name, uint32_t a, uint32_t b)
{
    return graph_op_n(g, BGD_OP_CONCAT, name, (uint32_t[]){a, b}, 2);
}

static uint32_t excite(struct graph *g, uint32_t x, uint32_t mean)
{
    uint32_t y = unary(g, BGD_OP_SILU, "squeezed_silu", conv1(g, "squeeze", mean, 3));
    y = unary(g, BGD_OP_SIGMOID, "gate", conv1(g, "excite", y, graph_shape(g, x).c));
    return graph_op(g, BGD_OP_MUL, "excited", x, y);
}

static uint32_t squeeze_excite(struct graph *g, uint32_t x)
{
    return excite(g, x, unary(g, BGD_OP_GLOBAL_MEAN, "mean", x));
}

static struct device *open_device(enum bgd_precision precision)
{
    struct device *device;
    struct bgd_err err = {0};
    cr_assert_eq(backend_cuda.open(precision, &device, &err), 0, "%s", err.text);
    return device;
}

static struct exec *prepare(struct device *device, const struct net *net, uint32_t batch, struct exec *sibling)
{
    struct exec *exec;
    struct bgd_err err = {0};
    cr_assert_eq(backend_cuda.prepare(device, net->model, batch, sibling, &exec, &err), 0, "%s", err.text);
    return exec;
}

static void must(int code, const struct bgd_err *err)
{
    cr_assert_eq(code, 0, "%s", err->text);
}

/* ---------------------------------------------------------------- what is one step */

static struct graph *begin(uint32_t channels, uint32_t *x)
{
    struct graph *g = net_graph();
    *x = graph_input(g, "input", (struct shape){channels, 6, 5});
    return g;
}

/* Its steps as words: "conv+add+relu", and ":f32" behind one that leaves f32 in the arena. */
static char *steps_of(const struct net *net, enum kernel_type type, bool fuse_blocks)
{
    static const char *const kinds[] = {
        [CUDA_CONV] = "conv",         [CUDA_DEPTHWISE] = "depthwise",    [CUDA_GROUPED] = "grouped",
        [CUDA_ACTIVATE] = "activate", [CUDA_COMBINE] = "combine",        [CUDA_MAX_POOL] = "pool",
        [CUDA_GLOBAL_MEAN] = "mean",  [CUDA_EXCITE] = "excite",          [CUDA_SOFTMAX] = "softmax",
        [CUDA_COPY] = "copy",         [CUDA_OUTPUT] = "output",          [CUDA_LRN] = "lrn",
        [CUDA_UPSAMPLE] = "upsample", [CUDA_ADAPTIVE_MEAN] = "adaptive", [CUDA_EXPAND] = "expand",
        [CUDA_PROJECT] = "project"};
    static const char *const functions[] = {"", "+relu", "+sigmoid", "+silu", "+selu"};
    struct cuda_network *network;
    struct bgd_err err = {0};
    must(cuda_network_create(net->model, type, 2, fuse_blocks, &network, &err), &err);
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    for (uint32_t i = 0; i < network->n_steps; i++) {
        const struct cuda_step *step = &network->steps[i];
        uint32_t added = 0;
        bool adds = step->kind == CUDA_CONV || step->kind == CUDA_UPSAMPLE;
        while (adds && added + 1 < CUDA_INPUTS && step->x[added + 1].block != NONE)
            added++;
        if (step->kind == CUDA_PROJECT)
            added = step->x[2].block != NONE;
        bool f32 = step->y.block != NONE && step->y.value.type == KERNEL_F32;
        bool sums = step->kind != CUDA_EXCITE && step->sums != NONE;
        fprintf(stream, "%s%s%s%s%s%s%s%s", i ? " " : "", kinds[step->kind], &"+add+add"[8 - 4 * added],
                step -> scaled ? "+scale" : "", functions[step->f], functions[step->g], sums ? "+sums" : "", f32 ? ":f32" : "");
    }
    fclose(stream);
    cuda_network_destroy(network);
    return text;
}

static void check_net(const struct net *net, enum kernel_type type, bool fuse_blocks, const char *expected)
{
    char *steps = steps_of(net, type, fuse_blocks);
    cr_expect_str_eq(steps, expected);
    free(steps);
}

/* In f16, with `value` for its output, and without a device. */
static void check_steps(struct graph *g, uint32_t value, const char *expected)
{
    graph_output(g, value);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    check_net(&net, KERNEL_F16, true, expected);
    net_close(&net);
}

Test(cuda, an_activation_is_the_convolutions)
{
    static const enum bgd_op codes[] = {BGD_OP_RELU, BGD_OP_SIGMOID, BGD_OP_SILU, BGD_OP_SELU};
    static const char *const steps[] = {"conv+relu output", "conv+sigmoid output", "conv+silu output", "conv+selu output"};
    uint32_t x;
    for (int i = 0; i < 4; i++) {
        struct graph *g = begin(16, &x);
        check_steps(g, unary(g, codes[i], "f", conv3(g, "a", x, 16)), steps[i]);
    }
    struct graph *g = begin(16, &x);
    x = unary(g, BGD_OP_SILU, "silu", net_conv(g, "depthwise", x, 16, graph_window(3, 1, 1), 16, 1));
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "grouped", x, 16, graph_window(3, 1, 1), 2, 2));
    check_steps(g, unary(g, BGD_OP_SELU, "selu", net_dense(g, "dense", x, 4, 3)),
                "depthwise+silu grouped+relu conv+selu output");
}

Test(cuda, a_value_that_is_seen_is_not_fused_away)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    x = conv3(g, "a", x, 16);
    graph_output(g, x);
    check_steps(g, unary(g, BGD_OP_RELU, "relu", x), "conv activate+relu:f32 output output");

    g = begin(16, &x);
    x = conv3(g, "a", x, 16);
    check_steps(g, graph_op(g, BGD_OP_ADD, "sum", unary(g, BGD_OP_RELU, "relu", x), x), "conv activate+relu combine output");
}

Test(cuda, a_residual_is_the_convolutions_if_it_is_there_already)
{
    for (int order = 0; order < 2; order++) {
        uint32_t x;
        struct graph *g = begin(16, &x);
        uint32_t a = conv3(g, "a", x, 16), b = conv3(g, "bb", x, 16);
        x = order ? graph_op(g, BGD_OP_ADD, "sum", a, b) : graph_op(g, BGD_OP_ADD, "sum", b, a);
        check_steps(g, unary(g, BGD_OP_RELU, "relu", x), "conv conv+add+relu output");

        g = begin(16, &x); /* the pool's value comes later */
        a = conv3(g, "a", x, 16);
        b = graph_max_pool(g, "pool", x, graph_window(3, 1, 1));
        x = order ? graph_op(g, BGD_OP_ADD, "sum", a, b) : graph_op(g, BGD_OP_ADD, "sum", b, a);
        check_steps(g, unary(g, BGD_OP_RELU, "relu", x), "conv pool combine activate+relu:f32 output");
    }
    uint32_t x; /* one of another shape is no residual */
    struct graph *g = begin(16, &x);
    uint32_t mean = unary(g, BGD_OP_GLOBAL_MEAN, "mean", x);
    check_steps(g, graph_op(g, BGD_OP_ADD, "sum", conv3(g, "a", x, 16), mean), "mean conv combine output");
}

Test(cuda, squeeze_and_excite_is_one_step)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    x = squeeze_excite(g, unary(g, BGD_OP_SILU, "silu", conv3(g, "a", x, 16)));
    check_steps(g, x, "conv+silu mean excite+silu+sigmoid combine output");

    g = begin(16, &x); /* the same layers over more than one pixel */
    x = unary(g, BGD_OP_SILU, "silu", conv1(g, "a", x, 3));
    check_steps(g, conv1(g, "b", x, 16), "conv+silu conv output");
}

static uint32_t depthwise(struct graph *g, uint32_t x, struct bgd_window window)
{
    return net_conv(g, "depthwise", x, graph_shape(g, x).c, window, graph_shape(g, x).c, 1);
}

/* An EfficientNet's block. */
static uint32_t mbconv(struct graph *g, uint32_t x)
{
    uint32_t y = unary(g, BGD_OP_SILU, "expanded", conv1(g, "expand", x, 96));
    y = squeeze_excite(g, unary(g, BGD_OP_SILU, "wide", depthwise(g, y, graph_window(5, 1, 2))));
    return graph_op(g, BGD_OP_ADD, "sum", conv1(g, "project", y, graph_shape(g, x).c), x);
}

Test(cuda, a_block_of_an_efficientnet_never_writes_what_is_in_its_middle)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    graph_output(g, unary(g, BGD_OP_SOFTMAX, "f32", mbconv(g, x)));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    const char *plain = "conv+silu depthwise+silu+sums excite+silu+sigmoid combine conv+add softmax:f32 output";
    check_net(&net, KERNEL_F16, true, "expand+silu+silu+sums excite+silu+sigmoid project+add softmax:f32 output");
    check_net(&net, KERNEL_BF16, true, "expand+silu+silu+sums excite+silu+sigmoid project+add softmax:f32 output");
    check_net(&net, KERNEL_F16, false, plain);
    check_net(&net, KERNEL_F32, true,
              "conv+silu:f32 depthwise+silu+sums:f32 excite+silu+sigmoid:f32 combine:f32 conv+add:f32 softmax:f32 output");
    net_close(&net);
}

Test(cuda, what_is_no_block_of_an_efficientnet_is_left_alone)
{
    uint32_t x;
    struct graph *g = begin(65, &x); /* too many inputs to expand them twice */
    check_steps(g, depthwise(g, conv1(g, "a", x, 72), graph_window(3, 1, 1)), "conv depthwise output");
    g = begin(16, &x); /* not 1x1 */
    check_steps(g, depthwise(g, conv3(g, "a", x, 72), graph_window(3, 1, 1)), "conv depthwise output");
    g = begin(16, &x); /* another kernel than 3x3 and 5x5 */
    check_steps(g, depthwise(g, conv1(g, "a", x, 72), graph_window(1, 1, 0)), "conv depthwise output");
    g = begin(16, &x); /* in groups, but not depthwise */
    x = conv1(g, "a", x, 72);
    check_steps(g, net_conv(g, "grouped", x, 72, graph_window(3, 1, 1), 8, 1), "conv grouped output");
    struct bgd_window dilated = graph_window(3, 1, 2);
    dilated.dilation_h = dilated.dilation_w = 2;
    g = begin(16, &x);
    check_steps(g, depthwise(g, conv1(g, "a", x, 72), dilated), "conv depthwise output");
    g = begin(16, &x); /* the expanded value is seen */
    x = conv1(g, "a", x, 72);
    graph_output(g, x);
    check_steps(g, depthwise(g, x, graph_window(3, 1, 1)), "conv depthwise output output");

    g = begin(16, &x); /* the gated value is seen */
    x = squeeze_excite(g, x);
    graph_output(g, x);
    check_steps(g, conv1(g, "a", x, 8), "mean excite+silu+sigmoid combine conv output output");
    g = begin(16, &x); /* too many outputs */
    check_steps(g, conv1(g, "a", squeeze_excite(g, x), 328), "mean excite+silu+sigmoid combine conv output");
    g = begin(16, &x); /* not 1x1 */
    check_steps(g, conv3(g, "a", squeeze_excite(g, x), 8), "mean excite+silu+sigmoid combine conv output");
    g = begin(16, &x); /* a gate per pixel */
    x = graph_op(g, BGD_OP_MUL, "gated", x, unary(g, BGD_OP_SIGMOID, "gate", conv1(g, "b", x, 1)));
    check_steps(g, conv1(g, "a", x, 8), "conv+sigmoid combine conv output");
}

static uint32_t depthwise_silu(struct graph *g, uint32_t x, struct bgd_window window)
{
    return unary(g, BGD_OP_SILU, "depthwise_silu", depthwise(g, x, window));
}

Test(cuda, squeeze_and_excite_reads_a_depthwise_convolutions_sums)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    x = squeeze_excite(g, depthwise_silu(g, x, graph_window(3, 1, 1)));
    check_steps(g, x, "depthwise+silu+sums excite+silu+sigmoid combine output");

    g = begin(16, &x); /* the convolution alone, and as a value that is seen */
    x = net_conv(g, "depthwise", x, 16, graph_window(5, 2, 2), 16, 1);
    graph_output(g, x);
    check_steps(g, squeeze_excite(g, x), "depthwise+sums excite+silu+sigmoid combine output output");

    g = begin(16, &x); /* not by an excite alone */
    x = depthwise_silu(g, x, graph_window(3, 1, 1));
    uint32_t mean = unary(g, BGD_OP_GLOBAL_MEAN, "mean", x);
    graph_output(g, mean);
    check_steps(g, excite(g, x, mean), "depthwise+silu mean excite+silu+sigmoid combine output output");

    g = begin(16, &x); /* a mean that no excite reads */
    x = unary(g, BGD_OP_GLOBAL_MEAN, "mean", depthwise_silu(g, x, graph_window(3, 1, 1)));
    check_steps(g, net_dense(g, "dense", x, 6, 1), "depthwise+silu mean conv output");

    g = begin(16, &x); /* a window for which there is no fast kernel */
    x = squeeze_excite(g, depthwise_silu(g, x, graph_window(4, 1, 1)));
    check_steps(g, x, "depthwise+silu mean excite+silu+sigmoid combine output");
}

Test(cuda, a_concat_of_whole_lanes_copies_nothing)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 24);
    check_steps(g, conv3(g, "c", concat(g, "ab", a, b), 8), "conv conv conv output");

    g = begin(16, &x); /* 8 and 3: the second starts, but does not end, with a group of lanes */
    a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 3);
    check_steps(g, conv3(g, "c", concat(g, "ab", a, b), 8), "conv conv copy conv output");

    g = begin(16, &x);
    a = conv3(g, "a", x, 3), b = conv3(g, "b", x, 8);
    check_steps(g, conv3(g, "c", concat(g, "ab", a, b), 8), "conv conv copy copy conv output");

    g = begin(16, &x); /* an input of the graph has its own place */
    check_steps(g, concat(g, "ax", conv3(g, "a", x, 8), x), "conv copy output");

    g = begin(16, &x); /* the value of a fused activation */
    a = unary(g, BGD_OP_RELU, "relu", conv3(g, "a", x, 8)), b = unary(g, BGD_OP_SILU, "silu", conv3(g, "b", x, 8));
    check_steps(g, concat(g, "ab", a, b), "conv+relu conv+silu output");
}

Test(cuda, concats_in_concats_and_values_in_two)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 8), c = conv3(g, "c", x, 8);
    check_steps(g, concat(g, "outer", c, concat(g, "ab", a, b)), "conv conv conv output");

    g = begin(16, &x); /* a can be in one of its two places only */
    a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 8), c = conv3(g, "c", x, 8);
    x = concat(g, "ab", a, b);
    check_steps(g, concat(g, "outer", concat(g, "ac", a, c), x), "conv conv conv copy output");

    g = begin(16, &x);
    a = conv3(g, "a", x, 8);
    check_steps(g, concat(g, "aa", a, a), "conv copy output");
}

Test(cuda, a_dense_layer_of_a_slice_reads_a_copy)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 8);
    graph_output(g, concat(g, "ab", a, b));
    check_steps(g, net_dense(g, "dense", a, 4, 1), "conv conv copy conv output output");
}

Test(cuda, an_alexnet_copies_nothing)
{
    uint32_t x;
    struct graph *g = begin(5, &x); /* channels that are padded */
    x = graph_lrn(g, "lrn", unary(g, BGD_OP_RELU, "relu", conv3(g, "a", x, 13)), 5, 1, 0.75f, 2);
    x = unary(g, BGD_OP_RELU, "relu1", net_dense(g, "dense1", graph_adaptive_mean(g, "mean", x, 7, 2), 20, 1));
    check_steps(g, net_dense(g, "dense2", x, 6, 2), "conv+relu lrn adaptive conv+relu conv output");
}

/* `x` enlarged to 24x20, as TRACER's maps are. */
static uint32_t enlarge(struct graph *g, const char *name, uint32_t x)
{
    return graph_upsample(g, name, x, 4, true);
}

static uint32_t scale(struct graph *g, uint32_t x)
{
    uint32_t channels = graph_shape(g, x).c;
    return net_conv(g, "scale", x, channels, graph_window(1, 1, 0), channels, 5);
}

Test(cuda, a_sum_of_enlarged_maps_is_one_step)
{
    uint32_t x;
    struct graph *g = begin(16, &x); /* up to the output, which it writes */
    uint32_t a = conv3(g, "a", x, 1), b = conv3(g, "bb", x, 1), c = conv3(g, "ccc", x, 1);
    uint32_t sum = graph_op(g, BGD_OP_ADD, "a+b", enlarge(g, "a4", a), enlarge(g, "b4", b));
    sum = graph_op(g, BGD_OP_ADD, "a+b+c", sum, enlarge(g, "c4", c));
    check_steps(g, unary(g, BGD_OP_SIGMOID, "mask", scale(g, sum)), "conv conv conv upsample+add+add+scale+sigmoid");

    g = begin(16, &x); /* more channels; one that is as large already; a fourth */
    a = conv3(g, "a", x, 16), b = conv3(g, "bb", x, 16), c = enlarge(g, "c4", conv3(g, "ccc", x, 16));
    uint32_t d = conv3(g, "d", c, 16);
    sum = graph_op(g, BGD_OP_ADD, "d+a", d, enlarge(g, "a4", a));
    sum = graph_op(g, BGD_OP_ADD, "d+a+b", enlarge(g, "b4", b), sum);
    check_steps(g, graph_op(g, BGD_OP_ADD, "d+a+b+c", c, sum), "conv conv conv upsample conv upsample+add+add combine output");
}

Test(cuda, an_enlarged_map_that_is_seen_is_not_fused_away)
{
    uint32_t x;
    struct graph *g = begin(16, &x); /* the mask is another op's, too */
    x = unary(g, BGD_OP_SIGMOID, "mask", enlarge(g, "a4", conv3(g, "a", x, 1)));
    graph_output(g, x);
    check_steps(g, conv3(g, "b", x, 16), "conv upsample+sigmoid conv output output");

    g = begin(16, &x); /* the summand has another reader; the other is not there yet */
    uint32_t a = enlarge(g, "a4", conv3(g, "a", x, 16)), b = conv3(g, "bb", enlarge(g, "x4", x), 16);
    uint32_t sum = graph_op(g, BGD_OP_ADD, "sum", a, b);
    check_steps(g, graph_op(g, BGD_OP_ADD, "again", sum, b), "conv upsample upsample conv combine combine output");

    g = begin(16, &x); /* a product is no sum, and a value per channel no map */
    a = enlarge(g, "a4", conv3(g, "a", x, 16));
    a = graph_op(g, BGD_OP_MUL, "product", a, a);
    b = graph_op(g, BGD_OP_ADD, "channels", enlarge(g, "x4", x), unary(g, BGD_OP_GLOBAL_MEAN, "mean", x));
    check_steps(g, graph_op(g, BGD_OP_ADD, "sum", a, b), "conv upsample combine mean upsample combine combine output");
}

Test(cuda, heads_are_f32)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t logits = net_dense(g, "logits", x, 6, 1);
    graph_output(g, logits);
    graph_output(g, unary(g, BGD_OP_SOFTMAX, "softmax", logits));
    check_steps(g, unary(g, BGD_OP_SIGMOID, "scores", logits), "conv softmax:f32 activate+sigmoid:f32 output output output");

    g = begin(16, &x); /* no head: something reads it */
    check_steps(g, conv3(g, "a", unary(g, BGD_OP_SOFTMAX, "softmax", x), 8), "softmax conv output");
}

/* ---------------------------------------------------------------- small networks */

static uint32_t basic_block(struct graph *g, const char *names[4], uint32_t x, uint32_t out, uint32_t stride)
{
    uint32_t in = graph_shape(g, x).c, y = net_conv(g, names[0], x, out, graph_window(3, stride, 1), 1, out);
    uint32_t skip = in == out ? x : net_conv(g, names[1], x, out, graph_window(1, stride, 0), 1, out + 1);
    y = conv3(g, names[2], unary(g, BGD_OP_RELU, names[3], y), out);
    char sum[32], relu[32];
    snprintf(sum, sizeof sum, "%s.sum", names[0]);
    snprintf(relu, sizeof relu, "%s.relu", names[0]);
    return unary(g, BGD_OP_RELU, relu, graph_op(g, BGD_OP_ADD, sum, y, skip));
}

/* As a ResNet is built: outputs "logits" and "scores", and what it was fed. */
static struct net resnet_like(uint32_t channels)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){channels, HEIGHT, WIDTH}), input = x;
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 16, graph_window(7, 2, 3), 1, 3));
    x = graph_max_pool(g, "pool", x, graph_window(3, 2, 1));
    x = basic_block(g, (const char *[]){"a1", "", "a2", "a3"}, x, 16, 1);
    x = basic_block(g, (const char *[]){"b1", "b.down", "b2", "b3"}, x, 32, 2);
    uint32_t logits = net_dense(g, "logits", unary(g, BGD_OP_GLOBAL_MEAN, "mean", x), 6, 5);
    graph_output(g, logits);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "scores", logits));
    graph_output(g, input);
    const struct meta meta = net_classifier_meta(6, channels, WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

/* As an AlexNet is built; its channels are padded, and windows of the mean repeat pixels. */
static struct net alexnet_like(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 13, graph_window(11, 4, 2), 1, 3));
    x = graph_max_pool(g, "pool", graph_lrn(g, "lrn", x, 5, 1, 0.75f, 2), graph_window(3, 2, 0));
    x = unary(g, BGD_OP_RELU, "relu1", net_dense(g, "dense1", graph_adaptive_mean(g, "mean", x, 6, 6), 40, 4));
    graph_output(g, unary(g, BGD_OP_SIGMOID, "scores", net_dense(g, "dense2", x, 6, 5)));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

/* softmax(Q K^T) V, and a residual, as TRACER's attention has it. */
static uint32_t attend(struct graph *g, uint32_t x)
{
    uint32_t q = conv1(g, "q", x, 4), k = conv1(g, "k", x, 4), v = conv1(g, "v", x, 4);
    return conv1(g, "attended", graph_op_n(g, BGD_OP_ATTENTION, "qkv", (uint32_t[]){q, k, v}, 3), graph_shape(g, x).c);
}

/* All that TRACER has and a ResNet has not, on the way to a mask. */
static struct net tracer_like(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = unary(g, BGD_OP_SILU, "stem_silu", net_conv(g, "stem", x, 16, graph_window(3, 2, 1), 1, 1));
    uint32_t y = unary(g, BGD_OP_SILU, "depthwise_silu", net_conv(g, "depthwise", x, 16, graph_window(3, 1, 1), 16, 2));
    x = graph_op(g, BGD_OP_ADD, "mbconv", conv1(g, "project", squeeze_excite(g, y), 16), x);
    uint32_t narrow = conv3(g, "narrow", x, 5), wide = unary(g, BGD_OP_SELU, "selu", conv3(g, "wide", x, 16));
    uint32_t slices = concat(g, "slices", conv3(g, "eight", x, 8), wide);
    x = conv1(g, "joined", concat(g, "odd", narrow, slices), 8);
    x = graph_op(g, BGD_OP_ADD, "attention", attend(g, x), x);
    x = graph_upsample(g, "up", graph_op_with(g, BGD_OP_HIGH_PASS, "edges", x, 2), 2, true);
    x = graph_op_with(g, BGD_OP_QUANTILE_MASK, "quantile", x, 0.3f);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "mask", conv3(g, "last", x, 1)));
    const struct meta meta = pipelines_segmenter_meta("tracer-like", WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

/* The mean difference of an output, 0..1, of five pictures from the reference's. */
static double mean_difference(const struct net *net, enum bgd_precision precision, uint32_t output)
{
    enum { N = 5 };
    size_t n = N * net_output_size(net->model, output);
    float *input = net_input(net->model, 0, N, 1), *y = malloc(n * sizeof *y), *ref[BGD_FORMAT_OUTPUTS_MAX];
    net_run(&backend_ref, net->model, N, N, &input, ref);
    struct device *device = open_device(precision);
    struct exec *exec = prepare(device, net, N, NULL);
    struct bgd_err err = {0};
    must(backend_cuda.load(exec, 0, N, input, &err) || backend_cuda.run(exec, N, &err) ||
             backend_cuda.fetch(exec, output, N, y, &err),
         &err);
    double sum = 0, spread = 0;
    for (size_t i = 0; i < n; i++) {
        sum += fabs((double)y[i] - (double)ref[output][i]);
        spread += fabs((double)ref[output][i] - (double)ref[output][0]);
    }
    cr_expect_gt(spread / (double)n, 0.01, "the outputs are all the same");
    backend_cuda.release(exec);
    backend_cuda.close(device);
    for (uint32_t i = 0; i < net->model->header->n_outputs; i++)
        free(ref[i]);
    free(input);
    free(y);
    return sum / (double)n;
}

Test(cuda, half_precision_is_near_the_reference)
{
    struct net classifier = resnet_like(3), older = alexnet_like(), segmenter = tracer_like();
    const struct {
        enum bgd_precision precision;
        double bound; /* a few roundings of 2^-11 and 2^-8, through a sigmoid of slope 1/4 */
    } cases[] = {{BGD_PRECISION_F32, 1e-6}, {BGD_PRECISION_F16, 5e-4}, {BGD_PRECISION_BF16, 2e-3}};
    for (int i = 0; i < 3; i++) {
        double scores = mean_difference(&classifier, cases[i].precision, 1);
        double older_scores = mean_difference(&older, cases[i].precision, 0);
        double mask = mean_difference(&segmenter, cases[i].precision, 0);
        cr_expect_leq(scores, cases[i].bound, "case %d: scores %g from the reference's", i, scores);
        cr_expect_leq(older_scores, cases[i].bound, "case %d: older scores %g from the reference's", i, older_scores);
        cr_expect_leq(mask, cases[i].bound, "case %d: masks %g from the reference's", i, mask);
    }
    net_close(&classifier);
    net_close(&older);
    net_close(&segmenter);
}

/* The padding is a sigmoid's 1/2. Divided by 2^-30 it would be infinity in f16, and not a number times a weight of 0. */
Test(cuda, lrn_leaves_no_infinity_in_padding)
{
    uint32_t x;
    struct graph *g = begin(3, &x);
    x = graph_lrn(g, "lrn", unary(g, BGD_OP_SIGMOID, "sigmoid", conv3(g, "a", x, 5)), 5, 4, 3, 0x1p-10f);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "f", conv3(g, "b", x, 4)));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    double difference = mean_difference(&net, BGD_PRECISION_F16, 0);
    cr_expect_leq(difference, 1e-3, "%g from the reference's", difference);
    net_close(&net);
}

/* ---------------------------------------------------------------- lanes of a segmenter and a classifier */

enum { BATCH = 8 };

static const struct bgd_image *small_pictures(uint32_t n, struct bgd_image *images, const struct bgd_image **pointers)
{
    static uint8_t noise[40 * 40 * 3];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(random_bits(3, i) >> 56);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t width = 7 + i * 5 % 31, height = 5 + i * 11 % 34;
        images[i] = (struct bgd_image){noise, width, height, width, height, BGD_PNG, 0, true};
        pointers[i] = &images[i];
    }
    return images;
}

struct pair {
    struct net segmenter_net, classifier_net;
    struct device *device;
    struct exec *segmenter, *classifier, *sibling; /* of the classifier */
    struct bgd_image images[BATCH];
    const struct bgd_image *pictures[BATCH];
};

static struct pair nets_of_pair(void)
{
    return (struct pair){.segmenter_net = pipelines_segmenter(WIDTH, HEIGHT, 1),
                         .classifier_net = pipelines_classifier(4, 15, 20, 2)};
}

static int open_pair(struct pair *pair, struct bgd_err *err)
{
    const struct backend *cuda = &backend_cuda;
    small_pictures(BATCH, pair->images, pair->pictures);
    return cuda->open(BGD_PRECISION_F16, &pair->device, err) ||
                   cuda->prepare(pair->device, pair->segmenter_net.model, BATCH, NULL, &pair->segmenter, err) ||
                   cuda->prepare(pair->device, pair->classifier_net.model, BATCH, NULL, &pair->classifier, err) ||
                   cuda->prepare(pair->device, pair->classifier_net.model, BATCH, pair->classifier, &pair->sibling, err)
               ? err->code
               : 0;
}

static int score_pair(struct pair *pair, struct exec *classifier, uint32_t first, uint32_t n, float *scores,
                      struct bgd_err *err)
{
    const struct backend *cuda = &backend_cuda;
    const struct backend_mask mask = {pair->segmenter, PIPELINE_SOFT};
    const struct bgd_image *const *pictures = pair->pictures + first;
    return cuda->feed(pair->segmenter, n, pictures, NULL, err) || cuda->run(pair->segmenter, n, err) ||
                   cuda->feed(classifier, n, pictures, &mask, err) || cuda->run(classifier, n, err) ||
                   cuda->fetch(classifier, 1, n, scores, err)
               ? err->code
               : 0;
}

static void close_pair(struct pair *pair)
{
    backend_cuda.release(pair->sibling);
    backend_cuda.release(pair->classifier);
    backend_cuda.release(pair->segmenter);
    backend_cuda.close(pair->device);
    pair->sibling = pair->classifier = pair->segmenter = NULL;
    pair->device = NULL;
}

static void free_pair(struct pair *pair)
{
    net_close(&pair->segmenter_net);
    net_close(&pair->classifier_net);
}

Test(cuda, a_short_batch_has_the_same_bits)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float full[BATCH][6], again[BATCH][6];
    must(open_pair(&pair, &err), &err);
    must(score_pair(&pair, pair.sibling, 0, BATCH, full[0], &err), &err);
    for (uint32_t n = BATCH; n > 0; n /= 2)
        for (uint32_t first = 0; first + n <= BATCH; first += 3) {
            must(score_pair(&pair, pair.sibling, first, n, again[0], &err), &err);
            cr_expect_eq(memcmp(again, full[first], n * sizeof *full), 0, "%u pictures from %u on", n, first);
        }
    for (uint32_t i = 1; i < BATCH; i++)
        cr_expect_neq(full[0][0], full[i][0], "pictures 0 and %u score the same", i);
    close_pair(&pair);
    must(open_pair(&pair, &err), &err); /* nothing in it but this one picture */
    must(score_pair(&pair, pair.classifier, 3, 1, again[0], &err), &err);
    cr_expect_eq(memcmp(again, full[3], sizeof *full), 0);
    close_pair(&pair);
    free_pair(&pair);
}

Test(cuda, memory_is_constant_and_all_of_it_is_freed)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    float *input = net_input(pair.classifier_net.model, 0, BATCH, 1);
    must(open_pair(&pair, &err) || backend_cuda.load(pair.classifier, 0, 1, input, &err), &err);
    size_t bytes = emulation_device_bytes();
    cr_expect_gt(bytes, 0);
    for (uint32_t i = 0; i < 20; i++) {
        struct exec *classifier = i % 3 ? pair.classifier : pair.sibling;
        must(score_pair(&pair, classifier, i % 5, 1 + i % 4, scores[0], &err), &err);
        must(backend_cuda.load(pair.classifier, 0, 1 + i % BATCH, input, &err), &err);
        cr_expect_eq(emulation_device_bytes(), bytes, "run %u: %zu bytes, once %zu", i, emulation_device_bytes(), bytes);
    }
    close_pair(&pair);
    cr_expect_eq(emulation_device_bytes(), 0);
    free_pair(&pair);
    free(input);
}

/* ---------------------------------------------------------------- failures */

/* A whole life, as far as it comes; *closing is the number of calls before the first of release. */
static int live(struct pair *pair, unsigned long *closing, struct bgd_err *err)
{
    float scores[BATCH][6];
    int code = open_pair(pair, err);
    if (!code) {
        backend_cuda.memory(pair->device, 1000); /* the heap stands in for it */
        code = score_pair(pair, pair->classifier, 0, 3, scores[0], err);
    }
    if (!code)
        code = score_pair(pair, pair->sibling, 0, BATCH, scores[0], err);
    *closing = emulation_calls();
    close_pair(pair);
    return code;
}

/* What may fail unseen before that: memory, and in each prepare the end of the graph that its executable was made of. */
enum { UNSEEN = 1 + 3 };

Test(cuda, every_call_may_fail)
{
    struct pair pair = nets_of_pair();
    unsigned long closing, start = emulation_calls(), unseen = 0;
    struct bgd_err err = {0};
    mallopt(M_MMAP_MAX, 0); /* the heap keeps its pages: most of the time would go into new ones for buffers of 32 MB */
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    must(live(&pair, &closing, &err), &err);
    unsigned long all = emulation_calls() - start;
    cr_expect_gt(all, 100);
    for (unsigned long n = 1; n <= all; n++) {
        emulation_fail_at(n);
        start = emulation_calls();
        err = (struct bgd_err){0};
        int code = live(&pair, &closing, &err);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes are left", n, emulation_device_bytes());
        cr_expect(code == 0 || (code == BGD_DEVICE && strlen(err.text) > 10), "call %lu: %d, \"%s\"", n, code, err.text);
        unseen += code == 0 && n <= closing - start;
    }
    cr_expect_eq(unseen, UNSEEN, "%lu failures had no error", unseen);
    free_pair(&pair);
}

/* From a call of that stage on, and for good. */
static void check_sticky(int first_stage)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    unsigned long closing;
    must(open_pair(&pair, &err), &err);
    must(score_pair(&pair, pair.classifier, 0, BATCH, scores[0], &err), &err);
    const struct backend_mask mask = {pair.segmenter, PIPELINE_SOFT};
    for (int stage = 0; stage < 3; stage++) {
        if (stage == first_stage)
            emulation_sticky();
        int code = stage == 0   ? backend_cuda.feed(pair.classifier, 3, pair.pictures, &mask, &err)
                   : stage == 1 ? backend_cuda.run(pair.classifier, 3, &err)
                                : backend_cuda.fetch(pair.classifier, 1, 3, scores[0], &err);
        cr_expect_eq(code, stage < first_stage ? 0 : BGD_DEVICE, "stage %d: %d", stage, code);
    }
    cr_expect_eq(score_pair(&pair, pair.sibling, 0, 1, scores[0], &err), BGD_DEVICE);
    cr_expect(strstr(err.text, "cudaErrorIllegalAddress"), "%s", err.text);
    close_pair(&pair);
    cr_expect_eq(emulation_device_bytes(), 0);
    cr_expect_eq(live(&pair, &closing, &err), BGD_DEVICE);
    free_pair(&pair);
}

Test(cuda, an_error_that_stays_from_feed_on)
{
    check_sticky(0);
}

Test(cuda, an_error_that_stays_from_run_on)
{
    check_sticky(1);
}

Test(cuda, an_error_that_stays_from_fetch_on)
{
    check_sticky(2);
}

/* ---------------------------------------------------------------- what does not fit */

struct engine_case {
    struct net segmenter, classifier;
    struct bgd_pipeline pipeline;
    struct bgd_image images[BATCH];
    const struct bgd_image *pictures[BATCH];
};

static struct engine_case *open_engine_case(void)
{
    struct engine_case *c = calloc(1, sizeof *c);
    struct bgd_err err = {0};
    c->segmenter = pipelines_segmenter(WIDTH, HEIGHT, 1);
    c->classifier = pipelines_classifier(3, 15, 20, 2);
    c->pipeline = (struct bgd_pipeline){.segmenter = c->segmenter.model,
                                        .classifier = c->classifier.model,
                                        .sight = PIPELINE_THUMBNAIL,
                                        .threshold = PIPELINE_SOFT};
    must(pipeline_join(&c->pipeline, &err), &err);
    small_pictures(BATCH, c->images, c->pictures);
    return c;
}

static void close_engine_case(struct engine_case *c)
{
    net_close(&c->segmenter);
    net_close(&c->classifier);
    free(c->pipeline.name);
    free(c);
}

/* All pictures through the engine's only lane, in batches that fit; the engine's bytes on the device. */
static size_t score_by_engine(struct engine_case *c, uint32_t batch, uint32_t expected, struct bgd_result results[BATCH])
{
    const struct bgd_engine_options options = {.device = "cuda", .precision = BGD_PRECISION_F16, .batch = batch};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    must(bgd_engine_open(&c->pipeline, &options, &engine, &err), &err);
    size_t bytes = emulation_device_bytes();
    cr_expect_eq(bgd_engine_batch(engine), expected, "batches of %u, expected %u", bgd_engine_batch(engine), expected);
    cr_expect_eq(bgd_engine_halved(engine), batch != expected);
    for (uint32_t i = 0, n = expected < BATCH ? expected : BATCH; i < BATCH; i += n)
        must(bgd_engine_score(engine, 0, c->pictures + i, n, results + i, &err), &err);
    bgd_engine_close(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
    return bytes;
}

Test(cuda, a_batch_that_does_not_fit_is_halved)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result full[BATCH], halved[BATCH];
    size_t eight = score_by_engine(c, 8, 8, full);
    size_t one = score_by_engine(c, 1, 1, full);
    const struct {
        size_t memory;
        uint32_t batch;
    } cases[] = {{eight, 8}, {eight - 1, 4}, {one, 1}};
    for (int i = 0; i < 3; i++) {
        emulation_fail_memory(cases[i].memory);
        memset(halved, 0, sizeof halved);
        score_by_engine(c, 8, cases[i].batch, halved);
        for (uint32_t k = 0; k < BATCH; k++)
            cr_expect(full[k].score == halved[k].score && full[k].verdict == halved[k].verdict,
                      "batches of %u, picture %u: %g, not %g", cases[i].batch, k, (double)halved[k].score,
                      (double)full[k].score);
    }
    close_engine_case(c);
}

Test(cuda, a_lane_that_does_not_fit_is_left_out)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result results[BATCH];
    size_t one = score_by_engine(c, BATCH, BATCH, results);
    const struct bgd_engine_options options = {.device = "cuda", .batch = BATCH, .lanes = 3};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    emulation_fail_memory(one + one / 2);
    must(bgd_engine_open(&c->pipeline, &options, &engine, &err), &err);
    cr_expect_eq(bgd_engine_lanes(engine), 1);
    cr_expect(!bgd_engine_halved(engine));
    must(bgd_engine_score(engine, 0, c->pictures, BATCH, results, &err), &err);
    bgd_engine_close(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
    close_engine_case(c);
}

Test(cuda, no_memory_at_all_is_an_error)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result results[BATCH];
    size_t one = score_by_engine(c, 1, 1, results);
    const struct {
        size_t memory;
        uint32_t batch; /* 0: the device's own choice, as far as it is one */
    } cases[] = {{1, 8}, {one - 1, 8}, {one - 1, 0}};
    for (int i = 0; i < 3; i++) {
        const struct bgd_engine_options options = {.device = "cuda", .batch = cases[i].batch};
        struct bgd_engine *engine = (void *)1;
        struct bgd_err err = {0};
        emulation_fail_memory(cases[i].memory);
        cr_expect_eq(bgd_engine_open(&c->pipeline, &options, &engine, &err), BGD_MEMORY, "%s", err.text);
        cr_expect_null(engine);
        cr_expect(strstr(err.text, "out of memory"), "%s", err.text);
        cr_expect_eq(emulation_device_bytes(), 0);
    }
    close_engine_case(c);
}

/* ---------------------------------------------------------------- masks that are not finite */

/* Infinities of either sign meet where the picture is not black: there the mask is NAN. */
static struct net overflowing_segmenter(void)
{
    static const float large[] = {3e38f, 3e38f, 3e38f, -3e38f, -3e38f, -3e38f}, one[] = {1, 1}, bias[2] = {0};
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = graph_conv(g, "conv1", x, 2, graph_window(1, 1, 0), 1, large, bias);
    x = graph_conv(g, "conv2", x, 1, graph_window(1, 1, 0), 1, one, bias);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "mask", x));
    const struct meta meta = pipelines_segmenter_meta("overflows", WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

Test(cuda, a_mask_that_is_not_finite_is_found_runs_later)
{
    struct pair pair = nets_of_pair();
    struct net overflows = overflowing_segmenter();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    const struct backend *cuda = &backend_cuda;
    must(open_pair(&pair, &err), &err);
    struct exec *bad = prepare(pair.device, &overflows, BATCH, NULL), *exec = pair.classifier;
    const struct backend_mask bad_mask = {bad, PIPELINE_SOFT}, mask = {pair.segmenter, PIPELINE_SOFT};
    must(cuda->feed(bad, 2, pair.pictures, NULL, &err) || cuda->run(bad, 2, &err), &err);
    must(cuda->feed(pair.segmenter, 2, pair.pictures, NULL, &err) || cuda->run(pair.segmenter, 2, &err), &err);
    must(cuda->feed(exec, 2, pair.pictures, &bad_mask, &err) || cuda->run(exec, 2, &err), &err);
    must(cuda->feed(exec, 2, pair.pictures, &mask, &err) || cuda->run(exec, 2, &err), &err);
    cr_expect_eq(cuda->fetch(exec, 1, 2, scores[0], &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "not finite"), "%s", err.text);
    must(score_pair(&pair, pair.sibling, 0, BATCH, scores[0], &err), &err); /* the other lane has seen none */
    cuda->release(bad);
    close_pair(&pair);
    free_pair(&pair);
    net_close(&overflows);
}

/* ---------------------------------------------------------------- pictures of every size */

/* Decoded pixels; the photo's own size where a JPEG was reduced. */
struct size {
    uint32_t width, height, full_width, full_height;
};

#define NOISE (5000u * 4000u * 3u)

/* A picture's pixels start anywhere in the noise. */
static void set_picture(struct bgd_image *image, const struct size *size, uint8_t *noise, uint32_t i)
{
    size_t bytes = (size_t)size->width * size->height * 3, room = NOISE - bytes;
    *image = (struct bgd_image){.rgb = noise + (room < 1000 * i + 1 ? room : 1000 * i + 1),
                                .width = size->width,
                                .height = size->height,
                                .full_width = size->full_width ? size->full_width : size->width,
                                .full_height = size->full_height ? size->full_height : size->height,
                                .format = size->full_width ? BGD_JPEG : BGD_PNG,
                                .borrowed = true};
}

static void fill_noise(uint8_t *noise)
{
    for (uint32_t i = 0; i < NOISE / 4; i++) {
        uint32_t four = (uint32_t)random_bits(7, i);
        memcpy(noise + (size_t)4 * i, &four, 4);
    }
}

/* The largest difference of what the classifier was fed from what feed_image says; `masks` or NULL. */
static float fed_difference(const struct net *net, uint32_t n, const struct bgd_image *const *pictures, const float *masks,
                            float threshold, const float *fed)
{
    const struct feed_spec *spec = &net->model->meta.input;
    size_t size = (size_t)spec->channels * spec->height * spec->width;
    struct feed_scratch scratch = {0};
    struct bgd_err err = {0};
    float *chw = malloc(size * sizeof *chw), worst = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct feed_mask mask = {masks + (masks ? i * PIXELS : 0), WIDTH, HEIGHT, threshold};
        must(feed_image(pictures[i], masks ? &mask : NULL, spec, &scratch, chw, &err), &err);
        for (size_t k = 0; k < size; k++)
            worst = fmaxf(worst, fabsf(fed[i * size + k] - chw[k]));
    }
    feed_scratch_free(&scratch);
    free(chw);
    return worst;
}

static void check_feed(uint32_t channels, bool masked, float threshold, uint32_t n, const struct size *sizes)
{
    struct net segmenter = pipelines_segmenter(WIDTH, HEIGHT, 1), classifier = resnet_like(channels);
    struct device *device = open_device(BGD_PRECISION_F32);
    struct exec *segments = prepare(device, &segmenter, n, NULL), *classifies = prepare(device, &classifier, n, NULL);
    uint8_t *noise[2] = {malloc(NOISE), backend_cuda.memory(device, NOISE)};
    struct bgd_image images[16];
    const struct bgd_image *pictures[16];
    struct bgd_err err = {0};
    const struct backend_mask mask = {segments, threshold};
    float *masks = malloc(n * PIXELS * sizeof *masks), *fed = malloc(n * net_output_size(classifier.model, 2) * sizeof *fed);
    cr_assert(noise[0] && noise[1] && n <= 16);
    fill_noise(noise[0]);
    memcpy(noise[1], noise[0], NOISE);
    for (uint32_t i = 0; i < n; i++) {
        set_picture(&images[i], &sizes[i], noise[i % 2], i);
        pictures[i] = &images[i];
    }
    must(backend_cuda.feed(segments, n, pictures, NULL, &err) || backend_cuda.run(segments, n, &err) ||
             backend_cuda.fetch(segments, 0, n, masks, &err),
         &err);
    must(backend_cuda.feed(classifies, n, pictures, masked ? &mask : NULL, &err) || backend_cuda.run(classifies, n, &err) ||
             backend_cuda.fetch(classifies, 2, n, fed, &err),
         &err);
    float worst = fed_difference(&classifier, n, pictures, masked ? masks : NULL, threshold, fed);
    cr_expect_leq(worst, 2e-5f, "%u channels, %s: %g from feed_image's", channels, masked ? "masks" : "no masks",
                  (double)worst);
    backend_cuda.release(classifies);
    backend_cuda.release(segments);
    backend_cuda.close(device);
    net_close(&segmenter);
    net_close(&classifier);
    free(noise[0]);
    free(masks);
    free(fed);
}

Test(cuda, pictures_of_many_sizes_are_fed_as_on_the_cpu)
{
    static const struct size sizes[] = {{.width = 1, .height = 1},
                                        {.width = 16384, .height = 3},
                                        {.width = 3, .height = 16384},
                                        {.width = 3000, .height = 2000},
                                        {113, 150, 900, 1195},
                                        {113, 150, 897, 1200},
                                        {450, 598, 900, 1195},
                                        {.width = 5, .height = 4},
                                        {.width = 24, .height = 32},
                                        {.width = 2, .height = 700},
                                        {2, 3, 9, 17}};
    const uint32_t n = sizeof sizes / sizeof sizes[0];
    check_feed(3, false, 0, n, sizes);
    check_feed(3, true, PIPELINE_SOFT, n, sizes);
    check_feed(4, true, PIPELINE_SOFT, n, sizes);
    check_feed(4, true, 0.4f, n, sizes);
}

/* The buffer has 32 MB: pictures of 60 go through it in pieces, and of 18 only one fits. */
Test(cuda, pictures_larger_than_the_buffer_go_in_pieces)
{
    static const struct size sizes[] = {{.width = 5000, .height = 4000}, {.width = 5000, .height = 4000},
                                        {.width = 7, .height = 9},       {.width = 3000, .height = 2000},
                                        {.width = 3000, .height = 2000}, {.width = 4000, .height = 5000},
                                        {1250, 1000, 9998, 7994},        {.width = 16384, .height = 1200}};
    check_feed(3, false, 0, sizeof sizes / sizeof sizes[0], sizes);
    check_feed(4, true, PIPELINE_SOFT, sizeof sizes / sizeof sizes[0], sizes);
}
