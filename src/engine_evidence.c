#include "engine_evidence.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>

int engine_evidence_prepare(struct engine_evidence *evidence, struct bgd_err *err)
{
    const struct bgd_pipeline *p = evidence->pipeline;
    const struct feed_spec *size = &(p->segmenter ? p->segmenter : p->classifier)->meta.input;
    size_t batch = evidence->batch;
    evidence->width = size->width;
    evidence->height = size->height;
    if (p->segmenter) {
        evidence->masks = malloc(batch * size->width * size->height * sizeof *evidence->masks);
        if (!evidence->masks)
            return err_set(err, BGD_MEMORY, "out of memory");
    }
    if (evidence->activation_output >= 0) {
        evidence->shape = model_shape(p->classifier, p->classifier->header->outputs[evidence->activation_output]);
        evidence->activation = malloc(batch * (size_t)shape_size(evidence->shape) * sizeof *evidence->activation);
        if (!evidence->activation)
            return err_set(err, BGD_MEMORY, "out of memory");
    }
    return 0;
}

void engine_evidence_free(struct engine_evidence *evidence)
{
    free(evidence->masks);
    free(evidence->activation);
    bgd_image_free(&evidence->picture);
    feed_scratch_free(&evidence->shrink);
    evidence_scratch_free(&evidence->scratch);
}

/* The reasons of a card that is not clean: those that hold, or the strongest if none does. */
static void want_reasons(const struct bgd_result *result, bool wanted[BGD_REASONS])
{
    int strongest = -1;
    bool any = false;
    for (int i = 0; i < BGD_REASONS; i++) {
        wanted[i] = result->holds[i];
        any = any || result->holds[i];
        if (!isnan(result->reasons[i]) && (strongest < 0 || result->reasons[i] > result->reasons[strongest]))
            strongest = i;
    }
    if (!any && strongest >= 0)
        wanted[strongest] = true;
}

/* What picture i of the batch has left. */
static struct evidence_card card_of(const struct engine_evidence *evidence, uint32_t i)
{
    struct evidence_card card = {.rgb = evidence->picture.rgb, .width = evidence->width, .height = evidence->height};
    if (evidence->masks)
        card.mask = evidence->masks + (size_t)i * evidence->width * evidence->height;
    if (evidence->activation) {
        struct shape shape = evidence->shape;
        card.columns = shape.w;
        card.rows = shape.h;
        for (int reason = 0; reason < BGD_REASONS; reason++) {
            int label = evidence->labels[reason];
            if (label >= 0)
                card.activation[reason] = evidence->activation + ((size_t)i * shape.c + (size_t)label) * shape.h * shape.w;
        }
    }
    return card;
}

/* The logit from which on a label's P reaches its threshold. */
static float level_of(const struct meta *meta, int label)
{
    struct calibration calibration = meta->calibrations ? meta->calibrations[label] : CALIBRATION_NONE;
    return (float)((calibration_logit(meta->thresholds[label]) - (double)calibration.offset) / (double)calibration.slope);
}

/* Takes the levels from the maps, so that a reason is seen where its activation is positive. */
static void level_activation(struct engine_evidence *evidence, uint32_t n)
{
    struct shape shape = evidence->shape;
    for (int reason = 0; reason < BGD_REASONS; reason++) {
        int label = evidence->labels[reason];
        float level = label < 0 ? 0 : level_of(&evidence->pipeline->classifier->meta, label);
        for (uint32_t i = 0; i < n && label >= 0; i++) {
            float *map = evidence->activation + ((size_t)i * shape.c + (size_t)label) * shape.h * shape.w;
            for (size_t k = 0; k < (size_t)shape.h * shape.w; k++)
                map[k] -= level;
        }
    }
}

static int fetch(struct engine_evidence *evidence, uint32_t n, struct bgd_err *err)
{
    const struct backend *backend = evidence->backend;
    if (evidence->masks && backend->fetch(evidence->segmenter, 0, n, evidence->masks, err))
        return err->code;
    if (!evidence->activation)
        return 0;
    if (backend->fetch(evidence->classifier, (uint32_t)evidence->activation_output, n, evidence->activation, err))
        return err->code;
    level_activation(evidence, n);
    return 0;
}

int engine_evidence_find(struct engine_evidence *evidence, const struct bgd_image *const *images, uint32_t n,
                         struct bgd_result *results, struct bgd_err *err)
{
    bool fetched = false;
    for (uint32_t i = 0; i < n; i++) {
        if (results[i].verdict == BGD_CLEAN)
            continue;
        if (!fetched && fetch(evidence, n, err))
            return err->code;
        fetched = true;
        if (feed_shrink(images[i], evidence->width, evidence->height, &evidence->shrink, &evidence->picture, err))
            return err->code;
        struct evidence_card card = card_of(evidence, i);
        want_reasons(&results[i], card.wanted);
        if (evidence_find(&card, &evidence->scratch, &results[i], err))
            return err->code;
    }
    return 0;
}
