/* Where each value of a graph lives: lifetimes -> offsets in one arena. */
#ifndef BGD_PLAN_H
#define BGD_PLAN_H

#include "model.h"

#define PLAN_ALIGN 64u /* a cache line, and the widest vector of a CPU */

/* A block of memory that is needed from step `first` to step `last`, both included. */
struct span {
    size_t bytes;
    uint32_t first, last;
    size_t offset; /* out: in the arena, a multiple of PLAN_ALIGN */
};

/*
 * Gives every span an offset such that spans alive at one step never overlap, and returns the arena's size in bytes.
 * Greedy: the largest first, each at the lowest offset that is free during its life. `order` is scratch of n entries.
 * A span of 0 bytes gets offset 0.
 */
size_t plan_place(struct span *spans, uint32_t *order, uint32_t n);

/* The plan that runs a model op by op on dense f32 values (batch, c, h, w): one span per value. */
struct plan {
    uint32_t batch;
    struct span *values;
    size_t arena_bytes;
};

/* Step i runs op i; outputs live to the end. plan_free releases it. */
int plan_build(const struct bgd_model *model, uint32_t batch, struct plan *plan, struct bgd_err *err);
void plan_free(struct plan *plan);

#endif
