/*
 * Where a card's defects are: from what is known of it at the end of a pipeline to regions (struct bgd_region).
 *
 * The mask says what the background is, the picture which parts of it are not white or stand out, and class activation to which
 * reason each of those belongs. The boxes are as sharp as the mask, which the activation, of a few cells, could not be.
 */
#ifndef BGD_EVIDENCE_H
#define BGD_EVIDENCE_H

#include "activation.h"
#include "ground.h"
#include "object.h"

struct evidence_card {
    const uint8_t *rgb; /* (height, width, 3): the card, shrunk to the mask's size */
    const float *mask;  /* (height, width): P(object); NULL: nothing is known of an object, all is background */
    uint32_t width, height;
    const float
        *activation[BGD_REASONS]; /* (rows, columns) of each reason: logits above what it takes to hold; NULL: not known */
    uint32_t columns, rows;
    bool wanted[BGD_REASONS]; /* the reasons to look for */
};

/* Zero it before the first use; memory is kept from card to card. One per thread. */
struct evidence_scratch {
    struct object object;
    struct ground ground;
    struct components marked; /* of the ground's marks */
};

/* Fills `result->regions` and `n_regions`, and touches nothing else of it. Regions beyond a reason's even share of
 * BGD_REGIONS_MAX are left out, the smallest first. BGD_MEMORY. */
int evidence_find(const struct evidence_card *card, struct evidence_scratch *scratch, struct bgd_result *result,
                  struct bgd_err *err);

void evidence_scratch_free(struct evidence_scratch *scratch);

#endif
