#include "../clock.h"
#include "../err.h"
#include "flow_ring.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_BYTES (64u << 10) /* of the heap's, for a slot's picture */
#define PAGE 4096u

static void keep_error(struct flow *flow, const struct bgd_err *err)
{
    if (!flow->err.code)
        flow->err = *err;
}

void flow_fail(struct flow *flow, const struct bgd_err *err)
{
    if (err)
        keep_error(flow, err);
    flow->failed = true;
    pthread_cond_broadcast(&flow->named);
    pthread_cond_broadcast(&flow->to_read);
    pthread_cond_broadcast(&flow->work);
    pthread_cond_broadcast(&flow->done);
    static const uint64_t one = 1;
    if (flow->options->wake && write(*flow->options->wake, &one, sizeof one) < 0)
        return; /* it is full, so it is readable */
}

void flow_add_file(struct flow *flow, const struct slot *slot)
{
    flow->file_bytes += slot->file.size;
    flow->report.bytes += slot->file.size;
    flow->report.files += slot->file.size > 0;
}

static void give_back(struct flow *flow, size_t bytes)
{
    bool full = flow->file_bytes > FLOW_FILE_BYTES;
    flow->file_bytes -= bytes;
    if (full) {
        pthread_cond_broadcast(&flow->to_read);
        pthread_cond_signal(&flow->named);
    }
}

void flow_drop_file(struct flow *flow, struct slot *slot)
{
    give_back(flow, slot->file.size);
    free(slot->file.data);
    slot->file = (struct file_buffer){0};
}

static size_t carried_bytes(const struct slot *slot)
{
    return slot->carried ? strlen(slot->carried) : 0;
}

static void follow(struct slot *slot, const struct slot *followee)
{
    slot->err = followee->err;
    slot->result = followee->result;
    slot->format = followee->format;
    slot->width = followee->width;
    slot->height = followee->height;
    slot->known = true;
    slot->state = DONE;
}

void flow_done(struct flow *flow, struct slot *slot)
{
    slot->state = DONE;
    for (struct slot *other = slot->followers; other; other = other->next_follower)
        follow(other, slot);
    slot->followers = NULL;
    pthread_cond_signal(&flow->done);
}

/* ---------------------------------------------------------------- jobs */

static int decode_file(const struct flow *flow, struct slot *slot)
{
    const struct bgd_engine *engine = flow->options->engine;
    uint32_t width = flow->options->exact ? 0 : bgd_engine_width(engine);
    uint32_t height = flow->options->exact ? 0 : bgd_engine_height(engine);
    return bgd_image_decode(slot->file.data, slot->file.size, width, height, &slot->image, &slot->err);
}

static size_t heap_bytes(const struct bgd_image *image)
{
    return image->borrowed ? 0 : (size_t)image->width * image->height * 3;
}

/* Gives back what the slot's picture has, and gives it what each begins with. */
static void renew_image(const struct flow *flow, struct slot *slot)
{
    bgd_image_free(&slot->image);
    if (!flow->memory)
        return;
    slot->image.rgb = flow->memory + (size_t)(slot - flow->slots) * flow->kept;
    slot->image.capacity = flow->kept;
    slot->image.borrowed = true;
}

/* Called, and left, with the lock held; works without it. */
static void decode_next(struct flow *flow)
{
    struct slot *slot = fifo_take(&flow->read);
    assert(slot->state == READ);
    slot->state = DECODING;
    flow->decoding++;
    flow_pass_on(flow);
    pthread_mutex_unlock(&flow->lock);

    double start = clock_now();
    slot->err.code = BGD_OK;
    int code = decode_file(flow, slot);
    slot->format = slot->image.format;
    slot->width = slot->image.full_width;
    slot->height = slot->image.full_height;
    if (code && slot->image.capacity > flow->kept) /* a picture that broke off */
        renew_image(flow, slot);
    double seconds = clock_now() - start;

    pthread_mutex_lock(&flow->lock);
    flow->report.decode += seconds;
    flow->report.pictures++;
    flow->decoding--;
    if (!flow->options->files)
        flow_drop_file(flow, slot);
    if (code == BGD_MEMORY) { /* a shortage of the machine's, not the card's fault: the run is to be tried again */
        err_prefix(&slot->err, "%s: ", slot->id);
        flow_fail(flow, &slot->err);
        return;
    }
    if (code) {
        flow_done(flow, slot);
    } else {
        slot->state = READY;
        fifo_put(&flow->ready, slot);
        flow->pixel_bytes += heap_bytes(&slot->image);
    }
}

static uint32_t take_batch(struct flow *flow, struct lane *lane)
{
    uint32_t n = flow->ready.n < flow->batch ? flow->ready.n : flow->batch;
    for (uint32_t i = 0; i < n; i++) {
        struct slot *slot = fifo_take(&flow->ready);
        slot->state = SCORING;
        lane->slots[i] = slot;
        lane->images[i] = &slot->image;
    }
    return n;
}

/* As decode_next. */
static void score_batch(struct flow *flow, struct lane *lane)
{
    struct bgd_engine *engine = flow->options->engine;
    uint32_t n = take_batch(flow, lane), index = (uint32_t)(lane - flow->lanes);
    lane->busy = true;
    flow_pass_on(flow);
    pthread_mutex_unlock(&flow->lock);

    struct bgd_err err;
    size_t bytes = 0;
    int code = bgd_engine_score(engine, index, lane->images, n, lane->results, &err);
    if (!code && flow->mask_size)
        code = bgd_engine_masks(engine, index, n, lane->masks, &err);
    for (uint32_t i = 0; i < n; i++) {
        struct slot *slot = lane->slots[i];
        slot->result = lane->results[i];
        if (flow->mask_size)
            memcpy(slot->mask, lane->masks + i * flow->mask_size, flow->mask_size * sizeof(float));
        bytes += heap_bytes(&slot->image);
        if (slot->image.capacity > flow->kept)
            renew_image(flow, slot);
    }

    pthread_mutex_lock(&flow->lock);
    lane->busy = false;
    flow->pixel_bytes -= bytes;
    for (uint32_t i = 0; i < n && !code; i++)
        flow_done(flow, lane->slots[i]);
    if (code)
        flow_fail(flow, &err);
}

/* NULL if all are busy. */
static struct lane *free_lane(const struct flow *flow)
{
    for (uint32_t i = 0; i < flow->n_lanes; i++)
        if (!flow->lanes[i].busy)
            return &flow->lanes[i];
    return NULL;
}

enum job { WAIT, SCORE, DECODE, LEAVE };

/*
 * The workers' only rule. A full batch goes first: it frees slots. A batch that is not full goes when waiting would
 * not fill it: when no picture is there to decode for now, or when those that wait take too much memory. Otherwise a
 * picture is decoded, if there is room for it, and nobody in the way.
 */
static enum job next_job(const struct flow *flow)
{
    bool idle = flow->read.n == 0 && flow->decoding == 0;
    bool crowded = flow->pixel_bytes > FLOW_PIXEL_BYTES;
    if (flow->ready.n > 0 && free_lane(flow) && (flow->ready.n >= flow->batch || idle || crowded))
        return SCORE;
    if (flow->read.n > 0 && !crowded && flow->decoding < flow->decoders)
        return DECODE;
    return flow_all_read(flow) && idle && flow->ready.n == 0 ? LEAVE : WAIT;
}

void flow_pass_on(struct flow *flow)
{
    if (next_job(flow) != WAIT)
        pthread_cond_signal(&flow->work);
}

static void *work(void *argument)
{
    struct flow *flow = argument;
    enum job job = WAIT;
    pthread_mutex_lock(&flow->lock);
    while (!flow->failed && job != LEAVE) {
        job = next_job(flow);
        if (job == SCORE)
            score_batch(flow, free_lane(flow));
        else if (job == DECODE)
            decode_next(flow);
        else if (job == WAIT)
            pthread_cond_wait(&flow->work, &flow->lock);
    }
    flow_pass_on(flow); /* it is the others' time to leave, too */
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the two ends */

static void unclaim(struct flow *flow, struct slot *slot)
{
    struct slot **at = flow_chain(flow, slot->digest);
    while (*at != slot)
        at = &(*at)->next_claimed;
    *at = slot->next_claimed;
}

static void empty_slot(struct flow *flow, struct slot *slot)
{
    if (slot->claimed)
        unclaim(flow, slot);
    flow_drop_file(flow, slot);
    give_back(flow, slot->state == FREE ? 0 : carried_bytes(slot));
    free(slot->id);
    free(slot->path);
    free(slot->carried);
    *slot = (struct slot){.image = slot->image, .mask = slot->mask};
}

/* A slot with the item in it, state FREE; what it borrows is copied, its data taken over. BGD_MEMORY. */
static int fill_slot(struct slot *slot, struct item *item, struct bgd_err *err)
{
    *slot = (struct slot){
        .id = strdup(item->id),
        .path = item->path ? strdup(item->path) : NULL,
        .carried = item->carried ? strdup(item->carried) : NULL,
        .shard = item->shard,
        .source = item->source,
        .size = item->bytes,
        .mtime = item->mtime,
        .file = {.data = item->data, .size = item->size, .capacity = item->size},
        .err.code = (enum bgd_code)item->code,
    };
    item->data = NULL;
    if (item->code)
        snprintf(slot->err.text, sizeof slot->err.text, "%s", item->detail);
    bool complete = slot->id && (slot->path || !item->path) && (slot->carried || !item->carried);
    return complete ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

/* Puts what fill_slot has filled into the ring when there is room. False: the run has failed. With the lock held. */
static bool name_item(struct flow *flow, const struct slot *filled)
{
    struct slot *slot = &flow->slots[flow->next_in % flow->n_slots];
    while ((slot->state != FREE || flow->file_bytes > FLOW_FILE_BYTES) && !flow->failed)
        pthread_cond_wait(&flow->named, &flow->lock);
    if (flow->failed)
        return false;
    struct bgd_image image = slot->image;
    float *mask = slot->mask;
    *slot = *filled;
    slot->image = image;
    slot->mask = mask;
    slot->state = NAMED;
    flow->next_in++;
    flow->file_bytes += carried_bytes(slot);
    flow_add_file(flow, slot);
    pthread_cond_signal(&flow->to_read);
    return true;
}

static void free_filled(struct slot *filled)
{
    free(filled->file.data);
    free(filled->id);
    free(filled->path);
    free(filled->carried);
}

/* Names items as long as there are slots. On the caller's thread, which is the one that signals interrupt. */
static void name_items(struct flow *flow, struct catalogue *catalogue)
{
    const volatile sig_atomic_t *stop = flow->options->stop;
    struct bgd_err err;
    struct item item = {0};
    int code = 1;
    while (code > 0 && !(stop && *stop)) {
        struct slot filled = {0};
        code = catalogue_next(catalogue, &item, &err);
        if (code <= 0)
            break;
        if (fill_slot(&filled, &item, &err))
            code = err.code;
        filled.progress = catalogue_progress(catalogue);
        pthread_mutex_lock(&flow->lock);
        bool named = code > 0 && name_item(flow, &filled);
        pthread_mutex_unlock(&flow->lock);
        if (!named) {
            free_filled(&filled);
            code = code > 0 ? 0 : code;
        }
    }
    bool stopped = stop && *stop;
    pthread_mutex_lock(&flow->lock);
    flow->closed = true;
    flow->ended = code == 0 && !stopped && !flow->failed;
    if (code < 0 && !stopped) /* what was named has its rows yet */
        keep_error(flow, &err);
    while (stopped && flow->next_in > flow->next_read) /* what no reader has begun is taken back */
        empty_slot(flow, &flow->slots[--flow->next_in % flow->n_slots]);
    pthread_cond_broadcast(&flow->to_read);
    pthread_cond_broadcast(&flow->work);
    pthread_cond_broadcast(&flow->done);
    pthread_mutex_unlock(&flow->lock);
}

static int give_row(struct flow *flow, const struct slot *slot, const struct flow_report *so_far, uint64_t index, bool more,
                    struct bgd_err *err)
{
    char hash[HASH_TEXT] = "", detail[sizeof slot->err.text] = "";
    bool named = slot->path && strcmp(slot->path, slot->id) != 0; /* by a manifest: the id does not say which file it was */
    if (slot->err.code)
        snprintf(detail, sizeof detail, "%.*s%s%.*s", named ? 400 : 0, named ? slot->path : "", named ? ": " : "",
                 named ? 600 : (int)sizeof detail - 1, slot->err.text);
    if (slot->hashed)
        hash_print(slot->digest, hash);
    const struct flow_row row = {
        .index = index,
        .id = slot->id,
        .path = slot->path,
        .carried = slot->carried,
        .shard = slot->shard,
        .source = slot->source,
        .code = slot->err.code,
        .detail = detail,
        .result = slot->result,
        .format = slot->format,
        .width = slot->width,
        .height = slot->height,
        .known = slot->known,
        .hash = hash,
        .file = slot->file.data,
        .file_size = slot->file.size,
        .mask = slot->err.code ? NULL : slot->mask,
        .progress = slot->progress,
        .so_far = *so_far,
        .more = more,
    };
    return flow->sink(flow->user, &row, err);
}

/* Tells the ledger what was found out of the slot's bytes, before another slot can look for it there. */
static int keep_result(const struct flow *flow, const struct slot *slot, struct bgd_err *err)
{
    struct ledger *ledger = flow->options->ledger;
    if (!ledger || !slot->hashed)
        return 0;
    if (slot->keep_stamp && ledger_keep_file(ledger, slot->path, slot->size, slot->mtime, slot->digest, err))
        return err->code;
    if (slot->known)
        return 0;
    struct ledger_entry entry = {
        .code = slot->err.code, .result = slot->result, .format = slot->format, .width = slot->width, .height = slot->height};
    if (entry.code)
        memcpy(entry.detail, slot->err.text, sizeof entry.detail);
    return ledger_keep(ledger, slot->digest, &entry, err);
}

/* Hands out the rows in order. After a failure of others those that are done still go out, up to the first gap; before one that
 * was cut off, those that are under way, too. */
static void *drain(void *argument)
{
    struct flow *flow = argument;
    pthread_mutex_lock(&flow->lock);
    for (;;) {
        struct slot *slot = &flow->slots[flow->next_out % flow->n_slots];
        if (slot->state == CUT_OFF) {
            flow_fail(flow, NULL);
            break;
        }
        if (slot->state != DONE) {
            if (flow->failed || (flow->closed && flow->next_out == flow->next_in))
                break;
            pthread_cond_wait(&flow->done, &flow->lock);
            continue;
        }
        bool more = flow->slots[(flow->next_out + 1) % flow->n_slots].state == DONE;
        uint64_t index = flow->next_out;
        struct flow_report so_far = flow->report;
        so_far.waiting = flow->next_in - flow->next_out - 1;
        pthread_mutex_unlock(&flow->lock);
        struct bgd_err err;
        int code = keep_result(flow, slot, &err);
        if (!code)
            code = give_row(flow, slot, &so_far, index, more, &err);
        pthread_mutex_lock(&flow->lock);
        empty_slot(flow, slot);
        flow->next_out++;
        if (code) {
            flow_fail(flow, &err);
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

static void destroy(struct flow *flow)
{
    for (uint32_t i = 0; flow->lanes && i < flow->n_lanes; i++) {
        free(flow->lanes[i].slots);
        free(flow->lanes[i].images);
        free(flow->lanes[i].results);
        free(flow->lanes[i].masks);
    }
    for (uint32_t i = 0; flow->slots && i < flow->n_slots; i++) {
        empty_slot(flow, &flow->slots[i]);
        bgd_image_free(&flow->slots[i].image);
        free(flow->slots[i].mask);
    }
    free(flow->lanes);
    free(flow->slots);
    free(flow->claims);
    free(flow->read.slots);
    free(flow->ready.slots);
    pthread_mutex_destroy(&flow->lock);
    pthread_cond_destroy(&flow->named);
    pthread_cond_destroy(&flow->to_read);
    pthread_cond_destroy(&flow->work);
    pthread_cond_destroy(&flow->done);
}

static uint32_t count_readers(const struct flow_options *options)
{
    return options->readers ? options->readers : FLOW_READERS;
}

/* Gives each slot its share of memory from which the device likes to read pictures. */
static void share_memory(struct flow *flow)
{
    struct bgd_engine *engine = flow->options->engine;
    size_t wanted = (size_t)4 * bgd_engine_width(engine) * bgd_engine_height(engine) * 3;
    size_t most = (size_t)FLOW_LOCKED_BYTES * (flow->n_lanes + 1) / flow->n_slots / PAGE * PAGE;
    wanted = (wanted + PAGE - 1) / PAGE * PAGE;
    flow->kept = wanted < most ? wanted : most;
    flow->memory = flow->kept ? bgd_engine_memory(engine, flow->n_slots * flow->kept) : NULL;
    if (!flow->memory)
        flow->kept = KEPT_BYTES;
    for (uint32_t i = 0; i < flow->n_slots; i++)
        renew_image(flow, &flow->slots[i]);
}

static bool make_lane(const struct flow *flow, struct lane *lane)
{
    lane->slots = calloc(flow->batch, sizeof(struct slot *));
    lane->images = calloc(flow->batch, sizeof(struct bgd_image *));
    lane->results = calloc(flow->batch, sizeof *lane->results);
    if (flow->mask_size)
        lane->masks = malloc(flow->batch * flow->mask_size * sizeof *lane->masks);
    return lane->slots && lane->images && lane->results && (lane->masks || !flow->mask_size);
}

static int create(struct flow *flow, struct bgd_err *err)
{
    const struct bgd_engine *engine = flow->options->engine;
    flow->batch = bgd_engine_batch(engine);
    flow->n_lanes = bgd_engine_lanes(engine);
    flow->decoders = flow->options->threads ? flow->options->threads : flow_processors();
    if (flow->options->masks)
        flow->mask_size = (size_t)bgd_engine_mask_width(engine) * bgd_engine_mask_height(engine);
    /* Every lane and one more with a full batch and another behind it, and what decoders and readers hold. */
    flow->n_slots = 2 * flow->batch * (flow->n_lanes + 1) + 4 * flow->decoders + 2 * count_readers(flow->options);
    flow->slots = calloc(flow->n_slots, sizeof *flow->slots);
    flow->claims = calloc(flow->n_slots, sizeof *flow->claims);
    flow->read = (struct fifo){.slots = calloc(flow->n_slots, sizeof(struct slot *)), .size = flow->n_slots};
    flow->ready = (struct fifo){.slots = calloc(flow->n_slots, sizeof(struct slot *)), .size = flow->n_slots};
    flow->lanes = calloc(flow->n_lanes, sizeof *flow->lanes);
    bool complete = flow->slots && flow->claims && flow->read.slots && flow->ready.slots && flow->lanes;
    for (uint32_t i = 0; complete && i < flow->n_lanes; i++)
        complete = make_lane(flow, &flow->lanes[i]);
    if (complete)
        share_memory(flow);
    for (uint32_t i = 0; complete && flow->mask_size && i < flow->n_slots; i++)
        complete = (flow->slots[i].mask = malloc(flow->mask_size * sizeof(float)));
    return complete ? 0 : err_set(err, BGD_MEMORY, "out of memory for %u slots", flow->n_slots);
}

/* The threads of a run. */
struct crew {
    pthread_t *workers, *readers, drainer;
    uint32_t n_workers, n_readers; /* that run */
    bool drains;
};

/* Starts the threads with all signals blocked: they reach the caller's thread, whose reads they end. Fewer than asked for do the
 * work; false: there are not enough for any. */
static bool start(struct flow *flow, struct crew *crew, uint32_t workers, uint32_t readers)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    crew->drains = pthread_create(&crew->drainer, NULL, drain, flow) == 0;
    while (crew->n_workers < workers && pthread_create(&crew->workers[crew->n_workers], NULL, work, flow) == 0)
        crew->n_workers++;
    while (crew->n_readers < readers && pthread_create(&crew->readers[crew->n_readers], NULL, flow_read_items, flow) == 0)
        crew->n_readers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return crew->drains && crew->n_workers > 0 && crew->n_readers > 0;
}

static void join(const struct crew *crew)
{
    for (uint32_t i = 0; i < crew->n_readers; i++)
        pthread_join(crew->readers[i], NULL);
    for (uint32_t i = 0; i < crew->n_workers; i++)
        pthread_join(crew->workers[i], NULL);
    if (crew->drains)
        pthread_join(crew->drainer, NULL);
}

/* Where workers wait for a device, all lanes may, and as many others decode. */
static uint32_t count_workers(const struct flow *flow)
{
    return flow->decoders + (bgd_engine_waits(flow->options->engine) ? flow->n_lanes : 0);
}

static void run(struct flow *flow, struct crew *crew, uint32_t n_workers, struct catalogue *catalogue)
{
    if (start(flow, crew, n_workers, count_readers(flow->options))) {
        name_items(flow, catalogue);
    } else {
        struct bgd_err err;
        pthread_mutex_lock(&flow->lock);
        err_set(&err, BGD_MEMORY, "no thread could be started");
        flow_fail(flow, &err);
        pthread_mutex_unlock(&flow->lock);
    }
    join(crew);
}

int flow_run(const struct flow_options *options, struct catalogue *catalogue, flow_sink sink, void *user,
             struct flow_report *report, struct bgd_err *err)
{
    struct flow flow = {.options = options, .sink = sink, .user = user};
    struct crew crew = {0};
    pthread_mutex_init(&flow.lock, NULL);
    pthread_cond_init(&flow.named, NULL);
    pthread_cond_init(&flow.to_read, NULL);
    pthread_cond_init(&flow.work, NULL);
    pthread_cond_init(&flow.done, NULL);
    int code = create(&flow, err);
    uint32_t n_workers = count_workers(&flow);
    crew.workers = calloc(n_workers, sizeof *crew.workers);
    crew.readers = calloc(count_readers(options), sizeof *crew.readers);
    if (!code && !(crew.workers && crew.readers))
        code = err_set(err, BGD_MEMORY, "out of memory");
    if (!code) {
        run(&flow, &crew, n_workers, catalogue);
        if ((code = flow.err.code))
            *err = flow.err;
    }
    flow.report.ended = flow.ended && !flow.failed;
    if (report)
        *report = flow.report;
    destroy(&flow);
    free(crew.workers);
    free(crew.readers);
    return code;
}
