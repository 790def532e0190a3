/*
 * A model as the CUDA backend runs it: a list of steps over blocks of one arena (kernels/kernels.h says how values lie).
 *
 * cuda_network.c makes the list, cuda_ops.c turns each op into a step, taking along what follows it where one kernel does both
 * (cuda_blocks.c: the blocks of EfficientNets), cuda_weights.c orders weights as kernels want them, cuda_builder.c decides
 * where values and constants lie, and cuda_steps.c puts the steps into a stream. Making the list needs no device: a test can
 * ask for every convolution of a network where there is none.
 */
#ifndef BGD_CUDA_NETWORK_H
#define BGD_CUDA_NETWORK_H

#include "cudnn_plan.h"
#include "plan.h"
#include "uses.h"

#define CUDA_ALIGN 256u /* of blocks and constants: cuDNN's workspaces ask for the most */

/* A value, or the slice of one that a concat of it makes, in the arena. */
struct cuda_operand {
    uint32_t block; /* NONE: there is none */
    uint32_t channel;
    struct kernel_value value; /* data is NULL until a step runs */
};

enum cuda_kind {
    CUDA_CONV, /* and dense: cuDNN's */
    CUDA_DEPTHWISE,
    CUDA_EXPAND, /* a 1x1 convolution and a depthwise one */
    CUDA_GROUPED,
    CUDA_ACTIVATE,
    CUDA_COMBINE, /* add, mul */
    CUDA_DENOISE,
    CUDA_MAX_POOL,
    CUDA_GLOBAL_MEAN,
    CUDA_ADAPTIVE_MEAN,
    CUDA_LRN,
    CUDA_EXCITE,
    CUDA_PROJECT,  /* mul by a gate and a 1x1 convolution */
    CUDA_UPSAMPLE, /* of up to three values, and their sum */
    CUDA_SOFTMAX,
    CUDA_ATTENTION,
    CUDA_QUANTILE_MASK,
    CUDA_HIGH_PASS,
    CUDA_NARROW, /* to E4M3: the input of a convolution of KERNEL_F8 */
    CUDA_COPY,   /* to the channels of y from `at` on */
    CUDA_OUTPUT,
};

#define CUDA_INPUTS 3u
#define CUDA_CONSTANTS 5u

struct cuda_step {
    enum cuda_kind kind;
    const struct bgd_format_op *op; /* its attributes; NULL of an output */
    const char *name;               /* of the value that it computes */
    struct cuda_operand x[CUDA_INPUTS], y;
    bool align_corners[CUDA_INPUTS]; /* of an upsample's inputs */
    bool scaled;                     /* an upsample has the constants weight and bias */
    enum kernel_activation f, g;
    size_t constants[CUDA_CONSTANTS]; /* offsets, in the order of the launcher's arguments */
    uint32_t scratch;                 /* a block; NONE */
    uint32_t sums;  /* a block: of y, which a depthwise writes, or of x[0], whose mean an excite wants; NONE */
    uint32_t tiles; /* of the sums */
    struct cudnn_conv conv;
    struct cudnn_plan *plan;
    uint32_t squeezed; /* of an excite */
    uint32_t nu, nv;   /* of a high-pass */
    uint32_t at;       /* of a copy; which output a step writes, if it is one or has no block for y */
    uint32_t leader;   /* the op that it was built for; NONE of an output that is an input */
};

/* What execs side by side share: everything but the arena. */
struct cuda_network {
    const struct bgd_model *model;
    enum kernel_type type; /* of values */
    bool narrow;           /* large convolutions are KERNEL_F8 (cuda_narrow.h) */
    uint32_t batch;        /* pictures in a pass: all steps are for so many */
    uint32_t users;        /* execs */
    struct cuda_step *steps;
    uint32_t n_steps, steps_room;
    uint32_t *leaders; /* per op: the one for which the steps were built that compute it */
    struct span *blocks;
    uint32_t n_blocks, blocks_room;
    struct cuda_operand inputs[BGD_FORMAT_INPUTS_MAX];
    size_t arena_bytes;
    uint8_t *constants; /* on the host until cuda_network_load, then on the device */
    size_t constant_bytes, constants_room;
    bool loaded;
};

/* The pictures of a batch that suit the model. */
uint32_t cuda_network_batch(const struct bgd_model *model, enum kernel_type type);

/* The list for `batch` pictures. `type` KERNEL_F8 is f16 but for large convolutions. With
 * `fuse_blocks`, and unless in f32, cuda_blocks.h's steps are in it; without, what they do is more steps, and cuDNN's. `model` is
 * borrowed. BGD_MEMORY. */
int cuda_network_create(const struct bgd_model *model, enum kernel_type type, uint32_t batch, bool fuse_blocks,
                        struct cuda_network **net, struct bgd_err *err);

/* Makes the plans, chosen by timing if `autotune` (cudnn_plan_make), places the blocks, and copies the constants to the device. */
int cuda_network_load(struct cuda_network *net, struct cudnn *cudnn, bool autotune, struct bgd_err *err);

void cuda_network_destroy(struct cuda_network *net);

/* Puts a step into the stream: blocks lie in `arena`, outputs in `outputs`, (batch, c, h, w) in f32. Can be captured. */
int cuda_step_run(const struct cuda_network *net, const struct cuda_step *step, struct cudnn *cudnn, uint8_t *arena,
                  float *const *outputs, cudaStream_t stream, struct bgd_err *err);

/* The operand's value in that arena. */
struct kernel_value cuda_resolve(const struct cuda_network *net, const struct cuda_operand *operand, uint8_t *arena);

#endif
