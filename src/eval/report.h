/*
 * An evaluation as one self-contained HTML page: numbers, curves (SVG), and the worst mistakes as pictures.
 */
#ifndef BGD_REPORT_H
#define BGD_REPORT_H

#include "evaluation.h"

#define REPORT_FITTED "The model was calibrated on these very labels, so these numbers flatter it."

/* A wrong verdict, shown. Pictures are 8-bit RGB and may be NULL (rgb of NULL: a file that has gone, no segmenter). */
struct report_mistake {
    size_t card; /* index into the evaluation's cards */
    struct bgd_image image, mask, judged;
};

struct report {
    const struct evaluation *evaluation; /* measured */
    const char *title;                   /* what was evaluated: the labels' name */
    const char *pipeline;                /* bgd_pipeline_name */
    const char *model_hash;              /* bgd_pipeline_hash */
    const char *device;
    bool fitted; /* the model was calibrated on these very labels: the numbers flatter it */
    const struct report_mistake *mistakes;
    size_t n_mistakes;
};

/* Writes `path`, which appears complete or not at all. Needs nothing beside it: styles, SVG and pictures are inside. BGD_WRITE
 * names the file; BGD_MEMORY. */
int report_write(const struct report *report, const char *path, struct bgd_err *err);

#endif
