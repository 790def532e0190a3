/*
 * model_parse on any bytes; what it accepts runs on the reference, if it is small. The length and the hash are made right
 * first, so that the fuzzer gets past them. Seeds: any model files, best of a few hundred bytes (what tests/test_model.c
 * builds).
 */
#include "backend.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

#define MACS_MAX 1000000u
#define ELEMENTS_MAX 1000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_small(const struct bgd_model *model)
{
    uint64_t elements = 0, macs = 0;
    for (uint32_t i = 0; i < model->header->n_values; i++)
        elements += shape_size(model_shape(model, i));
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        const struct bgd_format_op *op = &model->ops[i];
        const struct shape in = model_shape(model, op->inputs[0]), out = model_shape(model, model_op_value(model, i));
        macs += op_macs(op, &in, out);
        if (op->code == BGD_OP_MAX_POOL)
            macs += shape_size(out) * op->window.kernel_h * op->window.kernel_w;
    }
    return elements <= ELEMENTS_MAX && macs <= MACS_MAX;
}

static void run(const struct bgd_model *model)
{
    struct bgd_err err = {0};
    struct device *device;
    struct exec *exec;
    if (backend_ref.open(0, BGD_PRECISION_F32, &device, &err))
        abort();
    if (backend_ref.prepare(device, 0, model, 1, NULL, &exec, &err))
        abort();
    float *values = calloc(ELEMENTS_MAX, sizeof *values);
    for (uint32_t i = 0; i < model->header->n_inputs; i++)
        backend_ref.load(exec, i, 1, values, &err);
    if (backend_ref.run(exec, 1, &err))
        abort();
    for (uint32_t i = 0; i < model->header->n_outputs; i++)
        backend_ref.fetch(exec, i, 1, values, &err);
    free(values);
    backend_ref.release(exec);
    backend_ref.close(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    if (size)
        memcpy(bytes, data, size);
    if (size >= sizeof(struct bgd_format_header)) {
        struct bgd_format_header *header = (struct bgd_format_header *)(void *)bytes;
        header->file_bytes = size;
        hash_bytes(bytes + 32, size - 32, header->hash);
    }
    struct bgd_model *model;
    struct bgd_err err = {0};
    int code = model_parse(bytes, size, &model, &err);
    if (code ? model || !err.text[0] : !model) /* refused means a reason, and no model */
        abort();
    if (!code && is_small(model))
        run(model);
    bgd_model_close(model);
    free(bytes);
    return 0;
}
