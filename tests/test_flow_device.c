/*
 * What a run does for a device that computes apart from the host, and not for a CPU: with an engine and a decoder that stand
 * here in place of the library's, and whose calls last until what a test waits for has happened.
 */
#include "run/flow.h"

#include "scratch.h"

#include <pthread.h>

enum { CARDS = 300, AHEAD = 10 };

struct bgd_engine {
    bool waits;
    uint32_t batch, lanes, width, height;
    uint8_t *memory; /* lent */
    size_t memory_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static const struct bgd_engine *engine_of_run;
static uint32_t decoding, scoring;                      /* now */
static uint32_t most_decoding, most_scoring, most_busy; /* at the same time; busy with either */
static uint32_t decoded, decoded_before;                /* so far; when all lanes were taken for the first time */
static bool full;                                       /* they have been */
static uint32_t lent, larger;                           /* pictures with memory of the engine's; that needed more */
static size_t share;                                    /* of it, each */

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void count(void)
{
    most_decoding = most(most_decoding, decoding);
    most_scoring = most(most_scoring, scoring);
    most_busy = most(most_busy, decoding + scoring);
    pthread_cond_broadcast(&change);
}

/* ---------------------------------------------------------------- the decoder */

static void check_memory(const struct bgd_image *image)
{
    const struct bgd_engine *engine = engine_of_run;
    cr_expect_eq(image->borrowed, engine->memory != NULL);
    if (!image->borrowed)
        return;
    size_t offset = (size_t)(image->rgb - engine->memory);
    cr_expect(image->rgb >= engine->memory && offset + image->capacity <= engine->memory_size);
    cr_expect(offset % image->capacity == 0 && (share == 0 || share == image->capacity));
    share = image->capacity;
    lent++;
}

/* Every seventh picture needs more than there is. */
int bgd_image_decode(const void *data, size_t size, uint32_t min_width, uint32_t min_height, struct bgd_image *image,
                     struct bgd_err *err)
{
    (void)data, (void)size, (void)err;
    cr_expect(min_width == engine_of_run->width && min_height == engine_of_run->height);
    pthread_mutex_lock(&lock);
    decoding++;
    count();
    check_memory(image);
    pthread_mutex_unlock(&lock);
    usleep(500); /* others may come */
    pthread_mutex_lock(&lock);
    decoding--;
    if (decoded++ % 7 == 6) {
        if (!image->borrowed)
            free(image->rgb);
        *image = (struct bgd_image){.rgb = malloc(share + 1), .capacity = share + 1};
        larger++;
    }
    image->width = image->height = image->borrowed ? BGD_IMAGE_SIDE_MAX : 1; /* 805 MB, if they counted as the heap's */
    count();
    pthread_mutex_unlock(&lock);
    return 0;
}

void bgd_image_free(struct bgd_image *image)
{
    if (!image->borrowed)
        free(image->rgb);
    *image = (struct bgd_image){0};
}

/* ---------------------------------------------------------------- the engine */

uint32_t bgd_engine_batch(const struct bgd_engine *engine)
{
    return engine->batch;
}

uint32_t bgd_engine_lanes(const struct bgd_engine *engine)
{
    return engine->lanes;
}

bool bgd_engine_waits(const struct bgd_engine *engine)
{
    return engine->waits;
}

uint32_t bgd_engine_width(const struct bgd_engine *engine)
{
    return engine->width;
}

uint32_t bgd_engine_height(const struct bgd_engine *engine)
{
    return engine->height;
}

uint32_t bgd_engine_mask_width(const struct bgd_engine *engine)
{
    (void)engine;
    return 0;
}

uint32_t bgd_engine_mask_height(const struct bgd_engine *engine)
{
    (void)engine;
    return 0;
}

int bgd_engine_masks(struct bgd_engine *engine, uint32_t lane, uint32_t n, float *masks, struct bgd_err *err)
{
    (void)engine, (void)lane, (void)n, (void)masks, (void)err;
    return 0;
}

void *bgd_engine_memory(struct bgd_engine *engine, size_t bytes)
{
    if (!engine->waits)
        return NULL;
    engine->memory_size = bytes;
    return engine->memory = malloc(bytes);
}

/* One that waits does so until all lanes have been taken, and AHEAD pictures decoded meanwhile. */
int bgd_engine_score(struct bgd_engine *engine, uint32_t lane, const struct bgd_image *const *images, uint32_t n,
                     struct bgd_result *results, struct bgd_err *err)
{
    (void)images, (void)err;
    cr_expect(lane < engine->lanes && n > 0 && n <= engine->batch);
    pthread_mutex_lock(&lock);
    scoring++;
    if (scoring == engine->lanes && !full) {
        full = true;
        decoded_before = decoded;
    }
    count();
    while (engine->waits && (!full || decoded < decoded_before + AHEAD))
        pthread_cond_wait(&change, &lock);
    scoring--;
    pthread_mutex_unlock(&lock);
    memset(results, 0, n * sizeof *results);
    return 0;
}

/* ---------------------------------------------------------------- runs */

static int count_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    uint64_t *rows = user;
    (void)err;
    cr_expect(row->index == *rows && row->code == 0, "%s", row->detail);
    ++*rows;
    return 0;
}

/* Over CARDS cards. */
static void run(struct bgd_engine *engine, uint32_t threads)
{
    char *folder = scratch_enter();
    const struct flow_options options = {.engine = engine, .threads = threads, .readers = 2};
    struct catalogue *catalogue;
    struct bgd_err err = {0};
    uint64_t rows = 0;
    scratch_text("card", "a card");
    FILE *list = fopen("list", "w");
    for (int i = 0; i < CARDS; i++)
        fputs("card\n", list);
    fclose(list);
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.list = "list", .separator = '\n'}, &catalogue, &err), 0);
    engine_of_run = engine;
    alarm(60);
    cr_expect_eq(flow_run(&options, catalogue, count_row, &rows, NULL, &err), 0, "%s", err.text);
    cr_expect_eq(rows, CARDS);
    cr_expect_eq(decoded, CARDS);
    catalogue_close(catalogue);
    free(engine->memory);
    scratch_leave(folder);
}

Test(flow_device, decoding_goes_on_while_all_lanes_wait)
{
    struct bgd_engine engine = {.waits = true, .batch = 4, .lanes = 3, .width = 60, .height = 80};
    run(&engine, 1); /* would never end */
    cr_expect_eq(most_scoring, 3);
    cr_expect_eq(most_decoding, 1, "%u decode at a time", most_decoding);
}

Test(flow_device, no_more_decode_at_a_time_than_were_asked_for)
{
    struct bgd_engine engine = {.waits = true, .batch = 4, .lanes = 6, .width = 60, .height = 80};
    run(&engine, 2);
    cr_expect_eq(most_scoring, 6);
    cr_expect_eq(most_decoding, 2, "%u decode at a time", most_decoding);
}

Test(flow_device, a_cpu_has_no_further_threads)
{
    struct bgd_engine engine = {.batch = 4, .lanes = 2, .width = 60, .height = 80};
    run(&engine, 2);
    cr_expect_leq(most_busy, 2, "%u at a time", most_busy);
    cr_expect_eq(lent, 0);
}

/* ---------------------------------------------------------------- memory */

Test(flow_device, a_picture_has_room_for_twice_the_networks_size)
{
    struct bgd_engine engine = {.waits = true, .batch = 4, .lanes = 3, .width = 120, .height = 160};
    run(&engine, 2);
    cr_expect_eq(lent, CARDS, "a slot that has seen a larger picture lacks its share: %u of %d have it", lent, CARDS);
    cr_expect_gt(larger, CARDS / 8);
    cr_expect_eq(share, 57 * 4096); /* 240 x 320 x 3 = 230,400 */
    cr_expect_eq(engine.memory_size, (2 * 4 * (3 + 1) + 4 * 2 + 2 * 2) * share);
}

Test(flow_device, the_memory_of_a_lane_is_bounded)
{
    struct bgd_engine engine = {.waits = true, .batch = 64, .lanes = 1, .width = 2000, .height = 2000};
    run(&engine, 1);
    cr_expect_eq(lent, CARDS);
    cr_expect_leq(engine.memory_size, 2 * (size_t)FLOW_LOCKED_BYTES);
    cr_expect_gt(engine.memory_size, 2 * (size_t)FLOW_LOCKED_BYTES / 100 * 99);
    cr_expect_eq(share % 4096, 0);
}
