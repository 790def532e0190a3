/* A classifier made ready on a device: one exec per lane, and the way from its scores to a result. */
#include "backend.h"
#include "err.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bgd_engine {
    const struct bgd_model *model;
    const struct backend *backend;
    struct device *device;
    uint32_t lanes;
    struct exec **execs; /* one per lane; those behind the first share its weights */
    float **scores;      /* one per lane: (batch, labels) */
    uint32_t scores_output;
    uint32_t defective;       /* label index */
    int reasons[BGD_REASONS]; /* label index, or -1 */
};

const char *bgd_reason_name(enum bgd_reason reason)
{
    static const char *const names[] = {"text", "not_white", "extra_objects", "cropped", "duplicates"};
    assert((size_t)reason < BGD_REASONS);
    return names[reason];
}

static int find_labels(struct bgd_engine *engine, struct bgd_err *err)
{
    const struct meta *meta = &engine->model->meta;
    if (!meta->classifier || meta->channels != 3)
        return err_set(err, BGD_ARGUMENT, "the model is %s with %u input channels, expected a classifier with 3",
                       meta->classifier ? "a classifier" : "no classifier", model_shape(engine->model, 0).c);
    int defective = meta_label(meta, "defective");
    if (defective < 0)
        return err_set(err, BGD_ARGUMENT, "the model has no label \"defective\"");
    engine->defective = (uint32_t)defective;
    for (int i = 0; i < BGD_REASONS; i++)
        engine->reasons[i] = meta_label(meta, bgd_reason_name((enum bgd_reason)i));
    for (uint32_t i = 0; i < engine->model->header->n_outputs; i++)
        if ((int)engine->model->header->outputs[i] == model_output(engine->model, "scores"))
            engine->scores_output = i;
    return 0;
}

static int open_lanes(struct bgd_engine *engine, uint32_t batch, struct bgd_err *err)
{
    engine->execs = calloc(engine->lanes, sizeof *engine->execs);
    engine->scores = calloc(engine->lanes, sizeof *engine->scores);
    if (!engine->execs || !engine->scores)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < engine->lanes; i++) {
        struct exec *sibling = i ? engine->execs[0] : NULL;
        if (engine->backend->prepare(engine->device, engine->model, batch, sibling, &engine->execs[i], err))
            return err->code;
        size_t count = (size_t)engine->backend->batch(engine->execs[i]) * engine->model->meta.n_labels;
        if (!(engine->scores[i] = calloc(count, sizeof *engine->scores[i])))
            return err_set(err, BGD_MEMORY, "out of memory");
    }
    return 0;
}

int bgd_engine_open(const struct bgd_model *model, const struct bgd_engine_options *options, struct bgd_engine **out,
                    struct bgd_err *err)
{
    *out = NULL;
    struct bgd_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_set(err, BGD_MEMORY, "out of memory");
    engine->model = model;
    engine->lanes = options->lanes ? options->lanes : 1;
    if (find_labels(engine, err) || backend_open(options->device, &engine->backend, &engine->device, err) ||
        open_lanes(engine, options->batch, err)) {
        bgd_engine_close(engine);
        return err->code;
    }
    *out = engine;
    return 0;
}

void bgd_engine_close(struct bgd_engine *engine)
{
    if (!engine)
        return;
    for (uint32_t i = engine->lanes; i-- > 0;) { /* lane 0 last: the others use its weights */
        if (engine->execs && engine->execs[i])
            engine->backend->release(engine->execs[i]);
        if (engine->scores)
            free(engine->scores[i]);
    }
    free(engine->execs);
    free(engine->scores);
    if (engine->device)
        engine->backend->close(engine->device);
    free(engine);
}

const char *bgd_engine_device(const struct bgd_engine *engine)
{
    return engine->backend->name;
}

uint32_t bgd_engine_batch(const struct bgd_engine *engine)
{
    return engine->backend->batch(engine->execs[0]);
}

uint32_t bgd_engine_width(const struct bgd_engine *engine)
{
    return engine->model->meta.input.width;
}

uint32_t bgd_engine_height(const struct bgd_engine *engine)
{
    return engine->model->meta.input.height;
}

static void judge(const struct bgd_engine *engine, const float *scores, struct bgd_result *result)
{
    result->score = scores[engine->defective];
    result->defective = result->score >= engine->model->meta.thresholds[engine->defective];
    for (int i = 0; i < BGD_REASONS; i++)
        result->reasons[i] = engine->reasons[i] < 0 ? NAN : scores[engine->reasons[i]];
}

int bgd_engine_score(struct bgd_engine *engine, uint32_t lane, const struct bgd_image *const *images, uint32_t n,
                     struct bgd_result *results, struct bgd_err *err)
{
    assert(lane < engine->lanes);
    const struct backend *backend = engine->backend;
    struct exec *exec = engine->execs[lane];
    if (n > backend->batch(exec))
        return err_set(err, BGD_ARGUMENT, "%u pictures in one call, at most %u fit", n, backend->batch(exec));
    if (backend->feed(exec, n, images, err) || backend->run(exec, n, err) ||
        backend->fetch(exec, engine->scores_output, n, engine->scores[lane], err))
        return err->code;
    for (uint32_t i = 0; i < n; i++) {
        const float *scores = engine->scores[lane] + (size_t)i * engine->model->meta.n_labels;
        for (uint32_t k = 0; k < engine->model->meta.n_labels; k++)
            if (!(scores[k] >= 0)) /* weights that overflow: "not defective" would be a lie */
                return err_set(err, BGD_ARGUMENT, "the model computes %g as the score of \"%s\"", (double)scores[k],
                               engine->model->meta.labels[k]);
        judge(engine, scores, &results[i]);
    }
    return 0;
}
