/*
 * The ground on which a card's object stands: which pixels are background, and which of those are not white, differ from the
 * ground's colour, or from what is around them.
 */
#ifndef BGD_GROUND_H
#define BGD_GROUND_H

#include "bgdet.h"

/* Zero it before the first use; memory is kept from card to card. */
struct ground {
    const uint8_t *rgb; /* (height, width, 3): the card, borrowed */
    uint32_t width, height;
    uint8_t *background; /* (height, width): 1 where there is no object near */
    uint8_t *marks;      /* likewise: the background that was marked last */
    uint64_t (*sums)[4]; /* (height + 1, width + 1): a summed-area table of the background's colours */
    size_t capacity;     /* elements of each */
};

/* Finds the background: what is no object (height, width; 0 or 1), nor next to one. BGD_MEMORY. */
int ground_read(struct ground *ground, const uint8_t *rgb, const uint8_t *object, uint32_t width, uint32_t height,
                struct bgd_err *err);

void ground_mark_not_white(struct ground *ground);

/* Marks what differs from the ground's colour; returns its share of the background. */
double ground_mark_distinct(struct ground *ground);

/* Of the marks, only those stay that differ from what is around them. */
void ground_keep_local(struct ground *ground);

void ground_free(struct ground *ground);

#endif
