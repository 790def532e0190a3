/*
 * What a network costs at the least: multiply-accumulates, and elements moved between memory and whatever computes, counted
 * from its graph alone.
 *
 * Three ways to count what is moved, from the most to the least:
 *
 *   unfused   Every op reads each of its inputs and writes its value.
 *
 *   as steps  Given which ops a device computes together: a step reads once each value that another step (or the graph's input)
 *             has left, and writes those of its own that another step reads, or that are outputs. A concat that has a step
 *             together with one that computes an input of it moves nothing: its value is its inputs, side by side.
 *
 *   fused     What an ideal device moves that keeps nothing on chip but one op and what can be done in passing:
 *             1. An op over windows (conv, dense, attention, softmax, lrn, quantile_mask, high_pass) reads its inputs and writes
 *                its value.
 *             2. Activations, denoise, add, mul, upsample and concat move nothing of their own: who reads such a value reads,
 *                each once, the written values that it is made of, at their own size.
 *             3. Except that an add or mul of two values of the same shape, the later of which (or, of two pictures, the one with
 *                all the channels and pixels) is read by nothing else and is made element by element of what one op computes, is
 *                done when that one is written: it reads the other value, and the sum or product is written instead.
 *             4. A pool or mean of what one op computes, or several side by side, is done when that is written, and reads
 *                nothing; so the mean of squeeze-and-excite, and a pool behind a convolution. Else it is as in 1.
 *             5. A value is written if something reads it by these rules, or if it is an output. An output that is no op's of 1
 *                is read, if at all, as it stands; writing it reads what it is made of, unless one op computes that, or several
 *                side by side.
 *             So squeeze-and-excite writes the depthwise convolution's value once, and its projection reads it once; no
 *             intermediate of a residual block but its convolutions' values is written; and recomputing a window's overlap is free.
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
    uint32_t n_ops, last_op; /* that it computes */
    uint64_t macs;
    struct traffic traffic;
};

/* Of steps 0 .. n_steps - 1; step_of[i] is the one that computes op i. BGD_MEMORY. */
int cost_steps(const struct bgd_model *model, const uint32_t *step_of, uint32_t n_steps, struct step_cost *costs,
               struct bgd_err *err);

#endif
