/*
 * Planes of marks, a byte a pixel, 0 or 1: which of the marked pixels hang together (connected components), and what is left
 * of them without their rim (erosion).
 */
#ifndef BGD_COMPONENTS_H
#define BGD_COMPONENTS_H

#include "bgdet.h"
#include "box.h"

struct component {
    struct box box;
    uint32_t first, n; /* its pixels: those from `first` on of components.pixels */
};

/* Zero it before the first use; memory is kept from plane to plane. */
struct components {
    struct component *items; /* in the order of their first pixels, row by row */
    uint32_t n;
    uint32_t *pixels; /* y * width + x, component by component */
    uint64_t *bits;   /* the marks that no component has yet: pixel x of a row is bit x % 64 of its word x / 64 */
    size_t capacity;  /* pixels of the largest plane so far */
};

/*
 * Finds the components of `marks` (height, width), and clears them. Two pixels belong together if they are at most `reach`
 * (>= 1) columns and rows apart: 1 is what is called 8-connectivity; more bridges gaps, as between letters. BGD_MEMORY.
 */
int components_find(struct components *components, uint8_t *marks, uint32_t width, uint32_t height, uint32_t reach,
                    struct bgd_err *err);

/* The first of those with the most pixels; NULL if there are none. */
const struct component *components_largest(const struct components *components);

void components_free(struct components *components);

/* Leaves those marks whose neighbours in the frame are all marked: an erosion by a square of 3x3. */
void components_erode(const uint8_t *marks, uint8_t *out, uint32_t width, uint32_t height);

#endif
