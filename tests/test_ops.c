/*
 * Every op on every shape of tests/shapes: the reference against PyTorch's numbers (fixtures/ops.txt), and the other backends
 * against the reference.
 */
#include "ops_golden.h"

Test(ops, conv)
{
    FILE *table = open_fixture("shapes/conv.txt");
    uint32_t s[15];
    for (unsigned i = 0; next_shape(table, s, 15); i++) {
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
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = net_conv(graph, "y", x, s[3], window, s[14], 10);
        run_and_close("conv", i, graph, y, 1, 0, (struct ops_bounds){sum_bound(s[0] / s[14] * s[4] * s[5]), 2 * EPS, 0});
    }
    fclose(table);
}

Test(ops, dense)
{
    FILE *table = open_fixture("shapes/dense.txt");
    uint32_t s[4];
    for (unsigned i = 0; next_shape(table, s, 4); i++) {
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = net_dense(graph, "y", x, s[3], 10);
        run_and_close("dense", i, graph, y, 1, 0, (struct ops_bounds){sum_bound(s[0] * s[1] * s[2]), 2 * EPS, 0});
    }
    fclose(table);
}

Test(ops, max_pool)
{
    FILE *table = open_fixture("shapes/max_pool.txt");
    uint32_t s[11];
    for (unsigned i = 0; next_shape(table, s, 11); i++) {
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
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = graph_max_pool(graph, "y", x, window);
        run_and_close("max_pool", i, graph, y, 1, 0, (struct ops_bounds){0, 0, 0});
    }
    fclose(table);
}

/* Sums of n values up to 8, divided by n: as global_mean's. */
Test(ops, adaptive_mean)
{
    FILE *table = open_fixture("shapes/adaptive_mean.txt");
    uint32_t s[5];
    for (unsigned i = 0; next_shape(table, s, 5); i++) {
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = graph_adaptive_mean(graph, "y", x, s[3], s[4]);
        run_and_close("adaptive_mean", i, graph, y, 8, 0, (struct ops_bounds){16 * EPS, 2 * EPS, 0});
    }
    fclose(table);
}

/* A sum of up to 64 squares, of one sign, is off by sqrt(64) EPS at the most; so is what it is added to, and twice that its power
 * of at most 2; then powf and the division. */
Test(ops, lrn)
{
    FILE *table = open_fixture("shapes/lrn.txt");
    uint32_t s[7];
    for (unsigned i = 0; next_shape(table, s, 7); i++) {
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = graph_lrn(graph, "y", x, s[3], (float)s[4] / 10000, (float)s[5] / 1000, (float)s[6] / 1000);
        run_and_close("lrn", i, graph, y, 8, 0, (struct ops_bounds){0, 20 * EPS, 0});
    }
    fclose(table);
}

/* The least that there may be to divide by: k^beta of 2^-80. A picture of zeros stays one. */
Test(ops, lrn_of_nothing_is_nothing)
{
    struct graph *graph = net_graph();
    uint32_t x = graph_input(graph, "x", (struct shape){5, 2, 1});
    graph_output(graph, graph_lrn(graph, "y", x, 3, 0, 8, 0x1p-10f));
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    float values[10] = {0}, *inputs[] = {values}, *y;
    for (size_t b = 0; backends[b]; b++) {
        if (!net_has_device(backends[b]))
            continue;
        net_run(backends[b], net.model, 1, 1, inputs, &y);
        for (int i = 0; i < 10; i++)
            cr_expect_eq(y[i], 0.0f, "%s: element %d is %g", backends[b]->name, i, (double)y[i]);
        free(y);
    }
    net_close(&net);
}

static void check_pointwise(enum bgd_op code, double absolute, double relative)
{
    FILE *table = open_fixture("shapes/pointwise.txt");
    uint32_t s[3];
    for (unsigned i = 0; next_shape(table, s, 3); i++) {
        struct graph *graph = net_graph();
        const struct shape shape = {s[0], s[1], s[2]};
        uint32_t x = graph_input(graph, "x", shape), y = code == BGD_OP_ADD ? graph_input(graph, "z", shape) : 0;
        run_and_close(op_info(code)->name, i, graph, graph_op(graph, code, "y", x, y), 8, 0,
                      (struct ops_bounds){absolute, relative, 0});
    }
    fclose(table);
}

Test(ops, relu)
{
    check_pointwise(BGD_OP_RELU, 0, 0);
}

Test(ops, add)
{
    check_pointwise(BGD_OP_ADD, 0, 0);
}

/* oneDNN's exp is a polynomial of degree 5: a few units in the last place. */
Test(ops, sigmoid)
{
    check_pointwise(BGD_OP_SIGMOID, 0, 8 * EPS);
}

/* The same exp, and a sum of up to 1,000 terms of one sign: a relative error of sqrt(1000) EPS at the most. */
Test(ops, softmax)
{
    check_pointwise(BGD_OP_SOFTMAX, 0, 32 * EPS);
}

/* Sums of n terms up to 8, divided by n: sum_bound(n) / n x 8 at 1/3 of it; absolute, as terms cancel. */
Test(ops, global_mean)
{
    check_pointwise(BGD_OP_GLOBAL_MEAN, 16 * EPS, 2 * EPS);
}
