/* What the tests of the CUDA backend share: small networks, pictures for them, and a pipeline of two. On the emulated device. */
#ifndef BGD_TESTS_CUDA_NETS_H
#define BGD_TESTS_CUDA_NETS_H

#include "emulation.h"
#include "pipelines.h"

enum { WIDTH = 24, HEIGHT = 32, PIXELS = WIDTH * HEIGHT };

static inline uint32_t unary(struct graph *g, enum bgd_op code, const char *name, uint32_t x)
{
    return graph_op(g, code, name, x, 0);
}

static inline uint32_t conv3(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(3, 1, 1), 1, 7 * strlen(name) + (uint64_t)name[0]);
}

static inline uint32_t conv1(struct graph *g, const char *name, uint32_t x, uint32_t out)
{
    return net_conv(g, name, x, out, graph_window(1, 1, 0), 1, 7 * strlen(name) + (uint64_t)name[0]);
}

static inline uint32_t concat(struct graph *g, const char *name, uint32_t a, uint32_t b)
{
    return graph_op_n(g, BGD_OP_CONCAT, name, (uint32_t[]){a, b}, 2);
}

static inline uint32_t excite(struct graph *g, uint32_t x, uint32_t mean)
{
    uint32_t y = unary(g, BGD_OP_SILU, "squeezed_silu", conv1(g, "squeeze", mean, 3));
    y = unary(g, BGD_OP_SIGMOID, "gate", conv1(g, "excite", y, graph_shape(g, x).c));
    return graph_op(g, BGD_OP_MUL, "excited", x, y);
}

static inline uint32_t squeeze_excite(struct graph *g, uint32_t x)
{
    return excite(g, x, unary(g, BGD_OP_GLOBAL_MEAN, "mean", x));
}

static inline struct graph *begin(uint32_t channels, uint32_t *x)
{
    struct graph *g = net_graph();
    *x = graph_input(g, "input", (struct shape){channels, 6, 5});
    return g;
}

static inline uint32_t basic_block(struct graph *g, const char *names[4], uint32_t x, uint32_t out, uint32_t stride)
{
    uint32_t in = graph_shape(g, x).c, y = net_conv(g, names[0], x, out, graph_window(3, stride, 1), 1, out);
    uint32_t skip = in == out ? x : net_conv(g, names[1], x, out, graph_window(1, stride, 0), 1, out + 1);
    y = conv3(g, names[2], unary(g, BGD_OP_RELU, names[3], y), out);
    char sum[32], relu[32];
    snprintf(sum, sizeof sum, "%s.sum", names[0]);
    snprintf(relu, sizeof relu, "%s.relu", names[0]);
    return unary(g, BGD_OP_RELU, relu, graph_op(g, BGD_OP_ADD, sum, y, skip));
}

/* As a ResNet is built: outputs "logits" and "scores", and what it was fed. */
static inline struct net resnet_like(uint32_t channels)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){channels, HEIGHT, WIDTH}), input = x;
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 16, graph_window(7, 2, 3), 1, 3));
    x = graph_max_pool(g, "pool", x, graph_window(3, 2, 1));
    x = basic_block(g, (const char *[]){"a1", "", "a2", "a3"}, x, 16, 1);
    x = basic_block(g, (const char *[]){"b1", "b.down", "b2", "b3"}, x, 32, 2);
    uint32_t logits = net_dense(g, "logits", unary(g, BGD_OP_GLOBAL_MEAN, "mean", x), 6, 5);
    graph_output(g, logits);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "scores", logits));
    graph_output(g, input);
    const struct meta meta = net_classifier_meta(6, channels, WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

static inline struct device *open_device(enum bgd_precision precision)
{
    struct device *device;
    struct bgd_err err = {0};
    cr_assert_eq(backend_cuda.open(0, precision, &device, &err), 0, "%s", err.text);
    return device;
}

static inline struct exec *prepare(struct device *device, const struct net *net, uint32_t batch, struct exec *sibling)
{
    struct exec *exec;
    struct bgd_err err = {0};
    cr_assert_eq(backend_cuda.prepare(device, 0, net->model, batch, sibling, &exec, &err), 0, "%s", err.text);
    return exec;
}

static inline void must(int code, const struct bgd_err *err)
{
    cr_assert_eq(code, 0, "%s", err->text);
}

enum { BATCH = 8 };

static inline const struct bgd_image *small_pictures(uint32_t n, struct bgd_image *images, const struct bgd_image **pointers)
{
    static uint8_t noise[40 * 40 * 3];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(random_bits(3, i) >> 56);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t width = 7 + i * 5 % 31, height = 5 + i * 11 % 34;
        images[i] = (struct bgd_image){noise, width, height, width, height, BGD_PNG, 0, true};
        pointers[i] = &images[i];
    }
    return images;
}

struct engine_case {
    struct net segmenter, classifier;
    struct bgd_pipeline pipeline;
    struct bgd_image images[BATCH];
    const struct bgd_image *pictures[BATCH];
};

static inline struct engine_case *open_engine_case(void)
{
    struct engine_case *c = calloc(1, sizeof *c);
    struct bgd_err err = {0};
    c->segmenter = pipelines_segmenter(WIDTH, HEIGHT, 1);
    c->classifier = pipelines_classifier(3, 15, 20, 2);
    c->pipeline = (struct bgd_pipeline){.segmenter = c->segmenter.model,
                                        .classifier = c->classifier.model,
                                        .sight = PIPELINE_THUMBNAIL,
                                        .threshold = PIPELINE_SOFT};
    must(pipeline_join(&c->pipeline, &err), &err);
    small_pictures(BATCH, c->images, c->pictures);
    return c;
}

static inline void close_engine_case(struct engine_case *c)
{
    net_close(&c->segmenter);
    net_close(&c->classifier);
    free(c->pipeline.name);
    free(c);
}

#endif
