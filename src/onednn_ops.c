/* Each op of a graph but convolutions as one primitive, with the activation behind it, or as a loop of ours. */
#include "onednn.h"

#include "err.h"

#include <string.h>

/* ------------------------------------------------------------ fusing */

/* An activation as oneDNN has it: scale * f(x), f with its alpha. */
struct activation {
    enum bgd_op code;
    dnnl_alg_kind_t kind;
    float alpha, scale;
};

static const struct activation activations[] = {
    {BGD_OP_RELU, dnnl_eltwise_relu, 0, 1},
    {BGD_OP_SIGMOID, dnnl_eltwise_logistic, 0, 1},
    {BGD_OP_SILU, dnnl_eltwise_swish, 1, 1},
    {BGD_OP_SELU, dnnl_eltwise_elu, SELU_ALPHA, SELU_SCALE},
};

static const struct activation *find_activation(uint32_t code)
{
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (activations[i].code == code)
            return &activations[i];
    return NULL;
}

uint32_t onednn_take_activation(struct builder *b, uint32_t value, dnnl_post_ops_t post)
{
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        const struct activation *a = &activations[i];
        uint32_t op = uses_sole_reader(&b->uses, value, a->code);
        if (op == NONE || dnnl_post_ops_append_eltwise(post, a->scale, a->kind, a->alpha, 0.0f))
            continue;
        b->done[op] = true;
        return model_op_value(b->model, op);
    }
    return value;
}

/* ------------------------------------------------------------ ops to steps */

int onednn_add_weighted_step(struct builder *b, const_dnnl_primitive_desc_t pd, uint32_t source, uint32_t target,
                             dnnl_memory_t weight, dnnl_memory_t bias)
{
    const struct arg args[] = {{DNNL_ARG_SRC, source, NULL},
                               {DNNL_ARG_DST, target, NULL},
                               {DNNL_ARG_WEIGHTS, NONE, weight},
                               {DNNL_ARG_BIAS, NONE, bias}};
    if (source != NONE && target != NONE && weight && bias)
        return onednn_add_step(b, pd, args, 4);
    dnnl_memory_destroy(weight);
    dnnl_memory_destroy(bias);
    return b->err->code;
}

static int build_dense(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    const dnnl_dims_t weight_dims = {out.c, in.c, in.h, in.w}, bias_dims = {out.c}, flat_dims = {b->net->tile, out.c};
    const dnnl_memory_desc_t source_desc = onednn_desc(b, op->inputs[0], dnnl_format_tag_any);
    const dnnl_memory_desc_t target_desc = onednn_desc(b, value, dnnl_nchw); /* the same bytes as `flat` */
    dnnl_memory_desc_t weight_desc, bias_desc, flat;
    dnnl_memory_desc_init_by_tag(&weight_desc, 4, weight_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias_desc, 1, bias_dims, dnnl_f32, dnnl_a);
    dnnl_memory_desc_init_by_tag(&flat, 2, flat_dims, dnnl_f32, dnnl_ab);

    dnnl_primitive_attr_t attr = onednn_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_inner_product_desc_t desc;
    int code = 0;
    b->done[index] = true;
    dnnl_status_t status = attr ? dnnl_post_ops_create(&post) : dnnl_out_of_memory;
    if (status)
        goto done;
    value = onednn_take_activation(b, value, post);
    if ((status = dnnl_primitive_attr_set_post_ops(attr, post)) ||
        (status = dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &source_desc, &weight_desc, &bias_desc,
                                                       &flat)) ||
        (status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL)))
        goto done;
    uint32_t source =
        onednn_in_layout(b, b->value_block[op->inputs[0]], dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    uint32_t target = onednn_add_block(b, &target_desc);
    code = onednn_add_weighted_step(b, pd, source, target,
                                    onednn_constant(b, op->tensors[0], 4, weight_dims, dnnl_abcd,
                                                    dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)),
                                    onednn_constant(b, op->tensors[1], 1, bias_dims, dnnl_a, &bias_desc));
    b->value_block[value] = target;
done:
    if (status)
        code = onednn_failed(status, "planning a dense layer", b->err);
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* The op descriptor of an op without tensors, whose value keeps (or chooses, for pools) a layout. */
union op_desc {
    dnnl_eltwise_desc_t eltwise;
    dnnl_softmax_desc_t softmax;
    dnnl_binary_desc_t binary;
    dnnl_pooling_desc_t pooling;
};

static dnnl_status_t describe_plain(const struct bgd_format_op *op, const dnnl_memory_desc_t *source,
                                    const dnnl_memory_desc_t *any_target, union op_desc *desc)
{
    const struct bgd_window *w = &op->window;
    const struct activation *activation = find_activation(op->code);
    const dnnl_prop_kind_t forward = dnnl_forward_inference;
    if (activation)
        return dnnl_eltwise_forward_desc_init(&desc->eltwise, forward, activation->kind, source, activation->alpha, 0);
    switch (op->code) {
    case BGD_OP_SOFTMAX: return dnnl_softmax_forward_desc_init(&desc->softmax, forward, source, 1);
    case BGD_OP_ADD: return dnnl_binary_desc_init(&desc->binary, dnnl_binary_add, source, source, source);
    case BGD_OP_MUL: return dnnl_binary_desc_init(&desc->binary, dnnl_binary_mul, source, source, source);
    case BGD_OP_MAX_POOL: {
        const dnnl_dims_t strides = {w->stride_h, w->stride_w}, kernel = {w->kernel_h, w->kernel_w},
                          before = {w->pad_top, w->pad_left}, after = {w->pad_bottom, w->pad_right};
        return dnnl_pooling_forward_desc_init(&desc->pooling, forward, dnnl_pooling_max, source, any_target, strides, kernel,
                                              before, after);
    }
    default: return dnnl_unimplemented;
    }
}

/* A scale that an activation by itself has and its primitive has not. */
static dnnl_status_t add_scale(const struct bgd_format_op *op, dnnl_primitive_attr_t attr)
{
    const struct activation *activation = find_activation(op->code);
    dnnl_post_ops_t post = NULL;
    if (!activation || activation->scale == 1)
        return dnnl_success;
    dnnl_status_t status = dnnl_post_ops_create(&post);
    if (!status)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_linear, activation->scale, 0.0f);
    if (!status)
        status = dnnl_primitive_attr_set_post_ops(attr, post);
    dnnl_post_ops_destroy(post);
    return status;
}

/* The value in a layout that all primitives know: as it is, or reordered to nhwc. A side view's layout is none of them: pools
 * fall back to slow loops, and with channels padded to a block (AVX2) the sigmoid of oneDNN 2.6 is wrong, as it takes n to be
 * outermost. */
static const dnnl_format_tag_t usual_tags[] = {dnnl_nchw, dnnl_nhwc, dnnl_nChw8c, dnnl_nChw16c};

/* Which of them block `block` of `value` has, or dnnl_format_tag_undef. */
static dnnl_format_tag_t usual_tag(const struct builder *b, uint32_t value, uint32_t block)
{
    for (size_t i = 0; i < sizeof usual_tags / sizeof usual_tags[0]; i++) {
        const dnnl_memory_desc_t desc = onednn_desc(b, value, usual_tags[i]);
        if (dnnl_memory_desc_equal(&b->net->blocks[block].desc, &desc))
            return usual_tags[i];
    }
    return dnnl_format_tag_undef;
}

static uint32_t in_usual_layout(struct builder *b, uint32_t value)
{
    uint32_t block = b->value_block[value];
    if (usual_tag(b, value, block) != dnnl_format_tag_undef)
        return block;
    const dnnl_memory_desc_t nhwc = onednn_desc(b, value, dnnl_nhwc);
    return onednn_in_layout(b, block, &nhwc);
}

static int build_plain(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index), source = in_usual_layout(b, op->inputs[0]), other = NONE, target;
    bool two = op->n_inputs == 2;
    b->done[index] = true;
    if (source == NONE)
        return b->err->code;
    const dnnl_memory_desc_t source_desc = b->net->blocks[source].desc;
    const dnnl_memory_desc_t any_target = onednn_desc(b, value, dnnl_format_tag_any);
    if (two && (other = onednn_in_layout(b, b->value_block[op->inputs[1]], &source_desc)) == NONE)
        return b->err->code;

    dnnl_primitive_attr_t attr = onednn_attr();
    dnnl_primitive_desc_t pd = NULL;
    union op_desc desc;
    int code = 0;
    dnnl_status_t status = attr ? describe_plain(op, &source_desc, &any_target, &desc) : dnnl_out_of_memory;
    if (!status && !(status = add_scale(op, attr)))
        status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL);
    if (status) {
        code = onednn_failed(status, op_info(op->code)->name, b->err);
    } else if ((target = onednn_add_block(b, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0))) == NONE) {
        code = b->err->code;
    } else {
        const struct arg args[] = {
            {two ? DNNL_ARG_SRC_0 : DNNL_ARG_SRC, source, NULL}, {DNNL_ARG_DST, target, NULL}, {DNNL_ARG_SRC_1, other, NULL}};
        code = onednn_add_step(b, pd, args, two ? 3 : 2);
        b->value_block[value] = target;
    }
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* ------------------------------------------------------------ loops of ours */

static uint32_t channel_block(dnnl_format_tag_t tag, uint32_t channels)
{
    return tag == dnnl_nchw ? 1 : tag == dnnl_nhwc ? channels : tag == dnnl_nChw8c ? 8 : 16;
}

/* True for blocks that hold more zeros than channels. */
static bool mostly_padding(const struct builder *b, uint32_t value, dnnl_format_tag_t tag)
{
    uint32_t channels = model_shape(b->model, value).c;
    return 2 * channels < channel_block(tag, channels);
}

/* The layout of a loop's first input and output: what the input has, if the loop can work in it. */
static dnnl_format_tag_t loop_tag(const struct builder *b, const struct bgd_format_op *op)
{
    uint32_t first = op->inputs[0];
    dnnl_format_tag_t tag = usual_tag(b, first, b->value_block[first]);
    switch (op->code) {
    case BGD_OP_ADD:
    case BGD_OP_MUL:
    case BGD_OP_UPSAMPLE:
    case BGD_OP_GLOBAL_MEAN:
    case BGD_OP_ADAPTIVE_MEAN:
        return tag == dnnl_format_tag_undef ? dnnl_nhwc : mostly_padding(b, first, tag) ? dnnl_nchw : tag;
    case BGD_OP_LRN: return dnnl_nhwc;
    case BGD_OP_CONCAT: /* blocks can follow each other only if all are full */
        for (uint32_t i = 0; i < op->n_inputs; i++) {
            uint32_t channels = model_shape(b->model, op->inputs[i]).c;
            if (tag == dnnl_format_tag_undef || channels % channel_block(tag, channels))
                return dnnl_nhwc;
        }
        return tag;
    default: return dnnl_nchw;
    }
}

static int build_loop(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct shape shapes[8], out = model_shape(b->model, value);
    struct arg args[STEP_ARGS_MAX];
    dnnl_format_tag_t tag = loop_tag(b, op);
    b->done[index] = true;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        bool repeated = i > 0 && op->code != BGD_OP_CONCAT; /* and so dense */
        const dnnl_memory_desc_t desc = onednn_desc(b, op->inputs[i], repeated ? dnnl_nchw : tag);
        shapes[i] = model_shape(b->model, op->inputs[i]);
        args[i] = (struct arg){0, onednn_in_layout(b, b->value_block[op->inputs[i]], &desc), NULL};
        if (args[i].block == NONE)
            return b->err->code;
    }
    const dnnl_memory_desc_t desc = onednn_desc(b, value, tag);
    args[op->n_inputs] = (struct arg){0, onednn_add_block(b, &desc), NULL};
    if (args[op->n_inputs].block == NONE)
        return b->err->code;
    b->value_block[value] = args[op->n_inputs].block;
    return onednn_add_loop(b, onednn_loop_create(op, shapes, out, channel_block(tag, out.c)), args, op->n_inputs + 1);
}

static bool same_shapes(const struct builder *b, const struct bgd_format_op *op)
{
    struct shape x = model_shape(b->model, op->inputs[0]), y = model_shape(b->model, op->inputs[1]);
    return x.c == y.c && x.h == y.h && x.w == y.w;
}

int onednn_build_op(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    switch ((enum bgd_op)op->code) {
    case BGD_OP_CONV: return onednn_build_conv(b, index);
    case BGD_OP_DENSE: return build_dense(b, index);
    case BGD_OP_ADD:
    case BGD_OP_MUL: return same_shapes(b, op) ? build_plain(b, index) : build_loop(b, index);
    case BGD_OP_RELU:
    case BGD_OP_SIGMOID:
    case BGD_OP_SILU:
    case BGD_OP_SELU:
    case BGD_OP_SOFTMAX:
    case BGD_OP_MAX_POOL: return build_plain(b, index);
    case BGD_OP_CONCAT:
    case BGD_OP_UPSAMPLE:
    case BGD_OP_GLOBAL_MEAN:
    case BGD_OP_ADAPTIVE_MEAN:
    case BGD_OP_LRN:
    case BGD_OP_ATTENTION:
    case BGD_OP_QUANTILE_MASK:
    case BGD_OP_DENOISE:
    case BGD_OP_HIGH_PASS: return build_loop(b, index);
    }
    return err_set(b->err, BGD_DEVICE, "op code %u is not known to oneDNN's backend", op->code);
}
