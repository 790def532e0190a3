/* The feed of cards, and whole networks. */
#include "err.h"
#include "feed.h"
#include "gpu_check.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the feed */

/* A segmenter that shows what was fed: a sum of the three channels, whose weights' sizes sum to 1. */
static void check_feed(struct checker *c, uint32_t width, uint32_t height)
{
    static const float weight[] = {0.5f, 0.25f, -0.25f}, bias[] = {0};
    const struct meta meta = {
        .arch = "check",
        .kind = META_SEGMENTER,
        .input = {width, height, 3, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}, .fill = {1, 1, 1}}};
    const struct bgd_image *images[COUNT(c->cards)];
    for (size_t i = 0; i < COUNT(images); i++)
        images[i] = &c->cards[i];
    struct subject s = {.name = "feed", .n = COUNT(images), .images = images};
    struct graph *g = check_open_graph();
    uint32_t x = graph_input(g, "x", (struct shape){3, height, width});
    snprintf(s.shapes, sizeof s.shapes, "3 %u %u", height, width);
    graph_output(g, graph_conv(g, "mask", x, 1, graph_window(1, 1, 0), 1, weight, bias));
    check_graph(c, &s, g, &meta, 1, 128);
}

void check_feeds(struct checker *c)
{
    check_feed(c, 60, 80);
    check_feed(c, 96, 128);
}

/* ---------------------------------------------------------------- networks */

/*
 * Of a whole network in f32, what its tests allow. The roundings of n ops, of values and weights, are about independent and
 * come to sqrt(n) of one; four times that for cards near which a network is steep (seen in three
 * ResNet-18: 0.2 with one set of eight cards, 1.5 with another, where half a rounding of the input alone does half of that). A mask has
 * edges, where its worst value says little: what matters is its mean, 2e-3 in f16; bf16 has 8 times the rounding, and f8 differs from f16
 * in two convolutions (by 6e-4 on the emulated device).
 */
static struct errors network_bound(const struct subject *s, const struct target *target)
{
    if (target->precision == BGD_PRECISION_F32)
        return (struct errors){1e-4, INFINITY};
    if (target->precision == BGD_PRECISION_F8)
        return (struct errors){INFINITY, 4e-3};
    if (s->model->meta.kind == META_SEGMENTER)
        return (struct errors){INFINITY, 2e-3 * target->rounding / 0x1p-11};
    return (struct errors){4 * target->rounding * sqrt(s->model->header->n_ops), INFINITY};
}

/* P(object) of a card with its object in the middle. */
static void draw_mask(float *values, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            float u = 2 * ((float)x + 0.5f) / (float)width - 1, v = 2 * ((float)y + 0.5f) / (float)height - 1;
            values[y * width + x] = fminf(fmaxf(2 - 2.5f * (u * u + v * v), 0), 1);
        }
}

/* The cards as the network's training saw them. Its own input, not the backend's feed: then an error is the network's. */
static float *feed_cards(const struct checker *c, const struct bgd_model *model)
{
    float mask_values[12 * 16];
    const struct feed_mask mask = {mask_values, 12, 16, -1};
    draw_mask(mask_values, mask.width, mask.height);
    size_t size = (size_t)shape_size(model_shape(model, 0));
    float *input = check_allocate(COUNT(c->cards) * size * sizeof *input);
    struct feed_scratch scratch = {0};
    struct bgd_err err = {0};
    for (size_t i = 0; i < COUNT(c->cards); i++)
        if (feed_image(&c->cards[i], model->meta.input.channels == 4 ? &mask : NULL, &model->meta.input, &scratch,
                       input + i * size, &err))
            check_stop(&err);
    feed_scratch_free(&scratch);
    return input;
}

static void check_network(struct checker *c, const char *path)
{
    struct subject s = {.n = COUNT(c->cards)};
    struct bgd_err err = {0};
    if (bgd_model_open(path, &s.model, &err))
        check_stop(&err);
    struct shape shape = model_shape(s.model, 0);
    s.narrow = s.model->meta.kind == META_SEGMENTER; /* cuda_narrow.h */
    snprintf(s.name, sizeof s.name, "%s", strrchr(path, '/') + 1);
    snprintf(s.shapes, sizeof s.shapes, "%u %u %u", shape.c, shape.h, shape.w);
    s.inputs[0] = feed_cards(c, s.model);
    check_subject(c, &s, network_bound);
    free(s.inputs[0]);
    bgd_model_close(s.model);
}

void check_networks(struct checker *c)
{
    char pattern[CHECK_PATH];
    glob_t found;
    struct bgd_err err;
    snprintf(pattern, sizeof pattern, "%s/weights/*.bgd", c->folder);
    if (glob(pattern, 0, NULL, &found)) {
        err_set(&err, BGD_MISSING, "%s: no such file", pattern);
        check_stop(&err);
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_network(c, found.gl_pathv[i]);
    globfree(&found);
}
