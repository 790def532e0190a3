#include "pipeline.h"

#include "err.h"
#include "file.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 10)

/* ---------------------------------------------------------------- the parts */

static int check_parts(const struct bgd_pipeline *p, struct bgd_err *err)
{
    const struct meta *c = &p->classifier->meta;
    if (c->kind != META_CLASSIFIER)
        return err_set(err, BGD_ARGUMENT, "the classifier's model is a %s, expected a classifier", meta_kind_name(c->kind));
    if (!p->segmenter && c->input.channels != 3)
        return err_set(err, BGD_ARGUMENT,
                       "the classifier takes %u channels, the last of which is a cut-out's alpha: it needs a "
                       "pipeline file with a segmenter, as pipelines/default.json is",
                       c->input.channels);
    if (!p->segmenter)
        return 0;
    if (p->segmenter->meta.kind != META_SEGMENTER)
        return err_set(err, BGD_ARGUMENT, "the segmenter's model is a %s, expected a segmenter",
                       meta_kind_name(p->segmenter->meta.kind));
    return 0;
}

int pipeline_join(struct bgd_pipeline *p, struct bgd_err *err)
{
    if (check_parts(p, err))
        return err->code;
    char classifier[HASH_TEXT], segmenter[HASH_TEXT] = "", settings[160];
    model_hash_text(p->classifier, classifier);
    int named = asprintf(&p->name, "%s%s%s", p->segmenter ? p->segmenter->meta.arch : "", p->segmenter ? " + " : "",
                         p->classifier->meta.arch);
    if (named < 0) {
        p->name = NULL;
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    if (!p->segmenter) { /* a classifier by itself goes by its own hash, as `inspect` shows it */
        memcpy(p->hash, classifier, sizeof classifier);
        return 0;
    }
    model_hash_text(p->segmenter, segmenter);
    uint32_t alpha; /* its bits: as a decimal it would depend on the locale, and near numbers would look alike */
    memcpy(&alpha, &p->threshold, sizeof alpha);
    snprintf(settings, sizeof settings, "segmenter %s, sees %s, alpha %08x, classifier %s", segmenter,
             p->sight == PIPELINE_PHOTO ? "photo" : "thumbnail", alpha, classifier);
    hash_text(settings, strlen(settings), p->hash);
    return 0;
}

void bgd_pipeline_close(struct bgd_pipeline *pipeline)
{
    if (!pipeline)
        return;
    bgd_model_close(pipeline->segmenter);
    bgd_model_close(pipeline->classifier);
    free(pipeline->name);
    free(pipeline);
}

const char *bgd_pipeline_name(const struct bgd_pipeline *pipeline)
{
    return pipeline->name;
}

const char *bgd_pipeline_hash(const struct bgd_pipeline *pipeline)
{
    return pipeline->hash;
}

/* ---------------------------------------------------------------- the file */

/* Refuses keys that nobody knows: a misspelt setting must not be a silent default. */
static int check_keys(const cJSON *object, const char *what, const char *const *known, struct bgd_err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], item->string) != 0)
            i++;
        if (!known[i])
            return err_set(err, BGD_DAMAGED, "%s: unknown key \"%s\"", what, item->string);
        if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item)
            return err_set(err, BGD_DAMAGED, "%s: key \"%s\" stands twice", what, item->string);
    }
    return 0;
}

/* The model named by object.model, whose path begins at the pipeline file's folder. */
static int open_model(const cJSON *object, const char *what, const char *path, struct bgd_model **model, struct bgd_err *err)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "model"));
    if (!name || !*name)
        return err_set(err, BGD_DAMAGED, "%s: \"model\" is not the name of a model file", what);
    const char *slash = name[0] == '/' ? NULL : strrchr(path, '/');
    char *joined = NULL;
    if (asprintf(&joined, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name) < 0)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = bgd_model_open(joined, model, err);
    if (code)
        err_prefix(err, "%s: ", what);
    free(joined);
    return code;
}

static int check_side(const cJSON *object, const char *key, uint32_t side, struct bgd_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item))
        return err_set(err, BGD_DAMAGED, "segmenter: \"%s\" is %s, expected %u, which its model was converted for", key,
                       item ? "no number" : "missing", side);
    if (item->valuedouble != (double)side)
        return err_set(err, BGD_ARGUMENT, "segmenter: \"%s\" is %g, its model was converted for %u", key, item->valuedouble,
                       side);
    return 0;
}

static int read_segmenter(const cJSON *object, const char *path, struct bgd_pipeline *p, struct bgd_err *err)
{
    static const char *const known[] = {"model", "width", "height", "sees", "alpha", NULL};
    if (!cJSON_IsObject(object))
        return err_set(err, BGD_DAMAGED, "\"segmenter\" is not an object");
    if (check_keys(object, "segmenter", known, err) || open_model(object, "segmenter", path, &p->segmenter, err) ||
        check_parts(p, err)) /* before the size: that of a model of the wrong kind says nothing */
        return err->code;
    struct shape in = model_shape(p->segmenter, 0);
    if (check_side(object, "width", in.w, err) || check_side(object, "height", in.h, err))
        return err->code;
    const char *sees = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "sees"));
    if (!sees || (strcmp(sees, "photo") != 0 && strcmp(sees, "thumbnail") != 0))
        return err_set(err, BGD_DAMAGED, "segmenter: \"sees\" is not \"photo\" or \"thumbnail\"");
    p->sight = strcmp(sees, "photo") == 0 ? PIPELINE_PHOTO : PIPELINE_THUMBNAIL;
    const cJSON *alpha = cJSON_GetObjectItemCaseSensitive(object, "alpha");
    const char *soft = cJSON_GetStringValue(alpha);
    /* As floats: 1e-50 is 0, from which on everything would be object. */
    bool number = cJSON_IsNumber(alpha) && (float)alpha->valuedouble > 0 && (float)alpha->valuedouble < 1;
    if (!number && !(soft && strcmp(soft, "soft") == 0))
        return err_set(err, BGD_DAMAGED, "segmenter: \"alpha\" is not \"soft\" or a number between 0 and 1");
    p->threshold = number ? (float)alpha->valuedouble : PIPELINE_SOFT;
    return 0;
}

static int read_pipeline(const cJSON *root, const char *path, struct bgd_pipeline *p, struct bgd_err *err)
{
    static const char *const known[] = {"segmenter", "classifier", NULL}, *const classifier_known[] = {"model", NULL};
    const cJSON *segmenter = cJSON_GetObjectItemCaseSensitive(root, "segmenter");
    const cJSON *classifier = cJSON_GetObjectItemCaseSensitive(root, "classifier");
    if (check_keys(root, "pipeline", known, err))
        return err->code;
    if (!cJSON_IsObject(classifier))
        return err_set(err, BGD_DAMAGED, "\"classifier\" is %s, expected an object", classifier ? "another type" : "missing");
    if (check_keys(classifier, "classifier", classifier_known, err) ||
        open_model(classifier, "classifier", path, &p->classifier, err) ||
        (segmenter && read_segmenter(segmenter, path, p, err)))
        return err->code;
    return 0;
}

static int parse_file(const char *path, struct bgd_pipeline *p, struct bgd_err *err)
{
    struct file_buffer file = {0};
    const char *end = NULL;
    if (file_read(path, FILE_MAX, &file, err)) {
        free(file.data);
        return err->code;
    }
    int code;
    /* A copy with a NUL: cJSON's reader of counted bytes before 1.7.18 looks one byte behind them (CVE-2023-53154). */
    char *text = strndup((const char *)file.data, file.size);
    cJSON *root = text ? cJSON_ParseWithOpts(text, &end, true) : NULL;
    if (!text)
        code = err_set(err, BGD_MEMORY, "out of memory");
    else if (!cJSON_IsObject(root) || end != text + file.size)
        code = err_set(err, BGD_DAMAGED, "not one JSON object (stopped at byte %zu of %zu)", end ? (size_t)(end - text) : 0,
                       file.size);
    else
        code = read_pipeline(root, path, p, err);
    cJSON_Delete(root);
    free(text);
    free(file.data);
    return code;
}

/* The first byte of the file that is no white space; a space if there is none. O_NONBLOCK: a FIFO is refused later, and must
 * not wait for a writer here. */
static char first_byte(const char *path)
{
    char byte = ' ';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    for (uint32_t i = 0; fd >= 0 && i < FILE_MAX && byte && strchr(" \t\r\n", byte); i++)
        if (read(fd, &byte, 1) != 1)
            break;
    if (fd >= 0)
        close(fd);
    return byte;
}

/* A file that does not begin as JSON does: it names itself in the error. */
static int open_classifier(const char *path, struct bgd_pipeline *p, char first, struct bgd_err *err)
{
    int code = bgd_model_open(path, &p->classifier, err);
    if ((code == BGD_UNKNOWN || code == BGD_DAMAGED) && first != BGD_FORMAT_MAGIC[0])
        err_set(err, code, "%s: neither a pipeline (one JSON object) nor a model file", path);
    return code;
}

int bgd_pipeline_open(const char *path, struct bgd_pipeline **out, struct bgd_err *err)
{
    *out = NULL;
    struct bgd_pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, BGD_MEMORY, "out of memory");
    p->threshold = PIPELINE_SOFT;
    char first = first_byte(path); /* a file is told by its content */
    int code = first == '{' ? parse_file(path, p, err) : open_classifier(path, p, first, err);
    if (code && first == '{')
        err_prefix(err, "%s: ", path);
    if (!code && (code = pipeline_join(p, err)))
        err_prefix(err, "%s: ", path);
    if (code)
        bgd_pipeline_close(p);
    else
        *out = p;
    return code;
}
