/*
 * Every op on every shape of tests/shapes: the reference against PyTorch's numbers (fixtures/ops.txt), and the other backends
 * against the reference.
 */
#include "nets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PICTURES 3u
#define EPS 0x1p-24 /* half a unit in the last place of a float near 1 */

struct golden {
    double sum;
    float values[24];
    size_t n;
};

static FILE *open_fixture(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/%s", BGDET_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s is missing", path);
    return file;
}

static struct golden find_golden(const char *op, unsigned index)
{
    FILE *file = open_fixture("fixtures/ops.txt");
    char line[1024], prefix[64];
    struct golden golden = {0};
    int length = snprintf(prefix, sizeof prefix, "%s %u ", op, index);
    while (!golden.n && fgets(line, sizeof line, file)) {
        if (strncmp(line, prefix, (size_t)length) != 0)
            continue;
        char *at = line + length, *end;
        golden.sum = strtod(at, &end);
        for (at = end; golden.n < 24; at = end) {
            float value = strtof(at, &end);
            if (end == at)
                break;
            golden.values[golden.n++] = value;
        }
    }
    fclose(file);
    cr_assert(golden.n, "fixtures/ops.txt has no line %s %u", op, index);
    return golden;
}

/* The next line of numbers of a table, or false. */
static bool next_shape(FILE *table, uint32_t *numbers, size_t n)
{
    char line[256];
    do {
        if (!fgets(line, sizeof line, table))
            return false;
    } while (line[0] == '#');
    char *at = line;
    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint32_t)strtoul(at, &at, 10);
    return true;
}

/*
 * The reference sums in double and rounds once, as the golden numbers were: they agree to the last bit but where the double
 * sums themselves round to different sides, so 1.01 units in the last place (2 EPS) of the value.
 */
static void check_golden(const char *op, unsigned index, const float *y, size_t n)
{
    struct golden golden = find_golden(op, index);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)y[i]);
    cr_expect(fabs(sum - golden.sum) <= 1e-7 * golden.sum, "%s %u: sum %.9g, PyTorch has %.9g", op, index, sum, golden.sum);
    for (size_t k = 0; k < golden.n; k++) {
        float value = y[k * (n - 1) / (golden.n > 1 ? golden.n - 1 : 1)];
        cr_expect(fabsf(value - golden.values[k]) <= 2.02 * EPS * fabs((double)golden.values[k]),
                  "%s %u: sample %zu is %.9g, PyTorch has %.9g", op, index, k, (double)value, (double)golden.values[k]);
    }
}

/* |y - ref| <= absolute + relative * |ref|, everywhere. */
static void check_backends(const char *op, unsigned index, struct net net, float *const *inputs, double absolute,
                           double relative)
{
    float *ref, *y;
    size_t n = PICTURES * net_output_size(net.model, 0);
    net_run(&backend_ref, net.model, PICTURES, PICTURES, inputs, &ref);
    check_golden(op, index, ref, n);
    for (size_t b = 0; backends[b]; b++) {
        if (backends[b] == &backend_ref)
            continue;
        net_run(backends[b], net.model, PICTURES, PICTURES, inputs, &y);
        double worst = 0;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            double excess = fabs((double)y[i] - (double)ref[i]) - relative * fabs((double)ref[i]);
            if (!(excess <= worst)) { /* NAN, too */
                worst = excess;
                at = i;
            }
        }
        cr_expect(worst <= absolute, "%s %u on %s: element %zu of %zu is %.9g, the reference has %.9g", op, index,
                  backends[b]->name, at, n, (double)y[at], (double)ref[at]);
        free(y);
    }
    free(ref);
}

static void run_and_close(const char *op, unsigned index, struct graph *graph, uint32_t value, float scale, double absolute,
                          double relative)
{
    graph_output(graph, value);
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    float *inputs[2] = {0};
    for (uint32_t i = 0; i < net.model->header->n_inputs; i++) {
        inputs[i] = net_input(net.model, i, PICTURES, i + 1);
        for (size_t k = 0; k < PICTURES * (size_t)shape_size(model_shape(net.model, i)); k++)
            inputs[i][k] *= scale;
    }
    check_backends(op, index, net, inputs, absolute, relative);
    free(inputs[0]);
    free(inputs[1]);
    net_close(&net);
}

/*
 * A sum of `taps` products in float, scaled so that it is near 1: a partial sum of k terms is about sqrt(k / taps), each
 * addition is off by up to EPS of that, and the errors go either way: a random walk to about 0.3 sqrt(taps) EPS. The worst of
 * 100,000 outputs is 5 times that (1.6 was measured), the bound 13 times. One tap too many or too few is 1e-2 and more.
 */
static double sum_bound(uint32_t taps)
{
    return 4 * EPS * sqrt((double)taps);
}

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
        run_and_close("conv", i, graph, y, 1, sum_bound(s[0] / s[14] * s[4] * s[5]), 2 * EPS);
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
        run_and_close("dense", i, graph, y, 1, sum_bound(s[0] * s[1] * s[2]), 2 * EPS);
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
        run_and_close("max_pool", i, graph, y, 1, 0, 0);
    }
    fclose(table);
}

static void check_pointwise(enum bgd_op code, double absolute, double relative)
{
    FILE *table = open_fixture("shapes/pointwise.txt");
    uint32_t s[3];
    for (unsigned i = 0; next_shape(table, s, 3); i++) {
        struct graph *graph = net_graph();
        const struct shape shape = {s[0], s[1], s[2]};
        uint32_t x = graph_input(graph, "x", shape), y = code == BGD_OP_ADD ? graph_input(graph, "z", shape) : 0;
        run_and_close(op_info(code)->name, i, graph, graph_op(graph, code, "y", x, y), 8, absolute, relative);
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
