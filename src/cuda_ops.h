/* The ops of a graph as steps of a cuda_network. */
#ifndef BGD_CUDA_OPS_H
#define BGD_CUDA_OPS_H

#include "cuda_builder.h"

/* Appends the steps of one op, and of those after it that it takes along. */
int cuda_build_op(struct cuda_builder *b, uint32_t op);

/* ---------------------------------------------------------------- what each of them is made of */

/* A step of an op, nothing filled in but its attributes. */
struct cuda_step cuda_new_step(const struct cuda_builder *b, enum cuda_kind kind, uint32_t op);

/* Gives the step its output and appends it: `value` is computed. */
int cuda_finish_step(struct cuda_builder *b, struct cuda_step *step, uint32_t value, enum kernel_type type);

/* The activation that alone reads `value`, or NONE. */
uint32_t cuda_find_activation(const struct cuda_builder *b, uint32_t value);

/* If an activation alone reads `value`: takes it along, and returns its value; else `value`, and KERNEL_NONE. */
uint32_t cuda_take_activation(struct cuda_builder *b, uint32_t value, enum kernel_activation *f);

/* If an add of something computed already, of the same shape, alone reads `value`: takes it along likewise. */
uint32_t cuda_take_residual(struct cuda_builder *b, uint32_t value, struct cuda_operand *residual);

/* If a squeeze-and-excite wants the mean of `value`, which the step computes, and nothing else does: has the step make sums, of
 * so many tiles a picture (0: it cannot), and takes the mean along. */
int cuda_take_mean(struct cuda_builder *b, uint32_t value, uint32_t tiles, struct cuda_step *step);

#endif
