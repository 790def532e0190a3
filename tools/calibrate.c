#include "err.h"
#include "eval.h"
#include "file.h"
#include "hash.h"
#include "rewrite.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One output on all labelled cards: P as the network says it, and as a calibration makes it. */
struct fit {
    float *network, *p;
    uint8_t *truth;
    size_t n;
};

static void apply(struct fit *fit, struct calibration calibration)
{
    for (size_t i = 0; i < fit->n; i++)
        fit->p[i] = calibration_apply(calibration, fit->network[i]);
}

static int measure(const struct fit *fit, float threshold, struct metrics *metrics, struct bgd_err *err)
{
    const struct metrics_sample sample = {fit->p, fit->truth, fit->n, threshold};
    return metrics_measure(&sample, 0, 0, metrics, err);
}

static void print_change(const char *name, const struct metrics *before, const struct metrics *after, float old, float new,
                         struct calibration calibration, bool met)
{
    fprintf(stderr, "  %-14s %7zu %9zu  %-7.4g %-7.4g  %.3f -> %.3f   %.3f -> %.3f  %.3f -> %.3f      %.3f -> %.3f%s\n", name,
            after->n, after->positives, (double)calibration.slope, (double)calibration.offset, (double)old, (double)new,
            before->value[METRIC_CROSS_ENTROPY], after->value[METRIC_CROSS_ENTROPY], before->value[METRIC_CALIBRATION_ERROR],
            after->value[METRIC_CALIBRATION_ERROR], before->value[METRIC_F1], after->value[METRIC_F1],
            met ? "" : "  (no threshold meets the target: kept)");
}

/* Fits one output into `meta`, or says why not. */
static int fit_output(const struct calibrate_settings *s, struct fit *fit, const char *name, uint32_t label, struct meta *meta,
                      struct bgd_err *err)
{
    struct calibration old = meta->calibrations[label], calibration;
    float threshold = meta->thresholds[label];
    if (!calibration_fit(s->method, fit->network, fit->truth, fit->n, &calibration)) {
        fprintf(stderr, "  %-14s %7zu  stays as it was: %s\n", name, fit->n,
                fit->n ? "all its labels are alike" : "no labels for it");
        return 0;
    }
    struct metrics before, after;
    bool met;
    apply(fit, old);
    if (measure(fit, threshold, &before, err))
        return err->code;
    apply(fit, calibration);
    const struct metrics_sample sample = {fit->p, fit->truth, fit->n, 0};
    if (calibration_threshold(&sample, s->target, &threshold, &met, err) || measure(fit, threshold, &after, err))
        return err->code;
    print_change(name, &before, &after, meta->thresholds[label], threshold, calibration, met);
    meta->calibrations[label] = calibration;
    meta->thresholds[label] = threshold;
    return 0;
}

static int fit_outputs(const struct calibrate_settings *s, const struct evaluation *evaluation, struct meta *meta,
                       struct bgd_err *err)
{
    size_t count = evaluation->labels->count;
    struct fit fit = {malloc(count * sizeof(float)), malloc(count * sizeof(float)), malloc(count), 0};
    int code = fit.network && fit.p && fit.truth ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    fprintf(stderr, "  %-14s %7s %9s  %-7s %-7s  %-14s   %-14s  %-18s  %s\n", "", "cards", "positive", "slope", "offset",
            "threshold", "cross-entropy", "calibration error", "F1");
    for (int i = 0; i < OUTPUTS && !code; i++) {
        int label = meta_label(meta, output_name(i));
        if (label < 0)
            continue;
        fit.n = evaluation_sample(evaluation, 0, i, fit.network, fit.truth);
        code = fit_output(s, &fit, output_name(i), (uint32_t)label, meta, err);
    }
    free(fit.network);
    free(fit.p);
    free(fit.truth);
    return code;
}

/* ---------------------------------------------------------------- the model */

static void add_target(cJSON *object, struct calibration_target target)
{
    if (target.f1)
        cJSON_AddStringToObject(object, "thresholds_for", "highest F1");
    else
        cJSON_AddNumberToObject(cJSON_AddObjectToObject(object, "thresholds_for"), "precision", target.precision);
}

/* What the model's file tells later of where its calibration came from. */
static int note_provenance(const struct calibrate_settings *s, const struct session *session,
                           const struct evaluation *evaluation, struct meta *meta, struct bgd_err *err)
{
    struct file_buffer file = {0};
    char hash[HASH_TEXT];
    if (file_read(s->labels, LABELS_BYTES_MAX, &file, err)) {
        free(file.data);
        return err_prefix(err, "%s: ", s->labels);
    }
    hash_text(file.data, file.size, hash);
    free(file.data);
    const char *slash = strrchr(s->labels, '/'), *name = slash ? slash + 1 : s->labels;
    cJSON *provenance = cJSON_Parse(meta->provenance), *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "labels", meta_is_text(name) ? name : "?");
    cJSON_AddStringToObject(object, "labels_xxh3_128", hash);
    cJSON_AddNumberToObject(object, "cards", (double)evaluation->judged);
    cJSON_AddStringToObject(object, "method", s->method == CALIBRATION_PLATT ? "platt" : "temperature");
    add_target(object, s->target);
    cJSON_AddStringToObject(object, "pipeline", bgd_pipeline_name(session->pipeline));
    cJSON_AddStringToObject(object, "fitted_from", bgd_pipeline_hash(session->pipeline));
    cJSON_AddStringToObject(object, "fitted_by", "bgdet " BGD_VERSION);
    cJSON_DeleteItemFromObjectCaseSensitive(provenance, "calibration");
    cJSON_AddItemToObject(provenance, "calibration", object);
    free(meta->provenance);
    meta->provenance = cJSON_PrintUnformatted(provenance);
    cJSON_Delete(provenance);
    return meta->provenance ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static int fill_in_calibrations(struct meta *meta, struct bgd_err *err)
{
    if (meta->calibrations)
        return 0;
    meta->calibrations = malloc(meta->n_labels * sizeof *meta->calibrations);
    if (!meta->calibrations)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < meta->n_labels; i++)
        meta->calibrations[i] = CALIBRATION_NONE;
    return 0;
}

/* The band must hold the threshold that was just chosen; the format's own error would not say how it came to be. */
static int set_review(const struct calibrate_settings *s, struct meta *meta, struct bgd_err *err)
{
    float threshold = meta->thresholds[meta_label(meta, "defective")];
    memcpy(meta->review, s->review, sizeof meta->review);
    if (s->review[1] > 0 && (threshold < s->review[0] || threshold > s->review[1]))
        return err_set(err, BGD_ARGUMENT, "--review %g:%g: the threshold of \"defective\" is %.3f, expected it between them",
                       (double)s->review[0], (double)s->review[1], (double)threshold);
    return 0;
}

static int write_model(const char *path, const struct bgd_model *model, const struct meta *meta, struct bgd_err *err)
{
    uint8_t *bytes;
    size_t size;
    if (rewrite_meta(model, meta, &bytes, &size, err))
        return err->code;
    int code = file_write(path, bytes, size, err);
    free(bytes);
    return code;
}

/* The hash that rows will carry where this model file takes the place of the pipeline's. */
static int hash_pipeline(const struct bgd_pipeline *pipeline, const char *path, char hash[HASH_TEXT], struct bgd_err *err)
{
    struct bgd_pipeline with = *pipeline;
    with.name = NULL;
    if (bgd_model_open(path, &with.classifier, err))
        return err->code;
    int code = pipeline_join(&with, err);
    memcpy(hash, with.hash, HASH_TEXT);
    free(with.name);
    bgd_model_close(with.classifier);
    return code;
}

/* The evaluation as the new model would have made it. */
static void judge_again(struct evaluation *evaluation, const struct meta *meta, float thresholds[OUTPUTS])
{
    for (int i = 0; i < OUTPUTS; i++) {
        int label = meta_label(meta, output_name(i));
        if (label < 0)
            continue;
        thresholds[i] = meta->thresholds[label];
        for (size_t k = 0; k < evaluation->labels->count; k++)
            if (!evaluation->cards[k].code)
                evaluation->cards[k].p[i] = calibration_apply(meta->calibrations[label], evaluation->cards[k].p[i]);
    }
    uint32_t defective = (uint32_t)meta_label(meta, "defective");
    for (size_t k = 0; k < evaluation->labels->count; k++)
        if (!evaluation->cards[k].code)
            evaluation->cards[k].verdict = meta_verdict(meta, defective, evaluation->cards[k].p[OUTPUT_DEFECTIVE]);
}

int calibrate_model(const struct calibrate_settings *settings, const struct session *session, struct evaluation *evaluation,
                    float thresholds[OUTPUTS], char hash[HASH_TEXT], struct bgd_err *err)
{
    const struct bgd_model *model = session->pipeline->classifier;
    struct meta meta;
    if (meta_parse(model->meta_json, (size_t)model->header->meta_bytes, &meta, err))
        return err->code;
    fprintf(stderr, "calibration on these %zu cards (%s), thresholds for ", evaluation->judged,
            settings->method == CALIBRATION_PLATT ? "a Platt pair per output" : "a temperature per output, T = 1 / slope");
    if (settings->target.f1)
        fputs("the highest F1:\n", stderr);
    else
        fprintf(stderr, "a precision of at least %g:\n", settings->target.precision);
    if (fill_in_calibrations(&meta, err) || fit_outputs(settings, evaluation, &meta, err) || set_review(settings, &meta, err) ||
        note_provenance(settings, session, evaluation, &meta, err) || write_model(settings->output, model, &meta, err) ||
        hash_pipeline(session->pipeline, settings->output, hash, err)) {
        meta_free(&meta);
        return err->code;
    }
    fprintf(stderr, "%s: written. What follows is of this model, on the same cards that it was fitted to.\n", settings->output);
    judge_again(evaluation, &meta, thresholds);
    meta_free(&meta);
    return 0;
}
