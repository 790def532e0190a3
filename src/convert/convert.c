#include "convert.h"

#include "../err.h"
#include "../hash.h"
#include "alexnet.h"
#include "checkpoint.h"
#include "graph.h"
#include "resnet.h"
#include "tracer.h"
#include "vgg.h"
#include "zfnet.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t build_fn(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph,
                          char arch[16]);

/* The families of classifiers. */
static const struct family {
    const char *name;
    bool (*recognises)(const struct checkpoint *checkpoint, struct bgd_err *why);
    build_fn *build;
    build_fn *build_lrn; /* with local response normalisation, where that may stand */
} families[] = {
    {"ResNet", resnet_recognises, resnet_build, NULL},
    {"VGG", vgg_recognises, vgg_build, NULL},
    {"AlexNet", alexnet_recognises, alexnet_build, NULL},
    {"ZFNet", zfnet_recognises, zfnet_build, zfnet_lrn_build},
};

enum { REASONS = 512 }; /* bytes for one from each family, of 100 at most */

static const char default_labels[] = "defective,text,not_white,extra_objects,cropped,duplicates";

/* Every tensor that is left over is named: weights forgotten in silence would be wrong answers later. */
static int check_all_used(const struct checkpoint *checkpoint, struct bgd_err *err)
{
    char names[600] = "";
    size_t unused = 0;
    for (size_t i = 0; i < checkpoint->count; i++) {
        if (checkpoint->tensors[i].used)
            continue;
        size_t length = strlen(names);
        if (length + strlen(checkpoint->tensors[i].name) + 3 < sizeof names)
            snprintf(names + length, sizeof names - length, "%s%s", unused ? ", " : "", checkpoint->tensors[i].name);
        else if (length + 5 < sizeof names && strcmp(names + length - 3, "...") != 0)
            snprintf(names + length, sizeof names - length, " ...");
        unused++;
    }
    return unused ? err_set(err, BGD_UNSUPPORTED, "%zu tensors that the network does not read: %s", unused, names) : 0;
}

static int set_labels(struct meta *meta, const char *list, uint32_t classes, struct bgd_err *err)
{
    char *numbers = NULL;
    if (classes > META_LABELS_MAX)
        return err_set(err, BGD_LIMIT, "%u classes, at most %d have labels", classes, META_LABELS_MAX);
    if (!list && classes == 6) {
        list = default_labels;
    } else if (!list) {
        if (!(numbers = malloc((size_t)classes * 11 + 1)))
            return err_set(err, BGD_MEMORY, "out of memory");
        char *at = numbers;
        for (uint32_t i = 0; i < classes; i++)
            at += sprintf(at, i ? ",%u" : "%u", i);
        list = numbers;
    }
    meta->labels = calloc(classes, sizeof *meta->labels);
    meta->thresholds = calloc(classes, sizeof *meta->thresholds);
    uint32_t given = 0;
    for (const char *at = list; meta->labels && meta->thresholds; given++) {
        size_t length = strcspn(at, ",");
        if (given < classes) {
            meta->labels[given] = strndup(at, length);
            meta->thresholds[given] = 0.5f;
            meta->n_labels++;
            if (!meta->labels[given]) {
                free(numbers);
                return err_set(err, BGD_MEMORY, "out of memory");
            }
        }
        if (!at[length]) {
            given++;
            break;
        }
        at += length + 1;
    }
    free(numbers);
    if (!meta->labels || !meta->thresholds)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (given != classes)
        return err_set(err, BGD_ARGUMENT, "%u labels given, the network has %u classes", given, classes);
    return 0;
}

/* Where the weights came from, as JSON. */
static char *describe_source(const struct convert_options *options, const struct checkpoint *checkpoint)
{
    char hash[HASH_TEXT];
    hash_text(checkpoint->map, checkpoint->map_size, hash);
    const char *slash = strrchr(options->source, '/');
    const char *name = slash ? slash + 1 : options->source;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "checkpoint", meta_is_text(name) ? name : "?"); /* a file may have any bytes as its name */
    cJSON_AddStringToObject(object, "checkpoint_xxh3_128", hash);
    cJSON_AddStringToObject(object, "form", checkpoint->form);
    cJSON_AddStringToObject(object, "converter", "bgdet " BGD_VERSION);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

static void set_input(struct meta *meta, const struct convert_options *options, const struct graph *graph)
{
    struct shape in = graph_shape(graph, 0);
    meta->input = (struct feed_spec){.width = in.w, .height = in.h, .channels = in.c};
    memcpy(meta->input.mean, options->mean, sizeof meta->input.mean);
    memcpy(meta->input.std, options->std, sizeof meta->input.std);
    memcpy(meta->input.fill, options->fill, sizeof meta->input.fill);
}

static int build_classifier(const struct family *family, const struct convert_options *options,
                            const struct checkpoint *checkpoint, struct graph *graph, struct meta *meta, char arch[16],
                            struct bgd_err *err)
{
    uint32_t width = options->width ? options->width : 60, height = options->height ? options->height : 80;
    build_fn *build = options->lrn ? family->build_lrn : family->build;
    if (!build)
        return err_set(err, BGD_ARGUMENT, "local response normalisation is ZFNet's, this is %s", family->name);
    uint32_t logits = build(checkpoint, height, width, graph, arch);
    bool sigmoid = strcmp(options->head, "sigmoid") == 0;
    graph_output(graph, graph_op(graph, sigmoid ? BGD_OP_SIGMOID : BGD_OP_SOFTMAX, "scores", logits, 0));
    if (graph_error(graph, err))
        return err->code;
    meta->kind = META_CLASSIFIER;
    meta->head = strdup(options->head);
    if (!meta->head)
        return err_set(err, BGD_MEMORY, "out of memory");
    return set_labels(meta, options->labels, graph_shape(graph, logits).c, err);
}

static int build_segmenter(const struct convert_options *options, const struct checkpoint *checkpoint, struct graph *graph,
                           struct meta *meta, char arch[16], struct bgd_err *err)
{
    int number = tracer_arch(checkpoint);
    uint32_t side = number < 0 ? 32 : tracer_side(number); /* tracer_build will say what is wrong */
    if (options->labels)
        return err_set(err, BGD_ARGUMENT, "labels are a classifier's, this is a TRACER");
    if (options->lrn)
        return err_set(err, BGD_ARGUMENT, "local response normalisation is ZFNet's, this is a TRACER");
    tracer_build(checkpoint, options->height ? options->height : side, options->width ? options->width : side, graph, arch);
    meta->kind = META_SEGMENTER;
    return graph_error(graph, err);
}

/* The family of the checkpoint, or NULL and why it is none of them: "ResNet: no conv1.weight; VGG: ...; ". */
static const struct family *find_family(const struct checkpoint *checkpoint, char reasons[REASONS])
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct bgd_err why;
        if (families[i].recognises(checkpoint, &why))
            return &families[i];
        used += (size_t)snprintf(reasons + used, REASONS - used, "%s: %.100s; ", families[i].name, why.text);
    }
    return NULL;
}

static int build(const struct convert_options *options, const struct checkpoint *checkpoint, struct graph *graph,
                 struct meta *meta, struct bgd_err *err)
{
    char arch[16] = "", reasons[REASONS];
    struct bgd_err why;
    const struct family *family = find_family(checkpoint, reasons);
    int code;
    if (family)
        code = build_classifier(family, options, checkpoint, graph, meta, arch, err);
    else if (tracer_recognises(checkpoint, &why))
        code = build_segmenter(options, checkpoint, graph, meta, arch, err);
    else
        code = err_set(err, BGD_UNSUPPORTED, "no network that is known. %sTRACER: %s; the first of its %zu tensors is %s",
                       reasons, why.text, checkpoint->count, checkpoint->tensors[0].name);
    if (code || (code = check_all_used(checkpoint, err)))
        return code;
    set_input(meta, options, graph);
    meta->arch = strdup(arch);
    meta->provenance = describe_source(options, checkpoint);
    return meta->arch && meta->provenance ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static void describe(const struct meta *meta, const struct checkpoint *checkpoint, char summary[256])
{
    char labels[32] = "a segmenter";
    if (meta->kind == META_CLASSIFIER)
        snprintf(labels, sizeof labels, "%u labels", meta->n_labels);
    snprintf(summary, 256, "%s, %s, input %ux%u with %u channels, from a %s checkpoint of %zu tensors", meta->arch, labels,
             meta->input.width, meta->input.height, meta->input.channels, checkpoint->form, checkpoint->count);
}

int convert_run(const struct convert_options *options, char summary[256], struct bgd_err *err)
{
    struct checkpoint *checkpoint = NULL;
    struct graph *graph = NULL;
    struct meta meta = {0};
    if (checkpoint_open(options->source, &checkpoint, err))
        return err->code;
    int code = graph_open(&graph, err);
    if (!code && (code = build(options, checkpoint, graph, &meta, err)))
        err_prefix(err, "%s: ", options->source);
    if (!code)
        code = graph_write(graph, &meta, options->f16 ? BGD_F16 : BGD_F32, options->target, err);
    if (!code)
        describe(&meta, checkpoint, summary);
    meta_free(&meta);
    graph_close(graph);
    checkpoint_close(checkpoint);
    return code;
}
