/* Each op of a graph as one step, with the ops behind it that its kernel does in passing. */
#include "cuda_ops.h"

#include "cuda_blocks.h"
#include "cuda_weights.h"
#include "err.h"
#include "high_pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum kernel_activation activation_of(uint32_t code)
{
    switch (code) {
    case BGD_OP_RELU: return KERNEL_RELU;
    case BGD_OP_SIGMOID: return KERNEL_SIGMOID;
    case BGD_OP_SILU: return KERNEL_SILU;
    case BGD_OP_SELU: return KERNEL_SELU;
    default: return KERNEL_NONE;
    }
}

struct cuda_step cuda_new_step(const struct cuda_builder *b, enum cuda_kind kind, uint32_t index)
{
    const struct cuda_operand none = {.block = NONE};
    return (struct cuda_step){.kind = kind,
                              .op = &b->model->ops[index],
                              .name = b->model->values[model_op_value(b->model, index)].name,
                              .x = {none, none, none},
                              .y = none,
                              .scratch = NONE,
                              .sums = NONE};
}

int cuda_finish_step(struct cuda_builder *b, struct cuda_step *step, uint32_t value, enum kernel_type type)
{
    step->y = cuda_place(b, value, type);
    if (step->y.block == NONE)
        return b->err->code;
    b->computed[value] = true;
    return cuda_add_step(b, step);
}

uint32_t cuda_find_activation(const struct cuda_builder *b, uint32_t value)
{
    static const enum bgd_op codes[] = {BGD_OP_RELU, BGD_OP_SIGMOID, BGD_OP_SILU, BGD_OP_SELU};
    uint32_t op = NONE;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0] && op == NONE; i++)
        op = uses_sole_reader(&b->uses, value, codes[i]);
    return op;
}

uint32_t cuda_take_activation(struct cuda_builder *b, uint32_t value, enum kernel_activation *f)
{
    uint32_t op = cuda_find_activation(b, value);
    *f = op == NONE ? KERNEL_NONE : activation_of(b->model->ops[op].code);
    if (op == NONE)
        return value;
    b->done[op] = true;
    return model_op_value(b->model, op);
}

uint32_t cuda_take_residual(struct cuda_builder *b, uint32_t value, struct cuda_operand *residual)
{
    uint32_t add = uses_sole_reader(&b->uses, value, BGD_OP_ADD);
    if (add == NONE)
        return value;
    const struct bgd_format_op *op = &b->model->ops[add];
    uint32_t other = op->inputs[0] == value ? op->inputs[1] : op->inputs[0];
    struct shape x = model_shape(b->model, value), y = model_shape(b->model, other);
    if (!b->computed[other] || x.c != y.c || x.h != y.h || x.w != y.w)
        return value;
    *residual = b->operands[other];
    b->done[add] = true;
    return model_op_value(b->model, add);
}

/* ---------------------------------------------------------------- squeeze-and-excite */

/* A 1x1 convolution of a value of one pixel: a dense layer. */
static bool is_small_layer(const struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, model_op_value(b->model, index));
    return op->code == BGD_OP_CONV && op->groups == 1 && op->window.kernel_h == 1 && op->window.kernel_w == 1 && in.h == 1 &&
           in.w == 1 && out.h == 1 && out.w == 1 && op->window.pad_top == 0 && op->window.pad_left == 0;
}

/* The second of two small layers with an activation between them, of which nothing else reads anything; or NONE. */
static uint32_t find_excite(const struct cuda_builder *b, uint32_t index, uint32_t *between)
{
    static const enum bgd_op codes[] = {BGD_OP_SILU, BGD_OP_RELU};
    if (!is_small_layer(b, index))
        return NONE;
    *between = NONE;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0] && *between == NONE; i++)
        *between = uses_sole_reader(&b->uses, model_op_value(b->model, index), codes[i]);
    if (*between == NONE)
        return NONE;
    uint32_t second = uses_sole_reader(&b->uses, model_op_value(b->model, *between), BGD_OP_CONV);
    uint32_t wide = kernel_lanes(model_shape(b->model, b->model->ops[index].inputs[0]).c);
    uint32_t squeezed = model_shape(b->model, model_op_value(b->model, index)).c;
    return second != NONE && is_small_layer(b, second) && wide + squeezed <= KERNEL_EXCITE_MAX ? second : NONE;
}

static int build_excite(struct cuda_builder *b, uint32_t index, uint32_t between, uint32_t second)
{
    const struct bgd_format_op *first_op = &b->model->ops[index], *second_op = &b->model->ops[second];
    struct cuda_step step = cuda_new_step(b, CUDA_EXCITE, index);
    struct shape in = model_shape(b->model, first_op->inputs[0]);
    uint32_t out = model_shape(b->model, model_op_value(b->model, second)).c;
    step.x[0] = b->operands[first_op->inputs[0]];
    step.sums = b->sums[first_op->inputs[0]].block;
    step.tiles = b->sums[first_op->inputs[0]].tiles;
    step.squeezed = model_shape(b->model, model_op_value(b->model, index)).c;
    step.f = activation_of(b->model->ops[between].code);
    b->done[between] = b->done[second] = true;
    uint32_t value = cuda_take_activation(b, model_op_value(b->model, second), &step.g);
    struct cuda_order first = cuda_channels_last(in, step.squeezed, 1, 1);
    first.size = step.squeezed * (size_t)kernel_lanes(in.c); /* the squeezed axis is not padded */
    if (cuda_add_ordered(b, first_op->tensors[0], KERNEL_F32, first, &step.constants[0]) ||
        cuda_add_padded(b, first_op->tensors[1], KERNEL_F32, step.squeezed, step.squeezed, &step.constants[1]) ||
        cuda_add_ordered(b, second_op->tensors[0], KERNEL_F32, cuda_outputs_last(step.squeezed, out, 1, 1),
                         &step.constants[2]) ||
        cuda_add_padded(b, second_op->tensors[1], KERNEL_F32, out, kernel_lanes(out), &step.constants[3]))
        return b->err->code;
    return cuda_finish_step(b, &step, value, b->net->type);
}

int cuda_take_mean(struct cuda_builder *b, uint32_t value, uint32_t tiles, struct cuda_step *step)
{
    uint32_t mean = 0, between;
    while (mean < b->model->header->n_ops &&
           (b->model->ops[mean].code != BGD_OP_GLOBAL_MEAN || b->model->ops[mean].inputs[0] != value))
        mean++;
    if (tiles == 0 || mean == b->model->header->n_ops)
        return 0;
    uint32_t mean_value = model_op_value(b->model, mean);
    uint32_t first = uses_sole_reader(&b->uses, mean_value, BGD_OP_CONV);
    if (first == NONE || find_excite(b, first, &between) == NONE)
        return 0;
    struct shape s = model_shape(b->model, value);
    uint64_t bytes = (uint64_t)b->net->batch * tiles * kernel_lanes(s.c) * cuda_type_bytes(KERNEL_F32);
    step->sums = cuda_add_block(b->net, bytes, b->err);
    step->tiles = tiles;
    if (step->sums == NONE)
        return b->err->code;
    b->sums[mean_value] = (struct cuda_sums){step->sums, tiles};
    b->operands[mean_value].value = (struct kernel_value){NULL, s.c, s.h, s.w, kernel_lanes(s.c), b->net->type};
    b->done[mean] = true;
    return 0;
}

/* ---------------------------------------------------------------- convolutions */

#define PLAN_TAPS_MAX 1024u /* of a kernel that cuDNN is given: 9.19 has no bf16 engine for 64x64 */

/* One of ours: depthwise, in groups, or larger than cuDNN's. */
static int build_grouped(struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]);
    uint32_t out = model_shape(b->model, model_op_value(b->model, index)).c;
    bool depthwise = op->groups == in.c && op->groups == out;
    struct cuda_step step = cuda_new_step(b, depthwise ? CUDA_DEPTHWISE : CUDA_GROUPED, index);
    step.x[0] = b->operands[op->inputs[0]];
    uint32_t value = cuda_take_activation(b, model_op_value(b->model, index), &step.f);
    const struct cuda_order order = cuda_outputs_last(in.c / op->groups, out, op->window.kernel_h, op->window.kernel_w);
    if (cuda_add_ordered(b, op->tensors[0], KERNEL_F32, order, &step.constants[0]) ||
        cuda_add_padded(b, op->tensors[1], KERNEL_F32, out, kernel_lanes(out), &step.constants[1]))
        return b->err->code;
    const struct cuda_operand y = cuda_place(b, value, b->net->type);
    if (y.block == NONE)
        return b->err->code;
    if (depthwise && cuda_take_mean(b, value, kernel_depthwise_tiles(step.x[0].value, &op->window, y.value), &step))
        return b->err->code;
    return cuda_finish_step(b, &step, value, b->net->type);
}

/* What cuDNN is told: `step` has its inputs and activation, `in` and `out` are the shapes that it is to see. */
static void describe_conv(const struct cuda_builder *b, struct cuda_step *step, struct bgd_window window,
                          struct kernel_value in, struct kernel_value out)
{
    memset(&step->conv, 0, sizeof step->conv);
    step->conv.type = b->net->type;
    step->conv.n = b->net->batch;
    step->conv.c = kernel_lanes(in.c);
    step->conv.h = in.h;
    step->conv.w = in.w;
    step->conv.pitch = in.pitch;
    step->conv.out_c = kernel_lanes(out.c);
    step->conv.out_h = out.h;
    step->conv.out_w = out.w;
    step->conv.out_pitch = out.pitch;
    step->conv.residual_pitch = step->x[1].block == NONE ? 0 : step->x[1].value.pitch;
    step->conv.window = window;
    step->conv.activation = step->f;
}

static int build_conv(struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t between, second = find_excite(b, index, &between);
    if (second != NONE)
        return build_excite(b, index, between, second);
    uint32_t depthwise = cuda_find_expand(b, index);
    if (depthwise != NONE)
        return cuda_build_expand(b, index, depthwise);
    if (op->groups > 1 || op->window.kernel_h * op->window.kernel_w > PLAN_TAPS_MAX)
        return build_grouped(b, index);
    struct cuda_step step = cuda_new_step(b, CUDA_CONV, index);
    struct shape in = model_shape(b->model, op->inputs[0]);
    uint32_t out = model_shape(b->model, model_op_value(b->model, index)).c;
    step.x[0] = b->operands[op->inputs[0]];
    uint32_t sum = cuda_take_residual(b, model_op_value(b->model, index), &step.x[1]),
             value = cuda_take_activation(b, sum, &step.f);
    if (cuda_add_ordered(b, op->tensors[0], b->net->type, cuda_channels_last(in, out, op->window.kernel_h, op->window.kernel_w),
                         &step.constants[0]) ||
        cuda_add_padded(b, op->tensors[1], b->net->type, out, kernel_lanes(out), &step.constants[1]))
        return b->err->code;
    const struct cuda_operand y = cuda_place(b, value, b->net->type);
    if (y.block == NONE)
        return b->err->code;
    describe_conv(b, &step, op->window, step.x[0].value, y.value);
    return cuda_finish_step(b, &step, value, b->net->type);
}

/* A copy of `from` in a block of its own: a slice is not contiguous. */
static int copy_out(struct cuda_builder *b, uint32_t index, struct cuda_operand from, struct cuda_operand *out)
{
    struct cuda_step step = cuda_new_step(b, CUDA_COPY, index);
    struct kernel_value value = from.value;
    value.pitch = kernel_lanes(value.c);
    uint64_t bytes = (uint64_t)b->net->batch * value.h * value.w * value.pitch * cuda_type_bytes(value.type);
    step.x[0] = from;
    step.y = (struct cuda_operand){cuda_add_block(b->net, bytes, b->err), 0, value};
    *out = step.y;
    return step.y.block == NONE ? b->err->code : cuda_add_step(b, &step);
}

/* A 1x1 convolution of one pixel that has all of a picture's elements for channels, padding included. */
static int build_dense(struct cuda_builder *b, uint32_t index)
{
    static const struct bgd_window one = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1};
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]);
    uint32_t out = model_shape(b->model, model_op_value(b->model, index)).c;
    struct cuda_step step = cuda_new_step(b, CUDA_CONV, index);
    step.x[0] = b->operands[op->inputs[0]];
    if (step.x[0].value.pitch != kernel_lanes(in.c) && copy_out(b, index, step.x[0], &step.x[0]))
        return b->err->code;
    uint32_t value = cuda_take_activation(b, model_op_value(b->model, index), &step.f);
    if (cuda_add_ordered(b, op->tensors[0], b->net->type, cuda_channels_last(in, out, in.h, in.w), &step.constants[0]) ||
        cuda_add_padded(b, op->tensors[1], b->net->type, out, kernel_lanes(out), &step.constants[1]))
        return b->err->code;
    const struct cuda_operand y = cuda_place(b, value, b->net->type);
    if (y.block == NONE)
        return b->err->code;
    uint32_t elements = in.h * in.w * kernel_lanes(in.c);
    describe_conv(b, &step, one, (struct kernel_value){NULL, elements, 1, 1, elements, b->net->type}, y.value);
    return cuda_finish_step(b, &step, value, b->net->type);
}

/* ---------------------------------------------------------------- the rest */

/* Of the inputs that are not computed in their places. */
static int build_concat(struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct cuda_operand y = cuda_place(b, value, b->net->type);
    if (y.block == NONE)
        return b->err->code;
    b->computed[value] = true;
    for (uint32_t i = 0, channel = 0; i < op->n_inputs; i++) {
        const struct cuda_operand *x = &b->operands[op->inputs[i]];
        if (x->block != y.block || x->channel != y.channel + channel) {
            struct cuda_step step = cuda_new_step(b, CUDA_COPY, index);
            step.x[0] = *x;
            step.y = y;
            step.at = channel;
            if (cuda_add_step(b, &step))
                return b->err->code;
        }
        channel += x->value.c;
    }
    return 0;
}

/* The waves, as five constants. */
static int build_high_pass(struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape s = model_shape(b->model, op->inputs[0]);
    struct cuda_step step = cuda_new_step(b, CUDA_HIGH_PASS, index);
    struct high_pass *waves = high_pass_create(s, (double)op->parameter);
    if (!waves)
        return err_set(b->err, BGD_MEMORY, "out of memory");
    step.x[0] = b->operands[op->inputs[0]];
    step.nu = waves->nu;
    step.nv = waves->nv;
    const struct {
        const float *values;
        size_t n;
    } tables[CUDA_CONSTANTS] = {{waves->row_re, (size_t)waves->nu * s.h},
                                {waves->row_im, (size_t)waves->nu * s.h},
                                {waves->col_re, (size_t)waves->nv * s.w},
                                {waves->col_im, (size_t)waves->nv * s.w},
                                {waves->inside, (size_t)waves->nu * waves->nv}};
    int code = 0;
    for (uint32_t i = 0; i < CUDA_CONSTANTS && !code; i++)
        code = cuda_add_constant(b, KERNEL_F32, tables[i].values, tables[i].n, &step.constants[i]);
    free(waves);
    if (code)
        return code;
    step.scratch = cuda_add_block(b->net, kernel_high_pass_scratch(b->net->batch, step.x[0].value, step.nu, step.nv), b->err);
    return step.scratch == NONE ? b->err->code : cuda_finish_step(b, &step, model_op_value(b->model, index), b->net->type);
}

/* Which output a value is, if it is nothing else, and of one channel; or NONE. */
static uint32_t sole_output(const struct cuda_builder *b, uint32_t value)
{
    const struct bgd_format_header *h = b->model->header;
    uint32_t output = 0;
    while (output < h->n_outputs && h->outputs[output] != value)
        output++;
    return output < h->n_outputs && b->uses.readers[value] == 1 && model_shape(b->model, value).c == 1 ? output : NONE;
}

/* If an add alone reads `value`, and what it adds is computed already, or is the enlargement of that for this add alone: takes it
 * along as the step's input `i`, and returns its value; else `value`. */
static uint32_t take_summand(struct cuda_builder *b, uint32_t value, struct cuda_step *step, uint32_t i)
{
    const struct bgd_model *model = b->model;
    uint32_t add = uses_sole_reader(&b->uses, value, BGD_OP_ADD);
    if (add == NONE)
        return value;
    uint32_t other = model->ops[add].inputs[model->ops[add].inputs[0] == value];
    struct shape x = model_shape(model, value), y = model_shape(model, other);
    if (x.c != y.c || x.h != y.h || x.w != y.w)
        return value;
    if (b->computed[other]) {
        step->x[i] = b->operands[other];
    } else {
        uint32_t enlarges = other - model->header->n_inputs; /* the op; inputs are computed */
        const struct bgd_format_op *op = &model->ops[enlarges];
        if (op->code != BGD_OP_UPSAMPLE || !b->computed[op->inputs[0]] || b->uses.readers[other] > 1)
            return value;
        step->x[i] = b->operands[op->inputs[0]];
        step->align_corners[i] = op->align_corners;
        b->done[enlarges] = true;
    }
    b->done[add] = true;
    return model_op_value(model, add);
}

/* If a convolution that gives each channel a weight and a bias alone reads `value`: likewise. *code: of an error. */
static uint32_t take_scale(struct cuda_builder *b, uint32_t value, struct cuda_step *step, int *code)
{
    uint32_t index = uses_sole_reader(&b->uses, value, BGD_OP_CONV), c = model_shape(b->model, value).c;
    *code = 0;
    if (index == NONE)
        return value;
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, value), out = model_shape(b->model, model_op_value(b->model, index));
    if (op->groups != c || out.c != c || op->window.kernel_h != 1 || op->window.kernel_w != 1 || out.h != in.h ||
        out.w != in.w || op->window.pad_top > 0 || op->window.pad_left > 0)
        return value;
    if (cuda_add_padded(b, op->tensors[0], KERNEL_F32, c, kernel_lanes(c), &step->constants[0]) ||
        cuda_add_padded(b, op->tensors[1], KERNEL_F32, c, kernel_lanes(c), &step->constants[1]))
        *code = b->err->code;
    step->scaled = true;
    b->done[index] = true;
    return model_op_value(b->model, index);
}

/* With the sum, scale and activation behind it, and into an output that is one channel: maps at the size of a picture are not
 * written to be read again. */
static int build_upsample(struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct cuda_step step = cuda_new_step(b, CUDA_UPSAMPLE, index);
    uint32_t value = model_op_value(b->model, index);
    step.x[0] = b->operands[op->inputs[0]];
    step.align_corners[0] = op->align_corners;
    static_assert(KERNEL_SUM_MAX <= CUDA_INPUTS, "a step has room for a sum");
    for (uint32_t i = 1, sum; i < KERNEL_SUM_MAX && (sum = take_summand(b, value, &step, i)) != value; i++)
        value = sum;
    int code;
    value = take_scale(b, value, &step, &code);
    if (code)
        return code;
    value = cuda_take_activation(b, value, &step.f);
    step.at = sole_output(b, value);
    if (step.at == NONE)
        return cuda_finish_step(b, &step, value, b->net->type);
    struct shape s = model_shape(b->model, value);
    step.y.value = (struct kernel_value){NULL, s.c, s.h, s.w, 1, KERNEL_F32};
    b->operands[value] = step.y;
    b->computed[value] = true;
    return cuda_add_step(b, &step);
}

/* Heads are computed last, and their numbers are what people see: those that no op reads, and no convolution takes along, are
 * f32 whatever the network is. */
static enum kernel_type head_type(const struct cuda_builder *b, uint32_t value)
{
    return b->uses.last_reader[value] == NONE ? KERNEL_F32 : b->net->type;
}

/* An op that is one launch and has no weights. */
static int build_plain(struct cuda_builder *b, enum cuda_kind kind, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct cuda_step step = cuda_new_step(b, kind, index);
    assert(op->n_inputs <= CUDA_INPUTS);
    for (uint32_t i = 0; i < op->n_inputs; i++)
        step.x[i] = b->operands[op->inputs[i]];
    step.f = activation_of(op->code);
    bool head = kind == CUDA_ACTIVATE || kind == CUDA_SOFTMAX;
    return cuda_finish_step(b, &step, value, head ? head_type(b, value) : b->net->type);
}

static int build_mul(struct cuda_builder *b, uint32_t index)
{
    uint32_t conv = cuda_find_project(b, index);
    return conv == NONE ? build_plain(b, CUDA_COMBINE, index) : cuda_build_project(b, index, conv);
}

int cuda_build_op(struct cuda_builder *b, uint32_t index)
{
    b->done[index] = true;
    switch ((enum bgd_op)b->model->ops[index].code) {
    case BGD_OP_CONV: return build_conv(b, index);
    case BGD_OP_DENSE: return build_dense(b, index);
    case BGD_OP_RELU:
    case BGD_OP_SIGMOID:
    case BGD_OP_SILU:
    case BGD_OP_SELU: return build_plain(b, CUDA_ACTIVATE, index);
    case BGD_OP_SOFTMAX: return build_plain(b, CUDA_SOFTMAX, index);
    case BGD_OP_ADD: return build_plain(b, CUDA_COMBINE, index);
    case BGD_OP_MUL: return build_mul(b, index);
    case BGD_OP_MAX_POOL: return build_plain(b, CUDA_MAX_POOL, index);
    case BGD_OP_GLOBAL_MEAN: return build_plain(b, CUDA_GLOBAL_MEAN, index);
    case BGD_OP_ADAPTIVE_MEAN: return build_plain(b, CUDA_ADAPTIVE_MEAN, index);
    case BGD_OP_LRN: return build_plain(b, CUDA_LRN, index);
    case BGD_OP_CONCAT: return build_concat(b, index);
    case BGD_OP_UPSAMPLE: return build_upsample(b, index);
    case BGD_OP_ATTENTION: return build_plain(b, CUDA_ATTENTION, index);
    case BGD_OP_QUANTILE_MASK: return build_plain(b, CUDA_QUANTILE_MASK, index);
    case BGD_OP_DENOISE: return build_plain(b, CUDA_DENOISE, index);
    case BGD_OP_HIGH_PASS: return build_high_pass(b, index);
    }
    return err_set(b->err, BGD_DEVICE, "op code %u is not known to the CUDA backend", b->model->ops[index].code);
}
