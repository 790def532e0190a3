#include "cuda_blocks.h"

#include "cuda_ops.h"
#include "cuda_weights.h"

/*
 * Keeping C channels, expanded from K, on the chip saves writing and reading them, 4 C bytes a pixel: 0.93 C ps at an H200's
 * 4.3 TB/s. It costs what tiles expand twice, 0.1 to 0.7 of the pixels (kernels/expand.cu), where K C multiply-accumulates and
 * C activations take about (K / 180 + 0.2) C ps; and that all of them are done at some 180 tera-MAC/s where cuDNN may do 300, K
 * C / 450 ps. With 0.7 the two are equal at K = 130. These rates are predictions; half of that K is a prudent limit, and takes
 * in the blocks that hold the bytes, those with large planes.
 */
#define EXPAND_INPUTS_MAX 64u

static bool is_pointwise(const struct bgd_format_op *op)
{
    const struct bgd_window *w = &op->window;
    return op->groups == 1 && w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 && w->pad_top == 0 &&
           w->pad_left == 0 && w->pad_bottom == 0 && w->pad_right == 0;
}

static struct shape value_shape_of(const struct cuda_builder *b, uint32_t op)
{
    return model_shape(b->model, model_op_value(b->model, op));
}

/* ---------------------------------------------------------------- expand */

static bool expands_into(const struct bgd_format_op *op)
{
    const struct bgd_window *w = &op->window;
    return w->kernel_h == w->kernel_w && (w->kernel_h == 3 || w->kernel_h == 5) && w->stride_h == w->stride_w &&
           w->stride_h <= 2 && w->dilation_h == 1 && w->dilation_w == 1;
}

uint32_t cuda_find_expand(const struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    if (!b->fuse_blocks || !is_pointwise(op) || model_shape(b->model, op->inputs[0]).c > EXPAND_INPUTS_MAX)
        return NONE;
    uint32_t value = model_op_value(b->model, index), activation = cuda_find_activation(b, value);
    value = activation == NONE ? value : model_op_value(b->model, activation);
    uint32_t second = uses_sole_reader(&b->uses, value, BGD_OP_CONV), channels = model_shape(b->model, value).c;
    if (second == NONE || !expands_into(&b->model->ops[second]))
        return NONE;
    bool depthwise = b->model->ops[second].groups == channels && value_shape_of(b, second).c == channels;
    return depthwise ? second : NONE;
}

int cuda_build_expand(struct cuda_builder *b, uint32_t index, uint32_t depthwise)
{
    const struct bgd_format_op *first = &b->model->ops[index], *second = &b->model->ops[depthwise];
    const uint32_t in = model_shape(b->model, first->inputs[0]).c, out = value_shape_of(b, index).c;
    struct cuda_step step = cuda_new_step(b, CUDA_EXPAND, depthwise);
    step.x[0] = b->operands[first->inputs[0]];
    cuda_take_activation(b, model_op_value(b->model, index), &step.f);
    b->done[depthwise] = true;
    uint32_t value = cuda_take_activation(b, model_op_value(b->model, depthwise), &step.g);
    const struct cuda_order order = cuda_outputs_last(1, out, second->window.kernel_h, second->window.kernel_w);
    if (cuda_add_chunked(b, first->tensors[0], in, out, KERNEL_EXPAND_CHUNK, &step.constants[0]) ||
        cuda_add_padded(b, first->tensors[1], KERNEL_F32, out, kernel_lanes(out), &step.constants[1]) ||
        cuda_add_ordered(b, second->tensors[0], KERNEL_F32, order, &step.constants[2]) ||
        cuda_add_padded(b, second->tensors[1], KERNEL_F32, out, kernel_lanes(out), &step.constants[3]))
        return b->err->code;
    const struct cuda_operand y = cuda_place(b, value, b->net->type);
    if (y.block == NONE || cuda_take_mean(b, value, kernel_expand_tiles(&second->window, y.value), &step))
        return b->err->code;
    return cuda_finish_step(b, &step, value, b->net->type);
}

/* ---------------------------------------------------------------- project */

uint32_t cuda_find_project(const struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape gate = model_shape(b->model, op->inputs[1]);
    uint32_t conv = uses_sole_reader(&b->uses, model_op_value(b->model, index), BGD_OP_CONV);
    if (!b->fuse_blocks || conv == NONE || gate.h != 1 || gate.w != 1 || gate.c != value_shape_of(b, index).c)
        return NONE;
    bool fits = is_pointwise(&b->model->ops[conv]) && kernel_lanes(value_shape_of(b, conv).c) <= KERNEL_PROJECT_MAX;
    return fits ? conv : NONE;
}

int cuda_build_project(struct cuda_builder *b, uint32_t index, uint32_t conv)
{
    const struct bgd_format_op *mul = &b->model->ops[index], *op = &b->model->ops[conv];
    const uint32_t in = value_shape_of(b, index).c, out = value_shape_of(b, conv).c;
    struct cuda_step step = cuda_new_step(b, CUDA_PROJECT, conv);
    step.x[0] = b->operands[mul->inputs[0]];
    step.x[1] = b->operands[mul->inputs[1]];
    b->done[conv] = true;
    uint32_t sum = cuda_take_residual(b, model_op_value(b->model, conv), &step.x[2]);
    uint32_t value = cuda_take_activation(b, sum, &step.f);
    if (cuda_add_chunked(b, op->tensors[0], in, out, KERNEL_PROJECT_CHUNK, &step.constants[0]) ||
        cuda_add_padded(b, op->tensors[1], KERNEL_F32, out, kernel_lanes(out), &step.constants[1]))
        return b->err->code;
    return cuda_finish_step(b, &step, value, b->net->type);
}
