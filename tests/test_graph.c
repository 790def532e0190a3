/* Building a graph: errors stick, and what is written is what the reader reads. */
#include "half.h"
#include "nets.h"
#include "scratch.h"

#include <math.h>
#include <string.h>

static const float zeros[4096];
static const struct shape shape = {4, 6, 5};

/* Encodes; the result, with the error's text in `err`. */
static int encode(struct graph *graph, const struct meta *meta, enum bgd_dtype dtype, struct bgd_err *err)
{
    uint8_t *bytes = (uint8_t *)1;
    size_t size = 1;
    int code = graph_encode(graph, meta, dtype, &bytes, &size, err);
    cr_expect(code == 0 ? bytes && size : !bytes && !size);
    if (code == 0)
        free(bytes);
    return code;
}

static void check_fails(struct graph *graph, const struct meta *meta, enum bgd_dtype dtype, enum bgd_code code,
                        const char *text)
{
    struct bgd_err err = {0};
    cr_expect_eq(encode(graph, meta, dtype, &err), code, "%s", err.text);
    cr_expect(strstr(err.text, text), "%s", err.text);
    graph_close(graph);
}

static void check_graph_fails(struct graph *graph, enum bgd_code code, const char *text)
{
    check_fails(graph, &net_plain_meta, BGD_F32, code, text);
}

Test(graph, what_is_built_is_what_is_read)
{
    struct graph *g = net_graph();
    float weight[2 * 4 * 3 * 2], bias[2];
    random_fill(weight, 48, 1, 1, 0);
    random_fill(bias, 2, 2, 1, 0);
    struct bgd_window window = {3, 2, 2, 1, 1, 0, 2, 1, 1, 2};
    uint32_t x = graph_input(g, "x", shape), y = graph_conv(g, "y", x, 2, window, 1, weight, bias);
    uint32_t z = graph_op(g, BGD_OP_RELU, "z", y, 0);
    graph_output(g, z);
    graph_output(g, y);
    cr_expect(graph_shape(g, y).c == 2 && graph_shape(g, y).h == 4 && graph_shape(g, y).w == 4);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    const struct bgd_model *m = net.model;
    cr_expect(m->header->n_values == 3 && m->header->n_tensors == 2 && m->header->n_ops == 2 && m->header->n_outputs == 2);
    cr_expect(m->header->outputs[0] == z && m->header->outputs[1] == y);
    cr_expect(model_output(m, "z") == (int)z && model_output(m, "y") == (int)y && model_output(m, "x") == -1);
    cr_expect_str_eq(m->values[y].name, "y");
    cr_expect_str_eq(m->tensors[0].name, "y.weight");
    cr_expect(memcmp(&m->ops[0].window, &window, sizeof window) == 0 && m->ops[0].groups == 1);
    float read[48];
    model_read_tensor(m, 0, read);
    cr_expect(memcmp(read, weight, sizeof weight) == 0);
    model_read_tensor(m, 1, read);
    cr_expect(memcmp(read, bias, sizeof bias) == 0);
    cr_expect_str_eq(m->meta.arch, "test");
    net_close(&net);
}

Test(graph, f16_rounds_each_weight)
{
    struct graph *g = net_graph();
    float weight[16], bias[4], read[16];
    random_fill(weight, 16, 1, 1, 0);
    random_fill(bias, 4, 2, 1, 0);
    graph_output(g, graph_conv(g, "y", graph_input(g, "x", shape), 4, graph_window(1, 1, 0), 1, weight, bias));
    struct net net = net_finish(g, &net_plain_meta, BGD_F16);
    model_read_tensor(net.model, 0, read);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(read[i], half_to_float(half_from_float(weight[i])));
    cr_expect_eq(net.model->tensors[0].bytes, 32);
    net_close(&net);
}

Test(graph, the_same_graph_gives_the_same_bytes)
{
    uint8_t *bytes[2];
    size_t size[2];
    struct bgd_err err;
    for (int i = 0; i < 2; i++) {
        struct graph *g = net_graph();
        graph_output(g, net_conv(g, "y", graph_input(g, "x", shape), 4, graph_window(3, 1, 1), 1, 5));
        cr_assert_eq(graph_encode(g, &net_plain_meta, BGD_F32, &bytes[i], &size[i], &err), 0);
        graph_close(g);
    }
    cr_expect(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
}

Test(graph, a_weight_that_the_file_cannot_hold_is_named)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 65520, -65520, 1e30f};
    for (int i = 0; i < 6; i++)
        for (int f16 = 0; f16 < 2; f16++) {
            struct graph *g = net_graph();
            float weight[16] = {0};
            weight[7] = bad[i];
            graph_output(g, graph_conv(g, "y", graph_input(g, "x", shape), 4, graph_window(1, 1, 0), 1, weight, zeros));
            if (i < 3 || f16) {
                check_fails(g, &net_plain_meta, f16 ? BGD_F16 : BGD_F32, BGD_ARGUMENT, "y.weight: element 7 is ");
            } else {
                struct bgd_err err;
                cr_expect_eq(encode(g, &net_plain_meta, BGD_F32, &err), 0);
                graph_close(g);
            }
        }
    struct graph *g = net_graph();
    float weight[16] = {65519.9f, -65519.9f, 0x1p-25f};
    graph_output(g, graph_conv(g, "y", graph_input(g, "x", shape), 4, graph_window(1, 1, 0), 1, weight, zeros));
    struct bgd_err err = {0};
    cr_expect_eq(encode(g, &net_plain_meta, BGD_F16, &err), 0, "%s", err.text);
    graph_close(g);
}

Test(graph, the_first_error_sticks)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "x", shape);
    cr_expect_eq(graph_conv(g, "first", x, 3, graph_window(3, 1, 1), 3, zeros, zeros), 0); /* 3 groups of 4 channels */
    cr_expect_eq(graph_conv(g, "second", x, 3, graph_window(9, 1, 0), 1, zeros, zeros), 0);
    cr_expect_eq(graph_dense(g, "third", x, 1, zeros, zeros), 0);
    cr_expect_eq(graph_op(g, BGD_OP_RELU, "fourth", x, 0), 0);
    graph_fail(g, BGD_DAMAGED, "fifth");
    struct bgd_err err = {0};
    cr_expect_eq(graph_error(g, &err), BGD_ARGUMENT);
    check_graph_fails(g, BGD_ARGUMENT, "op first: 3 groups do not divide 4 input channels");
}

Test(graph, an_error_of_the_converter_is_reported)
{
    struct graph *g = net_graph();
    graph_fail(g, BGD_UNSUPPORTED, "tensor %s is odd", "fc\n.weight");
    check_graph_fails(g, BGD_UNSUPPORTED, "tensor fc?.weight is odd");
}

Test(graph, what_the_op_table_forbids_is_named)
{
    struct graph *g = net_graph();
    graph_conv(g, "y", graph_input(g, "x", shape), 2, graph_window(7, 1, 0), 1, zeros, zeros);
    check_graph_fails(g, BGD_ARGUMENT, "op y: a window of 7x7 does not fit an input of 6x5");
    g = net_graph();
    graph_conv(g, "y", graph_input(g, "x", shape), 2, graph_window(3, 1, 1), 0, zeros, zeros);
    check_graph_fails(g, BGD_ARGUMENT, "op y: 2 outputs in 0 groups");
    g = net_graph();
    graph_conv(g, "y", graph_input(g, "x", shape), 2, graph_window(3, 0, 1), 1, zeros, zeros);
    check_graph_fails(g, BGD_ARGUMENT, "op y: stride 0x0");
    g = net_graph();
    graph_conv(g, "y", graph_input(g, "x", shape), 3, graph_window(3, 1, 1), 2, zeros, zeros);
    check_graph_fails(g, BGD_ARGUMENT, "op y: 2 groups do not divide 3 output channels");
    g = net_graph();
    graph_max_pool(g, "y", graph_input(g, "x", shape), graph_window(3, 1, 3));
    check_graph_fails(g, BGD_ARGUMENT, "op y: a pad is not smaller than the 3x3 kernel");
    g = net_graph();
    uint32_t x = graph_input(g, "x", shape), z = graph_input(g, "z", (struct shape){4, 5, 6});
    graph_op(g, BGD_OP_ADD, "y", x, z);
    check_graph_fails(g, BGD_ARGUMENT, "op y: add of (4, 6, 5) and (4, 5, 6)");
}

Test(graph, limits_are_errors)
{
    struct graph *g = net_graph();
    char name[100];
    uint32_t x = graph_input(g, "x", shape);
    for (uint32_t i = 1; i < BGD_FORMAT_VALUES_MAX + 1; i++) {
        snprintf(name, sizeof name, "%u", i);
        x = graph_op(g, BGD_OP_RELU, name, x, 0);
    }
    check_graph_fails(g, BGD_LIMIT, "more than 4096 values");

    g = net_graph();
    x = graph_input(g, "x", shape);
    for (int i = 0; i < 9; i++)
        graph_output(g, x);
    check_graph_fails(g, BGD_LIMIT, "more than 8 outputs");

    memset(name, 'n', sizeof name);
    name[64] = 0;
    g = net_graph();
    graph_input(g, name, shape);
    check_graph_fails(g, BGD_LIMIT, "longer than 63 bytes");
    name[60] = 0; /* with ".weight" it is too long */
    g = net_graph();
    graph_conv(g, name, graph_input(g, "x", shape), 2, graph_window(1, 1, 0), 1, zeros, zeros);
    check_graph_fails(g, BGD_LIMIT, "longer than 63 bytes");

    g = net_graph();
    graph_input(g, "x", (struct shape){3, 0, 60});
    check_graph_fails(g, BGD_LIMIT, "value x has the shape (3, 0, 60)");
    g = net_graph();
    graph_input(g, "x", (struct shape){3, 80, 65537});
    check_graph_fails(g, BGD_LIMIT, "value x has the shape (3, 80, 65537)");
}

Test(graph, what_the_reader_would_refuse_is_not_written)
{
    struct graph *g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "x", graph_input(g, "x", shape), 0));
    check_graph_fails(g, BGD_ARGUMENT, "two values are named \"x\"");
    g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "with space", graph_input(g, "x", shape), 0));
    check_graph_fails(g, BGD_ARGUMENT, "printable ASCII");
    g = net_graph();
    graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", shape), 0);
    check_graph_fails(g, BGD_ARGUMENT, "0 outputs");
    g = net_graph();
    graph_output(g, graph_input(g, "x", shape));
    check_graph_fails(g, BGD_ARGUMENT, "0 ops");
    g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", (struct shape){65536, 65536, 1}), 0));
    check_graph_fails(g, BGD_ARGUMENT, "2^30 elements");

    struct meta meta = net_classifier_meta(4, 4, 5, 6);
    meta.input.mean[1] = NAN;
    g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", shape), 0));
    check_fails(g, &meta, BGD_F32, BGD_ARGUMENT, "metadata");
}

Test(graph, write_makes_a_file_that_opens)
{
    char *folder = scratch_enter();
    struct graph *g = net_graph();
    struct bgd_err err = {0};
    struct bgd_model *model;
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", shape), 0));
    cr_expect_eq(graph_write(g, &net_plain_meta, BGD_F32, "no/folder/a.bgd", &err), BGD_WRITE);
    cr_expect_eq(graph_write(g, &net_plain_meta, BGD_F32, "a.bgd", &err), 0, "%s", err.text);
    graph_close(g);
    cr_expect_eq(bgd_model_open("a.bgd", &model, &err), 0, "%s", err.text);
    bgd_model_close(model);
    scratch_leave(folder);
}
