/* Small segmenters and classifiers as files, and the pipeline files that join them. */
#ifndef BGD_TESTS_PIPELINES_H
#define BGD_TESTS_PIPELINES_H

#include "nets.h"
#include "pipeline.h"
#include "scratch.h"

static inline struct meta pipelines_segmenter_meta(const char *arch, uint32_t width, uint32_t height)
{
    static char name[64];
    snprintf(name, sizeof name, "%s", arch);
    return (struct meta){
        .arch = name,
        .kind = META_SEGMENTER,
        .input = {.width = width, .height = height, .channels = 3, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.25f, 0.25f, 0.25f}}};
}

/* Random weights whose masks have all values of 0..1 and depend on a pixel's neighbourhood. */
static inline struct net pipelines_segmenter(uint32_t width, uint32_t height, uint64_t seed)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, height, width});
    x = graph_op(g, BGD_OP_RELU, "relu", net_conv(g, "conv1", x, 8, graph_window(3, 1, 1), 1, seed), 0);
    x = net_conv(g, "conv2", x, 1, graph_window(5, 1, 2), 1, seed + 2);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "mask", x, 0));
    const struct meta meta = pipelines_segmenter_meta("tiny-segmenter", width, height);
    return net_finish(g, &meta, BGD_F32);
}

/* What is not white is object: the segmenter of fixtures/segmenter.bgd, for people's eyes. */
static inline struct net pipelines_dark_segmenter(void)
{
    static const float weight[] = {-3, -3, -3}, bias[] = {14};
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 64, 48});
    x = graph_conv(g, "conv", x, 1, graph_window(1, 1, 0), 1, weight, bias);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "mask", x, 0));
    const struct meta meta = pipelines_segmenter_meta("not-white", 48, 64);
    return net_finish(g, &meta, BGD_F32);
}

/* Outputs 0, 1, 2: "logits", "scores", "activation". */
static inline struct net pipelines_classifier(uint32_t channels, uint32_t width, uint32_t height, uint64_t seed)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){channels, height, width});
    x = graph_op(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 8, graph_window(3, 2, 1), 1, seed), 0);
    uint32_t activation = net_conv(g, "activation", x, 6, graph_window(1, 1, 0), 1, seed + 2);
    uint32_t logits = graph_op(g, BGD_OP_GLOBAL_MEAN, "logits", activation, 0);
    graph_output(g, logits);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "scores", logits, 0));
    graph_output(g, activation);
    struct meta meta = net_classifier_meta(6, channels, width, height);
    meta.input.fill[1] = 0.25f; /* no grey: channels that change places are seen */
    return net_finish(g, &meta, BGD_F32);
}

static inline void pipelines_write(const char *path, struct net net)
{
    scratch_write(path, net.bytes, net.size);
    net_close(&net);
}

#endif
