#include "bench_cards.h"

#include "bytes.h"
#include "engine.h"
#include "err.h"
#include "file.h"
#include "percentile.h"

#include <stdlib.h>
#include <string.h>

void bench_cards_close(struct bench_cards *cards)
{
    for (uint32_t i = 0; i < cards->n; i++) {
        free(cards->cards[i].path);
        free(cards->cards[i].data);
    }
    for (uint32_t i = 0; i < cards->n_images; i++)
        bgd_image_free(&cards->images[i]);
    free(cards->cards);
    free(cards->images);
    *cards = (struct bench_cards){0};
}

/* A JPEG is a row of segments: ff, a marker, and but for the first one, its length. The frame's (SOF) says how it is coded. */
static bool is_progressive(const uint8_t *data, size_t size)
{
    struct bytes b = bytes_of(data, size);
    uint8_t prefix, marker;
    uint16_t length;
    bytes_skip(&b, 2); /* start of image */
    while (bytes_u8(&b, &prefix) && prefix == 0xff && bytes_u8(&b, &marker)) {
        if (marker == 0xff) { /* a fill byte */
            b.pos--;
            continue;
        }
        if (marker == 0xda) /* pixels: there was no frame before them that we know */
            return false;
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
            return marker == 0xc2 || marker == 0xca;
        if (!bytes_u16be(&b, &length) || length < 2 || !bytes_skip(&b, length - 2u))
            return false;
    }
    return false;
}

/* Reads and decodes the file; `image` holds its picture. */
static int take_card(const struct session *session, const char *path, struct bench_card *card, struct bgd_image *image,
                     struct bgd_err *err)
{
    const struct bgd_engine *engine = session->engine;
    bool exact = session->settings.exact;
    struct file_buffer file = {0};
    uint8_t digest[HASH_BYTES];
    int code = file_read(path, BGD_IMAGE_BYTES_MAX, &file, err);
    card->data = file.data;
    card->size = file.size;
    card->path = strdup(path);
    if (!card->path)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (code || bgd_image_decode(file.data, file.size, exact ? 0 : bgd_engine_width(engine),
                                 exact ? 0 : bgd_engine_height(engine), image, err))
        return err_prefix(err, "%s: ", path);
    hash_bytes(file.data, file.size, digest);
    hash_print(digest, card->hash);
    card->format = image->format;
    card->width = image->full_width;
    card->height = image->full_height;
    card->progressive = image->format == BGD_JPEG && is_progressive(file.data, file.size);
    return 0;
}

static size_t image_bytes(const struct bgd_image *image)
{
    return (size_t)image->width * image->height * 3;
}

/* Takes what the catalogue gives: its files until they fill what a run lets them fill, their pictures likewise. */
static int take_cards(struct catalogue *catalogue, const struct session *session, struct bench_cards *cards,
                      struct bgd_err *err)
{
    struct item item = {0};
    size_t file_bytes = 0, pixel_bytes = 0;
    int code = 0;
    while (cards->n < BENCH_CARDS_MAX && file_bytes < FLOW_FILE_BYTES && !session_stopped() &&
           (code = catalogue_next(catalogue, &item, err)) > 0) {
        struct bgd_image image = {0};
        struct bench_card *card = &cards->cards[cards->n++];
        if (item.code)
            return err_set(err, (enum bgd_code)item.code, "%s: %s", item.id, item.detail);
        if (take_card(session, item.path, card, &image, err)) {
            bgd_image_free(&image);
            return err->code;
        }
        file_bytes += card->size;
        pixel_bytes += image_bytes(&image);
        if (cards->n_images == cards->n - 1 && (cards->n == 1 || pixel_bytes <= FLOW_PIXEL_BYTES))
            cards->images[cards->n_images++] = image;
        else
            bgd_image_free(&image);
    }
    return code < 0 ? code : 0;
}

static void count_cards(struct bench_cards *cards)
{
    double bytes[BENCH_CARDS_MAX], pixels[BENCH_CARDS_MAX];
    for (uint32_t i = 0; i < cards->n; i++) {
        const struct bench_card *card = &cards->cards[i];
        cards->formats[card->format]++;
        cards->progressive += card->progressive;
        bytes[i] = (double)card->size;
        pixels[i] = (double)card->width * card->height;
    }
    percentile_sort(bytes, cards->n);
    percentile_sort(pixels, cards->n);
    cards->bytes = percentile(bytes, cards->n, 50);
    cards->pixels = percentile(pixels, cards->n, 50);
}

/* Into the device's own memory for pictures, if it has one. */
static void move_images(struct bench_cards *cards, struct bgd_engine *engine)
{
    const struct engine_lane lane = engine_lane(engine, 0);
    size_t bytes = 0;
    for (uint32_t i = 0; i < cards->n_images; i++)
        bytes += image_bytes(&cards->images[i]);
    uint8_t *memory = lane.backend->memory(lane.device, bytes);
    for (uint32_t i = 0; memory && i < cards->n_images; i++) {
        struct bgd_image *image = &cards->images[i];
        memcpy(memory, image->rgb, image_bytes(image));
        free(image->rgb);
        image->rgb = memory;
        image->capacity = image_bytes(image);
        image->borrowed = true;
        memory += image->capacity;
    }
}

int bench_cards_open(char *const *paths, size_t n_paths, struct session *session, struct bench_cards *cards,
                     struct bgd_err *err)
{
    const struct catalogue_options options = {.paths = paths,
                                              .n_paths = n_paths,
                                              .recursive = true,
                                              .names = true,
                                              .sample = BENCH_CARDS_MAX,
                                              .wake = session_wake()};
    struct catalogue *catalogue = NULL;
    cards->cards = calloc(BENCH_CARDS_MAX, sizeof *cards->cards);
    cards->images = calloc(BENCH_CARDS_MAX, sizeof *cards->images);
    if (!cards->cards || !cards->images)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (catalogue_open(&options, &catalogue, err))
        return err->code;
    int code = take_cards(catalogue, session, cards, err);
    catalogue_close(catalogue);
    if (code || session_stopped())
        return code;
    if (cards->n == 0)
        return err_set(err, BGD_MISSING, "there is no card in what was named");
    count_cards(cards);
    move_images(cards, session->engine);
    return 0;
}
