/* Resizing and normalising against Pillow and numpy (fixtures/feed.py). */
#include "bytes.h"
#include "feed.h"
#include "picture_files.h"

#include <math.h>

/* The same picture as feed.py's draw(). */
static struct bgd_image draw(uint32_t width, uint32_t height)
{
    struct bgd_image image = {.rgb = malloc((size_t)width * height * 3), .width = width, .height = height};
    uint8_t *out = image.rgb;
    for (uint64_t y = 0; y < height; y++)
        for (uint64_t x = 0; x < width; x++)
            for (uint64_t c = 0; c < 3; c++)
                *out++ = (uint8_t)((((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) >> 7 & 127) + 128 * x / width);
    return image;
}

struct golden {
    uint32_t width, height, by, out_width, out_height, kind;
    const uint8_t *values;
};

static bool next_golden(struct bytes *file, struct golden *g)
{
    if (!bytes_u32le(file, &g->width) || !bytes_u32le(file, &g->height) || !bytes_u32le(file, &g->by) ||
        !bytes_u32le(file, &g->out_width) || !bytes_u32le(file, &g->out_height) || !bytes_u32le(file, &g->kind))
        return false;
    uint64_t values = (uint64_t)3 * g->out_width * g->out_height;
    return bytes_take(file, g->kind ? 4 * values : values, &g->values);
}

static struct bgd_image picture_of(const struct golden *g)
{
    struct bgd_image image = draw((g->width + g->by - 1) / g->by, (g->height + g->by - 1) / g->by);
    image.full_width = g->width;
    image.full_height = g->height;
    image.format = g->by > 1 ? BGD_JPEG : BGD_PNG;
    return image;
}

static float *feed(const struct bgd_image *image, const struct feed_spec *spec, struct feed_scratch *scratch)
{
    struct bgd_err err;
    float *chw = malloc((size_t)3 * spec->width * spec->height * sizeof *chw);
    cr_assert_eq(feed_image(image, spec, scratch, chw, &err), 0);
    return chw;
}

/* The bound is Pillow's two roundings to 8 bits, 0.5 each, and floats. */
static double from_pillow(const struct golden *g, const float *chw)
{
    double worst = 0;
    size_t plane = (size_t)g->out_width * g->out_height;
    for (size_t i = 0; i < 3 * plane; i++)
        worst = fmax(worst, fabs(255 * (double)chw[i % 3 * plane + i / 3] - g->values[i]));
    return worst;
}

static double from_numpy(const struct golden *g, const float *chw)
{
    double worst = 0;
    for (size_t i = 0; i < (size_t)3 * g->out_width * g->out_height; i++) {
        float value;
        memcpy(&value, g->values + 4 * i, 4);
        worst = fmax(worst, fabs((double)chw[i] - (double)value));
    }
    return worst;
}

static void check_goldens(uint32_t kind, double bound, const struct feed_spec *settings)
{
    struct file file = file_load(BGDET_SOURCE_DIR "/tests/fixtures/feed.bin");
    struct bytes bytes = bytes_of(file.data, file.size);
    struct golden g;
    uint32_t n = 0;
    while (next_golden(&bytes, &g)) {
        if (g.kind != kind)
            continue;
        struct bgd_image image = picture_of(&g);
        struct feed_spec spec = *settings;
        spec.width = g.out_width;
        spec.height = g.out_height;
        struct feed_scratch scratch = {0};
        float *chw = feed(&image, &spec, &scratch);
        double worst = kind ? from_numpy(&g, chw) : from_pillow(&g, chw);
        cr_expect_leq(worst, bound, "%ux%u by %u to %ux%u: %g", g.width, g.height, g.by, g.out_width, g.out_height, worst);
        n++;
        feed_scratch_free(&scratch);
        free(chw);
        bgd_image_free(&image);
    }
    cr_expect_eq(bytes_left(&bytes), 0);
    cr_expect_geq(n, 6);
    free(file.data);
}

static const struct feed_spec plain = {0, 0, {0, 0, 0}, {1, 1, 1}};
static const struct feed_spec imagenet = {0, 0, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

Test(feed, resizes_as_pillow_does)
{
    check_goldens(0, 1.001, &plain);
}

/* Floats: weights, sums and the normalised value, which is at most 2.7, are each right to about 1e-7 of 1. */
Test(feed, normalises_as_numpy_does)
{
    check_goldens(1, 2e-6, &imagenet);
}

Test(feed, gives_the_same_with_used_scratch)
{
    struct file file = file_load(BGDET_SOURCE_DIR "/tests/fixtures/feed.bin");
    struct feed_scratch used = {0};
    for (int round = 0; round < 2; round++) {
        struct bytes bytes = bytes_of(file.data, file.size);
        struct golden g;
        while (next_golden(&bytes, &g)) {
            struct bgd_image image = picture_of(&g);
            struct feed_spec spec = round ? imagenet : plain;
            struct feed_scratch fresh = {0};
            spec.width = g.out_width;
            spec.height = g.out_height;
            float *a = feed(&image, &spec, &fresh), *b = feed(&image, &spec, &used), *c = feed(&image, &spec, &used);
            size_t size = (size_t)3 * g.out_width * g.out_height * sizeof *a;
            cr_expect(memcmp(a, b, size) == 0 && memcmp(a, c, size) == 0, "%ux%u", g.width, g.height);
            free(a);
            free(b);
            free(c);
            feed_scratch_free(&fresh);
            bgd_image_free(&image);
        }
    }
    feed_scratch_free(&used);
    feed_scratch_free(&used);
    free(file.data);
}

Test(feed, knows_how_far_a_reduced_jpeg_reaches)
{
    static const struct {
        uint32_t width, height, full_width, full_height;
        enum bgd_format format;
        double extent_x, extent_y;
    } cases[] = {
        {113, 150, 900, 1200, BGD_JPEG, 112.5, 150},
        {900, 1200, 900, 1200, BGD_JPEG, 900, 1200},
        {225, 300, 899, 1197, BGD_JPEG, 224.75, 299.25},
        {113, 150, 900, 1200, BGD_WEBP, 113, 150}, /* all its pixels are 7.96 columns wide */
        {113, 150, 0, 0, BGD_FORMAT_NONE, 113, 150},
        {113, 150, 0, 0, BGD_JPEG, 113, 150},
        {1, 1, 1, 1, BGD_JPEG, 1, 1},
        {1, 5, 1, 33, BGD_JPEG, 0.125, 4.125},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bgd_image image = {.width = cases[i].width,
                                  .height = cases[i].height,
                                  .full_width = cases[i].full_width,
                                  .full_height = cases[i].full_height,
                                  .format = cases[i].format};
        double x, y;
        feed_extent(&image, &x, &y);
        cr_expect(x == cases[i].extent_x && y == cases[i].extent_y, "case %zu: %g x %g", i, x, y);
    }
}

Test(feed, keeps_a_plain_picture_plain)
{
    for (uint32_t width = 1; width <= 200; width += 13)
        for (uint32_t out = 1; out <= 90; out += 8) {
            struct bgd_image image = {.rgb = malloc((size_t)width * 9 * 3), .width = width, .height = 9};
            memset(image.rgb, 200, (size_t)width * 9 * 3);
            struct feed_scratch scratch = {0};
            struct feed_spec spec = plain;
            spec.width = out;
            spec.height = 11;
            float *chw = feed(&image, &spec, &scratch);
            for (size_t i = 0; i < (size_t)33 * out; i++)
                cr_assert_float_eq(chw[i], 200.f / 255, 2e-6, "%u to %u: %g", width, out, (double)chw[i]);
            free(chw);
            feed_scratch_free(&scratch);
            bgd_image_free(&image);
        }
}
