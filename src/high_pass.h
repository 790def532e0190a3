/*
 * BGD_OP_HIGH_PASS without a transform of the whole plane: x minus its low frequencies. Those of the disc lie in a box of at
 * most 2 r by 2 r frequencies, so their spectrum, and its way back, are products with two thin matrices of waves
 * e^(-2 pi i f k / n). For 80 x 80 and r = 16 these are a third of what two transforms of the whole plane by their definition
 * would take.
 *
 *     S(u, v) = inside(u, v) * sum over r, j of row(u, r) col(v, j) x(r, j)
 *     low(r, j) = sum over u, v of conj(row(u, r) col(v, j)) S(u, v)
 *     y = |x - low|
 */
#ifndef BGD_HIGH_PASS_H
#define BGD_HIGH_PASS_H

#include "ops.h"

struct high_pass {
    uint32_t nu, nv;        /* frequencies of the box, down and across; either is 0 where nothing is inside the disc */
    float *row_re, *row_im; /* (nu, h) */
    float *col_re, *col_im; /* (nv, w) */
    float *inside;          /* (nu, nv): 1 / (h w) inside of the disc, else 0 */
};

/* The waves for planes of h x w, behind the struct in one allocation: free() frees all. NULL when memory ran out. */
struct high_pass *high_pass_create(struct shape s, double radius);

#endif
