#include "cuda_weights.h"

#include "err.h"

#include <stdlib.h>

struct cuda_order cuda_channels_last(struct shape in, uint32_t out, uint32_t kernel_h, uint32_t kernel_w)
{
    size_t lanes = kernel_lanes(in.c), row = kernel_w * lanes, filter = kernel_h * row;
    return (struct cuda_order){{out, in.c, kernel_h, kernel_w}, {filter, 1, row, lanes}, kernel_lanes(out) * filter};
}

struct cuda_order cuda_outputs_last(uint32_t in, uint32_t out, uint32_t kernel_h, uint32_t kernel_w)
{
    size_t lanes = kernel_lanes(out), tap = in * lanes, row = kernel_w * tap;
    return (struct cuda_order){{out, in, kernel_h, kernel_w}, {1, lanes, row, tap}, kernel_h * row};
}

/* A tensor as f32, to be freed; NULL and an error when memory ran out. */
static float *read_tensor(const struct cuda_builder *b, uint32_t tensor)
{
    float *values = malloc((size_t)model_tensor_count(&b->model->tensors[tensor]) * sizeof *values);
    if (values)
        model_read_tensor(b->model, tensor, values);
    else
        err_set(b->err, BGD_MEMORY, "out of memory for tensor %s", b->model->tensors[tensor].name);
    return values;
}

int cuda_add_ordered(struct cuda_builder *b, uint32_t tensor, enum kernel_type type, struct cuda_order o, size_t *offset)
{
    float *from = read_tensor(b, tensor), *to = calloc(o.size, sizeof *to);
    int code = !from ? b->err->code : to ? 0 : err_set(b->err, BGD_MEMORY, "out of memory");
    const float *next = from;
    for (uint32_t i = 0; i < o.sides[0] && !code; i++)
        for (uint32_t j = 0; j < o.sides[1]; j++)
            for (uint32_t k = 0; k < o.sides[2]; k++)
                for (uint32_t l = 0; l < o.sides[3]; l++)
                    to[i * o.strides[0] + j * o.strides[1] + k * o.strides[2] + l * o.strides[3]] = *next++;
    if (!code)
        code = cuda_add_constant(b, type, to, o.size, offset);
    free(from);
    free(to);
    return code;
}

int cuda_add_padded(struct cuda_builder *b, uint32_t tensor, enum kernel_type type, uint32_t count, uint32_t size,
                    size_t *offset)
{
    return cuda_add_ordered(b, tensor, type, (struct cuda_order){{1, 1, 1, count}, {0, 0, 0, 1}, size}, offset);
}

int cuda_add_chunked(struct cuda_builder *b, uint32_t tensor, uint32_t in, uint32_t out, uint32_t chunk, size_t *offset)
{
    const size_t column = (size_t)kernel_lanes(out) * chunk, size = (in + chunk - 1) / chunk * column;
    float *from = read_tensor(b, tensor), *to = calloc(size, sizeof *to);
    int code = !from ? b->err->code : to ? 0 : err_set(b->err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < out && !code; i++)
        for (uint32_t k = 0; k < in; k++)
            to[k / chunk * column + i * chunk + k % chunk] = from[(size_t)i * in + k];
    if (!code)
        code = cuda_add_constant(b, b->net->type, to, size, offset);
    free(from);
    free(to);
    return code;
}
