/*
 * The engine's part in evidence: what a lane fetches of a batch once a card in it is not clean, and the cards of that batch
 * as evidence_find takes them.
 */
#ifndef BGD_ENGINE_EVIDENCE_H
#define BGD_ENGINE_EVIDENCE_H

#include "backend.h"
#include "evidence.h"
#include "pipeline.h"

/* The engine fills the first half, prepare the second. */
struct engine_evidence {
    const struct bgd_pipeline *pipeline;
    const struct backend *backend;
    struct exec *segmenter, *classifier; /* the lane's; segmenter: NULL without one */
    int activation_output;               /* of the classifier, or -1 */
    const int *labels;                   /* (BGD_REASONS): the label of each reason, or -1 */
    uint32_t batch;

    uint32_t width, height;   /* the size at which evidence is looked for: the segmenter's input, or the classifier's */
    struct shape shape;       /* of a card's activation: (labels, rows, columns) */
    float *masks;             /* (batch, height, width); NULL without a segmenter */
    float *activation;        /* (batch, labels, rows, columns); NULL without that output */
    struct bgd_image picture; /* the card, at that size */
    struct feed_scratch shrink;
    struct evidence_scratch scratch;
};

/* BGD_MEMORY. */
int engine_evidence_prepare(struct engine_evidence *evidence, struct bgd_err *err);

/* Fills the regions of those of a batch's `results` that are not clean. Both networks have run on `images`, and what they have
 * computed lies in the execs still. */
int engine_evidence_find(struct engine_evidence *evidence, const struct bgd_image *const *images, uint32_t n,
                         struct bgd_result *results, struct bgd_err *err);

void engine_evidence_free(struct engine_evidence *evidence);

#endif
