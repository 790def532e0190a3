/* Small networks for tests: from a graph to a model, and through a backend. */
#ifndef BGD_TESTS_NETS_H
#define BGD_TESTS_NETS_H

#include "backend.h"
#include "convert/graph.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct net {
    struct bgd_model *model;
    uint8_t *bytes;
    size_t size;
};

static char *net_labels[] = {"defective", "text", "not_white", "extra_objects", "cropped", "duplicates"};
static float net_thresholds[] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
static const struct meta net_plain_meta = {.arch = "test"};

/* Metadata of a classifier with the first n of our labels; nothing to free. */
static inline struct meta net_classifier_meta(uint32_t n, uint32_t channels, uint32_t width, uint32_t height)
{
    return (struct meta){.arch = "test",
                         .kind = META_CLASSIFIER,
                         .head = "sigmoid",
                         .labels = net_labels,
                         .thresholds = net_thresholds,
                         .n_labels = n,
                         .input = {.width = width,
                                   .height = height,
                                   .channels = channels,
                                   .fill = {1, 1, 1},
                                   .mean = {0.5f, 0.5f, 0.5f},
                                   .std = {0.25f, 0.25f, 0.25f}}};
}

static inline struct graph *net_graph(void)
{
    struct graph *graph;
    struct bgd_err err = {0};
    cr_assert_eq(graph_open(&graph, &err), 0, "%s", err.text);
    return graph;
}

static inline struct net net_parse(uint8_t *bytes, size_t size)
{
    struct net net = {.bytes = bytes, .size = size};
    struct bgd_err err = {0};
    cr_assert_eq(model_parse(bytes, size, &net.model, &err), 0, "%s", err.text);
    return net;
}

/* Encodes, parses and closes the graph. */
static inline struct net net_finish(struct graph *graph, const struct meta *meta, enum bgd_dtype dtype)
{
    uint8_t *bytes;
    size_t size;
    struct bgd_err err = {0};
    cr_assert_eq(graph_encode(graph, meta, dtype, &bytes, &size, &err), 0, "%s", err.text);
    graph_close(graph);
    return net_parse(bytes, size);
}

static inline void net_close(struct net *net)
{
    bgd_model_close(net->model);
    free(net->bytes);
}

/* A convolution with random weights of the size that keeps its outputs near 1. */
static inline uint32_t net_conv(struct graph *graph, const char *name, uint32_t x, uint32_t out, struct bgd_window window,
                                uint32_t groups, uint64_t seed)
{
    uint32_t taps = graph_shape(graph, x).c / groups * window.kernel_h * window.kernel_w;
    float *weight = malloc((size_t)out * taps * sizeof *weight), *bias = malloc(out * sizeof *bias);
    float scale = 1;
    while (scale * scale * (float)taps > 3) /* a power of two: exact */
        scale /= 2;
    random_fill(weight, (size_t)out * taps, seed, scale, 0);
    random_fill(bias, out, seed + 1, 1, 0);
    uint32_t value = graph_conv(graph, name, x, out, window, groups, weight, bias);
    free(weight);
    free(bias);
    return value;
}

static inline uint32_t net_dense(struct graph *graph, const char *name, uint32_t x, uint32_t out, uint64_t seed)
{
    size_t in = (size_t)shape_size(graph_shape(graph, x));
    float *weight = malloc(out * in * sizeof *weight), *bias = malloc(out * sizeof *bias);
    float scale = 1;
    while (scale * scale * (float)in > 3)
        scale /= 2;
    random_fill(weight, out * in, seed, scale, 0);
    random_fill(bias, out, seed + 1, 1, 0);
    uint32_t value = graph_dense(graph, name, x, out, weight, bias);
    free(weight);
    free(bias);
    return value;
}

/* n random pictures for a graph input, to be freed. */
static inline float *net_input(const struct bgd_model *model, uint32_t input, uint32_t n, uint64_t seed)
{
    size_t count = n * (size_t)shape_size(model_shape(model, input));
    float *values = malloc(count * sizeof *values);
    random_fill(values, count, seed, 1, 0);
    return values;
}

static inline size_t net_output_size(const struct bgd_model *model, uint32_t output)
{
    return (size_t)shape_size(model_shape(model, model->header->outputs[output]));
}

/* A backend of the build may lack its device here. */
static inline bool net_has_device(const struct backend *backend)
{
    struct bgd_err err = {0};
    struct device *device;
    int code = backend->open(0, BGD_PRECISION_F32, &device, &err);
    if (!code)
        backend->close(device);
    return code == 0;
}

/* Runs n pictures through a lane for `batch` of them; outputs[i] is output i, (n, c, h, w), to be freed. */
static inline void net_run(const struct backend *backend, const struct bgd_model *model, uint32_t batch, uint32_t n,
                           float *const *inputs, float **outputs)
{
    struct bgd_err err = {0};
    struct device *device;
    struct exec *exec;
    cr_assert_eq(backend->open(0, BGD_PRECISION_F32, &device, &err), 0, "%s", err.text);
    cr_assert_eq(backend->prepare(device, 0, model, batch, NULL, &exec, &err), 0, "%s: %s", backend->name, err.text);
    for (uint32_t i = 0; i < model->header->n_inputs; i++)
        cr_assert_eq(backend->load(exec, i, n, inputs[i], &err), 0);
    cr_assert_eq(backend->run(exec, n, &err), 0, "%s: %s", backend->name, err.text);
    for (uint32_t i = 0; i < model->header->n_outputs; i++) {
        outputs[i] = malloc(n * net_output_size(model, i) * sizeof *outputs[i]);
        cr_assert_eq(backend->fetch(exec, i, n, outputs[i], &err), 0);
    }
    backend->release(exec);
    backend->close(device);
}

#endif
