/* A small classifier with the six labels, made without any file: for tests of what stands around the network. */
#ifndef BGD_TESTS_NETWORK_H
#define BGD_TESTS_NETWORK_H

#include "convert/graph.h"
#include "model.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static inline void network_fill(float *values, size_t n, uint32_t *seed, float scale)
{
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes' generator */
        values[i] = ((float)(*seed >> 8) / 8388608.0f - 1) * scale;
    }
}

/* input (3, height, width) -> conv 8, 3x3/2 -> relu -> conv 16, 3x3/2 -> relu -> global mean -> dense 6 -> sigmoid.
 * The encoded file, to be freed. `seed` picks the weights. */
static inline uint8_t *network_encode(uint32_t width, uint32_t height, uint32_t seed, size_t *size)
{
    static float w1[8 * 3 * 9], w2[16 * 8 * 9], w3[6 * 16], bias[16];
    char *labels[] = {"defective", "text", "not_white", "extra_objects", "cropped", "duplicates"};
    float thresholds[] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
    const struct meta meta = {
        .arch = "tiny",
        .kind = META_CLASSIFIER,
        .head = "sigmoid",
        .labels = labels,
        .thresholds = thresholds,
        .n_labels = 6,
        .input = {width, height, 3, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, {1, 1, 1}},
    };
    network_fill(w1, 8 * 3 * 9, &seed, 0.4f);
    network_fill(w2, 16 * 8 * 9, &seed, 0.3f);
    network_fill(w3, 6 * 16, &seed, 2);
    network_fill(bias, 16, &seed, 0.2f);
    struct graph *graph;
    struct bgd_err err = {0};
    uint8_t *bytes;
    cr_assert_eq(graph_open(&graph, &err), 0);
    uint32_t x = graph_input(graph, "input", (struct shape){3, height, width});
    x = graph_conv(graph, "conv1", x, 8, graph_window(3, 2, 1), 1, w1, bias);
    x = graph_op(graph, BGD_OP_RELU, "relu1", x, 0);
    x = graph_conv(graph, "conv2", x, 16, graph_window(3, 2, 1), 1, w2, bias);
    x = graph_op(graph, BGD_OP_RELU, "relu2", x, 0);
    x = graph_op(graph, BGD_OP_GLOBAL_MEAN, "mean", x, 0);
    x = graph_dense(graph, "logits", x, 6, w3, bias);
    graph_output(graph, x);
    graph_output(graph, graph_op(graph, BGD_OP_SIGMOID, "scores", x, 0));
    cr_assert_eq(graph_encode(graph, &meta, BGD_F32, &bytes, size, &err), 0, "%s", err.text);
    graph_close(graph);
    return bytes;
}

#endif
