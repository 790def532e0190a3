/* What bgdet bench finds out, and how it is shown: as text, JSON and SVG. */
#ifndef BGD_BENCH_H
#define BGD_BENCH_H

#include "bench_stages.h"
#include "roofline.h"

#include <stdio.h>

/* A rate over the size of a batch, or over the number of threads. */
#define BENCH_POINTS 32 /* powers of two, and the last one */

struct bench_curve {
    const char *name; /* of the network, or of the stage */
    uint32_t n;
    struct bench_point {
        uint32_t at;
        struct bench_rate rate;
    } points[BENCH_POINTS];
};

#define BENCH_NETWORKS 2 /* of a pipeline */

struct bench_network {
    const char *name; /* of the network, or of its file */
    struct roofline roofline;
};

struct bench_report {
    const char *commit;      /* that was built: "6770fc5b2a1e", with "-dirty" if it was changed; "" outside of a checkout */
    char date[32];           /* UTC: "2026-11-24 18:02" */
    char cpu[128];           /* its model; "" if nobody says it */
    uint32_t processors;     /* that this process may use */
    const char *device;      /* "onednn", ...; NULL: none was used */
    char text[BACKEND_TEXT]; /* what it is (backend.h, describe) */
    bool own_memory;
    const char *pipeline, *hash; /* NULL: models alone */

    /* The stages of a pipeline: cards is NULL if they were not measured. */
    const struct bench_cards *cards;
    bool exact;
    uint32_t threads, lanes, batch;
    uint32_t n_stages;
    struct bench_stage stages[BENCH_PARTS];
    struct bench_rate whole; /* cards a second, end to end */
    double allowed;          /* bench_allowed of the stages */

    /* With --sweep; else 0. A device that has no memory left has fewer points, or curves. */
    uint32_t n_by_batch, n_by_threads;
    struct bench_curve by_batch[BENCH_NETWORKS], by_threads[2];

    /* With --roofline; else 0. */
    uint32_t n_networks;
    struct bench_network *networks;
};

/* "14 jpeg (3 progressive), 8 webp, 2 png" */
#define BENCH_FORMATS_TEXT 160
void bench_formats(const struct bench_cards *cards, char text[BENCH_FORMATS_TEXT]);

/* Tables for people. */
void bench_print(FILE *file, const struct bench_report *report);

/* One JSON object: every number. BGD_MEMORY. */
int bench_print_json(FILE *file, const struct bench_report *report, struct bgd_err *err);

/* An SVG by itself, for light and dark pages. BGD_MEMORY. */
int bench_put_chart(FILE *file, const struct bench_report *report, struct bgd_err *err);

#endif
