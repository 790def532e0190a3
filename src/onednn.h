/*
 * The inside of backend_onednn: a graph turned into a list of oneDNN primitives, and loops of our own between them.
 *
 * onednn_network.c holds the list, its blocks of memory and its constants; onednn_ops.c and onednn_conv.c turn each op into steps
 * of the list, fusing what can be fused; onednn_loops.c, onednn_depthwise.c, onednn_high_pass.c and onednn_winograd.c have the
 * loops; backend_onednn.c runs it.
 */
#ifndef BGD_ONEDNN_H
#define BGD_ONEDNN_H

#include "onednn_activation.h"
#include "high_pass.h"
#include "plan.h"
#include "uses.h"

#include <dnnl.h>

#define STEP_ARGS_MAX 9 /* concat: 8 inputs and the output */

/* A place for data: in the arena (span), or bound to a graph input or output (a span of 0 bytes). */
struct block {
    dnnl_memory_desc_t desc; /* (tile, c, h, w) in some layout */
    struct span span;
};

struct arg {
    int name;               /* DNNL_ARG_SRC, ... */
    uint32_t block;         /* NONE for a constant */
    dnnl_memory_t constant; /* shared by all execs, read only; owned by the network */
};

/* One op as a loop of ours over the first `pictures` of a tile: the others are nobody's. */
struct loop {
    void (*run)(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target, float *scratch);
    const struct bgd_format_op *op;
    struct shape in[8], out;
    uint32_t block; /* channels lie in blocks of so many (of the first input and the output; others are dense) */
    void *tables;   /* of high_pass and upsample, the bias of a join, weights and bias of depthwise; owned */
    uint32_t tile;  /* of Winograd's split and join: pictures in a part */
    size_t part;    /* floats from one of the 36 to the next */
    bool residual;  /* of a join: there is a second source, which is added behind `first` and before `last` */
    enum onednn_activation first, last; /* of depthwise (`first`) and a join */
    size_t scratch_bytes;               /* that run needs */
};

/* NULL when memory ran out. `op` is borrowed. */
struct loop *onednn_loop_create(const struct bgd_format_op *op, const struct shape *in, struct shape out, uint32_t block);
void onednn_loop_destroy(struct loop *loop);

/* Blocks of so many channels, the last of which may not be full. */
static inline uint32_t blocks_of(uint32_t channels, uint32_t block)
{
    return (channels + block - 1) / block;
}

/* The loop of a high-pass, whose tables are high_pass_create's, and the scratch that it needs. */
void onednn_high_pass(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target, float *scratch);
size_t onednn_high_pass_bytes(const struct high_pass *tables, struct shape shape);

/* A convolution of each channel by itself in blocks of `block`, a multiple of LANES; from weights (c, kernel) and c biases. NULL
 * when memory ran out. */
struct loop *onednn_depthwise_create(const struct bgd_format_op *op, struct shape in, struct shape out, uint32_t block,
                                     const float *weights, const float *bias);

/* Convolutions of 3x3 as 36 products of matrices; see onednn_winograd.c. */
#define WINOGRAD_PARTS 36u

/* True for an op that has far fewer multiplications so. */
bool onednn_winograd_suits(const struct bgd_format_op *op, struct shape in, struct shape out);

/* The shape of all pictures' tiles of c channels, each in 36 parts, for an output of that shape. */
struct shape onednn_winograd_tiles(struct shape out, uint32_t c, uint32_t pictures);

/* Weights (k, c, 3, 3) to 36 parts (k / block, c, block), each `part` floats behind the one before. */
void onednn_winograd_weights(const float *weights, uint32_t k, uint32_t c, uint32_t block, float *out, size_t part);

/* The loops before and behind the products; in.c and out.c are multiples of `block`; from part to part are `part` floats. A join
 * adds the bias and whatever its caller then sets; its target may be its residual. NULL when memory ran out.
 */
struct loop *onednn_winograd_split(const struct bgd_format_op *op, uint32_t tile, struct shape in, struct shape out,
                                   uint32_t block, size_t part);
struct loop *onednn_winograd_join(uint32_t tile, struct shape out, uint32_t block, size_t part, const float *bias);

struct step {
    dnnl_primitive_t primitive; /* or */
    struct loop *loop;          /* whose args are its sources, then its target */
    struct arg args[STEP_ARGS_MAX];
    uint32_t n_args;
    uint32_t parts;  /* above 1: the primitive runs so often, over one part of each arg after the other */
    uint32_t leader; /* the op that it was built for; NONE of an output that is an input */
};

/* What sibling execs share: everything but the memory of blocks. */
struct network {
    const struct bgd_model *model;
    dnnl_engine_t engine;
    uint32_t tile;  /* pictures per pass */
    uint32_t users; /* execs */
    struct step *steps;
    uint32_t n_steps;
    uint32_t *leaders; /* per op: the one for which the steps were built that compute it */
    struct block *blocks;
    uint32_t n_blocks;
    uint32_t capacity;                        /* of steps and of blocks */
    uint32_t inputs[BGD_FORMAT_INPUTS_MAX];   /* blocks of the graph's inputs, dense nchw */
    uint32_t outputs[BGD_FORMAT_OUTPUTS_MAX]; /* blocks of its outputs, dense nchw */
    size_t arena_bytes;
    size_t scratchpad_bytes;
};

/* The pictures of a pass that suit a model. */
uint32_t onednn_tile(const struct bgd_model *model);

/* The calling thread's number of OpenMP threads must be the one that the network will run with: primitives are compiled for it.
 */
int onednn_network_create(dnnl_engine_t engine, const struct bgd_model *model, struct network **net, struct bgd_err *err);
void onednn_network_destroy(struct network *net);

/* Sets the error of a failed call and returns its code. */
int onednn_failed(dnnl_status_t status, const char *what, struct bgd_err *err);

/* ---------------------------------------------------------------- between onednn_network.c, onednn_ops.c and onednn_conv.c */

#define ONEDNN_ROOMS 2u

struct builder {
    struct network *net;
    const struct bgd_model *model;
    uint32_t *value_block; /* per value: its block, or NONE while it is not computed (or fused away) */
    struct uses uses;
    bool *done; /* per op: computed, on its own or as a post-op */
    struct {
        float *floats;
        size_t count;
    } rooms[ONEDNN_ROOMS];
    struct bgd_err *err;
};

/* The shape (tile, c, h, w) of a value, in a layout that has a tag; dnnl_format_tag_any leaves it to oneDNN. */
dnnl_memory_desc_t onednn_desc(const struct builder *b, uint32_t value, dnnl_format_tag_t tag);

/* A new block. NONE and an error if it is larger than oneDNN's compiled loops can address. */
uint32_t onednn_add_block(struct builder *b, const dnnl_memory_desc_t *desc);

/* Appends the step of `pd`, and widens the lives of the blocks that it touches. The network then owns the args' constants,
 * in failure too. */
int onednn_add_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args);

/* From one part to the next. Not a multiple of a page: a loop that goes through all parts side by side would find them in the same
 * few places of the cache. */
size_t onednn_part_bytes(const dnnl_memory_desc_t *part);

/* The same of a primitive that is run over each of so many parts, which follow each other in every arg. */
int onednn_add_parted_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args,
                           uint32_t parts);

/* Appends the step of a loop (taken over; NULL is an error), likewise. */
int onednn_add_loop(struct builder *b, struct loop *loop, const struct arg *args, uint32_t n_args);

/* The block of `from`'s data in layout `desc`: itself, or a new one behind a reorder step. NONE and an error on failure. */
uint32_t onednn_in_layout(struct builder *b, uint32_t from, const dnnl_memory_desc_t *desc);

/* Appends a reorder of block `from` into block `to`. */
int onednn_add_reorder(struct builder *b, uint32_t from, uint32_t to);

/* A tensor as a oneDNN memory in layout `desc`, converted and reordered once; `dims` and `tag` say how it lies in the file.
 * NULL and an error on failure. */
dnnl_memory_t onednn_constant(struct builder *b, uint32_t tensor, int ndims, const dnnl_dims_t dims, dnnl_format_tag_t tag,
                              const dnnl_memory_desc_t *desc);

/* The values of a tensor, in the builder's own room i, until that is asked for again: weights come and go faster than memory does.
 * NULL and an error when memory ran out. */
float *onednn_tensor(struct builder *b, uint32_t i, uint32_t tensor);

/* One that the caller fills, at *values. */
dnnl_memory_t onednn_empty_constant(struct builder *b, const dnnl_memory_desc_t *desc, float **values);

/* Attributes that make a primitive take its scratchpad from the exec, so that lanes may run it at the same time; NULL when
 * memory ran out. */
dnnl_primitive_attr_t onednn_attr(void);

/* The value of the activation that follows, marked as done and appended to the post-ops, or `value` itself. */
uint32_t onednn_take_activation(struct builder *b, uint32_t value, dnnl_post_ops_t post);

/* Appends the step of a primitive with weights and bias; `source` or `target` may be NONE after a failure. Takes the memories. */
int onednn_add_weighted_step(struct builder *b, const_dnnl_primitive_desc_t pd, uint32_t source, uint32_t target,
                             dnnl_memory_t weight, dnnl_memory_t bias);

/* onednn_build_op of a convolution. */
int onednn_build_conv(struct builder *b, uint32_t op);

/* Appends the steps of one op, and of those after it that it takes as post-ops. */
int onednn_build_op(struct builder *b, uint32_t op);

#endif
