/* Masks on their way from the network to people: at a picture's own size, in 8 bits. */
#ifndef BGD_MASK_H
#define BGD_MASK_H

#include "bgdet.h"

/* A mask (height, width), P(object) 0..1, as one of out_width x out_height in 8 bits (255 is object), bilinear between the
 * centres of its pixels. `out` has room for out_width * out_height bytes. */
void mask_enlarge(const float *mask, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width, uint32_t out_height);

#endif
