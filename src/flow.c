#include "flow.h"

#include "err.h"
#include "file.h"
#include "hash.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEPT_BYTES (64u << 10) /* a larger picture's memory is given back once it is scored: each slot keeps its own */

/* A slot's way round: FREE -(catalogue)-> NAMED -(worker)-> DECODING -> READY -> SCORING -> DONE -(sink)-> FREE.
 * A file that cannot be read or decoded goes from DECODING to DONE. */
enum state { FREE, NAMED, DECODING, READY, SCORING, DONE };

struct slot {
    enum state state;
    char *id;
    float progress;
    struct bgd_image image;
    struct bgd_err err; /* code 0: the result holds */
    struct bgd_result result;
    float *mask; /* NULL unless masks are asked for */
    enum bgd_format format;
    uint32_t width, height;
    char hash[HASH_TEXT];
};

struct flow {
    const struct flow_options *options;
    uint8_t *memory; /* KEPT_BYTES for each slot's picture, where the device likes to read it; NULL: the heap is as good */
    flow_sink sink;
    void *user;
    uint32_t batch, lanes; /* of the engine */
    size_t mask_size;      /* floats of a mask; 0 unless masks are asked for */
    uint32_t n_slots;
    struct slot *slots; /* item i travels in slot i % n_slots */

    pthread_mutex_t lock;                    /* guards all below, and the states */
    pthread_cond_t named, work, done;        /* a slot is free again; there may be a job; a slot is DONE */
    uint64_t next_in, next_decode, next_out; /* items named, taken by a worker, given to the sink */
    uint32_t decoding;
    struct slot **ready; /* a ring of n_slots: those that wait to be scored, in order of decoding */
    uint32_t ready_at, n_ready;
    size_t pixel_bytes; /* of the slots that are READY or SCORING */
    bool *lane_busy;
    bool closed;        /* no further names */
    bool ended;         /* because there are none */
    bool failed;        /* the engine or the sink: everybody leaves */
    struct bgd_err err; /* the run's first error */
};

/* What one worker keeps from job to job. */
struct worker {
    struct flow *flow;
    pthread_t thread;
    struct file_buffer file;
    struct slot **slots; /* of a batch */
    const struct bgd_image **images;
    struct bgd_result *results;
    float *masks; /* of a batch */
    double read_seconds, decode_seconds;
};

static void keep_error(struct flow *flow, const struct bgd_err *err)
{
    if (!flow->err.code)
        flow->err = *err;
}

/* With the lock held: ends the run, and wakes everybody. */
static void fail(struct flow *flow, const struct bgd_err *err)
{
    keep_error(flow, err);
    flow->failed = true;
    pthread_cond_broadcast(&flow->named);
    pthread_cond_broadcast(&flow->work);
    pthread_cond_broadcast(&flow->done);
    static const uint64_t one = 1;
    if (flow->options->wake && write(*flow->options->wake, &one, sizeof one) < 0)
        return; /* it is full, so it is readable */
}

/* ---------------------------------------------------------------- jobs */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int decode_file(const struct flow *flow, struct slot *slot, struct worker *worker)
{
    struct file_buffer *file = &worker->file;
    double start = now();
    int code = file_read(slot->id, BGD_IMAGE_BYTES_MAX, file, &slot->err);
    double middle = now();
    worker->read_seconds += middle - start;
    if (code)
        return code;
    hash_text(file->data, file->size, slot->hash);
    const struct bgd_engine *engine = flow->options->engine;
    uint32_t width = flow->options->exact ? 0 : bgd_engine_width(engine);
    uint32_t height = flow->options->exact ? 0 : bgd_engine_height(engine);
    code = bgd_image_decode(file->data, file->size, width, height, &slot->image, &slot->err);
    worker->decode_seconds += now() - middle;
    return code;
}

static size_t image_bytes(const struct bgd_image *image)
{
    return (size_t)image->width * image->height * 3;
}

/* Gives back what the slot's picture has, and gives it what each begins with. */
static void renew_image(const struct flow *flow, struct slot *slot)
{
    bgd_image_free(&slot->image);
    if (!flow->memory)
        return;
    slot->image.rgb = flow->memory + (size_t)(slot - flow->slots) * KEPT_BYTES;
    slot->image.capacity = KEPT_BYTES;
    slot->image.borrowed = true;
}

/* Called, and left, with the lock held; works without it. */
static void decode_next(struct flow *flow, struct worker *worker)
{
    struct slot *slot = &flow->slots[flow->next_decode++ % flow->n_slots];
    assert(slot->state == NAMED);
    slot->state = DECODING;
    flow->decoding++;
    pthread_mutex_unlock(&flow->lock);

    slot->err.code = BGD_OK;
    slot->hash[0] = 0;
    int code = decode_file(flow, slot, worker);
    slot->format = slot->image.format;
    slot->width = slot->image.full_width;
    slot->height = slot->image.full_height;
    if (code && slot->image.capacity > KEPT_BYTES) /* a picture that broke off */
        renew_image(flow, slot);

    pthread_mutex_lock(&flow->lock);
    flow->decoding--;
    if (code == BGD_MEMORY) { /* a shortage of the machine's, not the card's fault: the run is to be tried again */
        err_prefix(&slot->err, "%s: ", slot->id);
        fail(flow, &slot->err);
        return;
    }
    slot->state = code ? DONE : READY;
    if (code) {
        pthread_cond_signal(&flow->done);
    } else {
        flow->ready[(flow->ready_at + flow->n_ready++) % flow->n_slots] = slot;
        flow->pixel_bytes += image_bytes(&slot->image);
    }
    pthread_cond_broadcast(&flow->work); /* a batch may be full, or this may have been the last picture of all */
}

static uint32_t take_batch(struct flow *flow, struct worker *worker)
{
    uint32_t n = flow->n_ready < flow->batch ? flow->n_ready : flow->batch;
    for (uint32_t i = 0; i < n; i++) {
        struct slot *slot = flow->ready[(flow->ready_at + i) % flow->n_slots];
        slot->state = SCORING;
        worker->slots[i] = slot;
        worker->images[i] = &slot->image;
    }
    flow->ready_at = (flow->ready_at + n) % flow->n_slots;
    flow->n_ready -= n;
    return n;
}

/* As decode_next. */
static void score_batch(struct flow *flow, struct worker *worker, uint32_t lane)
{
    uint32_t n = take_batch(flow, worker);
    flow->lane_busy[lane] = true;
    pthread_mutex_unlock(&flow->lock);

    struct bgd_err err;
    size_t bytes = 0;
    int code = bgd_engine_score(flow->options->engine, lane, worker->images, n, worker->results, &err);
    if (!code && flow->mask_size)
        code = bgd_engine_masks(flow->options->engine, lane, n, worker->masks, &err);
    for (uint32_t i = 0; i < n; i++) {
        worker->slots[i]->result = worker->results[i];
        if (flow->mask_size)
            memcpy(worker->slots[i]->mask, worker->masks + i * flow->mask_size, flow->mask_size * sizeof(float));
        bytes += image_bytes(&worker->slots[i]->image);
        if (worker->slots[i]->image.capacity > KEPT_BYTES)
            renew_image(flow, worker->slots[i]);
    }

    pthread_mutex_lock(&flow->lock);
    flow->lane_busy[lane] = false;
    flow->pixel_bytes -= bytes;
    for (uint32_t i = 0; i < n && !code; i++)
        worker->slots[i]->state = DONE;
    if (code)
        fail(flow, &err);
    pthread_cond_signal(&flow->done);
    pthread_cond_broadcast(&flow->work);
}

static uint32_t free_lane(const struct flow *flow)
{
    uint32_t lane = 0;
    while (lane < flow->lanes && flow->lane_busy[lane])
        lane++;
    return lane;
}

/*
 * The workers' only rule. A full batch goes first: it frees slots. A batch that is not full goes when waiting would
 * not fill it: when no picture is left to decode for now, or when those that wait take too much memory. Otherwise a
 * picture is decoded, if there is room for it.
 */
static void *work(void *argument)
{
    struct worker *worker = argument;
    struct flow *flow = worker->flow;
    pthread_mutex_lock(&flow->lock);
    while (!flow->failed) {
        bool idle = flow->next_decode == flow->next_in && flow->decoding == 0;
        bool crowded = flow->pixel_bytes > FLOW_PIXEL_BYTES;
        uint32_t lane = free_lane(flow);
        if (flow->n_ready > 0 && lane < flow->lanes && (flow->n_ready >= flow->batch || idle || crowded))
            score_batch(flow, worker, lane);
        else if (flow->next_decode < flow->next_in && !crowded)
            decode_next(flow, worker);
        else if (flow->closed && idle && flow->n_ready == 0)
            break;
        else
            pthread_cond_wait(&flow->work, &flow->lock);
    }
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the two ends */

/* Names items as long as there are slots. On the caller's thread, which is the one that signals interrupt. */
static void name_items(struct flow *flow, struct catalogue *catalogue)
{
    const volatile sig_atomic_t *stop = flow->options->stop;
    struct bgd_err err;
    struct item item = {0};
    int code = 1;
    while (code > 0 && !(stop && *stop)) {
        code = catalogue_next(catalogue, &item, &err);
        char *id = code > 0 ? strdup(item.id) : NULL;
        if (code > 0 && !id)
            code = err_set(&err, BGD_MEMORY, "out of memory");
        if (code <= 0)
            break;
        float progress = catalogue_progress(catalogue);
        pthread_mutex_lock(&flow->lock);
        struct slot *slot = &flow->slots[flow->next_in % flow->n_slots];
        while (slot->state != FREE && !flow->failed)
            pthread_cond_wait(&flow->named, &flow->lock);
        code = flow->failed ? 0 : code;
        if (code > 0) {
            slot->id = id;
            slot->progress = progress;
            slot->state = NAMED;
            flow->next_in++;
            pthread_cond_signal(&flow->work);
        } else {
            free(id);
        }
        pthread_mutex_unlock(&flow->lock);
    }
    bool stopped = stop && *stop;
    pthread_mutex_lock(&flow->lock);
    flow->closed = true;
    flow->ended = code == 0 && !stopped && !flow->failed;
    if (code < 0 && !stopped) /* what was named has its rows yet */
        keep_error(flow, &err);
    while (stopped && flow->next_in > flow->next_decode) { /* what no worker has begun is taken back */
        struct slot *slot = &flow->slots[--flow->next_in % flow->n_slots];
        free(slot->id);
        slot->id = NULL;
        slot->state = FREE;
    }
    pthread_cond_broadcast(&flow->work);
    pthread_cond_broadcast(&flow->done);
    pthread_mutex_unlock(&flow->lock);
}

static int give_row(struct flow *flow, const struct slot *slot, uint64_t index, bool more, struct bgd_err *err)
{
    const struct flow_row row = {
        .index = index,
        .id = slot->id,
        .code = slot->err.code,
        .detail = slot->err.code ? slot->err.text : "",
        .result = slot->result,
        .format = slot->format,
        .width = slot->width,
        .height = slot->height,
        .hash = slot->hash,
        .mask = slot->err.code ? NULL : slot->mask,
        .progress = slot->progress,
        .more = more,
    };
    return flow->sink(flow->user, &row, err);
}

/* Hands out the rows in order. After the engine's failure those that are done still go out, up to the first gap. */
static void *drain(void *argument)
{
    struct flow *flow = argument;
    pthread_mutex_lock(&flow->lock);
    for (;;) {
        struct slot *slot = &flow->slots[flow->next_out % flow->n_slots];
        if (slot->state != DONE) {
            if (flow->failed || (flow->closed && flow->next_out == flow->next_in))
                break;
            pthread_cond_wait(&flow->done, &flow->lock);
            continue;
        }
        bool more = flow->slots[(flow->next_out + 1) % flow->n_slots].state == DONE;
        uint64_t index = flow->next_out;
        pthread_mutex_unlock(&flow->lock);
        struct bgd_err err;
        int code = give_row(flow, slot, index, more, &err);
        pthread_mutex_lock(&flow->lock);
        free(slot->id);
        slot->id = NULL;
        slot->state = FREE;
        flow->next_out++;
        if (code) {
            fail(flow, &err);
            break;
        }
        pthread_cond_signal(&flow->named);
    }
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the run */

uint32_t flow_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (uint32_t)n : 1;
}

static void destroy(struct flow *flow, struct worker *workers, uint32_t n_workers)
{
    for (uint32_t i = 0; workers && i < n_workers; i++) {
        free(workers[i].file.data);
        free(workers[i].slots);
        free(workers[i].images);
        free(workers[i].results);
        free(workers[i].masks);
    }
    for (uint32_t i = 0; flow->slots && i < flow->n_slots; i++) {
        bgd_image_free(&flow->slots[i].image);
        free(flow->slots[i].id);
        free(flow->slots[i].mask);
    }
    free(workers);
    free(flow->slots);
    free(flow->ready);
    free(flow->lane_busy);
    pthread_mutex_destroy(&flow->lock);
    pthread_cond_destroy(&flow->named);
    pthread_cond_destroy(&flow->work);
    pthread_cond_destroy(&flow->done);
}

static int create(struct flow *flow, struct worker **out, uint32_t n_workers, struct bgd_err *err)
{
    const struct bgd_engine *engine = flow->options->engine;
    flow->batch = bgd_engine_batch(engine);
    flow->lanes = bgd_engine_lanes(engine);
    if (flow->options->masks)
        flow->mask_size = (size_t)bgd_engine_mask_width(engine) * bgd_engine_mask_height(engine);
    /* Every lane and one more with a full batch and another behind it, and what the workers hold. */
    flow->n_slots = 2 * flow->batch * (flow->lanes + 1) + 4 * n_workers;
    flow->slots = calloc(flow->n_slots, sizeof *flow->slots);
    flow->ready = calloc(flow->n_slots, sizeof *flow->ready);
    flow->lane_busy = calloc(flow->lanes, sizeof *flow->lane_busy);
    struct worker *workers = *out = calloc(n_workers, sizeof *workers);
    bool complete = flow->slots && flow->ready && flow->lane_busy && workers;
    flow->memory = complete ? bgd_engine_memory(flow->options->engine, (size_t)flow->n_slots * KEPT_BYTES) : NULL;
    for (uint32_t i = 0; complete && i < flow->n_slots; i++)
        renew_image(flow, &flow->slots[i]);
    for (uint32_t i = 0; complete && i < n_workers; i++) {
        workers[i].flow = flow;
        workers[i].slots = calloc(flow->batch, sizeof *workers[i].slots);
        workers[i].images = calloc(flow->batch, sizeof *workers[i].images);
        workers[i].results = calloc(flow->batch, sizeof *workers[i].results);
        complete = workers[i].slots && workers[i].images && workers[i].results;
        if (flow->mask_size)
            complete = (workers[i].masks = malloc(flow->batch * flow->mask_size * sizeof(float))) && complete;
    }
    for (uint32_t i = 0; complete && flow->mask_size && i < flow->n_slots; i++)
        complete = (flow->slots[i].mask = malloc(flow->mask_size * sizeof(float)));
    return complete ? 0 : err_set(err, BGD_MEMORY, "out of memory for %u slots", flow->n_slots);
}

/* Starts the threads with all signals blocked: they reach the caller's thread, whose reads they end. */
static uint32_t start(struct flow *flow, struct worker *workers, uint32_t n_workers, pthread_t *drainer, bool *draining)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    uint32_t started = 0;
    *draining = pthread_create(drainer, NULL, drain, flow) == 0;
    while (*draining && started < n_workers && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

int flow_run(const struct flow_options *options, struct catalogue *catalogue, flow_sink sink, void *user,
             struct flow_report *report, struct bgd_err *err)
{
    struct flow flow = {.options = options, .sink = sink, .user = user};
    struct worker *workers = NULL;
    uint32_t n_workers = options->threads ? options->threads : flow_processors();
    pthread_mutex_init(&flow.lock, NULL);
    pthread_cond_init(&flow.named, NULL);
    pthread_cond_init(&flow.work, NULL);
    pthread_cond_init(&flow.done, NULL);
    int code = create(&flow, &workers, n_workers, err);
    if (!code) {
        pthread_t drainer;
        bool draining;
        uint32_t started = start(&flow, workers, n_workers, &drainer, &draining);
        if (started > 0) {
            name_items(&flow, catalogue);
        } else { /* fewer workers than asked for do the work, none cannot */
            pthread_mutex_lock(&flow.lock);
            err_set(err, BGD_MEMORY, "no thread could be started");
            fail(&flow, err);
            pthread_mutex_unlock(&flow.lock);
        }
        for (uint32_t i = 0; i < started; i++)
            pthread_join(workers[i].thread, NULL);
        if (draining)
            pthread_join(drainer, NULL);
        if ((code = flow.err.code))
            *err = flow.err;
    }
    if (report)
        *report = (struct flow_report){.ended = flow.ended && !code};
    for (uint32_t i = 0; report && workers && i < n_workers; i++) {
        report->read += workers[i].read_seconds;
        report->decode += workers[i].decode_seconds;
    }
    destroy(&flow, workers, n_workers);
    return code;
}
