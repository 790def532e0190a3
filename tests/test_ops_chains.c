/*
 * Ops between convolutions, where oneDNN chooses the layouts: nchw, nhwc, blocks of 8 (AVX2) and 16 channels
 * (AVX-512), channels that do not fill their blocks, tiles that pictures do not fill. Against the reference.
 */
#include "nets.h"

#include <dnnl.h>
#include <math.h>

struct chain {
    const char *name;
    uint32_t (*build)(struct graph *g, uint32_t x); /* x comes from a convolution, what it returns goes to one */
};

static uint32_t unary(struct graph *g, enum bgd_op code, const char *name, uint32_t x)
{
    return graph_op(g, code, name, x, 0);
}

/* A 3x3 convolution that keeps the size. */
static uint32_t conv(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(3, 1, 1), 1, 40 + (uint64_t)name[0]);
}

static uint32_t depthwise(struct graph *g, const char *name, uint32_t x, uint32_t dilation)
{
    struct bgd_window window = graph_window(3, 1, dilation);
    window.dilation_h = window.dilation_w = dilation;
    return net_conv(g, name, x, graph_shape(g, x).c, window, graph_shape(g, x).c, 50 + (uint64_t)name[0]);
}

static uint32_t pointwise(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(1, 1, 0), 1, 60 + (uint64_t)name[0]);
}

/* ------------------------------------------------------------ fused */

static uint32_t relu(struct graph *g, uint32_t x)
{
    return unary(g, BGD_OP_RELU, "f", x);
}

static uint32_t sigmoid(struct graph *g, uint32_t x)
{
    return unary(g, BGD_OP_SIGMOID, "f", x);
}

static uint32_t silu(struct graph *g, uint32_t x)
{
    return unary(g, BGD_OP_SILU, "f", x);
}

static uint32_t selu(struct graph *g, uint32_t x)
{
    return unary(g, BGD_OP_SELU, "f", x);
}

/* The receptive field's end: conv, selu, plus another conv and selu, relu. */
static uint32_t selu_add_relu(struct graph *g, uint32_t x)
{
    uint32_t c = graph_shape(g, x).c, a = selu(g, x), b = unary(g, BGD_OP_SELU, "h", conv(g, "i", a, c));
    b = unary(g, BGD_OP_SELU, "k", conv(g, "j", b, c));
    return unary(g, BGD_OP_RELU, "m", graph_op(g, BGD_OP_ADD, "l", b, a));
}

/* The residual comes after the sum's other operand in the list, and is the first operand. */
static uint32_t add_later(struct graph *g, uint32_t x)
{
    uint32_t c = graph_shape(g, x).c, a = unary(g, BGD_OP_SELU, "h", conv(g, "i", x, c));
    return unary(g, BGD_OP_SILU, "m", graph_op(g, BGD_OP_ADD, "l", unary(g, BGD_OP_SELU, "k", pointwise(g, "j", x, c)), a));
}

/* An activation whose input is read a second time stands by itself. */
static uint32_t alone(struct graph *g, enum bgd_op code, uint32_t x)
{
    return graph_op(g, BGD_OP_ADD, "h", unary(g, code, "f", x), x);
}

static uint32_t silu_alone(struct graph *g, uint32_t x)
{
    return alone(g, BGD_OP_SILU, x);
}

static uint32_t selu_alone(struct graph *g, uint32_t x)
{
    return alone(g, BGD_OP_SELU, x);
}

static uint32_t sigmoid_alone(struct graph *g, uint32_t x)
{
    return alone(g, BGD_OP_SIGMOID, x);
}

static uint32_t twice(struct graph *g, uint32_t x)
{
    return graph_op(g, BGD_OP_MUL, "m", graph_op(g, BGD_OP_ADD, "l", x, x), x);
}

/* ------------------------------------------------------------ repeated operands */

static uint32_t squeeze_excite(struct graph *g, uint32_t x)
{
    uint32_t wide = unary(g, BGD_OP_SILU, "i", x);
    uint32_t y = unary(g, BGD_OP_SILU, "k", pointwise(g, "j", unary(g, BGD_OP_GLOBAL_MEAN, "h", wide), 3));
    y = unary(g, BGD_OP_SIGMOID, "m", pointwise(g, "l", y, graph_shape(g, x).c));
    return graph_op(g, BGD_OP_MUL, "n", wide, y);
}

static uint32_t add_channel(struct graph *g, uint32_t x)
{
    uint32_t y = unary(g, BGD_OP_GLOBAL_MEAN, "h", x);
    return graph_op(g, BGD_OP_ADD, "i", x, y);
}

static uint32_t mul_pixel(struct graph *g, uint32_t x)
{
    uint32_t y = unary(g, BGD_OP_SIGMOID, "i", pointwise(g, "h", x, 1));
    return graph_op(g, BGD_OP_MUL, "j", x, y);
}

/* The repeated operand is a convolution's own: the sum must not be written over it. */
static uint32_t add_pixel(struct graph *g, uint32_t x)
{
    uint32_t y = unary(g, BGD_OP_RELU, "i", pointwise(g, "h", x, 1));
    return graph_op(g, BGD_OP_ADD, "k", conv(g, "j", x, graph_shape(g, x).c), y);
}

/* Two layouts meet: an ordinary and a depthwise convolution, and a pool of each. */
static uint32_t mul_same(struct graph *g, uint32_t x)
{
    uint32_t y = graph_op(g, BGD_OP_MUL, "j", conv(g, "h", x, graph_shape(g, x).c), depthwise(g, "i", x, 1));
    return graph_op(g, BGD_OP_ADD, "l", y, graph_max_pool(g, "k", x, graph_window(3, 1, 1)));
}

/* ------------------------------------------------------------ loops */

static uint32_t upsample_true(struct graph *g, uint32_t x)
{
    return graph_upsample(g, "h", x, 2, true);
}

static uint32_t upsample_false(struct graph *g, uint32_t x)
{
    return graph_upsample(g, "h", x, 4, false);
}

static uint32_t upsample_twice(struct graph *g, uint32_t x)
{
    return graph_upsample(g, "i", graph_upsample(g, "h", x, 2, true), 2, true);
}

static uint32_t adaptive_smaller(struct graph *g, uint32_t x)
{
    return graph_adaptive_mean(g, "h", x, 2, 3);
}

static uint32_t adaptive_larger(struct graph *g, uint32_t x)
{
    return graph_adaptive_mean(g, "h", x, 7, 6);
}

/* AlexNet's first layer, and its end. */
static uint32_t lrn_pool(struct graph *g, uint32_t x)
{
    return graph_max_pool(g, "i", graph_lrn(g, "h", relu(g, x), 5, 1, 0.75f, 2), graph_window(3, 2, 1));
}

static uint32_t lrn_even(struct graph *g, uint32_t x)
{
    return graph_lrn(g, "i", graph_lrn(g, "h", x, 6, 2, 0.75f, 1), 2, 1, 0.5f, 1);
}

static uint32_t adaptive_dense(struct graph *g, uint32_t x)
{
    uint32_t y = net_dense(g, "i", graph_adaptive_mean(g, "h", relu(g, x), 3, 2), 37, 70);
    return net_dense(g, "k", unary(g, BGD_OP_RELU, "j", y), 9, 71);
}

static uint32_t picture_dense(struct graph *g, uint32_t x)
{
    return unary(g, BGD_OP_RELU, "i", net_dense(g, "h", relu(g, x), 21, 72));
}

/* Two inputs of other counts, the first the wider one. */
static uint32_t concat_mixed(struct graph *g, uint32_t x)
{
    const uint32_t both[] = {x, pointwise(g, "h", x, 5)};
    return graph_op_n(g, BGD_OP_CONCAT, "i", both, 2);
}

static uint32_t concat_narrow_first(struct graph *g, uint32_t x)
{
    const uint32_t three[] = {conv(g, "h", x, 8), x, depthwise(g, "i", x, 1)};
    return graph_op_n(g, BGD_OP_CONCAT, "j", three, 3);
}

static uint32_t concat_eight(struct graph *g, uint32_t x)
{
    const uint32_t eight[] = {x,
                              pointwise(g, "h", x, 16),
                              conv(g, "i", x, 32),
                              x,
                              pointwise(g, "j", x, 8),
                              depthwise(g, "k", x, 3),
                              conv(g, "l", x, 24),
                              pointwise(g, "m", x, 16)};
    return graph_op_n(g, BGD_OP_CONCAT, "n", eight, 8);
}

/* The edge module's body. */
static uint32_t branches(struct graph *g, uint32_t x)
{
    static const char *const names[] = {"h", "i", "j", "k"}, *const seconds[] = {"hh", "ii", "jj", "kk"};
    uint32_t parts[4], c = graph_shape(g, x).c, quarter = (c + 3) / 4;
    for (uint32_t i = 0; i < 4; i++) {
        parts[i] = depthwise(g, names[i], x, 2 * i + 1);
        char name[] = {'s', (char)('0' + i), 0}, other[] = {'t', (char)('0' + i), 0};
        parts[i] = pointwise(g, seconds[i], unary(g, BGD_OP_SELU, name, parts[i]),
                             i < 3 || quarter * 3 >= c ? quarter : c - 3 * quarter);
        parts[i] = unary(g, BGD_OP_SELU, other, parts[i]);
    }
    uint32_t y = graph_op_n(g, BGD_OP_CONCAT, "u", parts, 4);
    return graph_shape(g, y).c == c ? graph_op(g, BGD_OP_ADD, "v", y, x) : y;
}

/* Union attention, its channels and its rows. */
static uint32_t attention(struct graph *g, uint32_t x)
{
    uint32_t c = graph_shape(g, x).c, mean = unary(g, BGD_OP_GLOBAL_MEAN, "h", x);
    const uint32_t qkv[] = {pointwise(g, "i", mean, c), pointwise(g, "j", mean, c), pointwise(g, "k", mean, c)};
    uint32_t gate = unary(g, BGD_OP_SIGMOID, "n", pointwise(g, "m", graph_op_n(g, BGD_OP_ATTENTION, "l", qkv, 3), c));
    uint32_t y = graph_op(g, BGD_OP_ADD, "p", graph_op(g, BGD_OP_MUL, "o", x, gate), x);
    y = graph_op(g, BGD_OP_MUL, "r", y, graph_op_with(g, BGD_OP_QUANTILE_MASK, "q", gate, 0.1f));
    const uint32_t rows[] = {pointwise(g, "s", y, 1), pointwise(g, "t", y, 1), pointwise(g, "u", y, 1)};
    return graph_op(g, BGD_OP_ADD, "w", graph_op_n(g, BGD_OP_ATTENTION, "v", rows, 3), rows[2]);
}

static uint32_t object_attention(struct graph *g, uint32_t x)
{
    uint32_t map = unary(g, BGD_OP_SIGMOID, "i", pointwise(g, "h", x, 1));
    return graph_op(g, BGD_OP_MUL, "k", x, graph_op_with(g, BGD_OP_DENOISE, "j", map, 0.6f));
}

static uint32_t edges(struct graph *g, uint32_t x)
{
    return graph_op(g, BGD_OP_ADD, "i", x, graph_op_with(g, BGD_OP_HIGH_PASS, "h", x, 3));
}

/* A (1, 1, 1) value takes a dense layer with a sigmoid back to every channel. */
static uint32_t dense_sigmoid(struct graph *g, uint32_t x)
{
    uint32_t y = unary(g, BGD_OP_SIGMOID, "j", net_dense(g, "i", x, graph_shape(g, x).c, 70));
    return graph_op(g, BGD_OP_MUL, "k", x, y);
}

static const struct chain chains[] = {
    {"relu", relu},
    {"sigmoid", sigmoid},
    {"silu", silu},
    {"selu", selu},
    {"selu + add + relu", selu_add_relu},
    {"add of a later value", add_later},
    {"silu alone", silu_alone},
    {"selu alone", selu_alone},
    {"sigmoid alone", sigmoid_alone},
    {"a value twice", twice},
    {"squeeze and excite", squeeze_excite},
    {"add (c, 1, 1)", add_channel},
    {"mul (1, h, w)", mul_pixel},
    {"add (1, h, w)", add_pixel},
    {"mul of two layouts", mul_same},
    {"upsample, aligned", upsample_true},
    {"upsample", upsample_false},
    {"upsample twice", upsample_twice},
    {"adaptive mean", adaptive_smaller},
    {"adaptive mean, repeating", adaptive_larger},
    {"relu + LRN + pool", lrn_pool},
    {"LRN of even sizes", lrn_even},
    {"adaptive mean + dense layers", adaptive_dense},
    {"dense layer of a picture", picture_dense},
    {"concat", concat_mixed},
    {"concat, narrow first", concat_narrow_first},
    {"concat of 8", concat_eight},
    {"branches", branches},
    {"union attention", attention},
    {"object attention", object_attention},
    {"high-pass", edges},
    {"dense + sigmoid", dense_sigmoid},
};

/*
 * Sums of up to 9 x 40 products in float one behind the other: each is off by 4 EPS sqrt(360) = 4.5e-6 at the very worst where
 * values are near 1 (ops_golden.h), by as much more where they are larger, and the ops between them hardly amplify that. 9e-7
 * was measured, on AVX2. A channel, pixel or picture in a wrong place is off by 1e-2 and more.
 */
static void check_chain(const struct chain *chain, struct shape in, uint32_t channels, uint32_t pictures)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "x", in);
    x = net_conv(g, "a", x, channels, graph_window(3, 1, 1), 1, 10);
    uint32_t y = chain->build(g, x);
    graph_output(g, net_conv(g, "z", y, 11, graph_window(1, 1, 0), 1, 20));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    float *input = net_input(net.model, 0, pictures, 1), *ref, *onednn;
    net_run(&backend_ref, net.model, pictures, pictures, &input, &ref);
    net_run(&backend_onednn, net.model, pictures, pictures, &input, &onednn);
    size_t n = pictures * net_output_size(net.model, 0), at = 0;
    double worst = 0, largest = 1;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)onednn[i] - (double)ref[i]);
        largest = fmax(largest, fabs((double)ref[i]));
        if (!(d <= worst)) {
            worst = d;
            at = i;
        }
    }
    cr_expect(worst <= 5e-6 * largest,
              "%s, (%u, %u, %u), %u channels, %u pictures: element %zu of %zu is %.9g, the reference has %.9g", chain->name,
              in.c, in.h, in.w, channels, pictures, at, n, (double)onednn[at], (double)ref[at]);
    free(input);
    free(ref);
    free(onednn);
    net_close(&net);
}

/* Small pictures fill tiles of 16 (19 leave three in the second) and, up to 8 pixels wide, lie side by side in a convolution.
 */
static void check_all(void)
{
    static const uint32_t channels[] = {1, 3, 8, 13, 16, 19, 20, 24, 32, 40};
    static const struct shape shapes[] = {{7, 1, 1}, {16, 2, 3}, {3, 5, 1}, {7, 1, 9}, {20, 9, 12}};
    for (size_t c = 0; c < sizeof chains / sizeof chains[0]; c++)
        for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
                check_chain(&chains[c], shapes[s], channels[i], s == 4 ? 2 : 19);
}

/* Which instructions oneDNN may use is decided before its first primitive; each test is a process. More than the CPU has
 * changes nothing. */
Test(ops_chains, with_all_that_the_cpu_has)
{
    check_all();
}

Test(ops_chains, with_avx2)
{
    cr_assert_eq(dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2), dnnl_success);
    check_all();
}

Test(ops_chains, with_sse41)
{
    cr_assert_eq(dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41), dnnl_success);
    check_all();
}
