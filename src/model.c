#include "model.h"

#include "bytes.h"
#include "err.h"
#include "file.h"
#include "half.h"

#include <stdlib.h>

_Static_assert(sizeof(struct bgd_format_header) == 128, "the header is 128 bytes on disk");
_Static_assert(sizeof(struct bgd_format_value) == 80, "a value is 80 bytes on disk");
_Static_assert(sizeof(struct bgd_format_tensor) == 104, "a tensor is 104 bytes on disk");
_Static_assert(sizeof(struct bgd_format_op) == 128, "an op is 128 bytes on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is used as it is: little-endian hosts only");

#define HASHED_FROM 32u /* the hash covers every byte from here on */

static bool all_zero(const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        if (p[i])
            return false;
    return true;
}

/* A name: printable ASCII, NUL-terminated inside its field, zeros after it. */
static bool name_is_valid(const char name[BGD_FORMAT_NAME])
{
    size_t length = strnlen(name, BGD_FORMAT_NAME);
    if (length == 0 || length == BGD_FORMAT_NAME || !all_zero(name + length, BGD_FORMAT_NAME - length))
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] < 0x21 || name[i] > 0x7e)
            return false;
    return true;
}

static int check_header(struct bgd_model *model, struct bgd_err *err)
{
    if (model->size < sizeof *model->header)
        return err_set(err, BGD_DAMAGED, "%zu bytes, shorter than a model file's header of %zu", model->size,
                       sizeof *model->header);
    const struct bgd_format_header *h = model->header;
    if (memcmp(h->magic, BGD_FORMAT_MAGIC, sizeof h->magic) != 0)
        return err_set(err, BGD_UNKNOWN, "not a model file: it does not begin with \"%s\"", BGD_FORMAT_MAGIC);
    if (h->version != BGD_FORMAT_VERSION)
        return err_set(err, BGD_UNSUPPORTED, "format version %u, this program reads %u", h->version, BGD_FORMAT_VERSION);
    if (h->header_bytes != sizeof *h)
        return err_set(err, BGD_DAMAGED, "header of %u bytes, expected %zu", h->header_bytes, sizeof *h);
    if (h->file_bytes != model->size)
        return err_set(err, BGD_DAMAGED, "%zu bytes, the header says %llu: the file is %s", model->size,
                       (unsigned long long)h->file_bytes, model->size < h->file_bytes ? "cut short" : "too long");
    uint8_t hash[HASH_BYTES];
    hash_bytes(model->bytes + HASHED_FROM, model->size - HASHED_FROM, hash);
    if (memcmp(hash, h->hash, sizeof hash) != 0)
        return err_set(err, BGD_DAMAGED, "the hash does not match the content: the file was changed or damaged");

    if (h->n_values < 1 || h->n_values > BGD_FORMAT_VALUES_MAX || h->n_tensors > BGD_FORMAT_TENSORS_MAX)
        return err_set(err, BGD_LIMIT, "%u values and %u tensors, expected 1..%u and at most %u", h->n_values, h->n_tensors,
                       BGD_FORMAT_VALUES_MAX, BGD_FORMAT_TENSORS_MAX);
    if (h->n_inputs < 1 || h->n_inputs > BGD_FORMAT_INPUTS_MAX || h->n_ops < 1 ||
        (uint64_t)h->n_inputs + h->n_ops != h->n_values)
        return err_set(err, BGD_DAMAGED, "%u inputs and %u ops do not make %u values", h->n_inputs, h->n_ops, h->n_values);
    if (h->n_outputs < 1 || h->n_outputs > BGD_FORMAT_OUTPUTS_MAX)
        return err_set(err, BGD_DAMAGED, "%u outputs, expected 1..%u", h->n_outputs, BGD_FORMAT_OUTPUTS_MAX);
    if (h->meta_bytes < 2 || h->meta_bytes > BGD_FORMAT_META_MAX)
        return err_set(err, BGD_LIMIT, "metadata of %llu bytes, expected 2..%u", (unsigned long long)h->meta_bytes,
                       BGD_FORMAT_META_MAX);
    if (!all_zero(h->reserved, sizeof h->reserved) ||
        !all_zero(h->outputs + h->n_outputs, (BGD_FORMAT_OUTPUTS_MAX - h->n_outputs) * sizeof h->outputs[0]))
        return err_set(err, BGD_DAMAGED, "unused header fields are not zero");
    for (uint32_t i = 0; i < h->n_outputs; i++)
        if (h->outputs[i] >= h->n_values)
            return err_set(err, BGD_DAMAGED, "output %u is value %u of %u", i, h->outputs[i], h->n_values);
    return 0;
}

/* Points the tables at their places; the counts are bounded, so the sums cannot overflow. */
static int find_tables(struct bgd_model *model, uint64_t *data_start, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct bytes cursor = bytes_of(model->bytes, model->size);
    const uint8_t *values, *tensors, *ops, *json;
    if (!bytes_skip(&cursor, sizeof *h) || !bytes_take(&cursor, (uint64_t)h->n_values * sizeof *model->values, &values) ||
        !bytes_take(&cursor, (uint64_t)h->n_tensors * sizeof *model->tensors, &tensors) ||
        !bytes_take(&cursor, (uint64_t)h->n_ops * sizeof *model->ops, &ops) || !bytes_take(&cursor, h->meta_bytes, &json))
        return err_set(err, BGD_DAMAGED, "%zu bytes cannot hold %u values, %u tensors, %u ops and their metadata", model->size,
                       h->n_values, h->n_tensors, h->n_ops);
    model->values = (const void *)values;
    model->tensors = (const void *)tensors;
    model->ops = (const void *)ops;
    model->meta_json = (const char *)json;
    *data_start = cursor.pos;
    return 0;
}

uint64_t model_tensor_count(const struct bgd_format_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->ndim; i++)
        count *= tensor->dims[i];
    return count;
}

static int check_tensor(const struct bgd_format_tensor *t, struct bgd_err *err)
{
    if (!name_is_valid(t->name))
        return err_set(err, BGD_DAMAGED, "the name is not 1..%u bytes of printable ASCII", BGD_FORMAT_NAME - 1);
    if (t->dtype != BGD_F32 && t->dtype != BGD_F16)
        return err_set(err, BGD_DAMAGED, "dtype %u, expected %d (f32) or %d (f16)", t->dtype, BGD_F32, BGD_F16);
    if (t->ndim < 1 || t->ndim > 4)
        return err_set(err, BGD_DAMAGED, "%u dimensions, expected 1..4", t->ndim);
    uint64_t bytes = t->dtype == BGD_F32 ? 4 : 2;
    for (uint32_t i = 0; i < 4; i++) {
        if (i < t->ndim ? t->dims[i] < 1 || !checked_mul(bytes, t->dims[i], &bytes) : t->dims[i] != 0)
            return err_set(err, BGD_DAMAGED, "dimension %u is %u", i, t->dims[i]);
    }
    if (bytes != t->bytes)
        return err_set(err, BGD_DAMAGED, "%llu bytes, its shape needs %llu", (unsigned long long)t->bytes,
                       (unsigned long long)bytes);
    return 0;
}

/* Tensors follow each other at multiples of 256 with zeros between, up to the file's last byte. */
static int check_tensors(const struct bgd_model *model, uint64_t end, struct bgd_err *err)
{
    for (uint32_t i = 0; i < model->header->n_tensors; i++) {
        const struct bgd_format_tensor *t = &model->tensors[i];
        if (check_tensor(t, err))
            return err_prefix(err, "tensor %u: ", i);
        uint64_t start = (end + BGD_FORMAT_ALIGN - 1) / BGD_FORMAT_ALIGN * BGD_FORMAT_ALIGN;
        if (t->offset != start || start > model->size || t->bytes > model->size - start)
            return err_set(err, BGD_DAMAGED, "tensor %u (%s): %llu bytes at %llu, expected at %llu inside %zu", i, t->name,
                           (unsigned long long)t->bytes, (unsigned long long)t->offset, (unsigned long long)start, model->size);
        if (!all_zero(model->bytes + end, (size_t)(start - end)))
            return err_set(err, BGD_DAMAGED, "tensor %u (%s): the gap before it is not zero", i, t->name);
        end = start + t->bytes;
    }
    if (end != model->size)
        return err_set(err, BGD_DAMAGED, "%zu bytes, the tensors end at %llu", model->size, (unsigned long long)end);
    return 0;
}

static int check_value(const struct bgd_format_value *v, struct bgd_err *err)
{
    if (!name_is_valid(v->name))
        return err_set(err, BGD_DAMAGED, "the name is not 1..%u bytes of printable ASCII", BGD_FORMAT_NAME - 1);
    if (v->c < 1 || v->h < 1 || v->w < 1 || v->c > BGD_FORMAT_SIDE_MAX || v->h > BGD_FORMAT_SIDE_MAX ||
        v->w > BGD_FORMAT_SIDE_MAX || (uint64_t)v->c * v->h * v->w > 1u << 30)
        return err_set(err, BGD_DAMAGED, "shape (%u, %u, %u), expected sides of 1..%u and at most 2^30 elements", v->c, v->h,
                       v->w, BGD_FORMAT_SIDE_MAX);
    if (v->reserved)
        return err_set(err, BGD_DAMAGED, "an unused field is not zero");
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `first` is the first of n names that stand `stride` bytes apart. */
static int check_names_differ(const char *first, size_t stride, uint32_t n, const char *what, struct bgd_err *err)
{
    const char **names = malloc((n + 1u) * sizeof *names);
    if (!names)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n; i++)
        names[i] = first + i * stride;
    qsort(names, n, sizeof *names, compare_names);
    int code = 0;
    for (uint32_t i = 1; i < n && !code; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            code = err_set(err, BGD_DAMAGED, "two %s are named \"%s\"", what, names[i]);
    free(names);
    return code;
}

static int check_op(const struct bgd_model *model, uint32_t index, bool *tensor_used, struct bgd_err *err)
{
    const struct bgd_format_op *op = &model->ops[index];
    uint32_t value = model_op_value(model, index);
    struct shape inputs[8] = {0}, out;
    const struct bgd_format_tensor *tensors[3] = {0};
    if (op->n_inputs > 8 || op->n_tensors > 3 ||
        !all_zero(op->inputs + op->n_inputs, (8 - op->n_inputs) * sizeof op->inputs[0]) ||
        !all_zero(op->tensors + op->n_tensors, (3 - op->n_tensors) * sizeof op->tensors[0]))
        return err_set(err, BGD_DAMAGED, "%u inputs, %u tensors, or unused fields that are not zero", op->n_inputs,
                       op->n_tensors);
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i] >= value)
            return err_set(err, BGD_DAMAGED, "reads value %u, which is not computed before it", op->inputs[i]);
        inputs[i] = model_shape(model, op->inputs[i]);
    }
    for (uint32_t i = 0; i < op->n_tensors; i++) {
        if (op->tensors[i] >= model->header->n_tensors)
            return err_set(err, BGD_DAMAGED, "reads tensor %u of %u", op->tensors[i], model->header->n_tensors);
        tensors[i] = &model->tensors[op->tensors[i]];
        tensor_used[op->tensors[i]] = true;
    }
    if (op_shape(op, inputs, tensors, &out, err))
        return err->code;
    struct shape stated = model_shape(model, value);
    if (memcmp(&out, &stated, sizeof out) != 0)
        return err_set(err, BGD_DAMAGED, "computes (%u, %u, %u), its value says (%u, %u, %u)", out.c, out.h, out.w, stated.c,
                       stated.h, stated.w);
    return 0;
}

static int check_graph(const struct bgd_model *model, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    for (uint32_t i = 0; i < h->n_values; i++)
        if (check_value(&model->values[i], err))
            return err_prefix(err, "value %u: ", i);
    if (check_names_differ(model->values[0].name, sizeof *model->values, h->n_values, "values", err) ||
        (h->n_tensors && check_names_differ(model->tensors[0].name, sizeof *model->tensors, h->n_tensors, "tensors", err)))
        return err->code;
    bool *tensor_used = calloc((size_t)h->n_tensors + 1, sizeof *tensor_used);
    if (!tensor_used)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = 0;
    for (uint32_t i = 0; i < h->n_ops && !code; i++)
        if ((code = check_op(model, i, tensor_used, err)))
            err_prefix(err, "op %u (%s): ", i, model->values[model_op_value(model, i)].name);
    for (uint32_t i = 0; i < h->n_tensors && !code; i++)
        if (!tensor_used[i])
            code = err_set(err, BGD_DAMAGED, "tensor %u (%s): no op reads it", i, model->tensors[i].name);
    free(tensor_used);
    return code;
}

/* What the metadata says of the input must fit the graph. */
static int check_input(const struct bgd_model *model, struct bgd_err *err)
{
    const struct feed_spec *spec = &model->meta.input;
    struct shape in = model_shape(model, 0);
    if (model->header->n_inputs != 1 || in.c != spec->channels || in.h != spec->height || in.w != spec->width)
        return err_set(err, BGD_DAMAGED, "metadata: input %ux%u with %u channels, the graph takes (%u, %u, %u)", spec->width,
                       spec->height, spec->channels, in.c, in.h, in.w);
    return 0;
}

static int check_segmenter(const struct bgd_model *model, struct bgd_err *err)
{
    struct shape in = model_shape(model, 0), out;
    int mask = model_output(model, "mask");
    if (in.c != 3 || model->header->n_outputs != 1 || mask < 0)
        return err_set(err, BGD_DAMAGED,
                       "a segmenter takes 3 channels and has the one output \"mask\", this one takes %u and has %u outputs",
                       in.c, model->header->n_outputs);
    out = model_shape(model, (uint32_t)mask);
    if (out.c != 1 || out.h != in.h || out.w != in.w)
        return err_set(err, BGD_DAMAGED, "output \"mask\" is (%u, %u, %u), expected (1, %u, %u)", out.c, out.h, out.w, in.h,
                       in.w);
    return 0;
}

/* Optional: what the logits are the means of. */
static int check_activation(const struct bgd_model *model, uint32_t logits, struct bgd_err *err)
{
    int activation = model_output(model, "activation");
    if (activation < 0)
        return 0;
    struct shape out = model_shape(model, (uint32_t)activation);
    if (out.c != model->meta.n_labels)
        return err_set(err, BGD_DAMAGED, "output \"activation\" is (%u, %u, %u), the metadata has %u labels", out.c, out.h,
                       out.w, model->meta.n_labels);
    const struct bgd_format_op *op = logits ? &model->ops[logits - 1] : NULL;
    if (!op || op->code != BGD_OP_GLOBAL_MEAN || (int)op->inputs[0] != activation)
        return err_set(err, BGD_DAMAGED, "output \"logits\" is not the global mean of output \"activation\"");
    return 0;
}

static int check_classifier(const struct bgd_model *model, struct bgd_err *err)
{
    const struct meta *meta = &model->meta;
    static const char *const names[] = {"logits", "scores"};
    for (int i = 0; i < 2; i++) {
        int value = model_output(model, names[i]);
        if (value < 0)
            return err_set(err, BGD_DAMAGED, "a classifier needs an output named \"%s\"", names[i]);
        struct shape out = model_shape(model, (uint32_t)value);
        if (out.c != meta->n_labels || out.h != 1 || out.w != 1)
            return err_set(err, BGD_DAMAGED, "output \"%s\" is (%u, %u, %u), the metadata has %u labels", names[i], out.c,
                           out.h, out.w, meta->n_labels);
    }
    uint32_t logits = (uint32_t)model_output(model, names[0]), scores = (uint32_t)model_output(model, names[1]);
    const struct bgd_format_op *op = scores ? &model->ops[scores - 1] : NULL; /* there is one input, value 0 */
    uint32_t expected = strcmp(meta->head, "softmax") == 0 ? BGD_OP_SOFTMAX : BGD_OP_SIGMOID;
    if (!op || op->code != expected || op->inputs[0] != logits)
        return err_set(err, BGD_DAMAGED, "output \"scores\" is not the %s of output \"logits\"", meta->head);
    return check_activation(model, logits, err);
}

static int check_kind(const struct bgd_model *model, struct bgd_err *err)
{
    if (model->meta.kind == META_NETWORK)
        return 0;
    if (check_input(model, err))
        return err->code;
    return model->meta.kind == META_CLASSIFIER ? check_classifier(model, err) : check_segmenter(model, err);
}

int model_parse(const void *bytes, size_t size, struct bgd_model **out, struct bgd_err *err)
{
    *out = NULL;
    struct bgd_model *model = calloc(1, sizeof *model);
    if (!model)
        return err_set(err, BGD_MEMORY, "out of memory");
    model->bytes = bytes;
    model->size = size;
    model->header = bytes;
    uint64_t tables_end = 0;
    if (check_header(model, err) || find_tables(model, &tables_end, err) || check_tensors(model, tables_end, err) ||
        check_graph(model, err) || meta_parse(model->meta_json, (size_t)model->header->meta_bytes, &model->meta, err) ||
        check_kind(model, err)) {
        bgd_model_close(model);
        return err->code;
    }
    *out = model;
    return 0;
}

/* Read, not mapped: a file that is rewritten while it is in use would otherwise change what has been validated. */
int bgd_model_open(const char *path, struct bgd_model **model, struct bgd_err *err)
{
    *model = NULL;
    struct file_buffer file = {0};
    int code = file_read(path, (size_t)BGD_FORMAT_FILE_MAX, &file, err);
    if (!code && file.size == 0)
        code = err_set(err, BGD_DAMAGED, "the file is empty, expected a model file");
    if (!code)
        code = model_parse(file.data, file.size, model, err);
    if (code) {
        free(file.data);
        return err_prefix(err, "%s: ", path);
    }
    (*model)->owned = file.data;
    return 0;
}

void bgd_model_close(struct bgd_model *model)
{
    if (!model)
        return;
    meta_free(&model->meta);
    free(model->owned);
    free(model);
}

int model_output(const struct bgd_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->header->n_outputs; i++)
        if (strcmp(model->values[model->header->outputs[i]].name, name) == 0)
            return (int)model->header->outputs[i];
    return -1;
}

void model_read_tensor(const struct bgd_model *model, uint32_t tensor, float *out)
{
    const struct bgd_format_tensor *t = &model->tensors[tensor];
    const void *data = model->bytes + t->offset; /* a multiple of BGD_FORMAT_ALIGN */
    if (t->dtype == BGD_F32) {
        memcpy(out, data, (size_t)t->bytes);
        return;
    }
    const uint16_t *halves = data;
    uint64_t count = model_tensor_count(t);
    for (uint64_t i = 0; i < count; i++)
        out[i] = half_to_float(halves[i]);
}

void model_hash_text(const struct bgd_model *model, char text[HASH_TEXT])
{
    hash_print(model->header->hash, text);
}
