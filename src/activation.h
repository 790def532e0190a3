/*
 * Class activation: how much of a label's logit each place of a picture gives (Zhou et al. 2016, arXiv 1512.04150;
 * bgdet_format.h, "activation"). A map has a few cells; between their centres it is bilinear.
 */
#ifndef BGD_ACTIVATION_H
#define BGD_ACTIVATION_H

#include "box.h"

struct activation_map {
    const float *cells; /* (rows, columns), in logits */
    uint32_t columns, rows;
};

/* The mean at n pixels, each y * width + x, of a picture (height, width). */
double activation_mean(const struct activation_map *map, const uint32_t *pixels, uint32_t n, uint32_t width, uint32_t height);

/* The box of the cells of at least half of the greatest, or of the greatest itself where that is not positive; their number,
 * 0 where none can be compared. */
uint32_t activation_hottest(const struct activation_map *map, struct box *box);

#endif
