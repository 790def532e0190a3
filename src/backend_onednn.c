/*
 * The CPU default: oneDNN (2.x C API), f32.
 *
 * prepare turns the graph into a list of steps, each one primitive:
 *   - conv and dense take the relu that follows them, and conv also the add of a residual, as post-ops;
 *   - a convolution chooses its own layouts, and a value stays in the layout that its producer chose; where
 *     the next step wants another one, a reorder step stands between them;
 *   - constants are reordered once into the layout that their step asked for.
 * A step is compiled for a *tile*: a fixed number of pictures that depends on the model alone. A batch is run tile by
 * tile, the last one padded, so that oneDNN's choices, and with them the last bits, never depend on the batch's size.
 * A tile also keeps neighbouring values in the cache, which a whole batch would not.
 *
 * An exec runs on its caller's thread alone; lanes are how more cores are used. This spares the barriers of
 * splitting each small convolution, and the number of threads cannot change a sum's order.
 */
#include "backend.h"
#include "err.h"
#include "plan.h"

#include <assert.h>
#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define TILE_MAX 16u
#define TILE_BYTES (8u << 20) /* the largest value of a tile at the most: what a core can hope to keep in its cache */
#define NONE UINT32_MAX

#define STEP_ARGS_MAX 5

struct device {
    dnnl_engine_t engine;
};

/* A place for data: in the arena (span), or bound to a graph input or output. */
struct block {
    dnnl_memory_desc_t desc;
    struct span span;
};

struct arg {
    int name;          /* DNNL_ARG_SRC, ... */
    uint32_t block;    /* NONE for a constant */
    dnnl_memory_t constant; /* shared by all execs; owned by the network */
};

struct step {
    dnnl_primitive_t primitive;
    struct arg args[STEP_ARGS_MAX];
    uint32_t n_args;
};

/* What sibling execs share: everything but the arena. */
struct network {
    const struct bgd_model *model;
    dnnl_engine_t engine;
    uint32_t tile;
    uint32_t users; /* execs */
    struct step *steps;
    uint32_t n_steps;
    struct block *blocks;
    uint32_t n_blocks;
    uint32_t capacity; /* of steps and of blocks */
    uint32_t inputs[BGD_FORMAT_INPUTS_MAX];   /* blocks of the graph's inputs, dense nchw */
    uint32_t outputs[BGD_FORMAT_OUTPUTS_MAX]; /* blocks of its outputs, dense nchw */
    size_t arena_bytes;
    size_t scratchpad_bytes;
};

struct exec {
    struct network *network;
    uint32_t batch;
    dnnl_stream_t stream;
    uint8_t *arena;
    uint8_t *scratchpad;
    dnnl_memory_t scratchpad_memory;
    float *inputs[BGD_FORMAT_INPUTS_MAX];   /* (batch rounded up to tiles, c, h, w) */
    float *outputs[BGD_FORMAT_OUTPUTS_MAX];
    dnnl_memory_t *memories; /* one per block */
    dnnl_exec_arg_t *args;   /* STEP_ARGS_MAX + 1 per step */
    struct feed_scratch scratch;
};

static int dnnl_failed(dnnl_status_t status, const char *what, struct bgd_err *err)
{
    return err_set(err, status == dnnl_out_of_memory ? BGD_MEMORY : BGD_DEVICE, "oneDNN: %s failed with status %d", what,
                   (int)status);
}

/* ------------------------------------------------------------ building the network */

struct builder {
    struct network *net;
    const struct bgd_model *model;
    uint32_t *value_block; /* per value: its block, or NONE while it is not computed (or fused away) */
    uint32_t *readers;     /* per value: number of ops that read it, plus one for each time it is an output */
    uint32_t *last_reader; /* per value: the last op that reads it, or NONE */
    bool *done;            /* per op: computed, on its own or as a post-op */
    struct bgd_err *err;
};

static void dims_of(const struct builder *b, uint32_t value, dnnl_dims_t dims)
{
    struct shape s = model_shape(b->model, value);
    dims[0] = b->net->tile;
    dims[1] = s.c;
    dims[2] = s.h;
    dims[3] = s.w;
}

static void desc_of(const struct builder *b, uint32_t value, dnnl_format_tag_t tag, dnnl_memory_desc_t *desc)
{
    dnnl_dims_t dims;
    dims_of(b, value, dims);
    dnnl_memory_desc_init_by_tag(desc, 4, dims, dnnl_f32, tag);
}

static uint32_t add_block(struct builder *b, const dnnl_memory_desc_t *desc)
{
    struct network *net = b->net;
    assert(net->n_blocks < net->capacity);
    net->blocks[net->n_blocks].desc = *desc;
    net->blocks[net->n_blocks].span = (struct span){.bytes = dnnl_memory_desc_get_size(desc), .first = NONE};
    return net->n_blocks++;
}

static struct arg block_arg(int name, uint32_t block)
{
    return (struct arg){.name = name, .block = block};
}

/* Appends the step of `pd`, and widens the lives of the blocks that it touches. Takes ownership of the args' constants. */
static int add_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args)
{
    struct network *net = b->net;
    assert(net->n_steps < net->capacity && n_args <= STEP_ARGS_MAX);
    struct step *step = &net->steps[net->n_steps];
    step->n_args = n_args;
    memcpy(step->args, args, n_args * sizeof *args);
    for (uint32_t i = 0; i < n_args; i++) {
        if (args[i].block == NONE)
            continue;
        struct span *span = &net->blocks[args[i].block].span;
        if (span->first == NONE)
            span->first = net->n_steps;
        span->last = net->n_steps;
    }
    net->n_steps++;
    size_t scratchpad = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
    if (scratchpad > net->scratchpad_bytes)
        net->scratchpad_bytes = scratchpad;
    dnnl_status_t status = dnnl_primitive_create(&step->primitive, pd);
    return status ? dnnl_failed(status, "creating a primitive", b->err) : 0;
}

/* All primitives use a scratchpad of the exec, so that lanes may run them at the same time. */
static dnnl_primitive_attr_t new_attr(void)
{
    dnnl_primitive_attr_t attr = NULL;
    if (dnnl_primitive_attr_create(&attr) == dnnl_success)
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

/* The block of `from`'s data in layout `desc`: itself, or a new one behind a reorder step. NONE on failure. */
static uint32_t in_layout(struct builder *b, uint32_t from, const dnnl_memory_desc_t *desc)
{
    const struct block *source = &b->net->blocks[from];
    if (dnnl_memory_desc_equal(&source->desc, desc))
        return from;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, &source->desc, b->net->engine, desc, b->net->engine, attr);
    uint32_t to = NONE;
    if (status) {
        dnnl_failed(status, "planning a reorder", b->err);
    } else {
        to = add_block(b, desc);
        const struct arg args[] = {block_arg(DNNL_ARG_FROM, from), block_arg(DNNL_ARG_TO, to)};
        if (add_step(b, pd, args, 2))
            to = NONE;
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return to;
}

/* A tensor as a oneDNN memory in layout `desc`, converted and reordered once. `dims` is its logical shape. */
static dnnl_memory_t new_constant(struct builder *b, uint32_t tensor, int ndims, const dnnl_dims_t dims,
                                  dnnl_format_tag_t tag, const dnnl_memory_desc_t *desc)
{
    const struct bgd_format_tensor *t = &b->model->tensors[tensor];
    dnnl_memory_desc_t plain;
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    void *data = NULL;
    float *values = malloc((size_t)model_tensor_count(t) * sizeof *values);
    dnnl_status_t status = dnnl_out_of_memory;
    if (!values)
        goto done;
    model_read_tensor(b->model, tensor, values);
    if ((status = dnnl_memory_desc_init_by_tag(&plain, ndims, dims, dnnl_f32, tag)) ||
        (status = dnnl_memory_create(&source, &plain, b->net->engine, values)) ||
        (status = dnnl_memory_create(&target, desc, b->net->engine, DNNL_MEMORY_ALLOCATE)) ||
        (status = dnnl_stream_create(&stream, b->net->engine, dnnl_stream_default_flags)) ||
        (status = dnnl_reorder_primitive_desc_create(&pd, &plain, b->net->engine, desc, b->net->engine, NULL)) ||
        (status = dnnl_primitive_create(&reorder, pd)))
        goto done;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
    if (!(status = dnnl_primitive_execute(reorder, stream, 2, args)))
        status = dnnl_stream_wait(stream);
    if (!status)
        status = dnnl_memory_get_data_handle(target, &data);
done:
    if (status) {
        dnnl_failed(status, t->name, b->err);
        dnnl_memory_destroy(target);
        target = NULL;
    }
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_stream_destroy(stream);
    dnnl_memory_destroy(source);
    free(values);
    return target;
}

/* ------------------------------------------------------------ fusing */

/* The op that alone reads `value`, if its code is `code`; else NONE. */
static uint32_t sole_reader(const struct builder *b, uint32_t value, enum bgd_op code)
{
    if (b->readers[value] != 1 || b->last_reader[value] == NONE)
        return NONE;
    uint32_t op = b->last_reader[value];
    return b->model->ops[op].code == code ? op : NONE;
}

/* The value of the relu that follows, marked as done, or `value` itself. */
static uint32_t take_relu(struct builder *b, uint32_t value, dnnl_post_ops_t post)
{
    uint32_t relu = sole_reader(b, value, BGD_OP_RELU);
    if (relu == NONE || dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f))
        return value;
    b->done[relu] = true;
    return model_op_value(b->model, relu);
}

/*
 * The residual that is added to `value` and may be overwritten by the sum: it is computed, nothing reads it after
 * the add, and the convolution does not read it itself. Returns its value, and the add in `*add`; or NONE.
 */
static uint32_t find_residual(const struct builder *b, uint32_t value, uint32_t source_block, uint32_t *add)
{
    *add = sole_reader(b, value, BGD_OP_ADD);
    if (*add == NONE)
        return NONE;
    const struct bgd_format_op *op = &b->model->ops[*add];
    uint32_t residual = op->inputs[0] == value ? op->inputs[1] : op->inputs[0];
    uint32_t block = b->value_block[residual];
    if (residual < b->model->header->n_inputs || block == NONE || block == source_block)
        return NONE;
    /* Every other reader must have run already, fused ones included; the add is the one left. */
    for (uint32_t i = 0; i < b->model->header->n_ops; i++)
        for (uint32_t k = 0; k < b->model->ops[i].n_inputs; k++)
            if (b->model->ops[i].inputs[k] == residual && i != *add && !b->done[i])
                return NONE;
    for (uint32_t i = 0; i < b->model->header->n_outputs; i++)
        if (b->model->header->outputs[i] == residual)
            return NONE;
    return residual;
}

/* ------------------------------------------------------------ ops to steps */

static int build_conv(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    const struct bgd_window *w = &op->window;
    uint32_t value = model_op_value(b->model, index), source = b->value_block[op->inputs[0]];
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    bool grouped = op->groups > 1;
    dnnl_dims_t weight_dims = {out.c, in.c, w->kernel_h, w->kernel_w};
    if (grouped) {
        const dnnl_dims_t dims = {op->groups, out.c / op->groups, in.c / op->groups, w->kernel_h, w->kernel_w};
        memcpy(weight_dims, dims, sizeof dims);
    }
    const dnnl_dims_t bias_dims = {out.c}, strides = {w->stride_h, w->stride_w},
                      dilates = {w->dilation_h - 1, w->dilation_w - 1}, before = {w->pad_top, w->pad_left},
                      after = {w->pad_bottom, w->pad_right};

    dnnl_primitive_attr_t attr = new_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    int code = BGD_DEVICE;
    b->done[index] = true;
    dnnl_status_t status = dnnl_post_ops_create(&post);
    if (status)
        goto failed;

    dnnl_memory_desc_t source_desc = b->net->blocks[source].desc, target_desc, weight_desc, bias_desc;
    desc_of(b, value, dnnl_format_tag_any, &target_desc);
    if (op->inputs[0] >= b->model->header->n_inputs)
        desc_of(b, op->inputs[0], dnnl_format_tag_any, &source_desc); /* a graph input stays nchw: the first kernels read it */
    dnnl_memory_desc_init_by_tag(&weight_desc, grouped ? 5 : 4, weight_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias_desc, 1, bias_dims, dnnl_f32, dnnl_a);

    uint32_t add, residual = find_residual(b, value, source, &add), target = NONE;
    if (residual != NONE && dnnl_post_ops_append_sum(post, 1.0f) == dnnl_success) {
        target = b->value_block[residual];
        target_desc = b->net->blocks[target].desc;
        b->done[add] = true;
        value = model_op_value(b->model, add);
    }
    value = take_relu(b, value, post);
    dnnl_primitive_attr_set_post_ops(attr, post);

    dnnl_convolution_desc_t desc;
    if ((status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
                                                             &source_desc, &weight_desc, &bias_desc, &target_desc, strides,
                                                             dilates, before, after)) ||
        (status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL)))
        goto failed;

    source = in_layout(b, source, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    if (target == NONE)
        target = add_block(b, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0));
    dnnl_memory_t weight = new_constant(b, op->tensors[0], grouped ? 5 : 4, weight_dims, grouped ? dnnl_goihw : dnnl_oihw,
                                        dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    dnnl_memory_t bias = new_constant(b, op->tensors[1], 1, bias_dims, dnnl_a, &bias_desc);
    const struct arg args[] = {block_arg(DNNL_ARG_SRC, source), block_arg(DNNL_ARG_DST, target),
                               {DNNL_ARG_WEIGHTS, NONE, weight}, {DNNL_ARG_BIAS, NONE, bias}};
    if (source == NONE || !weight || !bias) {
        dnnl_memory_destroy(weight);
        dnnl_memory_destroy(bias);
        goto done;
    }
    code = add_step(b, pd, args, 4);
    b->value_block[value] = target;
    goto done;
failed:
    dnnl_failed(status, "planning a convolution", b->err);
done:
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

static int build_dense(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    const dnnl_dims_t weight_dims = {out.c, in.c, in.h, in.w}, bias_dims = {out.c}, target_dims = {b->net->tile, out.c};
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_memory_desc_t source_desc, weight_desc, bias_desc, flat, target_desc;
    dnnl_inner_product_desc_t desc;
    int code = BGD_DEVICE;
    b->done[index] = true;
    desc_of(b, op->inputs[0], dnnl_format_tag_any, &source_desc);
    dnnl_memory_desc_init_by_tag(&weight_desc, 4, weight_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias_desc, 1, bias_dims, dnnl_f32, dnnl_a);
    dnnl_memory_desc_init_by_tag(&flat, 2, target_dims, dnnl_f32, dnnl_ab);
    desc_of(b, value, dnnl_nchw, &target_desc); /* (n, c) and (n, c, 1, 1) are the same bytes */
    dnnl_status_t status = dnnl_post_ops_create(&post);
    if (status)
        goto failed;
    value = take_relu(b, value, post);
    dnnl_primitive_attr_set_post_ops(attr, post);
    if ((status = dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &source_desc, &weight_desc, &bias_desc,
                                                       &flat)) ||
        (status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL)))
        goto failed;
    uint32_t source = in_layout(b, b->value_block[op->inputs[0]], dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    uint32_t target = add_block(b, &target_desc);
    dnnl_memory_t weight = new_constant(b, op->tensors[0], 4, weight_dims, dnnl_oihw,
                                        dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    dnnl_memory_t bias = new_constant(b, op->tensors[1], 1, bias_dims, dnnl_a, &bias_desc);
    const struct arg args[] = {block_arg(DNNL_ARG_SRC, source), block_arg(DNNL_ARG_DST, target),
                               {DNNL_ARG_WEIGHTS, NONE, weight}, {DNNL_ARG_BIAS, NONE, bias}};
    if (source == NONE || !weight || !bias) {
        dnnl_memory_destroy(weight);
        dnnl_memory_destroy(bias);
        goto done;
    }
    code = add_step(b, pd, args, 4);
    b->value_block[value] = target;
    goto done;
failed:
    dnnl_failed(status, "planning a dense layer", b->err);
done:
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* The op descriptor of an op without tensors whose value keeps (or chooses, for pools) a layout. */
union op_desc {
    dnnl_eltwise_desc_t eltwise;
    dnnl_softmax_desc_t softmax;
    dnnl_binary_desc_t binary;
    dnnl_pooling_desc_t pooling;
};

static dnnl_status_t describe_plain(const struct bgd_format_op *op, struct shape in, const dnnl_memory_desc_t *source,
                                    const dnnl_memory_desc_t *any_target, union op_desc *desc)
{
    const struct bgd_window *w = &op->window;
    const dnnl_prop_kind_t forward = dnnl_forward_inference;
    switch ((enum bgd_op)op->code) {
    case BGD_OP_RELU:
        return dnnl_eltwise_forward_desc_init(&desc->eltwise, forward, dnnl_eltwise_relu, source, 0, 0);
    case BGD_OP_SIGMOID:
        return dnnl_eltwise_forward_desc_init(&desc->eltwise, forward, dnnl_eltwise_logistic, source, 0, 0);
    case BGD_OP_SOFTMAX:
        return dnnl_softmax_forward_desc_init(&desc->softmax, forward, source, 1);
    case BGD_OP_ADD:
        return dnnl_binary_desc_init(&desc->binary, dnnl_binary_add, source, source, source);
    case BGD_OP_MAX_POOL: {
        const dnnl_dims_t strides = {w->stride_h, w->stride_w}, kernel = {w->kernel_h, w->kernel_w},
                          before = {w->pad_top, w->pad_left}, after = {w->pad_bottom, w->pad_right};
        return dnnl_pooling_forward_desc_init(&desc->pooling, forward, dnnl_pooling_max, source, any_target, strides, kernel,
                                              before, after);
    }
    case BGD_OP_GLOBAL_MEAN: {
        const dnnl_dims_t strides = {1, 1}, kernel = {in.h, in.w}, none = {0, 0};
        return dnnl_pooling_forward_desc_init(&desc->pooling, forward, dnnl_pooling_avg_exclude_padding, source, any_target,
                                              strides, kernel, none, none);
    }
    case BGD_OP_CONV:
    case BGD_OP_DENSE:
        break;
    }
    return dnnl_unimplemented;
}

static int build_plain(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    uint32_t source = b->value_block[op->inputs[0]], other = NONE;
    dnnl_memory_desc_t source_desc = b->net->blocks[source].desc, any_target;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_primitive_desc_t pd = NULL;
    union op_desc desc;
    int code = BGD_DEVICE;
    b->done[index] = true;
    desc_of(b, value, dnnl_format_tag_any, &any_target);
    if (op->code == BGD_OP_ADD && (other = in_layout(b, b->value_block[op->inputs[1]], &source_desc)) == NONE)
        goto done;
    dnnl_status_t status = describe_plain(op, model_shape(b->model, op->inputs[0]), &source_desc, &any_target, &desc);
    if (status || (status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL))) {
        dnnl_failed(status, op_info(op->code)->name, b->err);
        goto done;
    }
    uint32_t target = add_block(b, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0));
    const struct arg args[] = {block_arg(op->code == BGD_OP_ADD ? DNNL_ARG_SRC_0 : DNNL_ARG_SRC, source),
                               block_arg(DNNL_ARG_DST, target), block_arg(DNNL_ARG_SRC_1, other)};
    code = add_step(b, pd, args, op->code == BGD_OP_ADD ? 3 : 2);
    b->value_block[value] = target;
done:
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

static int build_op(struct builder *b, uint32_t index)
{
    if (b->model->ops[index].code == BGD_OP_CONV)
        return build_conv(b, index);
    if (b->model->ops[index].code == BGD_OP_DENSE)
        return build_dense(b, index);
    return build_plain(b, index);
}

static int build_steps(struct builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    dnnl_memory_desc_t desc;
    for (uint32_t i = 0; i < h->n_inputs; i++) {
        desc_of(b, i, dnnl_nchw, &desc);
        b->value_block[i] = b->net->inputs[i] = add_block(b, &desc);
    }
    for (uint32_t i = 0; i < h->n_ops; i++)
        if (!b->done[i] && build_op(b, i))
            return err_prefix(b->err, "op %s: ", b->model->values[model_op_value(b->model, i)].name);
    for (uint32_t i = 0; i < h->n_outputs; i++) { /* each output gets a dense copy of its own, outside of the arena */
        uint32_t from = b->value_block[h->outputs[i]];
        desc_of(b, h->outputs[i], dnnl_nchw, &desc);
        uint32_t to = add_block(b, &desc);
        dnnl_primitive_attr_t attr = new_attr();
        dnnl_primitive_desc_t pd = NULL;
        const struct arg args[] = {block_arg(DNNL_ARG_FROM, from), block_arg(DNNL_ARG_TO, to)};
        dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, &b->net->blocks[from].desc, b->net->engine, &desc,
                                                                  b->net->engine, attr);
        int code = status ? dnnl_failed(status, "planning an output", b->err) : add_step(b, pd, args, 2);
        dnnl_primitive_desc_destroy(pd);
        dnnl_primitive_attr_destroy(attr);
        if (code)
            return code;
        b->net->outputs[i] = to;
    }
    return 0;
}

/* Inputs and outputs have memory of their own; all other blocks share the arena. */
static int place_blocks(struct network *net, struct bgd_err *err)
{
    struct span *spans = calloc(net->n_blocks, sizeof *spans);
    uint32_t *order = calloc(net->n_blocks, sizeof *order);
    if (!spans || !order) {
        free(spans);
        free(order);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < net->model->header->n_inputs; i++)
        net->blocks[net->inputs[i]].span.bytes = 0;
    for (uint32_t i = 0; i < net->model->header->n_outputs; i++)
        net->blocks[net->outputs[i]].span.bytes = 0;
    for (uint32_t i = 0; i < net->n_blocks; i++)
        spans[i] = net->blocks[i].span;
    net->arena_bytes = plan_place(spans, order, net->n_blocks);
    for (uint32_t i = 0; i < net->n_blocks; i++)
        net->blocks[i].span = spans[i];
    free(spans);
    free(order);
    return 0;
}

static uint32_t choose_tile(const struct bgd_model *model)
{
    uint64_t largest = 1;
    for (uint32_t i = 0; i < model->header->n_values; i++)
        if (shape_size(model_shape(model, i)) > largest)
            largest = shape_size(model_shape(model, i));
    uint64_t tile = TILE_BYTES / (largest * sizeof(float));
    return tile < 1 ? 1 : tile > TILE_MAX ? TILE_MAX : (uint32_t)tile;
}

static void network_destroy(struct network *net)
{
    if (!net)
        return;
    for (uint32_t i = 0; i < net->n_steps; i++) {
        dnnl_primitive_destroy(net->steps[i].primitive);
        for (uint32_t k = 0; k < net->steps[i].n_args; k++)
            dnnl_memory_destroy(net->steps[i].args[k].constant);
    }
    free(net->steps);
    free(net->blocks);
    free(net);
}

static void count_readers(struct builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    for (uint32_t i = 0; i < h->n_values; i++)
        b->value_block[i] = b->last_reader[i] = NONE;
    for (uint32_t i = 0; i < h->n_ops; i++)
        for (uint32_t k = 0; k < b->model->ops[i].n_inputs; k++) {
            b->readers[b->model->ops[i].inputs[k]]++;
            b->last_reader[b->model->ops[i].inputs[k]] = i;
        }
    for (uint32_t i = 0; i < h->n_outputs; i++)
        b->readers[h->outputs[i]]++;
}

static int network_create(struct device *device, const struct bgd_model *model, struct network **out, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct builder b = {.model = model, .err = err};
    int code = BGD_MEMORY;
    *out = NULL;
    b.net = calloc(1, sizeof *b.net);
    b.value_block = calloc(h->n_values, sizeof *b.value_block);
    b.readers = calloc(h->n_values, sizeof *b.readers);
    b.last_reader = calloc(h->n_values, sizeof *b.last_reader);
    b.done = calloc(h->n_ops, sizeof *b.done);
    if (!b.net || !b.value_block || !b.readers || !b.last_reader || !b.done)
        goto out_of_memory;
    /* An op is at most its own step and two reorders before it; an output is one step; the same holds for blocks. */
    b.net->capacity = 3 * h->n_ops + h->n_inputs + h->n_outputs;
    b.net->steps = calloc(b.net->capacity, sizeof *b.net->steps);
    b.net->blocks = calloc(b.net->capacity, sizeof *b.net->blocks);
    if (!b.net->steps || !b.net->blocks)
        goto out_of_memory;
    b.net->model = model;
    b.net->engine = device->engine;
    b.net->tile = choose_tile(model);
    count_readers(&b);
    code = build_steps(&b);
    if (!code)
        code = place_blocks(b.net, err);
    goto done;
out_of_memory:
    err_set(err, BGD_MEMORY, "out of memory");
done:
    if (code)
        network_destroy(b.net);
    else
        *out = b.net;
    free(b.value_block);
    free(b.readers);
    free(b.last_reader);
    free(b.done);
    return code;
}

/* ------------------------------------------------------------ the table */

static int onednn_open(struct device **device, struct bgd_err *err)
{
    *device = calloc(1, sizeof **device);
    if (!*device)
        return err_set(err, BGD_MEMORY, "out of memory");
    dnnl_status_t status = dnnl_engine_create(&(*device)->engine, dnnl_cpu, 0);
    if (!status)
        return 0;
    free(*device);
    *device = NULL;
    return dnnl_failed(status, "creating an engine", err);
}

static void onednn_close(struct device *device)
{
    if (!device)
        return;
    dnnl_engine_destroy(device->engine);
    free(device);
}

static void onednn_release(struct exec *exec)
{
    if (!exec)
        return;
    for (uint32_t i = 0; exec->memories && i < exec->network->n_blocks; i++)
        dnnl_memory_destroy(exec->memories[i]);
    dnnl_memory_destroy(exec->scratchpad_memory);
    dnnl_stream_destroy(exec->stream);
    for (uint32_t i = 0; i < BGD_FORMAT_INPUTS_MAX; i++)
        free(exec->inputs[i]);
    for (uint32_t i = 0; i < BGD_FORMAT_OUTPUTS_MAX; i++)
        free(exec->outputs[i]);
    free(exec->memories);
    free(exec->args);
    free(exec->arena);
    free(exec->scratchpad);
    feed_scratch_free(&exec->scratch);
    if (exec->network && --exec->network->users == 0)
        network_destroy(exec->network);
    free(exec);
}

static void *aligned_zeros(size_t bytes)
{
    size_t rounded = (bytes / PLAN_ALIGN + 1) * PLAN_ALIGN;
    void *memory = aligned_alloc(PLAN_ALIGN, rounded);
    return memory ? memset(memory, 0, rounded) : NULL;
}

/* Buffers for whole tiles, so that a padded last tile reads and writes inside of them. */
static float *new_staging(const struct exec *exec, uint32_t value)
{
    uint32_t tile = exec->network->tile;
    size_t pictures = (size_t)(exec->batch + tile - 1) / tile * tile;
    return aligned_zeros(pictures * (size_t)shape_size(model_shape(exec->network->model, value)) * sizeof(float));
}

static int allocate(struct exec *exec, struct bgd_err *err)
{
    struct network *net = exec->network;
    const struct bgd_format_header *h = net->model->header;
    exec->arena = aligned_zeros(net->arena_bytes);
    exec->scratchpad = aligned_zeros(net->scratchpad_bytes);
    exec->memories = calloc(net->n_blocks, sizeof *exec->memories);
    exec->args = calloc((size_t)net->n_steps * (STEP_ARGS_MAX + 1), sizeof *exec->args);
    bool complete = exec->arena && exec->scratchpad && exec->memories && exec->args;
    for (uint32_t i = 0; i < h->n_inputs; i++)
        complete = (exec->inputs[i] = new_staging(exec, i)) && complete;
    for (uint32_t i = 0; i < h->n_outputs; i++)
        complete = (exec->outputs[i] = new_staging(exec, h->outputs[i])) && complete;
    return complete ? 0 : err_set(err, BGD_MEMORY, "out of memory for a lane of %zu bytes", net->arena_bytes);
}

/* Binds the blocks to this exec's memory and writes down the arguments of every step. */
static int bind(struct exec *exec, struct bgd_err *err)
{
    struct network *net = exec->network;
    const dnnl_dims_t scratchpad_dims = {(dnnl_dim_t)net->scratchpad_bytes};
    dnnl_memory_desc_t scratchpad;
    dnnl_memory_desc_init_by_tag(&scratchpad, 1, scratchpad_dims, dnnl_u8, dnnl_a);
    dnnl_status_t status = dnnl_memory_create(&exec->scratchpad_memory, &scratchpad, net->engine, exec->scratchpad);
    for (uint32_t i = 0; i < net->n_blocks && !status; i++)
        status = dnnl_memory_create(&exec->memories[i], &net->blocks[i].desc, net->engine,
                                    exec->arena + net->blocks[i].span.offset);
    if (!status)
        status = dnnl_stream_create(&exec->stream, net->engine, dnnl_stream_default_flags);
    if (status)
        return dnnl_failed(status, "creating a lane", err);
    for (uint32_t i = 0; i < net->n_steps; i++) {
        const struct step *step = &net->steps[i];
        dnnl_exec_arg_t *args = exec->args + (size_t)i * (STEP_ARGS_MAX + 1);
        for (uint32_t k = 0; k < step->n_args; k++)
            args[k] = (dnnl_exec_arg_t){step->args[k].name, step->args[k].block == NONE
                                                                ? step->args[k].constant
                                                                : exec->memories[step->args[k].block]};
        args[step->n_args] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, exec->scratchpad_memory};
    }
    return 0;
}

static int onednn_prepare(struct device *device, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
                          struct exec **out, struct bgd_err *err)
{
    *out = NULL;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* of this thread's oneDNN calls: primitives are compiled for, and run on, one thread */
    if (sibling)
        exec->network = sibling->network;
    else if (network_create(device, model, &exec->network, err))
        goto fail;
    exec->network->users++;
    exec->batch = batch ? batch : exec->network->tile;
    if (allocate(exec, err) || bind(exec, err))
        goto fail;
    omp_set_num_threads(threads);
    *out = exec;
    return 0;
fail:
    omp_set_num_threads(threads);
    onednn_release(exec);
    return err->code;
}

static uint32_t onednn_batch(const struct exec *exec)
{
    return exec->batch;
}

static int onednn_load(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err)
{
    (void)err;
    assert(n <= exec->batch && input < exec->network->model->header->n_inputs);
    memcpy(exec->inputs[input], values, n * shape_size(model_shape(exec->network->model, input)) * sizeof *values);
    return 0;
}

static int onednn_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *images, struct bgd_err *err)
{
    assert(n <= exec->batch);
    const struct bgd_model *model = exec->network->model;
    size_t size = (size_t)shape_size(model_shape(model, 0));
    for (uint32_t i = 0; i < n; i++)
        if (feed_image(images[i], &model->meta.input, &exec->scratch, exec->inputs[0] + i * size, err))
            return err->code;
    return 0;
}

static int run_tile(struct exec *exec, uint32_t first, struct bgd_err *err)
{
    struct network *net = exec->network;
    const struct bgd_format_header *h = net->model->header;
    for (uint32_t i = 0; i < h->n_inputs; i++)
        dnnl_memory_set_data_handle(exec->memories[net->inputs[i]],
                                    exec->inputs[i] + first * shape_size(model_shape(net->model, i)));
    for (uint32_t i = 0; i < h->n_outputs; i++)
        dnnl_memory_set_data_handle(exec->memories[net->outputs[i]],
                                    exec->outputs[i] + first * shape_size(model_shape(net->model, h->outputs[i])));
    for (uint32_t i = 0; i < net->n_steps; i++) {
        dnnl_status_t status = dnnl_primitive_execute(net->steps[i].primitive, exec->stream, (int)net->steps[i].n_args + 1,
                                                      exec->args + (size_t)i * (STEP_ARGS_MAX + 1));
        if (status)
            return dnnl_failed(status, "running a step", err);
    }
    dnnl_status_t status = dnnl_stream_wait(exec->stream);
    return status ? dnnl_failed(status, "waiting for a run", err) : 0;
}

static int onednn_run(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    assert(n <= exec->batch);
    int threads = omp_get_max_threads(), code = 0;
    omp_set_num_threads(1);
    for (uint32_t first = 0; first < n && !code; first += exec->network->tile)
        code = run_tile(exec, first, err);
    omp_set_num_threads(threads);
    return code;
}

static int onednn_fetch(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    (void)err;
    uint32_t value = exec->network->model->header->outputs[output];
    memcpy(values, exec->outputs[output], n * shape_size(model_shape(exec->network->model, value)) * sizeof *values);
    return 0;
}

const struct backend backend_onednn = {
    .name = "onednn",
    .open = onednn_open,
    .close = onednn_close,
    .prepare = onednn_prepare,
    .release = onednn_release,
    .batch = onednn_batch,
    .load = onednn_load,
    .feed = onednn_feed,
    .run = onednn_run,
    .fetch = onednn_fetch,
};
