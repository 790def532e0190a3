/* A convolution: as oneDNN's primitive for it, by Winograd's algorithm, or as what a special case comes down to. */
#include "onednn.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ fusing */

/*
 * The residual that is added to `value` and may be overwritten by the sum: it is computed, nothing reads it after
 * the add, and the convolution does not read it itself. Returns its value, and the add in `*add`; or NONE.
 */
static uint32_t find_residual(const struct builder *b, uint32_t value, uint32_t source_block, uint32_t *add)
{
    const struct bgd_format_header *h = b->model->header;
    *add = uses_sole_reader(&b->uses, value, BGD_OP_ADD);
    if (*add == NONE)
        return NONE;
    const struct bgd_format_op *op = &b->model->ops[*add];
    uint32_t residual = op->inputs[0] == value ? op->inputs[1] : op->inputs[0];
    struct shape a = model_shape(b->model, value), c = model_shape(b->model, residual);
    if (a.c != c.c || a.h != c.h || a.w != c.w)
        return NONE; /* a repeated operand is a loop's work */
    uint32_t block = b->value_block[residual];
    if (residual < h->n_inputs || block == NONE || block == source_block)
        return NONE;
    /* Every other reader must have run already, fused ones included; the add is the one left. */
    for (uint32_t i = 0; i < h->n_ops; i++)
        for (uint32_t k = 0; k < b->model->ops[i].n_inputs; k++)
            if (b->model->ops[i].inputs[k] == residual && i != *add && !b->done[i])
                return NONE;
    for (uint32_t i = 0; i < h->n_outputs; i++)
        if (h->outputs[i] == residual)
            return NONE;
    return residual;
}

/* The activation that follows `*value`, if a loop can do it; then it is done, and `*value` is what it makes. */
static enum onednn_activation take_loop_activation(struct builder *b, uint32_t *value)
{
    static const enum bgd_op codes[] = {[ONEDNN_RELU] = BGD_OP_RELU, [ONEDNN_SELU] = BGD_OP_SELU};
    for (enum onednn_activation a = ONEDNN_RELU; a <= ONEDNN_SELU; a++) {
        uint32_t op = uses_sole_reader(&b->uses, *value, codes[a]);
        if (op == NONE)
            continue;
        b->done[op] = true;
        *value = model_op_value(b->model, op);
        return a;
    }
    return ONEDNN_NONE;
}

/* ------------------------------------------------------------ the batch as a side of the picture
 *
 * oneDNN's loops multiply the weights with one row of one picture at a time. Deep in a network that sees 60x80 a row has 2 to 8
 * pixels, and most of the time goes into loading weights. A convolution of (n, c, h, w) by (kh, kw) is also a 3-D one of the
 * single picture (1, c, h, w, n) by (kh, kw, 1): then a row is n pixels, and padding costs nothing. The numbers are the
 * same, the layout is (h, w, n, c) in memory, and ResNet-18 ran 1.7 times as fast when this was built. */

/* (n, c, h, w) seen as (1, c, h, w, n). */
static dnnl_memory_desc_t side_view(const dnnl_memory_desc_t *desc)
{
    dnnl_memory_desc_t view = *desc;
    view.ndims = 5;
    view.dims[4] = desc->dims[0];
    view.padded_dims[4] = desc->padded_dims[0];
    view.padded_offsets[4] = desc->padded_offsets[0];
    view.dims[0] = view.padded_dims[0] = 1;
    view.padded_offsets[0] = 0;
    if (desc->format_kind == dnnl_blocked) {
        view.format_desc.blocking.strides[4] = desc->format_desc.blocking.strides[0];
        view.format_desc.blocking.strides[0] = (dnnl_dim_t)(dnnl_memory_desc_get_size(desc) / sizeof(float));
    }
    return view;
}

/* And back. */
static dnnl_memory_desc_t front_view(const dnnl_memory_desc_t *desc)
{
    dnnl_memory_desc_t view = *desc;
    view.ndims = 4;
    view.dims[0] = desc->dims[4];
    view.padded_dims[0] = desc->padded_dims[4];
    view.padded_offsets[0] = desc->padded_offsets[4];
    view.format_desc.blocking.strides[0] = desc->format_desc.blocking.strides[4];
    view.dims[4] = view.padded_dims[4] = view.padded_offsets[4] = view.format_desc.blocking.strides[4] = 0;
    return view;
}

/* ------------------------------------------------------------ directly */

/* The logical shape of a convolution's weights, and the tag of their order in the file. */
static int weight_shape(const struct bgd_format_op *op, struct shape in, struct shape out, bool side, dnnl_dims_t dims,
                        dnnl_format_tag_t *tag)
{
    const struct bgd_window *w = &op->window;
    const dnnl_dims_t plain = {out.c, in.c, w->kernel_h, w->kernel_w, 1};
    const dnnl_dims_t grouped = {op->groups, out.c / op->groups, in.c / op->groups, w->kernel_h, w->kernel_w};
    memcpy(dims, op->groups > 1 ? grouped : plain, sizeof plain);
    *tag = op->groups > 1 || side ? dnnl_abcde : dnnl_abcd;
    return op->groups > 1 || side ? 5 : 4;
}

static dnnl_status_t plan_conv(const struct builder *b, uint32_t index, bool first, bool side, dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *pd)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    const struct bgd_window *w = &op->window;
    uint32_t value = model_op_value(b->model, index);
    dnnl_memory_desc_t source = onednn_desc(b, op->inputs[0], first ? dnnl_nchw : dnnl_format_tag_any);
    dnnl_memory_desc_t target = onednn_desc(b, value, dnnl_format_tag_any), weight, bias;
    if (side) {
        source = side_view(&source);
        target = side_view(&target);
    }
    /* The third ones are the side view's; without it they are not read. */
    const dnnl_dims_t bias_dims = {model_shape(b->model, value).c}, strides = {w->stride_h, w->stride_w, 1},
                      dilates = {w->dilation_h - 1, w->dilation_w - 1, 0}, before = {w->pad_top, w->pad_left, 0},
                      after = {w->pad_bottom, w->pad_right, 0};
    dnnl_dims_t weight_dims;
    dnnl_format_tag_t tag;
    int ndims = weight_shape(op, model_shape(b->model, op->inputs[0]), model_shape(b->model, value), side, weight_dims, &tag);
    dnnl_memory_desc_init_by_tag(&weight, ndims, weight_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias, 1, bias_dims, dnnl_f32, dnnl_a);
    dnnl_convolution_desc_t desc;
    dnnl_status_t status =
        dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &source, &weight,
                                                   &bias, &target, strides, dilates, before, after);
    return status ? status : dnnl_primitive_desc_create(pd, &desc, attr, b->net->engine, NULL);
}

/* True for the plain loops that oneDNN has for what no compiled kernel can do: correct, and 100 times as slow. */
static bool is_plain_loop(const_dnnl_primitive_desc_t pd)
{
    const char *name = "";
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && strncmp(name, "ref", 3) == 0;
}

/* Plans with the batch as a side of the picture if `*side`, or, where only a plain loop could do that, without. */
static dnnl_status_t plan_placed(const struct builder *b, uint32_t index, bool first, bool *side, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *pd)
{
    dnnl_status_t status = plan_conv(b, index, first, *side, attr, pd);
    if (status || !*side || !is_plain_loop(*pd))
        return status;
    dnnl_primitive_desc_destroy(*pd);
    *pd = NULL;
    *side = false;
    return plan_conv(b, index, first, false, attr, pd);
}

/* Plans with `attr`, whose post-ops `post` are, and the sum of the op `add` behind them; `*value` is then what that makes. Where
 * only a plain loop could do that (seen of oneDNN 2.6 without AVX-512: 1x1 with SELU before the sum), *pd is NULL and nothing has
 * changed. */
static dnnl_status_t plan_with_residual(struct builder *b, uint32_t index, bool first, bool *side,
                                        const_dnnl_primitive_attr_t attr, dnnl_post_ops_t post, uint32_t add, uint32_t *value,
                                        dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_attr_t summed = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(&summed, attr);
    bool placed = *side;
    uint32_t sum = model_op_value(b->model, add), fused = sum;
    if (!status && !(status = dnnl_post_ops_append_sum(post, 1.0f))) {
        fused = onednn_take_activation(b, sum, post);
        if (!(status = dnnl_primitive_attr_set_post_ops(summed, post)))
            status = plan_placed(b, index, first, &placed, summed, pd);
    }
    if (!status && !is_plain_loop(*pd)) {
        b->done[add] = true;
        *value = fused;
        *side = placed;
    } else if (!status) {
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        if (fused != sum)
            b->done[fused - b->model->header->n_inputs] = false;
    }
    dnnl_primitive_attr_destroy(summed);
    return status;
}

static int build_direct(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index), source = b->value_block[op->inputs[0]], target;
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    /* The first convolution reads nchw as it comes: with 3 or 4 channels any other layout is mostly padding. */
    bool first = op->inputs[0] < b->model->header->n_inputs && in.c <= 4;
    /* As a side, any padding is read over; along a row, oneDNN's kernel for AVX2 takes none wider than 3. Its rows of three pixels
     * want to be filled. */
    bool side = op->groups == 1 && !first && (2 * out.w <= b->net->tile || (op->window.pad_left > 3 && b->net->tile >= 3));

    dnnl_primitive_attr_t attr = onednn_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    int code = 0;
    b->done[index] = true;
    dnnl_status_t status = attr ? dnnl_post_ops_create(&post) : dnnl_out_of_memory;
    if (status)
        goto done;
    value = onednn_take_activation(b, value, post);
    if ((status = dnnl_primitive_attr_set_post_ops(attr, post)))
        goto done;
    uint32_t add, residual = find_residual(b, value, source, &add);
    if (residual != NONE && (status = plan_with_residual(b, index, first, &side, attr, post, add, &value, &pd)))
        goto done;
    if (!pd) {
        residual = NONE;
        if ((status = plan_placed(b, index, first, &side, attr, &pd)))
            goto done;
    }

    dnnl_memory_desc_t source_desc = *dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    dnnl_memory_desc_t target_desc = *dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0), bias_desc;
    if (side) {
        source_desc = front_view(&source_desc);
        target_desc = front_view(&target_desc);
    }
    source = onednn_in_layout(b, source, &source_desc);
    target = residual == NONE ? onednn_add_block(b, &target_desc) : onednn_in_layout(b, b->value_block[residual], &target_desc);
    const dnnl_dims_t bias_dims = {out.c};
    dnnl_dims_t weight_dims;
    dnnl_format_tag_t tag;
    int ndims = weight_shape(op, in, out, side, weight_dims, &tag);
    dnnl_memory_desc_init_by_tag(&bias_desc, 1, bias_dims, dnnl_f32, dnnl_a);
    code = onednn_add_weighted_step(
        b, pd, source, target,
        onednn_constant(b, op->tensors[0], ndims, weight_dims, tag, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)),
        onednn_constant(b, op->tensors[1], 1, bias_dims, dnnl_a, &bias_desc));
    b->value_block[value] = target;
done:
    if (status)
        code = onednn_failed(status, "planning a convolution", b->err);
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* ------------------------------------------------------------ a convolution by Winograd's algorithm */

/* The most that all pictures' tiles may take in memory, before and behind the products each: more would only wait for it. */
#define WINOGRAD_BYTES (16u << 20)

/* And a layer's weights, 36 for 9: above, a model would grow to many times its file. */
#define WINOGRAD_WEIGHT_BYTES (64u << 20)

/* One of the 36 products: a 1x1 convolution of all pictures' tiles at once. */
static dnnl_status_t plan_product(const struct builder *b, struct shape in, struct shape out, dnnl_primitive_desc_t *pd)
{
    struct shape x = onednn_winograd_tiles(out, in.c, b->net->tile), y = onednn_winograd_tiles(out, out.c, b->net->tile);
    const dnnl_dims_t source_dims = {1, x.c, x.h, x.w}, target_dims = {1, y.c, y.h, y.w}, ones = {1, 1}, none = {0, 0},
                      weight_dims = {out.c, in.c, 1, 1};
    dnnl_memory_desc_t source, target, weight;
    dnnl_memory_desc_init_by_tag(&source, 4, source_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&target, 4, target_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&weight, 4, weight_dims, dnnl_f32, dnnl_format_tag_any);
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attr = onednn_attr();
    dnnl_status_t status = attr ? dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
                                                                     &source, &weight, NULL, &target, ones, none, none)
                                : dnnl_out_of_memory;
    if (!status)
        status = dnnl_primitive_desc_create(pd, &desc, attr, b->net->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* 36 of it, one behind the other: another, outermost side. */
static dnnl_memory_desc_t all_parts(const dnnl_memory_desc_t *part)
{
    dnnl_memory_desc_t all = *part;
    dnnl_blocking_desc_t *blocking = &all.format_desc.blocking;
    all.ndims = part->ndims + 1;
    for (int i = part->ndims; i > 0; i--) {
        all.dims[i] = all.dims[i - 1];
        all.padded_dims[i] = all.padded_dims[i - 1];
        all.padded_offsets[i] = all.padded_offsets[i - 1];
        blocking->strides[i] = blocking->strides[i - 1];
    }
    for (int i = 0; i < blocking->inner_nblks; i++)
        blocking->inner_idxs[i]++;
    all.dims[0] = all.padded_dims[0] = WINOGRAD_PARTS;
    all.padded_offsets[0] = 0;
    blocking->strides[0] = (dnnl_dim_t)(onednn_part_bytes(part) / sizeof(float));
    return all;
}

static bool lies_as(const dnnl_memory_desc_t *desc, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t same;
    dnnl_memory_desc_init_by_tag(&same, 4, desc->dims, dnnl_f32, tag);
    return dnnl_memory_desc_equal(desc, &same);
}

/* The channels to a block that a product's values and weights lie in, or 0 for layouts that loops of ours do not know. */
static uint32_t block_of_product(const_dnnl_primitive_desc_t pd)
{
    static const struct {
        dnnl_format_tag_t values, weights;
        uint32_t block;
    } known[] = {{dnnl_nChw8c, dnnl_OIhw8i8o, 8}, {dnnl_nChw16c, dnnl_OIhw16i16o, 16}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (lies_as(dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0), known[i].values) &&
            lies_as(dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0), known[i].values) &&
            lies_as(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), known[i].weights))
            return known[i].block;
    return 0;
}

static int build_winograd(struct builder *b, uint32_t index, const_dnnl_primitive_desc_t pd, uint32_t block)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index), source = b->value_block[op->inputs[0]], target, add;
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    dnnl_format_tag_t tag = block == 8 ? dnnl_nChw8c : dnnl_nChw16c;
    const dnnl_memory_desc_t source_desc = onednn_desc(b, op->inputs[0], tag), target_desc = onednn_desc(b, value, tag);
    b->done[index] = true;
    enum onednn_activation first = take_loop_activation(b, &value), last = ONEDNN_NONE;
    uint32_t residual = find_residual(b, value, source, &add);
    if (residual != NONE) {
        b->done[add] = true;
        value = model_op_value(b->model, add);
        last = take_loop_activation(b, &value);
    }
    source = onednn_in_layout(b, source, &source_desc);
    target = residual == NONE ? onednn_add_block(b, &target_desc) : onednn_in_layout(b, b->value_block[residual], &target_desc);
    const dnnl_memory_desc_t split_desc = all_parts(dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    const dnnl_memory_desc_t products_desc = all_parts(dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0));
    const dnnl_memory_desc_t weight_desc = all_parts(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    uint32_t split = onednn_add_block(b, &split_desc), products = onednn_add_block(b, &products_desc);
    if (source == NONE || target == NONE || split == NONE || products == NONE)
        return b->err->code;
    b->value_block[value] = target;

    float *parts, *bias;
    const float *weights = onednn_tensor(b, 0, op->tensors[0]);
    dnnl_memory_t weight = weights ? onednn_empty_constant(b, &weight_desc, &parts) : NULL;
    if (!weight)
        return b->err->code;
    onednn_winograd_weights(weights, out.c, in.c, block, parts, (size_t)weight_desc.format_desc.blocking.strides[0]);
    const struct arg before[] = {{0, source, NULL}, {0, split, NULL}};
    const struct arg between[] = {
        {DNNL_ARG_SRC, split, NULL}, {DNNL_ARG_DST, products, NULL}, {DNNL_ARG_WEIGHTS, NONE, weight}};
    const struct arg behind[] = {{0, products, NULL}, {0, target, NULL}, {0, target, NULL}};
    if (onednn_add_loop(
            b, onednn_winograd_split(op, b->net->tile, in, out, block, (size_t)split_desc.format_desc.blocking.strides[0]),
            before, 2)) {
        dnnl_memory_destroy(weight);
        return b->err->code;
    }
    if (onednn_add_parted_step(b, pd, between, 3, WINOGRAD_PARTS))
        return b->err->code;
    if (!(bias = onednn_tensor(b, 0, op->tensors[1])))
        return b->err->code;
    struct loop *join =
        onednn_winograd_join(b->net->tile, out, block, (size_t)products_desc.format_desc.blocking.strides[0], bias);
    if (join) {
        join->residual = residual != NONE;
        join->first = first;
        join->last = last;
    }
    return onednn_add_loop(b, join, behind, residual != NONE ? 3 : 2);
}

/* Sets `*built` if it suits the op, and oneDNN would multiply in blocks of channels. */
static int try_winograd(struct builder *b, uint32_t index, bool *built)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, model_op_value(b->model, index));
    dnnl_primitive_desc_t pd = NULL;
    *built = false;
    if (!onednn_winograd_suits(op, in, out))
        return 0;
    dnnl_status_t status = plan_product(b, in, out, &pd);
    if (status)
        return onednn_failed(status, "planning a convolution's products", b->err);
    const dnnl_memory_desc_t *source = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *target = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    uint32_t block = block_of_product(pd);
    int code = 0;
    if (block && in.c % block == 0 && out.c % block == 0 && WINOGRAD_PARTS * onednn_part_bytes(source) <= WINOGRAD_BYTES &&
        WINOGRAD_PARTS * onednn_part_bytes(target) <= WINOGRAD_BYTES &&
        WINOGRAD_PARTS * onednn_part_bytes(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)) <=
            WINOGRAD_WEIGHT_BYTES) {
        *built = true;
        code = build_winograd(b, index, pd, block);
    }
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* ------------------------------------------------------------ special cases */

/* True for a convolution that is w * x + b: blocks of channels would hold one each. */
static bool is_affine(const struct bgd_format_op *op, struct shape in, struct shape out)
{
    const struct bgd_window *w = &op->window;
    return in.c == 1 && out.c == 1 && w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
           in.h == out.h && in.w == out.w;
}

static int build_affine(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    const dnnl_memory_desc_t dense = onednn_desc(b, value, dnnl_nchw);
    float weight, bias;
    model_read_tensor(b->model, op->tensors[0], &weight);
    model_read_tensor(b->model, op->tensors[1], &bias);
    b->done[index] = true;

    dnnl_primitive_attr_t attr = onednn_attr(); /* without post-ops, with which oneDNN has only a plain loop */
    dnnl_primitive_desc_t pd = NULL;
    dnnl_eltwise_desc_t desc;
    dnnl_status_t status =
        attr ? dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, dnnl_eltwise_linear, &dense, weight, bias)
             : dnnl_out_of_memory;
    if (!status)
        status = dnnl_primitive_desc_create(&pd, &desc, attr, b->net->engine, NULL);
    int code = status ? onednn_failed(status, "planning a convolution of one channel", b->err) : 0;
    const struct arg args[] = {{DNNL_ARG_SRC, onednn_in_layout(b, b->value_block[op->inputs[0]], &dense), NULL},
                               {DNNL_ARG_DST, onednn_add_block(b, &dense), NULL}};
    b->value_block[value] = args[1].block;
    if (!code)
        code = args[0].block == NONE || args[1].block == NONE ? b->err->code : onednn_add_step(b, pd, args, 2);
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return code;
}

/* True for a convolution of each channel by itself that oneDNN's compiled kernel for AVX2 refuses. */
static bool is_wide_depthwise(const struct bgd_format_op *op, struct shape in, struct shape out)
{
    return op->groups == in.c && in.c == out.c && in.c > 1 && op->window.pad_left > 3;
}

static int build_depthwise(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t value = model_op_value(b->model, index);
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, value);
    const dnnl_memory_desc_t source_desc = onednn_desc(b, op->inputs[0], dnnl_nChw8c),
                             target_desc = onednn_desc(b, value, dnnl_nChw8c);
    b->done[index] = true;
    const float *weights = onednn_tensor(b, 0, op->tensors[0]), *bias = onednn_tensor(b, 1, op->tensors[1]);
    if (!weights || !bias)
        return b->err->code;
    struct loop *loop = onednn_depthwise_create(op, in, out, 8, weights, bias);
    if (loop)
        loop->first = take_loop_activation(b, &value);
    const struct arg args[] = {{0, onednn_in_layout(b, b->value_block[op->inputs[0]], &source_desc), NULL},
                               {0, onednn_add_block(b, &target_desc), NULL}};
    if (args[0].block == NONE || args[1].block == NONE) {
        onednn_loop_destroy(loop);
        return b->err->code;
    }
    b->value_block[value] = args[1].block;
    return onednn_add_loop(b, loop, args, 2);
}

int onednn_build_conv(struct builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, model_op_value(b->model, index));
    bool built = false;
    if (is_affine(op, in, out))
        return build_affine(b, index);
    if (is_wide_depthwise(op, in, out))
        return build_depthwise(b, index);
    int code = try_winograd(b, index, &built);
    return code || built ? code : build_direct(b, index);
}
