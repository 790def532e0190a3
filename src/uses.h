/* Who reads each value of a graph: what a backend must know to fuse an op into the one before it. */
#ifndef BGD_USES_H
#define BGD_USES_H

#include "model.h"

#define NONE UINT32_MAX /* no op, no value, no block */

struct uses {
    const struct bgd_model *model;
    uint32_t *readers;     /* per value: number of reads by ops, plus one for each time it is an output */
    uint32_t *last_reader; /* per value: the last op that reads it, or NONE */
};

/* uses_free releases it. BGD_MEMORY. */
int uses_build(const struct bgd_model *model, struct uses *uses, struct bgd_err *err);
void uses_free(struct uses *uses);

/* The op that alone reads `value`, if its code is `code`; else NONE. */
uint32_t uses_sole_reader(const struct uses *uses, uint32_t value, enum bgd_op code);

#endif
