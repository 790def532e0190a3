/* A model file, read and validated. After model_parse has accepted it, every index, size and shape in it can be trusted. */
#ifndef BGD_MODEL_H
#define BGD_MODEL_H

#include "hash.h"
#include "meta.h"
#include "ops.h"

struct bgd_model {
    const struct bgd_format_header *header; /* all of these point into the file's bytes */
    const struct bgd_format_value *values;
    const struct bgd_format_tensor *tensors;
    const struct bgd_format_op *ops;
    const char *meta_json;
    struct meta meta;
    const uint8_t *bytes;
    size_t size;
    void *owned; /* bytes, if they are ours to free */
};

/* Validates `size` bytes at `bytes` (8-byte aligned), which must outlive the model. bgd_model_close releases it. */
int model_parse(const void *bytes, size_t size, struct bgd_model **model, struct bgd_err *err);

static inline struct shape model_shape(const struct bgd_model *model, uint32_t value)
{
    const struct bgd_format_value *v = &model->values[value];
    return (struct shape){v->c, v->h, v->w};
}

/* The value that op i computes. */
static inline uint32_t model_op_value(const struct bgd_model *model, uint32_t op)
{
    return model->header->n_inputs + op;
}

/* The value of that name, if it is one of the graph's outputs; else -1. */
int model_output(const struct bgd_model *model, const char *name);

/* Elements of a tensor. */
uint64_t model_tensor_count(const struct bgd_format_tensor *tensor);

/* Writes a tensor's elements as float, in row-major order. */
void model_read_tensor(const struct bgd_model *model, uint32_t tensor, float *out);

/* The file's hash as 32 hexadecimal digits. */
void model_hash_text(const struct bgd_model *model, char text[HASH_TEXT]);

#endif
