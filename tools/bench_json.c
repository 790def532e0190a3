/* A benchmark as one JSON object. Rates are images a second, sizes bytes, times seconds. */
#include "bench.h"
#include "json.h"

static cJSON *add_rate(cJSON *object, const struct bench_rate *rate)
{
    cJSON_AddNumberToObject(object, "median", rate->median);
    cJSON_AddNumberToObject(object, "p10", rate->low);
    cJSON_AddNumberToObject(object, "p90", rate->high);
    cJSON_AddNumberToObject(object, "repetitions", rate->repetitions);
    return object;
}

static void add_head(cJSON *root, const struct bench_report *r)
{
    cJSON_AddStringToObject(root, "version", BGD_VERSION);
    cJSON_AddStringToObject(root, "commit", r->commit);
    cJSON_AddStringToObject(root, "date", r->date);
    json_add_name(root, "cpu", r->cpu);
    cJSON_AddNumberToObject(root, "processors", r->processors);
    if (r->device) {
        cJSON *device = cJSON_AddObjectToObject(root, "device");
        cJSON_AddStringToObject(device, "name", r->device);
        json_add_name(device, "text", r->text);
        cJSON_AddBoolToObject(device, "own_memory", r->own_memory);
    }
    if (r->pipeline) {
        cJSON *pipeline = cJSON_AddObjectToObject(root, "pipeline");
        json_add_name(pipeline, "name", r->pipeline);
        cJSON_AddStringToObject(pipeline, "hash", r->hash);
    }
}

static void add_cards(cJSON *root, const struct bench_report *r)
{
    cJSON *cards = cJSON_AddObjectToObject(root, "cards");
    cJSON_AddNumberToObject(cards, "count", r->cards->n);
    cJSON *formats = cJSON_AddObjectToObject(cards, "formats");
    for (int i = BGD_JPEG; i <= BGD_TGA; i++)
        cJSON_AddNumberToObject(formats, bgd_format_name((enum bgd_format)i), r->cards->formats[i]);
    cJSON_AddNumberToObject(cards, "progressive", r->cards->progressive);
    cJSON_AddNumberToObject(cards, "median_pixels", r->cards->pixels);
    cJSON_AddNumberToObject(cards, "median_bytes", r->cards->bytes);
}

static void add_stages(cJSON *root, const struct bench_report *r)
{
    cJSON_AddNumberToObject(root, "threads", r->threads);
    cJSON_AddNumberToObject(root, "lanes", r->lanes);
    cJSON_AddNumberToObject(root, "batch", r->batch);
    cJSON_AddStringToObject(root, "decode", r->exact ? "exact" : "scaled");
    add_cards(root, r);
    cJSON *stages = cJSON_AddArrayToObject(root, "stages");
    for (uint32_t i = 0; i < r->n_stages; i++) {
        cJSON *stage = cJSON_CreateObject();
        cJSON_AddStringToObject(stage, "name", r->stages[i].name);
        cJSON_AddStringToObject(stage, "on", r->stages[i].on_device ? "device" : "host");
        cJSON_AddNumberToObject(stage, "part", r->stages[i].part);
        cJSON_AddItemToArray(stages, add_rate(stage, &r->stages[i].rate));
    }
    cJSON *whole = add_rate(cJSON_AddObjectToObject(root, "end_to_end"), &r->whole);
    cJSON_AddNumberToObject(whole, "allowed", r->allowed);
    cJSON_AddNumberToObject(whole, "share", r->whole.median / r->allowed);
}

static void add_curves(cJSON *root, const char *over, const struct bench_curve *curves, uint32_t n)
{
    cJSON *list = cJSON_AddArrayToObject(root, over);
    for (uint32_t i = 0; i < n; i++) {
        cJSON *curve = cJSON_CreateObject();
        cJSON_AddStringToObject(curve, "name", curves[i].name);
        cJSON *points = cJSON_AddArrayToObject(curve, "points");
        for (uint32_t p = 0; p < curves[i].n; p++) {
            cJSON *point = cJSON_CreateObject();
            cJSON_AddNumberToObject(point, "at", curves[i].points[p].at);
            cJSON_AddItemToArray(points, add_rate(point, &curves[i].points[p].rate));
        }
        cJSON_AddItemToArray(list, curve);
    }
}

static void add_limit(cJSON *network, const char *name, const struct roofline_limit *limit)
{
    cJSON *object = cJSON_AddObjectToObject(network, name);
    cJSON_AddNumberToObject(object, "bytes", limit->bytes);
    cJSON_AddNumberToObject(object, "stepwise", limit->stepwise);
    cJSON_AddNumberToObject(object, "overall", limit->overall);
}

static void add_steps(cJSON *network, const struct roofline *roofline)
{
    cJSON *steps = cJSON_AddArrayToObject(network, "steps");
    for (uint32_t i = 0; i < roofline->n_steps; i++) {
        const struct roofline_step *step = &roofline->steps[i];
        cJSON *object = cJSON_CreateObject();
        json_add_name(object, "name", step->name);
        cJSON_AddStringToObject(object, "kind", step->kind);
        cJSON_AddNumberToObject(object, "ops", step->n_ops);
        cJSON_AddNumberToObject(object, "macs", step->macs);
        cJSON_AddNumberToObject(object, "bytes", step->bytes);
        cJSON_AddNumberToObject(object, "limit", step->limit);
        cJSON_AddStringToObject(object, "bound", step->memory ? "bytes" : "arithmetic");
        cJSON_AddNumberToObject(object, "seconds", step->seconds);
        cJSON_AddItemToArray(steps, object);
    }
}

static void add_rooflines(cJSON *root, const struct bench_report *r)
{
    const struct backend_ceilings *ceilings = &r->networks[0].roofline.ceilings;
    cJSON *roofline = cJSON_AddObjectToObject(root, "roofline");
    cJSON_AddNumberToObject(roofline, "copy", ceilings->copy);
    cJSON_AddNumberToObject(roofline, "macs", ceilings->macs);
    cJSON_AddNumberToObject(roofline, "element_bytes", ceilings->element_bytes);
    cJSON *networks = cJSON_AddArrayToObject(roofline, "networks");
    for (uint32_t i = 0; i < r->n_networks; i++) {
        const struct roofline *one = &r->networks[i].roofline;
        cJSON *network = cJSON_CreateObject();
        json_add_name(network, "name", r->networks[i].name);
        cJSON_AddNumberToObject(network, "batch", one->batch);
        cJSON_AddNumberToObject(network, "macs", one->macs);
        add_limit(network, "unfused", &one->unfused);
        add_limit(network, "fused", &one->fused);
        if (one->measured > 0) {
            add_limit(network, "as_run", &one->as_run);
            cJSON_AddNumberToObject(network, "measured", one->measured);
            add_steps(network, one);
        }
        cJSON_AddItemToArray(networks, network);
    }
}

int bench_print_json(FILE *file, const struct bench_report *r, struct bgd_err *err)
{
    cJSON *root = cJSON_CreateObject();
    add_head(root, r);
    if (r->n_stages)
        add_stages(root, r);
    if (r->n_by_threads) {
        cJSON *sweep = cJSON_AddObjectToObject(root, "sweep");
        add_curves(sweep, "batch", r->by_batch, r->n_by_batch);
        add_curves(sweep, "threads", r->by_threads, r->n_by_threads);
    }
    if (r->n_networks)
        add_rooflines(root, r);
    return json_print(file, root, err);
}
