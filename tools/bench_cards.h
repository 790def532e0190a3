/* The cards that a benchmark works on: their files' bytes, and the pictures in them, in memory. */
#ifndef BGD_BENCH_CARDS_H
#define BGD_BENCH_CARDS_H

#include "hash.h"
#include "session.h"

/* No more are taken of what is named: a sample, drawn as bgdet score --sample draws it. */
#define BENCH_CARDS_MAX 1024u

struct bench_card {
    char *path;
    uint8_t *data;
    size_t size;
    char hash[HASH_TEXT];
    enum bgd_format format;
    uint32_t width, height; /* of the picture in full, upright */
    bool progressive;       /* a JPEG */
};

struct bench_cards {
    uint32_t n;
    struct bench_card *cards;
    uint32_t n_images;        /* 1..n: the pictures of the first cards that FLOW_PIXEL_BYTES hold */
    struct bgd_image *images; /* as large as the pipeline needs them, where the device takes them the fastest */
    uint32_t formats[BGD_TGA + 1], progressive;
    double bytes, pixels; /* medians, of a card */
};

/*
 * Files, and all files in folders. 0 with `cards` incomplete after a signal (session_stopped). A file that is no card ends it
 * with bgd_image_decode's error or file_read's, and its name; BGD_MISSING also if there is none at all. Pictures may lie in
 * memory of the session's device: bench_cards_close comes before session_close, whatever happened.
 */
int bench_cards_open(char *const *paths, size_t n_paths, struct session *session, struct bench_cards *cards,
                     struct bgd_err *err);
void bench_cards_close(struct bench_cards *cards);

#endif
