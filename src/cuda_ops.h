/* The ops of a graph as steps of a cuda_network. */
#ifndef BGD_CUDA_OPS_H
#define BGD_CUDA_OPS_H

#include "cuda_builder.h"

/* Appends the steps of one op, and of those after it that it takes along. */
int cuda_build_op(struct cuda_builder *b, uint32_t op);

#endif
