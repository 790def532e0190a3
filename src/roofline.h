/*
 * How near a network comes to what its device can do: its costs (cost.h), the device's ceilings and the times of its steps
 * (backend.h), joined. After Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model".
 */
#ifndef BGD_ROOFLINE_H
#define BGD_ROOFLINE_H

#include "backend.h"

/* What the ceilings allow, by one of the ways in which cost.h counts bytes. */
struct roofline_limit {
    double bytes;    /* moved for one picture, its share of the weights included */
    double stepwise; /* images/s if each op (as run: each step) takes the longer of bytes / copy and macs / macs */
    double overall;  /* images/s if all the moving and all the computing overlap: only the longer of the two sums counts */
};

/* One step of the run, and its own ceiling; all of one picture. */
struct roofline_step {
    const char *name; /* of the last value that it computes; the model's */
    const char *kind; /* of its op with the most multiply-accumulates, or the first: "conv", ... */
    uint32_t n_ops;
    double macs, bytes;
    double limit;   /* seconds that the ceilings allow: the longer of bytes / copy and macs / macs */
    bool memory;    /* which of them that is: true: moving bytes, false: arithmetic */
    double seconds; /* that it took */
};

struct roofline {
    struct backend_ceilings ceilings;
    uint32_t batch; /* pictures that share the reading of a weight */
    double macs;    /* of one picture */
    struct roofline_limit unfused, fused;

    /* Of a network that was timed; else 0 and NULL. */
    struct roofline_limit as_run;
    double measured;             /* images/s, by the sum of its steps' times */
    struct roofline_step *steps; /* those first that lose the most against their limit: seconds - limit */
    uint32_t n_steps;
};

/* `times` are those of a run of `batch` pictures, per op; NULL: there are none. roofline_free releases it, after a failure, too. The
 * model is borrowed until then. BGD_MEMORY. */
int roofline_build(const struct bgd_model *model, const struct backend_ceilings *ceilings, const struct backend_op_time *times,
                   uint32_t batch, struct roofline *roofline, struct bgd_err *err);
void roofline_free(struct roofline *roofline);

/* The share of the limit that was reached: measured / stepwise. */
static inline double roofline_share(const struct roofline *roofline, const struct roofline_limit *limit)
{
    return roofline->measured / limit->stepwise;
}

#endif
