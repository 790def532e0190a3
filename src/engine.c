/* A pipeline made ready on a device: an exec per network and lane, and the way from scores to a result. */
#include "engine.h"

#include "clock.h"
#include "err.h"
#include "pipeline.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct exec *segmenter; /* NULL without one */
    struct exec *classifier;
    float *scores;                   /* (batch, labels) */
    struct bgd_image *thumbnails;    /* (batch), if the segmenter sees them */
    const struct bgd_image **sights; /* (batch): where they are */
    struct feed_scratch scratch;     /* for shrinking to them */
    struct engine_evidence evidence;
    atomic_uint_fast64_t segment_ns, classify_ns, evidence_ns; /* the lane's thread adds, anybody reads */
};

struct bgd_engine {
    const struct bgd_pipeline *pipeline;
    const struct backend *backend;
    struct device *device;
    uint64_t gpus;              /* the set; 0 on a CPU */
    uint32_t n_gpus;            /* in it; a CPU counts as one */
    struct bgd_err passed_over; /* a faster device's, code 0 if there is none */
    void *memory;               /* the device's, which callers fill */
    size_t memory_size;
    uint32_t n_lanes;
    struct lane *lanes; /* taking turns among the GPUs: on each, those behind its first share that one's weights */
    uint32_t batch;
    bool halved;
    bool uncalibrated;
    bool evidence;
    uint32_t scores_output;
    int activation_output;    /* or -1 */
    uint32_t defective;       /* label index */
    int reasons[BGD_REASONS]; /* label index, or -1 */
};

const char *bgd_reason_name(enum bgd_reason reason)
{
    static const char *const names[] = {"text", "not_white", "extra_objects", "cropped", "duplicates"};
    assert((size_t)reason < BGD_REASONS);
    return names[reason];
}

const char *bgd_verdict_name(enum bgd_verdict verdict)
{
    static const char *const names[] = {"clean", "review", "defective"};
    assert((size_t)verdict < BGD_VERDICTS);
    return names[verdict];
}

const char *bgd_side_name(enum bgd_side side)
{
    static const char *const names[] = {"none", "left", "top", "right", "bottom"};
    assert((size_t)side < BGD_SIDES);
    return names[side];
}

/* The place of a value among the outputs, or -1. */
static int find_output(const struct bgd_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->header->n_outputs; i++)
        if ((int)model->header->outputs[i] == model_output(model, name))
            return (int)i;
    return -1;
}

static int find_labels(struct bgd_engine *engine, struct bgd_err *err)
{
    const struct bgd_model *classifier = engine->pipeline->classifier;
    int defective = meta_label(&classifier->meta, "defective");
    if (defective < 0)
        return err_set(err, BGD_ARGUMENT,
                       "the model has no label \"defective\": bgdet convert --labels names a model's outputs");
    engine->defective = (uint32_t)defective;
    for (int i = 0; i < BGD_REASONS; i++)
        engine->reasons[i] = meta_label(&classifier->meta, bgd_reason_name((enum bgd_reason)i));
    engine->scores_output = (uint32_t)find_output(classifier, "scores"); /* every classifier has it */
    bool sigmoid = strcmp(classifier->meta.head, "sigmoid") == 0;        /* of a softmax, a logit alone says nothing */
    engine->activation_output = sigmoid ? find_output(classifier, "activation") : -1;
    return 0;
}

static int prepare_thumbnails(struct lane *lane, uint32_t batch, struct bgd_err *err)
{
    lane->thumbnails = calloc(batch, sizeof *lane->thumbnails);
    lane->sights = calloc(batch, sizeof *lane->sights);
    if (!lane->thumbnails || !lane->sights)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < batch; i++)
        lane->sights[i] = &lane->thumbnails[i];
    return 0;
}

static int prepare_evidence(const struct bgd_engine *engine, struct lane *lane, struct bgd_err *err)
{
    lane->evidence = (struct engine_evidence){.pipeline = engine->pipeline,
                                              .backend = engine->backend,
                                              .segmenter = lane->segmenter,
                                              .classifier = lane->classifier,
                                              .activation_output = engine->activation_output,
                                              .labels = engine->reasons,
                                              .batch = engine->batch};
    return engine_evidence_prepare(&lane->evidence, err);
}

/* The number of the i-th GPU of a set; 0 of none. */
static uint32_t gpu_number(uint64_t gpus, uint32_t i)
{
    while (i-- > 0)
        gpus &= gpus - 1; /* without the lowest */
    return gpus ? (uint32_t)__builtin_ctzll(gpus) : 0;
}

/* A network of a lane that is made ready. */
struct preparation {
    const struct bgd_engine *engine;
    uint32_t gpu;
    const struct bgd_model *model;
    struct exec *sibling, **exec;
    struct bgd_err err;
};

static void *prepare(void *user)
{
    struct preparation *p = user;
    const struct bgd_engine *engine = p->engine;
    if (engine->backend->prepare(engine->device, p->gpu, p->model, engine->batch, p->sibling, p->exec, &p->err))
        err_prefix(&p->err, "%s: ", p->model->meta.arch);
    return NULL;
}

/* Both at the same time where that is the host's work: of a start, nearly all. */
static int prepare_networks(const struct bgd_engine *engine, uint32_t index, struct lane *lane, struct bgd_err *err)
{
    const struct lane *first = &engine->lanes[index % engine->n_gpus]; /* if it is this one, its execs are NULL so far */
    uint32_t gpu = gpu_number(engine->gpus, index % engine->n_gpus);
    struct preparation classifier = {engine, gpu, engine->pipeline->classifier, first->classifier, &lane->classifier, {0}},
                       segmenter = {engine, gpu, engine->pipeline->segmenter, first->segmenter, &lane->segmenter, {0}};
    pthread_t thread;
    bool wanted = segmenter.model != NULL;
    bool beside = wanted && !engine->backend->own_memory && pthread_create(&thread, NULL, prepare, &segmenter) == 0;
    prepare(&classifier);
    if (beside)
        pthread_join(thread, NULL);
    else if (wanted && !classifier.err.code)
        prepare(&segmenter);
    const struct bgd_err *failed = classifier.err.code ? &classifier.err : &segmenter.err;
    if (failed->code)
        *err = *failed;
    return failed->code;
}

static int open_lane(struct bgd_engine *engine, uint32_t index, struct bgd_err *err)
{
    const struct bgd_pipeline *p = engine->pipeline;
    struct lane *lane = &engine->lanes[index];
    if (prepare_networks(engine, index, lane, err))
        return err->code;
    lane->scores = calloc((size_t)engine->batch * p->classifier->meta.n_labels, sizeof *lane->scores);
    if (!lane->scores)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (engine->evidence && prepare_evidence(engine, lane, err))
        return err->code;
    return p->segmenter && p->sight == PIPELINE_THUMBNAIL ? prepare_thumbnails(lane, engine->batch, err) : 0;
}

static void close_lane(const struct bgd_engine *engine, struct lane *lane)
{
    engine->backend->release(lane->segmenter);
    engine->backend->release(lane->classifier);
    for (uint32_t i = 0; lane->thumbnails && i < engine->batch; i++)
        bgd_image_free(&lane->thumbnails[i]);
    free(lane->thumbnails);
    free(lane->sights);
    free(lane->scores);
    feed_scratch_free(&lane->scratch);
    engine_evidence_free(&lane->evidence);
}

static void close_lanes(struct bgd_engine *engine)
{
    for (uint32_t i = engine->lanes ? engine->n_lanes : 0; i > 0; i--) /* first lanes last: they are siblings */
        close_lane(engine, &engine->lanes[i - 1]);
    free(engine->lanes);
    engine->lanes = NULL;
}

static int open_lanes(struct bgd_engine *engine, struct bgd_err *err)
{
    engine->lanes = calloc(engine->n_lanes, sizeof *engine->lanes);
    if (!engine->lanes)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < engine->n_lanes; i++) {
        int code = open_lane(engine, i, err);
        if (code == BGD_MEMORY && i >= engine->n_gpus && engine->backend->own_memory) {
            close_lane(engine, &engine->lanes[i]);
            engine->n_lanes = i; /* they will do */
        } else if (code) {
            return code;
        }
    }
    return 0;
}

/* As many as were asked for and help, on each GPU. */
static uint32_t count_lanes(const struct bgd_engine *engine, const struct bgd_engine_options *options)
{
    uint32_t asked = engine->backend->own_memory && options->gpu_lanes ? options->gpu_lanes : options->lanes;
    uint32_t most = engine->backend->lanes;
    return engine->n_gpus * (asked == 0 ? 1 : asked < most ? asked : most);
}

/* With the largest batch, of the one that was asked for and its halves, for which a lane has memory. */
static int open_lanes_that_fit(struct bgd_engine *engine, struct bgd_err *err)
{
    int code;
    while ((code = open_lanes(engine, err)) == BGD_MEMORY && engine->backend->own_memory && engine->batch != 1) {
        close_lanes(engine);
        engine->batch /= 2;
        engine->halved = true;
    }
    return code;
}

int bgd_engine_open(const struct bgd_pipeline *pipeline, const struct bgd_engine_options *options, struct bgd_engine **out,
                    struct bgd_err *err)
{
    *out = NULL;
    struct bgd_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_set(err, BGD_MEMORY, "out of memory");
    engine->pipeline = pipeline;
    engine->batch = options->batch;
    engine->uncalibrated = options->uncalibrated;
    engine->evidence = options->evidence;
    if (find_labels(engine, err) ||
        backend_open(options->device, options->gpus, options->precision, &engine->backend, &engine->device,
                     &engine->passed_over, err) ||
        (options->autotune && engine->backend->autotune(engine->device, err))) {
        bgd_engine_close(engine);
        return err->code;
    }
    engine->gpus = engine->backend->gpus(engine->device);
    engine->n_gpus = engine->gpus ? (uint32_t)__builtin_popcountll(engine->gpus) : 1;
    engine->n_lanes = count_lanes(engine, options);
    /* The classifier, whose values are smaller, wants the larger one; networks run in tiles of their own. */
    if (engine->batch == 0)
        engine->batch = engine->backend->batch_for(engine->device, pipeline->classifier);
    if (open_lanes_that_fit(engine, err)) {
        bgd_engine_close(engine);
        return err->code;
    }
    *out = engine;
    return 0;
}

void bgd_engine_close(struct bgd_engine *engine)
{
    if (!engine)
        return;
    close_lanes(engine);
    if (engine->device)
        engine->backend->close(engine->device);
    free(engine);
}

const char *bgd_engine_device(const struct bgd_engine *engine)
{
    return engine->backend->name;
}

const char *bgd_engine_passed_over(const struct bgd_engine *engine)
{
    return engine->passed_over.code ? engine->passed_over.text : "";
}

uint64_t bgd_engine_gpus(const struct bgd_engine *engine)
{
    return engine->gpus;
}

uint32_t bgd_engine_lanes(const struct bgd_engine *engine)
{
    return engine->n_lanes;
}

uint32_t bgd_engine_batch(const struct bgd_engine *engine)
{
    return engine->batch;
}

bool bgd_engine_halved(const struct bgd_engine *engine)
{
    return engine->halved;
}

struct engine_lane engine_lane(struct bgd_engine *engine, uint32_t index)
{
    assert(index < engine->n_lanes);
    struct lane *lane = &engine->lanes[index];
    return (struct engine_lane){.backend = engine->backend,
                                .device = engine->device,
                                .gpu = gpu_number(engine->gpus, index % engine->n_gpus),
                                .segmenter = lane->segmenter,
                                .classifier = lane->classifier,
                                .evidence = engine->evidence ? &lane->evidence : NULL};
}

bool bgd_engine_waits(const struct bgd_engine *engine)
{
    return engine->backend->own_memory;
}

void *bgd_engine_memory(struct bgd_engine *engine, size_t bytes)
{
    if (bytes > engine->memory_size) {
        engine->memory = engine->backend->memory(engine->device, bytes);
        engine->memory_size = engine->memory ? bytes : 0;
    }
    return engine->memory;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The segmenter where it looks at the photo itself, else NULL. */
static const struct bgd_model *sees_photo(const struct bgd_engine *engine)
{
    return engine->pipeline->sight == PIPELINE_PHOTO ? engine->pipeline->segmenter : NULL;
}

uint32_t bgd_engine_width(const struct bgd_engine *engine)
{
    const struct bgd_model *segmenter = sees_photo(engine);
    return larger(engine->pipeline->classifier->meta.input.width, segmenter ? segmenter->meta.input.width : 0);
}

uint32_t bgd_engine_height(const struct bgd_engine *engine)
{
    const struct bgd_model *segmenter = sees_photo(engine);
    return larger(engine->pipeline->classifier->meta.input.height, segmenter ? segmenter->meta.input.height : 0);
}

uint32_t bgd_engine_mask_width(const struct bgd_engine *engine)
{
    return engine->pipeline->segmenter ? engine->pipeline->segmenter->meta.input.width : 0;
}

uint32_t bgd_engine_mask_height(const struct bgd_engine *engine)
{
    return engine->pipeline->segmenter ? engine->pipeline->segmenter->meta.input.height : 0;
}

/* ---------------------------------------------------------------- scoring */

/* Counts the time since *at, which becomes now. */
static void spend(atomic_uint_fast64_t *ns, double *at)
{
    double start = *at;
    *at = clock_now();
    *ns += (uint64_t)((*at - start) * 1e9);
}

/* Leaves the masks in the lane's segmenter. */
static int segment(const struct bgd_engine *engine, struct lane *lane, const struct bgd_image *const *images, uint32_t n,
                   struct bgd_err *err)
{
    const struct feed_spec *spec = &engine->pipeline->classifier->meta.input;
    bool thumbnail = engine->pipeline->sight == PIPELINE_THUMBNAIL;
    for (uint32_t i = 0; i < n && thumbnail; i++)
        if (feed_shrink(images[i], spec->width, spec->height, &lane->scratch, &lane->thumbnails[i], err))
            return err->code;
    return engine->backend->feed(lane->segmenter, n, thumbnail ? lane->sights : images, NULL, err) ||
                   engine->backend->run(lane->segmenter, n, err)
               ? err->code
               : 0;
}

static int classify(const struct bgd_engine *engine, struct lane *lane, const struct bgd_image *const *images, uint32_t n,
                    struct bgd_err *err)
{
    const struct backend *backend = engine->backend;
    const struct backend_mask mask = {lane->segmenter, engine->pipeline->threshold};
    return backend->feed(lane->classifier, n, images, lane->segmenter ? &mask : NULL, err) ||
                   backend->run(lane->classifier, n, err) ||
                   backend->fetch(lane->classifier, engine->scores_output, n, lane->scores, err)
               ? err->code
               : 0;
}

/* P of a label: its score, calibrated if the model is. */
static float label_p(const struct bgd_engine *engine, const float *scores, int label)
{
    const struct calibration *calibrations = engine->pipeline->classifier->meta.calibrations;
    return calibrations && !engine->uncalibrated ? calibration_apply(calibrations[label], scores[label]) : scores[label];
}

static int judge(const struct bgd_engine *engine, const float *scores, struct bgd_result *result, struct bgd_err *err)
{
    const struct meta *meta = &engine->pipeline->classifier->meta;
    for (uint32_t i = 0; i < meta->n_labels; i++)
        if (!(scores[i] >= 0)) /* weights that overflow: "not defective" would be a lie */
            return err_set(err, BGD_DAMAGED, "the model computes %g as the score of \"%s\"", (double)scores[i],
                           meta->labels[i]);
    result->score = label_p(engine, scores, (int)engine->defective);
    result->verdict = meta_verdict(meta, engine->defective, result->score);
    for (int i = 0; i < BGD_REASONS; i++) {
        int label = engine->reasons[i];
        result->reasons[i] = label < 0 ? NAN : label_p(engine, scores, label);
        result->holds[i] = label >= 0 && result->reasons[i] >= meta->thresholds[label];
    }
    result->n_regions = 0;
    return 0;
}

int bgd_engine_score(struct bgd_engine *engine, uint32_t lane_index, const struct bgd_image *const *images, uint32_t n,
                     struct bgd_result *results, struct bgd_err *err)
{
    assert(lane_index < engine->n_lanes);
    struct lane *lane = &engine->lanes[lane_index];
    if (n > engine->batch)
        return err_set(err, BGD_ARGUMENT, "%u pictures in one call, at most %u fit", n, engine->batch);
    double at = clock_now();
    if (lane->segmenter) {
        if (segment(engine, lane, images, n, err))
            return err->code;
        spend(&lane->segment_ns, &at);
    }
    if (classify(engine, lane, images, n, err))
        return err->code;
    for (uint32_t i = 0; i < n; i++)
        if (judge(engine, lane->scores + (size_t)i * engine->pipeline->classifier->meta.n_labels, &results[i], err))
            return err->code;
    spend(&lane->classify_ns, &at);
    if (engine->evidence && engine_evidence_find(&lane->evidence, images, n, results, err))
        return err->code;
    spend(&lane->evidence_ns, &at);
    return 0;
}

int bgd_engine_masks(struct bgd_engine *engine, uint32_t lane, uint32_t n, float *masks, struct bgd_err *err)
{
    assert(lane < engine->n_lanes && n <= engine->batch);
    if (!engine->pipeline->segmenter)
        return err_set(err, BGD_ARGUMENT, "there are no masks: the pipeline has no segmenter");
    return engine->backend->fetch(engine->lanes[lane].segmenter, 0, n, masks, err);
}

struct bgd_engine_seconds bgd_engine_seconds(const struct bgd_engine *engine)
{
    struct bgd_engine_seconds sum = {0};
    for (uint32_t i = 0; i < engine->n_lanes; i++) {
        sum.segment += (double)engine->lanes[i].segment_ns * 1e-9;
        sum.classify += (double)engine->lanes[i].classify_ns * 1e-9;
        sum.evidence += (double)engine->lanes[i].evidence_ns * 1e-9;
    }
    return sum;
}
