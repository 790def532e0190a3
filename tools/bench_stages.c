#include "bench_stages.h"

#include "bench_crew.h"
#include "bench_rows.h"
#include "engine.h"
#include "err.h"
#include "feed.h"
#include "file.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a thread keeps from card to card. */
struct worker {
    struct file_buffer file;
    struct bgd_image image;
};

/* A lane of the engine, and a batch for it. */
struct lane {
    struct engine_lane engine;
    const struct bgd_image **images;
    const struct bgd_image **sights; /* what the segmenter sees: the images, or thumbnails of them */
    struct bgd_image *thumbnails;    /* NULL unless it sees such */
    struct feed_scratch scratch;
    struct bgd_result *found, *results; /* of the batch: as they were, and for evidence to fill */
    float *fetched;                     /* the largest output of one picture */
};

struct bench_stages {
    struct session *session;
    const struct bench_cards *cards;
    const struct bgd_result *results;
    uint32_t n_workers, n_lanes, batch;
    struct worker *workers;
    struct lane *lanes;
    const char *folder; /* for rows */
};

const char *bench_part_name(enum bench_part part)
{
    static const char *const names[] = {"read", "decode", "feed", "segment", "classify", "evidence", "write"};
    assert((size_t)part < BENCH_PARTS);
    return names[part];
}

bool bench_part_on_device(enum bench_part part, const struct session *session)
{
    bool lane = part == BENCH_FEED || part == BENCH_SEGMENT || part == BENCH_CLASSIFY;
    return lane && engine_lane(session->engine, 0).backend->own_memory;
}

double bench_part_of(enum bench_part part, const struct session *session, uint32_t threads)
{
    bool all = part == BENCH_READ || part == BENCH_DECODE || part == BENCH_WRITE || bench_part_on_device(part, session);
    return all ? 1 : fmin(1, (double)bgd_engine_lanes(session->engine) / threads);
}

/* ---------------------------------------------------------------- what threads do */

/* The next card of the round, as many times round as it has passes; NULL: it is over. */
static const struct bench_card *next_card(const struct bench_stages *stages, struct crew_round *round, uint32_t *index)
{
    uint64_t taken = atomic_fetch_add(&round->begun, 1);
    *index = (uint32_t)(taken % stages->cards->n);
    return taken < round->passes * stages->cards->n ? &stages->cards->cards[*index] : NULL;
}

static int read_cards(void *user, uint32_t worker, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    struct file_buffer *file = &stages->workers[worker].file;
    const struct bench_card *card;
    uint32_t index;
    while ((card = next_card(stages, round, &index))) {
        uint8_t digest[HASH_BYTES];
        if (file_read(card->path, BGD_IMAGE_BYTES_MAX, file, err))
            return err_prefix(err, "%s: ", card->path);
        hash_bytes(file->data, file->size, digest);
    }
    return 0;
}

static int decode_cards(void *user, uint32_t worker, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    const struct bgd_engine *engine = stages->session->engine;
    uint32_t width = stages->session->settings.exact ? 0 : bgd_engine_width(engine);
    uint32_t height = stages->session->settings.exact ? 0 : bgd_engine_height(engine);
    const struct bench_card *card;
    uint32_t index;
    while ((card = next_card(stages, round, &index)))
        if (bgd_image_decode(card->data, card->size, width, height, &stages->workers[worker].image, err))
            return err_prefix(err, "%s: ", card->path);
    return 0;
}

/* Each worker to a file of its own. */
static int write_rows(void *user, uint32_t worker, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    struct results *results = NULL;
    char name[32];
    snprintf(name, sizeof name, "rows-%u.jsonl", worker);
    if (bench_rows_open(stages->folder, name, stages->session, &results, err))
        return err->code;
    const struct bench_card *card;
    uint32_t index;
    int code = 0;
    while (!code && (card = next_card(stages, round, &index))) {
        const struct flow_row row = {.id = card->path,
                                     .path = card->path,
                                     .detail = "",
                                     .result = stages->results[index],
                                     .format = card->format,
                                     .width = card->width,
                                     .height = card->height,
                                     .hash = card->hash,
                                     .more = true};
        code = results_add(results, &row, err);
    }
    bench_rows_close(results);
    return code;
}

/* ---------------------------------------------------------------- what lanes do */

/* The device has done what it was given: one picture of the first output is there. */
static int await(const struct lane *lane, struct exec *exec, struct bgd_err *err)
{
    return exec ? lane->engine.backend->fetch(exec, 0, 1, lane->fetched, err) : 0;
}

static int feed_segmenter(const struct bench_stages *stages, struct lane *lane, struct bgd_err *err)
{
    const struct feed_spec *spec = &stages->session->pipeline->classifier->meta.input;
    for (uint32_t i = 0; lane->thumbnails && i < stages->batch; i++)
        if (feed_shrink(lane->images[i], spec->width, spec->height, &lane->scratch, &lane->thumbnails[i], err))
            return err->code;
    return lane->engine.backend->feed(lane->engine.segmenter, stages->batch, lane->sights, NULL, err);
}

static int feed_classifier(const struct bench_stages *stages, const struct lane *lane, struct bgd_err *err)
{
    const struct engine_lane *e = &lane->engine;
    const struct backend_mask mask = {e->segmenter, stages->session->pipeline->threshold};
    return e->backend->feed(e->classifier, stages->batch, lane->images, e->segmenter ? &mask : NULL, err);
}

static int feed_batches(void *user, uint32_t index, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    struct lane *lane = &stages->lanes[index];
    for (uint64_t i = 0; i < round->passes; i++)
        if ((lane->engine.segmenter && feed_segmenter(stages, lane, err)) || feed_classifier(stages, lane, err))
            return err->code;
    return await(lane, lane->engine.segmenter, err) || await(lane, lane->engine.classifier, err) ? err->code : 0;
}

static int run_batches(const struct bench_stages *stages, const struct lane *lane, struct exec *exec, uint64_t n,
                       struct bgd_err *err)
{
    for (uint64_t i = 0; i < n; i++)
        if (lane->engine.backend->run(exec, stages->batch, err))
            return err->code;
    return await(lane, exec, err);
}

static int segment_batches(void *user, uint32_t index, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    return run_batches(stages, &stages->lanes[index], stages->lanes[index].engine.segmenter, round->passes, err);
}

static int classify_batches(void *user, uint32_t index, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    return run_batches(stages, &stages->lanes[index], stages->lanes[index].engine.classifier, round->passes, err);
}

static int find_evidence(void *user, uint32_t index, struct crew_round *round, struct bgd_err *err)
{
    const struct bench_stages *stages = user;
    struct lane *lane = &stages->lanes[index];
    for (uint64_t i = 0; i < round->passes; i++) {
        memcpy(lane->results, lane->found, stages->batch * sizeof *lane->results);
        if (engine_evidence_find(lane->engine.evidence, lane->images, stages->batch, lane->results, err))
            return err->code;
    }
    return 0;
}

/* ---------------------------------------------------------------- open, close */

static size_t output_size(const struct bgd_model *model)
{
    return model ? (size_t)shape_size(model_shape(model, model->header->outputs[0])) : 0;
}

static int open_lane(struct bench_stages *stages, uint32_t index, struct bgd_err *err)
{
    struct lane *lane = &stages->lanes[index];
    const struct bgd_pipeline *p = stages->session->pipeline;
    const struct bench_cards *cards = stages->cards;
    uint32_t batch = stages->batch;
    size_t sizes[] = {output_size(p->segmenter), output_size(p->classifier)};
    bool thumbnails = p->segmenter && p->sight == PIPELINE_THUMBNAIL;
    lane->engine = engine_lane(stages->session->engine, index);
    lane->images = calloc(batch, sizeof *lane->images);
    lane->sights = calloc(batch, sizeof *lane->sights);
    lane->thumbnails = thumbnails ? calloc(batch, sizeof *lane->thumbnails) : NULL;
    lane->found = calloc(batch, sizeof *lane->found);
    lane->results = calloc(batch, sizeof *lane->results);
    lane->fetched = malloc((sizes[0] > sizes[1] ? sizes[0] : sizes[1]) * sizeof *lane->fetched);
    if (!lane->images || !lane->sights || (thumbnails && !lane->thumbnails) || !lane->found || !lane->results || !lane->fetched)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < batch; i++) { /* each lane goes on where the one before it ends */
        uint32_t card = (index * batch + i) % cards->n_images;
        lane->images[i] = &cards->images[card];
        lane->sights[i] = thumbnails ? &lane->thumbnails[i] : lane->images[i];
        lane->found[i] = stages->results[card];
    }
    return 0;
}

/* What the parts find already there: inputs, masks of these cards, and the activation of the classifier. */
static int run_once(struct bench_stages *stages, struct lane *lane, struct bgd_err *err)
{
    struct exec *segmenter = lane->engine.segmenter, *classifier = lane->engine.classifier;
    if (segmenter && (feed_segmenter(stages, lane, err) || run_batches(stages, lane, segmenter, 1, err)))
        return err->code;
    return feed_classifier(stages, lane, err) || run_batches(stages, lane, classifier, 1, err) ? err->code : 0;
}

int bench_stages_open(struct session *session, const struct bench_cards *cards, const struct bgd_result *results,
                      const char *folder, struct bench_stages **out, struct bgd_err *err)
{
    *out = NULL;
    struct bench_stages *stages = calloc(1, sizeof *stages);
    if (!stages)
        return err_set(err, BGD_MEMORY, "out of memory");
    stages->session = session;
    stages->cards = cards;
    stages->results = results;
    stages->folder = folder;
    stages->n_workers = session->settings.threads;
    stages->n_lanes = bgd_engine_lanes(session->engine);
    stages->batch = bgd_engine_batch(session->engine);
    stages->workers = calloc(stages->n_workers, sizeof *stages->workers);
    stages->lanes = calloc(stages->n_lanes, sizeof *stages->lanes);
    int code = stages->workers && stages->lanes ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < stages->n_lanes && !code; i++)
        code = open_lane(stages, i, err) || run_once(stages, &stages->lanes[i], err) ? err->code : 0;
    if (code) {
        bench_stages_close(stages);
        return code;
    }
    *out = stages;
    return 0;
}

static void close_lane(struct lane *lane, uint32_t batch)
{
    for (uint32_t i = 0; lane->thumbnails && i < batch; i++)
        bgd_image_free(&lane->thumbnails[i]);
    free(lane->thumbnails);
    free(lane->sights);
    free(lane->images);
    free(lane->found);
    free(lane->results);
    free(lane->fetched);
    feed_scratch_free(&lane->scratch);
}

void bench_stages_close(struct bench_stages *stages)
{
    if (!stages)
        return;
    for (uint32_t i = 0; stages->lanes && i < stages->n_lanes; i++)
        close_lane(&stages->lanes[i], stages->batch);
    for (uint32_t i = 0; stages->workers && i < stages->n_workers; i++) {
        free(stages->workers[i].file.data);
        bgd_image_free(&stages->workers[i].image);
    }
    free(stages->lanes);
    free(stages->workers);
    free(stages);
}

/* ---------------------------------------------------------------- measuring */

int bench_stages_measure(struct bench_stages *stages, enum bench_part part, uint32_t threads, double seconds,
                         struct bench_rate *rate, struct bgd_err *err)
{
    static int (*const works[])(void *, uint32_t, struct crew_round *, struct bgd_err *) = {
        [BENCH_READ] = read_cards,         [BENCH_DECODE] = decode_cards,       [BENCH_FEED] = feed_batches,
        [BENCH_SEGMENT] = segment_batches, [BENCH_CLASSIFY] = classify_batches, [BENCH_EVIDENCE] = find_evidence,
        [BENCH_WRITE] = write_rows};
    bool cards = part == BENCH_READ || part == BENCH_DECODE || part == BENCH_WRITE;
    assert(threads <= stages->n_workers);
    const struct crew_work work = {.workers = cards ? threads : stages->n_lanes,
                                   .images = cards ? stages->cards->n : (uint64_t)stages->n_lanes * stages->batch,
                                   .work = works[part],
                                   .user = stages};
    return crew_measure(&work, seconds, rate, err);
}
