/* The engine's promise: a picture's result depends on that picture alone, to the last bit. */
#include "bgdet.h"
#include "nets.h"
#include "pipeline.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 60u
#define HEIGHT 80u
#define PICTURES 40u

/* ResNet-18's kinds of layers down to its smallest picture, 3x2, but thinner. */
static struct net make_net(uint32_t channels, const struct meta *meta)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){channels, HEIGHT, WIDTH});
    x = graph_op(g, BGD_OP_RELU, "relu", net_conv(g, "stem", x, 16, graph_window(7, 2, 3), 1, 1), 0);
    x = graph_max_pool(g, "pool", x, graph_window(3, 2, 1));
    for (int i = 0; i < 3; i++) {
        char names[5][8];
        const char *const formats[] = {"down%d", "a%d", "relu%d", "b%d", "sum%d"};
        for (int k = 0; k < 5; k++)
            snprintf(names[k], sizeof names[k], formats[k], i);
        uint32_t out = 24u << i, shortcut = net_conv(g, names[0], x, out, graph_window(1, 2, 0), 1, 10u + (uint64_t)i);
        uint32_t y =
            graph_op(g, BGD_OP_RELU, names[2], net_conv(g, names[1], x, out, graph_window(3, 2, 1), 1, 20u + (uint64_t)i), 0);
        y = net_conv(g, names[3], y, out, graph_window(3, 1, 1), 1, 30u + (uint64_t)i);
        x = graph_op(g, BGD_OP_ADD, names[4], y, shortcut);
    }
    x = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", x, 0);
    uint32_t logits = net_dense(g, "logits", x, meta->n_labels, 40);
    graph_output(g, logits);
    graph_output(g, graph_op(g, strcmp(meta->head, "sigmoid") == 0 ? BGD_OP_SIGMOID : BGD_OP_SOFTMAX, "scores", logits, 0));
    return net_finish(g, meta, BGD_F32);
}

static struct net default_net(void)
{
    const struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    return make_net(3, &meta);
}

/* Pictures of different sizes and contents; some plain, whose values repeat. */
static struct bgd_image make_image(uint32_t i)
{
    struct bgd_image image = {.width = 60 + i * 7 % 50, .height = 80 + i * 13 % 90};
    size_t n = (size_t)image.width * image.height * 3;
    image.rgb = malloc(n);
    for (size_t k = 0; k < n; k++)
        image.rgb[k] = i % 5 == 4 ? (uint8_t)(i * 6) : (uint8_t)(random_bits(i, k / (1 + i % 3 * 40)) >> 56);
    return image;
}

struct images {
    struct bgd_image images[PICTURES];
    const struct bgd_image *pointers[PICTURES];
};

static void make_images(struct images *set)
{
    for (uint32_t i = 0; i < PICTURES; i++) {
        set->images[i] = make_image(i);
        set->pointers[i] = &set->images[i];
    }
}

static void free_images(struct images *set)
{
    for (uint32_t i = 0; i < PICTURES; i++)
        free(set->images[i].rgb);
}

/* A pipeline of one borrowed classifier; an engine borrows it in turn, so it stays to the end. */
static const struct bgd_pipeline *pipeline_of(struct net net)
{
    static struct bgd_pipeline pipelines[16];
    static size_t n;
    cr_assert_lt(n, 16);
    pipelines[n] = (struct bgd_pipeline){.classifier = net.model, .threshold = PIPELINE_SOFT};
    return &pipelines[n++];
}

static struct bgd_engine *open_engine(struct net net, const char *device, uint32_t batch, uint32_t lanes)
{
    const struct bgd_engine_options options = {
        .device = device, .precision = BGD_PRECISION_F32, .batch = batch, .lanes = lanes};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    cr_assert_eq(bgd_engine_open(pipeline_of(net), &options, &engine, &err), 0, "%s", err.text);
    return engine;
}

static bool equal(const struct bgd_result *a, const struct bgd_result *b)
{
    return a->verdict == b->verdict && memcmp(&a->score, &b->score, sizeof a->score) == 0 &&
           memcmp(a->reasons, b->reasons, sizeof a->reasons) == 0;
}

/* Each of n pictures on its own, from an engine of its own batch size. */
static void score_alone(struct net net, const char *device, const struct images *set, uint32_t n, struct bgd_result *results)
{
    struct bgd_engine *engine = open_engine(net, device, 1, 1);
    struct bgd_err err = {0};
    for (uint32_t i = 0; i < n; i++)
        cr_assert_eq(bgd_engine_score(engine, 0, &set->pointers[i], 1, &results[i], &err), 0, "%s", err.text);
    bgd_engine_close(engine);
}

/* `n` pictures, in batches of each size, in three orders. */
static void check_independence(const char *device, uint32_t n, const uint32_t *batches, size_t n_batches)
{
    struct net net = default_net();
    struct images set;
    make_images(&set);
    struct bgd_result alone[PICTURES], results[PICTURES];
    score_alone(net, device, &set, n, alone);
    for (uint32_t i = 1; i < n; i++)
        cr_assert(!equal(&alone[0], &alone[i]), "pictures 0 and %u have the same result: the test would see nothing", i);

    struct bgd_err err = {0};
    for (size_t b = 0; b < n_batches; b++) {
        struct bgd_engine *engine = open_engine(net, device, batches[b], 1);
        uint32_t most = bgd_engine_batch(engine);
        cr_expect(batches[b] ? most == batches[b] : most > 0);
        for (uint32_t shift = 0; shift < 3; shift++) { /* other neighbours, other places */
            const struct bgd_image *order[PICTURES];
            for (uint32_t i = 0; i < n; i++)
                order[i] = set.pointers[(i * (shift == 1 ? 3 : 1) + shift * 5) % n];
            for (uint32_t first = 0, count; first < n; first += count) { /* the last call is shorter */
                count = n - first < most ? n - first : most;
                cr_assert_eq(bgd_engine_score(engine, 0, order + first, count, results + first, &err), 0, "%s", err.text);
            }
            for (uint32_t i = 0; i < n; i++)
                cr_expect(equal(&results[i], &alone[order[i] - set.images]), "%s: picture %td at place %u of batches of %u",
                          device, order[i] - set.images, i, most);
        }
        bgd_engine_close(engine);
    }
    free_images(&set);
    net_close(&net);
}

Test(engine, results_do_not_depend_on_batch_place_or_neighbours_on_onednn)
{
    static const uint32_t batches[] = {40, 1, 3, 15, 16, 17, 33, 0};
    check_independence(BGDET_TEST_DEVICE, 40, batches, sizeof batches / sizeof batches[0]);
}

Test(engine, results_do_not_depend_on_batch_place_or_neighbours_on_ref)
{
    static const uint32_t batches[] = {4};
    check_independence("ref", 5, batches, 1);
}

Test(engine, one_picture_has_the_same_bits_at_every_place)
{
    struct net net = default_net();
    struct bgd_image image = make_image(3), other = make_image(8);
    struct bgd_engine *engine = open_engine(net, BGDET_TEST_DEVICE, 32, 1);
    struct bgd_result alone, results[32];
    struct bgd_err err = {0};
    const struct bgd_image *order[32] = {&image};
    cr_assert_eq(bgd_engine_score(engine, 0, order, 1, &alone, &err), 0);
    for (uint32_t place = 0; place < 32; place++) {
        for (uint32_t i = 0; i < 32; i++)
            order[i] = i == place ? &image : &other;
        cr_assert_eq(bgd_engine_score(engine, 0, order, 32, results, &err), 0);
        cr_expect(equal(&results[place], &alone), "place %u", place);
    }
    bgd_engine_close(engine);
    free(image.rgb);
    free(other.rgb);
    net_close(&net);
}

struct worker {
    struct bgd_engine *engine;
    uint32_t lane;
    const struct images *set;
    const struct bgd_result *expected;
    uint32_t wrong;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct bgd_result results[9];
    struct bgd_err err;
    for (uint32_t round = 0; round < 12; round++) {
        uint32_t first = (round * 7 + worker->lane * 3) % (PICTURES - 9), n = 9 - round % 3;
        if (bgd_engine_score(worker->engine, worker->lane, worker->set->pointers + first, n, results, &err))
            worker->wrong += 1000;
        for (uint32_t i = 0; i < n; i++)
            worker->wrong += !equal(&results[i], &worker->expected[first + i]);
    }
    return NULL;
}

static void check_lanes(const char *device)
{
    struct net net = default_net();
    struct images set;
    make_images(&set);
    struct bgd_result alone[PICTURES];
    score_alone(net, device, &set, PICTURES, alone);
    struct bgd_engine *engine = open_engine(net, device, 9, 3);
    struct worker workers[3];
    pthread_t threads[3];
    for (uint32_t i = 0; i < 3; i++) {
        workers[i] = (struct worker){engine, i, &set, alone, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(workers[i].wrong, 0, "lane %u: %u results differ", i, workers[i].wrong);
    }
    bgd_engine_close(engine);
    free_images(&set);
    net_close(&net);
}

Test(engine, lanes_in_threads_give_the_same_bits)
{
    check_lanes(BGDET_TEST_DEVICE);
}

Test(engine, backends_agree_on_every_picture)
{
    struct net net = default_net();
    struct images set;
    make_images(&set);
    struct bgd_result ref[PICTURES], onednn[PICTURES];
    enum { N = 6 };
    score_alone(net, "ref", &set, N, ref);
    score_alone(net, BGDET_TEST_DEVICE, &set, N, onednn);
    for (uint32_t i = 0; i < N; i++) {
        cr_expect_float_eq(ref[i].score, onednn[i].score, 1e-5f, "picture %u",
                           i); /* logits within 4e-5, a sigmoid's slope is 1/4 */
        cr_expect_eq(ref[i].verdict, onednn[i].verdict, "picture %u", i);
    }
    free_images(&set);
    net_close(&net);
}

static void check_refused(const struct meta *meta, uint32_t channels, const char *device, enum bgd_code code, const char *text)
{
    struct net net = make_net(channels, meta);
    const struct bgd_engine_options options = {.device = device};
    struct bgd_engine *engine = NULL;
    struct bgd_err err = {0};
    struct bgd_pipeline pipeline = {.classifier = net.model, .threshold = PIPELINE_SOFT};
    int found = pipeline_join(&pipeline, &err);
    if (!found) {
        engine = (void *)1;
        found = bgd_engine_open(&pipeline, &options, &engine, &err);
    }
    cr_expect_eq(found, code, "%s", err.text);
    cr_expect(strstr(err.text, text), "%s", err.text);
    cr_expect_null(engine);
    free(pipeline.name);
    net_close(&net);
}

Test(engine, refuses_what_it_cannot_score)
{
    struct meta meta = net_classifier_meta(6, 4, WIDTH, HEIGHT);
    check_refused(&meta, 4, NULL, BGD_ARGUMENT, "the classifier takes 4 channels");
    meta = net_classifier_meta(5, 3, WIDTH, HEIGHT);
    meta.labels = net_labels + 1;
    check_refused(&meta, 3, NULL, BGD_ARGUMENT, "no label \"defective\"");
    meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    check_refused(&meta, 3, "abacus", BGD_ARGUMENT, "no device \"abacus\" in this build (it has ");
    check_refused(&meta, 3, "", BGD_ARGUMENT, "no device \"\"");
    meta.kind = META_NETWORK;
    check_refused(&meta, 3, NULL, BGD_ARGUMENT, "the classifier's model is a network, expected a classifier");
    bgd_engine_close(NULL);
}

Test(engine, refuses_more_pictures_than_its_batch)
{
    struct net net = default_net();
    struct bgd_engine *engine = open_engine(net, NULL, 2, 1);
    struct bgd_image image = make_image(0);
    const struct bgd_image *order[] = {&image, &image, &image};
    struct bgd_result results[3];
    struct bgd_err err = {0};
    cr_expect_eq(bgd_engine_score(engine, 0, order, 3, results, &err), BGD_ARGUMENT);
    cr_expect(strstr(err.text, "3 pictures in one call, at most 2"), "%s", err.text);
    cr_expect_eq(bgd_engine_score(engine, 0, order, 0, results, &err), 0, "none is none");
    cr_expect_eq(bgd_engine_score(engine, 0, order, 2, results, &err), 0);
    bgd_engine_close(engine);
    free(image.rgb);
    net_close(&net);
}

/* A model that knows 3 labels in an order of its own, with its own threshold. */
static float other_thresholds[] = {0.5f, 0.5f, 0.0f};

Test(engine, labels_and_thresholds_are_the_models_own)
{
    static char *labels[] = {"cropped", "something", "defective"};
    struct meta meta = net_classifier_meta(3, 3, WIDTH, HEIGHT);
    meta.labels = labels;
    meta.thresholds = other_thresholds;
    meta.head = "softmax";
    struct bgd_image image = make_image(1);
    const struct bgd_image *order = &image;
    struct bgd_result result;
    struct bgd_err err = {0};
    for (int high = 0; high < 2; high++) {
        other_thresholds[2] = high ? 1.0f : 0.0f;
        other_thresholds[0] = high ? 0.0f : 1.0f;
        struct net net = make_net(3, &meta);
        struct bgd_engine *engine = open_engine(net, NULL, 1, 1);
        cr_assert_eq(bgd_engine_score(engine, 0, &order, 1, &result, &err), 0);
        cr_expect_eq(result.verdict, high ? BGD_CLEAN : BGD_DEFECTIVE, "score %g", (double)result.score);
        cr_expect(result.score > 0 && result.score < 1 && result.reasons[BGD_CROPPED] > 0);
        cr_expect(result.holds[BGD_CROPPED] == (high == 1) && !result.holds[BGD_TEXT]);
        cr_expect(isnan(result.reasons[BGD_TEXT]) && isnan(result.reasons[BGD_DUPLICATES]));
        cr_expect_leq(result.score + result.reasons[BGD_CROPPED], 1);
        cr_expect(bgd_engine_width(engine) == WIDTH && bgd_engine_height(engine) == HEIGHT);
        cr_expect_str_eq(bgd_engine_device(engine), BGDET_TEST_DEVICE);
        bgd_engine_close(engine);
        net_close(&net);
    }
    free(image.rgb);
}

Test(engine, scores_and_reasons_are_calibrated_before_the_verdict_unless_told_not_to)
{
    static struct calibration calibrations[6] = {{1, 0}, {0.5f, 2}, {1, 0}, {1, 0}, {1, 0}, {1, 0}};
    struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    struct net plain_net = make_net(3, &meta);
    meta.calibrations = calibrations;
    struct bgd_image image = make_image(1);
    const struct bgd_image *order = &image;
    struct bgd_err err = {0};
    struct bgd_result plain, calibrated, raw;
    struct bgd_engine *engine = open_engine(plain_net, NULL, 1, 1);
    cr_assert_eq(bgd_engine_score(engine, 0, &order, 1, &plain, &err), 0);
    bgd_engine_close(engine);
    net_close(&plain_net);
    /* An offset that takes the verdict to the other side. */
    calibrations[0].offset = plain.verdict == BGD_DEFECTIVE ? -20 : 20;
    struct net net = make_net(3, &meta);
    engine = open_engine(net, NULL, 1, 1);
    cr_assert_eq(bgd_engine_score(engine, 0, &order, 1, &calibrated, &err), 0);
    cr_expect_eq(calibrated.score, calibration_apply(calibrations[0], plain.score));
    cr_expect_neq(calibrated.verdict, plain.verdict);
    cr_expect_eq(calibrated.reasons[BGD_TEXT], calibration_apply(calibrations[1], plain.reasons[BGD_TEXT]));
    cr_expect_eq(calibrated.reasons[BGD_CROPPED], plain.reasons[BGD_CROPPED], "no calibration changes no bit");
    bgd_engine_close(engine);

    const struct bgd_engine_options options = {.precision = BGD_PRECISION_F32, .batch = 1, .uncalibrated = true};
    cr_assert_eq(bgd_engine_open(pipeline_of(net), &options, &engine, &err), 0, "%s", err.text);
    cr_assert_eq(bgd_engine_score(engine, 0, &order, 1, &raw, &err), 0);
    cr_expect(raw.score == plain.score && memcmp(raw.reasons, plain.reasons, sizeof raw.reasons) == 0);
    bgd_engine_close(engine);
    net_close(&net);
    free(image.rgb);
}

Test(engine, a_band_for_review_is_a_verdict_of_its_own)
{
    struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    meta.review[0] = 0.001f;
    meta.review[1] = 0.999f;
    struct net net = make_net(3, &meta);
    struct bgd_image image = make_image(1);
    const struct bgd_image *order = &image;
    struct bgd_result result;
    struct bgd_err err = {0};
    struct bgd_engine *engine = open_engine(net, NULL, 1, 1);
    cr_assert_eq(bgd_engine_score(engine, 0, &order, 1, &result, &err), 0);
    cr_expect_eq(result.verdict, BGD_REVIEW, "score %g", (double)result.score);
    cr_expect_str_eq(bgd_verdict_name(result.verdict), "review");
    bgd_engine_close(engine);
    net_close(&net);
    free(image.rgb);
}

/* Of one picture, with where it shows what. */
static struct bgd_result result_with_evidence(struct net net, const struct bgd_image *image)
{
    const struct bgd_engine_options options = {.precision = BGD_PRECISION_F32, .evidence = true};
    struct bgd_engine *engine;
    struct bgd_result result;
    struct bgd_err err = {0};
    cr_assert_eq(bgd_engine_open(pipeline_of(net), &options, &engine, &err), 0, "%s", err.text);
    cr_assert_eq(bgd_engine_score(engine, 0, &image, 1, &result, &err), 0, "%s", err.text);
    bgd_engine_close(engine);
    return result;
}

/* As all models were before it: what the picture shows is evidence all the same. */
Test(engine, a_model_without_activation_has_evidence_of_what_is_seen)
{
    static const enum bgd_reason seen[] = {BGD_TEXT, BGD_NOT_WHITE, BGD_EXTRA_OBJECTS};
    static float thresholds[6]; /* all hold */
    struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    meta.thresholds = thresholds;
    struct net net = make_net(3, &meta);
    struct bgd_image image = {.width = WIDTH, .height = HEIGHT, .rgb = malloc(WIDTH * HEIGHT * 3)};
    memset(image.rgb, 255, WIDTH * HEIGHT * 3);
    for (uint32_t y = 20; y < 40; y++)
        memset(image.rgb + (y * WIDTH + 15) * 3, 100, 30 * 3);
    struct bgd_result result = result_with_evidence(net, &image);
    cr_assert_eq(result.n_regions, 3);
    for (int i = 0; i < 3; i++) {
        const struct bgd_region *r = &result.regions[i];
        cr_expect_eq(r->reason, seen[i]);
        cr_expect(r->left == 0.25f && r->top == 0.25f && r->right == 0.75f && r->bottom == 0.5f, "%s",
                  bgd_reason_name(r->reason));
        if (seen[i] == BGD_TEXT)
            cr_expect(r->share > 0 && r->share < 0.125f); /* within a solid block nothing differs from what is around it */
        else
            cr_expect_eq(r->share, 0.125f);
    }
    free(image.rgb);
    net_close(&net);
}

/* White gives text a logit of -5, the two words more, but less than 0. */
static struct bgd_result two_words(char *head, float threshold)
{
    static const float weight[6 * 3] = {0, 0, 0, -1}, bias[6] = {5, -3, -9, -9, -9, -9};
    float thresholds[6] = {0.5f, threshold, 0.5f, 0.5f, 0.5f, 0.5f};
    struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    meta.thresholds = thresholds;
    meta.head = head;
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    uint32_t activation = graph_conv(g, "activation", x, 6, graph_window(1, 1, 0), 1, weight, bias);
    uint32_t logits = graph_op(g, BGD_OP_GLOBAL_MEAN, "logits", activation, 0);
    enum bgd_op op = strcmp(head, "sigmoid") == 0 ? BGD_OP_SIGMOID : BGD_OP_SOFTMAX;
    graph_output(g, logits);
    graph_output(g, graph_op(g, op, "scores", logits, 0));
    graph_output(g, activation);
    struct net net = net_finish(g, &meta, BGD_F32);
    struct bgd_image image = {.width = WIDTH, .height = HEIGHT, .rgb = malloc(WIDTH * HEIGHT * 3)};
    memset(image.rgb, 255, WIDTH * HEIGHT * 3);
    for (uint32_t y = 0; y < 4; y++) {
        memset(image.rgb + ((20 + y) * WIDTH + 10) * 3, 100, 8 * 3);
        memset(image.rgb + ((60 + y) * WIDTH + 30) * 3, 150, 8 * 3);
    }
    struct bgd_result result = result_with_evidence(net, &image);
    free(image.rgb);
    net_close(&net);
    return result;
}

Test(engine, evidence_is_what_is_seen_above_the_threshold_of_its_reason)
{
    struct bgd_result result = two_words("sigmoid", 0.003f);
    cr_assert(result.holds[BGD_TEXT], "%g", (double)result.reasons[BGD_TEXT]);
    cr_expect_eq(result.n_regions, 2);
    result = two_words("sigmoid", 0.5f); /* the strongest reason, though it does not hold: the word that is seen the most */
    cr_assert(!result.holds[BGD_TEXT]);
    cr_expect_eq(result.n_regions, 1);
}

/* A logit says nothing without the others: adding to all of them changes no score. */
Test(engine, the_activation_of_a_softmax_is_no_evidence)
{
    struct bgd_result result = two_words("softmax", 0.5f);
    cr_assert(!result.holds[BGD_TEXT]);
    cr_expect_eq(result.n_regions, 2);
}

/* Logits to scores; closes the graph. */
static void check_overflow(struct graph *g, uint32_t logits)
{
    graph_output(g, logits);
    graph_output(g, graph_op(g, BGD_OP_SOFTMAX, "scores", logits, 0));
    struct meta meta = net_classifier_meta(6, 3, WIDTH, HEIGHT);
    meta.head = "softmax";
    struct net net = net_finish(g, &meta, BGD_F32);
    struct bgd_image image = make_image(4); /* plain grey, all positive */
    memset(image.rgb, 255, (size_t)image.width * image.height * 3);
    const struct bgd_image *order = &image;
    struct bgd_result result;
    struct bgd_err err = {0};
    for (int i = 0; backends[i]; i++) {
        if (!net_has_device(backends[i]))
            continue;
        struct bgd_engine *engine = open_engine(net, backends[i]->name, 1, 1);
        cr_expect_eq(bgd_engine_score(engine, 0, &order, 1, &result, &err), BGD_DAMAGED, "%s", backends[i]->name);
        cr_expect(strstr(err.text, "the score of \"defective\""), "%s", err.text);
        bgd_engine_close(engine);
    }
    free(image.rgb);
    net_close(&net);
}

Test(engine, a_model_that_overflows_is_an_error_not_a_verdict)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    float weight[6 * 3], bias[6] = {0};
    for (int i = 0; i < 18; i++)
        weight[i] = 3e38f;
    x = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", x, 0);
    check_overflow(g, graph_dense(g, "logits", x, 6, weight, bias));
}

/* Winograd's sums overflow with both signs: a NAN, of which a ReLU would make a plausible 0. */
Test(engine, a_convolution_that_overflows_is_an_error_not_a_verdict)
{
    static float first[32 * 3 * 5], second[32 * 32 * 9], last[6 * 32], bias[32];
    for (int i = 0; i < 32 * 3 * 5; i++)
        first[i] = 1e35f;
    for (int i = 0; i < 32 * 32 * 9; i++)
        second[i] = 1e3f;
    for (int i = 0; i < 6 * 32; i++)
        last[i] = 1;
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    struct bgd_window window = graph_window(1, 2, 0);
    window.kernel_h = 5; /* to 38x30: conv2's tiles are whole, and all of their values equal */
    x = graph_conv(g, "conv1", x, 32, window, 1, first, bias);
    x = graph_conv(g, "conv2", x, 32, graph_window(3, 1, 0), 1, second, bias);
    x = graph_op(g, BGD_OP_RELU, "relu", x, 0);
    x = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", x, 0);
    check_overflow(g, graph_dense(g, "logits", x, 6, last, bias));
}
