/* Pictures of every size, on their way to the CUDA backend. */
#include "cuda_nets.h"

#include <math.h>

/* Decoded pixels; the photo's own size where a JPEG was reduced. */
struct size {
    uint32_t width, height, full_width, full_height;
};

#define NOISE (5000u * 4000u * 3u)

/* A picture's pixels start anywhere in the noise. */
static void set_picture(struct bgd_image *image, const struct size *size, uint8_t *noise, uint32_t i)
{
    size_t bytes = (size_t)size->width * size->height * 3, room = NOISE - bytes;
    *image = (struct bgd_image){.rgb = noise + (room < 1000 * i + 1 ? room : 1000 * i + 1),
                                .width = size->width,
                                .height = size->height,
                                .full_width = size->full_width ? size->full_width : size->width,
                                .full_height = size->full_height ? size->full_height : size->height,
                                .format = size->full_width ? BGD_JPEG : BGD_PNG,
                                .borrowed = true};
}

static void fill_noise(uint8_t *noise)
{
    for (uint32_t i = 0; i < NOISE / 4; i++) {
        uint32_t four = (uint32_t)random_bits(7, i);
        memcpy(noise + (size_t)4 * i, &four, 4);
    }
}

/* The largest difference of what the classifier was fed from what feed_image says; `masks` or NULL. */
static float fed_difference(const struct net *net, uint32_t n, const struct bgd_image *const *pictures, const float *masks,
                            float threshold, const float *fed)
{
    const struct feed_spec *spec = &net->model->meta.input;
    size_t size = (size_t)spec->channels * spec->height * spec->width;
    struct feed_scratch scratch = {0};
    struct bgd_err err = {0};
    float *chw = malloc(size * sizeof *chw), worst = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct feed_mask mask = {masks + (masks ? i * PIXELS : 0), WIDTH, HEIGHT, threshold};
        must(feed_image(pictures[i], masks ? &mask : NULL, spec, &scratch, chw, &err), &err);
        for (size_t k = 0; k < size; k++)
            worst = fmaxf(worst, fabsf(fed[i * size + k] - chw[k]));
    }
    feed_scratch_free(&scratch);
    free(chw);
    return worst;
}

/* Calls of the runtime. */
static unsigned long calls_to_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *pictures)
{
    struct bgd_err err = {0};
    unsigned long before = emulation_calls();
    must(backend_cuda.feed(exec, n, pictures, NULL, &err), &err);
    return emulation_calls() - before;
}

Test(cuda_feed, a_batch_takes_no_more_calls_to_feed_than_a_picture)
{
    struct net net = resnet_like(3);
    struct device *device = open_device(BGD_PRECISION_F16);
    struct exec *exec = prepare(device, &net, BATCH, NULL);
    struct bgd_image images[BATCH];
    const struct bgd_image *pictures[BATCH];
    uint8_t *lent = backend_cuda.memory(device, 40 * 40 * 3);
    small_pictures(BATCH, images, pictures);
    memcpy(lent, images[0].rgb, 40 * 40 * 3);
    for (uint32_t i = 0; i < BATCH; i += 2)
        images[i].rgb = lent; /* the others by the staging buffer */
    cr_expect_eq(calls_to_feed(exec, BATCH, pictures), calls_to_feed(exec, 1, pictures));
    backend_cuda.release(exec);
    backend_cuda.close(device);
    net_close(&net);
}

static void check_feed(uint32_t channels, bool masked, float threshold, uint32_t n, const struct size *sizes)
{
    struct net segmenter = pipelines_segmenter(WIDTH, HEIGHT, 1), classifier = resnet_like(channels);
    struct device *device = open_device(BGD_PRECISION_F32);
    struct exec *segments = prepare(device, &segmenter, n, NULL), *classifies = prepare(device, &classifier, n, NULL);
    uint8_t *noise[2] = {malloc(NOISE), backend_cuda.memory(device, NOISE)};
    struct bgd_image images[16];
    const struct bgd_image *pictures[16];
    struct bgd_err err = {0};
    const struct backend_mask mask = {segments, threshold};
    float *masks = malloc(n * PIXELS * sizeof *masks), *fed = malloc(n * net_output_size(classifier.model, 2) * sizeof *fed);
    cr_assert(noise[0] && noise[1] && n <= 16);
    fill_noise(noise[0]);
    memcpy(noise[1], noise[0], NOISE);
    for (uint32_t i = 0; i < n; i++) {
        set_picture(&images[i], &sizes[i], noise[i % 2], i);
        pictures[i] = &images[i];
    }
    must(backend_cuda.feed(segments, n, pictures, NULL, &err) || backend_cuda.run(segments, n, &err) ||
             backend_cuda.fetch(segments, 0, n, masks, &err),
         &err);
    must(backend_cuda.feed(classifies, n, pictures, masked ? &mask : NULL, &err) || backend_cuda.run(classifies, n, &err) ||
             backend_cuda.fetch(classifies, 2, n, fed, &err),
         &err);
    float worst = fed_difference(&classifier, n, pictures, masked ? masks : NULL, threshold, fed);
    cr_expect_leq(worst, 2e-5f, "%u channels, %s: %g from feed_image's", channels, masked ? "masks" : "no masks",
                  (double)worst);
    backend_cuda.release(classifies);
    backend_cuda.release(segments);
    backend_cuda.close(device);
    net_close(&segmenter);
    net_close(&classifier);
    free(noise[0]);
    free(masks);
    free(fed);
}

Test(cuda_feed, pictures_of_many_sizes_are_fed_as_on_the_cpu)
{
    static const struct size sizes[] = {{.width = 1, .height = 1},
                                        {.width = 16384, .height = 3},
                                        {.width = 3, .height = 16384},
                                        {.width = 3000, .height = 2000},
                                        {113, 150, 900, 1195},
                                        {113, 150, 897, 1200},
                                        {450, 598, 900, 1195},
                                        {.width = 5, .height = 4},
                                        {.width = 24, .height = 32},
                                        {.width = 2, .height = 700},
                                        {2, 3, 9, 17}};
    const uint32_t n = sizeof sizes / sizeof sizes[0];
    check_feed(3, false, 0, n, sizes);
    check_feed(3, true, PIPELINE_SOFT, n, sizes);
    check_feed(4, true, PIPELINE_SOFT, n, sizes);
    check_feed(4, true, 0.4f, n, sizes);
}

/* The buffers have 64 MB and, for every other picture, 50: one of 60 goes in pieces, or nothing else fits beside it. */
Test(cuda_feed, pictures_larger_than_the_buffer_go_in_pieces)
{
    static const struct size sizes[] = {{.width = 5000, .height = 4000}, {.width = 5000, .height = 4000},
                                        {.width = 7, .height = 9},       {.width = 3000, .height = 2000},
                                        {.width = 3000, .height = 2000}, {.width = 4000, .height = 5000},
                                        {1250, 1000, 9998, 7994},        {.width = 16384, .height = 1200}};
    check_feed(3, false, 0, sizeof sizes / sizeof sizes[0], sizes);
    check_feed(4, true, PIPELINE_SOFT, sizeof sizes / sizeof sizes[0], sizes);
}
