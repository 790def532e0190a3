/* Which ops of a graph the CUDA backend computes together. No device is needed for most of it. */
#include "cuda_network.h"
#include "cuda_nets.h"

/* ---------------------------------------------------------------- what is one step */

/* Its steps as words: "conv+add+relu", and ":f32" behind one that leaves f32 in the arena. */
static char *steps_of(const struct net *net, enum kernel_type type, bool fuse_blocks)
{
    static const char *const kinds[] = {[CUDA_CONV] = "conv",
                                        [CUDA_DEPTHWISE] = "depthwise",
                                        [CUDA_EXPAND] = "expand",
                                        [CUDA_PROJECT] = "project",
                                        [CUDA_GROUPED] = "grouped",
                                        [CUDA_ACTIVATE] = "activate",
                                        [CUDA_COMBINE] = "combine",
                                        [CUDA_MAX_POOL] = "pool",
                                        [CUDA_GLOBAL_MEAN] = "mean",
                                        [CUDA_EXCITE] = "excite",
                                        [CUDA_UPSAMPLE] = "upsample",
                                        [CUDA_SOFTMAX] = "softmax",
                                        [CUDA_NARROW] = "narrow",
                                        [CUDA_COPY] = "copy",
                                        [CUDA_OUTPUT] = "output",
                                        [CUDA_LRN] = "lrn",
                                        [CUDA_ADAPTIVE_MEAN] = "adaptive"};
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
        bool adds = step->kind == CUDA_CONV || step->kind == CUDA_UPSAMPLE, gated = step->kind == CUDA_PROJECT;
        while (adds && added + 1 < CUDA_INPUTS && step->x[added + 1].block != NONE)
            added++;
        if (gated && step->x[2].block != NONE)
            added = 1;
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

/* With `value` for its output, and without a device. */
static void check_steps_in(enum kernel_type type, struct graph *g, uint32_t value, const char *expected)
{
    graph_output(g, value);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    check_net(&net, type, true, expected);
    net_close(&net);
}

static void check_steps(struct graph *g, uint32_t value, const char *expected)
{
    check_steps_in(KERNEL_F16, g, value, expected);
}

Test(cuda_steps, an_activation_is_the_convolutions)
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

Test(cuda_steps, a_value_that_is_seen_is_not_fused_away)
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

Test(cuda_steps, a_residual_is_the_convolutions_if_it_is_there_already)
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

Test(cuda_steps, squeeze_and_excite_is_one_step)
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

Test(cuda_steps, a_block_of_an_efficientnet_never_writes_what_is_in_its_middle)
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

Test(cuda_steps, what_is_no_block_of_an_efficientnet_is_left_alone)
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

Test(cuda_steps, squeeze_and_excite_reads_a_depthwise_convolutions_sums)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    x = squeeze_excite(g, unary(g, BGD_OP_SILU, "depthwise_silu", depthwise(g, x, graph_window(3, 1, 1))));
    check_steps(g, x, "depthwise+silu+sums excite+silu+sigmoid combine output");

    g = begin(16, &x); /* the convolution alone, and as a value that is seen */
    x = depthwise(g, x, graph_window(5, 2, 2));
    graph_output(g, x);
    check_steps(g, squeeze_excite(g, x), "depthwise+sums excite+silu+sigmoid combine output output");

    g = begin(16, &x); /* not by an excite alone */
    x = unary(g, BGD_OP_SILU, "depthwise_silu", depthwise(g, x, graph_window(3, 1, 1)));
    uint32_t mean = unary(g, BGD_OP_GLOBAL_MEAN, "mean", x);
    graph_output(g, mean);
    check_steps(g, excite(g, x, mean), "depthwise+silu mean excite+silu+sigmoid combine output output");

    g = begin(16, &x); /* a mean that no excite reads */
    x = unary(g, BGD_OP_GLOBAL_MEAN, "mean", unary(g, BGD_OP_SILU, "depthwise_silu", depthwise(g, x, graph_window(3, 1, 1))));
    check_steps(g, net_dense(g, "dense", x, 6, 1), "depthwise+silu mean conv output");

    g = begin(16, &x); /* a window for which there is no fast kernel */
    x = squeeze_excite(g, unary(g, BGD_OP_SILU, "depthwise_silu", depthwise(g, x, graph_window(4, 1, 1))));
    check_steps(g, x, "depthwise+silu mean excite+silu+sigmoid combine output");
}

Test(cuda_steps, a_concat_of_whole_lanes_copies_nothing)
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

Test(cuda_steps, concats_in_concats_and_values_in_two)
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

Test(cuda_steps, a_dense_layer_of_a_slice_reads_a_copy)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 8);
    graph_output(g, concat(g, "ab", a, b));
    check_steps(g, net_dense(g, "dense", a, 4, 1), "conv conv copy conv output output");
}

Test(cuda_steps, an_alexnet_copies_nothing)
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

Test(cuda_steps, a_sum_of_enlarged_maps_is_one_step)
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

Test(cuda_steps, an_enlarged_map_that_is_seen_is_not_fused_away)
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

Test(cuda_steps, heads_are_f32)
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

/* ---------------------------------------------------------------- which step an op is in */

static void check_step_numbers(struct graph *g, uint32_t output, const uint32_t *expected)
{
    struct device *device = open_device(BGD_PRECISION_F16);
    graph_output(g, output);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    struct exec *exec = prepare(device, &net, 2, NULL);
    struct backend_op_time times[16];
    struct bgd_err err = {0};
    must(backend_cuda.profile(exec, 2, 1, times, &err), &err);
    for (uint32_t i = 0; i < net.model->header->n_ops; i++)
        cr_expect_eq(times[i].step, expected[i], "%s is in step %u, expected %u",
                     net.model->values[model_op_value(net.model, i)].name, times[i].step, expected[i]);
    backend_cuda.release(exec);
    backend_cuda.close(device);
    net_close(&net);
}

Test(cuda_steps, ops_of_one_step_have_its_number)
{
    uint32_t x;
    struct graph *g = begin(16, &x); /* silu, mean; squeeze to gate are one step; mul */
    x = squeeze_excite(g, unary(g, BGD_OP_SILU, "silu", conv3(g, "a", x, 16)));
    check_step_numbers(g, x, (const uint32_t[]){0, 0, 1, 2, 2, 2, 2, 3});

    g = begin(16, &x); /* a residual and what follows it, past an op that is not part of it */
    uint32_t a = conv3(g, "a", x, 16), b = conv3(g, "bb", x, 16);
    graph_output(g, graph_max_pool(g, "pool", x, graph_window(3, 1, 1)));
    check_step_numbers(g, unary(g, BGD_OP_RELU, "relu", graph_op(g, BGD_OP_ADD, "sum", b, a)),
                       (const uint32_t[]){0, 1, 2, 1, 1});
}

Test(cuda_steps, a_concat_in_place_has_the_number_of_its_last_input)
{
    uint32_t x;
    struct graph *g = begin(16, &x);
    uint32_t a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 24);
    check_step_numbers(g, conv3(g, "c", concat(g, "ab", b, a), 8), (const uint32_t[]){0, 1, 1, 2});

    g = begin(16, &x); /* by copies it is a step */
    a = conv3(g, "a", x, 8), b = conv3(g, "b", x, 3);
    check_step_numbers(g, conv3(g, "c", concat(g, "ab", b, a), 8), (const uint32_t[]){0, 1, 2, 3});
}

/* ---------------------------------------------------------------- f8 */

/* One convolution of (c, side, side) by `out` filters, its weights random unless given. */
static void check_f8_steps(uint32_t c, uint32_t side, uint32_t out, struct bgd_window window, uint32_t groups, bool narrow)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){c, side, side});
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "a", x, out, window, groups, 1));
    check_steps_in(KERNEL_F8, g, x,
                   narrow       ? "narrow conv+relu output"
                   : groups > 1 ? "grouped+relu output"
                                : "conv+relu output");
}

Test(cuda_steps, f8_is_for_large_convolutions)
{
    const struct bgd_window three = graph_window(3, 1, 1), one = graph_window(1, 1, 0), two = graph_window(3, 2, 1);
    check_f8_steps(128, 16, 128, three, 1, true); /* 9 * 128 * 128 * 256: 1.1 * 2^25; 1152 for an element */
    check_f8_steps(128, 15, 128, three, 1, false);
    check_f8_steps(127, 17, 130, three, 1, false);
    check_f8_steps(128, 32, 112, three, 1, false); /* 1008 for an element */
    check_f8_steps(256, 32, 128, two, 1, false);   /* 288 */
    check_f8_steps(1024, 16, 1024, one, 1, false);
    check_f8_steps(256, 32, 256, three, 2, false);
}
