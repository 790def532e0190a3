#include "cuda_builder.h"

#include "bytes.h"
#include "e4m3.h"
#include "err.h"
#include "half.h"

#include <stdlib.h>
#include <string.h>

/* The array, moved if it must grow for one more element of `size` bytes; NULL, and nothing changed, when memory ran out. */
static void *with_room(void *array, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room)
        return array;
    uint32_t wanted = *room ? 2 * *room : 64;
    void *grown = realloc(array, wanted * size);
    if (grown)
        *room = wanted;
    return grown;
}

uint32_t cuda_add_block(struct cuda_network *net, uint64_t bytes, struct bgd_err *err)
{
    struct span *blocks =
        bytes > SIZE_MAX / 4 ? NULL : with_room(net->blocks, net->n_blocks, &net->blocks_room, sizeof *blocks);
    if (!blocks) {
        err_set(err, BGD_MEMORY, "out of memory for a value of %llu bytes", (unsigned long long)bytes);
        return NONE;
    }
    net->blocks = blocks;
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
        uint64_t bytes =
            (uint64_t)s.h * s.w * operand->value.pitch * kernel_type_bytes(type); /* below 2^52: sides have 17 bits */
        operand->block = cuda_add_block(b->net, checked_mul(bytes, b->net->batch, &bytes) ? bytes : UINT64_MAX, b->err);
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
    struct cuda_step *steps = with_room(net->steps, net->n_steps, &net->steps_room, sizeof *steps);
    if (!steps)
        return err_set(b->err, BGD_MEMORY, "out of memory");
    net->steps = steps;
    const uint32_t touched[] = {step->x[0].block, step->x[1].block, step->x[2].block, step->y.block, step->scratch, step->sums};
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
void cuda_find_homes(struct cuda_builder *b)
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
    size_t bytes = (n * kernel_type_bytes(type) + CUDA_ALIGN - 1) / CUDA_ALIGN * CUDA_ALIGN;
    if (net->constants_room - net->constant_bytes < bytes) {
        size_t wanted = 2 * net->constants_room + bytes;
        uint8_t *grown = realloc(net->constants, wanted);
        if (!grown)
            return err_set(b->err, BGD_MEMORY, "out of memory for %zu bytes of weights", wanted);
        net->constants = grown;
        net->constants_room = wanted;
    }
    *offset = net->constant_bytes;
    if (n == 0)
        return 0;
    uint8_t *to = net->constants + net->constant_bytes;
    net->constant_bytes += bytes;
    memset(to, 0, bytes);
    if (type == KERNEL_F32)
        memcpy(to, values, n * sizeof *values);
    for (size_t i = 0; type == KERNEL_F8 && i < n; i++)
        to[i] = e4m3_from_float(values[i]);
    for (size_t i = 0; (type == KERNEL_F16 || type == KERNEL_BF16) && i < n; i++) {
        uint16_t element = type == KERNEL_F16 ? half_from_float(values[i]) : bfloat_from_float(values[i]);
        memcpy(to + i * sizeof element, &element, sizeof element);
    }
    return 0;
}
