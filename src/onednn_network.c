#include "onednn.h"

#include "err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A tile wants to be wide, since weights are read once for all its pictures, and narrow, since its values should stay in the
 * cache. ResNet-18 and 50 at 60x80, images/s on one core of a Zen 5: tile 4 and 8 are 10 % and 3 % slower than 16. */
#define TILE_MAX 16u
#define TILE_BYTES (10u << 20) /* of the largest value of a tile */

int onednn_failed(dnnl_status_t status, const char *what, struct bgd_err *err)
{
    return err_set(err, status == dnnl_out_of_memory ? BGD_MEMORY : BGD_DEVICE, "oneDNN: %s failed with status %d", what,
                   (int)status);
}

dnnl_memory_desc_t onednn_desc(const struct builder *b, uint32_t value, dnnl_format_tag_t tag)
{
    struct shape s = model_shape(b->model, value);
    const dnnl_dims_t dims = {b->net->tile, s.c, s.h, s.w};
    dnnl_memory_desc_t desc;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&desc, 4, dims, dnnl_f32, tag);
    assert(!status && "shapes are checked");
    (void)status;
    return desc;
}

uint32_t onednn_add_block(struct builder *b, const dnnl_memory_desc_t *desc)
{
    struct network *net = b->net;
    assert(net->n_blocks < net->capacity);
    size_t bytes = dnnl_memory_desc_get_size(desc);
    if (bytes > INT32_MAX) { /* offsets of compiled loops have 32 bits in places */
        err_set(b->err, BGD_MEMORY, "a value of %zu bytes, oneDNN is given at most %d", bytes, INT32_MAX);
        return NONE;
    }
    net->blocks[net->n_blocks].desc = *desc;
    net->blocks[net->n_blocks].span = (struct span){.bytes = bytes, .first = NONE};
    return net->n_blocks++;
}

/* A new step over these blocks, which live at least until then. */
static struct step *append(struct network *net, const struct arg *args, uint32_t n_args)
{
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
    return step;
}

static void need_scratchpad(struct network *net, size_t bytes)
{
    if (bytes > net->scratchpad_bytes)
        net->scratchpad_bytes = bytes;
}

int onednn_add_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args)
{
    return onednn_add_parted_step(b, pd, args, n_args, 1);
}

size_t onednn_part_bytes(const dnnl_memory_desc_t *part)
{
    return (dnnl_memory_desc_get_size(part) + 4095) / 4096 * 4096 + 64;
}

int onednn_add_parted_step(struct builder *b, const_dnnl_primitive_desc_t pd, const struct arg *args, uint32_t n_args,
                           uint32_t parts)
{
    struct step *step = append(b->net, args, n_args);
    step->parts = parts;
    need_scratchpad(b->net, dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)));
    dnnl_status_t status = dnnl_primitive_create(&step->primitive, pd);
    return status ? onednn_failed(status, "creating a primitive", b->err) : 0;
}

int onednn_add_loop(struct builder *b, struct loop *loop, const struct arg *args, uint32_t n_args)
{
    if (!loop)
        return err_set(b->err, BGD_MEMORY, "out of memory");
    append(b->net, args, n_args)->loop = loop;
    need_scratchpad(b->net, loop->scratch_bytes);
    return 0;
}

dnnl_primitive_attr_t onednn_attr(void)
{
    dnnl_primitive_attr_t attr = NULL;
    if (dnnl_primitive_attr_create(&attr) == dnnl_success)
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

int onednn_add_reorder(struct builder *b, uint32_t from, uint32_t to)
{
    const struct block *blocks = b->net->blocks;
    dnnl_primitive_attr_t attr = onednn_attr();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = attr ? dnnl_reorder_primitive_desc_create(&pd, &blocks[from].desc, b->net->engine, &blocks[to].desc,
                                                                     b->net->engine, attr)
                                : dnnl_out_of_memory;
    const struct arg args[] = {{DNNL_ARG_FROM, from, NULL}, {DNNL_ARG_TO, to, NULL}};
    int code = status ? onednn_failed(status, "planning a reorder", b->err) : onednn_add_step(b, pd, args, 2);
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return code;
}

uint32_t onednn_in_layout(struct builder *b, uint32_t from, const dnnl_memory_desc_t *desc)
{
    if (dnnl_memory_desc_equal(&b->net->blocks[from].desc, desc))
        return from;
    uint32_t to = onednn_add_block(b, desc);
    return to == NONE || onednn_add_reorder(b, from, to) ? NONE : to;
}

static float *room(struct builder *b, uint32_t i, size_t count)
{
    if (b->rooms[i].count < count) {
        free(b->rooms[i].floats);
        b->rooms[i].floats = malloc(count * sizeof *b->rooms[i].floats);
        b->rooms[i].count = b->rooms[i].floats ? count : 0;
        if (!b->rooms[i].floats)
            err_set(b->err, BGD_MEMORY, "out of memory for weights");
    }
    return b->rooms[i].floats;
}

float *onednn_tensor(struct builder *b, uint32_t i, uint32_t tensor)
{
    float *values = room(b, i, (size_t)model_tensor_count(&b->model->tensors[tensor]));
    if (values)
        model_read_tensor(b->model, tensor, values);
    return values;
}

dnnl_memory_t onednn_empty_constant(struct builder *b, const dnnl_memory_desc_t *desc, float **values)
{
    dnnl_memory_t memory = NULL;
    void *handle = NULL;
    dnnl_status_t status = dnnl_memory_create(&memory, desc, b->net->engine, DNNL_MEMORY_ALLOCATE);
    if (!status)
        status = dnnl_memory_get_data_handle(memory, &handle);
    *values = handle;
    if (!status)
        return memory;
    onednn_failed(status, "making room for weights", b->err);
    dnnl_memory_destroy(memory);
    return NULL;
}

dnnl_memory_t onednn_constant(struct builder *b, uint32_t tensor, int ndims, const dnnl_dims_t dims, dnnl_format_tag_t tag,
                              const dnnl_memory_desc_t *desc)
{
    float *values = onednn_tensor(b, 0, tensor);
    dnnl_memory_desc_t plain;
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status;
    if (!values)
        return NULL;
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
done:
    if (status) {
        onednn_failed(status, "laying out weights", b->err);
        dnnl_memory_destroy(target);
        target = NULL;
    }
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_stream_destroy(stream);
    dnnl_memory_destroy(source);
    return target;
}

/* Builds op i, and writes down for it whatever that has added: steps, and ops that are done. */
static int build_op(struct builder *b, uint32_t i)
{
    struct network *net = b->net;
    uint32_t first = net->n_steps;
    if (onednn_build_op(b, i))
        return err_prefix(b->err, "op %s: ", b->model->values[model_op_value(b->model, i)].name);
    for (uint32_t k = first; k < net->n_steps; k++)
        net->steps[k].leader = i;
    for (uint32_t k = i; k < b->model->header->n_ops; k++)
        if (b->done[k] && net->leaders[k] == NONE)
            net->leaders[k] = i;
    return 0;
}

static int build_steps(struct builder *b)
{
    const struct bgd_format_header *h = b->model->header;
    struct network *net = b->net;
    for (uint32_t i = 0; i < h->n_inputs; i++) {
        const dnnl_memory_desc_t desc = onednn_desc(b, i, dnnl_nchw);
        b->value_block[i] = net->inputs[i] = onednn_add_block(b, &desc);
        if (net->inputs[i] == NONE)
            return b->err->code;
    }
    for (uint32_t i = 0; i < h->n_ops; i++)
        if (!b->done[i] && build_op(b, i))
            return b->err->code;
    for (uint32_t i = 0; i < h->n_outputs; i++) { /* each output gets a dense copy of its own, outside of the arena */
        const dnnl_memory_desc_t desc = onednn_desc(b, h->outputs[i], dnnl_nchw);
        net->outputs[i] = onednn_add_block(b, &desc);
        if (net->outputs[i] == NONE || onednn_add_reorder(b, b->value_block[h->outputs[i]], net->outputs[i]))
            return b->err->code;
        net->steps[net->n_steps - 1].leader = h->outputs[i] < h->n_inputs ? NONE : net->leaders[h->outputs[i] - h->n_inputs];
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

uint32_t onednn_tile(const struct bgd_model *model)
{
    uint64_t largest = 1;
    for (uint32_t i = 0; i < model->header->n_values; i++)
        if (shape_size(model_shape(model, i)) > largest)
            largest = shape_size(model_shape(model, i));
    /* A power of two, so that the batch that suits one network of a pipeline is whole tiles of the other, too. */
    uint32_t tile = TILE_MAX;
    while (tile > 1 && tile * largest * sizeof(float) > TILE_BYTES)
        tile /= 2;
    return tile;
}

int onednn_network_create(dnnl_engine_t engine, const struct bgd_model *model, struct network **out, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct builder b = {.model = model, .err = err};
    int code = BGD_MEMORY;
    *out = NULL;
    b.net = calloc(1, sizeof *b.net);
    b.value_block = calloc(h->n_values, sizeof *b.value_block);
    b.done = calloc(h->n_ops, sizeof *b.done);
    if (!b.net || !b.value_block || !b.done || uses_build(model, &b.uses, err))
        goto out_of_memory;
    /* An op is at most three steps, a reorder of each input and one of a residual; an output is one step; so for blocks. */
    b.net->capacity = 4 * h->n_ops + h->n_inputs + h->n_outputs;
    for (uint32_t i = 0; i < h->n_ops; i++)
        b.net->capacity += model->ops[i].n_inputs;
    b.net->steps = calloc(b.net->capacity, sizeof *b.net->steps);
    b.net->blocks = calloc(b.net->capacity, sizeof *b.net->blocks);
    b.net->leaders = malloc(h->n_ops * sizeof *b.net->leaders);
    if (!b.net->steps || !b.net->blocks || !b.net->leaders)
        goto out_of_memory;
    for (uint32_t i = 0; i < h->n_ops; i++)
        b.net->leaders[i] = NONE;
    b.net->model = model;
    b.net->engine = engine;
    b.net->tile = onednn_tile(model);
    for (uint32_t i = 0; i < h->n_values; i++)
        b.value_block[i] = NONE;
    code = build_steps(&b);
    if (!code)
        code = place_blocks(b.net, err);
    goto done;
out_of_memory:
    err_set(err, BGD_MEMORY, "out of memory");
done:
    if (code)
        onednn_network_destroy(b.net);
    else
        *out = b.net;
    free(b.value_block);
    uses_free(&b.uses);
    free(b.done);
    for (uint32_t i = 0; i < ONEDNN_ROOMS; i++)
        free(b.rooms[i].floats);
    return code;
}

void onednn_network_destroy(struct network *net)
{
    if (!net)
        return;
    for (uint32_t i = 0; i < net->n_steps; i++) {
        dnnl_primitive_destroy(net->steps[i].primitive);
        onednn_loop_destroy(net->steps[i].loop);
        for (uint32_t k = 0; k < net->steps[i].n_args; k++)
            dnnl_memory_destroy(net->steps[i].args[k].constant);
    }
    free(net->steps);
    free(net->leaders);
    free(net->blocks);
    free(net);
}
