#include "meta.h"

#include "err.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool meta_is_text(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t n; *s; s += n) {
        n = utf8_length(s, SIZE_MAX);
        if (n == 0 || *s < 0x20 || *s == 0x7f)
            return false;
    }
    return true;
}

static int get_string(const cJSON *object, const char *key, char **out, struct bgd_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsString(item))
        return err_set(err, BGD_DAMAGED, "metadata: \"%s\" is %s, expected a string", key, item ? "another type" : "missing");
    if (!meta_is_text(item->valuestring))
        return err_set(err, BGD_DAMAGED, "metadata: \"%s\" has control bytes or is not UTF-8", key);
    *out = strdup(item->valuestring);
    return *out ? 0 : err_set(err, BGD_MEMORY, "metadata: out of memory");
}

static int get_size(const cJSON *object, const char *key, uint32_t most, uint32_t *out, struct bgd_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1) || item->valuedouble > most ||
        item->valuedouble != floor(item->valuedouble))
        return err_set(err, BGD_DAMAGED, "metadata: \"%s\" is not an integer of 1..%u", key, most);
    *out = (uint32_t)item->valuedouble;
    return 0;
}

static int get_rgb(const cJSON *object, const char *key, double least, double most, float out[3], struct bgd_err *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != 3)
        return err_set(err, BGD_DAMAGED, "metadata: \"%s\" is not an array of 3 numbers", key);
    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(array, i);
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= least) || !(item->valuedouble <= most))
            return err_set(err, BGD_DAMAGED, "metadata: \"%s\"[%d] is not a number of %g..%g", key, i, least, most);
        out[i] = (float)item->valuedouble;
    }
    return 0;
}

static int get_input(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(root, "input");
    if (!cJSON_IsObject(input))
        return err_set(err, BGD_DAMAGED, "metadata: \"input\" is %s, expected an object", input ? "another type" : "missing");
    if (get_size(input, "width", BGD_IMAGE_SIDE_MAX, &meta->input.width, err) ||
        get_size(input, "height", BGD_IMAGE_SIDE_MAX, &meta->input.height, err) ||
        get_size(input, "channels", 4, &meta->input.channels, err) ||
        get_rgb(input, "mean", -100, 100, meta->input.mean, err) || get_rgb(input, "std", 1e-6, 100, meta->input.std, err))
        return err->code;
    if (meta->input.channels < 3)
        return err_set(err, BGD_DAMAGED, "metadata: \"channels\" is %u, expected 3 or 4", meta->input.channels);
    for (int i = 0; i < 3; i++)
        meta->input.fill[i] = 1;
    if (cJSON_HasObjectItem(input, "fill") && get_rgb(input, "fill", 0, 1, meta->input.fill, err))
        return err->code;
    const cJSON *filter = cJSON_GetObjectItemCaseSensitive(input, "filter");
    if (!cJSON_IsString(filter) || strcmp(filter->valuestring, "bilinear") != 0)
        return err_set(err, BGD_DAMAGED, "metadata: \"filter\" is not \"bilinear\"");
    return 0;
}

static int get_labels(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "labels");
    int n = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (n < 1 || n > META_LABELS_MAX)
        return err_set(err, BGD_DAMAGED, "metadata: \"labels\" is not an array of 1..%d strings", META_LABELS_MAX);
    meta->labels = calloc((size_t)n, sizeof *meta->labels);
    meta->thresholds = calloc((size_t)n, sizeof *meta->thresholds);
    if (!meta->labels || !meta->thresholds)
        return err_set(err, BGD_MEMORY, "metadata: out of memory");
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item) || !item->valuestring[0] || !meta_is_text(item->valuestring))
            return err_set(err, BGD_DAMAGED, "metadata: label %u is not a string of printable UTF-8", meta->n_labels);
        if (meta_label(meta, item->valuestring) >= 0)
            return err_set(err, BGD_DAMAGED, "metadata: label \"%s\" stands twice", item->valuestring);
        meta->thresholds[meta->n_labels] = 0.5f;
        meta->labels[meta->n_labels] = strdup(item->valuestring);
        if (!meta->labels[meta->n_labels++])
            return err_set(err, BGD_MEMORY, "metadata: out of memory");
    }
    return 0;
}

static int get_thresholds(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "thresholds");
    if (object && !cJSON_IsObject(object))
        return err_set(err, BGD_DAMAGED, "metadata: \"thresholds\" is not an object");
    bool given[META_LABELS_MAX] = {0};
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        int label = meta_label(meta, item->string);
        if (label >= 0 && given[label])
            return err_set(err, BGD_DAMAGED, "metadata: threshold \"%s\" stands twice", item->string);
        if (label < 0 || !cJSON_IsNumber(item) || !(item->valuedouble >= 0) || !(item->valuedouble <= 1))
            return err_set(err, BGD_DAMAGED, "metadata: threshold \"%s\" is not a label's number of 0..1", item->string);
        meta->thresholds[label] = (float)item->valuedouble;
        given[label] = true;
    }
    return 0;
}

static int get_number(const cJSON *object, const char *key, double least, double most, float *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least) || !(item->valuedouble <= most))
        return -1;
    *out = (float)item->valuedouble;
    return 0;
}

static int get_calibration(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "calibration"), *item;
    if (!object)
        return 0;
    if (!cJSON_IsObject(object))
        return err_set(err, BGD_DAMAGED, "metadata: \"calibration\" is not an object");
    meta->calibrations = malloc(meta->n_labels * sizeof *meta->calibrations);
    if (!meta->calibrations)
        return err_set(err, BGD_MEMORY, "metadata: out of memory");
    for (uint32_t i = 0; i < meta->n_labels; i++)
        meta->calibrations[i] = CALIBRATION_NONE;
    bool given[META_LABELS_MAX] = {0};
    cJSON_ArrayForEach(item, object)
    {
        int label = meta_label(meta, item->string);
        if (label < 0 || given[label])
            return err_set(err, BGD_DAMAGED, "metadata: calibration \"%s\" %s", item->string,
                           label < 0 ? "is of no label" : "stands twice");
        struct calibration *calibration = &meta->calibrations[label];
        if (get_number(item, "slope", CALIBRATION_SLOPE_LEAST, CALIBRATION_SLOPE_MOST, &calibration->slope) ||
            get_number(item, "offset", -CALIBRATION_OFFSET_MOST, CALIBRATION_OFFSET_MOST, &calibration->offset))
            return err_set(err, BGD_DAMAGED,
                           "metadata: calibration \"%s\" has no \"slope\" of %g..%g and \"offset\" of -%g..%g", item->string,
                           CALIBRATION_SLOPE_LEAST, CALIBRATION_SLOPE_MOST, CALIBRATION_OFFSET_MOST, CALIBRATION_OFFSET_MOST);
        given[label] = true;
    }
    return 0;
}

static int get_review(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "review");
    if (!array)
        return 0;
    const cJSON *lo = cJSON_GetArrayItem(array, 0), *hi = cJSON_GetArrayItem(array, 1);
    int defective = meta_label(meta, "defective");
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != 2 || !cJSON_IsNumber(lo) || !cJSON_IsNumber(hi) ||
        !(lo->valuedouble >= 0) || !((float)lo->valuedouble < (float)hi->valuedouble) || !(hi->valuedouble <= 1))
        return err_set(err, BGD_DAMAGED, "metadata: \"review\" is not [lo, hi] with 0 <= lo < hi <= 1");
    meta->review[0] = (float)lo->valuedouble;
    meta->review[1] = (float)hi->valuedouble;
    if (defective < 0 || meta->thresholds[defective] < meta->review[0] || meta->thresholds[defective] > meta->review[1])
        return err_set(err, BGD_DAMAGED, "metadata: \"review\" %g..%g does not hold the threshold of \"defective\"",
                       (double)meta->review[0], (double)meta->review[1]);
    return 0;
}

static int get_classifier(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    if (get_string(root, "head", &meta->head, err))
        return err->code;
    if (strcmp(meta->head, "softmax") != 0 && strcmp(meta->head, "sigmoid") != 0)
        return err_set(err, BGD_DAMAGED, "metadata: head \"%s\", expected \"softmax\" or \"sigmoid\"", meta->head);
    return get_labels(root, meta, err) || get_thresholds(root, meta, err) || get_calibration(root, meta, err) ||
                   get_review(root, meta, err)
               ? err->code
               : 0;
}

static const char *const kinds[] = {"network", "classifier", "segmenter"};

const char *meta_kind_name(enum meta_kind kind)
{
    return kinds[kind];
}

static int get_kind(const cJSON *root, struct meta *meta, struct bgd_err *err)
{
    char *kind;
    if (get_string(root, "kind", &kind, err))
        return err->code;
    size_t i = 0;
    while (i < sizeof kinds / sizeof kinds[0] && strcmp(kind, kinds[i]) != 0)
        i++;
    if (i == sizeof kinds / sizeof kinds[0])
        err_set(err, BGD_DAMAGED, "metadata: kind \"%s\", expected \"classifier\", \"segmenter\" or \"network\"", kind);
    free(kind);
    meta->kind = (enum meta_kind)i;
    return i < sizeof kinds / sizeof kinds[0] ? 0 : err->code;
}

int meta_parse(const char *json, size_t size, struct meta *meta, struct bgd_err *err)
{
    *meta = (struct meta){0};
    const char *end = NULL;
    cJSON *root = NULL;
    /* A copy with a NUL: cJSON's reader of counted bytes before 1.7.18 looks one byte behind them (CVE-2023-53154). */
    char *text = strndup(json, size);
    if (!text) {
        err_set(err, BGD_MEMORY, "metadata: out of memory");
        goto fail;
    }
    root = cJSON_ParseWithOpts(text, &end, true);
    if (!cJSON_IsObject(root) || end != text + size) {
        err_set(err, BGD_DAMAGED, "metadata: not one JSON object (stopped at byte %zu of %zu)", end ? (size_t)(end - text) : 0,
                size);
        goto fail;
    }
    if (get_string(root, "arch", &meta->arch, err) || get_kind(root, meta, err))
        goto fail;
    const cJSON *provenance = cJSON_GetObjectItemCaseSensitive(root, "provenance");
    meta->provenance = cJSON_IsObject(provenance) ? cJSON_PrintUnformatted(provenance) : strdup("{}");
    if (!meta->provenance) {
        err_set(err, BGD_MEMORY, "metadata: out of memory");
        goto fail;
    }
    if (!meta_is_text(meta->provenance)) {
        err_set(err, BGD_DAMAGED, "metadata: \"provenance\" has control bytes or is not UTF-8");
        goto fail;
    }
    if ((meta->kind != META_NETWORK && get_input(root, meta, err)) ||
        (meta->kind == META_CLASSIFIER && get_classifier(root, meta, err)))
        goto fail;
    free(text);
    cJSON_Delete(root);
    return 0;
fail:
    free(text);
    cJSON_Delete(root);
    meta_free(meta);
    return err->code;
}

/* A float as the shortest decimal that reads back as the same float: 0.485, not 0.48500001430511475. */
static cJSON *short_number(float value)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    char *comma = strchr(text, ','); /* a program around the library may have set a locale with one */
    if (comma)
        *comma = '.';
    return cJSON_CreateRaw(text);
}

static void add_rgb(cJSON *object, const char *key, const float rgb[3])
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    for (int i = 0; i < 3; i++)
        cJSON_AddItemToArray(array, short_number(rgb[i]));
}

static void add_classifier(cJSON *root, const struct meta *meta)
{
    cJSON_AddStringToObject(root, "head", meta->head);
    cJSON *labels = cJSON_AddArrayToObject(root, "labels");
    cJSON *thresholds = cJSON_AddObjectToObject(root, "thresholds");
    for (uint32_t i = 0; i < meta->n_labels; i++) {
        cJSON_AddItemToArray(labels, cJSON_CreateString(meta->labels[i]));
        cJSON_AddItemToObject(thresholds, meta->labels[i], short_number(meta->thresholds[i]));
    }
    cJSON *calibration = meta->calibrations ? cJSON_AddObjectToObject(root, "calibration") : NULL;
    for (uint32_t i = 0; i < meta->n_labels && calibration; i++) {
        cJSON *item = cJSON_AddObjectToObject(calibration, meta->labels[i]);
        cJSON_AddItemToObject(item, "slope", short_number(meta->calibrations[i].slope));
        cJSON_AddItemToObject(item, "offset", short_number(meta->calibrations[i].offset));
    }
    cJSON *review = meta->review[1] > 0 ? cJSON_AddArrayToObject(root, "review") : NULL;
    for (int i = 0; i < 2 && review; i++)
        cJSON_AddItemToArray(review, short_number(meta->review[i]));
}

static void add_input(cJSON *root, const struct meta *meta)
{
    cJSON *input = cJSON_AddObjectToObject(root, "input");
    cJSON_AddNumberToObject(input, "width", meta->input.width);
    cJSON_AddNumberToObject(input, "height", meta->input.height);
    cJSON_AddNumberToObject(input, "channels", meta->input.channels);
    add_rgb(input, "mean", meta->input.mean);
    add_rgb(input, "std", meta->input.std);
    if (meta->kind == META_CLASSIFIER)
        add_rgb(input, "fill", meta->input.fill);
    cJSON_AddStringToObject(input, "filter", "bilinear");
}

char *meta_print(const struct meta *meta)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "arch", meta->arch);
    cJSON_AddStringToObject(root, "kind", meta_kind_name(meta->kind));
    if (meta->kind == META_CLASSIFIER)
        add_classifier(root, meta);
    if (meta->kind != META_NETWORK)
        add_input(root, meta);
    cJSON_AddRawToObject(root, "provenance", meta->provenance ? meta->provenance : "{}");
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

void meta_free(struct meta *meta)
{
    for (uint32_t i = 0; i < meta->n_labels; i++)
        free(meta->labels[i]);
    free(meta->labels);
    free(meta->thresholds);
    free(meta->calibrations);
    free(meta->arch);
    free(meta->head);
    free(meta->provenance);
    *meta = (struct meta){0};
}

int meta_label(const struct meta *meta, const char *label)
{
    for (uint32_t i = 0; i < meta->n_labels; i++)
        if (strcmp(meta->labels[i], label) == 0)
            return (int)i;
    return -1;
}

enum bgd_verdict meta_verdict(const struct meta *meta, uint32_t defective, float p)
{
    if (p >= meta->review[0] && p < meta->review[1])
        return BGD_REVIEW;
    return p >= meta->thresholds[defective] ? BGD_DEFECTIVE : BGD_CLEAN;
}
