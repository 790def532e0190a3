#include "eval.h"
#include "err.h"
#include "file.h"
#include "hash.h"
#include "rewrite.h"
#include "tools.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- fitting */

/* One output on all cards that are labelled for it: P as the network says it, and as a calibration makes it. */
struct column {
    float *network, *p;
    uint8_t *truth;
    size_t n;
};

static void apply(struct column *column, struct calibration calibration)
{
    for (size_t i = 0; i < column->n; i++)
        column->p[i] = calibration_apply(calibration, column->network[i]);
}

static int measure(const struct column *column, float threshold, struct metrics *metrics, struct bgd_err *err)
{
    const struct metrics_sample sample = {column->p, column->truth, column->n, threshold};
    return metrics_measure(&sample, 0, 0, metrics, err);
}

#define FEW 10 /* cards of a kind below which a fit says little */

static void print_change(const char *name, const struct metrics *before, const struct metrics *after, float old, float new,
                         struct calibration calibration, bool met)
{
    fprintf(stderr, "  %-14s %7zu %9zu  %-7.4g %-7.4g  %.3f -> %.3f   %.3f -> %.3f  %.3f -> %.3f      %.3f -> %.3f%s\n", name,
            after->n, after->positives, (double)calibration.slope, (double)calibration.offset, (double)old, (double)new,
            before->value[METRIC_CROSS_ENTROPY], after->value[METRIC_CROSS_ENTROPY], before->value[METRIC_CALIBRATION_ERROR],
            after->value[METRIC_CALIBRATION_ERROR], before->value[METRIC_F1], after->value[METRIC_F1],
            met ? "" : "  (no threshold meets the target: kept)");
    if (after->positives < FEW || after->n - after->positives < FEW)
        fprintf(stderr, "  %-14s few cards: P is drawn towards the middle, and another sample would say something else\n", "");
}

/* Fits one output into `meta`: *fitted, or says why not. */
static int fit_output(const struct calibrate_settings *s, struct column *column, const char *name, uint32_t label,
                      struct meta *meta, bool *fitted, struct bgd_err *err)
{
    struct calibration old = meta->calibrations[label], calibration;
    float threshold = meta->thresholds[label];
    *fitted = fit_calibration(s->method, column->network, column->truth, column->n, &calibration);
    if (!*fitted) {
        fprintf(stderr, "  %-14s %7zu  stays as it was: %s\n", name, column->n,
                column->n ? "its labels are all alike" : "no labels for it");
        return 0;
    }
    struct metrics before, after;
    bool met;
    apply(column, old);
    if (measure(column, threshold, &before, err))
        return err->code;
    apply(column, calibration);
    const struct metrics_sample sample = {column->p, column->truth, column->n, 0};
    if (fit_threshold(&sample, s->target, &threshold, &met, err) || measure(column, threshold, &after, err))
        return err->code;
    print_change(name, &before, &after, meta->thresholds[label], threshold, calibration, met);
    meta->calibrations[label] = calibration;
    meta->thresholds[label] = threshold;
    return 0;
}

/* Fits what can be; `cards` gets, for the model's provenance, the number of cards behind each output that was. */
static int fit_outputs(const struct calibrate_settings *s, const struct evaluation *evaluation, struct meta *meta, cJSON *cards,
                       struct bgd_err *err)
{
    size_t count = evaluation->labels->count;
    struct column column = {malloc(count * sizeof(float)), malloc(count * sizeof(float)), malloc(count), 0};
    int code = column.network && column.p && column.truth ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    fprintf(stderr, "  %-14s %7s %9s  %-7s %-7s  %-14s   %-14s  %-18s  %s\n", "", "cards", "positive", "slope", "offset",
            "threshold", "cross-entropy", "calibration error", "F1");
    for (int i = 0; i < OUTPUTS && !code; i++) {
        int label = meta_label(meta, output_name(i));
        bool fitted = false;
        if (label < 0)
            continue;
        column.n = evaluation_sample(evaluation, 0, i, column.network, column.truth);
        code = fit_output(s, &column, output_name(i), (uint32_t)label, meta, &fitted, err);
        if (fitted)
            cJSON_AddNumberToObject(cards, output_name(i), (double)column.n);
    }
    free(column.network);
    free(column.p);
    free(column.truth);
    if (!code && !cards->child)
        code = err_set(err, BGD_DAMAGED, "%s: nothing to calibrate on: each output needs cards of both kinds", s->labels);
    return code;
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

/* A band must hold the threshold that was just chosen: one that was asked for is an error, an old one goes. */
static int set_review(const struct calibrate_settings *s, struct meta *meta, struct bgd_err *err)
{
    float threshold = meta->thresholds[meta_label(meta, "defective")];
    bool asked = s->review[1] > 0;
    if (asked)
        memcpy(meta->review, s->review, sizeof meta->review);
    if (meta->review[1] == 0 || (threshold >= meta->review[0] && threshold <= meta->review[1]))
        return 0;
    if (asked)
        return err_set(err, BGD_ARGUMENT, "--review %g:%g: the threshold of \"defective\" is %.3f, expected it between them",
                       (double)s->review[0], (double)s->review[1], (double)threshold);
    fprintf(stderr, "  the model's band for review, %g:%g, does not hold the new threshold of \"defective\" and is dropped\n",
            (double)meta->review[0], (double)meta->review[1]);
    meta->review[0] = meta->review[1] = 0;
    return 0;
}

/* ---------------------------------------------------------------- provenance */

static const char hash_key[] = "labels_xxh3_128";

/* Takes over `cards`. */
static int note_provenance(const struct calibrate_settings *s, const struct session *session, const struct labels *labels,
                           cJSON *cards, struct meta *meta, struct bgd_err *err)
{
    const char *slash = strrchr(s->labels, '/'), *name = slash ? slash + 1 : s->labels;
    cJSON *provenance = cJSON_Parse(meta->provenance), *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "labels", meta_is_text(name) ? name : "?");
    cJSON_AddStringToObject(object, hash_key, labels->hash);
    cJSON_AddItemToObject(object, "cards", cards);
    cJSON_AddStringToObject(object, "method", s->method == FIT_PLATT ? "platt" : "temperature");
    if (s->target.f1)
        cJSON_AddStringToObject(object, "thresholds_for", "highest F1");
    else
        cJSON_AddNumberToObject(cJSON_AddObjectToObject(object, "thresholds_for"), "precision", s->target.precision);
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

bool calibrate_was_on(const struct bgd_model *model, const char *hash)
{
    cJSON *provenance = cJSON_Parse(model->meta.provenance);
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(provenance, "calibration");
    const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, hash_key));
    bool same = was && strcmp(was, hash) == 0;
    cJSON_Delete(provenance);
    return same;
}

/* ---------------------------------------------------------------- the model file */

int calibrate_check_output(const char *output, struct bgd_err *err)
{
    struct stat st;
    struct bgd_model *model;
    if (stat(output, &st))
        return tool_check_folder(output, err);
    bool replaces = S_ISREG(st.st_mode) && bgd_model_open(output, &model, err) == 0;
    bool classifier = replaces && model->meta.kind == META_CLASSIFIER;
    if (replaces)
        bgd_model_close(model);
    if (!classifier)
        return err_set(err, BGD_ARGUMENT, "%s is there and no classifier's model file: it is not overwritten", output);
    return tool_check_folder(output, err);
}

/* Where `path` leads, with the permissions of what is there: a model that is rewritten in place stays where and whose it was. */
static int write_in_place(const char *path, const void *bytes, size_t size, struct bgd_err *err)
{
    struct stat st;
    char *real = realpath(path, NULL);
    bool exists = real && stat(real, &st) == 0;
    int code = file_write(real ? real : path, bytes, size, err);
    if (!code && exists && chmod(real, st.st_mode & 07777))
        code = err_set(err, BGD_WRITE, "%s: %s", real, strerror(errno));
    free(real);
    return code;
}

/* The hash that rows will carry where this model takes the place of the pipeline's. */
static int hash_pipeline(const struct bgd_pipeline *pipeline, const void *bytes, size_t size, char hash[HASH_TEXT],
                         struct bgd_err *err)
{
    struct bgd_pipeline with = *pipeline;
    with.name = NULL;
    if (model_parse(bytes, size, &with.classifier, err))
        return err->code;
    int code = pipeline_join(&with, err);
    memcpy(hash, with.hash, HASH_TEXT);
    free(with.name);
    bgd_model_close(with.classifier);
    return code;
}

static int write_model(const char *path, const struct bgd_pipeline *pipeline, const struct meta *meta, char hash[HASH_TEXT],
                       struct bgd_err *err)
{
    uint8_t *bytes;
    size_t size;
    if (rewrite_meta(pipeline->classifier, meta, &bytes, &size, err))
        return err->code;
    int code = hash_pipeline(pipeline, bytes, size, hash, err);
    if (!code)
        code = write_in_place(path, bytes, size, err);
    free(bytes);
    return code;
}

/* ---------------------------------------------------------------- all of it */

/* The evaluation as the new model would have made it. */
static void judge_again(struct evaluation *evaluation, const struct meta *meta, float thresholds[OUTPUTS])
{
    uint32_t defective = (uint32_t)meta_label(meta, "defective");
    for (int i = 0; i < OUTPUTS; i++) {
        int label = meta_label(meta, output_name(i));
        if (label < 0)
            continue;
        thresholds[i] = meta->thresholds[label];
        for (size_t k = 0; k < evaluation->labels->count; k++)
            if (!evaluation->cards[k].code)
                evaluation->cards[k].p[i] = calibration_apply(meta->calibrations[label], evaluation->cards[k].p[i]);
    }
    for (size_t k = 0; k < evaluation->labels->count; k++)
        if (!evaluation->cards[k].code)
            evaluation->cards[k].verdict = meta_verdict(meta, defective, evaluation->cards[k].p[OUTPUT_DEFECTIVE]);
}

static int calibrate(const struct calibrate_settings *s, const struct session *session, const struct evaluation *evaluation,
                     struct meta *meta, char hash[HASH_TEXT], struct bgd_err *err)
{
    cJSON *cards = cJSON_CreateObject();
    if (fill_in_calibrations(meta, err) || fit_outputs(s, evaluation, meta, cards, err) || set_review(s, meta, err)) {
        cJSON_Delete(cards);
        return err->code;
    }
    return note_provenance(s, session, evaluation->labels, cards, meta, err) ||
                   write_model(s->output, session->pipeline, meta, hash, err)
               ? err->code
               : 0;
}

int calibrate_model(const struct calibrate_settings *s, const struct session *session, struct evaluation *evaluation,
                    float thresholds[OUTPUTS], char hash[HASH_TEXT], struct bgd_err *err)
{
    const struct bgd_model *model = session->pipeline->classifier;
    struct meta meta;
    if (meta_parse(model->meta_json, (size_t)model->header->meta_bytes, &meta, err))
        return err->code;
    fprintf(stderr, "calibration on these %zu cards (%s), thresholds for ", evaluation->judged,
            s->method == FIT_PLATT ? "a Platt pair per output" : "a temperature per output, T = 1 / slope");
    if (s->target.f1)
        fputs("the highest F1:\n", stderr);
    else
        fprintf(stderr, "a precision of at least %g:\n", s->target.precision);
    int code = calibrate(s, session, evaluation, &meta, hash, err);
    if (!code) {
        fprintf(stderr, "%s: written%s\n", s->output,
                session->pipeline->segmenter
                    ? "; it goes into a pipeline file as its classifier, in the place of the one that was judged with"
                    : "");
        judge_again(evaluation, &meta, thresholds);
    }
    meta_free(&meta);
    return code;
}
