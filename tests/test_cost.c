/*
 * What networks cost: by hand on graphs of a few ops, where one op is 16 channels of 4x4 pixels unless it says otherwise; and whole
 * networks against ../shared/gpu/roofline.py, which counts from the papers' tables and knows nothing of our graphs.
 */
#include "conversions.h"
#include "cost.h"
#include "nets.h"
#include "sequential_dict.h"
#include "tracer_dict.h"

enum { C = 16, HW = 16, SIZE = C * HW };

static struct graph *begin(uint32_t *x)
{
    struct graph *g = net_graph();
    *x = graph_input(g, "input", (struct shape){C, 4, 4});
    return g;
}

/* Weights and biases of C * C + C, and SIZE * C multiply-accumulates. */
static uint32_t conv1(struct graph *g, const char *name, uint32_t x)
{
    return net_conv(g, name, x, C, graph_window(1, 1, 0), 1, 1);
}

static uint32_t unary(struct graph *g, enum bgd_op code, const char *name, uint32_t x)
{
    return graph_op(g, code, name, x, 0);
}

static uint32_t two_and_their_concat(struct graph *g, uint32_t x)
{
    uint32_t a = conv1(g, "a", x), b = conv1(g, "b", x);
    return graph_op_n(g, BGD_OP_CONCAT, "ab", (uint32_t[]){a, b}, 2);
}

/* Ends the graph with one more output; the caller frees. */
static struct op_cost *costs_of(struct graph *g, uint32_t output, struct net *net)
{
    graph_output(g, output);
    *net = net_finish(g, &net_plain_meta, BGD_F32);
    struct op_cost *costs = calloc(net->model->header->n_ops, sizeof *costs);
    struct bgd_err err = {0};
    cr_assert_eq(cost_ops(net->model, costs, &err), 0, "%s", err.text);
    return costs;
}

/* What each op moves when fused, in the order of the graph. */
static void check_fused(struct graph *g, uint32_t output, uint32_t n, const uint64_t *expected)
{
    struct net net;
    struct op_cost *costs = costs_of(g, output, &net);
    cr_assert_eq(net.model->header->n_ops, n);
    for (uint32_t i = 0; i < n; i++)
        cr_expect_eq(costs[i].fused.values, expected[i], "%s moves %llu elements, expected %llu",
                     net.model->values[model_op_value(net.model, i)].name, (unsigned long long)costs[i].fused.values,
                     (unsigned long long)expected[i]);
    free(costs);
    net_close(&net);
}

#define FUSED(g, output, ...)                                                                                                  \
    check_fused(g, output, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t), (const uint64_t[]){__VA_ARGS__})

/* ------------------------------------------------------------ unfused, and what never changes */

Test(cost, unfused_every_op_reads_its_inputs_and_writes_its_value)
{
    uint32_t x;
    struct net net;
    struct graph *g = begin(&x);
    uint32_t a = conv1(g, "a", x);
    struct op_cost *costs = costs_of(g, graph_op(g, BGD_OP_ADD, "sum", unary(g, BGD_OP_RELU, "relu", a), x), &net);
    const uint64_t values[] = {2 * SIZE, 2 * SIZE, 3 * SIZE};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(costs[i].unfused.values, values[i], "op %d", i);
        cr_expect_eq(costs[i].macs, i == 0 ? SIZE * C : 0);
        cr_expect_eq(costs[i].unfused.weights, i == 0 ? C * C + C : 0);
        cr_expect_eq(costs[i].fused.weights, costs[i].unfused.weights);
    }
    free(costs);
    net_close(&net);
}

Test(cost, weights_are_shared_by_a_batch)
{
    const struct traffic traffic = {.values = 100, .weights = 50};
    cr_expect_eq(traffic_bytes(traffic, 4, 1), 600);
    cr_expect_eq(traffic_bytes(traffic, 2, 10), 210);
}

/* ------------------------------------------------------------ fused, rule by rule */

Test(cost, an_activation_moves_nothing)
{
    uint32_t x;
    struct graph *g = begin(&x);
    FUSED(g, unary(g, BGD_OP_RELU, "relu", conv1(g, "a", x)), 2 * SIZE, 0);

    g = begin(&x); /* nor if two read it */
    x = unary(g, BGD_OP_SILU, "silu", conv1(g, "a", x));
    graph_output(g, conv1(g, "b", x));
    FUSED(g, conv1(g, "c", x), 2 * SIZE, 0, 2 * SIZE, 2 * SIZE);

    g = begin(&x); /* of the graph's input, by whatever reads it */
    FUSED(g, conv1(g, "a", unary(g, BGD_OP_SELU, "selu", x)), 0, 2 * SIZE);

    g = begin(&x); /* x * sigmoid(x) is one, too */
    x = conv1(g, "a", x);
    x = graph_op(g, BGD_OP_MUL, "swish", x, unary(g, BGD_OP_SIGMOID, "sigmoid", x));
    FUSED(g, conv1(g, "b", x), 2 * SIZE, 0, 0, 2 * SIZE);
}

Test(cost, every_output_is_written)
{
    uint32_t x;
    struct graph *g = begin(&x);
    uint32_t logits = net_dense(g, "logits", x, 6, 1);
    graph_output(g, logits);
    FUSED(g, unary(g, BGD_OP_SIGMOID, "scores", logits), SIZE + 6 + 6, 0);

    g = begin(&x);
    FUSED(g, unary(g, BGD_OP_RELU, "relu", x), 2 * SIZE);

    g = begin(&x); /* and read as it stands */
    x = unary(g, BGD_OP_RELU, "relu", conv1(g, "a", x));
    graph_output(g, x);
    FUSED(g, conv1(g, "b", x), 2 * SIZE, 0, 2 * SIZE);
}

Test(cost, a_residual_is_read_as_the_sum_is_written)
{
    uint32_t x;
    for (int order = 0; order < 2; order++) {
        struct graph *g = begin(&x);
        uint32_t a = unary(g, BGD_OP_RELU, "relu", conv1(g, "a", x)), b = conv1(g, "b", a);
        x = order ? graph_op(g, BGD_OP_ADD, "sum", a, b) : graph_op(g, BGD_OP_ADD, "sum", b, a);
        FUSED(g, conv1(g, "c", unary(g, BGD_OP_RELU, "relu2", x)), 2 * SIZE, 0, 3 * SIZE, 0, 0, 2 * SIZE);
    }
    struct graph *g = begin(&x); /* of two that nothing else reads, the later is not written */
    uint32_t a = conv1(g, "a", x), b = conv1(g, "b", x);
    FUSED(g, graph_op(g, BGD_OP_MUL, "product", a, b), 2 * SIZE, 3 * SIZE, 0);

    g = begin(&x); /* a product of three: none of the values between is written */
    a = conv1(g, "a", x);
    a = graph_op(g, BGD_OP_MUL, "ab", a, conv1(g, "b", x));
    FUSED(g, graph_op(g, BGD_OP_MUL, "abx", a, x), 2 * SIZE, 4 * SIZE, 0, 0);
}

Test(cost, a_sum_of_what_others_read_is_computed_where_it_is_read)
{
    uint32_t x;
    struct graph *g = begin(&x);
    uint32_t a = conv1(g, "a", x), b = conv1(g, "b", x), sum = graph_op(g, BGD_OP_ADD, "sum", a, b);
    graph_output(g, b);
    FUSED(g, conv1(g, "c", sum), 2 * SIZE, 2 * SIZE, 0, 3 * SIZE);

    g = begin(&x); /* or where it is written, if it is an output */
    a = conv1(g, "a", x), b = conv1(g, "b", x);
    graph_output(g, b);
    FUSED(g, graph_op(g, BGD_OP_ADD, "sum", a, b), 2 * SIZE, 2 * SIZE, 3 * SIZE);
}

Test(cost, a_map_times_a_picture_is_done_with_the_picture_if_the_map_is_there)
{
    uint32_t x;
    struct graph *g = begin(&x);
    uint32_t map = net_conv(g, "map", x, 1, graph_window(1, 1, 0), 1, 1), a = conv1(g, "a", x);
    FUSED(g, conv1(g, "b", graph_op(g, BGD_OP_MUL, "product", a, map)), SIZE + HW, 2 * SIZE + HW, 0, 2 * SIZE);

    g = begin(&x);
    a = conv1(g, "a", x), map = net_conv(g, "map", x, 1, graph_window(1, 1, 0), 1, 1);
    FUSED(g, conv1(g, "b", graph_op(g, BGD_OP_MUL, "product", a, map)), 2 * SIZE, SIZE + HW, 0, 2 * SIZE + HW);
}

Test(cost, a_concat_is_its_inputs)
{
    uint32_t x;
    struct graph *g = begin(&x);
    x = two_and_their_concat(g, x);
    FUSED(g, conv1(g, "c", x), 2 * SIZE, 2 * SIZE, 0, 3 * SIZE);

    g = begin(&x); /* the same thing twice is read once */
    uint32_t a = conv1(g, "a", x);
    x = graph_op_n(g, BGD_OP_CONCAT, "aa", (uint32_t[]){a, a}, 2);
    FUSED(g, conv1(g, "c", x), 2 * SIZE, 0, 2 * SIZE);

    g = begin(&x); /* a residual of the whole is added as the parts are written */
    a = net_conv(g, "a", x, C / 2, graph_window(1, 1, 0), 1, 1);
    uint32_t b = net_conv(g, "b", x, C / 2, graph_window(1, 1, 0), 1, 2);
    a = graph_op_n(g, BGD_OP_CONCAT, "ab", (uint32_t[]){a, b}, 2);
    FUSED(g, graph_op(g, BGD_OP_ADD, "sum", a, x), SIZE, SIZE + SIZE + SIZE, 0, 0);

    g = begin(&x); /* unless it comes after the first of them */
    a = net_conv(g, "a", x, C / 2, graph_window(1, 1, 0), 1, 1);
    uint32_t c = conv1(g, "c", x);
    b = net_conv(g, "b", x, C / 2, graph_window(1, 1, 0), 1, 2);
    graph_output(g, c);
    a = graph_op_n(g, BGD_OP_CONCAT, "ab", (uint32_t[]){a, b}, 2);
    FUSED(g, conv1(g, "d", graph_op(g, BGD_OP_ADD, "sum", a, c)), SIZE + SIZE / 2, 2 * SIZE, SIZE + SIZE / 2, 0, 0, 3 * SIZE);
}

Test(cost, an_enlarged_value_is_read_at_its_own_size)
{
    uint32_t x;
    struct graph *g = begin(&x);
    x = graph_upsample(g, "up", conv1(g, "a", x), 2, true);
    FUSED(g, conv1(g, "b", x), 2 * SIZE, 0, SIZE + 4 * SIZE);

    g = begin(&x); /* as a residual, too */
    x = graph_upsample(g, "up", conv1(g, "a", x), 2, true);
    uint32_t b = conv1(g, "b", x);
    FUSED(g, conv1(g, "c", graph_op(g, BGD_OP_ADD, "sum", x, b)), 2 * SIZE, 0, SIZE + SIZE + 4 * SIZE, 0, 8 * SIZE);

    g = begin(&x); /* and so are two that are added */
    uint32_t a = graph_upsample(g, "up", conv1(g, "a", x), 2, true);
    b = graph_upsample(g, "up2", conv1(g, "b", x), 2, true);
    FUSED(g, conv1(g, "c", graph_op(g, BGD_OP_ADD, "sum", a, b)), 2 * SIZE, 0, 2 * SIZE, 0, 0, 2 * SIZE + 4 * SIZE);
}

Test(cost, squeeze_and_excite_reads_and_writes_the_wide_value_once)
{
    uint32_t x;
    struct graph *g = begin(&x);
    uint32_t wide = unary(g, BGD_OP_SILU, "silu", net_conv(g, "depthwise", x, C, graph_window(3, 1, 1), C, 1));
    uint32_t y = net_conv(g, "squeeze", unary(g, BGD_OP_GLOBAL_MEAN, "mean", wide), 4, graph_window(1, 1, 0), 1, 2);
    y = unary(g, BGD_OP_SIGMOID, "gate", conv1(g, "excite", unary(g, BGD_OP_SILU, "silu2", y)));
    y = graph_op(g, BGD_OP_MUL, "gated", wide, y);
    FUSED(g, graph_op(g, BGD_OP_ADD, "sum", conv1(g, "project", y), x), SIZE + SIZE + C, 0, 0, C + 4, 0, 4 + C, 0, 0,
          SIZE + C + SIZE + SIZE, 0);
}

Test(cost, a_pool_is_done_as_its_input_is_computed)
{
    const struct bgd_window two = graph_window(2, 2, 0);
    uint32_t x;
    struct graph *g = begin(&x);
    FUSED(g, graph_max_pool(g, "pool", unary(g, BGD_OP_RELU, "relu", conv1(g, "a", x)), two), SIZE + SIZE / 4, 0, 0);

    g = begin(&x); /* which is written if something else reads it */
    x = conv1(g, "a", x);
    graph_output(g, conv1(g, "b", x));
    FUSED(g, graph_adaptive_mean(g, "mean", x, 2, 2), SIZE + SIZE + SIZE / 4, 2 * SIZE, 0);

    g = begin(&x); /* the graph's input is not computed */
    FUSED(g, graph_max_pool(g, "pool", x, two), SIZE + SIZE / 4);

    g = begin(&x); /* nor is an enlarged value, at any one place */
    x = graph_upsample(g, "up", conv1(g, "a", x), 2, false);
    FUSED(g, unary(g, BGD_OP_GLOBAL_MEAN, "mean", x), 2 * SIZE, 0, SIZE + C);

    g = begin(&x); /* nor what a mean of it must be known for */
    x = conv1(g, "a", x);
    x = graph_op(g, BGD_OP_MUL, "gated", x, unary(g, BGD_OP_GLOBAL_MEAN, "mean", x));
    FUSED(g, graph_max_pool(g, "pool", x, two), 2 * SIZE + C, 0, 0, SIZE + C + SIZE / 4);

    g = begin(&x); /* that of two values side by side is two */
    x = two_and_their_concat(g, x);
    FUSED(g, unary(g, BGD_OP_GLOBAL_MEAN, "mean", x), SIZE, SIZE + 2 * C, 0, 0);
}

Test(cost, what_no_output_needs_is_not_written)
{
    uint32_t x;
    struct graph *g = begin(&x);
    conv1(g, "dead", x);
    FUSED(g, conv1(g, "a", x), SIZE, 2 * SIZE);
}

/* ------------------------------------------------------------ as steps */

static void check_steps(struct graph *g, uint32_t output, const uint32_t *step_of, uint32_t n_steps, const uint64_t *expected)
{
    struct step_cost costs[8];
    struct bgd_err err = {0};
    graph_output(g, output);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    cr_assert_eq(cost_steps(net.model, step_of, n_steps, costs, &err), 0, "%s", err.text);
    for (uint32_t i = 0; i < n_steps; i++)
        cr_expect_eq(costs[i].traffic.values, expected[i], "step %u moves %llu elements, expected %llu", i,
                     (unsigned long long)costs[i].traffic.values, (unsigned long long)expected[i]);
    net_close(&net);
}

#define STEPS(g, output, step_of, ...)                                                                                         \
    check_steps(g, output, (const uint32_t[])step_of, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t),                      \
                (const uint64_t[]){__VA_ARGS__})
#define OPS(...)                                                                                                               \
    {                                                                                                                          \
        __VA_ARGS__                                                                                                            \
    }

/* conv, relu, conv, add of the relu's value, relu */
static uint32_t residual_block(struct graph *g, uint32_t x)
{
    uint32_t a = unary(g, BGD_OP_RELU, "relu", conv1(g, "a", x));
    return unary(g, BGD_OP_RELU, "relu2", graph_op(g, BGD_OP_ADD, "sum", conv1(g, "b", a), a));
}

Test(cost, a_step_reads_what_others_have_left_and_writes_what_others_need)
{
    uint32_t x;
    struct graph *g = begin(&x);
    STEPS(g, residual_block(g, x), OPS(0, 0, 1, 1, 1), 2 * SIZE, 2 * SIZE);
    g = begin(&x);
    STEPS(g, residual_block(g, x), OPS(0, 1, 2, 3, 4), 2 * SIZE, 2 * SIZE, 2 * SIZE, 3 * SIZE, 2 * SIZE);
    g = begin(&x);
    STEPS(g, residual_block(g, x), OPS(0, 0, 0, 0, 0), 2 * SIZE);
}

Test(cost, a_step_has_the_weights_and_products_of_its_ops)
{
    uint32_t x;
    struct step_cost costs[2];
    struct bgd_err err = {0};
    struct graph *g = begin(&x);
    graph_output(g, net_dense(g, "dense", unary(g, BGD_OP_GLOBAL_MEAN, "mean", residual_block(g, x)), 40, 3));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    cr_assert_eq(cost_steps(net.model, (const uint32_t[]){0, 0, 0, 0, 0, 1, 1}, 2, costs, &err), 0);
    cr_expect(costs[0].n_ops == 5 && costs[0].last_op == 4 && costs[0].main_op == 0);
    cr_expect(costs[1].n_ops == 2 && costs[1].last_op == 6 && costs[1].main_op == 6);
    cr_expect_eq(costs[0].macs, 2 * SIZE * C);
    cr_expect_eq(costs[1].macs, 40 * C);
    cr_expect_eq(costs[0].traffic.weights, 2 * (C * C + C));
    cr_expect_eq(costs[1].traffic.weights, 40 * C + 40);
    net_close(&net);
}

Test(cost, a_concat_in_place_moves_nothing)
{
    uint32_t x;
    struct graph *g = begin(&x);
    STEPS(g, conv1(g, "c", two_and_their_concat(g, x)), OPS(0, 1, 1, 2), 2 * SIZE, 2 * SIZE, 3 * SIZE);
    g = begin(&x); /* one by copies does */
    STEPS(g, conv1(g, "c", two_and_their_concat(g, x)), OPS(0, 1, 2, 3), 2 * SIZE, 2 * SIZE, 4 * SIZE, 3 * SIZE);
    g = begin(&x); /* as an output it is its parts */
    STEPS(g, two_and_their_concat(g, x), OPS(0, 1, 1), 2 * SIZE, 2 * SIZE);
    g = begin(&x); /* one in another */
    x = two_and_their_concat(g, x);
    x = graph_op_n(g, BGD_OP_CONCAT, "abc", (uint32_t[]){x, conv1(g, "c", x)}, 2);
    STEPS(g, conv1(g, "d", x), OPS(0, 1, 1, 2, 2, 3), 2 * SIZE, 2 * SIZE, 3 * SIZE, 4 * SIZE);
}

/* ------------------------------------------------------------ networks */

struct total {
    double macs, fused; /* one picture */
};

/* Converts the dict, and frees it. */
static struct total total_of(struct state_dict *s, uint32_t width, uint32_t height)
{
    struct convert_options options = conversion_options(width, height);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    struct bgd_model *model = convert_and_open(&options);
    struct op_cost *costs = calloc(model->header->n_ops, sizeof *costs);
    struct bgd_err err = {0};
    struct total total = {0, 0};
    cr_assert_eq(cost_ops(model, costs, &err), 0, "%s", err.text);
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        total.macs += (double)costs[i].macs;
        total.fused += (double)costs[i].fused.values;
    }
    free(costs);
    bgd_model_close(model);
    return total;
}

/* The bounds are shares. */
static void check_total(const char *name, struct total counted, struct total golden, double macs_bound, double fused_bound)
{
    double macs = counted.macs / golden.macs - 1, fused = counted.fused / golden.fused - 1;
    cr_expect(fabs(macs) <= macs_bound, "%s: %.0f MACs, %+.2f %%", name, counted.macs, 100 * macs);
    cr_expect(fabs(fused) <= fused_bound, "%s: %.0f elements, %+.2f %%", name, counted.fused, 100 * fused);
}

TestSuite(cost_networks, .init = conversion_enter, .fini = conversion_leave);

/* Golden: roofline.py's tc + cc, and fu. Ours has the union attention's three maps as three convolutions, each of which reads, and
 * the edge module's filter as products with thin matrices, not as a Fourier transform. */
Test(cost_networks, te0_is_what_the_papers_table_says)
{
    const struct tracer_spec spec = {.arch = 0, .encoder = "model", .edges = true};
    check_total("TE0@320", total_of(tracer_dict(spec), 320, 320), (struct total){2842581393, 39809600}, 0.01, 0.02);
}

/* Golden: the same; it counts the edge module, which carvekit's network does not run. */
Test(cost_networks, te7_is_what_the_papers_table_says)
{
    const struct tracer_spec spec = {.arch = 7, .encoder = "encoder"};
    check_total("TE7@640", total_of(tracer_dict(spec), 640, 640), (struct total){50258653836, 753004800}, 0.01, 0.04);
}

/* Golden: the same for 2 labels at 60x80. It counts no bias, and writes the maps before the last mean. */
Test(cost_networks, resnet18_is_what_the_papers_table_says)
{
    check_total("ResNet-18", total_of(state_dict_resnet(18, 64, 3, 2), 60, 80), (struct total){189745152, 479554}, 0.001, 0.01);
}

/* Golden: the same with channels and hidden layers divided by 8, less what is folded away: at 60x80 the last maps have 2x1
 * pixels, which the mean to 7x7 only repeats, so that the first dense layer takes 64 * 2 values, not 64 * 49. */
Test(cost_networks, vgg16_is_what_the_papers_table_says)
{
    const double folded = 64 * 49 - 64 * 2;
    check_total("VGG16 / 8", total_of(sequential_dict("vgg16", 8, 3, 2), 60, 80),
                (struct total){24839680 - folded * 512, 230706 - folded}, 0.001, 0.01);
}

/*
 * By hand, channels and hidden layers divided by 8: maps of 19x15, pooled to 9x7, 9x7 pooled to 4x3, three of 4x3, the last pooled
 * to one pixel, which the mean to 6x6 repeats and which is so folded away. Of the first, second and fifth convolution only the
 * pool is written.
 */
Test(cost_networks, alexnet_is_as_reckoned_by_hand)
{
    const double macs = 19 * 15 * 8 * (3 * 121) + 9 * 7 * 24 * (8 * 25) + 12 * 48 * (24 * 9) + 12 * 32 * (48 * 9) +
                        12 * 32 * (32 * 9) + 32 * 512 + 512 * 512 + 512 * 2;
    const double fused = 3 * 80 * 64 + 2 * (8 * 63 + 24 * 12 + 48 * 12 + 32 * 12 + 32 + 512 + 512) + 2 + 2;
    check_total("AlexNet / 8", total_of(sequential_dict("alexnet", 8, 3, 2), 64, 80), (struct total){macs, fused}, 0, 0);
}
