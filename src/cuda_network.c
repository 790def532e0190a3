#include "cuda_network.h"

#include "bytes.h"
#include "err.h"
#include "half.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Launches take tens of microseconds of a pass however small it is, so a pass should be long; and twice as long is twice the
 * memory. */
#define BATCH_MOST 256u
#define BATCH_BYTES (512u << 20) /* of the largest value of a batch */

int cuda_check(cudaError_t error, const char *what, struct bgd_err *err)
{
    if (error == cudaSuccess)
        return 0;
    (void)cudaGetLastError(); /* one that can be lived with shall not be found again by the next call */
    return err_set(err, error == cudaErrorMemoryAllocation ? BGD_MEMORY : BGD_DEVICE, "CUDA: %s: %s (%s)", what,
                   cudaGetErrorString(error), cudaGetErrorName(error));
}

static size_t type_bytes(enum kernel_type type)
{
    return type == KERNEL_F32 ? 4 : 2;
}

struct kernel_value cuda_resolve(const struct cuda_network *net, const struct cuda_operand *operand, uint8_t *arena)
{
    struct kernel_value value = operand->value;
    if (operand->block != NONE)
        value.data = arena + net->blocks[operand->block].offset + operand->channel * type_bytes(value.type);
    return value;
}

/* ---------------------------------------------------------------- blocks */

/* Makes room for one more element of `size` bytes; false when memory ran out. */
static bool make_room(void **array, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return true;
    uint32_t wanted = *room ? 2 * *room : 64;
    void *grown = realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

uint32_t cuda_add_block(struct cuda_builder *b, uint64_t bytes)
{
    struct cuda_network *net = b->net;
    if (bytes > SIZE_MAX / 4 || !make_room((void **)&net->blocks, net->n_blocks, &net->blocks_room, sizeof *net->blocks)) {
        err_set(b->err, BGD_MEMORY, "out of memory for a value of %llu bytes", (unsigned long long)bytes);
        return NONE;
    }
    size_t rounded = ((size_t)bytes + CUDA_ALIGN - 1) / CUDA_ALIGN * CUDA_ALIGN;
    net->blocks[net->n_blocks] = (struct span){.bytes = rounded, .first = NONE};
    return net->n_blocks++;
}

struct cuda_operand cuda_place(struct cuda_builder *b, uint32_t value, enum kernel_type type)
{
    struct cuda_operand *operand = &b->operands[value];
    if (operand->block != NONE)
        return *operand;
    struct shape s = model_shape(b->model, value);
    const struct cuda_home *home = &b->homes[value];
    operand->value = (struct kernel_value){NULL, s.c, s.h, s.w, kernel_lanes(s.c), type};
    if (home->concat == NONE) {
        uint64_t bytes = (uint64_t)s.h * s.w * operand->value.pitch * type_bytes(type); /* below 2^52: sides have 17 bits */
        operand->block = checked_mul(bytes, b->net->batch, &bytes) ? cuda_add_block(b, bytes) : cuda_add_block(b, UINT64_MAX);
        return *operand;
    }
    const struct cuda_operand outer = cuda_place(b, home->concat, type);
    operand->block = outer.block;
    operand->channel = outer.channel + home->channel;
    operand->value.pitch = outer.value.pitch;
    return *operand;
}

int cuda_add_step(struct cuda_builder *b, const struct cuda_step *step)
{
    struct cuda_network *net = b->net;
    if (!make_room((void **)&net->steps, net->n_steps, &net->steps_room, sizeof *net->steps))
        return err_set(b->err, BGD_MEMORY, "out of memory");
    const uint32_t touched[] = {step->x[0].block, step->x[1].block, step->x[2].block, step->y.block, step->scratch};
    for (size_t i = 0; i < sizeof touched / sizeof touched[0]; i++) {
        if (touched[i] == NONE)
            continue;
        struct span *span = &net->blocks[touched[i]];
        span->first = span->first == NONE ? net->n_steps : span->first;
        span->last = net->n_steps;
    }
    net->steps[net->n_steps++] = *step;
    return 0;
}

/*
 * The inputs of a concat that are computed in their place: those that start and end at whole groups of lanes, are an op's value
 * and not in another concat already. The last concat comes first, so that one inside another finds its own home.
 */
static void find_homes(struct cuda_builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    for (uint32_t i = 0; i < h->n_values; i++)
        b->homes[i].concat = NONE;
    for (uint32_t i = h->n_ops; i > 0; i--) {
        const struct bgd_format_op *op = &b->model->ops[i - 1];
        for (uint32_t k = 0, channel = 0; op->code == BGD_OP_CONCAT && k < op->n_inputs; k++) {
            uint32_t value = op->inputs[k], channels = model_shape(b->model, value).c;
            bool whole = channel % KERNEL_LANES == 0 && channels % KERNEL_LANES == 0;
            if (whole && value >= h->n_inputs && b->homes[value].concat == NONE)
                b->homes[value] = (struct cuda_home){model_op_value(b->model, i - 1), channel};
            channel += channels;
        }
    }
}

/* ---------------------------------------------------------------- constants */

/* Rounds to nearest, ties to even, as a half does. */
static uint16_t bfloat_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u); /* NAN stays one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

int cuda_add_constant(struct cuda_builder *b, enum kernel_type type, const float *values, size_t n, size_t *offset)
{
    struct cuda_network *net = b->net;
    size_t bytes = (n * type_bytes(type) + CUDA_ALIGN - 1) / CUDA_ALIGN * CUDA_ALIGN;
    if (net->constants_room - net->constant_bytes < bytes) {
        size_t wanted = 2 * net->constants_room + bytes;
        uint8_t *grown = realloc(net->constants, wanted);
        if (!grown)
            return err_set(b->err, BGD_MEMORY, "out of memory for %zu bytes of weights", wanted);
        net->constants = grown;
        net->constants_room = wanted;
    }
    uint8_t *to = net->constants + net->constant_bytes;
    *offset = net->constant_bytes;
    net->constant_bytes += bytes;
    memset(to, 0, bytes);
    if (type == KERNEL_F32)
        memcpy(to, values, n * sizeof *values);
    for (size_t i = 0; type != KERNEL_F32 && i < n; i++) {
        uint16_t element = type == KERNEL_F16 ? half_from_float(values[i]) : bfloat_from_float(values[i]);
        memcpy(to + i * sizeof element, &element, sizeof element);
    }
    return 0;
}

/* ---------------------------------------------------------------- the list */

static uint32_t choose_batch(const struct bgd_model *model, enum kernel_type type)
{
    uint64_t largest = 1;
    for (uint32_t i = 0; i < model->header->n_values; i++) {
        struct shape s = model_shape(model, i);
        uint64_t bytes = (uint64_t)s.h * s.w * kernel_lanes(s.c) * type_bytes(type);
        largest = bytes > largest ? bytes : largest;
    }
    uint32_t batch = BATCH_MOST;
    while (batch > 1 && batch * largest > BATCH_BYTES)
        batch /= 2;
    return batch;
}

static int build_steps(struct cuda_builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    struct cuda_network *net = b->net;
    for (uint32_t i = 0; i < h->n_inputs; i++) {
        net->inputs[i] = cuda_place(b, i, net->type);
        if (net->inputs[i].block == NONE)
            return b->err->code;
        net->blocks[net->inputs[i].block].first = 0; /* written before the first step */
        b->computed[i] = true;
    }
    for (uint32_t i = 0; i < h->n_ops; i++)
        if (!b->done[i] && cuda_build_op(b, i))
            return err_prefix(b->err, "op %s: ", b->model->values[model_op_value(b->model, i)].name);
    for (uint32_t i = 0; i < h->n_outputs; i++) {
        const struct cuda_step output = {.kind = CUDA_OUTPUT,
                                         .name = b->model->values[h->outputs[i]].name,
                                         .x = {b->operands[h->outputs[i]], {.block = NONE}, {.block = NONE}},
                                         .y.block = NONE,
                                         .scratch = NONE,
                                         .at = i};
        if (cuda_add_step(b, &output))
            return b->err->code;
    }
    return 0;
}

int cuda_network_create(const struct bgd_model *model, enum kernel_type type, uint32_t batch, struct cuda_network **out,
                        struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct cuda_builder b = {.model = model, .err = err};
    *out = NULL;
    b.net = calloc(1, sizeof *b.net);
    b.homes = calloc(h->n_values, sizeof *b.homes);
    b.operands = calloc(h->n_values, sizeof *b.operands);
    b.computed = calloc(h->n_values, sizeof *b.computed);
    b.done = calloc(h->n_ops, sizeof *b.done);
    int code;
    if (!b.net || !b.homes || !b.operands || !b.computed || !b.done) {
        code = err_set(err, BGD_MEMORY, "out of memory");
    } else if (!(code = uses_build(model, &b.uses, err))) {
        b.net->model = model;
        b.net->type = type;
        b.net->batch = batch ? batch : choose_batch(model, type);
        for (uint32_t i = 0; i < h->n_values; i++)
            b.operands[i].block = NONE;
        find_homes(&b);
        code = build_steps(&b);
    }
    if (code)
        cuda_network_destroy(b.net);
    else
        *out = b.net;
    uses_free(&b.uses);
    free(b.homes);
    free(b.operands);
    free(b.computed);
    free(b.done);
    return code;
}

/* ---------------------------------------------------------------- on the device */

/* A workspace is a block that lives for its step. */
static int make_plans(struct cuda_network *net, struct cudnn *cudnn, struct bgd_err *err)
{
    struct cuda_builder b = {.net = net, .err = err};
    for (uint32_t i = 0; i < net->n_steps; i++) {
        struct cuda_step *step = &net->steps[i];
        if (step->kind != CUDA_CONV)
            continue;
        if (cudnn_plan_make(cudnn, &step->conv, &step->plan, err))
            return err_prefix(err, "op %s: ", step->name);
        if (cudnn_plan_workspace(step->plan) == 0)
            continue;
        step->scratch = cuda_add_block(&b, cudnn_plan_workspace(step->plan));
        if (step->scratch == NONE)
            return err->code;
        net->blocks[step->scratch].first = net->blocks[step->scratch].last = i;
    }
    return 0;
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
    free(net->constants);
    net->constants = device;
    net->loaded = true;
    return cuda_check(error, "copying the weights", err);
}

int cuda_network_load(struct cuda_network *net, struct cudnn *cudnn, struct bgd_err *err)
{
    assert(!net->loaded);
    return make_plans(net, cudnn, err) || place_blocks(net, err) || upload_constants(net, err) ? err->code : 0;
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
    free(net->blocks);
    free(net);
}
