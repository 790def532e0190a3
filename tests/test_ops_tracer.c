/* TRACER's ops on every shape of tests/shapes, as test_ops.c does it for ResNet's. Bounds beyond PyTorch's are said at each. */
#include "ops_golden.h"

typedef uint32_t (*builder)(struct graph *graph, const uint32_t *numbers, uint32_t x, uint32_t y);

static void check_table(const char *table, const char *op, size_t numbers, builder build, struct shape (*second)(struct shape),
                        float scale, struct ops_bounds bounds)
{
    char name[64];
    snprintf(name, sizeof name, "shapes/%s.txt", table);
    FILE *file = open_fixture(name);
    uint32_t s[8];
    unsigned i = 0;
    for (; next_shape(file, s, numbers); i++) {
        struct graph *graph = net_graph();
        const struct shape shape = {s[0], s[1], s[2]};
        uint32_t x = graph_input(graph, "x", shape), y = second ? graph_input(graph, "z", second(shape)) : 0;
        run_and_close(op, i, graph, build(graph, s, x, y), scale, 0, bounds);
    }
    cr_expect_geq(i, 10u, "%s has %u shapes", name, i);
    fclose(file);
}

static struct shape same(struct shape s)
{
    return s;
}

static struct shape channel(struct shape s)
{
    return (struct shape){s.c, 1, 1};
}

static struct shape pixel(struct shape s)
{
    return (struct shape){1, s.h, s.w};
}

static uint32_t build_silu(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)s;
    return graph_op(g, BGD_OP_SILU, "y", x, y);
}

static uint32_t build_selu(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)s;
    return graph_op(g, BGD_OP_SELU, "y", x, y);
}

static uint32_t build_add(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)s;
    return graph_op(g, BGD_OP_ADD, "y", x, y);
}

static uint32_t build_mul(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)s;
    return graph_op(g, BGD_OP_MUL, "y", x, y);
}

static uint32_t build_denoise(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)s, (void)y;
    return graph_op_with(g, BGD_OP_DENOISE, "y", x, 0.93f);
}

static uint32_t build_upsample(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)y;
    return graph_upsample(g, "y", x, s[3], s[4]);
}

static uint32_t build_high_pass(struct graph *g, const uint32_t *s, uint32_t x, uint32_t y)
{
    (void)y;
    return graph_op_with(g, BGD_OP_HIGH_PASS, "y", x, (float)s[3]);
}

/* oneDNN's exp: a few units in the last place, of a factor of x. */
Test(ops_tracer, silu)
{
    check_table("pointwise", "silu", 3, build_silu, NULL, 8, (struct ops_bounds){0, 8 * EPS, 0});
}

/* exp(x) - 1 loses digits near 0: units of the last place of 1.76, absolute. The reference's expm1 does not. */
Test(ops_tracer, selu)
{
    check_table("pointwise", "selu", 3, build_selu, NULL, 8, (struct ops_bounds){4 * EPS, 8 * EPS, 0});
}

/* One operation on the same floats: the same bits. */
Test(ops_tracer, mul)
{
    check_table("pointwise", "mul", 3, build_mul, same, 8, (struct ops_bounds){0});
}

Test(ops_tracer, mul_by_a_value_per_channel)
{
    check_table("pointwise", "mul_channel", 3, build_mul, channel, 8, (struct ops_bounds){0});
}

Test(ops_tracer, mul_by_a_value_per_pixel)
{
    check_table("pointwise", "mul_pixel", 3, build_mul, pixel, 8, (struct ops_bounds){0});
}

Test(ops_tracer, add_a_value_per_channel)
{
    check_table("pointwise", "add_channel", 3, build_add, channel, 8, (struct ops_bounds){0});
}

Test(ops_tracer, add_a_value_per_pixel)
{
    check_table("pointwise", "add_pixel", 3, build_add, pixel, 8, (struct ops_bounds){0});
}

Test(ops_tracer, denoise)
{
    check_table("pointwise", "denoise", 3, build_denoise, NULL, 1, (struct ops_bounds){0});
}

/* Values on both sides of 1 - 0.93 and at it, 2^-26 apart, where 1 - x is rounded: the result is 1 or x, a wide gap. */
Test(ops_tracer, denoise_at_its_cut)
{
    struct graph *graph = net_graph();
    uint32_t x = graph_input(graph, "x", (struct shape){17, 1, 1});
    graph_output(graph, build_denoise(graph, NULL, x, 0));
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    float values[PICTURES * 17], *inputs[] = {values};
    for (int i = 0; i < (int)PICTURES * 17; i++)
        values[i] = 1 - 0.93f + (float)(i % 17 - 8) * 0x1p-26f;
    check_backends("denoise_cut", 0, net, inputs, (struct ops_bounds){0});
    net_close(&net);
}

/* Between the backends: four weights of two roundings each, four products and three sums of values up to 8. PyTorch's own
 * positions are floats, too, rounded once less where its compiler fuses: half a unit of a position of 8 to 16, 8 EPS, times
 * a slope of up to 16. */
Test(ops_tracer, upsample)
{
    check_table("upsample", "upsample", 5, build_upsample, NULL, 8, (struct ops_bounds){48 * EPS, 0, (48 + 128) * EPS});
}

/* A spectrum that is back where it began in double is right to 1e-15 of the largest value, of which a small result has fewer
 * digits. In float, the frequencies that are taken away are sums of h w values of 0.6, and again of the disc: the errors of the
 * first are divided by h w, those of the second are sqrt(800) roundings of values up to 1. */
Test(ops_tracer, high_pass)
{
    check_table("high_pass", "high_pass", 4, build_high_pass, NULL, 1, (struct ops_bounds){32 * EPS, 4 * EPS, 1e-14});
}

/* Rows of w values up to 2: the products' errors of up to 8 EPS sqrt(w) become relative ones of the weights, values are up
 * to 2. */
Test(ops_tracer, attention)
{
    FILE *table = open_fixture("shapes/attention.txt");
    uint32_t s[3];
    for (unsigned i = 0; next_shape(table, s, 3); i++) {
        struct graph *graph = net_graph();
        const struct shape shape = {s[0], s[1], s[2]};
        const uint32_t qkv[] = {graph_input(graph, "q", shape), graph_input(graph, "k", shape), graph_input(graph, "v", shape)};
        uint32_t y = graph_op_n(graph, BGD_OP_ATTENTION, "y", qkv, 3);
        run_and_close("attention", i, graph, y, 2, 0, (struct ops_bounds){32 * EPS * sqrt((double)s[2]), 0, 1e-14});
    }
    fclose(table);
}

/* The same floats as PyTorch's, and either 0 or the value itself. */
Test(ops_tracer, quantile_mask)
{
    FILE *table = open_fixture("shapes/quantile_mask.txt");
    uint32_t s[5];
    for (unsigned i = 0; next_shape(table, s, 5); i++) {
        struct graph *graph = net_graph();
        uint32_t x = graph_input(graph, "x", (struct shape){s[0], s[1], s[2]});
        uint32_t y = graph_op_with(graph, BGD_OP_QUANTILE_MASK, "y", x, (float)s[3] / 1000.0f);
        run_and_close("quantile_mask", i, graph, y, 1, s[4], (struct ops_bounds){0});
    }
    fclose(table);
}

/* n - 1 must be exact as a float, else the position of the last value could lie behind it. */
Test(ops_tracer, quantile_mask_takes_as_many_values_as_a_float_counts)
{
    static const struct {
        struct shape shape;
        bool fits;
    } cases[] = {{{1, 4096, 4096}, true}, {{1, 4097, 4096}, false}, {{65536, 65536, 65536}, false}};
    for (int i = 0; i < 3; i++) {
        struct graph *graph = net_graph();
        struct bgd_err err = {0};
        graph_op_with(graph, BGD_OP_QUANTILE_MASK, "y", graph_input(graph, "x", cases[i].shape), 1);
        cr_expect_eq(graph_error(graph, &err) == 0, cases[i].fits, "%s", err.text);
        cr_expect(cases[i].fits || strstr(err.text, "at most 16777216"), "%s", err.text);
        graph_close(graph);
    }
}

/* No value is compared as larger than NAN; on every backend, whatever is masked, nothing else happens. */
Test(ops_tracer, quantile_mask_survives_nan)
{
    struct graph *graph = net_graph();
    uint32_t x = graph_input(graph, "x", (struct shape){300, 1, 1});
    graph_output(graph, graph_op_with(graph, BGD_OP_QUANTILE_MASK, "y", x, 0.1f));
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    float *values = net_input(net.model, 0, 1, 1), *inputs[] = {values}, *results[2];
    for (int i = 0; i < 300; i += 7)
        values[i] = NAN;
    net_run(&backend_ref, net.model, 1, 1, inputs, &results[0]);
    net_run(&backend_onednn, net.model, 1, 1, inputs, &results[1]);
    cr_expect(memcmp(results[0], results[1], 300 * sizeof(float)) == 0);
    for (int i = 0; i < 300; i++)
        cr_expect(results[0][i] == 0 || results[0][i] == values[i]);
    uint32_t kept = 0;
    for (int i = 0; i < 300; i++)
        kept += results[0][i] != 0;
    cr_expect_eq(kept, 227u); /* of 257 numbers, those behind the 30 smallest: position 29.9 */
    free(results[0]);
    free(results[1]);
    free(values);
    net_close(&net);
}

Test(ops_tracer, concat)
{
    FILE *table = open_fixture("shapes/concat.txt");
    uint32_t s[7];
    for (unsigned i = 0; next_shape(table, s, 7); i++) {
        struct graph *graph = net_graph();
        uint32_t values[8];
        for (uint32_t k = 0; k < 8; k++) {
            char name[] = {(char)('a' + k), 0};
            values[k] = k < 4 ? graph_input(graph, name, (struct shape){s[3 + k], s[0], s[1]}) : values[k - 4];
        }
        run_and_close("concat", i, graph, graph_op_n(graph, BGD_OP_CONCAT, "y", values, s[2]), 1, 0, (struct ops_bounds){0});
    }
    fclose(table);
}

/* What a model file may say of these ops and a graph may not be built with. */
Test(ops_tracer, attributes_and_shapes_that_do_not_fit_are_refused)
{
    static const struct shape a = {6, 4, 5}, channels = {6, 1, 1}, pixels = {1, 4, 5}, other = {5, 4, 5}, rows = {1, 5, 5},
                              many = {64, 65, 2};
    const struct {
        struct bgd_format_op op;
        struct shape inputs[3];
        const char *text;
    } cases[] = {
        {{.code = BGD_OP_ADD, .n_inputs = 2}, {channels, a}, "add of (6, 1, 1) and (6, 4, 5)"},
        {{.code = BGD_OP_MUL, .n_inputs = 2}, {a, other}, "mul of (6, 4, 5) and (5, 4, 5)"},
        {{.code = BGD_OP_MUL, .n_inputs = 2}, {a, rows}, "(6, 1, 1) or (1, 4, 5)"},
        {{.code = BGD_OP_MUL, .n_inputs = 3}, {a, a, a}, "mul has 3 inputs"},
        {{.code = BGD_OP_MUL, .n_inputs = 2, .scale = 2}, {a, a}, "mul has scale 2"},
        {{.code = BGD_OP_CONCAT, .n_inputs = 1}, {a}, "concat has 1 inputs"},
        {{.code = BGD_OP_CONCAT, .n_inputs = 9}, {a}, "concat has 9 inputs"},
        {{.code = BGD_OP_CONCAT, .n_inputs = 3}, {a, pixels, rows}, "input 2 is"},
        {{.code = BGD_OP_UPSAMPLE, .n_inputs = 1}, {a}, "scale 0"},
        {{.code = BGD_OP_UPSAMPLE, .n_inputs = 1, .scale = 1}, {a}, "scale 1"},
        {{.code = BGD_OP_UPSAMPLE, .n_inputs = 1, .scale = 17}, {a}, "scale 17"},
        {{.code = BGD_OP_UPSAMPLE, .n_inputs = 1, .scale = 2, .align_corners = 2}, {a}, "align_corners 2"},
        {{.code = BGD_OP_ATTENTION, .n_inputs = 3}, {a, a, other}, "input 2 is (5, 4, 5)"},
        {{.code = BGD_OP_ATTENTION, .n_inputs = 3}, {a, rows, a}, "input 1 is (1, 5, 5)"},
        {{.code = BGD_OP_ATTENTION, .n_inputs = 3}, {many, many, many}, "4160 rows"},
        {{.code = BGD_OP_ATTENTION, .n_inputs = 2}, {a, a}, "attention has 2 inputs"},
        {{.code = BGD_OP_QUANTILE_MASK, .n_inputs = 1, .parameter = 1.1f}, {a}, "parameter 1.1"},
        {{.code = BGD_OP_QUANTILE_MASK, .n_inputs = 1, .parameter = NAN}, {a}, "the parameter"},
        {{.code = BGD_OP_DENOISE, .n_inputs = 1, .parameter = -0.5f}, {a}, "parameter -0.5"},
        {{.code = BGD_OP_HIGH_PASS, .n_inputs = 1, .parameter = 1025}, {a}, "parameter 1025"},
        {{.code = BGD_OP_HIGH_PASS, .n_inputs = 1, .parameter = INFINITY}, {a}, "the parameter"},
        {{.code = BGD_OP_SILU, .n_inputs = 1, .parameter = 1}, {a}, "silu has the parameter 1"},
        {{.code = BGD_OP_SELU, .n_inputs = 1, .groups = 1}, {a}, "selu has 1 groups"},
        {{.code = BGD_OP_SELU, .n_inputs = 1, .window = {.kernel_h = 1}}, {a}, "selu has a window"},
        {{.code = BGD_OP_SELU, .n_inputs = 1, .size = {1}}, {a}, "selu has size[0] 1, expected 0..0"},
        {{.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .size = {0, 6}}, {a}, "adaptive_mean has size[0] 0, expected 1..1024"},
        {{.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .size = {6, 0}}, {a}, "adaptive_mean has size[1] 0, expected 1..1024"},
        {{.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .size = {6, 1025}}, {a}, "size[1] 1025, expected 1..1024"},
        {{.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .size = {6, 6}, .k = 1}, {a}, "beta 0 and k 1, expected 0 and 0"},
        {{.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .size = {6, 6}, .parameter = 1}, {a}, "the parameter 1"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .k = 1}, {a}, "lrn has size[0] 0, expected 1..64"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {65}, .k = 1}, {a}, "lrn has size[0] 65, expected 1..64"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5, 5}, .k = 1}, {a}, "lrn has size[1] 5, expected 0..0"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1, .parameter = -1}, {a}, "lrn has the parameter -1"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1, .parameter = 1025}, {a}, "expected 0..1024"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1, .beta = -0.75f}, {a}, "lrn has beta -0.75 and k 1"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1, .beta = 8.5f}, {a}, "beta 8.5 and k 1, expected 0..8"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1, .beta = NAN}, {a}, "expected 0..8"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}}, {a}, "lrn has beta 0 and k 0, expected 0..8 and 2^-10..1024"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = 1025}, {a}, "beta 0 and k 1025"},
        {{.code = BGD_OP_LRN, .n_inputs = 1, .size = {5}, .k = NAN}, {a}, "and 2^-10..1024"},
        {{.code = BGD_OP_LRN + 1, .n_inputs = 1}, {a}, "op code 20"},
        {{.code = 0, .n_inputs = 1}, {a}, "op code 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shape inputs[16] = {cases[i].inputs[0], cases[i].inputs[1], cases[i].inputs[2]}, out;
        struct bgd_err err = {0};
        cr_expect_lt(op_shape(&cases[i].op, inputs, NULL, &out, &err), 0, "%s", cases[i].text);
        cr_expect(strstr(err.text, cases[i].text), "\"%s\", expected \"%s\"", err.text, cases[i].text);
    }
}
