#include "cuda_network.h"

#include "cuda_error.h"
#include "cuda_ops.h"
#include "cudnn_tuner.h"
#include "err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Launches take tens of microseconds of a pass however small it is, so a pass should be long; and twice as long is twice the
 * memory. */
#define BATCH_MOST 256u
#define LAUNCH_MOST 65535u       /* pictures that a launch can have, as blocks of the second axis */
#define BATCH_BYTES (512u << 20) /* of the largest value of a batch */

/* ---------------------------------------------------------------- the list */

uint32_t cuda_network_batch(const struct bgd_model *model, enum kernel_type type)
{
    uint64_t largest = 1, element = kernel_type_bytes(type == KERNEL_F8 ? KERNEL_F16 : type); /* as cuda_network_create */
    for (uint32_t i = 0; i < model->header->n_values; i++) {
        struct shape s = model_shape(model, i);
        uint64_t bytes = (uint64_t)s.h * s.w * kernel_lanes(s.c) * element;
        largest = bytes > largest ? bytes : largest;
    }
    uint32_t batch = BATCH_MOST;
    while (batch > 1 && batch * largest > BATCH_BYTES)
        batch /= 2;
    return batch;
}

/* Builds op i, and writes down for it whatever that has added: steps, and ops that are done. */
static int build_op(struct cuda_builder *b, uint32_t i)
{
    struct cuda_network *net = b->net;
    uint32_t first = net->n_steps;
    if (cuda_build_op(b, i))
        return err_prefix(b->err, "op %s: ", b->model->values[model_op_value(b->model, i)].name);
    for (uint32_t k = first; k < net->n_steps; k++)
        net->steps[k].leader = i;
    for (uint32_t k = i; k < b->model->header->n_ops; k++)
        if (b->done[k] && net->leaders[k] == NONE)
            net->leaders[k] = i;
    return 0;
}

static int build_steps(struct cuda_builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    struct cuda_network *net = b->net;
    for (uint32_t i = 0; i < h->n_inputs; i++) {
        net->inputs[i] = cuda_place(b, i, net->type);
        if (net->inputs[i].block == NONE)
            return b->err->code;
        net->blocks[net->inputs[i].block].first = 0; /* written before the first step; and a pass may be run again */
        b->computed[i] = true;
    }
    for (uint32_t i = 0; i < h->n_ops; i++)
        if (!b->done[i] && build_op(b, i))
            return b->err->code;
    for (uint32_t i = 0; i < h->n_outputs; i++) {
        uint32_t value = h->outputs[i];
        if (b->operands[value].block == NONE)
            continue; /* a step has written it where it belongs */
        const struct cuda_step output = {.kind = CUDA_OUTPUT,
                                         .name = b->model->values[value].name,
                                         .x = {b->operands[value], {.block = NONE}, {.block = NONE}},
                                         .y.block = NONE,
                                         .scratch = NONE,
                                         .sums = NONE,
                                         .at = i,
                                         .leader = value < h->n_inputs ? NONE : net->leaders[value - h->n_inputs]};
        if (cuda_add_step(b, &output))
            return b->err->code;
    }
    for (uint32_t i = 0; i < h->n_inputs; i++)
        net->blocks[net->inputs[i].block].last = net->n_steps;
    return 0;
}

int cuda_network_create(const struct bgd_model *model, enum kernel_type type, uint32_t batch, bool fuse_blocks,
                        struct cuda_network **out, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct cuda_builder b = {.model = model, .err = err, .fuse_blocks = fuse_blocks && type != KERNEL_F32};
    *out = NULL;
    b.net = calloc(1, sizeof *b.net);
    b.homes = calloc(h->n_values, sizeof *b.homes);
    b.operands = calloc(h->n_values, sizeof *b.operands);
    b.sums = calloc(h->n_values, sizeof *b.sums);
    b.computed = calloc(h->n_values, sizeof *b.computed);
    b.done = calloc(h->n_ops, sizeof *b.done);
    if (b.net)
        b.net->leaders = malloc(h->n_ops * sizeof *b.net->leaders);
    int code;
    if (!b.net || !b.net->leaders || !b.homes || !b.operands || !b.sums || !b.computed || !b.done) {
        code = err_set(err, BGD_MEMORY, "out of memory");
    } else if (!(code = uses_build(model, &b.uses, err))) {
        b.net->model = model;
        b.net->type = type == KERNEL_F8 ? KERNEL_F16 : type;
        b.net->narrow = type == KERNEL_F8;
        b.net->batch = batch;
        code = b.net->batch > LAUNCH_MOST ? err_set(err, BGD_MEMORY, "a batch of %u, at most %u fit", batch, LAUNCH_MOST) : 0;
        for (uint32_t i = 0; i < h->n_values; i++)
            b.operands[i].block = b.sums[i].block = NONE;
        for (uint32_t i = 0; i < h->n_ops; i++)
            b.net->leaders[i] = NONE;
        cuda_find_homes(&b);
        code = code ? code : build_steps(&b);
    }
    if (code)
        cuda_network_destroy(b.net);
    else
        *out = b.net;
    uses_free(&b.uses);
    free(b.homes);
    free(b.operands);
    free(b.sums);
    free(b.computed);
    free(b.done);
    return code;
}

/* ---------------------------------------------------------------- on the device */

/* A workspace is a block that lives for its step. */
static int make_plan(struct cuda_network *net, uint32_t index, struct cudnn *cudnn, struct cudnn_tuner *tuner,
                     struct bgd_err *err)
{
    struct cuda_step *step = &net->steps[index];
    if (step->kind != CUDA_CONV)
        return 0;
    const struct cudnn_conv *c = &step->conv;
    if ((uint64_t)c->h * c->w * c->pitch > INT32_MAX / c->n || (uint64_t)c->out_h * c->out_w * c->out_pitch > INT32_MAX / c->n)
        return err_set(err, BGD_MEMORY, "op %s: a value of more than 2^31 numbers for %u pictures", step->name, c->n);
    if (cudnn_plan_make(cudnn, &step->conv, tuner, &step->plan, err))
        return err_prefix(err, "op %s: ", step->name);
    if (cudnn_plan_workspace(step->plan) == 0)
        return 0;
    step->scratch = cuda_add_block(net, cudnn_plan_workspace(step->plan), err);
    if (step->scratch == NONE)
        return err->code;
    net->blocks[step->scratch].first = net->blocks[step->scratch].last = index;
    return 0;
}

static int open_tuner(const struct cuda_network *net, struct cudnn *cudnn, struct cudnn_tuner **tuner, struct bgd_err *err)
{
    size_t largest = 0;
    for (uint32_t i = 0; i < net->n_steps; i++) {
        size_t bytes = net->steps[i].kind == CUDA_CONV ? cudnn_tuner_bytes(&net->steps[i].conv) : 0;
        largest = bytes > largest ? bytes : largest;
    }
    return cudnn_tuner_open(cudnn, largest, tuner, err);
}

static int make_plans(struct cuda_network *net, struct cudnn *cudnn, bool autotune, struct bgd_err *err)
{
    struct cudnn_tuner *tuner = NULL;
    int code = autotune ? open_tuner(net, cudnn, &tuner, err) : 0;
    for (uint32_t i = 0; i < net->n_steps && !code; i++)
        code = make_plan(net, i, cudnn, tuner, err);
    cudnn_tuner_close(tuner);
    return code;
}

static int place_blocks(struct cuda_network *net, struct bgd_err *err)
{
    uint32_t *order = calloc(net->n_blocks, sizeof *order);
    if (!order)
        return err_set(err, BGD_MEMORY, "out of memory");
    net->arena_bytes = plan_place(net->blocks, order, net->n_blocks);
    free(order);
    return 0;
}

static int upload_constants(struct cuda_network *net, struct bgd_err *err)
{
    void *device = NULL;
    if (net->constant_bytes && cuda_check(cudaMalloc(&device, net->constant_bytes), "allocating the weights", err))
        return err->code;
    cudaError_t error = cudaSuccess;
    if (device)
        error = cudaMemcpy(device, net->constants, net->constant_bytes, cudaMemcpyHostToDevice);
    if (!error) /* the copy above may return before its end, and other streams do not wait for it */
        error = cudaStreamSynchronize(NULL);
    free(net->constants);
    net->constants = device;
    net->loaded = true;
    return cuda_check(error, "copying the weights", err);
}

int cuda_network_load(struct cuda_network *net, struct cudnn *cudnn, bool autotune, struct bgd_err *err)
{
    assert(!net->loaded);
    return make_plans(net, cudnn, autotune, err) || place_blocks(net, err) || upload_constants(net, err) ? err->code : 0;
}

void cuda_network_destroy(struct cuda_network *net)
{
    if (!net)
        return;
    for (uint32_t i = 0; i < net->n_steps; i++)
        cudnn_plan_free(net->steps[i].plan);
    if (net->loaded)
        cudaFree(net->constants);
    else
        free(net->constants);
    free(net->steps);
    free(net->leaders);
    free(net->blocks);
    free(net);
}
