/*
 * What the CUDA backend promises beyond the right numbers in f32, which the tests of all backends see to: half precision,
 * memory and failures (what is one step: test_cuda_steps.c; several GPUs: test_cuda_gpus.c; FP8: test_cuda_narrow.c; pictures of
 * every size: test_cuda_feed.c). On the emulated device; each test is a process of its own.
 */
#include "cuda_network.h"
#include "cuda_nets.h"

#include <math.h>

/* ---------------------------------------------------------------- small networks */

/* As an AlexNet is built; its channels are padded, and windows of the mean repeat pixels. */
static struct net alexnet_like(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = unary(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 13, graph_window(11, 4, 2), 1, 3));
    x = graph_max_pool(g, "pool", graph_lrn(g, "lrn", x, 5, 1, 0.75f, 2), graph_window(3, 2, 0));
    x = unary(g, BGD_OP_RELU, "relu1", net_dense(g, "dense1", graph_adaptive_mean(g, "mean", x, 6, 6), 40, 4));
    graph_output(g, unary(g, BGD_OP_SIGMOID, "scores", net_dense(g, "dense2", x, 6, 5)));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

/* softmax(Q K^T) V, and a residual, as TRACER's attention has it. */
static uint32_t attend(struct graph *g, uint32_t x)
{
    uint32_t q = conv1(g, "q", x, 4), k = conv1(g, "k", x, 4), v = conv1(g, "v", x, 4);
    return conv1(g, "attended", graph_op_n(g, BGD_OP_ATTENTION, "qkv", (uint32_t[]){q, k, v}, 3), graph_shape(g, x).c);
}

/* All that TRACER has and a ResNet has not, on the way to a mask. */
static struct net tracer_like(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = unary(g, BGD_OP_SILU, "stem_silu", net_conv(g, "stem", x, 16, graph_window(3, 2, 1), 1, 1));
    uint32_t y = unary(g, BGD_OP_SILU, "depthwise_silu", net_conv(g, "depthwise", x, 16, graph_window(3, 1, 1), 16, 2));
    x = graph_op(g, BGD_OP_ADD, "mbconv", conv1(g, "project", squeeze_excite(g, y), 16), x);
    uint32_t narrow = conv3(g, "narrow", x, 5), wide = unary(g, BGD_OP_SELU, "selu", conv3(g, "wide", x, 16));
    uint32_t slices = concat(g, "slices", conv3(g, "eight", x, 8), wide);
    x = conv1(g, "joined", concat(g, "odd", narrow, slices), 8);
    x = graph_op(g, BGD_OP_ADD, "attention", attend(g, x), x);
    x = graph_upsample(g, "up", graph_op_with(g, BGD_OP_HIGH_PASS, "edges", x, 2), 2, true);
    x = graph_op_with(g, BGD_OP_QUANTILE_MASK, "quantile", x, 0.3f);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "mask", conv3(g, "last", x, 1)));
    const struct meta meta = pipelines_segmenter_meta("tracer-like", WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

/* The mean difference of an output, 0..1, of five pictures from the reference's. */
static double mean_difference(const struct net *net, enum bgd_precision precision, uint32_t output)
{
    enum { N = 5 };
    size_t n = N * net_output_size(net->model, output);
    float *input = net_input(net->model, 0, N, 1), *y = malloc(n * sizeof *y), *ref[BGD_FORMAT_OUTPUTS_MAX];
    net_run(&backend_ref, net->model, N, N, &input, ref);
    struct device *device = open_device(precision);
    struct exec *exec = prepare(device, net, N, NULL);
    struct bgd_err err = {0};
    must(backend_cuda.load(exec, 0, N, input, &err) || backend_cuda.run(exec, N, &err) ||
             backend_cuda.fetch(exec, output, N, y, &err),
         &err);
    double sum = 0, spread = 0;
    for (size_t i = 0; i < n; i++) {
        sum += fabs((double)y[i] - (double)ref[output][i]);
        spread += fabs((double)ref[output][i] - (double)ref[output][0]);
    }
    cr_expect_gt(spread / (double)n, 0.01, "the outputs are all the same");
    backend_cuda.release(exec);
    backend_cuda.close(device);
    for (uint32_t i = 0; i < net->model->header->n_outputs; i++)
        free(ref[i]);
    free(input);
    free(y);
    return sum / (double)n;
}

Test(cuda, half_precision_is_near_the_reference)
{
    struct net classifier = resnet_like(3), older = alexnet_like(), segmenter = tracer_like();
    const struct {
        enum bgd_precision precision;
        double bound; /* a few roundings of 2^-11 and 2^-8, through a sigmoid of slope 1/4 */
    } cases[] = {{BGD_PRECISION_F32, 1e-6}, {BGD_PRECISION_F16, 5e-4}, {BGD_PRECISION_BF16, 2e-3}};
    for (int i = 0; i < 3; i++) {
        double scores = mean_difference(&classifier, cases[i].precision, 1);
        double older_scores = mean_difference(&older, cases[i].precision, 0);
        double mask = mean_difference(&segmenter, cases[i].precision, 0);
        cr_expect_leq(scores, cases[i].bound, "case %d: scores %g from the reference's", i, scores);
        cr_expect_leq(older_scores, cases[i].bound, "case %d: older scores %g from the reference's", i, older_scores);
        cr_expect_leq(mask, cases[i].bound, "case %d: masks %g from the reference's", i, mask);
    }
    net_close(&classifier);
    net_close(&older);
    net_close(&segmenter);
}

/* The padding is a sigmoid's 1/2. Divided by 2^-30 it would be infinity in f16, and not a number times a weight of 0. */
Test(cuda, lrn_leaves_no_infinity_in_padding)
{
    uint32_t x;
    struct graph *g = begin(3, &x);
    x = graph_lrn(g, "lrn", unary(g, BGD_OP_SIGMOID, "sigmoid", conv3(g, "a", x, 5)), 5, 4, 3, 0x1p-10f);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "f", conv3(g, "b", x, 4)));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    double difference = mean_difference(&net, BGD_PRECISION_F16, 0);
    cr_expect_leq(difference, 1e-3, "%g from the reference's", difference);
    net_close(&net);
}

/* ---------------------------------------------------------------- lanes of a segmenter and a classifier */

struct pair {
    struct net segmenter_net, classifier_net;
    struct device *device;
    struct exec *segmenter, *classifier, *sibling; /* of the classifier */
    struct bgd_image images[BATCH];
    const struct bgd_image *pictures[BATCH];
};

static struct pair nets_of_pair(void)
{
    return (struct pair){.segmenter_net = pipelines_segmenter(WIDTH, HEIGHT, 1),
                         .classifier_net = pipelines_classifier(4, 15, 20, 2)};
}

static int open_pair(struct pair *pair, struct bgd_err *err)
{
    const struct backend *cuda = &backend_cuda;
    small_pictures(BATCH, pair->images, pair->pictures);
    return cuda->open(0, BGD_PRECISION_F16, &pair->device, err) || cuda->autotune(pair->device, err) ||
                   cuda->prepare(pair->device, 0, pair->segmenter_net.model, BATCH, NULL, &pair->segmenter, err) ||
                   cuda->prepare(pair->device, 0, pair->classifier_net.model, BATCH, NULL, &pair->classifier, err) ||
                   cuda->prepare(pair->device, 0, pair->classifier_net.model, BATCH, pair->classifier, &pair->sibling, err)
               ? err->code
               : 0;
}

static int score_pair(struct pair *pair, struct exec *classifier, uint32_t first, uint32_t n, float *scores,
                      struct bgd_err *err)
{
    const struct backend *cuda = &backend_cuda;
    const struct backend_mask mask = {pair->segmenter, PIPELINE_SOFT};
    const struct bgd_image *const *pictures = pair->pictures + first;
    return cuda->feed(pair->segmenter, n, pictures, NULL, err) || cuda->run(pair->segmenter, n, err) ||
                   cuda->feed(classifier, n, pictures, &mask, err) || cuda->run(classifier, n, err) ||
                   cuda->fetch(classifier, 1, n, scores, err)
               ? err->code
               : 0;
}

static void close_pair(struct pair *pair)
{
    backend_cuda.release(pair->sibling);
    backend_cuda.release(pair->classifier);
    backend_cuda.release(pair->segmenter);
    backend_cuda.close(pair->device);
    pair->sibling = pair->classifier = pair->segmenter = NULL;
    pair->device = NULL;
}

static void free_pair(struct pair *pair)
{
    net_close(&pair->segmenter_net);
    net_close(&pair->classifier_net);
}

Test(cuda, a_short_batch_has_the_same_bits)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float full[BATCH][6], again[BATCH][6];
    must(open_pair(&pair, &err), &err);
    must(score_pair(&pair, pair.sibling, 0, BATCH, full[0], &err), &err);
    for (uint32_t n = BATCH; n > 0; n /= 2)
        for (uint32_t first = 0; first + n <= BATCH; first += 3) {
            must(score_pair(&pair, pair.sibling, first, n, again[0], &err), &err);
            cr_expect_eq(memcmp(again, full[first], n * sizeof *full), 0, "%u pictures from %u on", n, first);
        }
    for (uint32_t i = 1; i < BATCH; i++)
        cr_expect_neq(full[0][0], full[i][0], "pictures 0 and %u score the same", i);
    close_pair(&pair);
    must(open_pair(&pair, &err), &err); /* nothing in it but this one picture */
    must(score_pair(&pair, pair.classifier, 3, 1, again[0], &err), &err);
    cr_expect_eq(memcmp(again, full[3], sizeof *full), 0);
    close_pair(&pair);
    free_pair(&pair);
}

Test(cuda, memory_is_constant_and_all_of_it_is_freed)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    float *input = net_input(pair.classifier_net.model, 0, BATCH, 1);
    must(open_pair(&pair, &err) || backend_cuda.load(pair.classifier, 0, 1, input, &err), &err);
    size_t bytes = emulation_device_bytes();
    cr_expect_gt(bytes, 0);
    for (uint32_t i = 0; i < 20; i++) {
        struct exec *classifier = i % 3 ? pair.classifier : pair.sibling;
        must(score_pair(&pair, classifier, i % 5, 1 + i % 4, scores[0], &err), &err);
        must(backend_cuda.load(pair.classifier, 0, 1 + i % BATCH, input, &err), &err);
        cr_expect_eq(emulation_device_bytes(), bytes, "run %u: %zu bytes, once %zu", i, emulation_device_bytes(), bytes);
    }
    close_pair(&pair);
    cr_expect_eq(emulation_device_bytes(), 0);
    free_pair(&pair);
    free(input);
}

/* ---------------------------------------------------------------- failures */

/* A whole life, as far as it comes; *closing is the number of calls before the first of release. */
static int live(struct pair *pair, unsigned long *closing, struct bgd_err *err)
{
    float scores[BATCH][6];
    int code = open_pair(pair, err);
    if (!code) {
        backend_cuda.memory(pair->device, 1000); /* the heap stands in for it */
        code = score_pair(pair, pair->classifier, 0, 3, scores[0], err);
    }
    if (!code)
        code = score_pair(pair, pair->sibling, 0, BATCH, scores[0], err);
    *closing = emulation_calls();
    close_pair(pair);
    return code;
}

/* What may fail unseen before that: memory, and taking a GPU for it; in each prepare, the end of the graph that its executable
 * was made of. */
enum { UNSEEN = 2 + 3 };

Test(cuda, every_call_may_fail)
{
    struct pair pair = nets_of_pair();
    unsigned long closing, start = emulation_calls(), unseen = 0;
    struct bgd_err err = {0};
    emulation_leave_memory();
    must(live(&pair, &closing, &err), &err);
    unsigned long all = emulation_calls() - start;
    cr_expect_gt(all, 100);
    for (unsigned long n = 1; n <= all; n++) {
        emulation_fail_at(n);
        start = emulation_calls();
        err = (struct bgd_err){0};
        int code = live(&pair, &closing, &err);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes are left", n, emulation_device_bytes());
        cr_expect(code == 0 || (code == BGD_DEVICE && strlen(err.text) > 10), "call %lu: %d, \"%s\"", n, code, err.text);
        unseen += code == 0 && n <= closing - start;
    }
    cr_expect_eq(unseen, UNSEEN, "%lu failures had no error", unseen);
    free_pair(&pair);
}

/* A lane that is loaded, profiled and fetched from. */
static int live_measured(const struct net *net, unsigned long *closing, struct bgd_err *err)
{
    struct device *device = NULL;
    struct exec *exec = NULL;
    struct backend_op_time *times = calloc(net->model->header->n_ops, sizeof *times);
    float *input = net_input(net->model, 0, BATCH, 1),
          *scores = malloc(BATCH * net_output_size(net->model, 0) * sizeof *scores);
    int code = backend_cuda.open(0, BGD_PRECISION_F16, &device, err) ||
                       backend_cuda.prepare(device, 0, net->model, BATCH, NULL, &exec, err) ||
                       backend_cuda.load(exec, 0, BATCH, input, err) || backend_cuda.profile(exec, BATCH, 2, times, err) ||
                       backend_cuda.fetch(exec, 0, BATCH, scores, err)
                   ? err->code
                   : 0;
    *closing = emulation_calls();
    backend_cuda.release(exec);
    backend_cuda.close(device);
    free(times);
    free(input);
    free(scores);
    return code;
}

Test(cuda, every_call_of_a_profile_may_fail)
{
    uint32_t x;
    struct graph *g = begin(3, &x);
    graph_output(g, net_dense(g, "dense", unary(g, BGD_OP_RELU, "relu", conv3(g, "a", x, 8)), 6, 1));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    unsigned long closing, start = emulation_calls(), unseen = 0;
    struct bgd_err err = {0};
    must(live_measured(&net, &closing, &err), &err);
    unsigned long all = emulation_calls() - start;
    cr_expect_gt(all, 50);
    for (unsigned long n = 1; n <= all; n++) {
        emulation_fail_at(n);
        start = emulation_calls();
        err = (struct bgd_err){0};
        int code = live_measured(&net, &closing, &err);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes are left", n, emulation_device_bytes());
        cr_expect(code == 0 || (code == BGD_DEVICE && strlen(err.text) > 10), "call %lu: %d, \"%s\"", n, code, err.text);
        unseen += code == 0 && n <= closing - start;
    }
    /* The end of the graph that the pass was made of, and those of four events: around three steps. */
    cr_expect_eq(unseen, 1 + 4, "%lu failures had no error", unseen);
    net_close(&net);
}

/* How often the device is asked depends on how fast it is: of so many calls each may fail, and all of them are made. */
Test(cuda, ceilings_that_cannot_be_measured_are_an_error)
{
    static const unsigned long calls[] = {1, 2, 3, 4, 5, 7, 20};
    struct device *device = open_device(BGD_PRECISION_BF16);
    struct backend_ceilings ceilings;
    struct bgd_err err = {0};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        emulation_fail_at(calls[i]);
        cr_expect_eq(backend_cuda.ceilings(device, &ceilings, &err), BGD_DEVICE, "call %lu", calls[i]);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes are left", calls[i], emulation_device_bytes());
    }
    emulation_fail_at(0);
    emulation_fail_memory(100 << 20);
    cr_expect_eq(backend_cuda.ceilings(device, &ceilings, &err), BGD_MEMORY, "%s", err.text);
    emulation_fail_memory(0);
    must(backend_cuda.ceilings(device, &ceilings, &err), &err);
    cr_expect_eq(ceilings.element_bytes, 2);
    cr_expect_eq(emulation_device_bytes(), 0);
    backend_cuda.close(device);
}

/* From a call of that stage on, and for good. */
static void check_sticky(int first_stage)
{
    struct pair pair = nets_of_pair();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    unsigned long closing;
    must(open_pair(&pair, &err), &err);
    must(score_pair(&pair, pair.classifier, 0, BATCH, scores[0], &err), &err);
    const struct backend_mask mask = {pair.segmenter, PIPELINE_SOFT};
    for (int stage = 0; stage < 3; stage++) {
        if (stage == first_stage)
            emulation_sticky();
        int code = stage == 0   ? backend_cuda.feed(pair.classifier, 3, pair.pictures, &mask, &err)
                   : stage == 1 ? backend_cuda.run(pair.classifier, 3, &err)
                                : backend_cuda.fetch(pair.classifier, 1, 3, scores[0], &err);
        cr_expect_eq(code, stage < first_stage ? 0 : BGD_DEVICE, "stage %d: %d", stage, code);
    }
    cr_expect_eq(score_pair(&pair, pair.sibling, 0, 1, scores[0], &err), BGD_DEVICE);
    cr_expect(strstr(err.text, "cudaErrorIllegalAddress"), "%s", err.text);
    close_pair(&pair);
    cr_expect_eq(emulation_device_bytes(), 0);
    cr_expect_eq(live(&pair, &closing, &err), BGD_DEVICE);
    free_pair(&pair);
}

Test(cuda, an_error_that_stays_from_feed_on)
{
    check_sticky(0);
}

Test(cuda, an_error_that_stays_from_run_on)
{
    check_sticky(1);
}

Test(cuda, an_error_that_stays_from_fetch_on)
{
    check_sticky(2);
}

/* ---------------------------------------------------------------- what does not fit */

/* All pictures through the engine's only lane, in batches that fit; the engine's bytes on the device. */
static size_t score_by_engine(struct engine_case *c, uint32_t batch, uint32_t expected, struct bgd_result results[BATCH])
{
    const struct bgd_engine_options options = {.device = "cuda", .precision = BGD_PRECISION_F16, .batch = batch};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    must(bgd_engine_open(&c->pipeline, &options, &engine, &err), &err);
    size_t bytes = emulation_device_bytes();
    cr_expect_eq(bgd_engine_batch(engine), expected, "batches of %u, expected %u", bgd_engine_batch(engine), expected);
    cr_expect_eq(bgd_engine_halved(engine), batch != expected);
    for (uint32_t i = 0, n = expected < BATCH ? expected : BATCH; i < BATCH; i += n)
        must(bgd_engine_score(engine, 0, c->pictures + i, n, results + i, &err), &err);
    bgd_engine_close(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
    return bytes;
}

Test(cuda, a_batch_that_does_not_fit_is_halved)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result full[BATCH], halved[BATCH];
    size_t eight = score_by_engine(c, 8, 8, full);
    size_t one = score_by_engine(c, 1, 1, full);
    const struct {
        size_t memory;
        uint32_t batch;
    } cases[] = {{eight, 8}, {eight - 1, 4}, {one, 1}};
    for (int i = 0; i < 3; i++) {
        emulation_fail_memory(cases[i].memory);
        memset(halved, 0, sizeof halved);
        score_by_engine(c, 8, cases[i].batch, halved);
        for (uint32_t k = 0; k < BATCH; k++)
            cr_expect(full[k].score == halved[k].score && full[k].verdict == halved[k].verdict,
                      "batches of %u, picture %u: %g, not %g", cases[i].batch, k, (double)halved[k].score,
                      (double)full[k].score);
    }
    close_engine_case(c);
}

/* Whether cuDNN takes such values no GPU has shown; the engine halves a batch that has no memory. */
Test(cuda, a_value_of_more_than_2_to_the_31_numbers_is_no_memory)
{
    struct net net = pipelines_classifier(4, 64, 80, 2);
    struct device *device = open_device(BGD_PRECISION_F16);
    struct exec *exec;
    struct bgd_err err = {0};
    cr_expect_eq(backend_cuda.prepare(device, 0, net.model, 65535, NULL, &exec, &err), BGD_MEMORY);
    cr_expect(strstr(err.text, "more than 2^31 numbers for 65535 pictures"), "%s", err.text);
    cr_expect_eq(emulation_device_bytes(), 0);
    backend_cuda.close(device);
    net_close(&net);
}

Test(cuda, a_lane_that_does_not_fit_is_left_out)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result results[BATCH];
    size_t one = score_by_engine(c, BATCH, BATCH, results);
    const struct bgd_engine_options options = {.device = "cuda", .batch = BATCH, .lanes = 3};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    emulation_fail_memory(one + one / 2);
    must(bgd_engine_open(&c->pipeline, &options, &engine, &err), &err);
    cr_expect_eq(bgd_engine_lanes(engine), 1);
    cr_expect(!bgd_engine_halved(engine));
    must(bgd_engine_score(engine, 0, c->pictures, BATCH, results, &err), &err);
    bgd_engine_close(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
    close_engine_case(c);
}

Test(cuda, no_memory_at_all_is_an_error)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result results[BATCH];
    size_t one = score_by_engine(c, 1, 1, results);
    const struct {
        size_t memory;
        uint32_t batch; /* 0: the device's own choice, as far as it is one */
    } cases[] = {{1, 8}, {one - 1, 8}, {one - 1, 0}};
    for (int i = 0; i < 3; i++) {
        const struct bgd_engine_options options = {.device = "cuda", .batch = cases[i].batch};
        struct bgd_engine *engine = (void *)1;
        struct bgd_err err = {0};
        emulation_fail_memory(cases[i].memory);
        cr_expect_eq(bgd_engine_open(&c->pipeline, &options, &engine, &err), BGD_MEMORY, "%s", err.text);
        cr_expect_null(engine);
        cr_expect(strstr(err.text, "out of memory"), "%s", err.text);
        cr_expect_eq(emulation_device_bytes(), 0);
    }
    close_engine_case(c);
}

/* ---------------------------------------------------------------- masks that are not finite */

/* Infinities of either sign meet where the picture is not black: there the mask is NAN. */
static struct net overflowing_segmenter(void)
{
    static const float large[] = {3e38f, 3e38f, 3e38f, -3e38f, -3e38f, -3e38f}, one[] = {1, 1}, bias[2] = {0};
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, HEIGHT, WIDTH});
    x = graph_conv(g, "conv1", x, 2, graph_window(1, 1, 0), 1, large, bias);
    x = graph_conv(g, "conv2", x, 1, graph_window(1, 1, 0), 1, one, bias);
    graph_output(g, unary(g, BGD_OP_SIGMOID, "mask", x));
    const struct meta meta = pipelines_segmenter_meta("overflows", WIDTH, HEIGHT);
    return net_finish(g, &meta, BGD_F32);
}

Test(cuda, a_mask_that_is_not_finite_is_found_runs_later)
{
    struct pair pair = nets_of_pair();
    struct net overflows = overflowing_segmenter();
    struct bgd_err err = {0};
    float scores[BATCH][6];
    const struct backend *cuda = &backend_cuda;
    must(open_pair(&pair, &err), &err);
    struct exec *bad = prepare(pair.device, &overflows, BATCH, NULL), *exec = pair.classifier;
    const struct backend_mask bad_mask = {bad, PIPELINE_SOFT}, mask = {pair.segmenter, PIPELINE_SOFT};
    must(cuda->feed(bad, 2, pair.pictures, NULL, &err) || cuda->run(bad, 2, &err), &err);
    must(cuda->feed(pair.segmenter, 2, pair.pictures, NULL, &err) || cuda->run(pair.segmenter, 2, &err), &err);
    must(cuda->feed(exec, 2, pair.pictures, &bad_mask, &err) || cuda->run(exec, 2, &err), &err);
    must(cuda->feed(exec, 2, pair.pictures, &mask, &err) || cuda->run(exec, 2, &err), &err);
    cr_expect_eq(cuda->fetch(exec, 1, 2, scores[0], &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "not finite"), "%s", err.text);
    must(score_pair(&pair, pair.sibling, 0, BATCH, scores[0], &err), &err); /* the other lane has seen none */
    cuda->release(bad);
    close_pair(&pair);
    free_pair(&pair);
    net_close(&overflows);
}
