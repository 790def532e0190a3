#include "graph.h"

#include "../err.h"
#include "../file.h"
#include "../half.h"
#include "../hash.h"
#include "../model.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph {
    struct bgd_format_value *values;
    struct bgd_format_tensor *tensors;
    float **data; /* one per tensor */
    struct bgd_format_op *ops;
    uint32_t n_values, n_tensors, n_ops, n_inputs, n_outputs;
    uint32_t outputs[BGD_FORMAT_OUTPUTS_MAX];
    struct bgd_err err; /* the first error */
};

int graph_open(struct graph **graph, struct bgd_err *err)
{
    *graph = calloc(1, sizeof **graph);
    if (*graph) {
        (*graph)->values = calloc(BGD_FORMAT_VALUES_MAX, sizeof *(*graph)->values);
        (*graph)->tensors = calloc(BGD_FORMAT_TENSORS_MAX, sizeof *(*graph)->tensors);
        (*graph)->data = calloc(BGD_FORMAT_TENSORS_MAX, sizeof *(*graph)->data);
        (*graph)->ops = calloc(BGD_FORMAT_VALUES_MAX, sizeof *(*graph)->ops);
        if ((*graph)->values && (*graph)->tensors && (*graph)->data && (*graph)->ops)
            return 0;
    }
    graph_close(*graph);
    *graph = NULL;
    return err_set(err, BGD_MEMORY, "out of memory");
}

void graph_close(struct graph *graph)
{
    if (!graph)
        return;
    for (uint32_t i = 0; i < graph->n_tensors; i++)
        free(graph->data[i]);
    free(graph->values);
    free(graph->tensors);
    free(graph->data);
    free(graph->ops);
    free(graph);
}

void graph_fail(struct graph *graph, enum bgd_code code, const char *format, ...)
{
    if (graph->err.code)
        return;
    char text[sizeof graph->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err_set(&graph->err, code, "%s", text);
}

int graph_error(const struct graph *graph, struct bgd_err *err)
{
    if (graph->err.code)
        *err = graph->err;
    return graph->err.code;
}

static uint32_t add_value(struct graph *graph, const char *name, struct shape shape)
{
    if (graph->n_values == BGD_FORMAT_VALUES_MAX)
        graph_fail(graph, BGD_LIMIT, "more than %u values", BGD_FORMAT_VALUES_MAX);
    if (strlen(name) >= BGD_FORMAT_NAME)
        graph_fail(graph, BGD_LIMIT, "the name \"%s\" is longer than %u bytes", name, BGD_FORMAT_NAME - 1);
    if (shape.c < 1 || shape.h < 1 || shape.w < 1 || shape.c > BGD_FORMAT_SIDE_MAX || shape.h > BGD_FORMAT_SIDE_MAX ||
        shape.w > BGD_FORMAT_SIDE_MAX)
        graph_fail(graph, BGD_LIMIT, "value %s has the shape (%u, %u, %u), expected sides of 1..%u", name, shape.c, shape.h,
                   shape.w, BGD_FORMAT_SIDE_MAX);
    if (graph->err.code)
        return 0;
    struct bgd_format_value *value = &graph->values[graph->n_values];
    memcpy(value->name, name, strlen(name));
    value->c = shape.c;
    value->h = shape.h;
    value->w = shape.w;
    return graph->n_values++;
}

uint32_t graph_input(struct graph *graph, const char *name, struct shape shape)
{
    assert(graph->n_ops == 0 && "inputs come before ops");
    uint32_t value = add_value(graph, name, shape);
    if (!graph->err.code)
        graph->n_inputs++;
    return value;
}

/* Adds NAME.SUFFIX with a copy of `data`; the shape is `dims`, up to the first 0. */
static uint32_t add_tensor(struct graph *graph, const char *name, const char *suffix, const uint32_t dims[4], const float *data)
{
    if (graph->n_tensors == BGD_FORMAT_TENSORS_MAX)
        graph_fail(graph, BGD_LIMIT, "more than %u tensors", BGD_FORMAT_TENSORS_MAX);
    if (graph->err.code)
        return 0;
    struct bgd_format_tensor *tensor = &graph->tensors[graph->n_tensors];
    int length = snprintf(tensor->name, sizeof tensor->name, "%s.%s", name, suffix);
    if (length < 0 || (size_t)length >= sizeof tensor->name) {
        graph_fail(graph, BGD_LIMIT, "the name \"%s.%s\" is longer than %u bytes", name, suffix, BGD_FORMAT_NAME - 1);
        return 0;
    }
    size_t count = 1;
    for (tensor->ndim = 0; tensor->ndim < 4 && dims[tensor->ndim]; tensor->ndim++) {
        tensor->dims[tensor->ndim] = dims[tensor->ndim];
        count *= dims[tensor->ndim];
    }
    float *copy = malloc(count * sizeof *copy);
    if (!copy) {
        graph_fail(graph, BGD_MEMORY, "out of memory for tensor %s", tensor->name);
        return 0;
    }
    memcpy(copy, data, count * sizeof *copy);
    graph->data[graph->n_tensors] = copy;
    return graph->n_tensors++;
}

static uint32_t add_op(struct graph *graph, const char *name, const struct bgd_format_op *op)
{
    struct shape inputs[8], out;
    const struct bgd_format_tensor *tensors[3] = {0};
    if (graph->err.code)
        return 0;
    for (uint32_t i = 0; i < op->n_inputs; i++)
        inputs[i] = graph_shape(graph, op->inputs[i]);
    for (uint32_t i = 0; i < op->n_tensors; i++)
        tensors[i] = &graph->tensors[op->tensors[i]];
    struct bgd_err err;
    if (op_shape(op, inputs, tensors, &out, &err)) {
        graph_fail(graph, BGD_ARGUMENT, "op %s: %s", name, err.text);
        return 0;
    }
    uint32_t value = add_value(graph, name, out);
    if (!graph->err.code)
        graph->ops[graph->n_ops++] = *op;
    return value;
}

uint32_t graph_conv(struct graph *graph, const char *name, uint32_t x, uint32_t out, struct bgd_window window, uint32_t groups,
                    const float *weight, const float *bias)
{
    if (groups == 0 || out == 0)
        graph_fail(graph, BGD_ARGUMENT, "op %s: %u outputs in %u groups", name, out, groups);
    if (graph->err.code)
        return 0;
    const uint32_t weight_dims[4] = {out, graph_shape(graph, x).c / groups, window.kernel_h, window.kernel_w};
    const uint32_t bias_dims[4] = {out};
    struct bgd_format_op op = {
        .code = BGD_OP_CONV, .n_inputs = 1, .inputs = {x}, .n_tensors = 2, .window = window, .groups = groups};
    op.tensors[0] = add_tensor(graph, name, "weight", weight_dims, weight);
    op.tensors[1] = add_tensor(graph, name, "bias", bias_dims, bias);
    return add_op(graph, name, &op);
}

uint32_t graph_dense(struct graph *graph, const char *name, uint32_t x, uint32_t out, const float *weight, const float *bias)
{
    if (graph->err.code)
        return 0;
    const uint32_t weight_dims[4] = {out, (uint32_t)shape_size(graph_shape(graph, x))}, bias_dims[4] = {out};
    struct bgd_format_op op = {.code = BGD_OP_DENSE, .n_inputs = 1, .inputs = {x}, .n_tensors = 2};
    op.tensors[0] = add_tensor(graph, name, "weight", weight_dims, weight);
    op.tensors[1] = add_tensor(graph, name, "bias", bias_dims, bias);
    return add_op(graph, name, &op);
}

uint32_t graph_max_pool(struct graph *graph, const char *name, uint32_t x, struct bgd_window window)
{
    const struct bgd_format_op op = {.code = BGD_OP_MAX_POOL, .n_inputs = 1, .inputs = {x}, .window = window};
    return add_op(graph, name, &op);
}

uint32_t graph_op(struct graph *graph, enum bgd_op code, const char *name, uint32_t x, uint32_t y)
{
    struct bgd_format_op op = {.code = code, .n_inputs = op_info(code)->n_inputs, .inputs = {x}};
    if (op.n_inputs > 1)
        op.inputs[1] = y;
    return add_op(graph, name, &op);
}

uint32_t graph_op_n(struct graph *graph, enum bgd_op code, const char *name, const uint32_t *values, uint32_t n)
{
    struct bgd_format_op op = {.code = code, .n_inputs = n};
    assert(n <= sizeof op.inputs / sizeof op.inputs[0]);
    memcpy(op.inputs, values, n * sizeof *values);
    return add_op(graph, name, &op);
}

uint32_t graph_op_with(struct graph *graph, enum bgd_op code, const char *name, uint32_t x, float parameter)
{
    const struct bgd_format_op op = {.code = code, .n_inputs = 1, .inputs = {x}, .parameter = parameter};
    return add_op(graph, name, &op);
}

uint32_t graph_upsample(struct graph *graph, const char *name, uint32_t x, uint32_t scale, bool align_corners)
{
    const struct bgd_format_op op = {
        .code = BGD_OP_UPSAMPLE, .n_inputs = 1, .inputs = {x}, .scale = scale, .align_corners = align_corners};
    return add_op(graph, name, &op);
}

uint32_t graph_adaptive_mean(struct graph *graph, const char *name, uint32_t x, uint32_t height, uint32_t width)
{
    const struct bgd_format_op op = {.code = BGD_OP_ADAPTIVE_MEAN, .n_inputs = 1, .inputs = {x}, .size = {height, width}};
    return add_op(graph, name, &op);
}

uint32_t graph_lrn(struct graph *graph, const char *name, uint32_t x, uint32_t channels, float alpha, float beta, float k)
{
    const struct bgd_format_op op = {
        .code = BGD_OP_LRN, .n_inputs = 1, .inputs = {x}, .parameter = alpha, .size = {channels}, .beta = beta, .k = k};
    return add_op(graph, name, &op);
}

void graph_output(struct graph *graph, uint32_t value)
{
    if (graph->n_outputs == BGD_FORMAT_OUTPUTS_MAX)
        graph_fail(graph, BGD_LIMIT, "more than %u outputs", BGD_FORMAT_OUTPUTS_MAX);
    if (!graph->err.code)
        graph->outputs[graph->n_outputs++] = value;
}

struct shape graph_shape(const struct graph *graph, uint32_t value)
{
    const struct bgd_format_value *v = &graph->values[value];
    return (struct shape){v->c, v->h, v->w};
}

struct bgd_window graph_window(uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return (struct bgd_window){.kernel_h = kernel,
                               .kernel_w = kernel,
                               .stride_h = stride,
                               .stride_w = stride,
                               .pad_top = pad,
                               .pad_left = pad,
                               .pad_bottom = pad,
                               .pad_right = pad,
                               .dilation_h = 1,
                               .dilation_w = 1};
}

/* ------------------------------------------------------------ the file */

static uint64_t tensor_count(const struct bgd_format_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->ndim; i++)
        count *= tensor->dims[i];
    return count;
}

/* Gives every tensor its place and size, from the end of the tables on; returns the file's size. */
static uint64_t place_tensors(struct graph *graph, enum bgd_dtype dtype, uint64_t end)
{
    for (uint32_t i = 0; i < graph->n_tensors; i++) {
        struct bgd_format_tensor *tensor = &graph->tensors[i];
        tensor->dtype = dtype;
        tensor->bytes = tensor_count(tensor) * (dtype == BGD_F32 ? 4 : 2);
        tensor->offset = (end + BGD_FORMAT_ALIGN - 1) / BGD_FORMAT_ALIGN * BGD_FORMAT_ALIGN;
        end = tensor->offset + tensor->bytes;
    }
    return end;
}

static int encode_tensor(const struct bgd_format_tensor *tensor, const float *data, uint8_t *out, struct bgd_err *err)
{
    uint64_t count = tensor_count(tensor);
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(data[i]) || (tensor->dtype == BGD_F16 && fabsf(data[i]) >= 65520.0f))
            return err_set(err, BGD_ARGUMENT, "tensor %s: element %llu is %g, which %s cannot hold", tensor->name,
                           (unsigned long long)i, (double)data[i],
                           tensor->dtype == BGD_F16 ? "f16 (use --dtype f32)" : "a model");
    if (tensor->dtype == BGD_F32) {
        memcpy(out, data, (size_t)tensor->bytes);
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half = half_from_float(data[i]);
        memcpy(out + 2 * i, &half, sizeof half);
    }
    return 0;
}

static uint8_t *append(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

/* The reader knows every rule of the format, so it judges what is written: names twice, labels, a mean that is not finite. */
static int check_file(const uint8_t *file, size_t size, struct bgd_err *err)
{
    struct bgd_model *model;
    if (model_parse(file, size, &model, err)) {
        err->code = BGD_ARGUMENT;
        return err_prefix(err, "this would be no valid model file: ");
    }
    bgd_model_close(model);
    return 0;
}

int graph_encode(struct graph *graph, const struct meta *meta, enum bgd_dtype weights, uint8_t **bytes, size_t *size,
                 struct bgd_err *err)
{
    *bytes = NULL;
    *size = 0;
    if (graph_error(graph, err))
        return err->code;
    char *json = meta_print(meta);
    if (!json)
        return err_set(err, BGD_MEMORY, "out of memory");
    struct bgd_format_header header = {.magic = {'b', 'g', 'd', 'm', 'o', 'd', 'e', 'l'},
                                       .version = BGD_FORMAT_VERSION,
                                       .header_bytes = sizeof header,
                                       .meta_bytes = strlen(json),
                                       .n_values = graph->n_values,
                                       .n_tensors = graph->n_tensors,
                                       .n_ops = graph->n_ops,
                                       .n_inputs = graph->n_inputs,
                                       .n_outputs = graph->n_outputs};
    memcpy(header.outputs, graph->outputs, sizeof header.outputs);
    size_t tables = sizeof header + graph->n_values * sizeof *graph->values + graph->n_tensors * sizeof *graph->tensors +
                    graph->n_ops * sizeof *graph->ops + header.meta_bytes;
    header.file_bytes = place_tensors(graph, weights, tables);
    uint8_t *file = calloc(1, (size_t)header.file_bytes), *at = file;
    if (!file) {
        err_set(err, BGD_MEMORY, "out of memory");
        goto fail;
    }
    at = append(at, &header, sizeof header);
    at = append(at, graph->values, graph->n_values * sizeof *graph->values);
    at = append(at, graph->tensors, graph->n_tensors * sizeof *graph->tensors);
    at = append(at, graph->ops, graph->n_ops * sizeof *graph->ops);
    append(at, json, (size_t)header.meta_bytes);
    for (uint32_t i = 0; i < graph->n_tensors; i++)
        if (encode_tensor(&graph->tensors[i], graph->data[i], file + graph->tensors[i].offset, err))
            goto fail;
    size_t hashed_from = offsetof(struct bgd_format_header, file_bytes);
    hash_bytes(file + hashed_from, (size_t)header.file_bytes - hashed_from, file + offsetof(struct bgd_format_header, hash));
    if (check_file(file, (size_t)header.file_bytes, err))
        goto fail;
    free(json);
    *bytes = file;
    *size = (size_t)header.file_bytes;
    return 0;
fail:
    free(json);
    free(file);
    return err->code;
}

int graph_write(struct graph *graph, const struct meta *meta, enum bgd_dtype weights, const char *path, struct bgd_err *err)
{
    uint8_t *bytes;
    size_t size;
    if (graph_encode(graph, meta, weights, &bytes, &size, err))
        return err->code;
    int code = file_write(path, bytes, size, err);
    free(bytes);
    return code;
}
