/*
 * The inside of backend_onednn: a graph turned into a list of oneDNN primitives, and loops of our own between them.
 *
 * onednn_network.c holds the list, its blocks of memory and its constants; onednn_ops.c turns each op into steps of the
 * list, fusing what oneDNN can fuse; onednn_loops.c has the loops; backend_onednn.c runs it.
 */
#ifndef BGD_ONEDNN_H
#define BGD_ONEDNN_H

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

/* One op as a loop of ours over a tile; see onednn_loops.c. */
struct loop {
    void (*run)(const struct loop *loop, const float *const *sources, float *target, float *scratch);
    const struct bgd_format_op *op;
    uint32_t tile;
    struct shape in[8], out;
    uint32_t block;       /* channels lie in blocks of so many (of the first input and the output; others are dense) */
    void *tables;         /* of high_pass; owned */
    size_t scratch_bytes; /* that run needs */
};

/* NULL when memory ran out. `op` is borrowed. */
struct loop *onednn_loop_create(const struct bgd_format_op *op, uint32_t tile, const struct shape *in, struct shape out,
                                uint32_t block);
void onednn_loop_destroy(struct loop *loop);

struct step {
    dnnl_primitive_t primitive; /* or */
    struct loop *loop;          /* whose args are its sources, then its target */
    struct arg args[STEP_ARGS_MAX];
    uint32_t n_args;
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

/* The calling thread's number of OpenMP threads must be the one that the network will run with: primitives are compiled for it.
 */
int onednn_network_create(dnnl_engine_t engine, const struct bgd_model *model, struct network **net, struct bgd_err *err);
void onednn_network_destroy(struct network *net);

/* Sets the error of a failed call and returns its code. */
int onednn_failed(dnnl_status_t status, const char *what, struct bgd_err *err);

/* ---------------------------------------------------------------- between onednn_network.c and onednn_ops.c */

struct builder {
    struct network *net;
    const struct bgd_model *model;
    uint32_t *value_block; /* per value: its block, or NONE while it is not computed (or fused away) */
    struct uses uses;
    bool *done; /* per op: computed, on its own or as a post-op */
    struct bgd_err *err;
};

/* The shape (tile, c, h, w) of a value, in a layout that has a tag; dnnl_format_tag_any leaves it to oneDNN. */
dnnl_memory_desc_t onednn_desc(const struct builder *b, uint32_t value, dnnl_format_tag_t tag);

/* A new block. NONE and an error if it is larger than oneDNN's compiled loops can address. */
uint32_t onednn_add_block(struct builder *b, const dnnl_memory_desc_t *desc);

/* Appends the step of `pd`, and widens the lives of the blocks that it touches. The network then owns the args' constants,
 * in failure too. */
int onednn_add_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args);

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

/* Attributes that make a primitive take its scratchpad from the exec, so that lanes may run it at the same time; NULL when
 * memory ran out. */
dnnl_primitive_attr_t onednn_attr(void);

/* Appends the steps of one op, and of those after it that it takes as post-ops. */
int onednn_build_op(struct builder *b, uint32_t op);

#endif
