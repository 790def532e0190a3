/*
 * What a network costs: multiply-accumulates, and elements moved between memory and whatever computes, counted from its graph
 * alone. There are three ways to count what is moved:
 *
 *   unfused   Every op reads each of its inputs and writes its value.
 *
 *   as steps  Given which ops a device computes together: a step reads once each value that another step (or the graph's input)
 *             has left, and writes those of its own that another step reads, or that are outputs. A concat that has a step
 *             together with one that computes an input of it moves nothing: its value is its inputs, side by side.
 *
 *   fused     What is left if a device keeps nothing on chip from one convolution to the next, but does whatever it can in passing.
 *             (One that fuses whole blocks moves less.) Per op:
 *             1. conv, dense, attention, softmax, lrn, quantile_mask and high_pass read their inputs and write their value.
 *             2. Activations, denoise, concat, upsample, add and mul move nothing of their own. What reads such a value reads, each
 *                once, the written values that it is made of, at their own size.
 *             3. Except that an add or mul is done in passing, as one of its inputs is computed: one of the result's size that
 *                nothing else reads, is made element by element of what an op of 1 computes (or several, of its parts), and
 *                comes after all that the other input is made of. Then the other is read, and the result is written instead.
 *             4. A pool or mean is likewise done in passing, and reads nothing, if its input is made so, whoever else reads it;
 *                else it is as in 1.
 *             5. A value is written if something reads it by these rules, or if it is an output. An output that is an op's of 2 is
 *                made in passing, too, if it can be; else what it is made of is read. What reads it, reads it as it stands.
 *             So squeeze-and-excite writes its wide value once, and the projection reads it once; behind a convolution only a
 *             pool's value is written; of a residual block, its convolutions'. What is done in passing counts with the op of 1.
 *
 * Every weight and bias is read once for a whole batch, however it is counted. Elements are counted, not bytes: what a device pads
 * is not, nor what it keeps in another precision than the rest.
 */
#ifndef BGD_COST_H
#define BGD_COST_H

#include "model.h"

struct traffic {
    uint64_t values;  /* elements read and written, of one picture */
    uint64_t weights; /* elements of tensors read, of a batch */
};

/* Bytes for one picture of a batch of so many. */
static inline double traffic_bytes(struct traffic traffic, uint32_t element_bytes, uint32_t batch)
{
    return ((double)traffic.values + (double)traffic.weights / batch) * element_bytes;
}

struct op_cost {
    uint64_t macs; /* of one picture (op_macs) */
    struct traffic unfused, fused;
};

/* costs[i] is op i's. BGD_MEMORY. */
int cost_ops(const struct bgd_model *model, struct op_cost *costs, struct bgd_err *err);

struct step_cost {
    uint32_t n_ops;   /* that it computes; 0 of a number that no op has */
    uint32_t last_op; /* of them */
    uint32_t main_op; /* the one with the most multiply-accumulates; the first, if none has any */
    uint64_t macs;
    struct traffic traffic;
};

/* Of steps 0 .. n_steps - 1; step_of[i] is the one that computes op i. BGD_MEMORY. */
int cost_steps(const struct bgd_model *model, const uint32_t *step_of, uint32_t n_steps, struct step_cost *costs,
               struct bgd_err *err);

#endif
