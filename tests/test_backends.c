/* Whole small graphs, where backends fuse ops, choose layouts and reuse memory: all are held against the reference. */
#include "nets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A dozen sums in a row, some of which cancel: 1e-5 of the largest value is 8 times what sum_bound of test_ops.c allows one of
 * them; an op left out or done twice is off by 0.1 of it. */
static void check_output(const struct backend *backend, const char *what, uint32_t output, size_t n, const float *y,
                         const float *ref)
{
    double largest = 1;
    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, fabs((double)ref[k]));
    for (size_t k = 0; k < n; k++)
        if (!(fabs((double)y[k] - (double)ref[k]) <= 1e-5 * largest)) {
            cr_expect(false, "%s on %s: output %u, element %zu is %.9g, the reference has %.9g", what, backend->name, output, k,
                      (double)y[k], (double)ref[k]);
            return;
        }
}

/* Held against the reference on every other backend. */
static void check_graph(struct graph *graph, const char *what)
{
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    const struct bgd_format_header *h = net.model->header;
    uint32_t n = 5; /* not a multiple of any tile */
    float *inputs[BGD_FORMAT_INPUTS_MAX], *ref[BGD_FORMAT_OUTPUTS_MAX], *y[BGD_FORMAT_OUTPUTS_MAX];
    for (uint32_t i = 0; i < h->n_inputs; i++)
        inputs[i] = net_input(net.model, i, n, i + 1);
    net_run(&backend_ref, net.model, n, n, inputs, ref);
    for (size_t b = 0; backends[b] != &backend_ref; b++) {
        if (!net_has_device(backends[b]))
            continue;
        net_run(backends[b], net.model, n, n, inputs, y);
        for (uint32_t i = 0; i < h->n_outputs; i++) {
            check_output(backends[b], what, i, n * net_output_size(net.model, i), y[i], ref[i]);
            free(y[i]);
        }
    }
    for (uint32_t i = 0; i < h->n_outputs; i++)
        free(ref[i]);
    for (uint32_t i = 0; i < h->n_inputs; i++)
        free(inputs[i]);
    net_close(&net);
}

static uint32_t same_conv(struct graph *graph, const char *name, uint32_t x, uint64_t seed)
{
    return net_conv(graph, name, x, graph_shape(graph, x).c, graph_window(3, 1, 1), 1, seed);
}

Test(backends, residual_read_by_the_convolution_itself)
{
    struct graph *g = net_graph();
    uint32_t x = same_conv(g, "x", graph_input(g, "input", (struct shape){16, 6, 5}), 1);
    graph_output(g, graph_op(g, BGD_OP_RELU, "relu", graph_op(g, BGD_OP_ADD, "sum", same_conv(g, "conv", x, 2), x), 0));
    check_graph(g, "conv(x) + x");
}

Test(backends, two_convolutions_that_add_each_other)
{
    for (int order = 0; order < 2; order++) {
        struct graph *g = net_graph();
        uint32_t x = graph_input(g, "input", (struct shape){16, 6, 5});
        uint32_t a = same_conv(g, "a", x, 1), b = same_conv(g, "b", x, 2);
        graph_output(g, order ? graph_op(g, BGD_OP_ADD, "sum", b, a) : graph_op(g, BGD_OP_ADD, "sum", a, b));
        check_graph(g, "conv + conv");
    }
}

Test(backends, residual_that_is_an_output_keeps_its_value)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){16, 6, 5});
    uint32_t a = same_conv(g, "a", x, 1), b = same_conv(g, "b", x, 2);
    graph_output(g, a);
    graph_output(g, graph_op(g, BGD_OP_ADD, "sum", b, a));
    check_graph(g, "output as residual");
}

Test(backends, residual_that_is_read_again_keeps_its_value)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){16, 6, 5});
    uint32_t a = same_conv(g, "a", x, 1), b = same_conv(g, "b", x, 2);
    uint32_t sum = graph_op(g, BGD_OP_ADD, "sum", b, a);
    graph_output(g, graph_op(g, BGD_OP_ADD, "twice", same_conv(g, "c", sum, 3), a));
    check_graph(g, "residual read twice");
}

Test(backends, relu_of_a_value_that_is_an_output)
{
    struct graph *g = net_graph();
    uint32_t a = same_conv(g, "a", graph_input(g, "input", (struct shape){16, 6, 5}), 1);
    graph_output(g, a);
    graph_output(g, graph_op(g, BGD_OP_RELU, "relu", a, 0));
    check_graph(g, "relu of an output");
}

Test(backends, value_added_to_itself)
{
    struct graph *g = net_graph();
    uint32_t a = same_conv(g, "a", graph_input(g, "input", (struct shape){16, 6, 5}), 1);
    graph_output(g, graph_op(g, BGD_OP_ADD, "sum", a, a));
    check_graph(g, "a + a");
}

Test(backends, input_as_output_and_an_output_twice)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 6, 5}), unread = graph_input(g, "unread", (struct shape){2, 1, 1});
    uint32_t a = same_conv(g, "a", x, 1);
    graph_output(g, x);
    graph_output(g, a);
    graph_output(g, a);
    graph_output(g, unread);
    graph_op(g, BGD_OP_RELU, "dead", a, 0);
    check_graph(g, "odd outputs");
}

/* Channels that fill no block, windows that repeat pixels, a dense layer of a picture: what an AlexNet has and a ResNet has not. */
Test(backends, alexnet_in_small)
{
    static const uint32_t channels[] = {1, 3, 8, 13, 96};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        struct graph *g = net_graph();
        uint32_t x = graph_input(g, "input", (struct shape){3, 13, 9});
        x = net_conv(g, "conv", x, channels[i], graph_window(3, 1, 1), 1, 1);
        x = graph_lrn(g, "lrn", graph_op(g, BGD_OP_RELU, "relu", x, 0), 5, 1, 0.75f, 2);
        x = graph_max_pool(g, "pool", x, graph_window(3, 2, 1));
        graph_output(g, graph_lrn(g, "even", x, 4, 2, 0.5f, 1));
        uint32_t mean = graph_adaptive_mean(g, "mean", x, 9, 2);
        graph_output(g, net_conv(g, "padded", mean, 5, graph_window(3, 1, 1), 1, 2));
        x = graph_op(g, BGD_OP_RELU, "relu1", net_dense(g, "dense1", mean, 40, 3), 0);
        graph_output(g, net_dense(g, "dense2", x, 6, 4));
        check_graph(g, "alexnet");
    }
}

static void check_small_pictures(void)
{
    for (uint32_t w = 1; w <= 9; w++) { /* around the width from which convolutions take the batch as a side */
        struct graph *g = net_graph();
        uint32_t x = same_conv(g, "first", graph_input(g, "input", (struct shape){19, 4, w}), 1);
        uint32_t a = graph_op(g, BGD_OP_RELU, "relu", same_conv(g, "a", x, 2), 0);
        uint32_t b = same_conv(g, "b", a, 3), sum = graph_op(g, BGD_OP_ADD, "sum", b, x);
        uint32_t d = net_conv(g, "depthwise", sum, 19, graph_window(3, 1, 1), 19, 4);
        uint32_t p = graph_max_pool(g, "pool", sum, graph_window(2, 1, 1));
        graph_output(g, graph_op(g, BGD_OP_SOFTMAX, "softmax", sum, 0));
        graph_output(g, graph_op(g, BGD_OP_SIGMOID, "sigmoid", sum, 0));
        graph_output(g, net_dense(g, "dense", d, 7, 5));
        uint32_t q = same_conv(g, "r", same_conv(g, "q", p, 6), 7); /* a residual that a pool left in a layout of its own */
        graph_output(g, graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", graph_op(g, BGD_OP_ADD, "last", q, p), 0));
        check_graph(g, "small pictures");
    }
}

Test(backends, small_pictures_in_every_order)
{
    check_small_pictures();
}

/* Older CPUs take other layouts, in which 19 channels are padded. oneDNN reads the variable at its first use. */
Test(backends, small_pictures_on_avx2)
{
    setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
    check_small_pictures();
}

Test(backends, small_pictures_on_sse41)
{
    setenv("DNNL_MAX_CPU_ISA", "SSE41", 1);
    check_small_pictures();
}

static uint32_t pick(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_bits(99, (*state)++) >> 33) % n;
}

/* Windows of every kind on small pictures: pads wider than the kernel, dilated, strided over the whole, depthwise. */
Test(backends, random_windows_match_the_reference)
{
    uint64_t state = 1u << 20;
    int judged = 0;
    for (int round = 0; round < 80; round++) {
        struct graph *g = net_graph();
        uint32_t groups = pick(&state, 3) ? 1 : 1 + pick(&state, 20), wild = pick(&state, 4) == 0;
        const struct shape shape = {groups * (1 + pick(&state, groups > 1 ? 3 : 40)), 1 + pick(&state, 20),
                                    1 + pick(&state, 20)};
        const struct bgd_window window = {.kernel_h = 1 + pick(&state, wild ? 12 : 5),
                                          .kernel_w = 1 + pick(&state, 5),
                                          .stride_h = 1 + pick(&state, 3),
                                          .stride_w = 1 + pick(&state, wild ? 9 : 3),
                                          .pad_top = pick(&state, wild ? 90 : 3),
                                          .pad_left = pick(&state, wild ? 40 : 3),
                                          .pad_bottom = pick(&state, wild ? 40 : 3),
                                          .pad_right = pick(&state, wild ? 90 : 3),
                                          .dilation_h = 1 + pick(&state, wild ? 6 : 2),
                                          .dilation_w = 1 + pick(&state, 2)};
        uint32_t x = graph_input(g, "input", shape);
        if (pick(&state, 2)) /* not from the graph's input, and so in a layout of oneDNN's choice */
            x = net_conv(g, "before", x, shape.c, graph_window(1, 1, 0), 1, 5);
        if (pick(&state, 4))
            x = net_conv(g, "conv", x, groups * (1 + pick(&state, groups > 1 ? 3 : 40)), window, groups, 7);
        else
            x = graph_max_pool(g, "pool", x, window);
        struct bgd_err err;
        if (graph_error(g, &err)) {
            graph_close(g);
            continue;
        }
        char what[200];
        snprintf(what, sizeof what,
                 "round %d: (%u, %u, %u) to %u in %u groups, kernel %ux%u/%ux%u, pads %u %u %u %u, dilation %ux%u", round,
                 shape.c, shape.h, shape.w, graph_shape(g, x).c, groups, window.kernel_h, window.kernel_w, window.stride_h,
                 window.stride_w, window.pad_top, window.pad_left, window.pad_bottom, window.pad_right, window.dilation_h,
                 window.dilation_w);
        graph_output(g, x);
        check_graph(g, what);
        judged++;
    }
    cr_expect_gt(judged, 40);
}

/* A random op of a random earlier value; names are numbers. */
static void add_random_op(struct graph *g, uint32_t n_values, uint64_t *state)
{
    char name[16];
    snprintf(name, sizeof name, "%u", n_values);
    uint32_t back = pick(state, 3), x = n_values - 1 - (back < n_values ? back : 0), y = x;
    struct shape s = graph_shape(g, x);
    uint32_t kind = pick(state, 16);
    for (uint32_t tries = 0; kind >= 9 && tries < 20 && y == x; tries++) { /* something of the same shape to add */
        uint32_t other = pick(state, n_values);
        struct shape t = graph_shape(g, other);
        if (s.c == t.c && s.h == t.h && s.w == t.w)
            y = other;
    }
    if (kind >= 9 && (y != x || kind == 15))
        graph_op(g, BGD_OP_ADD, name, pick(state, 2) ? x : y, pick(state, 2) ? y : x);
    else if (kind == 0)
        graph_max_pool(g, name, x, graph_window(3, 1 + pick(state, 2), 1));
    else if (kind <= 2)
        graph_op(g, BGD_OP_RELU, name, x, 0);
    else
        net_conv(g, name, x, pick(state, 6) ? s.c : 8 * (1 + pick(state, 4)),
                 pick(state, 8) ? graph_window(3, 1, 1) : graph_window(1, 1, 0), 1, 1000 + *state);
}

Test(backends, random_graphs_match_the_reference)
{
    uint64_t state = 0;
    for (int round = 0; round < 60; round++) {
        struct graph *g = net_graph();
        uint32_t n_values = 1, ops = 3 + pick(&state, 10);
        graph_input(g, "0", (struct shape){round % 2 ? 3 : 16, 12, round % 3 ? 12 : 5});
        for (uint32_t i = 0; i < ops; i++, n_values++) {
            struct shape s = graph_shape(g, n_values - 1);
            if (s.h < 3 || s.w < 3)
                break;
            add_random_op(g, n_values, &state);
            struct bgd_err err;
            if (graph_error(g, &err)) /* a window that does not fit: this round ends unjudged */
                break;
        }
        struct bgd_err err = {0};
        if (n_values < 2 || graph_error(g, &err)) {
            graph_close(g);
            continue;
        }
        graph_output(g, n_values - 1);
        for (uint32_t i = pick(&state, 3); i > 0; i--)
            graph_output(g, pick(&state, n_values));
        char what[32];
        snprintf(what, sizeof what, "random graph %d", round);
        check_graph(g, what);
    }
}

/* ------------------------------------------------------------ measuring */

/* Whatever backends fuse, leave in place, copy and reorder; one output is an input, and one op is read by nothing. */
static struct net measured_net(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 12, 10});
    x = graph_op(g, BGD_OP_SILU, "silu", net_conv(g, "stem", x, 16, graph_window(3, 1, 1), 1, 1), 0);
    uint32_t a = graph_op(g, BGD_OP_RELU, "relu", same_conv(g, "a", x, 2), 0);
    x = graph_op(g, BGD_OP_ADD, "sum", same_conv(g, "b", a, 3), x);
    uint32_t gate = net_conv(g, "squeeze", graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", x, 0), 3, graph_window(1, 1, 0), 1, 4);
    gate = net_conv(g, "excite", graph_op(g, BGD_OP_SILU, "silu2", gate, 0), 16, graph_window(1, 1, 0), 1, 5);
    x = graph_op(g, BGD_OP_MUL, "gated", x, graph_op(g, BGD_OP_SIGMOID, "gate", gate, 0));
    uint32_t lanes = net_conv(g, "lanes", x, 8, graph_window(1, 1, 0), 1, 6);
    uint32_t odd = net_conv(g, "odd", x, 3, graph_window(1, 1, 0), 1, 7);
    uint32_t whole = graph_op_n(g, BGD_OP_CONCAT, "whole", (const uint32_t[]){lanes, x}, 2);
    uint32_t copied = graph_op_n(g, BGD_OP_CONCAT, "copied", (const uint32_t[]){whole, odd}, 2);
    x = graph_upsample(g, "up", same_conv(g, "joined", copied, 8), 2, true);
    uint32_t logits = net_dense(g, "logits", graph_max_pool(g, "pool", x, graph_window(2, 2, 0)), 5, 9);
    graph_op(g, BGD_OP_RELU, "dead", logits, 0);
    graph_output(g, logits);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "scores", logits, 0));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

/* Steps are numbered from 0 without gaps, in the order of the ops that they begin with, and all of a step's ops have its time. */
static uint32_t check_times(const char *name, uint32_t n_ops, const struct backend_op_time *times)
{
    uint32_t n_steps = 0;
    for (uint32_t i = 0; i < n_ops; i++) {
        cr_expect_leq(times[i].step, n_steps, "%s: op %u is in step %u", name, i, times[i].step);
        n_steps += times[i].step == n_steps;
        cr_expect_gt(times[i].seconds, 0, "%s: op %u", name, i);
        for (uint32_t k = 0; k < i; k++)
            cr_expect(times[k].step != times[i].step || times[k].seconds == times[i].seconds);
    }
    return n_steps;
}

/* The bits of `run` are those of `profile`, from the same exec and before and after each other. */
static uint32_t check_profile(const struct backend *backend, const struct net *net, struct backend_op_time *times)
{
    enum { N = 5 };
    const struct bgd_format_header *h = net->model->header;
    float *input = net_input(net->model, 0, N, 1), *by[3][BGD_FORMAT_OUTPUTS_MAX];
    struct bgd_err err = {0};
    struct device *device;
    struct exec *exec;
    cr_assert_eq(backend->open(0, BGD_PRECISION_F32, &device, &err), 0);
    cr_assert_eq(backend->prepare(device, 0, net->model, N + 1, NULL, &exec, &err), 0, "%s", err.text);
    cr_assert_eq(backend->load(exec, 0, N, input, &err), 0);
    for (int pass = 0; pass < 3; pass++) {
        int code = pass == 1 ? backend->profile(exec, N, 3, times, &err) : backend->run(exec, N, &err);
        cr_assert_eq(code, 0, "%s: %s", backend->name, err.text);
        for (uint32_t i = 0; i < h->n_outputs; i++) {
            size_t bytes = N * net_output_size(net->model, i) * sizeof(float);
            by[pass][i] = malloc(bytes);
            cr_assert_eq(backend->fetch(exec, i, N, by[pass][i], &err), 0);
            cr_expect_eq(memcmp(by[0][i], by[pass][i], bytes), 0, "%s: output %u", backend->name, i);
        }
    }
    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < h->n_outputs; i++)
            free(by[pass][i]);
    backend->release(exec);
    backend->close(device);
    free(input);
    return check_times(backend->name, h->n_ops, times);
}

Test(backends, every_op_has_a_step_and_its_time)
{
    struct net net = measured_net();
    uint32_t n_ops = net.model->header->n_ops;
    struct backend_op_time *times = calloc(n_ops, sizeof *times);
    for (size_t b = 0; backends[b]; b++) {
        if (!net_has_device(backends[b]))
            continue;
        uint32_t n_steps = check_profile(backends[b], &net, times);
        cr_expect_eq(times[0].step, 0);
        if (backends[b] == &backend_ref)
            cr_expect_eq(n_steps, n_ops);
        else /* the stem takes its activation along */
            cr_expect(n_steps < n_ops && times[1].step == 0 && times[2].step == 1);
    }
    free(times);
    net_close(&net);
}

Test(backends, every_device_has_ceilings)
{
    for (size_t b = 0; backends[b]; b++) {
        struct device *device;
        struct backend_ceilings ceilings;
        struct bgd_err err = {0};
        if (backends[b]->open(0, BGD_PRECISION_AUTO, &device, &err))
            continue;
        cr_assert_eq(backends[b]->ceilings(device, &ceilings, &err), 0, "%s: %s", backends[b]->name, err.text);
        cr_expect(ceilings.copy > 1e6 && ceilings.copy < 1e15, "%s: %g bytes/s", backends[b]->name, ceilings.copy);
        cr_expect(ceilings.macs > 1e4 && ceilings.macs < 1e17, "%s: %g MAC/s", backends[b]->name, ceilings.macs);
        cr_expect_eq(ceilings.element_bytes, strcmp(backends[b]->name, "cuda") ? 4 : 2); /* f16 */
        backends[b]->close(device);
    }
}

/* ------------------------------------------------------------ what does not fit */

/* Too much memory is an error here as it is without AddressSanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void check_prepare_fails(const struct backend *backend, struct net net, uint32_t batch)
{
    struct device *device;
    struct exec *exec = (void *)1;
    struct bgd_err err = {0};
    cr_assert_eq(backend->open(0, BGD_PRECISION_F32, &device, &err), 0);
    cr_expect_eq(backend->prepare(device, 0, net.model, batch, NULL, &exec, &err), BGD_MEMORY, "%s: %s", backend->name,
                 err.text);
    cr_expect_null(exec);
    cr_expect_gt(strlen(err.text), 10);
    backend->close(device);
}

Test(backends, a_batch_that_cannot_be_is_an_error)
{
    struct graph *g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", (struct shape){64, 1024, 1024}), 0));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    for (size_t i = 0; backends[i]; i++)
        if (net_has_device(backends[i]))
            check_prepare_fails(backends[i], net, UINT32_MAX);
    net_close(&net);
}

Test(backends, a_value_beyond_32_bits_is_an_error_on_onednn)
{
    struct graph *g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", (struct shape){1, 32768, 32768}), 0));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    check_prepare_fails(&backend_onednn, net, 1);
    net_close(&net);
}

Test(backends, the_device_is_found_by_its_name)
{
    const struct backend *backend;
    struct device *device;
    struct bgd_err err = {0}, passed_over;
    const char *const names[][2] = {
        {NULL, BGDET_TEST_DEVICE}, {"auto", BGDET_TEST_DEVICE}, {"onednn", "onednn"}, {"ref", "ref"}};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(backend_open(names[i][0], 0, BGD_PRECISION_AUTO, &backend, &device, &passed_over, &err), 0, "%s",
                     err.text);
        cr_expect_str_eq(backend->name, names[i][1]);
        backend->close(device);
    }
    device = NULL;
    cr_expect_eq(backend_open("onednn ", 0, BGD_PRECISION_AUTO, &backend, &device, &passed_over, &err), BGD_ARGUMENT);
    cr_expect_null(device);
}

Test(backends, the_cpu_refuses_half_precision)
{
    static const char *const names[] = {"onednn", "ref"};
    for (int i = 0; i < 2; i++) {
        const struct backend *backend;
        struct device *device = (void *)1;
        struct bgd_err err = {0}, passed_over;
        cr_expect_eq(backend_open(names[i], 0, BGD_PRECISION_F16, &backend, &device, &passed_over, &err), BGD_ARGUMENT);
        cr_expect_null(device);
        cr_expect(strstr(err.text, "f32"), "%s", err.text);
    }
}
