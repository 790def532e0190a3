/* A cuda_network in the making: where its values and constants lie. */
#ifndef BGD_CUDA_BUILDER_H
#define BGD_CUDA_BUILDER_H

#include "cuda_network.h"

/* A value that is part of a concat and is computed in its place there. */
struct cuda_home {
    uint32_t concat; /* the concat's value; NONE: it has a block of its own */
    uint32_t channel;
};

/* Of a value over its pixels (kernels.h): instead of its mean. */
struct cuda_sums {
    uint32_t block; /* NONE: there are none */
    uint32_t tiles;
};

struct cuda_builder {
    struct cuda_network *net;
    const struct bgd_model *model;
    struct uses uses;
    bool fuse_blocks;              /* may cuda_blocks.h's steps be made? */
    struct cuda_home *homes;       /* per value */
    struct cuda_operand *operands; /* per value; block NONE until it has a place */
    struct cuda_sums *sums;        /* per value: if it is a mean that is not computed, because these are */
    bool *computed;                /* per value: by the steps so far */
    bool *done;                    /* per op: computed, on its own or with another */
    struct bgd_err *err;
};

/* Of an element. */
size_t cuda_type_bytes(enum kernel_type type);

/* A block of memory; NONE and an error on failure. */
uint32_t cuda_add_block(struct cuda_network *net, uint64_t bytes, struct bgd_err *err);

/* The place of a value, made now if it has none, in elements of `type`. BLOCK NONE and an error on failure. */
struct cuda_operand cuda_place(struct cuda_builder *b, uint32_t value, enum kernel_type type);

/* Appends `values` as elements of `type` to the constants and writes their offset. */
int cuda_add_constant(struct cuda_builder *b, enum kernel_type type, const float *values, size_t n, size_t *offset);

/* Appends a step, and widens the lives of the blocks that it touches. */
int cuda_add_step(struct cuda_builder *b, const struct cuda_step *step);

/* Finds the homes of all values: of a fresh builder. */
void cuda_find_homes(struct cuda_builder *b);

#endif
