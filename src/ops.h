/* The op table: what each op of bgdet_format.h takes, and the rule that gives its shape. */
#ifndef BGD_OPS_H
#define BGD_OPS_H

#include "bgdet.h"
#include "bgdet_format.h"

struct shape {
    uint32_t c, h, w; /* the batch n is not part of a shape */
};

static inline uint64_t shape_size(struct shape s)
{
    return (uint64_t)s.c * s.h * s.w;
}

struct op_info {
    const char *name;  /* "conv", ... */
    uint32_t n_inputs; /* of concat: at least */
    uint32_t n_inputs_most;
    uint32_t n_tensors;
    bool window; /* has a window attribute; so for the others */
    bool groups;
    bool scale;
    float parameter_most; /* 0: it has none */
    uint32_t size_most;   /* 0: it has no size */
    bool area;            /* size has two sides, not one */
};

/* The table's entry, or NULL for a code that is not in the list. */
const struct op_info *op_info(uint32_t code);

/*
 * Checks one op against the table and computes the shape of its value. `inputs` are the shapes of its n_inputs
 * inputs, `tensors` its n_tensors tensors, in order. Fails with BGD_DAMAGED; the text does not name the op (the caller does).
 */
int op_shape(const struct bgd_format_op *op, const struct shape *inputs, const struct bgd_format_tensor *const *tensors,
             struct shape *out, struct bgd_err *err);

/* True if y is (c, 1, 1) or (1, h, w) of x: what add and mul repeat. (Not exclusive with being of the same shape.) */
bool op_broadcasts(struct shape x, struct shape y);

/* Multiply-accumulates for one picture; 0 for ops that have none to speak of. */
uint64_t op_macs(const struct bgd_format_op *op, const struct shape *inputs, struct shape out);

#endif
