#include "rewrite.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

static size_t aligned(size_t offset)
{
    return (offset + BGD_FORMAT_ALIGN - 1) / BGD_FORMAT_ALIGN * BGD_FORMAT_ALIGN;
}

/* Copies header and tables, the new metadata and the tensors' data; what stands behind the metadata moves with its length. */
static void fill(const struct bgd_model *model, const char *json, size_t tables, size_t old_data, uint8_t *file, size_t size)
{
    size_t meta_bytes = strlen(json), new_data = aligned(tables + meta_bytes);
    struct bgd_format_header *header = (struct bgd_format_header *)file;
    struct bgd_format_tensor *tensors = (struct bgd_format_tensor *)(file + ((const uint8_t *)model->tensors - model->bytes));
    memcpy(file, model->bytes, tables);
    memcpy(file + tables, json, meta_bytes);
    if (model->header->n_tensors)
        memcpy(file + new_data, model->bytes + old_data, model->size - old_data);
    for (uint32_t i = 0; i < model->header->n_tensors; i++)
        tensors[i].offset = tensors[i].offset - old_data + new_data;
    header->meta_bytes = meta_bytes;
    header->file_bytes = size;
    size_t hashed_from = offsetof(struct bgd_format_header, file_bytes);
    hash_bytes(file + hashed_from, size - hashed_from, header->hash);
}

int rewrite_meta(const struct bgd_model *model, const struct meta *meta, uint8_t **bytes, size_t *size, struct bgd_err *err)
{
    *bytes = NULL;
    *size = 0;
    char *json = meta_print(meta);
    if (!json)
        return err_set(err, BGD_MEMORY, "out of memory");
    size_t tables = (size_t)((const uint8_t *)model->meta_json - model->bytes);
    size_t old_data = aligned(tables + (size_t)model->header->meta_bytes);
    size_t total = model->header->n_tensors ? aligned(tables + strlen(json)) + model->size - old_data : tables + strlen(json);
    uint8_t *file = calloc(1, total);
    struct bgd_model *check = NULL;
    if (!file) {
        err_set(err, BGD_MEMORY, "out of memory");
    } else {
        fill(model, json, tables, old_data, file, total);
        if (model_parse(file, total, &check, err) && err->code != BGD_MEMORY) {
            err->code = BGD_ARGUMENT;
            err_prefix(err, "this would be no valid model file: ");
        }
    }
    free(json);
    if (!check) {
        free(file);
        return err->code;
    }
    bgd_model_close(check);
    *bytes = file;
    *size = total;
    return 0;
}
