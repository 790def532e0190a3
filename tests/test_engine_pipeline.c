/* The engine with a segmenter: stage by stage against the same steps by hand, and independent of everything else. */
#include "bgdet.h"
#include "evidence.h"
#include "pipelines.h"

#include <math.h>
#include <pthread.h>

enum { SEG_W = 24, SEG_H = 32, CLS_W = 15, CLS_H = 20, PICTURES = 12, MASK = SEG_W * SEG_H };

struct setup {
    struct net segmenter, classifier;
    struct bgd_pipeline pipeline;
    struct bgd_image images[PICTURES];
    const struct bgd_image *pointers[PICTURES];
};

/* Noise over a bright and a dark half; some are reduced JPEGs, whose last column and row are narrower. */
static struct bgd_image make_image(uint32_t i)
{
    struct bgd_image image = {.width = 9 + i * 17 % 70, .height = 12 + i * 23 % 80, .format = i % 3 == 1 ? BGD_JPEG : BGD_PNG};
    image.full_width = i % 3 == 1 ? image.width * 4 - 2 : image.width;
    image.full_height = i % 3 == 1 ? image.height * 4 - 1 : image.height;
    size_t n = (size_t)image.width * image.height * 3;
    image.rgb = malloc(n);
    for (size_t k = 0; k < n; k++)
        image.rgb[k] = (uint8_t)((random_bits(i, k / 3 / 5) >> 57) + (k / 3 % image.width * 2 > image.width ? 128 : 0));
    return image;
}

static struct setup *setup_open(uint32_t channels, enum pipeline_sight sight, float threshold)
{
    struct setup *s = calloc(1, sizeof *s);
    s->segmenter = pipelines_segmenter(SEG_W, SEG_H, 11);
    s->classifier = pipelines_classifier(channels, CLS_W, CLS_H, 24);
    s->pipeline = (struct bgd_pipeline){
        .segmenter = s->segmenter.model, .classifier = s->classifier.model, .sight = sight, .threshold = threshold};
    struct bgd_err err = {0};
    cr_assert_eq(pipeline_join(&s->pipeline, &err), 0, "%s", err.text);
    for (uint32_t i = 0; i < PICTURES; i++) {
        s->images[i] = make_image(i);
        s->pointers[i] = &s->images[i];
    }
    return s;
}

static void setup_close(struct setup *s)
{
    for (uint32_t i = 0; i < PICTURES; i++)
        free(s->images[i].rgb);
    net_close(&s->segmenter);
    net_close(&s->classifier);
    free(s->pipeline.name);
    free(s);
}

static struct bgd_engine *open_engine(const struct setup *s, const char *device, uint32_t batch, uint32_t lanes)
{
    const struct bgd_engine_options options = {
        .device = device, .precision = BGD_PRECISION_F32, .batch = batch, .lanes = lanes, .evidence = true};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    cr_assert_eq(bgd_engine_open(&s->pipeline, &options, &engine, &err), 0, "%s", err.text);
    return engine;
}

/* All pictures in calls of `batch`, their masks (PICTURES, SEG_H, SEG_W) too. */
static void score_all(struct bgd_engine *engine, uint32_t lane, const struct setup *s, uint32_t batch,
                      struct bgd_result *results, float *masks)
{
    struct bgd_err err = {0};
    for (uint32_t i = 0, n; i < PICTURES; i += n) {
        n = PICTURES - i < batch ? PICTURES - i : batch;
        cr_assert_eq(bgd_engine_score(engine, lane, s->pointers + i, n, results + i, &err), 0, "%s", err.text);
        cr_assert_eq(bgd_engine_masks(engine, lane, n, masks + (size_t)i * MASK, &err), 0, "%s", err.text);
    }
}

static bool equal(const struct bgd_result *a, const struct bgd_result *b)
{
    return a->verdict == b->verdict && memcmp(&a->score, &b->score, sizeof a->score) == 0 &&
           memcmp(a->reasons, b->reasons, sizeof a->reasons) == 0 && a->n_regions == b->n_regions &&
           memcmp(a->regions, b->regions, a->n_regions * sizeof *a->regions) == 0;
}

/* ---------------------------------------------------------------- stage by stage */

/* One picture through one network, its values loaded as they are. */
static void run_alone(const struct backend *backend, const struct bgd_model *model, const float *values, uint32_t output,
                      float *out)
{
    struct device *device;
    struct exec *exec;
    struct bgd_err err = {0};
    cr_assert(backend->open(0, BGD_PRECISION_F32, &device, &err) == 0 &&
                  backend->prepare(device, 0, model, 1, NULL, &exec, &err) == 0,
              "%s", err.text);
    cr_assert(backend->load(exec, 0, 1, values, &err) == 0 && backend->run(exec, 1, &err) == 0 &&
                  backend->fetch(exec, output, 1, out, &err) == 0,
              "%s", err.text);
    backend->release(exec);
    backend->close(device);
}

static void mask_by_hand(const struct backend *backend, const struct setup *s, const struct bgd_image *image, float *mask)
{
    static float chw[3 * MASK];
    struct feed_scratch scratch = {0};
    struct bgd_image thumbnail = {0};
    struct bgd_err err;
    if (s->pipeline.sight == PIPELINE_THUMBNAIL) {
        cr_assert_eq(feed_shrink(image, CLS_W, CLS_H, &scratch, &thumbnail, &err), 0);
        image = &thumbnail;
    }
    cr_assert_eq(feed_image(image, NULL, &s->segmenter.model->meta.input, &scratch, chw, &err), 0);
    run_alone(backend, s->segmenter.model, chw, 0, mask);
    bgd_image_free(&thumbnail);
    feed_scratch_free(&scratch);
}

/* From the picture itself, not from the thumbnail, which is for the segmenter's eyes. `output`: 1 is the scores, 2 activation. */
static void classify_by_hand(const struct backend *backend, const struct setup *s, const struct bgd_image *image,
                             const float *mask, uint32_t output, float *values)
{
    static float chw[4 * CLS_W * CLS_H];
    const struct feed_mask cut = {mask, SEG_W, SEG_H, s->pipeline.threshold};
    struct feed_scratch scratch = {0};
    struct bgd_err err;
    cr_assert_eq(feed_image(image, &cut, &s->classifier.model->meta.input, &scratch, chw, &err), 0);
    run_alone(backend, s->classifier.model, chw, output, values);
    feed_scratch_free(&scratch);
}

enum { ROWS = CLS_H / 2, COLUMNS = (CLS_W + 1) / 2 }; /* of activation */

/* Puts the regions of each reason that holds into `result`, or those of the strongest. */
static void regions_by_hand(const struct backend *backend, const struct setup *s, const struct bgd_image *image,
                            const float *mask, struct bgd_result *result)
{
    float activation[6][ROWS * COLUMNS];
    struct feed_scratch feed = {0};
    struct evidence_scratch scratch = {0};
    struct bgd_image picture = {0};
    struct bgd_err err;
    classify_by_hand(backend, s, image, mask, 2, activation[0]);
    cr_assert_eq(feed_shrink(image, SEG_W, SEG_H, &feed, &picture, &err), 0);
    struct evidence_card card = {
        .rgb = picture.rgb, .mask = mask, .width = SEG_W, .height = SEG_H, .columns = COLUMNS, .rows = ROWS};
    int strongest = 0, n = 0;
    for (int i = 0; i < BGD_REASONS; i++) {
        card.activation[i] = activation[i + 1]; /* label 0 is "defective" */
        card.wanted[i] = result->reasons[i] >= 0.5f;
        n += card.wanted[i];
        strongest = result->reasons[i] > result->reasons[strongest] ? i : strongest;
    }
    card.wanted[strongest] = n == 0 || card.wanted[strongest];
    cr_assert_eq(evidence_find(&card, &scratch, result, &err), 0);
    evidence_scratch_free(&scratch);
    bgd_image_free(&picture);
    feed_scratch_free(&feed);
}

/* The first stage that differs; NULL if none does. */
static const char *first_difference(const struct backend *backend, const struct setup *s, uint32_t i,
                                    const struct bgd_result *result, const float *mask)
{
    static float own_mask[MASK];
    float scores[6];
    mask_by_hand(backend, s, &s->images[i], own_mask);
    for (size_t k = 0; k < MASK; k++)
        if (!(mask[k] >= 0 && mask[k] <= 1))
            return "the segmenter: its mask leaves 0..1";
    if (memcmp(mask, own_mask, sizeof own_mask) != 0)
        return "the segmenter, or what it is fed";
    classify_by_hand(backend, s, &s->images[i], own_mask, 1, scores);
    if (memcmp(&result->score, &scores[0], sizeof scores[0]) != 0)
        return "the classifier, or the cut-out that it is fed";
    if (memcmp(result->reasons, scores + 1, 5 * sizeof scores[0]) != 0 ||
        result->verdict != (scores[0] >= 0.5f ? BGD_DEFECTIVE : BGD_CLEAN))
        return "the verdict";
    struct bgd_result own = *result;
    if (result->verdict == BGD_CLEAN)
        return result->n_regions == 0 ? NULL : "the evidence: a clean card has none";
    regions_by_hand(backend, s, &s->images[i], own_mask, &own);
    return equal(&own, result) && own.n_regions > 0 ? NULL : "the evidence";
}

static void check_stages(const struct backend *backend, uint32_t channels, enum pipeline_sight sight, float threshold)
{
    struct setup *s = setup_open(channels, sight, threshold);
    struct bgd_engine *engine = open_engine(s, backend->name, 5, 1);
    struct bgd_result results[PICTURES];
    float *masks = malloc(PICTURES * MASK * sizeof *masks);
    score_all(engine, 0, s, 5, results, masks);
    for (uint32_t i = 0; i < PICTURES; i++) {
        const char *stage = first_difference(backend, s, i, &results[i], masks + (size_t)i * MASK);
        cr_expect_null(stage, "%s, %u channels, sight %d, threshold %g, picture %u: first differs: %s", backend->name, channels,
                       sight, (double)threshold, i, stage);
    }
    bgd_engine_close(engine);
    free(masks);
    setup_close(s);
}

static void check_all_stages(const struct backend *backend)
{
    static const float thresholds[] = {PIPELINE_SOFT, 0.4f};
    for (uint32_t channels = 3; channels <= 4; channels++)
        for (int k = 0; k < 4; k++)
            check_stages(backend, channels, k & 1 ? PIPELINE_THUMBNAIL : PIPELINE_PHOTO, thresholds[k >> 1]);
}

Test(engine_pipeline, is_the_same_as_its_stages_by_hand_on_onednn)
{
    check_all_stages(&backend_onednn);
}

Test(engine_pipeline, is_the_same_as_its_stages_by_hand_on_ref)
{
    check_all_stages(&backend_ref);
}

Test(engine_pipeline, evidence_is_looked_for_only_where_asked_and_changes_nothing_else)
{
    struct setup *s = setup_open(3, PIPELINE_PHOTO, PIPELINE_SOFT);
    struct bgd_result with[PICTURES], without[PICTURES];
    float *masks = malloc(PICTURES * MASK * sizeof *masks);
    struct bgd_engine *engine = open_engine(s, BGDET_TEST_DEVICE, 4, 1);
    score_all(engine, 0, s, 4, with, masks);
    s->classifier.model->meta.thresholds[0] = with[0].score; /* some are clean, some are not */
    score_all(engine, 0, s, 4, with, masks);
    bgd_engine_close(engine);
    const struct bgd_engine_options options = {.device = BGDET_TEST_DEVICE, .precision = BGD_PRECISION_F32, .batch = 4};
    struct bgd_err err = {0};
    cr_assert_eq(bgd_engine_open(&s->pipeline, &options, &engine, &err), 0, "%s", err.text);
    score_all(engine, 0, s, 4, without, masks);
    bgd_engine_close(engine);
    uint32_t clean = 0;
    for (uint32_t i = 0; i < PICTURES; i++) {
        cr_expect_eq(without[i].n_regions, 0);
        cr_expect_eq(with[i].n_regions > 0, with[i].verdict != BGD_CLEAN);
        clean += with[i].verdict == BGD_CLEAN;
        with[i].n_regions = 0;
        cr_expect(equal(&with[i], &without[i]), "picture %u", i);
    }
    cr_expect(clean > 0 && clean < PICTURES, "%u cards are clean: the tests would see nothing", clean);
    free(masks);
    setup_close(s);
}

Test(engine_pipeline, a_classifier_alone_has_evidence_too)
{
    struct setup *s = setup_open(3, PIPELINE_PHOTO, PIPELINE_SOFT);
    s->pipeline.segmenter = NULL;
    struct bgd_engine *engine = open_engine(s, BGDET_TEST_DEVICE, PICTURES, 1);
    struct bgd_result results[PICTURES];
    struct bgd_err err = {0};
    cr_assert_eq(bgd_engine_score(engine, 0, s->pointers, PICTURES, results, &err), 0, "%s", err.text);
    uint32_t n = 0;
    for (uint32_t i = 0; i < PICTURES; i++) {
        cr_expect_eq(results[i].n_regions > 0, results[i].verdict != BGD_CLEAN, "picture %u", i);
        n += results[i].n_regions;
    }
    cr_expect_gt(n, 0);
    bgd_engine_close(engine);
    setup_close(s);
}

/* Each setting must matter for these pictures, or the tests above would see nothing. */
Test(engine_pipeline, depends_on_every_setting)
{
    struct bgd_result results[5][PICTURES];
    float *masks = malloc(PICTURES * MASK * sizeof *masks);
    for (int k = 0; k < 5; k++) {
        struct setup *s = setup_open(k == 4 ? 4 : 3, k & 1 ? PIPELINE_THUMBNAIL : PIPELINE_PHOTO, k & 2 ? 0.4f : PIPELINE_SOFT);
        struct bgd_engine *engine = open_engine(s, "ref", 4, 1);
        score_all(engine, 0, s, 4, results[k], masks);
        bgd_engine_close(engine);
        setup_close(s);
    }
    for (int k = 0; k < 5; k++)
        for (int other = 0; other < k; other++)
            for (uint32_t i = 0; i < PICTURES; i++)
                cr_expect(fabsf(results[k][i].score - results[other][i].score) > 1e-6f, "settings %d and %d, picture %u: %g", k,
                          other, i, (double)results[k][i].score);
    free(masks);
}

Test(engine_pipeline, backends_agree)
{
    for (int k = 0; k < 4; k++) {
        struct setup *s = setup_open(3 + (k & 1), k & 1 ? PIPELINE_THUMBNAIL : PIPELINE_PHOTO, k & 2 ? 0.4f : PIPELINE_SOFT);
        struct bgd_result ref[PICTURES], onednn[PICTURES];
        float *masks[2] = {malloc(PICTURES * MASK * sizeof(float)), malloc(PICTURES * MASK * sizeof(float))};
        struct bgd_engine *engine = open_engine(s, "ref", 4, 1);
        score_all(engine, 0, s, 4, ref, masks[0]);
        bgd_engine_close(engine);
        engine = open_engine(s, BGDET_TEST_DEVICE, 4, 1);
        score_all(engine, 0, s, 4, onednn, masks[1]);
        bgd_engine_close(engine);
        float worst = 0;
        for (size_t i = 0; i < (size_t)PICTURES * MASK; i++)
            worst = fmaxf(worst, fabsf(masks[0][i] - masks[1][i]));
        cr_expect_leq(worst, 1e-5f, "masks %g apart", (double)worst);
        for (uint32_t i = 0; i < PICTURES; i++)
            cr_expect_float_eq(ref[i].score, onednn[i].score, 1e-5f, "settings %d, picture %u", k, i);
        free(masks[0]);
        free(masks[1]);
        setup_close(s);
    }
}

/* ---------------------------------------------------------------- independence */

struct worker {
    const struct setup *s;
    struct bgd_engine *engine;
    uint32_t lane;
    const struct bgd_result *expected;
    const float *masks;
    uint32_t wrong;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    static _Thread_local float masks[5 * MASK];
    struct bgd_result results[5];
    struct bgd_err err;
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t first = (round * 3 + w->lane * 2) % (PICTURES - 5), n = 5 - round % 3;
        w->wrong += bgd_engine_score(w->engine, w->lane, w->s->pointers + first, n, results, &err) ? 1000 : 0;
        w->wrong += bgd_engine_masks(w->engine, w->lane, n, masks, &err) ? 1000 : 0;
        for (uint32_t i = 0; i < n; i++)
            w->wrong += !equal(&results[i], &w->expected[first + i]);
        w->wrong += memcmp(masks, w->masks + (size_t)first * MASK, n * MASK * sizeof *masks) != 0;
    }
    return NULL;
}

static void check_lanes(const struct setup *s, const char *device, const struct bgd_result *alone, const float *masks)
{
    struct bgd_engine *engine = open_engine(s, device, 5, 3);
    struct worker workers[3];
    pthread_t threads[3];
    for (uint32_t i = 0; i < 3; i++) {
        workers[i] = (struct worker){s, engine, i, alone, masks, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(workers[i].wrong, 0, "%s: lane %u: %u differ", device, i, workers[i].wrong);
    }
    struct bgd_engine_seconds seconds = bgd_engine_seconds(engine);
    cr_expect(seconds.segment > 0 && seconds.classify > 0 && seconds.evidence > 0);
    cr_expect(seconds.segment + seconds.classify + seconds.evidence < 600);
    bgd_engine_close(engine);
}

/* Every batch, three orders, three lanes at once. */
static void check_independence(const char *device, enum pipeline_sight sight, float threshold)
{
    static const uint32_t batches[] = {12, 3, 7, 0};
    struct setup *s = setup_open(3, sight, threshold);
    struct bgd_result alone[PICTURES], results[PICTURES];
    float *alone_masks = malloc(PICTURES * MASK * sizeof(float)), *masks = malloc(PICTURES * MASK * sizeof(float));
    struct bgd_engine *engine = open_engine(s, device, 1, 1);
    score_all(engine, 0, s, 1, alone, alone_masks);
    bgd_engine_close(engine);
    for (size_t b = 0; b < 4; b++) {
        engine = open_engine(s, device, batches[b], 1);
        uint32_t most = bgd_engine_batch(engine);
        cr_expect(batches[b] ? most == batches[b] : most > 0);
        for (uint32_t step = 1; step <= 7; step += 2) { /* 3 is no order of 12 */
            if (step == 3)
                continue;
            struct setup shuffled = *s;
            for (uint32_t i = 0; i < PICTURES; i++)
                shuffled.pointers[i] = &s->images[(i * step + b) % PICTURES];
            score_all(engine, 0, &shuffled, most, results, masks);
            for (uint32_t i = 0; i < PICTURES; i++) {
                size_t own = (i * step + b) % PICTURES;
                cr_expect(equal(&results[i], &alone[own]), "%s: picture %zu at place %u, batches of %u", device, own, i, most);
                cr_expect_eq(memcmp(masks + (size_t)i * MASK, alone_masks + own * MASK, MASK * sizeof(float)), 0, "mask %zu",
                             own);
            }
        }
        bgd_engine_close(engine);
    }
    check_lanes(s, device, alone, alone_masks);
    free(alone_masks);
    free(masks);
    setup_close(s);
}

Test(engine_pipeline, results_depend_on_their_picture_alone_on_onednn)
{
    check_independence(BGDET_TEST_DEVICE, PIPELINE_PHOTO, PIPELINE_SOFT);
    check_independence(BGDET_TEST_DEVICE, PIPELINE_THUMBNAIL, 0.4f);
}

Test(engine_pipeline, results_depend_on_their_picture_alone_on_ref)
{
    check_independence("ref", PIPELINE_THUMBNAIL, PIPELINE_SOFT);
    check_independence("ref", PIPELINE_PHOTO, 0.4f);
}

/* ---------------------------------------------------------------- what it says of itself */

/* The photo must be decoded large enough for whoever looks at it. */
Test(engine_pipeline, asks_for_photos_of_the_size_that_is_looked_at)
{
    for (int k = 0; k < 2; k++) {
        struct setup *s = setup_open(3, k ? PIPELINE_THUMBNAIL : PIPELINE_PHOTO, PIPELINE_SOFT);
        struct bgd_engine *engine = open_engine(s, "ref", 1, 1);
        cr_expect_eq(bgd_engine_width(engine), k ? CLS_W : SEG_W);
        cr_expect_eq(bgd_engine_height(engine), k ? CLS_H : SEG_H);
        cr_expect_eq(bgd_engine_mask_width(engine), SEG_W);
        cr_expect_eq(bgd_engine_mask_height(engine), SEG_H);
        bgd_engine_close(engine);
        setup_close(s);
    }
    /* A classifier that is larger on one side. */
    struct setup *s = setup_open(3, PIPELINE_PHOTO, PIPELINE_SOFT);
    struct net wide = pipelines_classifier(3, 50, 10, 1);
    s->pipeline.classifier = wide.model;
    struct bgd_engine *engine = open_engine(s, "ref", 1, 1);
    cr_expect(bgd_engine_width(engine) == 50 && bgd_engine_height(engine) == SEG_H);
    bgd_engine_close(engine);
    setup_close(s);
    net_close(&wide);
}

/* The networks are made ready side by side; oneDNN is given no value of more than 2 GB. */
Test(engine_pipeline, a_network_that_cannot_be_made_ready_is_named)
{
    const struct meta meta = {.arch = "vast"};
    struct graph *g = net_graph();
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", graph_input(g, "x", (struct shape){1, 32768, 32768}), 0));
    struct net vast = net_finish(g, &meta, BGD_F32);
    struct setup *s = setup_open(3, PIPELINE_PHOTO, PIPELINE_SOFT);
    s->pipeline.segmenter = vast.model;
    const struct bgd_engine_options options = {.device = "onednn", .precision = BGD_PRECISION_F32, .lanes = 2};
    struct bgd_engine *engine = (void *)1;
    struct bgd_err err = {0};
    cr_expect_eq(bgd_engine_open(&s->pipeline, &options, &engine, &err), BGD_MEMORY, "%s", err.text);
    cr_expect_null(engine);
    cr_expect_eq(strncmp(err.text, "vast: a value of ", 17), 0, "%s", err.text);
    setup_close(s);
    net_close(&vast);
}

Test(engine_pipeline, has_no_masks_without_a_segmenter)
{
    struct setup *s = setup_open(3, PIPELINE_PHOTO, PIPELINE_SOFT);
    s->pipeline.segmenter = NULL;
    struct bgd_engine *engine = open_engine(s, NULL, 2, 1);
    struct bgd_result result;
    struct bgd_err err = {0};
    float mask[1] = {7};
    cr_expect(bgd_engine_mask_width(engine) == 0 && bgd_engine_mask_height(engine) == 0);
    cr_assert_eq(bgd_engine_score(engine, 0, s->pointers, 1, &result, &err), 0);
    cr_expect_eq(bgd_engine_masks(engine, 0, 1, mask, &err), BGD_ARGUMENT);
    cr_expect(strstr(err.text, "no segmenter"), "%s", err.text);
    cr_expect_eq(mask[0], 7);
    cr_expect_eq(bgd_engine_seconds(engine).segment, 0);
    bgd_engine_close(engine);
    setup_close(s);
}

/* Infinities of either sign meet in the sum of conv2: its mask is NAN. */
Test(engine_pipeline, a_segmenter_that_overflows_is_an_error_not_a_verdict)
{
    static const float large[] = {3e38f, 3e38f, 3e38f, -3e38f, -3e38f, -3e38f}, one[] = {1, 1}, bias[2] = {3e38f, -3e38f};
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, SEG_H, SEG_W});
    x = graph_conv(g, "conv1", x, 2, graph_window(1, 1, 0), 1, large, bias);
    x = graph_conv(g, "conv2", x, 1, graph_window(1, 1, 0), 1, one, bias);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "mask", x, 0));
    const struct meta meta = pipelines_segmenter_meta("overflows", SEG_W, SEG_H);
    struct net overflows = net_finish(g, &meta, BGD_F32);
    struct bgd_image white = {.rgb = malloc(3), .width = 1, .height = 1};
    memset(white.rgb, 255, 3);
    const struct bgd_image *order = &white;
    for (int k = 0; backends[k / 4]; k++) {
        if (!net_has_device(backends[k / 4]))
            continue;
        struct setup *s = setup_open(3 + (k & 1), PIPELINE_PHOTO, k & 2 ? 0.5f : PIPELINE_SOFT);
        s->pipeline.segmenter = overflows.model;
        struct bgd_engine *engine = open_engine(s, backends[k / 4]->name, 1, 1);
        struct bgd_result result;
        struct bgd_err err = {0};
        cr_expect_eq(bgd_engine_score(engine, 0, &order, 1, &result, &err), BGD_DAMAGED, "%s, case %d: score %g",
                     backends[k / 4]->name, k % 4, (double)result.score);
        cr_expect(strstr(err.text, "segmenter"), "%s", err.text);
        bgd_engine_close(engine);
        setup_close(s);
    }
    free(white.rgb);
    net_close(&overflows);
}
